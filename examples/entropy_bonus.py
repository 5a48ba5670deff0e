"""An entropy bonus in two ways, one of which is the gradient of J + entropy H.

pgcheck verify examples/entropy_bonus.py:credits_later_entropy --entropy 0.01
pgcheck verify examples/entropy_bonus.py:credits_the_present_step --entropy 0.01
"""

import numpy as np


def credits_later_entropy(batch):
    """-log pi is a reward: an action is credited with the entropy of the states that it leads to."""
    weights = rewards_to_go(batch, batch.rewards - batch.entropy * log_pi(batch))
    return np.einsum("nt,nt...->n...", weights, batch.score)


def credits_the_present_step(batch):
    """What `loss -= coefficient * dist.entropy()` does in expectation: each step has the entropy of its own state."""
    bonus = -batch.entropy * discounts(batch) * log_pi(batch)
    weights = rewards_to_go(batch, batch.rewards) + bonus
    return np.einsum("nt,nt...->n...", weights, batch.score)


def rewards_to_go(batch, rewards):
    """gamma^t times the discounted rewards from step t on."""
    weighted = discounts(batch) * rewards * batch.mask
    return np.cumsum(weighted[:, ::-1], axis=1)[:, ::-1]


def log_pi(batch):
    return np.log(np.where(batch.mask, batch.probs[batch.states, batch.actions], 1))


def discounts(batch):
    return batch.gamma ** np.arange(batch.rewards.shape[1])
