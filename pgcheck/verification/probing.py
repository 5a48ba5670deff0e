"""What a diagnosis works on: findings, small models whose episodes can be altered, and calls on these."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from pgcheck.arrays import Floats, norm_of
from pgcheck.errors import EstimatorError
from pgcheck.estimators.base import Caller
from pgcheck.estimators.contract import Contract
from pgcheck.model.mdp import MDP
from pgcheck.model.policy import Policy
from pgcheck.trajectories.batch import Batch
from pgcheck.verification import impulses as probes
from pgcheck.verification.exhaustive import Expectation, calls_for, over_batches

STEPS = 4  # of the episodes that are probed with impulses
GAMMA = 0.9  # where the models' own is 0 or 1
MAX_PROBED = 5_000  # batches of one size, where their episodes are altered again and again
CLOSE, CLOSE_SINGLE = 1e-6, 1e-4


@dataclass(frozen=True)
class Diagnosis:
    """One thing that is wrong: its name, and what it means."""

    id: str
    text: str


@dataclass(frozen=True, eq=False)
class Case:
    """A model small enough to alter its episodes: all of them, and their probabilities."""

    mdp: MDP
    policy: Policy
    batch: Batch
    prob: Floats

    @property
    def mean_length(self) -> float:
        """E[L]."""
        return float(self.prob @ self.batch.lengths)


@dataclass(frozen=True, eq=False)
class Finding:
    """The expectation on one model, for one batch size, beside the gradient.

    Attributes:
      mdp, policy: the model.
      expectation: E[ĝ] and its batch size.
      gradient: ∇J `[*theta.shape]`; all 0 where rounding alone is left of it.
      reinforce, reward_to_go: tr Σ of these; None where it is not known exactly.
      case: the model's episodes, where they are few.
    """

    mdp: MDP
    policy: Policy
    expectation: Expectation
    gradient: Floats
    reinforce: float | None
    reward_to_go: float | None
    case: Case | None

    @property
    def norm(self) -> float:
        """‖∇J‖."""
        return norm_of(self.gradient)

    @property
    def bias(self) -> float:
        """‖E[ĝ] − ∇J‖."""
        return norm_of(self.expectation.mean - self.gradient)

    @property
    def relative_bias(self) -> float | None:
        """The same over ‖∇J‖; None where that is 0."""
        return self.bias / self.norm if self.norm > 0 else None

    @property
    def badness(self) -> float:
        """The relative bias, or where ∇J is 0 the bias itself."""
        return self.bias if self.relative_bias is None else self.relative_bias

    @cached_property
    def freedom(self) -> int:
        """How many directions a gradient can have: actions beyond the first, in each observation that is met."""
        rows = {tuple(row[row >= 0].tolist()) for row in self.policy.index if np.any(row >= 0)}
        return sum(len(row) - 1 for row in rows)

    @property
    def cosine(self) -> float | None:
        """Of the angle between E[ĝ] and ∇J; None where one is 0, or where there is but one direction."""
        size = norm_of(self.expectation.mean)
        if self.freedom < 2 or size == 0 or self.norm == 0:
            return None
        return float(np.clip(np.sum(self.expectation.mean / size * (self.gradient / self.norm)), -1, 1))

    @property
    def scale(self) -> float | None:
        """The c for which c ∇J is nearest to E[ĝ]."""
        if self.norm == 0:
            return None
        unit = self.gradient / self.norm
        return float(np.sum(self.expectation.mean / self.norm * unit))

    def is_right(self, tolerance: float, scale: float = 1.0) -> bool:
        """Whether E[ĝ] is scale · ∇J but for the tolerance."""
        off = norm_of(self.expectation.mean - scale * self.gradient)
        if self.norm == 0:
            # Relative to nothing: to what one reward could have made of it.
            return off <= tolerance * max(float(np.abs(self.mdp.reward).max(initial=0)), 1e-300) or off == 0
        return off <= tolerance * abs(scale) * self.norm


@dataclass(frozen=True, eq=False)
class Matrix:
    """W[t, k] of an estimator, γ of the probe, and whether it is right where k ≥ t."""

    values: Floats
    gamma: float
    is_right: bool


class Bench:
    """Calls an estimator on altered episodes.

    Attributes:
      broke: whether it has returned what is not finite, for some of these.
    """

    def __init__(self, caller: Caller, kind: Contract) -> None:
        self.caller = caller
        self.kind = kind
        self.broke = False

    def each(self, batch: Batch) -> Floats:
        """The gradients of single episodes `[N, *theta.shape]`."""
        if self.kind.rows:
            return self.caller.whole(batch).values
        return self.caller.groups(batch, np.arange(len(batch))[:, None]).values

    def mean(self, case: Case, batch: Batch, size: int) -> Floats | None:
        """E[ĝ] over altered episodes of a case; None where it cannot be had."""
        try:
            if self.kind.by_episode:
                return np.asarray(np.tensordot(case.prob, self.each(batch), axes=1))
            return over_batches(self.caller, batch, case.prob, size, self.kind).mean
        except EstimatorError as error:
            self.broke = self.broke or error.not_finite
            return None
        except Exception:  # an estimator that cannot be called on what was altered has its verdict all the same
            return None

    def probed(self, findings: Sequence[Finding]) -> list[Finding]:
        """Returns those findings whose episodes can be altered: of whole batches there must not be too many."""
        return [
            found
            for found in findings
            if found.case is not None and (self.kind.by_episode or self._calls(found, found.case) <= MAX_PROBED)
        ]

    def _calls(self, found: Finding, case: Case) -> int:
        return calls_for(len(case.batch), found.expectation.batch_size, self.kind)

    def matrix(self, gamma: float) -> Matrix | None:
        """W of episodes that terminate; None for an estimator of whole batches."""
        if not self.kind.by_episode:
            return None
        try:
            values = probes.impulses(self.each, STEPS, gamma)
        except Exception:  # as when it was made for one model only
            return None
        return Matrix(values, gamma, probes.agree(values, probes.right(STEPS, gamma), self.close))

    @property
    def close(self) -> float:
        return CLOSE_SINGLE if self.kind.single else CLOSE

    def not_finite(self) -> list[Diagnosis]:
        """Where the estimator breaks although no model did it: one step, no reward, equal rewards."""
        if not self.kind.by_episode:
            return []
        broken = []
        for what, steps, reward in (
            ("episodes of one step", 1, [1.0]),
            ("episodes in which every reward is 0", 3, [0.0] * 3),
            ("episodes in which all rewards are alike", 3, [1.0] * 3),
        ):
            mdp, policy = probes.chain(steps, GAMMA)
            batch = probes.episodes(mdp, policy, [[t % 2 for t in range(steps)], [0] * steps])
            try:
                self.each(batch.altered(rewards=np.tile(reward, (2, 1))))
            except EstimatorError as error:
                if error.not_finite:
                    broken.append(what)
            except Exception:  # as when it was made for one model only
                continue
        return [Diagnosis("nan", f"the result is not finite for {', '.join(broken)}")] if broken else []


def best_factor(means: Sequence[Floats], fields: Sequence[Floats]) -> float | None:
    """Returns the factor by which fields come nearest to means; None where they are 0."""
    below = sum(float(np.sum(field**2)) for field in fields)
    if below == 0:
        return None
    return sum(float(np.sum(mean * field)) for mean, field in zip(means, fields, strict=True)) / below
