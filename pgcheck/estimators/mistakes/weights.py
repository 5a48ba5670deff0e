"""The known mistakes: each is a weight of ∇log π(a_t|s_t) that people use in place of γ^t G_t.

A weight function maps a batch to w `[N, T]`; the estimate of an episode is Σ_t w_t ∇log π(a_t|s_t). What stands
beyond an episode's end is ignored. Below, L is the episode's length and R = Σ_t γ^t r_t its return.

A mistake carries ids; `verification.causes` has the texts.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import ClassVar

import numpy as np

from pgcheck.arrays import Bools, Floats
from pgcheck.estimators.base import Weights, score_sums, weighted_score_sum
from pgcheck.estimators.off_policy import per_decision
from pgcheck.estimators.on_policy import reward_to_go
from pgcheck.estimators.weights import all_steps, discounts, onward, returns
from pgcheck.exact.critic import critic
from pgcheck.trajectories.batch import Batch


@dataclass(frozen=True, eq=False)
class Candidate:
    """An estimator that a user's estimator is compared with.

    Attributes:
      weights: w_t of each ∇log π(a_t|s_t) `[N, T]`.
      weighs_own_steps: False where something else is weighted.
    """

    weights: Weights
    weighs_own_steps: ClassVar[bool] = True

    def each(self, batch: Batch) -> Floats:
        """Returns the estimate of each episode `[N, *theta.shape]`."""
        return batch.shaped(score_sums(batch, self.weights))

    def mean(self, batch: Batch, prob: Floats) -> Floats:
        """Returns Σ_τ P(τ) ĝ(τ) over the episodes of a batch `[*theta.shape]`, for probabilities `[N]`."""
        return batch.shaped(weighted_score_sum(batch, self.weights, prob))


@dataclass(frozen=True, eq=False)
class Mistake(Candidate):
    """A known mistake.

    Attributes:
      ids: its public names; several where mistakes are combined.
      cause: the key of its text in `verification.causes.CAUSES`.
      notes: keys of what is added to that text, in `verification.causes.NOTES`.
    """

    ids: tuple[str, ...]
    cause: str
    notes: tuple[str, ...] = ()


def public_id(cause: str) -> str:
    """Returns the public name of a mistake with this cause: what stands before the slash."""
    return cause.partition("/")[0]


def with_gamma_t(weights: Weights) -> Weights:
    """Returns γ^t w_t."""
    return lambda batch: discounts(batch) * weights(batch)


def dropped_gamma(batch: Batch, gamma: float | None = None) -> Floats:
    """w_t = G_t = Σ_{k≥t} γ^{k−t} r_k; `gamma` replaces the model's γ."""
    return onward(batch.credits, batch.gamma if gamma is None else gamma)


def undiscounted(batch: Batch) -> Floats:
    """w_t = Σ_{k≥t} r_k."""
    return dropped_gamma(batch, 1.0)


def own_reward(batch: Batch) -> Floats:
    """w_t = r_t."""
    return np.asarray(batch.credits)


def immediate_reward(batch: Batch) -> Floats:
    """w_t = γ^t r_t: wrong unless actions do not matter later."""
    return discounts(batch) * own_reward(batch)


def later_rewards(batch: Batch, gamma: float | None = None) -> Floats:
    """w_t = Σ_{k>t} γ^{k−t} r_k = G_t − r_t."""
    return dropped_gamma(batch, gamma) - batch.credits


def without_last_step(batch: Batch, gamma: float | None = None) -> Floats:
    """w_t = G_t, but 0 at t = L − 1."""
    return np.where(_is_last(batch), 0.0, dropped_gamma(batch, gamma))


def without_last_reward(batch: Batch, gamma: float | None = None) -> Floats:
    """w_t = Σ_{t≤k<L−1} γ^{k−t} r_k."""
    return onward(np.where(_is_last(batch), 0.0, batch.credits), batch.gamma if gamma is None else gamma)


def over_length(batch: Batch, gamma: float | None = None) -> Floats:
    """w_t = G_t / L."""
    return dropped_gamma(batch, gamma) / _lengths(batch)


def over_steps_to_go(batch: Batch) -> Floats:
    """w_t = G_t / (L − t)."""
    return np.asarray(dropped_gamma(batch) / np.maximum(_lengths(batch) - np.arange(len(batch.outcomes)), 1))


def mean_over_steps(batch: Batch) -> Floats:
    """w_t = R / L: the gradient of E[R/L] instead of E[R]."""
    return all_steps(batch, returns(batch) / np.maximum(batch.lengths, 1))


def mean_reward(batch: Batch) -> Floats:
    """w_t = Σ_k r_k / L."""
    return np.broadcast_to(batch.credits.sum(axis=1, keepdims=True) / _lengths(batch), batch.credits.shape)


def baseline_over_length(batch: Batch, gamma: float | None = None) -> Floats:
    """w_t = (R − J) / L: the returns of other episodes are a baseline, and L depends on the actions."""
    mdp = batch.mdp if gamma is None else replace(batch.mdp, gamma=gamma)
    series = mdp.gamma ** np.arange(len(batch.outcomes), dtype=np.float64)
    value = float(mdp.start @ critic(mdp, batch.policy).values(0))
    return all_steps(batch, (batch.credits @ series - value) / np.maximum(batch.lengths, 1))


def centred(batch: Batch) -> Floats:
    """w_t = G_t − (Σ_k G_k) / L: the baseline is the mean over the episode's own steps."""
    weights = np.where(batch.mask, dropped_gamma(batch), 0.0)
    return np.asarray(weights - weights.sum(axis=1, keepdims=True) / _lengths(batch))


