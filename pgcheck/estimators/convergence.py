"""The error of the estimate against the number of rollouts N, and the rate at which it falls."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import numpy as np

from pgcheck.arrays import Floats, brief_fields
from pgcheck.displayed import Displayed, drawn
from pgcheck.errors import UsageError
from pgcheck.estimators.base import Estimator
from pgcheck.estimators.catalogue import chosen
from pgcheck.estimators.excess import ALARM, law_of
from pgcheck.estimators.expected import Expected, expected_curve
from pgcheck.estimators.moments import FEW_PARAMETERS, Moments, Prediction, predict
from pgcheck.estimators.replicates import Replicates, estimates_of
from pgcheck.exact.gradient import ExactGradient, gradient_beside_rollouts
from pgcheck.model.endless import cut
from pgcheck.model.mdp import MDP
from pgcheck.model.policy import Policy
from pgcheck.trajectories.sampling import streams
from pgcheck.workers.executor import HERE, Executor

DECADES = (10, 100, 1_000, 10_000, 100_000, 1_000_000)
MONTE_CARLO = -0.5  # slope of log error against log N

# Two-sided 99 % points of Student's t by degrees of freedom: with a few rows the scatter itself is uncertain.
STUDENT_99 = {1: 63.7, 2: 9.92, 3: 5.84, 4: 4.60, 5: 4.03, 6: 3.71, 7: 3.50, 8: 3.36}

Rate = Literal[
    "stalls", "will-stall", "no-error", "one-n", "two-n", "monte-carlo", "within-scatter", "not-monte-carlo"
]


@dataclass(frozen=True)
class Row:
    """The error at one N.

    Attributes:
      n: the number of rollouts N.
      error: ‖ĝ_N − ∇J‖₂; over several replicates, its root mean square.
      relative_error: error / ‖∇J‖₂; None where ∇J = 0.
      cosine: between ĝ_N and ∇J, the mean over replicates; None where one of them is 0.
      expected: √E‖ĝ_N − ∇J‖², the error that theory predicts; None where it is not known.
    """

    n: int
    error: float
    relative_error: float | None
    cosine: float | None
    expected: float | None


@dataclass(frozen=True)
class Slope:
    """The straight line through log error against log N.

    Attributes:
      slope: −1/2 is the Monte Carlo rate; None with fewer than two different N, or where an error is 0.
      std_err: of the slope, from the scatter about the line; None with fewer than three N.
    """

    slope: float | None
    std_err: float | None


@dataclass(frozen=True, eq=False)
class Convergence(Displayed):
    """The error against N.

    Attributes:
      mdp: the model.
      estimator: whose error it is.
      exact: what the estimates are compared with.
      rows: one for each N.
      slope, std_err: of the line through log error against log N (`Slope`).
      replicates: how many independent estimates each row is made of.
      limit: what the estimator's moments become as N grows; None where they are not known.
      bias: ‖bias‖ as N grows; None where it is not known.
      unlikely: the first N with an estimate that is further from its expectation than chance allows, and the bound
        on the probability of that; None where there is none.
      expected: what theory expects of the error from the least N to the greatest; empty where it is not known.
    """

    mdp: MDP
    estimator: Estimator
    exact: ExactGradient
    rows: tuple[Row, ...]
    slope: float | None
    std_err: float | None
    replicates: int
    limit: Moments | None
    bias: float | None
    unlikely: tuple[int, float] | None = None
    expected: tuple[Expected, ...] = ()

    __repr__ = brief_fields

    def plot(self, *others: "Convergence") -> Any:
        """Returns the error against N as a picture, with that of other estimators on the same model beside it.

        Result and errors are those of `displayed.Plotted.plot`.
        """
        return drawn(self, *others)

    @property
    def relative_bias(self) -> float | None:
        """‖bias‖ / ‖∇J‖ as N grows; None where it is not known, or ∇J = 0."""
        return self.exact.relative(self.bias)

    @property
    def rate(self) -> Rate:
        """What the rows show of the rate.

        `stalls` or `will-stall` at a bias; `no-error` at any N; `one-n` draws no line, `two-n` give no scatter;
        else whether the slope is −1/2: within two standard errors, within the scatter (99 %), or not.
        """
        if self.bias is not None and self.bias > 0 and self.rows:
            return "stalls" if self.rows[-1].error <= 2 * self.bias else "will-stall"
        if self.rows and all(row.error == 0 for row in self.rows):
            return "no-error"
        if self.slope is None:
            return "one-n"
        if self.std_err is None:
            return "two-n"
        off = abs(self.slope - MONTE_CARLO)
        if off <= max(2 * self.std_err, 0.005):
            return "monte-carlo"
        scatter = STUDENT_99.get(len(self.rows) - 2, 3.2) * self.std_err
        return "within-scatter" if off <= scatter else "not-monte-carlo"


class Watch(Protocol):
    """Is told how `converge` gets on."""

    def begin(self, exact: ExactGradient) -> None:
        """The exact gradient is known; the first row is next."""

    def row(self, row: Row) -> None:
        """A row is done."""

    def progress(self, fraction: float) -> None:
        """How much of the next row is done, 0 to 1."""


def converge(
    mdp: MDP,
    policy: Policy,
    *,
    n: Sequence[int] = DECADES,
    replicates: int = 1,
    rng: np.random.Generator | None = None,
    estimator: Estimator | str = "reinforce",
    behavior: Policy | None = None,
    watch: Watch | None = None,
    executor: Executor = HERE,
    band: bool = True,
) -> Convergence:
    """Returns how the error of an estimate falls with N.

    E‖ĝ_N − ∇J‖² = tr Σ / N + ‖bias‖², so without a bias log error falls with slope −1/2 in log N.

    Args:
      mdp, policy: the problem, and where to differentiate.
      n: the numbers of rollouts, each 1 to 10^15.
      replicates: independent estimates for each N.
      rng: the source of randomness, advanced once; None is `default_rng(0)`. A row depends on it, on its
        own N and on the replicates' numbers only, not on the other rows.
      estimator: an estimator, or the name of a built-in one.
      behavior: draws the rollouts of off-policy estimators.
      watch: is told the rows as they are done.
      executor: does the parts: replicates, and those that many rollouts are cut into.
      band: whether `expected` has the band that a picture shows, which takes all of Σ.

    Raises:
      UsageError: a number of rollouts or replicates is out of range, or the estimator cannot be had.
      TooLargeError: the horizon is too long for backward induction, or for single rollouts.
    """
    if replicates < 1:
        raise UsageError(f"{replicates} replicates; expected at least 1")
    mdp = cut(mdp, policy)
    exact = gradient_beside_rollouts(mdp, policy)
    estimator = chosen(estimator)
    stream = streams(np.random.default_rng(0) if rng is None else rng)
    full = band and len(policy.theta) <= FEW_PARAMETERS
    prediction = predict(mdp, policy, estimator, stream(0, 0), behavior=behavior, full=full)
    if watch is not None:
        watch.begin(exact)
    law = law_of(mdp, policy, estimator)
    rows, unlikely = [], None
    for count in n:
        task = Replicates(mdp, policy, estimator, behavior, count, stream)
        estimates = list(estimates_of(task, replicates, executor, None if watch is None else watch.progress))
        rows.append(_row(exact, count, estimates, prediction))
        tail = 1.0 if law is None else min(law.tail(estimate, count) for estimate in estimates)
        if unlikely is None and tail * replicates < ALARM:
            unlikely = count, tail * replicates
        if watch is not None:
            watch.row(rows[-1])
    fit, limit = fit_slope(rows), prediction(None)
    bias = None if limit is None else limit.bias_norm(exact.gradient, rounding=exact.rounding)
    expected = expected_curve(prediction, exact.gradient, n, replicates, rounding=exact.rounding)
    return Convergence(
        mdp, estimator, exact, tuple(rows), fit.slope, fit.std_err, replicates, limit, bias, unlikely, expected
    )


def _row(exact: ExactGradient, n: int, estimates: Sequence[Floats], prediction: Prediction) -> Row:
    """The row of independent estimates from n rollouts."""
    discrepancies = [exact.discrepancy(estimate) for estimate in estimates]
    error = math.hypot(*(discrepancy.error for discrepancy in discrepancies)) / math.sqrt(len(discrepancies))
    cosines = [discrepancy.cosine for discrepancy in discrepancies if discrepancy.cosine is not None]
    moments = prediction(n)
    return Row(
        n,
        error,
        exact.relative(error),
        math.fsum(cosines) / len(cosines) if len(cosines) == len(discrepancies) else None,
        None if moments is None else moments.expected_error(exact.gradient, n),
    )


def fit_slope(rows: Sequence[Row]) -> Slope:
    """Returns the least-squares line through log error against log N."""
    if len({row.n for row in rows}) < 2 or any(row.error == 0 for row in rows):
        return Slope(None, None)
    x = np.log([row.n for row in rows])
    y = np.log([row.error for row in rows])
    x -= x.mean()
    slope = float(x @ y / (x @ x))
    if len(rows) < 3:
        return Slope(slope, None)
    scatter = y - y.mean() - slope * x
    return Slope(slope, math.sqrt(float(scatter @ scatter) / (len(rows) - 2) / float(x @ x)))
