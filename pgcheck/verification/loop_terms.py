"""What loops add to the policy's loss: an entropy bonus, weight decay, a value loss that shares a trunk."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pgcheck.arrays import Floats
from pgcheck.estimators.weights import discounts
from pgcheck.verification.causes import Diagnosis
from pgcheck.verification.loop_divisors import Divisor
from pgcheck.verification.loop_frame import Seen
from pgcheck.verification.loop_kinds import Advantages, Kind


@dataclass(frozen=True, eq=False)
class LoopTerm:
    """A term that a loop adds, without its coefficient.

    Attributes:
      cause, negative: the keys of its text for a positive and for a negative coefficient; None where it has none.
      means: its expectation on each model `[R]`.
    """

    cause: str
    negative: str | None
    means: tuple[Floats, ...]

    def diagnosis(self, coefficient: float) -> Diagnosis | None:
        """Returns what is wrong, with a coefficient; None where such a term is not known with its sign."""
        cause = self.cause if coefficient > 0 else self.negative
        return (
            None if cause is None else Diagnosis(cause.partition("/")[0], cause, (("coefficient", abs(coefficient)),))
        )


def entropy_term(seen: Sequence[Seen], divisor: Divisor, *, discounted: bool = False) -> LoopTerm:
    """Returns Σ_t ∇H(π(·|s_t)) over the steps of a run, divided as the policy's loss is."""
    means = []
    for it in seen:
        batch = it.recorded.batch
        weights: Floats = np.ones(batch.mask.shape)
        if discounted:
            weights = weights * discounts(batch)
        visits = it.of_states(weights, divisor)
        probs = it.policy.probs()
        plogp = probs * np.log(np.where(probs > 0, probs, 1.0))
        means.append(-(visits[:, None] * plogp).ravel() @ it.scores)
    cause = "regulariser/entropy-discounted" if discounted else "regulariser/entropy"
    return LoopTerm(cause, "sign/entropy", tuple(means))


def decay_term(seen: Sequence[Seen]) -> LoopTerm:
    """Returns −θ."""
    return LoopTerm("regulariser/weight-decay", None, tuple(-it.policy.theta @ it.directions for it in seen))


def value_loss_term(seen: Sequence[Seen], kind: Kind, divisor: Divisor) -> LoopTerm | None:
    """Returns −∇(R_t − V(s_t))² over the steps of a run, R_t the critic's target; None without a shared trunk."""
    if not isinstance(kind, Advantages) or not kind.has_critic:
        return None
    means = []
    for it in seen:
        if it.value_rows is None:
            return None
        means.append(2 * it.of_states(kind.plain(it), divisor) @ it.value_rows)
    return LoopTerm("value-loss", None, tuple(means))