def discounted_from_the_end(batch: Batch) -> Floats:
    """w_t = Σ_{k≥t} γ^{L−1−k} r_k."""
    exponent = np.where(batch.mask, _lengths(batch) - 1 - np.arange(len(batch.outcomes)), 0)
    return onward(batch.credits * batch.gamma**exponent, 1.0)


def times_pi(batch: Batch) -> Floats:
    """w_t = π(a_t|s_t) G_t: ∇π in place of ∇log π."""
    return np.asarray(dropped_gamma(batch) * batch.probs[batch.states, batch.actions])


def return_times_pi(batch: Batch) -> Floats:
    """w_t = π(a_t|s_t) R."""
    return np.asarray(returns(batch)[:, None] * batch.probs[batch.states, batch.actions])


def last_step_only(batch: Batch) -> Floats:
    """w_t = G_t at t = L − 1, else 0."""
    return np.where(_is_last(batch), dropped_gamma(batch), 0.0)


def first_step_only(batch: Batch) -> Floats:
    """w_t = G_t at t = 0, else 0."""
    return np.asarray(np.where(np.arange(len(batch.outcomes)) == 0, dropped_gamma(batch), 0.0))


def without_first_steps(batch: Batch, steps: int = 1) -> Floats:
    """w_t = G_t, but 0 at the first steps."""
    return np.asarray(np.where(np.arange(len(batch.outcomes)) < steps, 0.0, dropped_gamma(batch)))


def return_without_last_step(batch: Batch) -> Floats:
    """w_t = R, but 0 at t = L − 1."""
    return np.where(_is_last(batch), 0.0, returns(batch)[:, None])


def _lengths(batch: Batch) -> Floats:
    """L, at least 1 `[N, 1]`."""
    return np.maximum(batch.lengths, 1)[:, None].astype(np.float64)


def _is_last(batch: Batch) -> Bools:
    """Whether t = L − 1 `[N, T]`."""
    return np.asarray(np.arange(len(batch.outcomes)) == batch.lengths[:, None] - 1)


REFERENCE = Candidate(per_decision)  # which is γ^t G_t where the policy itself drew the episodes


@dataclass(frozen=True, eq=False)
class _InPlaceOfG:
    """Weights that stand in place of G_t, and with which discounts they make mistakes of their own.

    Attributes:
      weights: w_t, before γ^t.
      cause: the key of the mistake's text.
      without_gamma_t: whether to leave out γ^t besides makes another mistake that is not listed by itself.
      without_discount: whether to leave out γ everywhere does; `weights` then takes the γ of the rewards.
    """

    weights: Callable[..., Floats]
    cause: str
    without_gamma_t: bool = True
    without_discount: bool = False


_IN_PLACE_OF_G = (
    _InPlaceOfG(undiscounted, "undiscounted", without_gamma_t=False),
    _InPlaceOfG(own_reward, "immediate-reward"),
    _InPlaceOfG(later_rewards, "off-by-one", without_discount=True),
    _InPlaceOfG(without_last_step, "last-step-missing", without_discount=True),
    _InPlaceOfG(without_last_reward, "last-reward-missing", without_discount=True),
    _InPlaceOfG(over_length, "length-normalised/length", without_discount=True),
    _InPlaceOfG(over_steps_to_go, "length-normalised/steps-to-go"),
    _InPlaceOfG(centred, "action-dependent-baseline/episode-mean"),
    _InPlaceOfG(discounted_from_the_end, "discount-from-the-end"),
    _InPlaceOfG(times_pi, "gradient-of-pi"),
    _InPlaceOfG(without_first_steps, "first-step-missing"),
    _InPlaceOfG(partial(without_first_steps, steps=2), "first-step-missing/two"),
    _InPlaceOfG(last_step_only, "last-step-only"),
    _InPlaceOfG(first_step_only, "first-step-only", without_gamma_t=False),
    _InPlaceOfG(reward_to_go, "discount-twice", without_gamma_t=False),
)

# The first that fits is named.
MISTAKES: tuple[Mistake, ...] = (
    Mistake(dropped_gamma, ("dropped-gamma",), "dropped-gamma"),
    *(Mistake(with_gamma_t(it.weights), (public_id(it.cause),), it.cause) for it in _IN_PLACE_OF_G),
    Mistake(mean_over_steps, ("length-normalised",), "length-normalised/return"),
    Mistake(undiscounted, ("undiscounted", "dropped-gamma"), "undiscounted/nothing"),
    *(
        Mistake(it.weights, (public_id(it.cause), "dropped-gamma"), it.cause, ("without-gamma-t",))
        for it in _IN_PLACE_OF_G
        if it.without_gamma_t
    ),
    *(
        Mistake(
            partial(it.weights, gamma=1.0), (public_id(it.cause), "undiscounted", "dropped-gamma"), it.cause,
            ("without-discount",),
        )
        for it in _IN_PLACE_OF_G
        if it.without_discount
    ),
    Mistake(mean_reward, ("length-normalised", "undiscounted"), "length-normalised/mean-reward"),
    Mistake(baseline_over_length, ("length-normalised",), "length-normalised/baseline"),
    Mistake(
        partial(baseline_over_length, gamma=1.0), ("length-normalised", "undiscounted", "dropped-gamma"),
        "length-normalised/baseline", ("without-discount",),
    ),
    Mistake(return_without_last_step, ("last-step-missing",), "last-step-missing/return"),
    Mistake(return_times_pi, ("gradient-of-pi",), "gradient-of-pi/return"),
)  # fmt: skip
