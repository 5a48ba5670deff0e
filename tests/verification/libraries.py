"""Losses as well-known libraries write them, as functions of a batch, with the names that are due to them.

A critic that is not exact stands for a network. A twin is the same advantage without what the library does besides.
"""

import numpy as np

from pgcheck import Batch
from pgcheck.arrays import Ints
from tests.oracles import Floats
from tests.verification.slips import Case, entropy_gradient, exact_td, guess, right, rows
from tests.verification.zoo import to_go


def values(s: Ints) -> Floats:
    """What a critic says of states, by number."""
    return np.asarray(0.3 * s + 0.1)


def gae(batch: Batch, lam: float) -> Floats:
    """Advantages by one loop backwards; V(s') is that of the next row of `states`, and 0 once an episode is over."""
    v = values(batch.states)
    out = np.zeros(batch.rewards.shape)
    for i, length in enumerate(batch.lengths):
        last = 0.0
        for t in reversed(range(length)):
            after = 0.0 if t == length - 1 else v[i, t + 1]
            last = batch.rewards[i, t] + batch.gamma * after - v[i, t] + batch.gamma * lam * last
            out[i, t] = last
    return out


def over_steps(batch: Batch, each: Floats) -> Floats:
    """A mean over the steps of all episodes."""
    return np.asarray(each.sum(axis=0) / max(batch.lengths.sum(), 1))


def a2c(batch: Batch) -> Floats:
    """Minus the mean over steps of the log-probability times (G − V), and of the entropy."""
    loss = -rows(batch, to_go(batch) - guess(batch)) - 0.01 * entropy_gradient(batch).sum(axis=1)
    return over_steps(batch, loss)


def ppo(batch: Batch) -> Floats:
    """The first minibatch of an epoch, where every ratio is 1: λ = 0.95, an entropy bonus, a mean over steps."""
    return over_steps(batch, -rows(batch, gae(batch, 0.95)) - 0.01 * entropy_gradient(batch).sum(axis=1))


def ppo_by_episode(batch: Batch) -> Floats:
    """The same for one episode at a time: each is divided by its own length."""
    length = np.maximum(batch.lengths, 1).reshape(len(batch), *(1 for _ in batch.theta.shape))
    return np.asarray((rows(batch, gae(batch, 0.95)) + 0.01 * entropy_gradient(batch).sum(axis=1)) / length)


def vpg(batch: Batch) -> Floats:
    """Advantages with λ = 0.97 that are whitened over the buffer."""
    advantage = gae(batch, 0.97)
    each = advantage[batch.mask]
    advantage = np.where(batch.mask, (advantage - each.mean()) / (each.std() + 1e-8), 0.0)
    return over_steps(batch, -rows(batch, advantage))


def exact(batch: Batch) -> Floats:
    """TD errors of exact values."""
    return rows(batch, exact_td(batch))


LIBRARIES: dict[str, Case] = {
    "A2C": (a2c, {"length-normalised", "regulariser", "dropped-gamma", "sign"}, right),
    "PPO": (ppo, {"length-normalised", "bootstrap", "regulariser", "dropped-gamma", "sign"}, exact),
    "PPO, one episode at a time": (
        ppo_by_episode,
        {"length-normalised", "bootstrap", "regulariser", "dropped-gamma"},
        exact,
    ),
    "VPG": (vpg, {"nonlinear"}, exact),
}  # fmt: skip
