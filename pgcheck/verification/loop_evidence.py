"""What all runs of an agent show on one model: its exact expectation."""

import contextlib
import math
from dataclasses import dataclass, replace

import numpy as np

from pgcheck.arrays import Floats
from pgcheck.errors import EstimatorError
from pgcheck.exact.gradient import exact_gradient
from pgcheck.external.agent_source import AgentSource, Beginning
from pgcheck.external.episodes import decoded
from pgcheck.external.lot import Lot
from pgcheck.external.run import Variation
from pgcheck.formats.modelfile import Model
from pgcheck.model.linear import Linear
from pgcheck.model.linearised import Linearised
from pgcheck.model.mdp import MDP
from pgcheck.verification.evidence import MAX_ENUMERATED, ModelProgress, count_of
from pgcheck.verification.exhaustive import Expectation
from pgcheck.verification.findings import Enumeration, Finding
from pgcheck.verification.loop_parts import Site, lots_of
from pgcheck.verification.recorded import Recorded
from pgcheck.verification.setting import Setting
from pgcheck.workers.executor import HERE, Executor

FAR = 1e3  # times the limit: a count is beyond it, however uncertain
CERTAINLY = 4.0  # standard errors by which a count is beyond the limit before it is taken to be
NONE = 1e-9  # the probability of what does not happen
SLACK_OF_MASS = 1e-6  # by which the probabilities of all runs may miss 1: those of networks in single precision do


@dataclass(frozen=True, eq=False)
class Runs:
    """All runs of an agent on one model.

    Attributes:
      mean: E[ĝ] `[d]`; NaN where some runs have a gradient that is not finite.
      trace: tr Cov(ĝ).
      number: how many runs.
      not_finite, without: the probability of runs whose gradient is not finite, and of those that computed none.
      clipped: the probability of runs in which a gradient was clipped.
      recorded: the episodes of all of them.
      shuffled: whether something was shuffled whose order makes no difference.
    """

    mean: Floats
    trace: float
    number: int
    not_finite: float
    without: float
    clipped: float
    recorded: Recorded
    shuffled: bool = False


@dataclass(frozen=True, eq=False)
class LoopFinding(Finding):
    """An agent's expectation on one model, beside the gradient.

    Attributes:
      beginning: its policy, and what a whole run shows.
      runs: what all runs show.
      features: those of the model's own policy, where it is linear.
    """

    beginning: Beginning
    runs: Runs
    features: Floats | None

    @property
    def outside(self) -> float:
        """The part of E[ĝ] that no change of the logits has, 0 to 1: a policy gradient has none of it."""
        mean = self.expectation.mean
        return self.beginning.subject.policy.outside(mean) if np.all(np.isfinite(mean)) else math.nan

    @property
    def severity(self) -> float:
        """The relative bias; infinite where some runs have a gradient that is not finite."""
        return math.inf if self.runs.not_finite else super().severity


class TooManyRunsError(Exception):
    """There are more runs than are allowed.

    Attributes:
      number: about how many there are.
    """

    def __init__(self, number: float) -> None:
        super().__init__(number)
        self.number = number


def loop_finding(
    source: AgentSource,
    model: Model,
    max_runs: int,
    progress: ModelProgress | None = None,
    *,
    max_rounding: float = math.inf,
    executor: Executor = HERE,
) -> LoopFinding:
    """Returns the expectation of an agent on one model; errors are those of `AgentSource`, and TooManyRunsError."""
    mdp, features = model.mdp, model.policy.features if isinstance(model.policy, Linear) else None
    variation = Variation(features=features)
    beginning = source.begin(mdp, variation)
    count = beginning.rehearsal.count
    if count is not None and (count.mean - CERTAINLY * count.error > max_runs or count.mean > FAR * max_runs):
        raise TooManyRunsError(count.mean)
    policy = beginning.subject.policy
    runs = _all_runs(Site.of(source, mdp, variation, policy), policy, max_runs, progress, executor)
    truth = exact_gradient(mdp, policy, method="backward-induction", max_relative_rounding=max_rounding)
    gradient = np.zeros(len(policy.theta)) if truth.is_zero else truth.gradient
    setting = Setting(mdp, policy)
    number = count_of(mdp)
    few = number is not None and number <= MAX_ENUMERATED
    expectation = Expectation(1, runs.mean, runs.trace, policy.single)
    enumeration = Enumeration.of(setting) if few else None
    return LoopFinding(setting, expectation, gradient, None, None, enumeration, beginning, runs, features)


