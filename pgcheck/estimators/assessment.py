"""One estimate beside the exact gradient, in units of its theory."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from pgcheck.arrays import Floats, brief_fields
from pgcheck.displayed import Plotted
from pgcheck.errors import TooLargeError, UsageError
from pgcheck.estimators.base import Estimator
from pgcheck.estimators.excess import law_of
from pgcheck.estimators.moments import FEW_PARAMETERS, MAX_MATRIX, Moments, predict
from pgcheck.estimators.on_policy import REINFORCE
from pgcheck.estimators.readings import Readings, two_readings
from pgcheck.estimators.sampled import Progress, SampledGradient, sample_gradient
from pgcheck.exact.gradient import Discrepancy, ExactGradient, gradient_beside_rollouts
from pgcheck.exact.layers import Layers, layers_of
from pgcheck.model.endless import cut
from pgcheck.model.mdp import MDP
from pgcheck.model.policy import Policy
from pgcheck.trajectories.likely import Trajectory, most_likely
from pgcheck.trajectories.sampling import streams
from pgcheck.workers.executor import HERE, Executor


@dataclass(frozen=True, eq=False)
class DrawnTrajectory:
    """A trajectory, n(τ) and n(τ)/N."""

    trajectory: Trajectory
    count: int
    frequency: float


@dataclass(frozen=True, eq=False)
class Assessment(Plotted):
    """An estimate of ∇J beside ∇J; what theory cannot tell is None.

    Attributes:
      mdp: the model.
      estimator: what made the estimate.
      exact: ∇J.
      sampled: the estimate ĝ.
      discrepancy: how far the two are apart.
      moments: the estimator's mean and covariance.
      expected_error: √E‖ĝ − ∇J‖².
      std_error: √(Σ_kk / N) `[d]`.
      z: the error of each component in standard errors; 0 where there is neither, None where only the latter is 0.
      bias: ‖bias‖, without its part that falls as 1/N; 0 where it is rounding or noise.
      relative_bias: the same over ‖∇J‖; None also where ∇J = 0.
      tail_probability: a bound on the probability that a user's estimate is this far from its expectation.
      chi2, degrees_of_freedom: N (ĝ − ∇J)ᵀ Σ⁺ (ĝ − ∇J), and rank Σ; None where all of Σ was not made.
      likely: the most likely trajectories, where they were asked for.
      distinct: how many distinct trajectories were drawn, in the same case.
      unweighted: the mean over these, each alike `[d]`, in the same case.
      unweighted_discrepancy: how far it is from ∇J.
      layers: ∇J by layer, where the policy is a network.
    """

    mdp: MDP
    estimator: Estimator
    exact: ExactGradient
    sampled: SampledGradient
    discrepancy: Discrepancy
    moments: Moments | None
    expected_error: float | None
    std_error: Floats | None
    z: tuple[float | None, ...]
    bias: float | None
    relative_bias: float | None
    chi2: float | None
    degrees_of_freedom: int | None
    tail_probability: float | None = None
    likely: tuple[DrawnTrajectory, ...] = ()
    distinct: int | None = None
    unweighted: Floats | None = None
    unweighted_discrepancy: Discrepancy | None = None
    layers: Layers | None = None

    __repr__ = brief_fields

    @property
    def error(self) -> Floats:
        """ĝ − ∇J `[d]`."""
        return self.sampled.estimate - self.exact.gradient

    @property
    def coverage(self) -> float:
        """The probability that the trajectories in `likely` have together."""
        return math.fsum(drawn.trajectory.probability for drawn in self.likely)


def assess(
    mdp: MDP,
    policy: Policy,
    n: int,
    rng: np.random.Generator,
    *,
    estimator: Estimator = REINFORCE,
    behavior: Policy | None = None,
    top: int | None = None,
    chi2: bool | None = None,
    progress: Progress | None = None,
    executor: Executor = HERE,
) -> Assessment:
    """Returns an estimate from n rollouts, the exact gradient, and what theory says of the distance.

    The estimate is that of the row of `converge` with the same n and `rng`.

    Args:
      mdp, policy: the problem, and where to differentiate.
      n: the number of rollouts.
      rng: the source of randomness; it is advanced once.
      estimator: makes the estimate.
      behavior: draws the rollouts of off-policy estimators.
      top: how many of the most likely trajectories are wanted, with how often each was drawn, and both readings of
        the mean; `reinforce` only. None for neither.
      chi2: whether χ² is wanted, which takes the whole covariance; None: where there are at most 200 parameters.
      progress: called with the fraction done, 0 to 1, from time to time.
      executor: does the parts that many rollouts are cut into.

    Raises:
      UsageError: n is out of range, an off-policy estimator lacks a behavior, or `top` is asked of another estimator.
      TooLargeError: the horizon is too long, or χ² is asked for and there are more than 2,000 parameters.
    """
    if top is not None and estimator.needs_paths:
        raise UsageError(f"--top shows how to read the mean of reinforce; leave out --estimator {estimator.name}")
    stream = streams(rng)
    mdp = cut(mdp, policy)
    exact = gradient_beside_rollouts(mdp, policy)
    full = len(policy.theta) <= FEW_PARAMETERS if chi2 is None else chi2
    if chi2 and len(policy.theta) > MAX_MATRIX:
        raise TooLargeError(f"{len(policy.theta):,} parameters; chi2 takes at most {MAX_MATRIX:,}. Leave out --chi2.")
    moments = predict(mdp, policy, estimator, stream(0, 0), behavior=behavior, full=full, progress=progress)(n)
    if top is None:
        sampled = sample_gradient(
            mdp, policy, n, stream(n, 0), estimator=estimator, behavior=behavior, progress=progress,
            executor=executor,
        )  # fmt: skip
        law = law_of(mdp, policy, estimator)
        tail = None if law is None else law.tail(sampled.estimate, n)
        return replace(_assessment(mdp, policy, estimator, exact, sampled, moments), tail_probability=tail)
    trajectories = most_likely(mdp, policy, top)
    readings = two_readings(mdp, policy, n, stream(n, 0), trajectories, progress=progress, executor=executor)
    return _assessment(mdp, policy, estimator, exact, readings.sampled, moments, trajectories, readings)


def _assessment(
    mdp: MDP,
    policy: Policy,
    estimator: Estimator,
    exact: ExactGradient,
    sampled: SampledGradient,
    moments: Moments | None,
    trajectories: Sequence[Trajectory] = (),
    readings: Readings | None = None,
) -> Assessment:
    n, gradient, estimate = sampled.n, exact.gradient, sampled.estimate
    std_error = None if moments is None else moments.std_error(n)
    chi2 = None if moments is None else moments.chi2(gradient, estimate, n)
    bias = None if moments is None else moments.bias_norm(gradient, rounding=exact.rounding)
    counts = () if readings is None else readings.counts.tolist()
    return Assessment(
        mdp, estimator, exact, sampled, exact.discrepancy(estimate), moments,
        expected_error=None if moments is None else moments.expected_error(gradient, n),
        std_error=std_error,
        z=_z(exact, estimate, std_error),
        bias=bias,
        relative_bias=exact.relative(bias),
        chi2=None if chi2 is None else chi2[0],
        degrees_of_freedom=None if chi2 is None else chi2[1],
        likely=tuple(DrawnTrajectory(t, count, count / n) for t, count in zip(trajectories, counts, strict=True)),
        distinct=None if readings is None else readings.distinct,
        unweighted=None if readings is None else readings.unweighted,
        unweighted_discrepancy=None if readings is None else exact.discrepancy(readings.unweighted),
        layers=layers_of(policy, gradient),
    )  # fmt: skip


def _z(exact: ExactGradient, estimate: Floats, std_error: Floats | None) -> tuple[float | None, ...]:
    """The error of each component in standard errors."""
    if std_error is None:
        return (None,) * len(estimate)
    error = estimate - exact.gradient
    nothing = np.abs(error) <= 1e-12 * exact.norm + exact.rounding
    return tuple(
        float(e / s) if s > 0 else (0.0 if none else None)
        for e, s, none in zip(error, std_error, nothing, strict=True)
    )
