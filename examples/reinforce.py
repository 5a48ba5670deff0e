"""REINFORCE as one writes it, and the same with three real bugs.

pgcheck verify examples/reinforce.py:reinforce
pgcheck verify examples/reinforce.py:forgets_the_discount
"""

import numpy as np


def reinforce(batch):
    """Right: each step is weighted by γ^t G_t, the discounted rewards from there on."""
    gradients = []
    for episode in batch:
        gradient = np.zeros(batch.theta.shape)
        reward_to_go = 0.0
        for t in reversed(range(len(episode.rewards))):
            reward_to_go = episode.rewards[t] + batch.gamma * reward_to_go
            gradient += batch.gamma**t * reward_to_go * score(batch, episode.states[t], episode.actions[t])
        gradients.append(gradient)
    return gradients


def forgets_the_discount(batch):
    """The most disputed line of REINFORCE: γ^t is missing."""
    gradients = []
    for episode in batch:
        gradient = np.zeros(batch.theta.shape)
        reward_to_go = 0.0
        for t in reversed(range(len(episode.rewards))):
            reward_to_go = episode.rewards[t] + batch.gamma * reward_to_go
            gradient += reward_to_go * score(batch, episode.states[t], episode.actions[t])
        gradients.append(gradient)
    return gradients


def averages_over_steps(batch):
    """`loss.mean()` over all steps, where the sum over an episode is meant."""
    discount = batch.gamma ** np.arange(batch.rewards.shape[1])
    returns = (batch.rewards * discount).sum(axis=1)
    scores = np.einsum("n,nt...->...", returns, batch.score)
    return scores / batch.mask.sum()


def subtracts_its_own_return(batch):
    """The mean return of the batch as baseline: each episode's own return is part of it."""
    discount = batch.gamma ** np.arange(batch.rewards.shape[1])
    returns = (batch.rewards * discount).sum(axis=1)
    advantages = returns - returns.mean()
    return np.einsum("n,nt...->...", advantages, batch.score) / len(batch)


def leaves_one_out(batch):
    """The last one mended: the baseline of an episode is the mean of the others."""
    n = len(batch)
    discount = batch.gamma ** np.arange(batch.rewards.shape[1])
    returns = (batch.rewards * discount).sum(axis=1)
    baseline = (returns.sum() - returns) / max(n - 1, 1)
    return np.einsum("n,nt...->...", returns - baseline, batch.score) / n


def score(batch, state, action):
    """∇log π(a|s) in the shape of theta: a table of preferences, or flat, as where states look alike."""
    gradient = np.zeros(batch.theta.shape)
    if batch.theta.ndim == 2:
        gradient[state] = -batch.probs[state]
        gradient[state, action] += 1
    else:
        weights = np.zeros(batch.probs.shape)
        weights[state, action] = 1
        gradient = batch.policy.pullback(weights)
    return gradient
