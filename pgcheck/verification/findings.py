"""What is known of an estimator on one model: its expectation E[ĝ] beside the gradient ∇J, and their figures."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from pgcheck.arrays import Floats, norm_of
from pgcheck.estimators.contract import Contract
from pgcheck.model.mdp import MDP
from pgcheck.model.objective import credited
from pgcheck.model.policy import Policy, freedom
from pgcheck.trajectories.batch import Batch
from pgcheck.trajectories.draws import by_start
from pgcheck.trajectories.paths import enumerated_paths, measured
from pgcheck.verification.exhaustive import Expectation, number_of_batches
from pgcheck.verification.setting import Setting

NOTHING = 1e-300  # the size of an expectation on a model where it and the gradient are 0


@dataclass(frozen=True, eq=False)
class Enumeration:
    """A model with all its episodes, which are few enough to be altered; or a block of the episodes of a large one.

    Attributes:
      mdp, policy: the model.
      batch: the episodes, with the policy that drew them.
      prob: P(τ) of each under that policy `[N]`.
      same_start: whether the episodes of a batch share s_0.
    """

    mdp: MDP
    policy: Policy
    batch: Batch
    prob: Floats
    same_start: bool = False

    @classmethod
    def of(cls, setting: Setting) -> "Enumeration":
        """Returns all episodes of a model."""
        batch, prob = setting.listed()
        return cls(setting.mdp, setting.policy, batch, prob, setting.same_start)

    def number_of_batches(self, size: int, contract: Contract) -> int:
        """Returns how many batches of `size` an estimator is called with."""
        if not self.same_start:
            return number_of_batches(len(self.batch), size, contract)
        return sum(number_of_batches(len(numbers), size, contract) for numbers in by_start(self.batch))


@dataclass(frozen=True)
class Circumstances:
    """What factors depend on.

    Attributes:
      gamma, horizon: of the model.
      mean_length: E[L].
      batch_size: B.
    """

    gamma: float
    horizon: int
    mean_length: float
    batch_size: int


@dataclass(frozen=True)
class Component:
    """One component of E[ĝ] and of ∇J.

    Attributes:
      parameter: the names of the parameter, such as state and action.
      expectation, gradient: the two numbers, in reward per unit θ.
    """

    parameter: tuple[str, ...]
    expectation: float
    gradient: float


@dataclass(frozen=True, eq=False)
class Finding:
    """The expectation on one model, for one batch size, beside the gradient.

    Attributes:
      setting: the model, who drew the episodes, and which stand in a batch together.
      expectation: E[ĝ] and its batch size.
      gradient: ∇J `[*theta.shape]`; all 0 where nothing but rounding is left of it.
      reinforce, reward_to_go: tr Σ of these estimators, or where another policy draws the episodes, of
        `importance-sampling` and `per-decision`, which then stand in their place; None where it is not known exactly.
      enumeration: the model's episodes, where they are few.
    """

    setting: Setting
    expectation: Expectation
    gradient: Floats
    reinforce: float | None
    reward_to_go: float | None
    enumeration: Enumeration | None

    @property
    def mdp(self) -> MDP:
        """The model."""
        return self.setting.mdp

    @property
    def policy(self) -> Policy:
        """The policy of which ∇J is the gradient, whoever drew the episodes."""
        return self.setting.policy

    @property
    def batch_size(self) -> int:
        """B; 1 where each episode has its own gradient."""
        return self.expectation.batch_size

    @property
    def longest(self) -> int:
        """The steps of the longest episode; the horizon where the episodes are too many to be kept."""
        lengths = None if self.enumeration is None else self.enumeration.batch.lengths
        return self.mdp.horizon if lengths is None else int(lengths.max(initial=0))

    def total(self, part: Callable[[Enumeration], Floats]) -> Floats:
        """Returns Σ_τ P(τ) x(τ), for a function that gives it for some of the model's episodes."""
        if self.enumeration is not None:
            return part(self.enumeration)
        setting = self.setting
        blocks = measured(self.mdp, self.policy, enumerated_paths(self.mdp, setting.actor), setting.actor)
        parts = (
            part(Enumeration(self.mdp, self.policy, batch, prob, setting.same_start)) for batch, prob, _ in blocks
        )
        return np.asarray(sum(parts, np.zeros(())))

    @cached_property
    def circumstances(self) -> Circumstances:
        """What factors depend on."""
        length = float(self.total(lambda it: np.asarray(it.prob @ it.batch.lengths)))
        return Circumstances(self.mdp.gamma, self.mdp.horizon, length, self.batch_size)

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
        """‖E[ĝ] − ∇J‖ / ‖∇J‖; None where ∇J is 0."""
        return self.bias / self.norm if self.norm > 0 else None

    @property
    def size(self) -> float:
        """‖E[ĝ]‖ or ‖∇J‖, the greater, above 0: differences are relative to it."""
        return max(norm_of(self.expectation.mean), self.norm, NOTHING)

    @property
    def severity(self) -> float:
        """The relative bias; the bias itself where ∇J is 0."""
        return self.bias if self.relative_bias is None else self.relative_bias

    @cached_property
    def freedom(self) -> int:
        """How many directions a gradient can have."""
        return freedom(self.policy)

    @property
    def cosine(self) -> float | None:
        """The cosine between E[ĝ] and ∇J; None where one of them is 0, or where there is only one direction."""
        size = norm_of(self.expectation.mean)
        if self.freedom < 2 or size == 0 or self.norm == 0:
            return None
        return float(np.clip(np.sum(self.expectation.mean / size * (self.gradient / self.norm)), -1, 1))

    @property
    def scale(self) -> float | None:
        """The c for which c ∇J is nearest to E[ĝ]; None where ∇J is 0."""
        if self.norm == 0:
            return None
        unit = self.gradient / self.norm
        return float(np.sum(self.expectation.mean / self.norm * unit))

    @property
    def variance_over_reinforce(self) -> float | None:
        """B tr Cov of the estimate, over tr Cov of one rollout's `reinforce`; None where that is 0 or not known."""
        return self.expectation.trace / self.reinforce if self.reinforce else None

    @property
    def variance_over_reward_to_go(self) -> float | None:
        """The same over tr Cov of one rollout's `reward-to-go`."""
        return self.expectation.trace / self.reward_to_go if self.reward_to_go else None

    @property
    def expectation_vector(self) -> Floats:
        """E[ĝ] in the order of the parameters `[d]`."""
        return self._in_order(self.expectation.mean)

    @property
    def gradient_vector(self) -> Floats:
        """∇J in the order of the parameters `[d]`."""
        return self._in_order(self.gradient)

    def worst_components(self, most: int = 3) -> tuple[Component, ...]:
        """Returns the components that differ most, at most so many, the worst first."""
        mean, gradient = self.expectation_vector, self.gradient_vector
        order = np.argsort(-np.abs(mean - gradient))[:most].tolist()
        return tuple(
            Component(tuple(self.policy.parameters[k]), float(mean[k]), float(gradient[k]))
            for k in order
            if mean[k] != gradient[k]
        )

    def is_right(self, tolerance: float, scale: float = 1.0) -> bool:
        """Whether E[ĝ] is scale · ∇J within a relative tolerance."""
        return self.is_near(scale * self.gradient, tolerance)

    def is_near(self, expected: Floats, tolerance: float) -> bool:
        """Whether E[ĝ] is what is expected, within a tolerance relative to that.

        Where 0 is expected, the tolerance is relative to the greatest reward.
        """
        off, size = norm_of(self.expectation.mean - expected), norm_of(expected)
        if size == 0:
            return (
                off <= tolerance * max(float(np.abs(credited(self.mdp, self.policy).reward).max(initial=0)), 1e-300)
                or off == 0
            )
        return off <= tolerance * size

    def _in_order(self, values: Floats) -> Floats:
        """`[*theta.shape]` in the order of the parameters `[d]`."""
        return values if values.ndim == 1 else values[~self.mdp.terminal].ravel()
