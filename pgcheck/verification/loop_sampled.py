"""The evidence on an agent by runs whose draws come out at random: for draws, or runs, that cannot all be listed."""

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from pgcheck.arrays import Floats
from pgcheck.errors import EstimatorError
from pgcheck.external.agent_source import AgentSource
from pgcheck.external.run import Variation
from pgcheck.external.sample import Sample
from pgcheck.formats.modelfile import Model
from pgcheck.model.linear import Linear
from pgcheck.model.linearised import Linearised
from pgcheck.model.mdp import MDP
from pgcheck.verification.batch_sums import BATCHES
from pgcheck.verification.exhaustive import Expectation
from pgcheck.verification.loop_evidence import LoopFinding, Runs
from pgcheck.verification.loop_outputs import KEPT, NotFiniteError, OfAgent, OtherwiseError, recorded_of
from pgcheck.verification.loop_parts import Site, drawn_runs
from pgcheck.verification.sampled_finding import SampledFinding, gradient_of
from pgcheck.verification.sampling import Looked, Reach, Sampling, Told, looked_until_decided
from pgcheck.verification.sequential import FIRST_LOOK, Look
from pgcheck.verification.setting import Setting
from pgcheck.workers.executor import HERE, Executor

TRIED_SECONDS = 0.2  # of runs by which it is found out how long they take


@dataclass(frozen=True, eq=False)
class SampledRuns(Runs):
    """Sampled runs, all equally likely, as if they were all runs.

    Attributes:
      batches: the mean gradient of each of 64 parts of them `[64, d]`.
    """

    batches: Floats = field(default_factory=lambda: np.zeros((BATCHES, 0)))


@dataclass(frozen=True, eq=False)
class SampledLoopFinding(LoopFinding, SampledFinding):
    """What sampled runs of an agent show on one model, beside the gradient.

    `runs.mean` and `runs.recorded` are of the first runs, of which everything is kept; their number and the shares
    are of all.

    Attributes:
      seed: of the runs.
      is_compared: whether each run was compared with what a right estimator makes of its episodes.
    """

    seed: int
    is_compared: bool


def sampled_loop_finding(
    source: AgentSource,
    model: Model,
    sampling: Sampling,
    why: str,
    *,
    seed: int = 0,
    seconds: float | None = None,
    max_rounding: float = math.inf,
    reach: Reach | None = None,
    told: Told | None = None,
    executor: Executor = HERE,
) -> SampledLoopFinding:
    """Returns what an agent's sampled runs show on one model.

    Args:
      source: the agent.
      model: the model.
      sampling: how many, and how certain.
      why: why they are sampled.
      seed: of all runs.
      seconds: about as long as runs are made, where `sampling` does not say how many; the first look comes anyway.
      max_rounding: the part of ∇J that may be lost to rounding.
      reach, told: as in `looked_until_decided`.
      executor: does the runs.

    Raises:
      EstimatorError: the agent cannot be made or run, or it computes no gradient.
    """
    mdp, features = model.mdp, model.policy.features if isinstance(model.policy, Linear) else None
    variation = Variation(features=features, sampled=True)
    beginning = source.begin(mdp, variation)
    policy = beginning.subject.policy
    site = Site.of(source, mdp, variation, policy)
    setting = Setting(mdp, policy)
    gradient = gradient_of(setting, max_rounding)
    if seconds is not None and sampling.max_rollouts is None:
        sampling = replace(sampling, max_rollouts=max(FIRST_LOOK, int(seconds / _seconds_of_run(source, seed))))

    def looked(*, plain: bool) -> tuple[OfAgent, Looked | None]:
        outputs = OfAgent(site, policy, gradient, seed, plain=plain)
        try:
            return outputs, looked_until_decided(
                outputs, gradient, sampling, reach=reach, told=told, executor=executor
            )
        except NotFiniteError:
            return outputs, None

    try:
        outputs, result = looked(plain=False)
    except OtherwiseError:
        outputs, result = looked(plain=True)
    if outputs.without == outputs.runs:
        raise EstimatorError(
            f"{source.name}: update() computed no gradient in any of {outputs.runs:,} runs: no optimizer of torch "
            "that holds a parameter of the policy made a step, nothing is left in .grad, and no gradient was returned"
        )
    n = outputs.runs
    runs = replace(
        runs_of(outputs.kept, mdp, policy), number=n, not_finite=outputs.not_finite / n, without=outputs.without / n,
        clipped=outputs.clipped / n,
    )  # fmt: skip
    look = _not_finite(outputs) if result is None else result.look
    std_error = np.full_like(gradient, np.nan) if result is None else result.sums.std_error
    mean = np.full_like(gradient, np.nan) if result is None else gradient + result.sums.mean
    expectation = Expectation(1, mean, runs.trace, policy.single)
    lengths = runs.recorded.lengths
    return SampledLoopFinding(
        setting, expectation, gradient, None, None, None, look, sampling.confidence, std_error, why,
        float(lengths.mean()) if len(lengths) else 0.0, beginning, runs, features, seed, outputs.is_compared,
    )  # fmt: skip


def varied_sample(
    source: AgentSource, finding: SampledLoopFinding, variation: Variation, mdp: MDP | None = None
) -> Runs:
    """Returns what the first runs show when they are made in another way, or with other rewards.

    Raises:
      EstimatorError: the agent cannot be run so.
    """
    mdp = mdp or finding.mdp
    variation = replace(variation, features=finding.features, sampled=True)
    policy = source.begin(mdp, variation).subject.policy
    samples = drawn_runs(Site.of(source, mdp, variation, policy), finding.seed, range(KEPT), HERE)
    return runs_of([*samples], mdp, policy)


def runs_of(samples: Sequence[Sample], mdp: MDP, policy: Linearised) -> SampledRuns:
    """Returns what runs show that are equally likely; their number is a multiple of 64."""
    gradients = np.concatenate([sample.gradients for sample in samples])
    n = len(gradients)
    recorded = recorded_of(mdp, policy, [number for it in samples for number in it.episodes], n)
    lost = float(np.isnan(gradients).any(axis=1).mean())
    without, clipped = (float(np.mean(np.concatenate(part))) for part in (
        [it.without for it in samples], [it.clipped for it in samples]
    ))  # fmt: skip
    mean = gradients.mean(axis=0)
    trace = float(gradients.var(axis=0).sum())
    batches = gradients.reshape(-1, BATCHES, gradients.shape[1]).mean(axis=0)
    return SampledRuns(mean, trace, n, lost, without, clipped, recorded, batches=batches)


def _not_finite(outputs: OfAgent) -> Look:
    """The look at runs some of which have a gradient that is not finite."""
    return Look(
        "fail", outputs.runs, 0.0, math.nan, math.nan, math.inf, math.nan, math.nan, None, True, True,
        float(outputs.runs), 0.0, None,
    )  # fmt: skip


def _seconds_of_run(source: AgentSource, seed: int) -> float:
    began = time.monotonic()
    runs = len(source.sample(seed, 0, FIRST_LOOK, TRIED_SECONDS))
    return (time.monotonic() - began) / runs
