"""REINFORCE as tutorials have it: one network, one episode, one optimizer step.

pgcheck verify examples/agents/reinforce.py:reinforce
"""

import torch
from torch.distributions import Categorical

from pgcheck.agents import Agent, agent


def train_once(policy, optimizer, env, gamma, discounts_steps=True, standardises=False):
    log_probs, rewards, done = [], [], False
    state, _ = env.reset()
    while not done:
        distribution = Categorical(logits=policy(torch.as_tensor(state)))
        action = distribution.sample()
        log_probs.append(distribution.log_prob(action))
        state, reward, terminated, truncated, _ = env.step(action.item())
        rewards.append(reward)
        done = terminated or truncated
    returns, g = [], 0.0
    for reward in reversed(rewards):
        g = reward + gamma * g
        returns.insert(0, g)
    returns = torch.tensor(returns)
    if standardises:
        returns = (returns - returns.mean()) / (returns.std() + 1e-8)
    weights = gamma ** torch.arange(len(rewards)) if discounts_steps else torch.ones(len(rewards))
    loss = -(weights * returns * torch.stack(log_probs)).sum()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()


def trained(env, **options):
    torch.manual_seed(0)
    width, actions = env.observation_space.shape[0], int(env.action_space.n)
    policy = torch.nn.Sequential(torch.nn.Linear(width, 16), torch.nn.Tanh(), torch.nn.Linear(16, actions))
    optimizer = torch.optim.Adam(policy.parameters(), lr=1e-2)
    gamma = env.unwrapped.gamma
    return Agent(
        logits=policy,
        parameters=policy.parameters(),
        update=lambda: train_once(policy, optimizer, env, gamma, **options),
    )


@agent(observation="one-hot")
def reinforce(env):  # right
    return trained(env)


@agent(observation="one-hot")
def as_published(env):  # gamma^t is left out, as in most code that is published
    return trained(env, discounts_steps=False)


@agent(observation="one-hot")
def standardised(env):  # returns less their mean, divided by their deviation: NaN for an episode of one step
    return trained(env, discounts_steps=False, standardises=True)
