"""Factors by which an expectation may differ from what it should be, and what each of them means.

A factor depends on the model and on the batch size alone: γ, the horizon, the mean length and B.
"""

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from pgcheck.estimators.mistakes.weights import public_id
from pgcheck.verification.causes import Diagnosis
from pgcheck.verification.findings import Circumstances, Finding

Factor = Callable[[Circumstances], float]


@dataclass(frozen=True, eq=False)
class Scale:
    """A factor by which an expectation differs from a candidate's.

    Attributes:
      diagnoses: what the factor means: one for each of the known factors that it is made of.
      factor: from a model and a batch size to the factor.
    """

    diagnoses: tuple[Diagnosis, ...]
    factor: Factor

    def factors(self, findings: Sequence[Finding]) -> tuple[float, ...]:
        """Returns the factor on each finding."""
        return tuple(self.factor(finding.circumstances) for finding in findings)

    def constant(self, findings: Sequence[Finding]) -> float | None:
        """Returns the factor where it is the same on every finding; else None."""
        factors = self.factors(findings)
        return factors[0] if factors and all(abs(it - factors[0]) <= 1e-9 * abs(it) for it in factors) else None

    def negated(self) -> "Scale":
        """Returns minus the factor."""
        return Scale((Diagnosis("sign", "sign/besides"), *self.diagnoses), lambda it: -self.factor(it))

    def times(self, other: "Scale") -> "Scale":
        """Returns the product of two factors."""
        return Scale((*self.diagnoses, *other.diagnoses), lambda it: self.factor(it) * other.factor(it))


MINUS = Scale((Diagnosis("sign", "sign"),), lambda it: -1.0)

_KNOWN: tuple[tuple[str, Factor], ...] = (
    ("scale/gamma", lambda it: it.gamma),
    ("scale/over-gamma", lambda it: 1 / it.gamma if it.gamma > 0 else 1.0),
    ("length-normalised/horizon", lambda it: 1 / it.horizon),
    ("length-normalised/mean-length", lambda it: 1 / it.mean_length if it.mean_length else 1.0),
    ("scale/horizon", lambda it: float(it.horizon)),
    ("scale/batch-baseline", lambda it: 1 - 1 / it.batch_size),
    ("scale/batch-sum", lambda it: float(it.batch_size)),
    ("scale/over-batch", lambda it: 1 / it.batch_size),
    ("scale/batch-over-others", lambda it: it.batch_size / (it.batch_size - 1) if it.batch_size > 1 else 1.0),
    ("scale/others", lambda it: it.batch_size - 1.0 if it.batch_size > 1 else 1.0),
    ("scale/over-others", lambda it: 1 / (it.batch_size - 1) if it.batch_size > 1 else 1.0),
    ("scale/broadcast", lambda it: 1 / it.batch_size if it.batch_size == it.horizon else 1.0),
)
_SINGLE = tuple(Scale((Diagnosis(public_id(cause), cause),), factor) for cause, factor in _KNOWN)
_PAIRS = tuple(one.times(other) for one, other in itertools.combinations(_SINGLE, 2))


def known_scales(findings: Sequence[Finding], *, products: bool = True) -> list[Scale]:
    """Returns factors that have a meaning, where they differ from 1; then the same with the sign wrong besides.

    Products of two of them come last, where they are not the same on all findings: a single factor explains those.
    """
    scales = [MINUS, *_SINGLE, *(scale.negated() for scale in _SINGLE)]
    if products:
        pairs = [scale for scale in _PAIRS if scale.constant(findings) is None]
        scales += [*pairs, *(scale.negated() for scale in pairs)]
    return [scale for scale in scales if any(abs(factor - 1) > 1e-9 for factor in scale.factors(findings))]


def varying_scales(findings: Sequence[Finding]) -> list[Scale]:
    """Returns the single factors that have a meaning and are not the same on all findings."""
    return [scale for scale in _SINGLE if scale.constant(findings) is None]


def common_scale(findings: Sequence[Finding]) -> float | None:
    """Returns the one factor by which all gradients are nearest to the expectations; None where all of them are 0."""
    above = math.fsum(float(np.sum(finding.expectation.mean * finding.gradient)) for finding in findings)
    below = math.fsum(float(np.sum(finding.gradient**2)) for finding in findings)
    return above / below if below > 0 else None


def free_scale(factor: float, cause: str) -> Scale:
    """Returns a factor without a meaning of its own, the same everywhere."""
    size = Scale((Diagnosis(public_id(cause), cause, (("factor", abs(factor)),)),), lambda it: abs(factor))
    return size.negated() if factor < 0 else size
