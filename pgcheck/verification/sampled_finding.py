"""What drawn gradients show of an estimator on one model."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from pgcheck.arrays import Floats
from pgcheck.exact.gradient import exact_gradient
from pgcheck.trajectories.batch import Batch
from pgcheck.verification.exhaustive import Expectation
from pgcheck.verification.findings import Circumstances, Finding
from pgcheck.verification.outputs import OfEstimator
from pgcheck.verification.sampling import Reach, Sampling, Told, looked_until_decided
from pgcheck.verification.sequential import Look
from pgcheck.verification.setting import Setting
from pgcheck.workers.executor import HERE, Executor


@dataclass(frozen=True, eq=False)
class SampledFinding(Finding):
    """The mean of drawn gradients on one model, for one batch size, beside the gradient.

    `expectation` is ∇J and the mean error of what was drawn. The estimate of the bias has no bias of its own but
    that it is never below 0.

    Attributes:
      look: what the rollouts decide; where whole batches are drawn, each counts as one.
      confidence: with which the bias is below the bound.
      std_error: the standard error of each component of the mean, in the shape of theta.
      why: why not all could be listed.
      mean_length: of the episodes that were drawn.
    """

    look: Look
    confidence: float
    std_error: Floats
    why: str
    mean_length: float

    @property
    def bias(self) -> float:
        """The estimate of ‖E[ĝ] − ∇J‖."""
        return self.look.bias * (self.norm or 1.0)

    @property
    def longest(self) -> int:
        """The horizon."""
        return self.mdp.horizon

    @cached_property
    def circumstances(self) -> Circumstances:
        """What factors depend on."""
        return Circumstances(self.mdp.gamma, self.mdp.horizon, self.mean_length, self.batch_size)

    @property
    def std_error_vector(self) -> Floats:
        """The standard errors in the order of the parameters `[d]`."""
        return self._in_order(self.std_error)

    def is_right(self, tolerance: float, scale: float = 1.0) -> bool:
        """Whether the bias is known to be small enough."""
        return self.look.decision == "pass"


def sampled_finding(
    outputs: OfEstimator,
    examples: Batch,
    sampling: Sampling,
    why: str,
    *,
    reach: Reach | None = None,
    told: Told | None = None,
    executor: Executor = HERE,
) -> SampledFinding:
    """Returns what an estimator's drawn gradients show.

    Args:
      outputs: draws them.
      examples: some episodes of the model, which know the shape of theta.
      sampling: how many, and how certain.
      why: why they are drawn.
      reach, told, executor: as in `looked_until_decided`.

    Raises:
      EstimatorError, CoupledRowsError: as in `OfEstimator`.
    """
    gradient = outputs.gradient
    looked = looked_until_decided(
        outputs, gradient, sampling, is_due_right=outputs.is_due_right, reach=reach, told=told, executor=executor
    )
    sums = looked.sums
    mean = gradient + sums.mean  # what is due, and the error
    spread = max(0.0, sums.gradients.squares / sums.rollouts - float(mean @ mean))
    expectation = Expectation(outputs.size, examples.shaped(mean), outputs.size * spread, outputs.single)
    return SampledFinding(
        outputs.drawn.setting, expectation, examples.shaped(gradient), None, None, None,
        looked.look, sampling.confidence, examples.shaped(sums.std_error), why, outputs.mean_length,
    )  # fmt: skip


def gradient_of(setting: Setting, max_rounding: float) -> Floats:
    """Returns ∇J `[d]`; all 0 where nothing but rounding is left of it.

    Raises:
      PrecisionError: more than that part of it may be lost to rounding.
    """
    truth = exact_gradient(
        setting.mdp, setting.policy, method="backward-induction", max_relative_rounding=max_rounding
    )
    return np.zeros(len(setting.policy.theta)) if truth.is_zero else truth.gradient
