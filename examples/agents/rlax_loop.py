"""A loop in jax with rlax's policy-gradient loss: the update returns the gradient, in the shape of the parameters.

pgcheck verify examples/agents/rlax_loop.py:right
"""

import jax
import jax.numpy as jnp
import numpy as np
import rlax

from pgcheck.agents import Agent, agent


def logits(params, observations):
    hidden = jnp.tanh(observations @ params["in"]["w"] + params["in"]["b"])
    return hidden @ params["out"]["w"] + params["out"]["b"]


def beginning(width, actions):
    rng = np.random.default_rng(0)
    draw = lambda *shape: jnp.asarray(rng.normal(size=shape) / 2, jnp.float32)  # noqa: E731
    return {"in": {"w": draw(width, 8), "b": draw(8)}, "out": {"w": draw(8, actions), "b": draw(actions)}}


def episode(params, env, key):
    observations, actions, rewards, done = [], [], [], False
    observation, _ = env.reset()
    while not done:
        key, of_action = jax.random.split(key)
        action = int(jax.random.categorical(of_action, logits(params, jnp.asarray(observation))))
        observations.append(observation)
        actions.append(action)
        observation, reward, terminated, truncated, _ = env.step(action)
        rewards.append(reward)
        done = terminated or truncated
    return jnp.asarray(np.array(observations)), jnp.asarray(actions), np.array(rewards)


def gradient(params, env, key, gamma, divides):
    observations, actions, rewards = episode(params, env, key)
    returns = np.array([np.sum(rewards[t:] * gamma ** np.arange(len(rewards) - t)) for t in range(len(rewards))])
    advantages = jnp.asarray(gamma ** np.arange(len(rewards)) * returns, jnp.float32)

    def loss(params):  # policy_gradient_loss is the mean over the steps of the episode
        mean = rlax.policy_gradient_loss(
            logits(params, observations), actions, advantages, jnp.ones(len(rewards)), use_stop_gradient=True
        )
        return mean if divides else mean * len(rewards)

    return jax.tree.map(lambda g: -g, jax.grad(loss)(params))


def made(env, divides):
    params = beginning(env.observation_space.shape[0], int(env.action_space.n))
    key, gamma = jax.random.key(0), env.unwrapped.gamma
    return Agent(logits=logits, parameters=params, update=lambda: gradient(params, env, key, gamma, divides))


@agent(observation="one-hot")
def right(env):
    return made(env, divides=False)


@agent(observation="one-hot")
def as_it_comes(env):  # the loss as rlax returns it: each episode is divided by its own length
    return made(env, divides=True)
