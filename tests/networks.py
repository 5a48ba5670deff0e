"""A small network in plain NumPy, for complex numbers too: the oracle of networks in torch and jax."""

import itertools
from typing import Any

import numpy as np

from pgcheck import MDP
from pgcheck.arrays import Floats
from pgcheck.model.parametric import Network
from tests import oracles

Numbers = np.ndarray[Any, np.dtype[Any]]  # real or complex

WIDTH = 3  # of the hidden layer


def shapes(mdp: MDP) -> dict[str, tuple[int, ...]]:
    """Of the parameters, by name, as torch names and orders them."""
    return {
        "0.weight": (WIDTH, mdp.num_states), "0.bias": (WIDTH,),
        "2.weight": (mdp.num_actions, WIDTH), "2.bias": (mdp.num_actions,),
    }  # fmt: skip


def random_theta(mdp: MDP, seed: int) -> Floats:
    return np.random.default_rng(seed).normal(0, 0.7, sum(int(np.prod(shape)) for shape in shapes(mdp).values()))


def split(mdp: MDP, theta: Numbers) -> dict[str, Numbers]:
    """The parameters by name."""
    arrays: dict[str, Numbers] = {}
    at = 0
    for name, shape in shapes(mdp).items():
        size = int(np.prod(shape))
        arrays[name] = theta[at : at + size].reshape(shape)
        at += size
    return arrays


def rows(mdp: MDP) -> Floats:
    """What the network sees: states that share an observation show the row of the first of them."""
    first = [list(mdp.observation).index(o) for o in mdp.observation]
    return np.eye(mdp.num_states)[first]


def logits(mdp: MDP, theta: Numbers) -> Numbers:
    """The logit of each action in each state `[S, A]`."""
    w = split(mdp, theta)
    hidden = np.tanh(rows(mdp) @ w["0.weight"].T + w["0.bias"])
    return np.asarray(hidden @ w["2.weight"].T + w["2.bias"])


def probs(mdp: MDP, theta: Numbers) -> dict[tuple[int, int], complex]:
    """π(a|s) of each pair, from possibly complex parameters."""
    table: dict[tuple[int, int], complex] = {}
    for s, odds in enumerate(np.exp(logits(mdp, theta))):
        total = sum(odds[a] for a in range(mdp.num_actions) if mdp.available[s, a])
        table |= {(s, a): complex(odds[a] / total) for a in range(mdp.num_actions) if mdp.available[s, a]}
    return table


def value(mdp: MDP, theta: Numbers) -> complex:
    """J(θ) with entropy and KL, by backward induction in plain Python."""
    pi, table = probs(mdp, theta), oracles.outcomes(mdp)
    v: list[complex] = [0.0] * mdp.num_states
    for _ in range(mdp.horizon):
        v = [
            sum(pi[s, a] * p * (r + (0.0 if ends else mdp.gamma * v[t])) for a, t, p, r, ends in row)
            - mdp.entropy * sum(pi[s, a] * np.log(pi[s, a]) for a in range(mdp.num_actions) if (s, a) in pi)
            for s, row in enumerate(table)
        ]
    return sum(complex(p) * x for p, x in zip(mdp.start.tolist(), v, strict=True))


def complex_step(mdp: MDP, theta: Floats) -> Floats:
    """∇J as Im J(θ + i h e_k) / h."""
    return np.array([value(mdp, theta + 1e-30j * unit).imag / 1e-30 for unit in np.eye(len(theta))])


def score(mdp: MDP, theta: Floats, s: int, a: int) -> Floats:
    """∇log π(a|s) `[d]`, by complex step."""
    steps = [probs(mdp, theta + 1e-30j * unit)[s, a] for unit in np.eye(len(theta))]
    return np.array([np.log(p).imag / 1e-30 for p in steps])


def trajectories(mdp: MDP, theta: Floats) -> list[tuple[float, list[tuple[int, int, float]]]]:
    """Every trajectory by plain recursion: its probability, and (state, action, reward) of each step."""
    pi, table = probs(mdp, theta), oracles.outcomes(mdp)
    found: list[tuple[float, list[tuple[int, int, float]]]] = []

    def go(s: int, prob: float, steps: list[tuple[int, int, float]], over: bool) -> None:
        if over or len(steps) == mdp.horizon:
            found.append((prob, steps))
            return
        for a, t, p, r, ends in table[s]:
            go(t, prob * p * pi[s, a].real, [*steps, (s, a, r)], ends)

    for s in np.flatnonzero(mdp.start):
        go(int(s), float(mdp.start[s]), [], bool(mdp.terminal[s]))
    return found


def covariance(mdp: MDP, theta: Floats) -> tuple[Floats, Floats]:
    """E[ĝ] and Cov ĝ of REINFORCE, one trajectory at a time."""
    size = len(theta)
    pairs = itertools.product(range(mdp.num_states), range(mdp.num_actions))
    scores = {(s, a): score(mdp, theta, s, a) for s, a in pairs if mdp.available[s, a]}
    mean, second = np.zeros(size), np.zeros((size, size))
    for prob, steps in trajectories(mdp, theta):
        ret = sum(mdp.gamma**t * r for t, (_, _, r) in enumerate(steps))
        estimate = ret * sum((scores[s, a] for s, a, _ in steps), np.zeros(size))
        mean += prob * estimate
        second += prob * np.outer(estimate, estimate)
    return mean, second - np.outer(mean, mean)


class PlainNetwork(Network):
    """The network as a policy of pgcheck, for tests that need neither torch nor jax."""

    single = False

    def __init__(self, mdp: MDP, theta: Floats) -> None:
        self.shapes, self.observations = shapes(mdp), rows(mdp)
        steps = [logits(mdp, theta + 1e-30j * unit).imag / 1e-30 for unit in np.eye(len(theta))]
        self._slopes = np.moveaxis(np.array(steps), 0, -1)
        self._settle(mdp, theta.copy(), logits(mdp, theta).real)

    def present_theta(self) -> Floats:
        return self.theta

    def logits_of(self, parameters: Any) -> Any:
        raise NotImplementedError

    def _backward(self, weights: Floats) -> Floats:
        return np.asarray(np.einsum("sa,sad->d", weights, self._slopes))

    def _derivatives(self) -> Floats:
        return self._slopes
