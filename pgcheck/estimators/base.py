"""What an estimator is: one protocol; and the form of most of them, weights of ∇log π(a_t|s_t)."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import numpy as np

from pgcheck.arrays import Floats, Ints
from pgcheck.estimators.problem import Problem, RawMoments
from pgcheck.trajectories.batch import Batch

MAX_TABLE = 2**20  # numbers in the tables [n, S, A] of weights that are made together

Bias = Literal["none", "vanishes", "wrong", "unknown"]
Aggregation = Literal["mean", "ratio", "distinct", "batch"]
Weights = Callable[[Batch], Floats]


class Estimate(Protocol):
    """What a user writes: a function from a batch to one gradient for each trajectory, or one for all of them."""

    def __call__(self, batch: Batch, /) -> Any:
        """Returns `[N, *theta.shape]` or `[*theta.shape]`: an array, or what can be made one."""


class Estimator(Protocol):
    """An estimator of ∇J: called with a batch it returns gradients, and what is known of it stands beside it.

    Attributes:
      name: what reports call it.
      formula: of one rollout's estimate, or of the whole where it is no mean of them; may be empty.
      bias: `none`, `vanishes` as N grows, `wrong`: it stays; or `unknown`.
      about: what it is, or what is wrong with it, in a few words; may be empty.
      source: where it is described; may be empty.
      aggregation: how N rollouts become one estimate. `mean`: (1/N) Σ ĝ(τ_i); `ratio`: Σ w_i ĝ(τ_i) / Σ w_i, for
        the weights of `shares`; `distinct`: the mean over the distinct trajectories; `batch`: the estimator makes
        one gradient of all rollouts together.
      off_policy: whether the rollouts are drawn by the model's `behavior`.
      mean_of_few: whether it makes of a batch of a few episodes the mean of what it makes of each alone.
      needs_paths: whether it looks at trajectories; if not, it is the mean of R Σ_t ∇log π(a_t|s_t).
      lam: λ, of an estimator that has it.
    """

    @property
    def name(self) -> str: ...
    @property
    def formula(self) -> str: ...
    @property
    def bias(self) -> Bias: ...
    @property
    def about(self) -> str: ...
    @property
    def source(self) -> str: ...
    @property
    def aggregation(self) -> Aggregation: ...
    @property
    def mean_of_few(self) -> bool: ...
    @property
    def off_policy(self) -> bool: ...
    @property
    def needs_paths(self) -> bool: ...
    @property
    def lam(self) -> float | None: ...

    def __call__(self, batch: Batch, /) -> Floats:
        """Returns one gradient for each trajectory `[N, *theta.shape]`, or one for all `[*theta.shape]`.

        The numbers are float64, or float32 where they were computed in single precision.
        """

    def of_batches(self, batch: Batch, index: Ints) -> Floats:
        """Returns the gradients of M batches `[M, *theta.shape]`; `index` `[M, B]` numbers their episodes in `batch`.

        That of one batch is what the estimator makes of it alone: its gradient, or the mean of its episodes' ones.
        """

    def each(self, batch: Batch) -> Floats:
        """Returns ĝ of each trajectory by itself `[N, d]`; of no use where `aggregation` is `batch`."""

    def shares(self, batch: Batch, counts: Floats) -> Floats:
        """Returns how much each trajectory counts in the estimate `[N]`, if it was drawn so often `[N]`."""

    def weighted_sum(self, batch: Batch, shares: Floats) -> Floats:
        """Returns Σ shares · ĝ over the trajectories `[d]`."""

    def second_moments(self, problem: Problem) -> RawMoments | None:
        """Returns E[ĝ] and E[ĝ ĝᵀ] by a recursion over time and states; None where there is none."""


@dataclass(frozen=True, eq=False)
class Gradients:
    """What an estimator returned, in double precision.

    Attributes:
      values: one gradient a row `[n, *theta.shape]`: for each episode, or one for the whole batch.
      per_episode: which of the two.
      single: whether they were computed in single precision.
    """

    values: Floats
    per_episode: bool
    single: bool


def is_per_episode(array: Floats, batch: Batch) -> bool:
    """Whether an estimator's result holds a gradient for each episode, or else one for the whole batch."""
    return array.ndim > batch.theta.ndim


def gradients(estimator: Estimator, batch: Batch) -> Gradients:
    """Returns what an estimator makes of a batch."""
    array = estimator(batch)
    per_episode = is_per_episode(array, batch)
    values = (array if per_episode else array[None]).astype(np.float64, copy=False)
    return Gradients(values, per_episode, array.dtype.itemsize < 8)


