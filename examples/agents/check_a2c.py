"""stable-baselines3's A2C as it is installed: what does its first update follow?

pgcheck verify examples/agents/check_a2c.py:a2c two_state
"""

from stable_baselines3 import A2C

from pgcheck.agents import agent, sb3


@agent
def a2c(env):  # its defaults, apart from the number of steps: each step more makes about three times as many runs
    return sb3(A2C("MlpPolicy", env, n_steps=3, seed=0, device="cpu"))


@agent
def plain_a2c(env):  # without discount, GAE and clipping: what is left is the window of three steps
    return sb3(
        A2C("MlpPolicy", env, n_steps=3, gamma=1.0, gae_lambda=1.0, max_grad_norm=1e9, seed=0, device="cpu"),
    )


@agent(pad=True, time_limit="terminated")  # the window is one episode, which ends at the horizon
def whole_episodes(env):  # with --gamma 1 the gradient, divided by the number of steps
    horizon = env.unwrapped.horizon
    return sb3(
        A2C("MlpPolicy", env, n_steps=horizon, gamma=1.0, gae_lambda=1.0, max_grad_norm=1e9, seed=0, device="cpu"),
    )
