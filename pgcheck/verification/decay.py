"""Discounts that an estimator applies in place of γ: γλ, or a number of its own, read off its impulses."""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

import numpy as np

from pgcheck.arrays import Floats
from pgcheck.estimators.base import Weights
from pgcheck.estimators.mistakes.weights import Mistake, dropped_gamma, public_id, with_gamma_t
from pgcheck.trajectories.batch import Batch
from pgcheck.verification.explanation import Explanation
from pgcheck.verification.findings import Finding
from pgcheck.verification.matching import match_mistakes
from pgcheck.verification.probing import Prober


def match_decay(prober: Prober, findings: Sequence[Finding], *, has_critic: bool) -> Explanation | None:
    """Returns the discount that an estimator applies to later rewards; None where no other than γ explains it.

    Args:
      prober: knows the estimator's impulses.
      findings: what is to be explained: the expectations, without what is there without any reward.
      has_critic: whether something depends on the next states, so that λ may be 0.
    """
    factor, elsewhere = _decay(prober, prober.gamma), _decay(prober, 0.5 * prober.gamma)
    if factor is None or elsewhere is None:
        return None
    lam = factor / prober.gamma
    if abs(2 * elsewhere / prober.gamma - lam) <= prober.rounding and -prober.rounding <= lam < 1 - prober.rounding:
        if lam <= prober.rounding and not has_critic:
            return None  # each step is weighted by its own reward: a known mistake
        lam = max(lam, 0.0)
        weights: tuple[Weights, ...] = (lambda_returns(lam),)
        cause, figures = "bootstrap/lambda", (("lam", lam),)
    elif abs(elsewhere - factor) <= prober.rounding and prober.rounding < factor < 1 - prober.rounding:
        own = partial(dropped_gamma, gamma=factor)
        weights = (_discounted_by(factor, own), own)
        cause, figures = "discount-twice/constant", (("discount", factor),)
    else:
        return None
    name = public_id(cause)
    candidates = (
        *(Mistake(with_gamma_t(it), (name,), cause) for it in weights[-1:]),
        *(Mistake(it, (name,), cause) for it in weights[:-1]),
        Mistake(weights[-1], (name, "dropped-gamma"), cause, ("without-gamma-t",)),
    )
    named = match_mistakes(prober, findings, None, candidates)
    if named is None:
        return None
    diagnoses = (replace(it, figures=figures) if it.cause == cause else it for it in named.diagnoses)
    return replace(named, diagnoses=tuple(diagnoses))


def lambda_returns(lam: float) -> Weights:
    """Returns w_t = Σ_{k≥t} (γλ)^{k−t} r_k: the part of the λ-advantage that depends on rewards."""
    return lambda batch: dropped_gamma(batch, lam * batch.gamma)


def _discounted_by(factor: float, weights: Weights) -> Weights:
    """Returns factor^t w_t."""

    def discounted(batch: Batch) -> Floats:
        return np.asarray(factor ** np.arange(len(batch.outcomes)) * weights(batch))

    return discounted


def _decay(prober: Prober, gamma: float) -> float | None:
    """W[0, 1] / W[0, 0], where W[0] is a geometric series; else None."""
    matrix = prober.matrix_alone(gamma)
    if matrix is None or (size := float(np.abs(matrix.values).max())) == 0:
        return None
    row = matrix.values[0] / size
    if abs(row[0]) <= prober.rounding or np.max(np.abs(row[1:] * row[0] - row[:-1] * row[1])) > prober.rounding:
        return None
    return float(row[1] / row[0])
