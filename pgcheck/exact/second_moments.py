"""The first two moments of one rollout's estimate, by recursion over (t, s): no trajectory is built.

An estimate is ĝ = Σ_t ψ_t w_t with ψ_t = ∇log π(a_t|s_t). What follows a state does not depend on what came
before it, so E[ĝ ĝᵀ] is a sum over t and s: who is there (forwards, scalars) times what follows (backwards,
vectors `[S, d]` of one step at a time). Sums over an outcome of (s, a) carry its joint probability.

Three forms of w_t are covered: `traced` (what follows step t, discounted in any way), `total` (the whole
return), and `field` (a vector that depends on t and s_t alone).
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from pgcheck.arrays import Floats, Ints
from pgcheck.errors import TooLargeError
from pgcheck.model.mdp import MDP
from pgcheck.model.policy import Policy

MAX_VECTORS = 20_000_000  # numbers in a vector for each (state, action): 160 MB, and some are needed at once
MAX_WORK = 20e9  # nanoseconds, about
NOTHING = 1e-290
BLOCK = 64  # components that are summed together where outcomes are few; they fit in a processor's cache


Terms = list[tuple[Floats, Floats]]  # weights of the outcomes [K], vectors of the states [S, d]


class Frame:
    """The (state, action) pairs of a problem, and sums over their outcomes.

    Vectors that belong to a pair `[P, d]` or to a state `[S, d]` have the policy's parameters as components.

    Attributes:
      state, action, param: of each pair, and the parameter that it belongs to `[P]`.
      pi: π(a|s) of each pair `[P]`.
      full: whether whole covariance matrices are wanted, or their diagonals.
    """

    def __init__(self, mdp: MDP, policy: Policy, *, full: bool = False) -> None:
        self.mdp = mdp
        self.full = full
        self.size = len(policy.theta)
        number = mdp.state * mdp.num_actions + mdp.action
        self._first = np.flatnonzero(np.r_[True, number[1:] != number[:-1]][: len(number)])
        self.state = mdp.state[self._first]
        self.action = mdp.action[self._first]
        self.param = policy.index[self.state, self.action]
        self.pi = policy.probs()[self.state, self.action]
        self._first_pair = np.flatnonzero(np.r_[True, self.state[1:] != self.state[:-1]][: len(self.state)])
        self._acting = self.state[self._first_pair]
        pairs, outcomes = len(self.state), len(mdp.prob)
        self._first_outcome = self._first[self._first_pair]
        self._dense = mdp.num_states**2 <= 20 * outcomes
        self._pair = np.repeat(np.arange(pairs), np.diff(np.r_[self._first, outcomes]))
        work = 6.0 * self.size * (mdp.num_states**2 / 5 if self._dense else 2.0 * outcomes)
        self._steps = min(int(MAX_WORK / (2e5 + work)), MAX_VECTORS // mdp.num_states)
        self.afford(MAX_VECTORS * self._steps if pairs * self.size > MAX_VECTORS else 0)
        self._score = np.zeros((pairs, self.size))[: pairs if full else 0]
        if full:
            self._score[np.arange(pairs), self.param] = 1.0
            for lo, hi in zip(self._first_pair, [*self._first_pair[1:], pairs], strict=True):
                self._score[lo:hi, self.param[lo:hi]] -= self.pi[lo:hi]

    def afford(self, steps: int) -> None:
        """Raises TooLargeError where a recursion over so many steps takes too long or too much memory."""
        if steps > self._steps:
            raise TooLargeError(
                f"{self.mdp.name}: horizon {self.mdp.horizon:,} with {self.size:,} parameters is too large for the "
                f"exact covariance.\n  Lower the horizon."
            )

    def onward(self, terms: Terms) -> Floats:
        """Returns Σ weight[k] vectors[s′(k)] over each state's outcomes `[S, d]`, summed over the terms."""
        out = np.zeros((self.mdp.num_states, self.size))
        for weight, vectors in terms:
            if self._dense:
                out += self._matrix(weight, self.mdp.state, self.mdp.num_states) @ vectors
                continue
            for lo in range(0, self.size, BLOCK):
                columns = slice(lo, lo + BLOCK)
                some = np.take(np.ascontiguousarray(vectors[:, columns]), self.mdp.next_state, axis=0, mode="clip")
                some *= weight[:, None]
                out[self._acting, columns] += np.add.reduceat(some, self._first_outcome, axis=0)
        return out

    def _matrix(self, weight: Floats, row: Ints, rows: int) -> Floats:
        """Weights of outcomes as a matrix from `row` to next state."""
        shape = rows, self.mdp.num_states
        cell = row * shape[1] + self.mdp.next_state
        return np.bincount(cell, weights=weight, minlength=shape[0] * shape[1]).reshape(shape).astype(np.float64)

    def pair_sum(self, values: Floats) -> Floats:
        """Returns the sums over each pair's outcomes `[P]`, of values `[K]`."""
        return np.add.reduceat(values, self._first)

    def state_sum(self, values: Floats) -> Floats:
        """Returns the sums over each state's pairs `[S, …]`, of values `[P, …]`."""
        out = np.zeros((self.mdp.num_states, *values.shape[1:]))
        out[self._acting] = np.add.reduceat(values, self._first_pair, axis=0)
        return out

    def add_scores(self, weight: Floats, vectors: Floats) -> None:
        """Adds Σ_a weight[s, a] ∇log π(a|s) to each state's vector `[S, d]`, for weights `[P]`."""
        vectors[self.state, self.param] += self._centred(weight)

    def squares(self, reach: Floats, weight: Floats) -> Floats:
        """Returns Σ reach[s] weight[s, a] ψψᵀ, for `[S]` and `[P]`: the diagonal `[d]`, or all `[d, d]`."""
        weight = reach[self.state] * weight
        if self.full:
            return self._score.T @ (weight[:, None] * self._score)
        others = self.state_sum(weight)[self.state] - weight
        square = (1 - self.pi) ** 2 * weight + self.pi**2 * others
        return np.bincount(self.param, weights=square, minlength=self.size).astype(np.float64)

    def crosses(self, reach: Floats, terms: Terms, whole: Floats) -> Floats:
        """Returns Σ reach[s] (ψ vᵀ + v ψᵀ) over pairs, as `squares` does; v = Σ weight[k] vectors[s′(k)] of the pair.

        Args:
          reach: `[S]`.
          terms: weights and vectors.
          whole: Σ v over each state's pairs: `onward(terms)`, which the caller has.
        """
        if self.full:
            half = np.zeros((self.size, self.size))
            for weight, vectors in terms:
                pairs = self._matrix(weight * reach[self.mdp.state], self._pair, len(self.state)) @ vectors
                half += self._score.T @ pairs
            return half + half.T
        own = np.zeros(len(self.state))
        for weight, vectors in terms:
            own += self.pair_sum(weight * vectors[self.mdp.next_state, self.param[self._pair]])
        cross = 2 * reach[self.state] * (own - self.pi * whole[self.state, self.param])
        return np.bincount(self.param, weights=cross, minlength=self.size).astype(np.float64)

    def field_squares(self, reach: Floats, weight: Floats, vectors: Floats) -> Floats:
        """Returns Σ_s reach (u uᵀ + u vᵀ + v uᵀ) with u = Σ_a weight ψ and vectors v `[S, d]`, as `squares` does."""
        if self.full:
            field = self.state_sum(weight[:, None] * self._score)
            half = field.T @ (reach[:, None] * (0.5 * field + vectors))
            return half + half.T
        field = self._centred(weight)
        square = reach[self.state] * field * (field + 2 * vectors[self.state, self.param])
        return np.bincount(self.param, weights=square, minlength=self.size).astype(np.float64)

    def zeros(self) -> Floats:
        """Returns the second moments of nothing."""
        return np.zeros((self.size, self.size) if self.full else self.size)

    def _centred(self, weight: Floats) -> Floats:
        """Component (s, b) of Σ_a weight[s, a] ψ(s, a) for each pair: w_b − π_b Σ_a w_a."""
        return weight - self.pi * self.state_sum(weight)[self.state]


