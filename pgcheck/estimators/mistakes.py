"""The known mistakes: what each of them weighs ∇log π(a_t|s_t) with, to be compared with an estimator.

Each is a function from a batch to weights w `[N, T]`, as in `estimators`; what it says is told to the user.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np

from pgcheck.arrays import Bools, Floats
from pgcheck.estimators.base import Estimator
from pgcheck.estimators.weights import discounts, onward, returns
from pgcheck.trajectories.batch import Batch

Weights = Callable[[Batch], Floats]


@dataclass(frozen=True, eq=False)
class Field:
    """One known mistake.

    Attributes:
      ids: what it is called; several where mistakes are combined. None for the right estimator.
      text: what is wrong and how to mend it.
      weights: of each ∇log π(a_t|s_t) `[N, T]`.
    """

    ids: tuple[str, ...]
    text: str
    weights: Weights

    def each(self, batch: Batch) -> Floats:
        """Returns the estimate of each episode `[N, *theta.shape]`."""
        return batch.shaped(self._estimator.each(batch))

    def mean(self, batch: Batch, prob: Floats) -> Floats:
        """Returns Σ P(τ) ĝ(τ) over the episodes of a batch `[*theta.shape]`."""
        return batch.shaped(self._estimator.total(batch, prob))

    @property
    def _estimator(self) -> Estimator:
        return Estimator(" ".join(self.ids), "", "wrong", self.text, "", self.weights)


def to_go(batch: Batch, gamma: float | None = None) -> Floats:
    """Σ_{k≥t} γ^{k−t} r_k; `gamma` in place of the model's."""
    return onward(batch.rewards, batch.gamma if gamma is None else gamma)


def undiscounted(batch: Batch) -> Floats:
    """Σ_{k≥t} r_k."""
    return to_go(batch, 1.0)


def next_rewards(batch: Batch, gamma: float | None = None) -> Floats:
    """Σ_{k>t} γ^{k−t} r_k."""
    return to_go(batch, gamma) - batch.rewards


def without_last_step(batch: Batch, gamma: float | None = None) -> Floats:
    """The rewards to go, but 0 at the last step."""
    return np.where(_is_last(batch), 0.0, to_go(batch, gamma))


def without_last_reward(batch: Batch, gamma: float | None = None) -> Floats:
    """The rewards to go, without the last one."""
    return onward(np.where(_is_last(batch), 0.0, batch.rewards), batch.gamma if gamma is None else gamma)


def over_length(batch: Batch, gamma: float | None = None) -> Floats:
    """The rewards to go over L."""
    return to_go(batch, gamma) / _length(batch)


def over_steps_to_go(batch: Batch) -> Floats:
    """The rewards to go over L − t."""
    return np.asarray(to_go(batch) / np.maximum(_length(batch) - np.arange(len(batch.outcomes)), 1))


def centred(batch: Batch) -> Floats:
    """The rewards to go minus their mean over the episode."""
    weights = np.where(batch.mask, to_go(batch), 0.0)
    return np.asarray(weights - weights.sum(axis=1, keepdims=True) / _length(batch))


def from_the_end(batch: Batch) -> Floats:
    """Σ_{k≥t} γ^{L−1−k} r_k."""
    exponent = np.where(batch.mask, _length(batch) - 1 - np.arange(len(batch.outcomes)), 0)
    return onward(batch.rewards * batch.gamma**exponent, 1.0)


def times_pi(batch: Batch) -> Floats:
    """The rewards to go times π(a_t|s_t)."""
    return np.asarray(to_go(batch) * batch.probs[batch.states, batch.actions])


def last_step_only(batch: Batch) -> Floats:
    """The rewards to go at the last step, else 0."""
    return np.where(_is_last(batch), to_go(batch), 0.0)


def first_step_only(batch: Batch) -> Floats:
    """The rewards to go at t = 0, else 0."""
    return np.asarray(np.where(np.arange(len(batch.outcomes)) == 0, to_go(batch), 0.0))


def squared(batch: Batch) -> Floats:
    """γ^t times the rewards to go; with γ^t once more in front."""
    return np.asarray(discounts(batch) * to_go(batch))


