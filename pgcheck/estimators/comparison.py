"""Estimators side by side: how good each of them is, and how many rollouts it needs."""

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from pgcheck.displayed import Plotted
from pgcheck.errors import TooLargeError, UsageError
from pgcheck.estimators.base import Estimator
from pgcheck.estimators.sampled import Progress, SampledGradient, sample_gradients
from pgcheck.estimators.standings import Standing, Standings, standings_of
from pgcheck.exact.gradient import ExactGradient, gradient_beside_rollouts
from pgcheck.model.endless import cut
from pgcheck.model.mdp import MDP
from pgcheck.model.policy import Policy
from pgcheck.trajectories.sampling import Streams, streams
from pgcheck.workers.executor import HERE, Executor


@dataclass(frozen=True, eq=False)
class Comparison(Plotted):
    """Estimators side by side.

    Attributes:
      mdp: the model.
      exact: what they estimate.
      standings: one for each estimator.
      left_out: estimators that need a behavior, which the model does not have.
      accuracy: of a plan: the expected error that is wanted, over ‖∇J‖; None for a comparison at equal N.
    """

    mdp: MDP
    exact: ExactGradient
    standings: tuple[Standing, ...]
    left_out: tuple[Estimator, ...]
    accuracy: float | None = None


def plan(
    mdp: MDP,
    policy: Policy,
    estimators: Sequence[Estimator],
    accuracy: float,
    rng: np.random.Generator,
    *,
    behavior: Policy | None = None,
    leave_out: bool = False,
    progress: Progress | None = None,
    executor: Executor = HERE,
) -> Comparison:
    """Returns how many rollouts each estimator needs for √E‖ĝ_N − ∇J‖² ≤ accuracy · ‖∇J‖, the cheapest first.

    Without a bias that is N = tr Σ / (accuracy² ‖∇J‖²).

    Args:
      mdp, policy: the problem, and where to differentiate.
      estimators: which.
      accuracy: the relative error that is wanted.
      rng: for moments that must be sampled; it is advanced.
      behavior: draws the rollouts of off-policy estimators.
      leave_out: whether off-policy estimators are left out where there is no behavior, instead of refused.
      progress: called with the fraction done, 0 to 1, from time to time.
      executor: does the parts: each estimator, and the rollouts.

    Raises:
      UsageError: the gradient is 0, so that no error is relative to it; or an off-policy estimator lacks a behavior.
    """
    mdp = cut(mdp, policy)
    exact = gradient_beside_rollouts(mdp, policy)
    usable, left_out = _usable(estimators, behavior, leave_out)
    if exact.is_zero:
        raise UsageError(f"{mdp.name}: the gradient is 0, so a relative accuracy is undefined")
    task = Standings(mdp, policy, behavior, exact, tuple(usable), streams(rng), None, accuracy * exact.norm)
    standings = standings_of(task, executor, progress)
    standings.sort(key=lambda standing: (standing.n is None, standing.n or 0))
    return Comparison(mdp, exact, tuple(standings), left_out, accuracy)


def compare(
    mdp: MDP,
    policy: Policy,
    estimators: Sequence[Estimator],
    n: int,
    rng: np.random.Generator,
    *,
    behavior: Policy | None = None,
    leave_out: bool = False,
    progress: Progress | None = None,
    executor: Executor = HERE,
) -> Comparison:
    """Returns each estimator's expected error with n rollouts beside the measured one; arguments as in `plan`.

    Estimators whose rollouts come from the same policy get the same rollouts.
    """
    mdp = cut(mdp, policy)
    exact = gradient_beside_rollouts(mdp, policy)
    usable, left_out = _usable(estimators, behavior, leave_out)
    stream = streams(rng)
    errors: dict[Estimator, float] = {}
    for off_policy in (False, True):
        alike = [estimator for estimator in usable if estimator.off_policy == off_policy]
        for estimator, sampled in _sampled(mdp, policy, alike, n, stream, behavior, progress, executor):
            errors[estimator] = exact.discrepancy(sampled.estimate).error
    standings = standings_of(Standings(mdp, policy, behavior, exact, tuple(usable), stream, n), executor, progress)
    standings = [replace(standing, error=errors.get(standing.estimator)) for standing in standings]
    return Comparison(mdp, exact, tuple(standings), left_out)


def _usable(
    estimators: Sequence[Estimator], behavior: Policy | None, leave_out: bool
) -> tuple[list[Estimator], tuple[Estimator, ...]]:
    """The estimators that can run on this model, and those that are left out: off-policy ones need a behavior."""
    left_out = tuple(e for e in estimators if leave_out and behavior is None and e.off_policy)
    return [estimator for estimator in estimators if estimator not in left_out], left_out


def _sampled(
    mdp: MDP,
    policy: Policy,
    estimators: Sequence[Estimator],
    n: int,
    stream: Streams,
    behavior: Policy | None,
    progress: Progress | None,
    executor: Executor,
) -> list[tuple[Estimator, SampledGradient]]:
    """The estimates from the same rollouts, without those of estimators that the model is too large for."""

    def drawn(group: Sequence[Estimator]) -> list[SampledGradient]:
        return sample_gradients(
            mdp, policy, n, stream(n, 0), group, behavior=behavior, progress=progress, executor=executor
        )

    if not estimators:
        return []
    try:
        return list(zip(estimators, drawn(estimators), strict=True))
    except TooLargeError:
        estimates = []
        for estimator in estimators:
            with contextlib.suppress(TooLargeError):
                estimates.append((estimator, drawn([estimator])[0]))
        return estimates