@dataclass(frozen=True, eq=False)
class Step:
    """What a step adds, in `traced`: x for each outcome `[K]`, and the baseline of each state `[S]`."""

    x: Floats
    baseline: Floats


def traced(
    frame: Frame, joint: Floats, step: Callable[[int], Step], trace: Floats, carry: Floats
) -> tuple[Floats, Floats]:
    """Returns the mean and second moment of ĝ = H_0, where H_t = ψ_t (C_t − b_t(s_t)) + carry_t H_{t+1}.

    C_t = x_t + trace_t C_{t+1} is what follows: the return to go where x is the reward and both factors γ.

    Args:
      frame: the problem; says whether the second moment is `[d]` or `[d, d]`.
      joint: probability of each outcome in its state, by whoever acts `[K]`.
      step: from t to x and b.
      trace, carry: the factors of each outcome `[K]`; they are ignored where it ends the episode.
    """
    mdp = frame.mdp
    target = mdp.next_state
    trace, carry = (np.where(mdp.ends, 0.0, factor) for factor in (trace, carry))
    reach = _occupancies(frame, joint * carry**2)
    second = frame.zeros()
    h, ch = np.zeros((2, mdp.num_states, frame.size))
    c1, c2 = np.zeros((2, mdp.num_states))
    on = joint * carry
    for t in range(len(reach) - 1, -1, -1):
        now = step(t)
        b = now.baseline[mdp.state]
        q1 = now.x + trace * c1[target]
        q2 = now.x**2 + 2 * now.x * trace * c1[target] + trace**2 * c2[target]
        onward = frame.onward([(on, h)])
        traces = [(on * trace, ch)] if trace.any() else []
        with_c = frame.onward([(on * now.x, h), *traces])
        # (C − b)² as a variance and a square: where a baseline is good its parts would cancel.
        spread = np.maximum(q2 - q1**2, 0.0) + (q1 - b) ** 2
        second += frame.squares(reach[t], frame.pair_sum(joint * spread))
        terms = [(on * (now.x - b), h), *traces]
        second += frame.crosses(reach[t], terms, with_c - now.baseline[:, None] * onward)
        h, ch = onward, with_c
        frame.add_scores(frame.pair_sum(joint * (q1 - b)), h)
        frame.add_scores(frame.pair_sum(joint * (q2 - b * q1)), ch)
        c1, c2 = (frame.state_sum(frame.pair_sum(joint * q)) for q in (q1, q2))
    return mdp.start @ h, second


