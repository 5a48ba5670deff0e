"""The evidence from drawn episodes, where they or their batches cannot all be listed."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from pgcheck.arrays import Floats
from pgcheck.estimators.base import Estimator
from pgcheck.estimators.contract import Contract
from pgcheck.trajectories.batch import Batch
from pgcheck.verification.calls import CoupledRowsError
from pgcheck.verification.drawn import Draw
from pgcheck.verification.evidence import BATCH_SIZES, ModelProgress, Unlisted
from pgcheck.verification.matching import Match
from pgcheck.verification.outputs import OfEstimator
from pgcheck.verification.sampled_finding import SampledFinding, gradient_of, sampled_finding
from pgcheck.verification.sampling import Sampling
from pgcheck.workers.executor import HERE, Executor


@dataclass(frozen=True)
class Announcement:
    """What is said before much is drawn.

    Attributes:
      model: the model's name.
      why: why not all is listed.
      rollouts: the most that are drawn; whole batches, where `batch_size` is more than 1.
      batch_size: B.
      seconds: that they take, about.
      of_agent: whether runs of an agent are drawn.
    """

    model: str
    why: str
    rollouts: int
    batch_size: int
    seconds: float
    of_agent: bool = False


Announce = Callable[[Announcement], None]


@dataclass(frozen=True, eq=False)
class Sampled:
    """A finding with what draws its episodes again, and some of the model's episodes."""

    finding: SampledFinding
    outputs: OfEstimator
    examples: Batch


def drawn_evidence(
    estimator: Estimator,
    contract: Contract,
    unlisted: Sequence[Unlisted],
    sampling: Sampling,
    rng: np.random.Generator,
    *,
    progress: ModelProgress | None = None,
    announce: Announce | None = None,
    executor: Executor = HERE,
) -> list[Sampled]:
    """Returns what drawn episodes show, for each model and batch size that cannot be listed.

    All findings together are as certain as it is asked for. The blocks of episodes are drawn by `executor`.

    Raises:
      EstimatorError: the estimator cannot be called, or returns no gradient.
      PrecisionError: too much of ∇J is lost to rounding.
    """
    shared = sampling.shared(sum(len(it.sizes) for it in unlisted))
    try:
        return [
            _sampled(estimator, contract, it, size, shared, rng, progress, announce, executor)
            for it in unlisted
            for size in it.sizes
        ]
    except CoupledRowsError:  # it is made for whole batches, on all models
        batches = [replace(it, sizes=BATCH_SIZES) for it in unlisted]
        contract = contract.coupled_rows()
        return drawn_evidence(
            estimator, contract, batches, sampling, rng, progress=progress, announce=announce, executor=executor
        )


def _sampled(
    estimator: Estimator,
    contract: Contract,
    it: Unlisted,
    size: int | None,
    sampling: Sampling,
    rng: np.random.Generator,
    progress: ModelProgress | None,
    announce: Announce | None,
    executor: Executor,
) -> Sampled:
    name, why = it.setting.mdp.name, it.skipped.why
    gradient = gradient_of(it.setting, sampling.tolerance / 10)
    outputs = OfEstimator(estimator, contract, it.setting, size, gradient, rng)

    def reach(rollouts: int, seconds: float) -> None:
        if announce is not None:
            announce(Announcement(name, why, rollouts, outputs.size, seconds))

    def told(words: str, fraction: float) -> None:
        if progress is not None:
            progress(f"{name}: {words}", fraction)

    finding = sampled_finding(outputs, it.examples, sampling, why, reach=reach, told=told, executor=executor)
    return Sampled(finding, outputs, it.examples)


def drawn_again(
    estimator: Estimator, contract: Contract, sampled: Sampled, match: Match, sampling: Sampling
) -> SampledFinding:
    """Returns what other episodes show, where the expectation is expected to be that of a known mistake.

    Its bias is then what the mistake does not account for, relative to ∇J.
    """
    finding, outputs = sampled.finding, sampled.outputs
    factor = 1.0 if match.scale is None else match.scale.factor(finding.circumstances)

    def expected(draw: Draw) -> Floats:
        return factor * draw.mean(match.candidate)

    again = OfEstimator(
        estimator, contract, finding.setting, None if outputs.is_each else outputs.size, outputs.gradient,
        outputs.drawn.other_rng(), expected,
    )  # fmt: skip
    return sampled_finding(again, sampled.examples, replace(sampling, up_to_scale=False), finding.why)
