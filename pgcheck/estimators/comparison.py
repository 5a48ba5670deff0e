"""Estimators side by side: how good each of them is, and how many rollouts it needs."""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from pgcheck.errors import TooLargeError, UsageError
from pgcheck.estimators.base import Estimator
from pgcheck.estimators.moments import Origin, Prediction, predict
from pgcheck.estimators.on_policy import REINFORCE
from pgcheck.estimators.sampled import Progress, SampledGradient, sample_gradients
from pgcheck.exact.gradient import ExactGradient, gradient_beside_rollouts
from pgcheck.model.endless import cut
from pgcheck.model.mdp import MDP
from pgcheck.model.policy import Policy
from pgcheck.trajectories.sampling import MAX_N, streams

Streams = Callable[..., np.random.Generator]


@dataclass(frozen=True)
class Standing:
    """One estimator among others; figures that cannot be known are None.

    Attributes:
      estimator: which.
      evidence: where bias and trace come from.
      bias: ‖E[ĝ_N] − ∇J‖; in a plan, as N grows.
      trace: tr Σ, N times the mean square of what is random in the error.
      reduction: 1 − tr Σ / (tr Σ of `reinforce`).
      n: of rollouts: those it needs for the accuracy of a plan (None: more than 1e15, or its bias is too large),
        or those of the comparison.
      expected: √E‖ĝ_N − ∇J‖² with n rollouts.
      error: what was measured.
    """

    estimator: Estimator
    evidence: Origin | None = None
    bias: float | None = None
    trace: float | None = None
    reduction: float | None = None
    n: int | None = None
    expected: float | None = None
    error: float | None = None


@dataclass(frozen=True, eq=False)
class Comparison:
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

    Raises:
      UsageError: the gradient is 0, so that no error is relative to it; or an off-policy estimator lacks a behavior.
    """
    mdp = cut(mdp, policy)
    exact = gradient_beside_rollouts(mdp, policy)
    usable, left_out = _usable(estimators, behavior, leave_out)
    if exact.is_zero:
        raise UsageError(f"{mdp.name}: the gradient is 0, so a relative accuracy is undefined")
    target = accuracy * exact.norm
    standings = []
    for standing, prediction in _predicted(mdp, policy, exact, usable, streams(rng), behavior, None, progress):
        needed = _needed(exact, prediction, target)
        standings.append(replace(standing, n=needed, expected=_expected(exact, prediction, needed)))
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
        for estimator, sampled in _sampled(mdp, policy, alike, n, stream, behavior, progress):
            errors[estimator] = exact.discrepancy(sampled.estimate).error
    standings = [
        replace(
            standing, n=n, expected=_expected(exact, prediction, n), error=errors.get(standing.estimator)
        )
        for standing, prediction in _predicted(mdp, policy, exact, usable, stream, behavior, n, progress)
    ]  # fmt: skip
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
) -> list[tuple[Estimator, SampledGradient]]:
    """The estimates from the same rollouts, without those of estimators that the model is too large for."""

    def drawn(group: Sequence[Estimator]) -> list[SampledGradient]:
        return sample_gradients(mdp, policy, n, stream(n, 0), group, behavior=behavior, progress=progress)

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


def _predicted(
    mdp: MDP,
    policy: Policy,
    exact: ExactGradient,
    estimators: Sequence[Estimator],
    stream: Streams,
    behavior: Policy | None,
    n: int | None,
    progress: Progress | None,
) -> Iterator[tuple[Standing, Prediction]]:
    """What is known beforehand of each estimator, and the prediction that it comes from."""
    reference = predict(mdp, policy, REINFORCE, stream(0, 0))(n)
    for number, estimator in enumerate(estimators):
        try:
            prediction = predict(mdp, policy, estimator, stream(0, 0), behavior=behavior)
            moments = prediction(n)
        except TooLargeError:
            yield Standing(estimator), lambda n: None
            continue
        if progress is not None:
            progress((number + 1) / len(estimators))
        if moments is None:
            yield Standing(estimator), prediction
            continue
        bias = moments.bias_norm(exact.gradient, n, rounding=exact.rounding)
        # How random a mean over distinct trajectories is depends on N: as N grows, nothing is left of it.
        trace = None if estimator.aggregation == "distinct" and n is None else moments.trace
        reduction = None
        if trace is not None and reference is not None and reference.trace > 0:
            reduction = 1 - trace / reference.trace
        yield Standing(estimator, moments.evidence, bias, trace, reduction), prediction


def _expected(exact: ExactGradient, prediction: Prediction, n: int | None) -> float | None:
    moments = prediction(n)
    return None if n is None or moments is None else moments.expected_error(exact.gradient, n)


def _needed(exact: ExactGradient, prediction: Prediction, target: float) -> int | None:
    """The least N with an expected error of at most `target`; it falls as N grows."""

    def enough(n: int) -> bool:
        expected = _expected(exact, prediction, n)
        return expected is not None and expected <= target

    if not enough(MAX_N):
        return None
    few, many = 0, MAX_N
    while many - few > 1:
        middle = (few + many) // 2
        few, many = (few, middle) if enough(middle) else (middle, many)
    return many