def field(frame: Frame, joint: Floats, weight: Callable[[int], Floats]) -> tuple[Floats, Floats]:
    """Returns the mean and second moment of ĝ = Σ_t γ^t u_t(s_t), u_t(s) = Σ_a weight_t[s, a] ∇log π(a|s).

    Args:
      frame: the problem; says whether the second moment is `[d]` or `[d, d]`.
      joint: probability of each outcome in its state `[K]`.
      weight: from t to the weights `[P]`.
    """
    mdp = frame.mdp
    carry = np.where(mdp.ends, 0.0, mdp.gamma)
    reach = _occupancies(frame, joint * carry**2)
    second = frame.zeros()
    h = np.zeros((mdp.num_states, frame.size))
    for t in range(len(reach) - 1, -1, -1):
        h = frame.onward([(joint * carry, h)])
        second += frame.field_squares(reach[t], weight(t), h)
        frame.add_scores(weight(t), h)
    return mdp.start @ h, second


@dataclass(frozen=True, eq=False)
class Total:
    """Sums over trajectories τ of their weight W(τ) times powers of the return and of Ψ = Σ_t ∇log π(a_t|s_t).

    Attributes:
      mass: Σ W.
      first: Σ W Ψ (R − b)^j for j = 0, 1 `[2, d]`.
      second: Σ W ΨΨᵀ (R − b)^j for each power j that was asked for: the diagonal, or all of it.
    """

    mass: float
    first: Floats
    second: dict[int, Floats]


