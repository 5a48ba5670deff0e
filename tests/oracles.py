"""Second sources for every number: plain loops that share no code with the package."""

import cmath
import decimal
import itertools
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from pgcheck import MDP, Linear, Policy, TabularSoftmax

Floats = NDArray[np.float64]
Outcome = tuple[int, int, float, float, bool]  # action, next state, probability, reward, whether it ends


def index_of(policy: Policy) -> NDArray[np.int64]:
    """The number of the preference that each state uses for each action; -1 where it does not offer it."""
    assert isinstance(policy, TabularSoftmax)
    return policy.index


def outcomes(mdp: MDP) -> list[list[Outcome]]:
    """The outcomes of each state, as a list of plain tuples."""
    table: list[list[Outcome]] = [[] for _ in range(mdp.num_states)]
    for s, a, t, p, r, d in zip(mdp.state, mdp.action, mdp.next_state, mdp.prob, mdp.reward, mdp.done, strict=True):
        table[s].append((int(a), int(t), float(p), float(r), bool(d) or bool(mdp.terminal[t])))
    return table


def rows_of(policy: Policy, theta: list[complex]) -> list[dict[int, complex]]:
    """The logit of each action that each state offers, from possibly complex parameters."""
    if isinstance(policy, Linear):
        return [
            {a: sum(x * w for x, w in zip(row[a].tolist(), theta, strict=True)) for a in range(len(row)) if offers[a]}
            for row, offers in zip(policy.features, policy.offered.tolist(), strict=True)
        ]
    return [{a: theta[i] for a, i in enumerate(row) if i >= 0} for row in index_of(policy).tolist()]


def softmax(policy: Policy, theta: list[complex]) -> dict[tuple[int, int], complex]:
    """π(a|s) from possibly complex parameters."""
    probs: dict[tuple[int, int], complex] = {}
    for s, row in enumerate(rows_of(policy, theta)):
        greatest = max((x.real for x in row.values()), default=0.0)
        odds = {a: cmath.exp(x - greatest) for a, x in row.items()}
        for a in odds:
            probs[s, a] = odds[a] / sum(odds.values())
    return probs


def bonus(mdp: MDP, probs: dict[tuple[int, int], complex], s: int) -> complex:
    """α H(π(·|s)) − β KL(π(·|s) ‖ π_ref(·|s)), by their definitions."""
    total: complex = 0.0
    for (state, a), p in probs.items():
        if state == s and mdp.entropy:
            total -= mdp.entropy * p * cmath.log(p)
        if state == s and mdp.kl:
            assert mdp.reference is not None
            total -= mdp.kl * p * (cmath.log(p) - cmath.log(float(mdp.reference[s, a])))
    return total


def value(mdp: MDP, policy: Policy, theta: list[complex]) -> complex:
    """J(θ) by backward induction in plain Python, with the objective's entropy and KL."""
    probs, table = softmax(policy, theta), outcomes(mdp)
    extra = [bonus(mdp, probs, s) for s in range(mdp.num_states)]
    v: list[complex] = [0.0] * mdp.num_states
    for _ in range(mdp.horizon):
        v = [
            extra[s] + sum(probs[s, a] * p * (r + (0.0 if ends else mdp.gamma * v[t])) for a, t, p, r, ends in row)
            for s, row in enumerate(table)
        ]
    return sum(complex(p) * x for p, x in zip(mdp.start.tolist(), v, strict=True))


def complex_step(mdp: MDP, policy: Policy) -> Floats:
    """∇J as Im J(θ + i h e_k) / h: no score function, no trajectory, no difference that cancels."""
    h = 1e-30
    gradient = []
    for k in range(len(policy.theta)):
        theta = [complex(x) for x in policy.theta]
        theta[k] += 1j * h
        gradient.append(value(mdp, policy, theta).imag / h)
    return np.array(gradient)


def trajectories(mdp: MDP, policy: Policy) -> Iterator[tuple[float, float, list[tuple[int, int]], tuple[int, ...]]]:
    """Every trajectory by plain recursion: P(τ), R(τ), its (state, action) pairs, and its states."""
    probs, table = softmax(policy, [complex(x) for x in policy.theta]), outcomes(mdp)

    def go(
        s: int, t: int, prob: float, ret: float, pairs: list[tuple[int, int]], states: tuple[int, ...], over: bool
    ) -> Iterator[tuple[float, float, list[tuple[int, int]], tuple[int, ...]]]:
        if over or t == mdp.horizon:
            yield prob, ret, pairs, states
            return
        for a, nxt, p, r, ends in table[s]:
            onward = prob * probs[s, a].real * p, ret + mdp.gamma**t * r
            yield from go(nxt, t + 1, *onward, [*pairs, (s, a)], (*states, nxt), ends)

    for s in range(mdp.num_states):
        if mdp.start[s] > 0:
            yield from go(s, 0, float(mdp.start[s]), 0.0, [], (s,), bool(mdp.terminal[s]))


def score(policy: Policy, s: int, a: int) -> Floats:
    """∇log π(a|s) `[d]` from its definition."""
    probs = softmax(policy, [complex(x) for x in policy.theta])
    gradient = np.zeros(len(policy.theta))
    if isinstance(policy, Linear):
        for b in range(policy.offered.shape[1]):
            if policy.offered[s, b]:
                gradient += ((1.0 if a == b else 0.0) - probs[s, b].real) * policy.features[s, b]
        return gradient
    for b, i in enumerate(index_of(policy)[s].tolist()):
        if i >= 0:
            gradient[i] += (1.0 if a == b else 0.0) - probs[s, b].real
    return gradient


