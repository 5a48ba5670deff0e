"""The error of the estimate against the number of rollouts."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from pgcheck.errors import UsageError
from pgcheck.estimators.base import Estimator
from pgcheck.estimators.catalogue import estimator as built_in
from pgcheck.estimators.moments import Moments, Prediction, predict
from pgcheck.estimators.sampled import sample_gradient
from pgcheck.exact.gradient import ExactGradient, Progress, exact_gradient
from pgcheck.model.mdp import MDP
from pgcheck.model.policy import Policy
from pgcheck.trajectories.sampling import streams

DECADES = (10, 100, 1_000, 10_000, 100_000, 1_000_000)


@dataclass(frozen=True)
class Row:
    """The error at one N.

    Attributes:
      n: the number of rollouts N.
      error: ‖ĝ_N − ∇J‖₂; over several replicates, its root mean square.
      relative_error: error / ‖∇J‖₂; None where ∇J = 0.
      cosine: between ĝ_N and ∇J, the mean over replicates; None where one of them is 0.
      expected: √E‖ĝ_N − ∇J‖², the error that theory foretells; None where it is not known.
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
class Convergence:
    """The error against N.

    Attributes:
      exact: what the estimates are compared with.
      rows: one for each N.
      slope, std_err: of the line through log error against log N (`Slope`).
      replicates: how many independent estimates each row is made of.
      limit: what the estimator's moments become as N grows; None where they are not known.
    """

    exact: ExactGradient
    rows: tuple[Row, ...]
    slope: float | None
    std_err: float | None
    replicates: int
    limit: Moments | None


def converge(
    mdp: MDP,
    policy: Policy,
    *,
    n: Sequence[int] = DECADES,
    replicates: int = 1,
    rng: np.random.Generator | None = None,
    estimator: Estimator | str = "reinforce",
    behavior: Policy | None = None,
) -> Convergence:
    """Returns how the error of an estimate falls with N.

    E‖ĝ_N − ∇J‖² = tr Σ / N + ‖bias‖², so without a bias log error falls with slope −1/2 in log N.

    Args:
      mdp, policy: the problem, and where to differentiate.
      n: the numbers of rollouts, each 1 to 10^15.
      replicates: independent estimates for each N.
      rng: the source of randomness, advanced once; None is `default_rng(0)`. A row depends on it, on its
        own N and on the replicates' numbers only, not on the other rows.
      estimator: a built-in estimator or its name.
      behavior: draws the rollouts of off-policy estimators.

    Raises:
      UsageError: a number of rollouts or replicates is out of range, or the estimator cannot be had.
      TooLargeError: the horizon is too long for backward induction, or for single rollouts.
    """
    exact = exact_gradient(mdp, policy, method="backward-induction")
    found = built_in(estimator) if isinstance(estimator, str) else estimator
    stream = streams(np.random.default_rng(0) if rng is None else rng)
    foretold = predict(mdp, policy, found, stream(0, 0), behavior=behavior)
    rows = tuple(
        error_rows(mdp, policy, exact, n, replicates, stream, estimator=found, behavior=behavior, foretold=foretold)
    )
    fit = fit_slope(rows)
    return Convergence(exact, rows, fit.slope, fit.std_err, replicates, foretold(None))


def error_rows(
    mdp: MDP,
    policy: Policy,
    exact: ExactGradient,
    n: Sequence[int],
    replicates: int,
    stream: Callable[..., np.random.Generator],
    *,
    estimator: Estimator,
    behavior: Policy | None,
    foretold: Prediction,
    progress: Progress | None = None,
) -> Iterator[Row]:
    """Yields the rows of `converge` as they are done; `stream` gives the randomness of (N, replicate)."""
    if replicates < 1:
        raise UsageError(f"{replicates} replicates; expected at least 1")
    for count in n:
        errors: list[float] = []
        cosines: list[float] = []
        for replicate in range(replicates):
            within = None if progress is None else _part(progress, replicate, replicates)
            sampled = sample_gradient(
                mdp, policy, count, stream(count, replicate), estimator=estimator, behavior=behavior, progress=within
            )
            off = exact.discrepancy(sampled.estimate)
            errors.append(off.error)
            if off.cosine is not None:
                cosines.append(off.cosine)
        error = math.hypot(*errors) / math.sqrt(replicates)
        norm = exact.norm
        moments = foretold(count)
        yield Row(
            count,
            error,
            error / norm if norm > 0 else None,
            math.fsum(cosines) / len(cosines) if len(cosines) == replicates else None,
            None if moments is None else moments.expected_error(exact.gradient, count),
        )


def _part(progress: Progress, done: int, parts: int) -> Progress:
    """Reports the progress of one of several equal parts."""
    return lambda fraction: progress((done + fraction) / parts)


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
