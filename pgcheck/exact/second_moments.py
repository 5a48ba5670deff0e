"""The first two moments of one rollout's estimate, by recursion over (t, s): no trajectory is built.

One rollout's estimate is ĝ = Σ_t ψ_t w_t with ψ_t = ∇log π(a_t|s_t). Split at step t, it is past + ψ_t w_t + future.
Given s_t, past and future are independent, so that E[ĝ ĝᵀ] is a sum over t and s of two factors:

    who is there     d_t(s), forwards in t: a number for each state and step, all of them kept
    what follows     conditional means given s_t = s, backwards in t: vectors `[S, w]`, of one step at a time

There are three recursions, by the form of w_t:

    `trace_moments`    w_t = C_t − b_t(s_t), C_t = x_t + trace_t C_{t+1}: reward to go, TD errors, GAE
    `return_moments`   w_t = R − b for every t: the whole return
    `state_moments`    ψ_t w_t = u_t(s_t): all actions of a state at once

In all of them a sum over the outcomes k of (s, a) carries the joint weight π(a|s) P(k|s, a), where π is the policy
that acts, and terms of s′ are 0 where the outcome ends the episode.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from pgcheck.arrays import Floats
from pgcheck.exact.bellman import NEGLIGIBLE
from pgcheck.exact.outer_sums import OuterSums
from pgcheck.exact.pair_sums import PairSums
from pgcheck.exact.sparse import Terms


class TwoMoments(NamedTuple):
    """The first two moments of an estimate ĝ.

    Attributes:
      mean: E[ĝ] `[d]`.
      second: E[ĝ ĝᵀ]: the diagonal `[d]`, or all of it `[d, d]`.
    """

    mean: Floats
    second: Floats


@dataclass(frozen=True, eq=False)
class ReturnMoments:
    """Sums over trajectories τ of their weight W(τ) times powers of the return and of Ψ = Σ_t ∇log π(a_t|s_t).

    Attributes:
      mass: Σ W.
      first: Σ W Ψ (R − b)^j for j = 0, 1 `[2, d]`.
      second: Σ W ΨΨᵀ (R − b)^j for each power j that was asked for: the diagonal, or all of it.
    """

    mass: float
    first: Floats
    second: dict[int, Floats]


@dataclass(frozen=True, eq=False)
class StepCredit:
    """The terms of step t in C_t − b_t(s_t).

    Attributes:
      x: x_t of each outcome `[K]`.
      baseline: b_t of each state `[S]`.
    """

    x: Floats
    baseline: Floats


def trace_moments(
    sums: PairSums, joint: Floats, step: Callable[[int], StepCredit], trace: Floats, carry: Floats
) -> TwoMoments:
    """Returns the moments of ĝ = H_0, where H_t = ψ_t (C_t − b_t(s_t)) + carry_t H_{t+1}.

    C_t = x_t + trace_t C_{t+1} is what follows: the return to go where x is the reward and both factors are γ.
    In the code, for each state and step

      c1, c2 = E[C], E[C²] `[S]`     h, ch = E[H], E[C H] `[S, w]`     q1, q2 = E[C], E[C²] given the outcome `[K]`

      E[H]     = Σ ψ (q1 − b) + carry E[H′]
      E[C H]   = Σ ψ (q2 − b q1) + carry (x E[H′] + trace E[C′H′])
      E[ĝ ĝᵀ]  = Σ_t Σ_s d_t Σ ψψᵀ E[(C − b)²] + ψ vᵀ + v ψᵀ,   v = carry ((x − b) E[H′] + trace E[C′H′])

    where d_t carries the product of carry² on the way to s.

    Args:
      sums: of the problem; says whether the second moment is `[d]` or `[d, d]`.
      joint: probability of each outcome in its state, by the policy that acts `[K]`.
      step: from t to x and b.
      trace, carry: the factors of each outcome `[K]`; they are ignored where it ends the episode.
    """
    mdp = sums.mdp
    target = mdp.next_state
    trace, carry = (np.where(mdp.ends, 0.0, factor) for factor in (trace, carry))
    reach = _occupancies(sums, joint * carry**2)
    second = OuterSums(sums)
    h, ch = np.zeros((2, mdp.num_states, sums.width))
    c1, c2 = np.zeros((2, mdp.num_states))
    on = joint * carry
    for t in range(len(reach) - 1, -1, -1):
        sums.report(t, len(reach))
        credit = step(t)
        x, b = credit.x, credit.baseline[mdp.state]
        q1 = x + trace * c1[target]
        q2 = x**2 + 2 * x * trace * c1[target] + trace**2 * c2[target]
        onward_h = sums.onward([(on, h)])
        onward_ch = sums.onward([(on * x, h), *([(on * trace, ch)] if trace.any() else [])])
        # E[(C − b)²] as a variance and a square: with a good baseline the terms of q2 − 2 b q1 + b² would cancel.
        spread = np.maximum(q2 - q1**2, 0.0) + (q1 - b) ** 2
        second.add_squares(reach[t], sums.pair_sum(joint * spread))
        second.add_crosses(reach[t], sums.difference(onward_ch, credit.baseline, onward_h))
        h, ch = onward_h.by_state, onward_ch.by_state
        sums.add_scores(sums.pair_sum(joint * (q1 - b)), h)
        sums.add_scores(sums.pair_sum(joint * (q2 - b * q1)), ch)
        c1, c2 = (sums.state_sum(sums.pair_sum(joint * q)) for q in (q1, q2))
    return TwoMoments(sums.mean(mdp.start, h), second.total())


def state_moments(sums: PairSums, joint: Floats, weight: Callable[[int], Floats]) -> TwoMoments:
    """Returns the moments of ĝ = Σ_t γ^t u_t(s_t), u_t(s) = Σ_a weight_t[s, a] ∇log π(a|s).

    With H_t = u_t(s_t) + γ H_{t+1} and v = γ E[H′], summed over the outcomes of s,

      E[ĝ ĝᵀ] = Σ_t Σ_s d_t (u uᵀ + u vᵀ + v uᵀ)

    Args:
      sums: of the problem; says whether the second moment is `[d]` or `[d, d]`.
      joint: probability of each outcome in its state `[K]`.
      weight: from t to the weights `[P]`.
    """
    mdp = sums.mdp
    carry = np.where(mdp.ends, 0.0, mdp.gamma)
    reach = _occupancies(sums, joint * carry**2)
    second = OuterSums(sums)
    h = np.zeros((mdp.num_states, sums.width))
    for t in range(len(reach) - 1, -1, -1):
        sums.report(t, len(reach))
        h = sums.onward([(joint * carry, h)]).by_state
        second.add_state_squares(reach[t], weight(t), h)
        sums.add_scores(weight(t), h)
    return TwoMoments(sums.mean(mdp.start, h), second.total())


def return_moments(
    sums: PairSums,
    joint: Floats,
    *,
    ending: Callable[[int], float] = lambda length: 1.0,
    baseline: float = 0.0,
    powers: tuple[int, ...] = (2,),
) -> ReturnMoments:
    """Returns moments of (R − b) Ψ, weighted by W(τ) = start(s_0) Π_t joint_t · ending(L).

    With the probabilities of the outcomes for `joint` and 1 for `ending` the sums are expectations. In the code

      g[j] = Σ W (r + γ G′)^j given the outcome `[K]`     G_t = Σ_{k≥t} γ^{k−t} r_k, W of what follows
      m[j] = Σ W G_t^j of each state `[S]`                v[j] = Σ W Ψ_{≥t} G_t^j of each state `[S, w]`

    all by the binomial theorem from those of the next step, and forwards past[t, j] = Σ W (R_{<t} − b)^j 1{s_t = s}.
    As R = R_{<t} + γ^t G_t, power i of R − b is Σ_j binomial(i, j) (R_{<t} − b)^{i−j} γ^{tj} G_t^j.

    Args:
      sums: of the problem; says whether second moments are `[d]` or `[d, d]`.
      joint: the weight of each outcome in its state `[K]`.
      ending: a weight for the length L.
      baseline: b.
      powers: of the return in the second moments.
    """
    mdp = sums.mdp
    gamma, reward, target = mdp.gamma, mdp.reward, mdp.next_state
    on = np.where(mdp.ends, 0.0, joint)
    past = _past_returns(sums, on, baseline)
    second = {power: OuterSums(sums) for power in powers}
    m = np.zeros((3, mdp.num_states))
    m[0] = ending(mdp.horizon)
    v = [np.zeros((mdp.num_states, sums.width)) for _ in range(3 if 2 in powers else 2)]
    discount = gamma ** np.arange(len(past), dtype=np.float64)
    lo = hi = len(past)
    is_steady = False
    while lo > 0:
        sums.report(lo, len(past))
        # Values that no longer change with the steps to go are those of all earlier steps, which then come at once.
        lo, hi = (0 if is_steady else lo - 1), lo
        ended = ending(hi)
        m0, m1, m2 = (np.where(mdp.ends, end, row[target]) for end, row in zip((ended, 0.0, 0.0), m, strict=True))
        g = (m0, reward * m0 + gamma * m1, reward**2 * m0 + 2 * gamma * reward * m1 + gamma**2 * m2)
        weights = [sums.pair_sum(joint * powers_of_g) for powers_of_g in g]
        onward = [sums.onward(terms) for terms in _binomial_terms(on, reward, gamma, v)]
        for power in powers:
            for j, binomial in enumerate(((1,), (1, 1), (1, 2, 1))[power]):
                reach = binomial * discount[lo:hi] ** j @ past[lo:hi, power - j]
                second[power].add_squares(reach, weights[j])
                second[power].add_crosses(reach, onward[j])
        before = m, v
        m = np.stack([sums.state_sum(weight) for weight in weights])
        v = [term.by_state for term in onward]
        for weight, vectors in zip(weights, v, strict=False):
            sums.add_scores(weight, vectors)
        is_steady = (
            ending(hi) == ending(lo) and np.array_equal(m, before[0]) and all(map(np.array_equal, v, before[1]))
        )
    mass = float(mdp.start @ np.where(mdp.terminal, ending(0), m[0]))
    first = np.stack([sums.mean(mdp.start, vectors) for vectors in v[:2]])
    first[1] -= baseline * first[0]
    return ReturnMoments(mass, first, {power: outer.total() for power, outer in second.items()})


def _binomial_terms(on: Floats, reward: Floats, gamma: float, v: list[Floats]) -> list[Terms]:
    """What Σ W Ψ′ (r + γ G′)^j is summed from, for each power j; vectors that are all 0 are left out."""
    some = [bool(vectors.any()) for vectors in v]
    factors = [[(0, on)], [(0, on * reward), (1, gamma * on)]]
    factors.append([(0, on * reward**2), (1, 2 * gamma * on * reward), (2, gamma**2 * on)])
    return [[(factor, v[i]) for i, factor in row if some[i]] for row in factors[: len(v)]]


def _occupancies(sums: PairSums, step: Floats) -> Floats:
    """d_t(s): the product of the steps' weights, summed over the ways to s in t steps, while any is left `[T, S]`."""
    mdp = sums.mdp
    reach = [np.where(mdp.terminal, 0.0, mdp.start)]
    while len(reach) < mdp.horizon:
        sums.check_steps(len(reach))
        reach.append(np.bincount(mdp.next_state, weights=reach[-1][mdp.state] * step, minlength=mdp.num_states))
        if not np.any(reach[-1] > NEGLIGIBLE):
            reach.pop()
            break
    return np.stack(reach)


def _past_returns(sums: PairSums, step: Floats, baseline: float) -> Floats:
    """The same sums, times (R_{<t} − b)^j, for j = 0, 1, 2 `[T, 3, S]`; R_{<t} is the discounted reward so far."""
    mdp = sums.mdp
    start = np.where(mdp.terminal, 0.0, mdp.start)
    past = [np.stack([start, -baseline * start, baseline**2 * start])]
    while len(past) < mdp.horizon:
        sums.check_steps(len(past))
        power_0, power_1, power_2 = past[-1][:, mdp.state] * step
        r = mdp.gamma ** (len(past) - 1) * mdp.reward
        by_outcome = power_0, power_1 + r * power_0, power_2 + 2 * r * power_1 + r**2 * power_0
        past.append(np.stack([np.bincount(mdp.next_state, weights=x, minlength=mdp.num_states) for x in by_outcome]))
        if not np.any(past[-1][0] > NEGLIGIBLE):
            past.pop()
            break
    return np.stack(past)
