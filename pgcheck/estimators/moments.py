"""What an estimator will do, before a rollout is drawn: its mean, its covariance, its expected error."""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from pgcheck.arrays import Floats
from pgcheck.errors import TooLargeError
from pgcheck.estimators.base import Estimator
from pgcheck.estimators.catalogue import reinforce as plain
from pgcheck.estimators.recursions import RECURSIONS, Setting, weighted_importance_sampling
from pgcheck.estimators.sampled import drawn_by
from pgcheck.estimators.weights import whole_ratio
from pgcheck.model.mdp import MDP
from pgcheck.model.policy import Policy
from pgcheck.trajectories.counting import count_trajectories
from pgcheck.trajectories.paths import enumerated_paths, measured, sampled_paths
from pgcheck.trajectories.sampling import Sampler

Evidence = Literal["recursion", "enumeration", "sample"]

MAX_LISTED = 50_000_000  # numbers in the gradients of all trajectories, where they are enumerated: some seconds
MAX_HELD = 10_000_000  # the same, where they are kept
PILOT = 10_000  # rollouts in a sample that stands in for exact moments
MIN_PILOT = 100
PILOT_NUMBERS = 20_000_000  # numbers in their gradients
NOISE = 1e-13  # of the second moment: what is left of a variance of 0 after rounding
SIGNIFICANT = 4.0  # standard errors of a bias that is seen in a sample
MAX_MATRIX = 300  # parameters of which a whole covariance matrix is made


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
    evidence: Evidence
    drift: Floats
    matrix: Floats | None = None
    rollouts: int | None = None

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

    def expected_error(self, gradient: Floats, n: int) -> float:
        """Returns √E‖ĝ_N − ∇J‖² = √(tr Σ / N + ‖bias‖²)."""
        bias = math.fsum(self.bias(gradient, n) ** 2)
        if self.evidence == "sample" and self.rollouts:
            # What looks like a bias in a sample may be its own error: only what is clearly more counts.
            noise = self.trace / self.rollouts
            bias = bias - noise if bias > SIGNIFICANT**2 * noise else 0.0
        return math.sqrt(self.trace / n + bias)

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
) -> Prediction:
    """Returns a function from N (None: without end) to the moments of an estimator.

    They come from a recursion if there is one for this estimator, at any horizon; else from enumeration of
    all trajectories, where they can be listed; else from up to 10,000 rollouts. None is what cannot be known:
    the bias of `uniform-trajectories` where the trajectories cannot be listed, an estimator of whole batches, and
    what is too large even for 100 rollouts.

    Args:
      mdp, policy: the problem, and where to differentiate.
      estimator: a built-in estimator, or somebody's.
      rng: for the sample, if it comes to that; else it is left alone.
      behavior: draws the rollouts of off-policy estimators.
      full: whether the whole matrix Σ is wanted; it is made for up to 300 parameters.

    Raises:
      UsageError: an off-policy estimator lacks a behavior.
      TooLargeError: an estimator's critic takes too much memory.
    """
    actor = drawn_by(mdp, policy, behavior, [estimator])
    full = full and len(policy.theta) <= MAX_MATRIX
    if estimator.whole is not None:
        return lambda n: None
    if not len(mdp.prob):  # no action anywhere
        nothing = _moments(np.zeros(0), np.zeros((0, 0)), "enumeration")
        return lambda n: nothing
    if estimator.once:
        return _distinct(mdp, policy, estimator) if _can_be_listed(mdp, policy, MAX_HELD) else lambda n: None
    found = _by_recursion(mdp, policy, actor, estimator, full)
    if found is None and estimator.is_mean and _can_be_listed(mdp, policy):
        found = _by_enumeration(mdp, policy, actor, estimator, full)
    if found is None and MIN_PILOT * max(len(policy.theta), mdp.horizon) <= PILOT_NUMBERS:
        found = _by_sample(mdp, policy, actor, estimator, full, rng)
    return lambda n: found


def _moments(mean: Floats, second: Floats, evidence: Evidence, rollouts: int | None = None) -> Moments:
    """Moments from E[ĝ] and E[ĝ ĝᵀ], or its diagonal."""
    if second.ndim == 1:
        matrix, variance = None, second - mean**2
        squares = second
    else:
        matrix = second - np.outer(mean, mean)
        variance, squares = np.diag(matrix).copy(), np.diag(second)
    silent = variance <= NOISE * squares
    variance[silent] = 0.0
    if matrix is not None:
        matrix[silent] = 0.0
        matrix[:, silent] = 0.0
    return Moments(mean, variance, evidence, np.zeros(len(mean)), matrix, rollouts)


