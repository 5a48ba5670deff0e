"""The built-in estimators once more, as one writes them on paper: loops over one episode, no code of the package."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from pgcheck import MDP, Policy
from tests import oracles
from tests.oracles import Floats


@dataclass(frozen=True)
class Plain:
    """One episode: its probability under whoever acted, and s_0 a_0 r_0 …; `ended` unless the horizon cut it."""

    prob: float
    states: list[int]
    actions: list[int]
    rewards: list[float]
    ended: bool


def episodes(mdp: MDP, actor: Policy) -> Iterator[Plain]:
    probs, table = oracles.softmax(actor, [complex(x) for x in actor.theta]), oracles.outcomes(mdp)

    def go(prob: float, states: list[int], actions: list[int], rewards: list[float], over: bool) -> Iterator[Plain]:
        if over or len(actions) == mdp.horizon:
            yield Plain(prob, states, actions, rewards, over)
            return
        s = states[-1]
        for a, nxt, p, r, ends in table[s]:
            yield from go(prob * probs[s, a].real * p, [*states, nxt], [*actions, a], [*rewards, r], ends)

    for s in range(mdp.num_states):
        if mdp.start[s] > 0:
            yield from go(float(mdp.start[s]), [s], [], [], bool(mdp.terminal[s]))


class Problem:
    """What the formulas need, worked out plainly."""

    def __init__(self, mdp: MDP, policy: Policy, behavior: Policy | None = None) -> None:
        self.mdp = mdp
        self.policy = policy
        self.actor = behavior or policy
        self.probs = {k: p.real for k, p in oracles.softmax(policy, [complex(x) for x in policy.theta]).items()}
        actor = self.actor
        self.drawn = {k: p.real for k, p in oracles.softmax(actor, [complex(x) for x in actor.theta]).items()}
        self.score = {pair: oracles.score(policy, *pair) for pair in self.probs}
        self.table = oracles.outcomes(mdp)
        self.v: list[list[float]] = [[0.0] * mdp.num_states]
        for _ in range(mdp.horizon):
            self.v.append(
                [
                    sum(self.probs[s, a] * self.backup(o, self.v[-1]) for a, *o in row)
                    for s, row in enumerate(self.table)
                ]
            )
        self.v.reverse()
        self.all = list(episodes(mdp, self.actor))
        squares = [(e.prob, self.returned(e), float(self.psi(e) @ self.psi(e))) for e in self.all]
        norm = math.fsum(p * q for p, _, q in squares)
        self.best = math.fsum(p * r * q for p, r, q in squares) / norm if norm else 0.0
        self.j = math.fsum(p * v for p, v in zip(mdp.start.tolist(), self.v[0], strict=True))

    def backup(self, outcome: "list[float]", after: list[float]) -> float:
        nxt, p, r, ends = outcome
        return p * (r + (0.0 if ends else self.mdp.gamma * after[int(nxt)]))

    def q(self, t: int, s: int, a: int) -> float:
        return sum(self.backup(o, self.v[t + 1]) for b, *o in self.table[s] if b == a)

    def returned(self, e: Plain) -> float:
        return sum(self.mdp.gamma**t * r for t, r in enumerate(e.rewards))

    def psi(self, e: Plain) -> Floats:
        zero = np.zeros(len(self.policy.theta))
        return sum((self.score[s, a] for s, a in zip(e.states, e.actions, strict=False)), zero)

    def to_go(self, e: Plain, t: int) -> float:
        return sum(self.mdp.gamma ** (k - t) * e.rewards[k] for k in range(t, len(e.rewards)))

    def delta(self, e: Plain, t: int) -> float:
        last = t + 1 == len(e.rewards)
        after = 0.0 if last and e.ended else self.v[t + 1][e.states[t + 1]]
        return e.rewards[t] + self.mdp.gamma * after - self.v[t][e.states[t]]

    def rho(self, e: Plain, k: int) -> float:
        pairs = list(zip(e.states, e.actions, strict=False))[: k + 1]
        return math.prod(self.probs[pair] / self.drawn[pair] for pair in pairs)

    def weight(self, name: str, e: Plain, t: int, lam: float = 0.95) -> float:
        """w_t of the estimate Σ_t w_t ∇log π(a_t|s_t)."""
        gamma, steps = self.mdp.gamma, len(e.rewards)
        s, a = e.states[t], e.actions[t]
        returns = [self.to_go(e, k) for k in range(steps)]
        mean = sum(returns) / steps
        deviation = math.sqrt(sum((g - mean) ** 2 for g in returns) / steps)
        match name:
            case "reinforce" | "uniform-trajectories" | "weighted-importance-sampling":
                return self.returned(e)
            case "reward-to-go":
                return gamma**t * self.to_go(e, t)
            case "constant-baseline":
                return self.returned(e) - self.j
            case "optimal-baseline":
                return self.returned(e) - self.best
            case "value-baseline":
                return gamma**t * (self.to_go(e, t) - self.v[t][s])
            case "actor-critic":
                return gamma**t * self.delta(e, t)
            case "gae":
                return gamma**t * sum((gamma * lam) ** (k - t) * self.delta(e, k) for k in range(t, steps))
            case "advantage":
                return gamma**t * (self.q(t, s, a) - self.v[t][s])
            case "importance-sampling":
                return self.rho(e, steps) * self.returned(e)
            case "per-decision":
                return sum(gamma**k * self.rho(e, k) * e.rewards[k] for k in range(t, steps))
            case "dropped-gamma":
                return self.to_go(e, t)
            case "normalised-returns":
                return gamma**t * (returns[t] - mean) / (deviation + 1e-8)
            case "mean-over-steps":
                return self.returned(e) / steps
            case "immediate-reward":
                return gamma**t * e.rewards[t]
        raise ValueError(name)

    def estimate(self, name: str, e: Plain, lam: float = 0.95) -> Floats:
        total = np.zeros(len(self.policy.theta))
        for t, (s, a) in enumerate(zip(e.states, e.actions, strict=False)):
            if name == "all-actions":
                for b in {b for b, *_ in self.table[s]}:
                    total += self.mdp.gamma**t * self.probs[s, b] * self.q(t, s, b) * self.score[s, b]
            else:
                total += self.weight(name, e, t, lam) * self.score[s, a]
        return total

    def moments(self, name: str, lam: float = 0.95) -> tuple[Floats, Floats]:
        """E[ĝ] and Cov[ĝ], summed over all episodes."""
        each = [(e.prob, self.estimate(name, e, lam)) for e in self.all]
        mean = sum((p * g for p, g in each), np.zeros(len(self.policy.theta)))
        zero = np.zeros((len(mean), len(mean)))
        return mean, sum((p * np.outer(g - mean, g - mean) for p, g in each), zero)
