"""The check as an assertion, for a project's own tests.

from pgcheck.testing import assert_policy_gradient

def test_reinforce():
    assert_policy_gradient(my_project.reinforce)
"""

from collections.abc import Sequence

import numpy as np

from pgcheck.estimators.base import Estimate
from pgcheck.external.agents import AgentFunction
from pgcheck.report.verification import explanation, first_line
from pgcheck.verification.models import OneModel
from pgcheck.verification.sampling import CONFIDENCE
from pgcheck.verification.verdict import EvidenceKind, verify
from pgcheck.verification.verification import Verification


class GradientMismatch(AssertionError):  # noqa: N818
    """The expectation of an estimator is not ∇J; the first line says on which model, by how much, and why.

    Attributes:
      verification: the verdict with all its figures.
    """

    def __init__(self, verification: Verification) -> None:
        super().__init__("\n".join([first_line(verification), *explanation(verification)]))
        self.verification = verification


class GradientUndecided(AssertionError):  # noqa: N818
    """The check could not tell: a model was too large to list, or too few rollouts were drawn. Never a pass.

    Attributes:
      verification: what was found.
    """

    def __init__(self, verification: Verification) -> None:
        super().__init__("\n".join([first_line(verification), *explanation(verification)]))
        self.verification = verification


def assert_policy_gradient(
    estimate: Estimate | AgentFunction | str,
    *,
    models: Sequence[OneModel] | None = None,
    horizon: float | None = None,
    gamma: float | None = None,
    entropy: float | None = None,
    kl: float | None = None,
    off_policy: bool = False,
    same_start: bool = False,
    tolerance: float | None = None,
    up_to_scale: bool = False,
    allow: Sequence[str] = (),
    batch_sizes: Sequence[int] | None = None,
    evidence: EvidenceKind = "auto",
    confidence: float = CONFIDENCE,
    max_rollouts: int | None = None,
    rng: np.random.Generator | None = None,
) -> Verification:
    """Raises GradientMismatch unless the expectation of an estimator is ∇J; else returns the verification.

    It is exact where all episodes, batches or runs can be listed. Else some are drawn, and a pass says below what the
    bias is with which confidence: `verification.sampled` has the figures.

    Args:
      estimate: a function from a `pgcheck.Batch` to one gradient for each episode `[N, *theta.shape]`, or one for
        the whole batch `[*theta.shape]`; or an agent, see `pgcheck.agents`. It runs in this process.
      models: bundled names, paths, MDPs with their policies (and behaviors), or `Model`s; None is a battery of small
        bundled models.
      horizon, gamma, entropy, kl: override the models' own.
      off_policy: whether the model's behavior draws the episodes; ∇J stays that of the policy.
      same_start: whether the episodes of a batch share their first state.
      tolerance: the relative bias that passes; None is 1e-6, 1e-4 for single precision, and 5 % where episodes are
        drawn.
      up_to_scale: accept one positive factor that is the same on every model.
      allow: ids of deviations that are intended, like `dropped-gamma`: accepted where they explain all of the bias.
      batch_sizes: for estimators of whole batches; None is 2 and 3.

      evidence: `auto`, `exact`, or `sampled`: from drawn episodes.
      confidence: 1 − α of what drawn episodes decide.
      max_rollouts: draws at most so many; None is what takes about a minute.
      rng: draws them; None is `default_rng(0)`, so that a test decides the same each time.

    Raises:
      GradientMismatch: the verdict is `fail`.
      GradientUndecided: the verdict is `inconclusive`.
      EstimatorError: the estimator returned no gradient; with `evidence` exact, also where it returned different
        values for the same batch.
      UsageError: an id is unknown.
    """
    __tracebackhide__ = True
    verification = verify(
        estimate, models, horizon=horizon, gamma=gamma, entropy=entropy, kl=kl, off_policy=off_policy,
        same_start=same_start, tolerance=tolerance, up_to_scale=up_to_scale, allow=allow, batch_sizes=batch_sizes,
        evidence=evidence, confidence=confidence, max_rollouts=max_rollouts, rng=rng,
    )  # fmt: skip
    if verification.verdict == "inconclusive":
        raise GradientUndecided(verification)
    if verification.verdict == "fail":
        raise GradientMismatch(verification)
    return verification