def _by_recursion(mdp: MDP, policy: Policy, actor: Policy, estimator: Estimator, full: bool) -> Moments | None:
    """The moments at any horizon, if there is a recursion for this estimator, and memory and time for it."""
    setting = Setting(mdp, policy, actor, estimator, full)
    try:
        function = getattr(estimator.weights, "func", estimator.weights)  # of a partial, what it is made from
        if estimator.is_mean and function in RECURSIONS:
            return _moments(*RECURSIONS[function](setting), "recursion")
        if estimator.share is whole_ratio and function is plain:
            mean, second, drift = weighted_importance_sampling(setting)
            return replace(_moments(mean, second, "recursion"), drift=drift)
    except TooLargeError:
        pass
    return None


def _can_be_listed(mdp: MDP, policy: Policy, limit: int = MAX_LISTED) -> bool:
    """Whether the gradients of all trajectories have few enough numbers."""
    try:
        return count_trajectories(mdp) * (len(policy.theta) + mdp.horizon) <= limit
    except TooLargeError:
        return False


def _by_enumeration(mdp: MDP, policy: Policy, actor: Policy, estimator: Estimator, full: bool) -> Moments:
    """Σ P ĝ and Σ P ĝ ĝᵀ over all trajectories, ĝ by the estimator itself; for one that is a mean of such."""
    mean, second = np.zeros(len(policy.theta)), np.zeros((len(policy.theta),) * (2 if full else 1))
    for batch, prob, _ in measured(mdp, policy, enumerated_paths(mdp, actor), actor):
        each = estimator.each(batch)
        mean += prob @ each
        second += each.T @ (prob[:, None] * each) if full else prob @ each**2
    return _moments(mean, second, "enumeration")


def _by_sample(
    mdp: MDP, policy: Policy, actor: Policy, estimator: Estimator, full: bool, rng: np.random.Generator
) -> Moments:
    """The same from some rollouts; for a ratio, each counts by its share."""
    n = min(PILOT_NUMBERS // max(len(policy.theta), mdp.horizon), PILOT)
    sampler = Sampler(mdp, actor, n, rng, paths=True)
    each, share = [], []
    for batch, counts, _ in measured(mdp, policy, sampled_paths(sampler, distinct=False), actor):
        repeated = np.repeat(np.arange(len(batch)), counts.astype(np.int64))
        each.append(estimator.each(batch)[repeated])
        share.append(estimator.shares(batch, np.ones(len(batch)))[repeated])
    gradients, weight = np.concatenate(each), np.concatenate(share)
    weight *= n / weight.sum()
    mean = weight @ gradients / n
    spread = weight[:, None] * (gradients - mean)
    second = spread.T @ spread / n if full else np.sum(spread**2, axis=0) / n
    found = _moments(np.zeros(len(mean)), second, "sample", n)
    return Moments(mean, found.variance, "sample", np.zeros(len(mean)), found.matrix, n)


def _distinct(mdp: MDP, policy: Policy, estimator: Estimator) -> Prediction:
    """The moments of a mean over the distinct trajectories drawn, each alike.

    τ is among them with probability q = 1 − (1 − P)^N. To the first order, and as if trajectories came
    independently, the mean is Σ q g / Σ q and the covariance Σ q (1 − q) (g − mean)(g − mean)ᵀ / (Σ q)².
    """
    each: list[Floats] = []
    probability: list[Floats] = []
    for batch, prob, _ in measured(mdp, policy, enumerated_paths(mdp, policy), policy):
        each.append(estimator.each(batch))
        probability.append(prob)
    gradients, p = np.concatenate(each), np.concatenate(probability)

    def at(n: int | None) -> Moments:
        seen = np.ones(len(p)) if n is None else -np.expm1(n * np.log1p(-np.minimum(p, 1 - 1e-16)))
        mean = seen @ gradients / seen.sum()
        variance = (seen * (1 - seen)) @ (gradients - mean) ** 2 / seen.sum() ** 2
        return Moments(mean, variance * (n or 1), "enumeration", np.zeros(len(mean)))

    return at
