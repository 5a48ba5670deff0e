"""Terms that people add to the gradient and that do not depend on rewards: their expectations on each model."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from pgcheck.arrays import Floats, norm_of
from pgcheck.estimators.mistakes.weights import Candidate, public_id
from pgcheck.estimators.weights import discounts
from pgcheck.trajectories.batch import Batch
from pgcheck.verification.causes import Diagnosis
from pgcheck.verification.findings import NOTHING, Enumeration, Finding


@dataclass(frozen=True)
class Term:
    """A term without any reward.

    Attributes:
      cause: the key of its text in `verification.causes.CAUSES`.
      mean: Σ P(τ) x(τ) over some episodes of a model, where a coefficient times x is added `[*theta.shape]`.
    """

    cause: str
    mean: Callable[[Enumeration], Floats]


@dataclass(frozen=True)
class FittedTerm:
    """A term with its coefficient.

    Attributes:
      term: the term.
      coefficient: what it is multiplied by.
    """

    term: Term
    coefficient: float

    @property
    def diagnosis(self) -> Diagnosis:
        """What is wrong."""
        return Diagnosis(public_id(self.term.cause), self.term.cause, (("coefficient", abs(self.coefficient)),))


def expected_entropy(factor: Callable[[Batch], Floats]) -> Callable[[Enumeration], Floats]:
    """Returns E[Σ_t c_t ∇H(π(·|s_t))], c_t given as an array that broadcasts to `[N, T]`."""

    def mean(enumeration: Enumeration) -> Floats:
        batch, policy = enumeration.batch, enumeration.policy
        weights = np.where(batch.mask, factor(batch), 0.0) * enumeration.prob[:, None]
        visits = np.bincount(batch.states.ravel(), weights.ravel(), minlength=batch.num_states)
        probs = policy.probs()
        plogp = probs * np.log(np.where(probs > 0, probs, 1.0))
        return batch.shaped(policy.pullback(-visits[:, None] * plogp))

    return mean


def _over_length(batch: Batch) -> Floats:
    """1/L `[N, 1]`."""
    return 1.0 / np.maximum(batch.lengths, 1)[:, None]


def _surprise_over_length(batch: Batch) -> Floats:
    """w_t = −log π(a_t|s_t) / L: an entropy as it is sampled."""
    return np.asarray(
        -np.log(np.where(batch.mask, batch.probs[batch.states, batch.actions], 1.0)) * _over_length(batch)
    )


def _sampled(enumeration: Enumeration) -> Floats:
    return Candidate(_surprise_over_length).mean(enumeration.batch, enumeration.prob)


# The first that fits is named. Without a division, an entropy that is sampled has the expectation of the exact one.
TERMS: tuple[Term, ...] = (
    Term("regulariser/entropy", expected_entropy(lambda batch: np.ones((1, 1)))),
    Term("regulariser/entropy-discounted", expected_entropy(discounts)),
    Term("regulariser/entropy-mean", expected_entropy(_over_length)),
    Term("regulariser/entropy-mean", _sampled),
    Term("regulariser/entropy-horizon", expected_entropy(lambda batch: np.full((1, 1), 1.0 / batch.horizon))),
    Term("regulariser/weight-decay", lambda it: -it.batch.theta * it.prob.sum()),
    Term("regulariser/constant", lambda it: np.ones(it.batch.theta.shape) * it.prob.sum()),
)


def term_means(findings: Sequence[Finding]) -> list[tuple[Term, list[Floats]]]:
    """Returns the expectation of each term on each finding's model."""
    return [(term, [finding.total(term.mean) for finding in findings]) for term in TERMS]


def fitting_term(
    means: Sequence[Floats],
    sizes: Sequence[float],
    terms: Sequence[tuple[Term, list[Floats]]],
    tolerance: float,
) -> FittedTerm | None:
    """Returns the term of which all of some expectations are one multiple; None where there is none, or where
    they are 0.

    Args:
      means: the expectations, one a finding.
      sizes: what differences are relative to, one a finding.
      terms: the terms with their own expectations, as of `term_means`.
      tolerance: the relative difference that counts as none.
    """
    if all(norm_of(mean) <= tolerance * size for mean, size in zip(means, sizes, strict=True)):
        return None
    flat = np.concatenate([mean.ravel() / size for mean, size in zip(means, sizes, strict=True)])
    for term, expected in terms:
        if any(size <= NOTHING < norm_of(own) for own, size in zip(expected, sizes, strict=True)):
            continue  # the expectation and the gradient are 0 there, and the term is not
        field = np.concatenate([mean.ravel() / size for mean, size in zip(expected, sizes, strict=True)])
        below = float(field @ field)
        coefficient = float(flat @ field) / below if below > 0 else 0.0
        if coefficient and all(
            norm_of(mean - coefficient * own) <= tolerance * size
            for mean, own, size in zip(means, expected, sizes, strict=True)
        ):
            return FittedTerm(term, coefficient)
    return None
