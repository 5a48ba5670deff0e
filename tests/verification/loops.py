"""Training loops in NumPy that sample for themselves: right ones, and their twins with one thing wrong.

Each is made of how it collects steps, how it weights them, and what it divides by and adds.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from pgcheck.agents import Agent, AgentFunction, agent

VALUES = (0.7, -0.4, 1.3, 0.2, 0.9, -1.1, 0.5, 0.3)  # a critic's, by the number of the observation


@dataclass
class Step:
    """What a loop keeps of a step: `done` as it is told, and whether the time limit was the reason."""

    state: int
    action: int
    reward: float
    next_state: int
    done: bool
    truncated: bool
    t: int  # within its episode


Weights = Callable[[list[list[Step]], float], list[list[float]]]


def softmax(row: Any) -> Any:
    weights = np.exp(row - row.max())
    return weights / weights.sum()


def to_go(rewards: list[float], gamma: float) -> list[float]:
    """G_t."""
    total, out = 0.0, []
    for reward in reversed(rewards):
        total = reward + gamma * total
        out.append(total)
    return out[::-1]


def right(episodes: list[list[Step]], gamma: float) -> list[list[float]]:
    """γ^t G_t."""
    return [[gamma**t * g for t, g in enumerate(to_go([it.reward for it in episode], gamma))] for episode in episodes]


def dropped_gamma(episodes: list[list[Step]], gamma: float) -> list[list[float]]:
    return [to_go([it.reward for it in episode], gamma) for episode in episodes]


def undiscounted(episodes: list[list[Step]], gamma: float) -> list[list[float]]:
    return dropped_gamma(episodes, 1.0)


def over_own_length(episodes: list[list[Step]], gamma: float) -> list[list[float]]:
    return [[w / len(ws) for w in ws] for ws in right(episodes, gamma)]


def minus(episodes: list[list[Step]], gamma: float) -> list[list[float]]:
    return [[-w for w in ws] for ws in right(episodes, gamma)]


def times_constant(episodes: list[list[Step]], gamma: float) -> list[list[float]]:
    return [[0.37 * w for w in ws] for ws in right(episodes, gamma)]


def times_constant_without_gamma(episodes: list[list[Step]], gamma: float) -> list[list[float]]:
    return [[0.37 * w for w in ws] for ws in dropped_gamma(episodes, gamma)]


def growing(episodes: list[list[Step]], gamma: float) -> list[list[float]]:
    """Nobody does this."""
    return [[it.reward * (it.t + 1) for it in episode] for episode in episodes]


def centred_over_run(episodes: list[list[Step]], gamma: float) -> list[list[float]]:
    flat = [w for ws in dropped_gamma(episodes, gamma) for w in ws]
    return _like([w - sum(flat) / len(flat) for w in flat], episodes)


def leaking(episodes: list[list[Step]], gamma: float) -> list[list[float]]:
    """The returns run on into the next episode."""
    flat = to_go([it.reward for episode in episodes for it in episode], gamma)
    return _like(flat, episodes)


def standardised(episodes: list[list[Step]], gamma: float) -> list[list[float]]:
    flat = np.array([w for ws in dropped_gamma(episodes, gamma) for w in ws])
    return _like(list((flat - flat.mean()) / (flat.std() + 1e-8)), episodes)


def standardised_by_torch(episodes: list[list[Step]], gamma: float) -> list[list[float]]:
    """Of an episode of one step this is no number."""
    with np.errstate(all="ignore"):
        return [
            list((np.array(ws) - np.mean(ws)) / (np.std(ws, ddof=1) + 1e-8)) for ws in dropped_gamma(episodes, gamma)
        ]


def squared(episodes: list[list[Step]], gamma: float) -> list[list[float]]:
    return [[w * abs(w) for w in ws] for ws in right(episodes, gamma)]


def baselined(episodes: list[list[Step]], gamma: float) -> list[list[float]]:
    """Less a value of the state, which changes nothing."""
    return [
        [w - VALUES[it.state] for w, it in zip(ws, episode, strict=True)]
        for ws, episode in zip(right(episodes, gamma), episodes, strict=True)
    ]


def generalised(
    lam: float = 1.0, discount: float | None = None, *, at_limit: bool = True, at_end: bool = True
) -> Weights:
    """Returns generalised advantages, with the values where the time limit or the buffer cuts an episode."""

    def weights(episodes: list[list[Step]], gamma: float) -> list[list[float]]:
        g = gamma if discount is None else discount
        out = []
        for episode in episodes:
            last, advantages = 0.0, []
            for k in reversed(range(len(episode))):
                it = episode[k]
                goes_on = not it.done or (it.truncated and at_limit)
                if not it.done and k == len(episode) - 1:
                    goes_on = at_end
                delta = it.reward + g * VALUES[it.next_state] * goes_on - VALUES[it.state]
                last = delta + g * lam * last * (k < len(episode) - 1)
                advantages.append(last)
            out.append(advantages[::-1])
        return out

    return weights


def _like(flat: list[float], episodes: list[list[Step]]) -> list[list[float]]:
    it = iter(flat)
    return [[next(it) for _ in episode] for episode in episodes]


def made(
    weights: Weights = right,
    *,
    episodes: int = 1,
    steps: int | None = None,
    until: int | None = None,
    over: str = "episodes",
    entropy: float = 0.0,
    decay: float = 0.0,
    explore: float = 0.0,
    ended_only: bool = False,
    time_limit: Any = "truncated",
) -> AgentFunction:
    """Returns an agent.

    Args:
      weights: of the steps of the episodes of a run.
      episodes: how many a run has; or `steps`: of how many steps the buffer is; or `until`: so many steps at least.
      over: what the sum is divided by.
      entropy, decay: the coefficients of an entropy bonus and of weight decay.
      explore: the probability by which an action is drawn without the policy.
      ended_only: whether episodes that the buffer cuts are left out.
      time_limit: of the environment.
    """

    @agent(time_limit=time_limit)
    def loop(env: Any) -> Agent:
        rng = np.random.default_rng(0)
        n, m = int(env.observation_space.n), int(env.action_space.n)
        theta = np.linspace(-0.4, 0.5, n * m).reshape(n, m) ** 2
        gamma = float(env.unwrapped.gamma)

        def collected() -> list[list[Step]]:
            out: list[list[Step]] = []
            total = 0
            while True:
                state, _ = env.reset()
                out.append([])
                done = False
                while not done:
                    probs = (1 - explore) * softmax(theta[state]) + explore / m
                    action = int(rng.choice(m, p=probs))
                    following, reward, terminated, truncated, _ = env.step(action)
                    done = terminated or truncated
                    out[-1].append(
                        Step(int(state), action, float(reward), int(following), done, truncated, len(out[-1]))
                    )
                    state, total = following, total + 1
                    if total == steps:
                        return out
                if (until is not None and total >= until) or (
                    steps is None and until is None and len(out) == episodes
                ):
                    return out

        def update() -> Any:
            runs = collected()
            if ended_only:
                runs = [episode for episode in runs if episode[-1].done]
            total = np.zeros_like(theta)
            for episode, ws in zip(runs, weights(runs, gamma), strict=True):
                for it, w in zip(episode, ws, strict=True):
                    pi = softmax(theta[it.state])
                    total[it.state] -= w * pi
                    total[it.state, it.action] += w
                    total[it.state] -= entropy * pi * (np.log(pi) - pi @ np.log(pi))
            divisor = {
                "episodes": len(runs), "steps": sum(map(len, runs)), "nothing": 1,
                "horizon": len(runs) * env.unwrapped.mdp.horizon,
            }[over]  # fmt: skip
            return total / max(divisor, 1) - decay * theta

        return Agent(
            logits=lambda parameters, observations: parameters[observations], parameters=theta, update=update
        )

    return loop