def varied(source: AgentSource, finding: LoopFinding, variation: Variation, mdp: MDP | None = None) -> Runs:
    """Returns what the runs show when they are made in another way, or with other rewards.

    Raises:
      EstimatorError: the agent cannot be run so.
      TooManyRunsError: there are far more runs then.
    """
    mdp = mdp or finding.mdp
    variation = replace(variation, features=finding.features)
    policy = source.begin(mdp, variation).subject.policy
    return _all_runs(Site.of(source, mdp, variation, policy), policy, 4 * finding.runs.number + 100, None, HERE)


def _all_runs(
    site: Site, policy: Linearised, max_runs: int, progress: ModelProgress | None, executor: Executor
) -> Runs:
    lots = _all_lots(site, max_runs, progress, executor)
    total, mdp, source = Lot.of(lots), site.mdp, site.source
    if abs(total.mass - 1) > SLACK_OF_MASS:
        raise EstimatorError(
            f"{source.name}: the probabilities of its {total.runs:,} runs sum to {total.mass:.9g}, not to 1"
        )
    if total.without > 1 - NONE:
        raise EstimatorError(
            f"{source.name}: update() computed no gradient in any run: no optimizer of torch that holds a parameter "
            "of the policy made a step, nothing is left in .grad, and no gradient was returned"
        )
    mean = total.mean / total.mass
    trace = max(total.square / total.mass - float(mean @ mean), 0.0)
    if total.not_finite > 0:
        mean = np.full_like(mean, np.nan)
    episodes = decoded(total.episodes, mdp, total.runs)
    recorded = Recorded.of(mdp, policy, np.array(total.probs) / total.mass, episodes)
    return Runs(
        mean, trace, total.runs, total.not_finite, total.without, total.clipped, recorded, total.shuffled
    )  # fmt: skip


def _all_lots(site: Site, max_runs: int, progress: ModelProgress | None, executor: Executor) -> list[Lot]:
    """What the runs show that cut the tree, and those of each branch.

    Where a branch shows that orders matter, all of them are made anew: orders are then drawn like all else.

    Raises:
      TooManyRunsError: there are more than `max_runs`.
    """

    def told(runs: int, mass: float) -> None:
        if progress is not None:
            about = f", {runs:,} of about {runs / mass:,.0f} runs" if mass else ""
            progress(f"{site.mdp.name}{about}", min(mass, 1.0))

    def all_lots(*, drawn: bool) -> list[Lot]:
        cut = site.taken().cut(max_runs + 1, drawn=drawn, told=told)
        lots, runs, mass = [cut.lot], cut.lot.runs, cut.lot.mass
        of_branches = lots_of(site, cut.branches, cut.before, max_runs + 1 - runs, executor)
        with contextlib.closing(of_branches):
            while runs <= max_runs and len(lots) <= len(cut.branches):
                told(runs, mass)
                lots.append(next(of_branches))
                if lots[-1].anew:
                    break
                runs, mass = runs + lots[-1].runs, mass + lots[-1].mass
        told(runs, mass)
        if lots[-1].anew:
            return all_lots(drawn=True)
        if runs > max_runs:
            raise TooManyRunsError(max(runs / mass if mass > 0 else 0.0, 1.1 * max_runs))
        return lots

    return all_lots(drawn=False)
