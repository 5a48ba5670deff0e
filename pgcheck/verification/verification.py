"""The verdict on an estimator with what it rests on: every figure that is shown of it."""

from collections import Counter
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from pgcheck.displayed import Plotted
from pgcheck.errors import VERDICT_STATUS
from pgcheck.estimators.contract import Contract
from pgcheck.verification.causes import Diagnosis
from pgcheck.verification.findings import Finding
from pgcheck.verification.impulses import WeightMatrix
from pgcheck.verification.limits import Skipped
from pgcheck.verification.sampled_finding import SampledFinding
from pgcheck.verification.sampling import Sampling
from pgcheck.verification.stretch import Stretched

Verdict = Literal["pass", "fail", "inconclusive"]

NOISY = 1.2  # times the variance of reward-to-go is worth a word


@dataclass(frozen=True)
class Scope:
    """What a verdict covers.

    Attributes:
      models: how many models.
      steps: of the longest episode.
      states, actions: the most of a model.
      least, greatest: the least and the greatest reward.
      batch_sizes: pairs of a batch size and the number of models on which it was used.
      starts: on how many of the models an episode can begin in several states.
    """

    models: int
    steps: int
    states: int
    actions: int
    least: float
    greatest: float
    batch_sizes: tuple[tuple[int, int], ...]
    starts: int


@dataclass(frozen=True)
class Printed:
    """What is known of gradients that a program printed, beside their expectation.

    Attributes:
      digits: the most significant digits of a number, where they are as few as single precision has; else None.
      loosened: whether the tolerance is that of single precision because no number is more precise.
      may_be_rounding: whether a bias without a name may come from the few digits alone.
    """

    digits: int | None
    loosened: bool = False
    may_be_rounding: bool = False


