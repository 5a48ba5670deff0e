"""Agents of `libraries` that are no examples; each imports its library when it is called."""

from typing import Any

from pgcheck.agents import Agent, agent, sb3

PLAIN: dict[str, Any] = {
    "gamma": 1.0, "gae_lambda": 1.0, "max_grad_norm": 1e9, "seed": 0, "device": "cpu"
}  # fmt: skip


@agent
def two_environments(env: Any) -> Agent:
    """A2C over two environments, with one step from each."""
    import gymnasium
    from stable_baselines3 import A2C
    from stable_baselines3.common.vec_env import DummyVecEnv

    name = "pgcheck/two_state-v0"
    return sb3(A2C("MlpPolicy", DummyVecEnv([lambda: gymnasium.make(name)] * 2), n_steps=1, **PLAIN))


@agent
def contrib_ppo(env: Any) -> Agent:
    """PPO of sb3-contrib, which masks the actions that a state does not offer."""
    from sb3_contrib import MaskablePPO

    return sb3(MaskablePPO("MlpPolicy", env, n_steps=3, batch_size=3, normalize_advantage=False, **PLAIN))
