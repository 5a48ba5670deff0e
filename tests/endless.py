"""The truth of models without a horizon, by linear systems in decimals: no steps, no cut, no rounding to speak of."""

import decimal
from decimal import Decimal
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pgcheck import MDP, Linear, Policy, TabularSoftmax

Numbers = Any  # arrays of decimals
DIGITS = 60


def solved(mdp: MDP, policy: Policy) -> tuple[Decimal, Numbers]:
    """J and ∇J where no horizon ends an episode, of the states that are reached.

    V = (I − γP)⁻¹ r, d = (I − γPᵀ)⁻¹ start, Q = r + γ P V, and ∇J = Σ_s d(s) Σ_a π(a|s) (Q − V)(s, a) ∇ logit(s, a),
    where r includes −α log π − β log(π/π_ref).
    """
    with decimal.localcontext(prec=DIGITS):
        pi, gamma = table_of(mdp, policy), Decimal(mdp.gamma)
        keep = sorted(reached(mdp))
        place = {s: i for i, s in enumerate(keep)}
        outcomes = [(place[s], s, a, t, p, r, ends) for s, a, t, p, r, ends in outcomes_of(mdp) if s in place]
        system, reward = decimals(np.eye(len(keep))), decimals(np.zeros(len(keep)))
        for i, s, a, t, p, r, ends in outcomes:
            reward[i] += pi[s, a] * p * (r + bonus(mdp, pi, s, a))
            if not ends:
                system[i, place[t]] -= gamma * pi[s, a] * p
        start = decimals(mdp.start)[keep] / sum(decimals(mdp.start))
        value, visits = solve(system, reward), solve(system.T, start)
        weights = decimals(np.zeros(pi.shape))
        for i, s, a, t, p, r, ends in outcomes:
            ahead = Decimal(0) if ends else gamma * value[place[t]]
            weights[s, a] += visits[i] * pi[s, a] * p * (r + bonus(mdp, pi, s, a) + ahead - value[i])
        return Decimal(start @ value), chained(policy, weights)


def table_of(mdp: MDP, policy: Policy) -> Numbers:
    """π(a|s) `[S, A]`: e to the logit over the sum of those of the state's actions."""
    odds = decimals(np.zeros((mdp.num_states, mdp.num_actions)))
    theta = decimals(policy.theta)
    for s, a in sorted(set(zip(mdp.state.tolist(), mdp.action.tolist(), strict=True))):
        if isinstance(policy, Linear):
            odds[s, a] = (decimals(policy.features[s, a]) @ theta).exp()
        else:
            assert isinstance(policy, TabularSoftmax)
            odds[s, a] = theta[policy.index[s, a]].exp()
    return np.array([row / (sum(row) or 1) for row in odds], dtype=object)


def chained(policy: Policy, weights: Numbers) -> Numbers:
    """Σ w(s, a) ∇ logit(s, a) `[d]`: of a table the logit is a parameter, of a linear policy Σ_i θ_i x_i(s, a)."""
    gradient = decimals(np.zeros(len(policy.theta)))
    for (s, a), weight in np.ndenumerate(weights):
        if isinstance(policy, Linear):
            gradient += weight * decimals(policy.features[s, a])
        elif isinstance(policy, TabularSoftmax) and policy.index[s, a] >= 0:
            gradient[policy.index[s, a]] += weight
    return gradient


def bonus(mdp: MDP, pi: Numbers, s: int, a: int) -> Decimal:
    """−α log π(a|s) − β log(π(a|s) / π_ref(a|s))."""
    total: Decimal = -Decimal(mdp.entropy) * pi[s, a].ln()
    if mdp.kl:
        assert mdp.reference is not None
        total -= Decimal(mdp.kl) * (pi[s, a].ln() - Decimal(float(mdp.reference[s, a])).ln())
    return total


def outcomes_of(mdp: MDP) -> list[tuple[int, int, int, Decimal, Decimal, bool]]:
    """State, action, next state, probability, reward and whether it ends, of each outcome; rows sum to 1."""
    columns = (mdp.state, mdp.action, mdp.next_state, mdp.prob, mdp.reward, mdp.done | mdp.terminal[mdp.next_state])
    rows = list(zip(*(column.tolist() for column in columns), strict=True))
    whole: dict[tuple[int, int], Decimal] = {}
    for s, a, _, p, _, _ in rows:
        whole[s, a] = whole.get((s, a), Decimal(0)) + Decimal(p)
    return [(s, a, t, Decimal(p) / whole[s, a], Decimal(r), ends) for s, a, t, p, r, ends in rows]


def reached(mdp: MDP) -> set[int]:
    """The states from which an episode can go on after some number of steps."""
    outcomes = outcomes_of(mdp)
    found = {s for s in range(mdp.num_states) if mdp.start[s] > 0 and not mdp.terminal[s]}
    while more := {t for s, _, t, _, _, ends in outcomes if s in found and not ends} - found:
        found |= more
    return found


def trapped(mdp: MDP) -> set[int]:
    """The states that are reached and from which no episode ends."""
    outcomes = outcomes_of(mdp)
    ending = {s for s, _, _, _, _, ends in outcomes if ends}
    while more := {s for s, _, t, _, _, ends in outcomes if not ends and t in ending} - ending:
        ending |= more
    return reached(mdp) - ending


def solve(matrix: Numbers, right: Numbers) -> Numbers:
    """x of matrix x = right, by elimination without pivots: the matrix is I − γP or its transpose."""
    rows = np.column_stack([matrix, right])
    for k in range(len(rows)):
        filled = np.flatnonzero(rows[k])
        rows[k, filled] = rows[k, filled] / rows[k, k]
        for i in np.flatnonzero(rows[:, k]):
            if i != k:
                rows[i, filled] = rows[i, filled] - rows[i, k] * rows[k, filled]
    return rows[:, -1]


def decimals(numbers: NDArray[np.float64]) -> Numbers:
    """The same numbers, as decimals."""
    return np.vectorize(Decimal, otypes=[object])(numbers)


def size_of(vector: Numbers) -> Decimal:
    """‖v‖₂."""
    with decimal.localcontext(prec=DIGITS):
        return sum((x * x for x in vector), Decimal(0)).sqrt()
