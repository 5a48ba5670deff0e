"""What an estimator is, and how weights of ∇log π(a_t|s_t) become gradients and means of them."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import numpy as np

from pgcheck.arrays import Floats, Ints
from pgcheck.trajectories.batch import Batch

ROWS = 2**20  # numbers that the gradients of some trajectories may take on the way

Bias = Literal["none", "vanishes", "wrong", "unknown"]
Weights = Callable[[Batch], Floats]


class Estimate(Protocol):
    """What an estimator is: a function from a batch to one gradient for each trajectory, or one for all of it."""

    def __call__(self, batch: Batch, /) -> Any:
        """Returns `[N, *theta.shape]` or `[*theta.shape]`: an array, or what can be made one."""


@dataclass(frozen=True, eq=False)
class Gradients:
    """What came back.

    Attributes:
      values: one gradient a row `[n, *theta.shape]`: for each episode, or for each whole batch.
      per_episode: which of the two.
      single: whether they came in single precision or less.
    """

    values: Floats
    per_episode: bool
    single: bool


class Caller(Protocol):
    """Whoever calls the estimator, here or in a process of its own."""

    name: str

    def whole(self, batch: Batch) -> Gradients:
        """Returns the answer to one batch."""

    def groups(self, batch: Batch, index: Ints) -> Gradients:
        """Returns the mean gradients of M batches of B episodes, whose numbers in `batch` are `index` `[M, B]`."""


@dataclass(frozen=True, eq=False)
class Estimator:
    """An estimator with what is known of it; called with a batch, it returns gradients as anybody's does.

    Attributes:
      name: what `--estimator` calls it.
      formula: of one rollout's estimate, or of the whole where it is no mean of them.
      bias: `none`, `vanishes` as N grows, `wrong`: it stays; or `unknown`.
      about: what it is, or what is wrong with it, in a few words.
      source: where it is described.
      weights: the function, of a built-in estimator.
      share: how much each of some trajectories counts in the mean, from a batch and how often each was drawn
        `[N]`; None for as often.
      once: whether a trajectory that was drawn several times counts once.
      off_policy: whether the rollouts are drawn by the model's `behavior`.
      lam: λ, of the one that has it.
      gradients: the function, of somebody's estimator: ĝ of each trajectory `[N, d]`.
      whole: the same, of one that makes one gradient of all rollouts `[d]`.
    """

    name: str
    formula: str
    bias: Bias
    about: str
    source: str
    weights: Weights | None
    share: Weights | None = None
    once: bool = False
    off_policy: bool = False
    lam: float | None = None
    gradients: Weights | None = None
    whole: Weights | None = None

    def __call__(self, batch: Batch) -> Floats:
        """Returns ĝ of each trajectory `[N, *theta.shape]`; one for all of them where it is no mean of these."""
        each = self.each(batch)
        if self.is_mean or not len(batch):
            return batch.shaped(each)
        share = self.shares(batch, np.ones(len(batch)))
        if self.once:
            first = np.unique(np.vstack([batch.starts, batch.outcomes]), axis=1, return_index=True)[1]
            each, share = each[first], share[first]
        return batch.shaped(share @ each / share.sum())

    def each(self, batch: Batch) -> Floats:
        """Returns ĝ of each trajectory by itself `[N, d]`."""
        if self.gradients is not None:
            return self.gradients(batch)
        parts = [self._some(batch, rows) for rows in _parts(batch)]
        return np.concatenate([np.zeros((0, len(batch.policy.theta))), *parts])

    @property
    def is_mean(self) -> bool:
        """Whether the estimate from N rollouts is the mean of N estimates."""
        return self.share is None and not self.once

    def shares(self, batch: Batch, counts: Floats) -> Floats:
        """Returns how much each trajectory counts in the mean `[N]`, if it was drawn so often `[N]`."""
        if self.once:
            return np.ones(len(batch))
        return counts if self.share is None else counts * self.share(batch)

    def total(self, batch: Batch, shares: Floats) -> Floats:
        """Returns Σ shares · ĝ over the trajectories `[d]`."""
        if self.weights is None:
            return shares @ self.each(batch)
        return batch.policy.pullback(self._through(batch, self.weights(batch), shares))

    def _through(self, batch: Batch, weights: Floats, shares: Floats) -> Floats:
        """Σ shares · weights through each (state, action) `[S, A]`."""
        mdp = batch.mdp
        if weights.ndim == 3:
            through = np.zeros((mdp.num_states + 1, mdp.num_actions))
            at = np.append(mdp.state, mdp.num_states)[batch.outcomes]
            for t, table in enumerate(weights):
                visits = np.bincount(at[t], weights=shares, minlength=len(through))[:-1]
                through[:-1] += visits[:, None] * table
            return through[:-1]
        flat = (weights.T * shares).ravel()
        by_outcome = np.bincount(batch.outcomes.ravel(), weights=flat, minlength=mdp.padding + 1)[: mdp.padding]
        pair = mdp.state * mdp.num_actions + mdp.action
        size = mdp.num_states * mdp.num_actions
        by_pair = np.bincount(pair, weights=by_outcome, minlength=size).astype(np.float64)
        return by_pair.reshape(mdp.num_states, mdp.num_actions)

    def _some(self, batch: Batch, rows: slice) -> Floats:
        """ĝ of some trajectories `[n, d]`."""
        some = batch.part(rows)
        n, mdp = len(some), batch.mdp
        assert self.weights is not None
        weights = self.weights(some)
        t, row = np.nonzero(some.outcomes != mdp.padding)
        outcome = some.outcomes[t, row]
        through = np.zeros((n, mdp.num_states, mdp.num_actions))
        if weights.ndim == 3:
            np.add.at(through, (row, mdp.state[outcome]), weights[t, mdp.state[outcome]])
        else:
            np.add.at(through, (row, mdp.state[outcome], mdp.action[outcome]), weights[row, t])
        return batch.policy.pullback(through)


def _parts(batch: Batch) -> list[slice]:
    """Cuts a batch so that weights for every (state, action) of each trajectory fit."""
    size = max(1, ROWS // (batch.num_states * batch.num_actions))
    return [slice(lo, lo + size) for lo in range(0, len(batch), size)]
