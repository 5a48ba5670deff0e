"""What is known of estimators before a rollout is drawn, each of them a part of the work."""

import math
from dataclasses import dataclass, replace
from typing import get_args

import numpy as np

from pgcheck.arrays import Floats
from pgcheck.errors import TooLargeError
from pgcheck.estimators.base import Estimator
from pgcheck.estimators.moments import Origin, Prediction, predict
from pgcheck.estimators.on_policy import REINFORCE
from pgcheck.estimators.sampled import Progress
from pgcheck.exact.gradient import ExactGradient
from pgcheck.model.mdp import MDP
from pgcheck.model.policy import Policy
from pgcheck.trajectories.sampling import MAX_N, Streams
from pgcheck.workers.executor import Arrays, Executor, fractions

ORIGINS: tuple[Origin, ...] = get_args(Origin)


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


def standings_of(task: "Standings", executor: Executor, progress: Progress | None) -> list[Standing]:
    """Returns what is known beforehand of each estimator; each is a part."""
    kinds = list(dict.fromkeys([REINFORCE, *task.estimators]))
    figures = fractions(executor.map(replace(task, estimators=tuple(kinds)), range(len(kinds))), len(kinds), progress)
    known = dict(zip(kinds, (_known(it) for (it,) in figures), strict=True))
    reference = known[REINFORCE].trace
    standings = []
    for estimator in task.estimators:
        it = known[estimator]
        reduction = None
        if it.trace is not None and reference is not None and reference > 0:
            reduction = 1 - it.trace / reference
        standings.append(replace(it, estimator=estimator, reduction=reduction))
    return standings


@dataclass(frozen=True, eq=False)
class Standings:
    """What is known beforehand of one estimator (`Task`); a part is its number.

    Attributes:
      mdp, policy, behavior: as in `plan`.
      exact: ∇J.
      estimators: which there are.
      stream: for moments that must be sampled.
      n: of rollouts; None for the number that an error of `target` takes.
      target: the expected error that is wanted.
    """

    mdp: MDP
    policy: Policy
    behavior: Policy | None
    exact: ExactGradient
    estimators: tuple[Estimator, ...]
    stream: Streams
    n: int | None
    target: float = 0.0

    @property
    def label(self) -> str:
        """What is done."""
        return f"comparing estimators on {self.mdp.name}"

    def __call__(self, number: int, /) -> Arrays:
        """Returns the number of the evidence, bias, trace, N and expected error `[5]`; NaN is what is not known."""
        estimator, n = self.estimators[number], self.n
        try:
            prediction = predict(self.mdp, self.policy, estimator, self.stream(0, 0), behavior=self.behavior)
            moments = prediction(n)
        except TooLargeError:
            return (np.array([np.nan, np.nan, np.nan, np.nan if n is None else n, np.nan]),)
        evidence = bias = trace = None
        if moments is not None:
            evidence = ORIGINS.index(moments.evidence)
            bias = moments.bias_norm(self.exact.gradient, n, rounding=self.exact.rounding)
            # How random a mean over distinct trajectories is depends on N: as N grows, nothing is left of it.
            trace = None if estimator.aggregation == "distinct" and n is None else moments.trace
        n = _needed(self.exact, prediction, self.target) if n is None else n
        figures = evidence, bias, trace, n, _expected(self.exact, prediction, n)
        return (np.array([np.nan if it is None else it for it in figures], dtype=np.float64),)


def _known(figures: Floats) -> Standing:
    """The standing that the figures of a part are of; its estimator is set later."""
    evidence, bias, trace, n, expected = (None if math.isnan(it) else it for it in figures.tolist())
    return Standing(
        REINFORCE, None if evidence is None else ORIGINS[int(evidence)], bias, trace,
        n=None if n is None else int(n), expected=expected,
    )  # fmt: skip


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