def recursion(mdp: MDP, policy: Policy) -> tuple[float, Floats, int, float]:
    """J, ∇J, the number of trajectories and their mass, summed one trajectory at a time."""
    total, gradient, count, mass = 0.0, np.zeros(len(policy.theta)), 0, 0.0
    scores = {(s, a): score(policy, s, a) for s, a in itertools.product(*map(range, policy.probs().shape))}
    for prob, ret, pairs, _ in trajectories(mdp, policy):
        count, mass, total = count + 1, mass + prob, total + prob * ret
        gradient += prob * ret * sum((scores[pair] for pair in pairs), np.zeros_like(gradient))
    return total, gradient, count, mass


def in_decimals(mdp: MDP, policy: Policy) -> Floats:
    """∇J trajectory by trajectory in decimal arithmetic, for probabilities that floats cannot tell from 0 or 1."""
    with decimal.localcontext(prec=400):
        exact = decimal.Decimal
        pi: dict[tuple[int, int], decimal.Decimal] = {}
        for s, row in enumerate(index_of(policy).tolist()):
            odds = {a: exact(float(policy.theta[i])).exp() for a, i in enumerate(row) if i >= 0}
            pi |= {(s, a): x / sum(odds.values()) for a, x in odds.items()}
        table, gamma = outcomes(mdp), exact(mdp.gamma)
        # Rows of floats sum to 1 but for rounding; here each sums to 1 to the last digit.
        whole: dict[tuple[int, int], decimal.Decimal] = {}
        for s, outcome in enumerate(table):
            for a, _, p, _, _ in outcome:
                whole[s, a] = whole.get((s, a), exact(0)) + exact(p)
        starts = [exact(p) for p in mdp.start.tolist()]
        gradient = [exact(0)] * len(policy.theta)

        def go(s: int, t: int, prob: decimal.Decimal, ret: decimal.Decimal, pairs: list[tuple[int, int]]) -> None:
            if s < 0 or t == mdp.horizon:
                for u, a in pairs:
                    for b, i in enumerate(index_of(policy)[u].tolist()):
                        if i >= 0:
                            gradient[i] += prob * ret * ((a == b) - pi[u, b])
                return
            for a, nxt, p, r, ends in table[s]:
                onward = prob * pi[s, a] * exact(p) / whole[s, a], ret + (gamma**t if t else 1) * exact(r)
                go(-1 if ends else nxt, t + 1, *onward, [*pairs, (s, a)])

        for s, start in enumerate(starts):
            if start > 0 and not mdp.terminal[s]:
                go(s, 0, start / sum(starts), exact(0), [])
        return np.array([float(x) for x in gradient])


def derivative_in_decimals(mdp: MDP, policy: Policy) -> tuple[decimal.Decimal, list[decimal.Decimal]]:
    """J and ∇J to 60 digits: V and ∂V/∂θ_k, step by step, by the product rule; no occupancy, no advantage."""
    with decimal.localcontext(prec=60):
        exact = decimal.Decimal
        probs: dict[tuple[int, int], decimal.Decimal] = {}
        slopes: dict[tuple[int, int], dict[int, decimal.Decimal]] = {}
        for s, row in enumerate(index_of(policy).tolist()):
            odds = {a: exact(float(policy.theta[i])).exp() for a, i in enumerate(row) if i >= 0}
            probs |= {(s, a): x / sum(odds.values()) for a, x in odds.items()}
            for a in odds:
                slopes[s, a] = {row[b]: probs[s, a] * ((a == b) - probs[s, b]) for b in odds}
        table, gamma, size = outcomes(mdp), exact(mdp.gamma), len(policy.theta)
        whole = {
            (s, a): sum(exact(p) for b, _, p, _, _ in row if b == a)
            for s, row in enumerate(table)
            for a in {a for a, *_ in row}
        }
        value, slope = [exact(0)] * mdp.num_states, [[exact(0)] * size for _ in table]
        for _ in range(mdp.horizon):
            value_now, slope_now = [], []
            for s, row in enumerate(table):
                v, dv = exact(0), [exact(0)] * size
                for a, t, p, r, ends in row:
                    share = exact(p) / whole[s, a]
                    worth = exact(r) + (exact(0) if ends else gamma * value[t])
                    v += probs[s, a] * share * worth
                    for k, x in slopes[s, a].items():
                        dv[k] += x * share * worth
                    if not ends:
                        factor = probs[s, a] * share * gamma
                        dv = [x + factor * y for x, y in zip(dv, slope[t], strict=True)]
                value_now.append(v)
                slope_now.append(dv)
            value, slope = value_now, slope_now
        starts = [exact(p) for p in mdp.start.tolist()]
        starts = [p / sum(starts) for p in starts]
        gradient = [sum((p * dv[k] for p, dv in zip(starts, slope, strict=True)), exact(0)) for k in range(size)]
        return sum((p * v for p, v in zip(starts, value, strict=True)), exact(0)), gradient


def covariance_trace(mdp: MDP, policy: Policy) -> float:
    """tr Cov of one rollout's R Σ ∇log π, by the same recursion."""
    scores = {(s, a): score(policy, s, a) for s, a in itertools.product(*map(range, policy.probs().shape))}
    mean, square = np.zeros(len(policy.theta)), 0.0
    for prob, ret, pairs, _ in trajectories(mdp, policy):
        g = ret * sum((scores[pair] for pair in pairs), np.zeros_like(mean))
        mean += prob * g
        square += prob * float(g @ g)
    return square - float(mean @ mean)
