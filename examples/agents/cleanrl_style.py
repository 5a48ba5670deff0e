"""PPO in one script, in the manner of CleanRL: it makes its network and its environments when it is run.

pgcheck verify examples/agents/cleanrl_style.py:ppo two_state

The script itself is below the line; `script` runs this file as a program.
"""

import argparse
import sys

import gymnasium
import numpy as np
import torch
from torch import nn
from torch.distributions import Categorical

SETTINGS = ["--env-id", "pgcheck/two_state-v0", "--updates", "1", "--num-steps", "3", "--gamma", "0.9"]


def checked(env, *options):
    from pgcheck.agents import script

    return script(
        __file__,
        argv=[*SETTINGS, *options],
        logits=lambda variables, observations: variables["network"].actor(observations),
        parameters=lambda variables: variables["network"].named_parameters(),
        values=lambda variables, observations: variables["network"].critic(observations),
    )


if __name__ != "__main__":
    from pgcheck.agents import agent

    @agent(observation="one-hot")
    def ppo(env):
        return checked(env)

    @agent(observation="one-hot")
    def plain(env):  # without GAE, standardised advantages, entropy and clipping
        return checked(env, "--gae-lambda", "1", "--plain-advantages", "--entropy", "0", "--max-norm", "1e9")


# ---------------------------------------------------------------------------------------------


class Network(nn.Module):
    def __init__(self, envs):
        super().__init__()
        width, actions = envs.single_observation_space.shape[0], int(envs.single_action_space.n)
        self.actor = nn.Sequential(nn.Linear(width, 16), nn.Tanh(), nn.Linear(16, actions))
        self.critic = nn.Sequential(nn.Linear(width, 16), nn.Tanh(), nn.Linear(16, 1))


def advantages_of(rewards, values, dones, next_value, next_done, gamma, gae_lambda):
    advantages, last = torch.zeros_like(rewards), 0.0
    for t in reversed(range(len(rewards))):
        goes_on = 1.0 - (dones[t + 1] if t + 1 < len(rewards) else next_done)
        following = values[t + 1] if t + 1 < len(rewards) else next_value
        delta = rewards[t] + gamma * following * goes_on - values[t]
        advantages[t] = last = delta + gamma * gae_lambda * goes_on * last
    return advantages


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--env-id", default="CartPole-v1")
    parser.add_argument("--num-steps", type=int, default=128)
    parser.add_argument("--updates", type=int, default=1000)
    parser.add_argument("--gamma", type=float, default=0.99)
    parser.add_argument("--gae-lambda", type=float, default=0.95)
    parser.add_argument("--entropy", type=float, default=0.01)
    parser.add_argument("--max-norm", type=float, default=0.5)
    parser.add_argument("--plain-advantages", action="store_true")
    args = parser.parse_args(sys.argv[1:])
    torch.manual_seed(1)
    envs = gymnasium.vector.SyncVectorEnv([lambda: gymnasium.make(args.env_id)])
    network = Network(envs)
    optimizer = torch.optim.Adam(network.parameters(), lr=2.5e-4, eps=1e-5)
    steps = args.num_steps
    observation, done = torch.as_tensor(envs.reset(seed=1)[0], dtype=torch.float32), torch.zeros(1)
    for _ in range(args.updates):
        observations, actions = torch.zeros(steps, *observation.shape), torch.zeros(steps, 1, dtype=torch.int64)
        log_probs, rewards, dones, values = (torch.zeros(steps, 1) for _ in range(4))
        for t in range(steps):
            observations[t], dones[t] = observation, done
            with torch.no_grad():
                distribution = Categorical(logits=network.actor(observation))
                actions[t] = distribution.sample()
                log_probs[t], values[t] = distribution.log_prob(actions[t]), network.critic(observation).flatten()
            shown, reward, terminated, truncated, _ = envs.step(actions[t].numpy())
            observation = torch.as_tensor(shown, dtype=torch.float32)
            rewards[t] = torch.as_tensor(reward, dtype=torch.float32)
            done = torch.as_tensor(np.logical_or(terminated, truncated), dtype=torch.float32)
        with torch.no_grad():
            next_value = network.critic(observation).flatten()
        advantages = advantages_of(rewards, values, dones, next_value, done, args.gamma, args.gae_lambda)
        targets, weights = advantages + values, advantages
        if not args.plain_advantages:
            weights = (weights - weights.mean()) / (weights.std() + 1e-8)
        distribution = Categorical(logits=network.actor(observations))
        ratio = (distribution.log_prob(actions) - log_probs).exp()
        policy_loss = torch.max(-weights * ratio, -weights * ratio.clamp(0.8, 1.2)).mean()
        value_loss = 0.5 * (network.critic(observations).squeeze(-1) - targets).square().mean()
        optimizer.zero_grad()
        (policy_loss - args.entropy * distribution.entropy().mean() + 0.5 * value_loss).backward()
        nn.utils.clip_grad_norm_(network.parameters(), args.max_norm)
        optimizer.step()
