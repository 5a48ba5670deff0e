"""Loops over environments that draw their own actions, and every run of such a loop with its record."""

from collections import defaultdict
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from pgcheck import MDP, Policy
from pgcheck.external.draws.answers import Answers, Draw, answered_by, asked
from tests import oracles

Path = tuple[tuple[tuple[int, int], ...], tuple[int, ...], float]  # (state, action) pairs, states, return
Law = dict[Path, float]
Step = tuple[Any, float, bool, bool, dict[str, Any]]


def every_run(loop: Callable[[], object]) -> Iterator[tuple[float, Answers]]:
    """Runs a loop once for each way in which its draws can come out: the probability of each, and its record."""
    told: list[Draw] = []
    while True:
        answers = Answers(told)
        with answered_by(answers):
            loop()
        yield answers.probability, answers
        draws = answers.draws
        while draws and draws[-1].following() is None:
            draws.pop()
        if not draws:
            return
        following = draws[-1].following()
        assert following is not None
        told = [*draws[:-1], Draw(draws[-1].probs, following)]


def seen_probs(mdp: MDP, policy: Policy) -> list[list[float]]:
    """π(a|o) of each observation that a state shows in which one acts; the first action anywhere else."""
    table = np.zeros((len(mdp.observations), mdp.num_actions))
    table[:, 0] = 1.0
    acting = ~mdp.terminal
    table[mdp.observation[acting]] = policy.probs()[acting]
    return table.tolist()


def episode(env: Any, probs: list[list[float]]) -> list[Step]:
    """One episode of an environment that shows numbers, with actions that the run's answers choose."""
    observation, _ = env.reset()
    steps: list[Step] = []
    over = False
    while not over:
        steps.append(env.step(asked().choose(probs[observation])))
        observation, _, terminated, truncated, _ = steps[-1]
        over = terminated or truncated
    return steps


def path_of(mdp: MDP, recorded: list[int]) -> Path:
    """A recorded episode as the oracle has it."""
    start, *outcomes = recorded
    pairs = tuple((int(mdp.state[k]), int(mdp.action[k])) for k in outcomes)
    returned = sum(mdp.gamma**t * float(mdp.reward[k]) for t, k in enumerate(outcomes))
    return pairs, (start, *(int(mdp.next_state[k]) for k in outcomes)), round(returned, 9)


def exact_law(mdp: MDP, policy: Policy) -> Law:
    """The probability of every episode, by plain recursion."""
    law: Law = defaultdict(float)
    for prob, returned, pairs, states in oracles.trajectories(mdp, policy):
        law[tuple(pairs), states, round(returned, 9)] += prob
    return dict(law)


def apart(law: dict[Any, float], other: dict[Any, float]) -> float:
    """The greatest difference of two laws in the probability of anything."""
    return max(abs(law.get(key, 0.0) - other.get(key, 0.0)) for key in law.keys() | other.keys())
