"""After an exact pass: what longer episodes, other rewards and larger batches show."""

from collections.abc import Sequence

import numpy as np

from pgcheck.estimators.base import Estimator
from pgcheck.estimators.contract import Contract
from pgcheck.verification.causes import Diagnosis
from pgcheck.verification.findings import Finding
from pgcheck.verification.probing import CHAIN_GAMMA, Prober
from pgcheck.verification.stretch import Stretched, stretched

SEED = 0  # of the drawn episodes: the same verdict every time


def stretch(
    estimator: Estimator, contract: Contract, findings: Sequence[Finding], scale: float = 1.0
) -> tuple[Stretched, ...]:
    """Returns what larger batches show, on the first model with a gradient: their size matters, not the model.

    Args:
      estimator, contract: the estimator.
      findings: its expectations, all of them right.
      scale: the factor by which they are multiples of the gradient.
    """
    finding = next((finding for finding in findings if finding.norm > 0), None)
    if finding is None:
        return ()
    rng, gradient = np.random.default_rng(SEED), scale * finding.gradient
    return tuple(stretched(estimator, contract, finding.setting, gradient, rng, scale=scale))


def explain_stretch(results: Sequence[Stretched]) -> list[Diagnosis]:
    """Returns what is wrong with larger batches; a warning where an estimator raised an error."""
    for result in results:
        size = ("size", result.batch_size)
        if result.outcome == "wrong" and result.counted is not None:
            return [Diagnosis("batch-size", "batch-size/first-episodes", (size, ("counted", result.counted)))]
        if result.outcome == "wrong" and result.factor is not None:
            return [Diagnosis("batch-size", "batch-size/factor", (size, ("factor", result.factor)))]
        if result.outcome == "raised":
            return [Diagnosis("batch-size", "batch-size/raised", (size,))]
    return []


def counts_past_rewards(prober: Prober, gamma: float) -> bool | None:
    """Whether rewards before a step count in its weight; None where it cannot be found out."""
    matrix = prober.matrix(gamma)
    if matrix is None:
        return None
    below = np.abs(np.tril(matrix.values, -1))
    return bool(np.any(below > prober.rounding * max(1.0, float(np.abs(matrix.values).max()))))


def gamma_of_chains(findings: Sequence[Finding]) -> float:
    """Returns the γ of chains like the models: that of the first with a discount, or 1 where none has one."""
    gammas = [finding.mdp.gamma for finding in findings if finding.mdp.gamma > 0]
    return next((gamma for gamma in gammas if gamma < 1), 1.0 if gammas else CHAIN_GAMMA)
