"""Estimators side by side: how good each of them is, and how many rollouts it needs."""

import contextlib
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from pgcheck.errors import TooLargeError, UsageError
from pgcheck.estimators.base import Estimator
from pgcheck.estimators.catalogue import estimator as built_in
from pgcheck.estimators.moments import SIGNIFICANT, Evidence, Prediction, predict
from pgcheck.estimators.sampled import SampledGradient, sample_gradients
from pgcheck.exact.gradient import ExactGradient, Progress
from pgcheck.model.mdp import MDP
from pgcheck.model.policy import Policy
from pgcheck.trajectories.sampling import MAX_N


@dataclass(frozen=True)
class Contender:
    """One estimator, and what it does; figures that cannot be known are None.

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
    evidence: Evidence | None = None
    bias: float | None = None
    trace: float | None = None
    reduction: float | None = None
    n: int | None = None
    expected: float | None = None
    error: float | None = None


def usable(estimators: Sequence[Estimator], behavior: Policy | None) -> list[Estimator]:
    """Returns those that can be had: off-policy ones need a behavior."""
    return [some for some in estimators if behavior is not None or not some.off_policy]


def plan(
    mdp: MDP,
    policy: Policy,
    exact: ExactGradient,
    estimators: Sequence[Estimator],
    accuracy: float,
    stream: Callable[..., np.random.Generator],
    *,
    behavior: Policy | None = None,
    progress: Progress | None = None,
) -> list[Contender]:
    """Returns how many rollouts each estimator needs for √E‖ĝ_N − ∇J‖² ≤ accuracy · ‖∇J‖, the cheapest first.

    Without a bias that is N = tr Σ / (accuracy² ‖∇J‖²).

    Raises:
      UsageError: the gradient is 0, so that no error is relative to it.
    """
    if exact.is_zero:
        raise UsageError(f"{mdp.name}: the gradient is 0; no accuracy is relative to it")
    target = accuracy * exact.norm
    rows = []
    for row, foretold in _foretold(mdp, policy, exact, estimators, stream, behavior, None, progress):
        needed = _needed(exact, foretold, target)
        moments = foretold(needed)
        expected = None if needed is None or moments is None else moments.expected_error(exact.gradient, needed)
        rows.append(replace(row, n=needed, expected=expected))
    return sorted(rows, key=lambda row: (row.n is None, row.n or 0))


def compare(
    mdp: MDP,
    policy: Policy,
    exact: ExactGradient,
    estimators: Sequence[Estimator],
    n: int,
    stream: Callable[..., np.random.Generator],
    *,
    behavior: Policy | None = None,
    progress: Progress | None = None,
) -> list[Contender]:
    """Returns each estimator's expected error with n rollouts beside the measured one.

    Estimators whose rollouts come from the same policy get the same rollouts.
    """
    errors: dict[str, float] = {}
    for off in (False, True):
        some = [estimator for estimator in estimators if estimator.off_policy == off]
        if some:
            for estimator, sampled in _sampled(mdp, policy, some, n, stream, behavior, progress):
                errors[estimator.name] = exact.discrepancy(sampled.estimate).error
    rows = []
    for row, foretold in _foretold(mdp, policy, exact, estimators, stream, behavior, n, progress):
        moments = foretold(n)
        expected = None if moments is None else moments.expected_error(exact.gradient, n)
        rows.append(replace(row, n=n, expected=expected, error=errors.get(row.estimator.name)))
    return rows


def _sampled(
    mdp: MDP,
    policy: Policy,
    some: Sequence[Estimator],
    n: int,
    stream: Callable[..., np.random.Generator],
    behavior: Policy | None,
    progress: Progress | None,
) -> list[tuple[Estimator, SampledGradient]]:
    """The estimates from the same rollouts, without those of estimators that the model is too large for."""

    def drawn(which: Sequence[Estimator]) -> list[SampledGradient]:
        return sample_gradients(mdp, policy, n, stream(n, 0), which, behavior=behavior, progress=progress)

    try:
        return list(zip(some, drawn(some), strict=True))
    except TooLargeError:
        found = []
        for estimator in some:
            with contextlib.suppress(TooLargeError):
                found.append((estimator, drawn([estimator])[0]))
        return found


def _foretold(
    mdp: MDP,
    policy: Policy,
    exact: ExactGradient,
    estimators: Sequence[Estimator],
    stream: Callable[..., np.random.Generator],
    behavior: Policy | None,
    n: int | None,
    progress: Progress | None,
) -> Iterator[tuple[Contender, Prediction]]:
    """What is known beforehand of each estimator, and the prediction that it comes from."""
    reference = predict(mdp, policy, built_in("reinforce"), stream(0, 0))(n)
    for number, some in enumerate(estimators):
        try:
            foretold = predict(mdp, policy, some, stream(0, 0), behavior=behavior)
            moments = foretold(n)
        except TooLargeError:
            yield Contender(some), lambda n: None
            continue
        if progress is not None:
            progress((number + 1) / len(estimators))
        if moments is None:
            yield Contender(some), foretold
            continue
        bias = math.hypot(*moments.bias(exact.gradient, n).tolist())
        if moments.rollouts is not None and bias <= SIGNIFICANT * math.sqrt(moments.trace / moments.rollouts):
            bias = 0.0  # a sample does not show any
        trace = None if some.once and n is None else moments.trace
        reduction = None
        if trace is not None and reference is not None and reference.trace > 0:
            reduction = 1 - trace / reference.trace
        yield Contender(some, moments.evidence, bias, trace, reduction), foretold


def _needed(exact: ExactGradient, foretold: Prediction, target: float) -> int | None:
    """The least N with an expected error of at most `target`; it falls as N grows."""

    def enough(n: int) -> bool:
        moments = foretold(n)
        return moments is not None and moments.expected_error(exact.gradient, n) <= target

    if not enough(MAX_N):
        return None
    few, many = 0, MAX_N
    while many - few > 1:
        middle = (few + many) // 2
        few, many = (few, middle) if enough(middle) else (middle, many)
    return many
