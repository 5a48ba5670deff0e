"""A tabular REINFORCE loop in torch, of which tests change one thing; and its expectation by plain enumeration."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from pgcheck import MDP
from pgcheck.arrays import Floats
from pgcheck.external.agent_source import AgentSource, Beginning, LocalAgent
from pgcheck.external.agents import Agent, AgentFunction
from pgcheck.external.lot import Lot

THETA = np.array([[0.3, -0.2], [-0.5, 0.1], [0.0, 0.0]])  # of the table, in the order of the states of two_state

Step = tuple[int, int, float]  # s_t, a_t, r_t


def table(dtype: Any = None) -> Any:
    """Returns a table of logits as an embedding; nothing is drawn for it."""
    import torch

    return torch.nn.Embedding.from_pretrained(torch.tensor(THETA, dtype=dtype or torch.float64), freeze=False)


def rollout(env: Any, policy: Any) -> tuple[Any, float]:
    """Plays one episode, and returns Σ log π(a_t|s_t) with its graph, and the discounted return."""
    import torch

    observation, _ = env.reset()
    log_prob, returns, factor, over = torch.zeros(()), 0.0, 1.0, False
    while not over:
        draw = torch.distributions.Categorical(logits=policy(torch.as_tensor(observation)))
        action = draw.sample()
        observation, reward, terminated, truncated, _ = env.step(action.item())
        log_prob = log_prob + draw.log_prob(action)
        returns, factor, over = returns + factor * reward, factor * env.unwrapped.gamma, terminated or truncated
    return log_prob, returns


def loss_of(env: Any, policy: Any) -> Any:
    """Returns −R Σ log π of one episode."""
    log_prob, returns = rollout(env, policy)
    return -returns * log_prob


def looping(update: Callable[[Any, Any], object], policy: Callable[[], Any] = table) -> AgentFunction:
    """Returns the agent whose update is called with the environment and the policy."""

    def made(env: Any) -> Agent:
        net = policy()
        return Agent(logits=net, parameters=net.parameters(), update=lambda: update(env, net))

    return AgentFunction(made)


def all_of(function: AgentFunction, mdp: MDP) -> tuple[Beginning, Lot]:
    """Returns what all runs of an agent show."""
    agent = LocalAgent(function)
    beginning = agent.begin(mdp)
    return beginning, whole(agent, 10_000)


def whole(agent: AgentSource, most: int) -> Lot:
    """Returns what all runs of an agent show that was taken to a model."""
    while True:
        cut = agent.cut(most)
        lots = [agent.walk(branch, k, cut.before, most) for k, branch in enumerate(cut.branches)]
        if not any(lot.anew for lot in lots):
            lot = Lot.of([cut.lot, *lots])
            assert lot.done
            return lot
        assert not cut.before.drawn


def episodes(mdp: MDP, logits: Floats) -> Iterator[tuple[float, list[Step]]]:
    """Yields each episode with its probability, by recursion over the rows of the model."""
    probs = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)

    def after(state: int, prob: float, steps: list[Step]) -> Iterator[tuple[float, list[Step]]]:
        if mdp.terminal[state] or len(steps) == mdp.horizon:
            yield prob, steps
            return
        for k in np.flatnonzero(mdp.state == state):
            action, following = int(mdp.action[k]), int(mdp.next_state[k])
            chance = prob * probs[state, action] * mdp.prob[k]
            grown = [*steps, (state, action, float(mdp.reward[k]))]
            if mdp.done[k]:
                yield chance, grown
            elif chance > 0:
                yield from after(following, chance, grown)

    for start in np.flatnonzero(mdp.start):
        yield from after(int(start), float(mdp.start[start]), [])


def reinforce(mdp: MDP, logits: Floats, steps: list[Step]) -> Floats:
    """Returns R Σ ∇log π(a_t|s_t) of an episode, in the shape of the table."""
    probs = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    score = np.zeros_like(logits)
    for state, action, _ in steps:
        score[state] -= probs[state]
        score[state, action] += 1.0
    return score * sum(mdp.gamma**t * reward for t, (_, _, reward) in enumerate(steps))


def expected(mdp: MDP, of_episode: Callable[[Floats], Floats] = lambda gradient: gradient) -> Floats:
    """Returns the expectation of a function of each episode's gradient, flat."""
    return sum(
        (prob * of_episode(reinforce(mdp, THETA, steps)) for prob, steps in episodes(mdp, THETA)),
        np.zeros_like(THETA),
    ).ravel()
