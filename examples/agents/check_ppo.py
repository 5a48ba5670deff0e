"""stable-baselines3's PPO as it is installed, at the first step of its first epoch: the ratios are 1 there.

pgcheck verify examples/agents/check_ppo.py:ppo two_state
"""

from stable_baselines3 import PPO

from pgcheck.agents import agent, sb3


@agent
def ppo(env):  # its defaults, with a short rollout that is one minibatch: standardised advantages, clipped norm
    return sb3(PPO("MlpPolicy", env, n_steps=3, batch_size=3, seed=0, device="cpu"))


@agent
def minibatches(env):  # the first of two minibatches, in each of the orders in which the buffer is shuffled
    return sb3(
        PPO(
            "MlpPolicy", env, n_steps=2, batch_size=1, normalize_advantage=False, gamma=1.0, gae_lambda=1.0,
            max_grad_norm=1e9, seed=0, device="cpu",
        ),
    )  # fmt: skip
