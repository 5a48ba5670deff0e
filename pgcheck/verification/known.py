"""What drawn gradients are compared with: a combination of known estimators on the same episodes.

Σ_t w_t ∇log π(a_t|s_t) has the expectation ∇J for w_t = γ^t G_t, and 0 for weights that do not depend on a_t or what
follows it: the rewards before t, V(s_t), a constant. Any combination that has the expectation ∇J takes noise from the
drawn gradients and no bias. Which one takes most is found out on episodes that are used for nothing else.

Control variates: Glasserman (2003), Monte Carlo Methods in Financial Engineering, 4.1,
https://doi.org/10.1007/978-0-387-21617-1
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pgcheck.arrays import Floats
from pgcheck.errors import TooLargeError
from pgcheck.estimators.base import Weights
from pgcheck.estimators.mistakes.weights import Candidate
from pgcheck.estimators.off_policy import per_decision
from pgcheck.estimators.on_policy import reinforce, reward_to_go
from pgcheck.estimators.weights import all_steps, discounts, exact_critic, values
from pgcheck.trajectories.batch import Batch
from pgcheck.verification.drawn import Draw
from pgcheck.verification.setting import Setting

HELPS = 0.9  # times the squares that are left: what does not take so much away is left out
LIKELY = 1e-6  # within which a coefficient is taken for 0 or 1


@dataclass(frozen=True, eq=False)
class Known:
    """Estimates of each episode with the expectation ∇J: ∇J + c_0 (ĝ − ∇J) + Σ c_k z_k.

    Attributes:
      gradient: ∇J `[d]`.
      parts: the weights of ĝ, whose expectation is ∇J, then of those whose expectation is 0.
      coefficients: c of each.
    """

    gradient: Floats
    parts: tuple[Weights, ...]
    coefficients: tuple[float, ...]

    def __call__(self, draw: Draw) -> Floats:
        """Returns the mean estimate of each batch `[m, d]`."""
        rest = (1 - self.coefficients[0]) * self.gradient
        if not any(self.coefficients):
            return np.broadcast_to(rest, (len(draw.index), len(rest)))
        return draw.mean(Candidate(self._weights)) + rest

    def _weights(self, batch: Batch) -> Floats:
        used = [(c, part) for c, part in zip(self.coefficients, self.parts, strict=True) if c]
        return np.asarray(sum(c * part(batch) for c, part in used))


def parts_of(setting: Setting) -> tuple[Weights, ...]:
    """Returns the weights of the estimators that are combined: one that is right, and some with the expectation 0."""
    if setting.off_policy:
        return (per_decision,)
    parts: tuple[Weights, ...] = (reward_to_go, _past, _constant)
    try:
        exact_critic(setting.examples(1)).values(0)
    except TooLargeError:
        return parts[:2]
    return (*parts, _value)


def best_known(gradient: Floats, parts: Sequence[Weights], draw: Draw, drawn: Floats) -> Known:
    """Returns the combination that is nearest to some drawn gradients.

    Args:
      gradient: ∇J `[d]`.
      parts: as in `Known`.
      draw: some batches.
      drawn: their gradients `[m, d]`; they must not be used for anything else.
    """
    plain = (1.0, *(0.0 for _ in parts[1:]))
    columns = [draw.mean(Candidate(part)) for part in parts]
    columns[0] = columns[0] - gradient
    x = np.stack([column.ravel() for column in columns])
    y = (drawn - gradient).ravel()
    if not np.any(drawn) or not np.any(x[0]):  # the rewards are too rare for these few to tell
        return Known(gradient, tuple(parts), plain)
    products, with_y = x @ x.T, x @ y
    best, coefficients = float(y @ y), tuple(0.0 for _ in parts)
    for number in range(1, len(parts) + 1):
        for chosen in map(list, itertools.combinations(range(len(parts)), number)):
            fitted = np.linalg.lstsq(products[np.ix_(chosen, chosen)], with_y[chosen], rcond=None)[0]
            fitted = np.where(np.abs(fitted - np.rint(fitted)) <= LIKELY, np.rint(fitted), fitted)
            left = y - fitted @ x[chosen]
            if float(left @ left) < HELPS * best:
                best = float(left @ left)
                every = np.zeros(len(parts))
                every[chosen] = fitted
                coefficients = tuple(every.tolist())
    return Known(gradient, tuple(parts), coefficients)


def _past(batch: Batch) -> Floats:
    """w_t = Σ_{k<t} γ^k r_k."""
    return reinforce(batch) - reward_to_go(batch)


def _constant(batch: Batch) -> Floats:
    """w_t = 1."""
    return all_steps(batch, np.ones(len(batch)))


def _value(batch: Batch) -> Floats:
    """w_t = γ^t V_t(s_t)."""
    return discounts(batch) * values(batch)