def reward(batch: Batch) -> Floats:
    """r_t."""
    return np.asarray(batch.rewards)


def whole_over_length(batch: Batch) -> Floats:
    """R / L."""
    return np.broadcast_to(returns(batch)[:, None] / _length(batch), batch.rewards.shape)


RIGHT = Field((), "", lambda batch: discounts(batch) * to_go(batch))

_TO_GO: tuple[tuple[str, str, Callable[..., Floats]], ...] = (
    ("undiscounted", "the rewards to go are not discounted: G_t is the sum of gamma^(k-t) r_k", undiscounted),
    ("immediate-reward", "each step is weighed by its own reward alone; what follows it is left out", reward),
    (
        "off-by-one",
        "each step is weighed by the rewards after its own: the reward r_t that action a_t earned is left out",
        next_rewards,
    ),
    ("last-step-missing", "the last step of the episode has no weight", without_last_step),
    ("last-reward-missing", "the last reward of the episode is left out", without_last_reward),
    ("length-normalised", "each episode is divided by its length L; average over episodes only", over_length),
    (
        "length-normalised",
        "the rewards to go are averaged over the steps to go, L - t, instead of summed",
        over_steps_to_go,
    ),
    (
        "action-dependent-baseline",
        "the mean of the episode's own returns to go is subtracted: that baseline depends on the action it judges",
        centred,
    ),
    ("other", "the discount counts from the end of the episode: r_k has gamma^(L-1-k)", from_the_end),
    ("other", "this is the gradient of pi instead of log pi: each step is multiplied by pi(a_t|s_t)", times_pi),
    ("other", "only the last step of each episode has a weight", last_step_only),
    ("other", "only the first step of each episode has a weight", first_step_only),
    ("other", "gamma^t stands there twice", squared),
)
DROPPED = "gamma^t is left out: the gradient of the discounted return weighs step t by gamma^t"


def _discounted(weights: Weights) -> Weights:
    return lambda batch: discounts(batch) * weights(batch)


FIELDS: tuple[Field, ...] = (
    Field(("dropped-gamma",), DROPPED, to_go),
    *(Field((name,), text, _discounted(weights)) for name, text, weights in _TO_GO),
    Field(
        ("length-normalised",),
        "this IS the gradient of E[R/L]: each episode's return is divided by its length",
        whole_over_length,
    ),
    Field(("undiscounted", "dropped-gamma"), "neither the rewards nor the steps are discounted", undiscounted),
    *(
        Field((name, "dropped-gamma"), f"{text}; and {DROPPED}", weights)
        for name, text, weights in _TO_GO
        if weights not in (squared, undiscounted, first_step_only)
    ),
    *(
        Field(
            (name, "undiscounted", "dropped-gamma"), f"{text}; besides, nothing is discounted",
            partial(weights, gamma=1.0),
        )
        for name, text, weights in _TO_GO
        if weights in (next_rewards, without_last_step, without_last_reward, over_length)
    ),
    Field(
        ("length-normalised", "undiscounted"),
        "this is the gradient of the mean reward of an episode, its sum over L, not discounted",
        lambda batch: np.broadcast_to(batch.rewards.sum(axis=1, keepdims=True) / _length(batch), batch.rewards.shape),
    ),
    Field(
        ("last-step-missing",),
        "the last step of the episode has no weight; the others have the whole return",
        lambda batch: np.where(_is_last(batch), 0.0, returns(batch)[:, None]),
    ),
    Field(
        ("other",),
        "this is the gradient of pi instead of log pi: each step has the whole return times pi(a_t|s_t)",
        lambda batch: returns(batch)[:, None] * batch.probs[batch.states, batch.actions],
    ),
)  # fmt: skip


def _length(batch: Batch) -> Floats:
    return np.maximum(batch.lengths, 1)[:, None].astype(np.float64)


def _is_last(batch: Batch) -> Bools:
    return np.asarray(np.arange(len(batch.outcomes)) == batch.lengths[:, None] - 1)