def total(
    frame: Frame,
    joint: Floats,
    *,
    ending: Callable[[int], float] = lambda length: 1.0,
    baseline: float = 0.0,
    powers: tuple[int, ...] = (2,),
) -> Total:
    """Returns moments of (R − b) Ψ, weighted by W(τ) = start(s_0) Π_t joint_t · ending(L).

    With the probabilities of the outcomes for `joint` and 1 for `ending` the sums are expectations.

    Args:
      frame: the problem; says whether second moments are `[d]` or `[d, d]`.
      joint: the weight of each outcome in its state `[K]`.
      ending: a weight for the length L.
      baseline: b.
      powers: of the return in the second moments.
    """
    mdp = frame.mdp
    gamma, reward, target = mdp.gamma, mdp.reward, mdp.next_state
    on = np.where(mdp.ends, 0.0, joint)
    past = _past_returns(frame, on, baseline)
    second = {power: frame.zeros() for power in powers}
    m = np.zeros((3, mdp.num_states))  # Σ W G^j over what follows
    m[0] = ending(mdp.horizon)
    v = np.zeros((3, mdp.num_states, frame.size))  # Σ W Ψ G^j over what follows
    for t in range(len(past) - 1, -1, -1):
        ended = ending(t + 1)
        m0, m1, m2 = (np.where(mdp.ends, end, row[target]) for end, row in zip((ended, 0.0, 0.0), m, strict=True))
        g = (m0, reward * m0 + gamma * m1, reward**2 * m0 + 2 * gamma * reward * m1 + gamma**2 * m2)
        w = [frame.pair_sum(joint * q) for q in g]
        terms: list[Terms] = [[(on, v[0])], [(on * reward, v[0]), (gamma * on, v[1])]]
        if 2 in powers:
            terms.append([(on * reward**2, v[0]), (2 * gamma * on * reward, v[1]), (gamma**2 * on, v[2])])
        u = [frame.onward(some) for some in terms]
        scale = gamma**t
        before = past[t]
        for power in powers:
            for j, ways in enumerate(((1,), (1, 1), (1, 2, 1))[power]):
                reach = ways * scale**j * before[power - j]
                second[power] += frame.squares(reach, w[j]) + frame.crosses(reach, terms[j], u[j])
        for j, vectors in enumerate(u):
            m[j] = frame.state_sum(w[j])
            frame.add_scores(w[j], vectors)
        v = np.stack([*u, v[2]][:3])
    mass = float(mdp.start @ np.where(mdp.terminal, ending(0), m[0]))
    v[1] -= baseline * v[0]
    return Total(mass, mdp.start @ v[:2], second)


def _occupancies(frame: Frame, step: Floats) -> Floats:
    """Σ over the ways to s of the product of their steps' weights, for each t while there is any `[T, S]`."""
    mdp = frame.mdp
    reach = [np.where(mdp.terminal, 0.0, mdp.start)]
    while len(reach) < mdp.horizon:
        frame.afford(len(reach))
        reach.append(np.bincount(mdp.next_state, weights=reach[-1][mdp.state] * step, minlength=mdp.num_states))
        if not np.any(reach[-1] > NOTHING):
            reach.pop()
            break
    return np.stack(reach)


def _past_returns(frame: Frame, step: Floats, baseline: float) -> Floats:
    """The same, with (R_{<t} − b)^j, the discounted reward so far, for j = 0, 1, 2 `[T, 3, S]`."""
    mdp = frame.mdp
    start = np.where(mdp.terminal, 0.0, mdp.start)
    past = [np.stack([start, -baseline * start, baseline**2 * start])]
    while len(past) < mdp.horizon:
        frame.afford(len(past))
        zero, one, two = past[-1][:, mdp.state] * step
        r = mdp.gamma ** (len(past) - 1) * mdp.reward
        now = zero, one + r * zero, two + 2 * r * one + r**2 * zero
        past.append(np.stack([np.bincount(mdp.next_state, weights=x, minlength=mdp.num_states) for x in now]))
        if not np.any(past[-1][0] > NOTHING):
            past.pop()
            break
    return np.stack(past)
