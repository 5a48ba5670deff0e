"""Episodes that another policy drew, as with a replay buffer or the last iteration's completions.

pgcheck verify examples/off_policy.py:ratio_of_the_step --off-policy
pgcheck verify examples/off_policy.py:ratios_up_to_the_reward --off-policy
"""

import numpy as np


def ratio_of_the_step(batch):
    """PPO's surrogate, or a loss with one ratio a token: rho_t A_t. Right only if the policy itself drew the data."""
    return weighted(batch, ratios(batch) * discounts(batch) * to_go(batch, batch.rewards))


def ratios_up_to_the_reward(batch):
    """Right: the reward of step k comes with rho_0 ... rho_k, as what led to it does."""
    corrected = np.cumprod(ratios(batch), axis=1) * batch.rewards
    return weighted(batch, discounts(batch) * to_go(batch, corrected))


def ratio_of_the_episode(batch):
    """Right too, with a larger variance: the whole return comes with the product of all ratios."""
    returns = (discounts(batch) * batch.rewards).sum(axis=1)
    return weighted(batch, (ratios(batch).prod(axis=1) * returns)[:, None] * batch.mask)


def clipped_ratio_of_the_episode(batch):
    """The same, truncated at 1.2: less variance, and biased."""
    returns = (discounts(batch) * batch.rewards).sum(axis=1)
    return weighted(batch, (np.minimum(ratios(batch).prod(axis=1), 1.2) * returns)[:, None] * batch.mask)


def ratios(batch):
    """pi(a_t|s_t) / b(a_t|s_t), b the policy that drew the episodes; 1 beyond an episode's end `[N, T]`."""
    with np.errstate(invalid="ignore"):
        ratio = batch.probs / batch.behavior_probs
    return np.where(batch.mask, ratio[batch.states, batch.actions], 1.0)


def discounts(batch):
    return batch.gamma ** np.arange(batch.rewards.shape[1])


def to_go(batch, rewards):
    """The discounted sum of these rewards from each step on `[N, T]`."""
    sums = np.array(rewards)
    for t in reversed(range(sums.shape[1] - 1)):
        sums[:, t] += batch.gamma * sums[:, t + 1]
    return sums


def weighted(batch, weights):
    """One gradient for each episode."""
    return np.einsum("nt,nt...->n...", weights, batch.score)