@dataclass(frozen=True, eq=False)
class Verification(Plotted):
    """The verdict on an estimator, with what it rests on.

    Attributes:
      verdict: `pass`; `fail`; or `inconclusive`, where a model was too large to be checked.
      findings: one for each model and batch size.
      contract: what kind of function the estimator is.
      tolerance: the relative bias that passes.
      scale: the one factor that was accepted with `up_to_scale`.
      diagnosis: what is wrong, by name; of an estimator that passes, warnings.
      matrix: how the estimator weights steps by rewards, where it could be found out.
      skipped: what was left out: too large, or not what the estimator is made for.
      off_policy: whether the models' behavior drew the episodes.
      same_start: whether the episodes of a batch share s_0.
      unit_ratios: whether the estimator is built in and made for episodes of another policy, but the policy itself
        drew them.
      long_untried: whether no long episode was tried, as it is not known what its weights have to be.
      beyond: whether it is right on every finding, and fails by longer episodes, other rewards or larger batches.
      stretched: what larger batches of drawn episodes show.
      counts_past_rewards: of a noisy estimator, whether rewards before a step count in its weight, if known.
      allowed: ids of the deviations that were allowed, as they were given.
      of_agent: whether it is about a training loop, whose findings are `LoopFinding`s.
      printed: where a program has printed the gradients, and cannot be called again: what is known of them.
      sampling: how certain it is, where some findings are `SampledFinding`s; None where all are exact.
      excluded: how many known mistakes drawn gradients exclude, besides those that are named.
      rest: the bound of the relative bias that is left once what is allowed is taken away, where episodes are drawn.
    """

    verdict: Verdict
    findings: tuple[Finding, ...]
    contract: Contract
    tolerance: float
    scale: float | None
    diagnosis: tuple[Diagnosis, ...]
    matrix: WeightMatrix | None
    skipped: tuple[Skipped, ...]
    off_policy: bool = False
    same_start: bool = False
    unit_ratios: bool = False
    long_untried: bool = False
    beyond: bool = False
    stretched: tuple[Stretched, ...] = ()
    counts_past_rewards: bool | None = None
    allowed: tuple[str, ...] = ()
    of_agent: bool = False
    printed: Printed | None = None
    sampling: Sampling | None = None
    excluded: int = 0
    rest: float | None = None

    @property
    def exact(self) -> tuple[Finding, ...]:
        """The findings that rest on all episodes, batches or runs."""
        return tuple(it for it in self.findings if not isinstance(it, SampledFinding))

    @property
    def sampled(self) -> tuple[SampledFinding, ...]:
        """The findings that rest on drawn gradients."""
        return tuple(it for it in self.findings if isinstance(it, SampledFinding))

    @property
    def exit_status(self) -> int:
        """The exit status of the command line."""
        return VERDICT_STATUS[self.verdict]

    @property
    def is_timed(self) -> bool:
        """Whether a clock limits how much is drawn for it, so that a faster machine may draw more."""
        return self.sampling is not None and self.sampling.max_rollouts is None

    @property
    def deviations(self) -> tuple[str, ...]:
        """The ids of what is wrong and allowed, in order."""
        return tuple(dict.fromkeys(diagnosis.id for diagnosis in self.diagnosis if diagnosis.allowed))

    @property
    def mistakes(self) -> tuple[str, ...]:
        """The ids of what it fails for and is not allowed, in order; none where it does not fail."""
        ids = [diagnosis.id for diagnosis in self.diagnosis if not diagnosis.allowed]
        return tuple(dict.fromkeys(ids)) if self.verdict == "fail" else ()

    @property
    def leaves_a_rest(self) -> bool:
        """Whether it fails although all that has a name is allowed: the names do not explain all of the bias."""
        return self.verdict == "fail" and all(diagnosis.allowed for diagnosis in self.diagnosis)

    @property
    def worst(self) -> Finding | None:
        """The finding with the greatest relative bias; None without findings."""
        return max(self.findings, key=lambda finding: finding.severity, default=None)

    def is_off(self, finding: Finding) -> bool:
        """Whether an exact finding is one for which this fails."""
        return self.verdict == "fail" and not finding.is_right(self.tolerance, self.scale or 1.0)

    @property
    def checked(self) -> tuple[str, ...]:
        """The names of the models with a finding, in order."""
        return tuple(dict.fromkeys(finding.mdp.name for finding in self.findings))

    @property
    def unchecked(self) -> tuple[str, ...]:
        """The names of the models without any finding, in order."""
        return tuple(dict.fromkeys(skipped.model for skipped in self.skipped if skipped.model not in self.checked))

    @property
    def flat(self) -> tuple[str, ...]:
        """The names of the models on which ∇J is 0, sorted: sign, scale and discount do not show there."""
        return tuple(sorted({finding.mdp.name for finding in self.findings if finding.norm == 0}))

    @property
    def is_undiscounted(self) -> bool:
        """Whether γ = 1 on every model: mistakes in discounting do not show."""
        return all(finding.mdp.gamma == 1 for finding in self.findings)

    @property
    def variance_over_reward_to_go(self) -> float | None:
        """The greatest variance relative to `reward-to-go`, once divided by `scale`; None where it is not known.

        Where the behavior draws the episodes, relative to `per-decision`.
        """
        ratios = [finding.variance_over_reward_to_go for finding in self.findings]
        greatest = max((ratio for ratio in ratios if ratio is not None), default=None)
        return None if greatest is None else greatest / (self.scale or 1.0) ** 2

    @property
    def is_noisy(self) -> bool:
        """Whether the estimator is right by exact findings alone, but with a needlessly large variance."""
        if self.verdict != "pass" or self.sampled or self.deviations:
            return False
        ratio = self.variance_over_reward_to_go
        return ratio is not None and ratio > NOISY

    @property
    def scope(self) -> Scope:
        """What the exact findings cover, without larger batches."""
        mdps = [finding.mdp for finding in self.exact]
        rewards = [finding.mdp.reward for finding in self.exact if len(finding.mdp.reward)]
        return Scope(
            len({finding.mdp.name for finding in self.exact}),
            max((finding.longest for finding in self.exact), default=0),
            max((mdp.num_states for mdp in mdps), default=0),
            max((mdp.num_actions for mdp in mdps), default=0),
            min((float(reward.min()) for reward in rewards), default=0.0),
            max((float(reward.max()) for reward in rewards), default=0.0),
            tuple(sorted(Counter(finding.batch_size for finding in self.exact).items())),
            len({finding.mdp.name for finding in self.exact if np.count_nonzero(finding.mdp.start) > 1}),
        )

    @property
    def explanations(self) -> tuple[tuple[tuple[str, ...], str], ...]:
        """Each text of the diagnosis once, after the ids that it explains."""
        ids: dict[Diagnosis, tuple[str, ...]] = {}
        for diagnosis in self.diagnosis:
            without_id = replace(diagnosis, id="")
            ids[without_id] = (*ids.get(without_id, ()), diagnosis.id)
        return tuple((names, diagnosis.text) for diagnosis, names in ids.items())
