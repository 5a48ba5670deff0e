"""What an estimator will do, before a rollout is drawn: its mean, its covariance, its expected error.

From N rollouts E‖ĝ_N − ∇J‖² = tr Σ / N + ‖E ĝ_N − ∇J‖², Σ the covariance of one rollout's estimate.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from pgcheck.arrays import Floats, brief_fields, norm_of
from pgcheck.errors import TooLargeError
from pgcheck.estimators.base import Estimator
from pgcheck.estimators.expectation import over_episodes, with_diagonal
from pgcheck.estimators.problem import Problem, RawMoments
from pgcheck.estimators.sampled import Progress, drawn_by
from pgcheck.estimators.tallies import tally
from pgcheck.model.endless import cut
from pgcheck.model.mdp import MDP
from pgcheck.model.policy import Policy
from pgcheck.trajectories.batch import Batch
from pgcheck.trajectories.counting import count_trajectories
from pgcheck.trajectories.paths import enumerated_paths, measured
from pgcheck.trajectories.sampling import Sampler

Origin = Literal["recursion", "enumeration", "sample"]

MAX_SUMMED = 10_000_000  # numbers in the gradients of all trajectories, where they are summed: half a second
MAX_KEPT = 10_000_000  # the same, where they are kept
PILOT = 10_000  # rollouts in a sample that stands in for exact moments
MIN_PILOT = 100
PILOT_NUMBERS = 20_000_000  # numbers in the gradients of such a sample
RESIDUE = 1e-13  # of the second moment: what rounding leaves of a variance that is 0
ROUNDED = 1e-9  # of the gradient: a bias below it is rounding
SIGNIFICANT = 4.0  # standard errors of a bias that is seen in a sample
MAX_MATRIX = 2_000  # parameters of which a whole covariance matrix is made
FEW_PARAMETERS = 200  # of which a whole covariance matrix costs little


@dataclass(frozen=True, eq=False)
class Moments:
    """The mean and covariance of an estimator.

    From N rollouts, E[ĝ_N] = mean + drift/N and Cov[ĝ_N] = Σ/N; for a mean of N estimates this is exact and the
    drift is 0, for a ratio of means it is the first order in 1/N.

    Attributes:
      mean: E[ĝ] `[d]`; as N grows without end, where it depends on N.
      variance: the diagonal of Σ `[d]`.
      evidence: where they come from: `recursion` and `enumeration` are exact, `sample` is an estimate.
      drift: `[d]`.
      matrix: all of Σ `[d, d]`, where it was asked for.
      rollouts: how many the sample has, where it is one.
    """

    mean: Floats
    variance: Floats
    evidence: Origin
    drift: Floats
    matrix: Floats | None = None
    rollouts: int | None = None

    __repr__ = brief_fields

    @property
    def trace(self) -> float:
        """tr Σ: N times the mean square of what is random in the error."""
        return math.fsum(self.variance)

    def std_error(self, n: int) -> Floats:
        """Returns √(Σ_kk / N) `[d]`."""
        return np.sqrt(self.variance / n)

    def bias(self, gradient: Floats, n: int | None = None) -> Floats:
        """Returns E[ĝ_N] − ∇J `[d]`; for no N, what remains of it as N grows."""
        return self.mean - gradient + (0.0 if n is None else self.drift / n)

    def bias_norm(self, gradient: Floats, n: int | None = None, *, rounding: float = 0.0) -> float:
        """Returns ‖E[ĝ_N] − ∇J‖, or 0 where it is nothing but rounding, or but the noise of a sample.

        This is the one place that decides whether an estimator is biased.

        Args:
          gradient: ∇J `[d]`.
          n: N; None for what remains of the bias as N grows.
          rounding: a bound on the error of `gradient` by rounding.
        """
        size = norm_of(self.bias(gradient, n))
        noise = ROUNDED * norm_of(gradient) + rounding
        if self.rollouts is not None:
            noise = max(noise, SIGNIFICANT * math.sqrt(self.trace / self.rollouts))
        return size if size > noise else 0.0

    def expected_error(self, gradient: Floats, n: int) -> float:
        """Returns √E‖ĝ_N − ∇J‖² = √(tr Σ / N + ‖bias‖²)."""
        squared = self.bias_norm(gradient, n) ** 2
        if self.rollouts is not None and squared > 0:
            squared -= self.trace / self.rollouts  # what the sample's own noise adds to it on average
        return math.sqrt(self.trace / n + squared)

    def chi2(self, gradient: Floats, estimate: Floats, n: int) -> tuple[float, int] | None:
        """Returns N (ĝ − ∇J)ᵀ Σ⁺ (ĝ − ∇J) and rank Σ; None without `matrix`.

        For an unbiased estimator and large N it follows χ² with so many degrees of freedom.
        """
        if self.matrix is None:
            return None
        size, directions = np.linalg.eigh(self.matrix)
        real = size > max(float(size.max(initial=0.0)), 0.0) * 1e-10
        along = directions[:, real].T @ (estimate - gradient)
        return float(n * np.sum(along**2 / size[real])), int(real.sum())


Prediction = Callable[[int | None], Moments | None]


def predict(
    mdp: MDP,
    policy: Policy,
    estimator: Estimator,
    rng: np.random.Generator,
    *,
    behavior: Policy | None = None,
    full: bool = False,
    progress: Progress | None = None,
) -> Prediction:
    """Returns a function from N (None: without end) to the moments of an estimator.

    They come from a recursion if there is one for this estimator, at any horizon; else from enumeration of
    all trajectories, where they can be listed; else from up to 10,000 rollouts. None is what cannot be known:
    the bias of `uniform-trajectories` where the trajectories cannot be listed, an estimator of whole batches, and
    what is too large even for 100 rollouts.

    Args:
      mdp, policy: the problem, and where to differentiate.
      estimator: a built-in estimator, or a user's.
      rng: for the sample, if it comes to that; else it is left alone.
      behavior: draws the rollouts of off-policy estimators.
      full: whether the whole matrix Σ is wanted; it is made for up to 2,000 parameters.
      progress: called with the fraction of a recursion that is done, 0 to 1, from time to time.

    Raises:
      UsageError: an off-policy estimator lacks a behavior.
      TooLargeError: an estimator's critic takes too much memory.
    """
    mdp = cut(mdp, policy)
    actor = drawn_by(mdp, policy, behavior, [estimator])
    problem = Problem(mdp, policy, actor, full and len(policy.theta) <= MAX_MATRIX, progress)
    if estimator.aggregation == "batch":
        return lambda n: None
    if not len(mdp.prob):  # no action anywhere
        nothing = _moments(RawMoments(np.zeros(0), np.zeros((0, 0))), "enumeration")
        return lambda n: nothing
    if estimator.aggregation == "distinct":
        return _of_distinct(problem, estimator) if _can_be_listed(problem, MAX_KEPT) else lambda n: None
    moments = _by_recursion(problem, estimator)
    if moments is None and estimator.aggregation == "mean" and _can_be_listed(problem, MAX_SUMMED):
        moments = _by_enumeration(problem, estimator)
    if moments is None and MIN_PILOT * max(len(policy.theta), mdp.horizon) <= PILOT_NUMBERS:
        moments = _by_sample(problem, estimator, rng)
    return lambda n: moments


def _moments(raw: RawMoments, evidence: Origin) -> Moments:
    """Moments about the mean, from those about 0."""
    mean, second = raw.mean, raw.second
    matrix = None if second.ndim == 1 else second - np.outer(mean, mean)
    squares = second if matrix is None else np.diag(second)
    variance = squares - mean**2 if matrix is None else np.diag(matrix).copy()
    silent = variance <= RESIDUE * squares
    variance[silent] = 0.0
    if matrix is not None:
        matrix[silent] = 0.0
        matrix[:, silent] = 0.0
    drift = np.zeros(len(mean)) if raw.drift is None else raw.drift
    return Moments(mean, variance, evidence, drift, matrix)


def _by_recursion(problem: Problem, estimator: Estimator) -> Moments | None:
    """The moments at any horizon, if there is a recursion for this estimator, and memory and time for it.

    The variances are the same to the last bit whether or not the whole of Σ is made.
    """
    try:
        raw = estimator.second_moments(problem)
        moments = None if raw is None else _moments(problem.at_theta(raw), "recursion")
        if moments is None or not problem.full:
            return moments
        diagonal = _by_recursion(replace(problem, full=False, progress=None), estimator)
        return moments if diagonal is None else replace(diagonal, matrix=moments.matrix)
    except TooLargeError:
        return None


def _can_be_listed(problem: Problem, limit: int) -> bool:
    """Whether the gradients of all trajectories have few enough numbers."""
    try:
        return count_trajectories(problem.mdp) * (len(problem.policy.theta) + problem.mdp.horizon) <= limit
    except TooLargeError:
        return False


def _by_enumeration(problem: Problem, estimator: Estimator) -> Moments:
    """Returns the moments of an estimator that is a mean, from its estimate of each trajectory."""
    sums = over_episodes(estimator.each, problem.mdp, problem.policy, problem.actor, full=problem.full)
    return _moments(RawMoments(sums.mean, sums.second), "enumeration")


class _PilotTally:
    """The gradient and the share of each rollout of a sample."""

    def __init__(self, estimator: Estimator) -> None:
        self.estimator = estimator
        self.gradients: list[Floats] = []
        self.shares: list[Floats] = []

    def add(self, batch: Batch, counts: Floats) -> None:
        rollouts = np.repeat(np.arange(len(batch)), counts.astype(np.int64))
        self.gradients.append(self.estimator.each(batch)[rollouts])
        self.shares.append(self.estimator.shares(batch, np.ones(len(batch)))[rollouts])


def _by_sample(problem: Problem, estimator: Estimator, rng: np.random.Generator) -> Moments:
    """Returns the moments of an estimator as a sample shows them; for a ratio, each rollout counts by its share."""
    mdp, policy = problem.mdp, problem.policy
    n = min(PILOT_NUMBERS // max(len(policy.theta), mdp.horizon), PILOT)
    pilot = _PilotTally(estimator)
    tally(Sampler(mdp, problem.actor, n, rng, paths=True, target=policy), policy, [pilot], distinct=False)
    gradients, weight = np.concatenate(pilot.gradients), np.concatenate(pilot.shares)
    weight *= n / weight.sum()
    mean = weight @ gradients / n
    spread = weight[:, None] * (gradients - mean)
    second = np.sum(spread**2, axis=0) / n
    if problem.full:
        second = with_diagonal(spread.T @ spread / n, second)
    centred = _moments(RawMoments(np.zeros(len(mean)), second), "sample")
    return Moments(mean, centred.variance, "sample", centred.drift, centred.matrix, n)


def _of_distinct(problem: Problem, estimator: Estimator) -> Prediction:
    """The moments of a mean over the distinct trajectories drawn, each alike.

    τ is among them with probability q = 1 − (1 − P)^N. To the first order, and as if trajectories came
    independently, the mean is Σ q g / Σ q and the covariance Σ q (1 − q) (g − mean)(g − mean)ᵀ / (Σ q)².
    """
    mdp, policy, actor = problem.mdp, problem.policy, problem.actor
    gradients: list[Floats] = []
    probability: list[Floats] = []
    for batch, prob, _ in measured(mdp, policy, enumerated_paths(mdp, actor), actor):
        gradients.append(estimator.each(batch))
        probability.append(prob)
    each, p = np.concatenate(gradients), np.concatenate(probability)

    def at(n: int | None) -> Moments:
        seen = np.ones(len(p)) if n is None else -np.expm1(n * np.log1p(-np.minimum(p, 1 - 1e-16)))
        mean = seen @ each / seen.sum()
        variance = (seen * (1 - seen)) @ (each - mean) ** 2 / seen.sum() ** 2
        return Moments(mean, variance * (n or 1), "enumeration", np.zeros(len(mean)))

    return at