@dataclass(frozen=True, eq=False)
class WeightedScores:
    """An estimator Σ_t w_t ∇log π(a_t|s_t), or Σ_t Σ_a w_t(s_t, a) ∇log π(a|s_t), as a function that gives w.

    Attributes:
      name, formula, bias, about, source, aggregation, mean_of_few, off_policy, needs_paths, lam: as in `Estimator`.
      weights: from a batch to w_t `[N, T]`, or to a table w_t(s, a) `[T, S, A]` where only t and s_t matter. What
        stands beyond a trajectory's end is ignored.
      recursion: its first two moments at any horizon, if a recursion is known.
      share: for a ratio, from a batch to w_i `[N]`.
    """

    name: str
    formula: str
    bias: Bias
    about: str
    source: str
    weights: Weights
    recursion: Callable[[Problem], RawMoments] | None = None
    aggregation: Aggregation = "mean"
    share: Weights | None = None
    mean_of_few: bool = False  # pgcheck's own are known by their formulas
    off_policy: bool = False
    needs_paths: bool = True
    lam: float | None = None

    def __call__(self, batch: Batch, /) -> Floats:
        """Returns ĝ of each trajectory `[N, *theta.shape]`; one for all of them where it is no mean of these."""
        each = self.each(batch)
        if self.aggregation == "mean" or not len(batch):
            return batch.shaped(each)
        return batch.shaped(self._combined(batch, each, np.arange(len(batch))))

    def of_batches(self, batch: Batch, index: Ints) -> Floats:
        """Returns the gradients of M batches `[M, *theta.shape]`; `index` `[M, B]` numbers their episodes."""
        each = self.each(batch)
        if self.aggregation == "mean":
            return batch.shaped(each[index].mean(axis=1))
        if self.aggregation == "ratio":
            share = self.shares(batch, np.ones(len(batch)))[index]
            return batch.shaped(np.einsum("mb,mbd->md", share, each[index]) / share.sum(axis=1)[:, None])
        return batch.shaped(np.stack([self._combined(batch, each, rows) for rows in index]))

    def each(self, batch: Batch) -> Floats:
        """Returns ĝ of each trajectory by itself `[N, d]`."""
        return score_sums(batch, self.weights)

    def shares(self, batch: Batch, counts: Floats) -> Floats:
        """Returns how much each trajectory counts in the estimate `[N]`, if it was drawn so often `[N]`."""
        if self.aggregation == "distinct":
            return np.ones(len(batch))
        return counts if self.share is None else counts * self.share(batch)

    def weighted_sum(self, batch: Batch, shares: Floats) -> Floats:
        """Returns Σ shares · ĝ over the trajectories `[d]`."""
        return weighted_score_sum(batch, self.weights, shares)

    def second_moments(self, problem: Problem) -> RawMoments | None:
        """Returns E[ĝ] and E[ĝ ĝᵀ] by the estimator's recursion; None where it has none."""
        return None if self.recursion is None else self.recursion(problem)

    def _combined(self, batch: Batch, each: Floats, rows: Ints) -> Floats:
        """The estimate `[d]` from some of the trajectories, each of which was drawn as often as it stands there."""
        if self.aggregation == "distinct":
            rows = rows[np.unique(np.vstack([batch.starts, batch.outcomes])[:, rows], axis=1, return_index=True)[1]]
        share = self.shares(batch, np.ones(len(batch)))[rows]
        return np.asarray(share @ each[rows] / share.sum())


def score_sums(batch: Batch, weights: Weights) -> Floats:
    """Returns Σ_t w_t ∇log π(a_t|s_t) of each trajectory `[N, d]`."""
    size = max(1, MAX_TABLE // (batch.num_states * batch.num_actions))
    parts = [_score_sums(batch.part(slice(lo, lo + size)), weights) for lo in range(0, len(batch), size)]
    return np.concatenate([np.zeros((0, len(batch.policy.theta))), *parts])


def weighted_score_sum(batch: Batch, weights: Weights, shares: Floats) -> Floats:
    """Returns Σ_i shares_i Σ_t w_t ∇log π(a_t|s_t) over the trajectories `[d]`, without making one gradient each."""
    mdp, weight = batch.mdp, weights(batch)
    if weight.ndim == 3:
        # By state: how much is there at step t, times the table of step t; a row more for what has ended.
        by_state = np.zeros((mdp.num_states + 1, mdp.num_actions))
        state = np.append(mdp.state, mdp.num_states)[batch.outcomes]
        for t, table in enumerate(weight):
            visits = np.bincount(state[t], weights=shares, minlength=len(by_state))[:-1]
            by_state[:-1] += visits[:, None] * table
        return batch.policy.pullback(by_state[:-1])
    flat = (weight.T * shares).ravel()
    by_outcome = np.bincount(batch.outcomes.ravel(), weights=flat, minlength=mdp.padding + 1)[: mdp.padding]
    pair = mdp.state * mdp.num_actions + mdp.action
    by_pair = np.bincount(pair, weights=by_outcome, minlength=mdp.num_states * mdp.num_actions).astype(np.float64)
    return batch.policy.pullback(by_pair.reshape(mdp.num_states, mdp.num_actions))


def _score_sums(batch: Batch, weights: Weights) -> Floats:
    """`score_sums` of so few trajectories that their tables `[n, S, A]` fit."""
    mdp, weight = batch.mdp, weights(batch)
    t, row = np.nonzero(batch.outcomes != mdp.padding)
    outcome = batch.outcomes[t, row]
    through = np.zeros((len(batch), mdp.num_states, mdp.num_actions))
    if weight.ndim == 3:
        np.add.at(through, (row, mdp.state[outcome]), weight[t, mdp.state[outcome]])
    else:
        np.add.at(through, (row, mdp.state[outcome], mdp.action[outcome]), weight[row, t])
    return batch.policy.pullback(through)
