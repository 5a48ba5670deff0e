"""Backward induction: J and ∇J without a trajectory, and a bound on their rounding.

With n = horizon − t steps to go, V_n = r + γ P V_{n−1} (see `chain`), and V_0 = 0. By the policy gradient theorem,

    ∇J = Σ_t γ^t Σ_s d_t(s) Σ_a ∇π(a|s) Q_n(s, a),   d_t(s) = P(s_t = s)

V is found backwards in t, and kept; d_t forwards. From each Q_n(s, ·) that of the likeliest action is subtracted.
As Σ_a ∇π(a|s) = 0 the sum stays the same, but large values that all actions share no longer have to cancel in it.

For the same reason values may be relative to that of one state, the reference (`levels`): h_n = V_n − V_n(reference).
Where reward comes at every step, V_n and its roundings grow with n; h_n does not. The reference is the state in which
most time is spent. Where most episodes soon end, that is the end, and h_n = V_n.

The bound on rounding is computed with the values. Let u = 2^-53 and m(s, a) the number of roundings in one step
through (s, a) (`chain`). But for a number that all states have in common,

    error of h_n(s)       e_n(s)    = γ Σ P e_{n−1}(s′) + Σ_a π m(s, a) u Σ_k P (|r| + γ |h_{n−1}(s′)|) + u |h_n(s)|
    error of Q_n(s, a)    e_n(s, a) = γ Σ P e_{n−1}(s′) + m(s, a) u Σ_k P (|r| + γ |h_{n−1}(s′)|)
    relative error of π(a|s) and d_t(s), at most u (m(s, a) + (t + 1) (max m + the most outcomes into one state))

and the error of ∇J, in any norm, is at most the sum over t, s, a of

    γ^t d_t(s) π(a|s) · 2 · (error of the difference of two Qs + its size · that relative error)

where 2 bounds ‖∇log π(a|s)‖: its 1-norm is 2 (1 − π(a|s)); of other policies 2 `steepness` bounds it. At the
likeliest action the difference is exactly 0.
What adding up the terms costs comes on top, and 1 % for products of roundings.
"""

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from pgcheck.arrays import Floats
from pgcheck.exact.bellman import NEGLIGIBLE
from pgcheck.exact.chain import ROUNDOFF, Chain
from pgcheck.exact.levels import Levels, Progress, block_size, values_by_level
from pgcheck.model.mdp import MDP
from pgcheck.model.policy import Policy, steepness

HIGHER_ORDER = 1.01  # products of roundings come to less than 1 % of the roundings


@dataclass(frozen=True, eq=False)
class Induction:
    """The results of backward induction.

    Attributes:
      value: J.
      value_rounding: a bound on the error of J by rounding.
      gradient: ∇J `[d]`.
      rounding: a bound on the error of ∇J by rounding.
      values: V(s) by the number of steps that are left, up to the horizon or to where it no longer changes `[n, S]`.
    """

    value: float
    value_rounding: float
    gradient: Floats
    rounding: float
    values: Floats


def backward_induction(mdp: MDP, policy: Policy, *, progress: Progress | None = None) -> Induction:
    """Returns J and ∇J by the policy gradient theorem, and bounds on their rounding.

    ∇J = Σ_t γ^t Σ_s d_t(s) Σ_a ∇π(a|s) Q_t(s, a),   d_t(s) = P(s_t = s)

    Args:
      mdp, policy: the problem, and where to differentiate.
      progress: called with the fraction done, 0 to 1, from time to time.

    Raises:
      TooLargeError: values do not become steady within 5,000 steps, and horizon x states is beyond 1 GB or
        horizon x outcomes beyond some minutes.
    """
    probs = policy.probs()
    if not len(mdp.prob):
        return Induction(0.0, 0.0, policy.pullback(np.zeros(probs.shape)), 0.0, np.zeros((1, mdp.num_states)))
    chain = Chain(mdp, probs)
    blocks = _occupancies(mdp, chain)
    first = next(blocks, np.zeros((1, mdp.num_states + 1)))  # every episode may end where it starts
    levels = values_by_level(mdp, chain, int(np.argmax(first.sum(axis=0))), progress)
    weights, rounding = _weights(mdp, chain, levels, itertools.chain([first], blocks), progress)
    table = np.zeros(probs.shape)
    table[chain.layout.state, chain.layout.action] = weights
    pulling_back = chain.most_roundings + mdp.num_states  # roundings, where all states share an observation
    rounding += 2 * ROUNDOFF * pulling_back * float(np.abs(weights).sum())
    start = np.append(mdp.start, 0.0)
    size = np.abs(levels.h[-1]) + abs(float(levels.constant[-1]))
    value_rounding = start @ (levels.error[-1] + ROUNDOFF * (mdp.num_states + 16) * size) + levels.constant_error
    return Induction(
        math.fsum([*(start * levels.h[-1]).tolist(), float(levels.constant[-1])]),
        HIGHER_ORDER * float(value_rounding),
        policy.pullback(table),
        HIGHER_ORDER * steepness(policy) * rounding,
        levels.h[:, :-1] + levels.constant[:, None],
    )


def _occupancies(mdp: MDP, chain: Chain) -> Iterator[Floats]:
    """Yields γ^t d_t for t = 0, 1, … in blocks `[B, S + 1]`, to the horizon or until nothing is left of it."""
    reached = np.append(np.where(mdp.terminal, 0.0, mdp.start), 0.0)
    size, done = block_size(chain), 0
    while done < mdp.horizon and float(reached[:-1].sum()) >= NEGLIGIBLE:
        block = np.empty((min(size, mdp.horizon - done), len(reached)))
        for t in range(len(block)):
            block[t] = reached
            reached = chain.step.ahead(reached)
        done += len(block)
        yield block


def _weights(
    mdp: MDP, chain: Chain, levels: Levels, occupancies: Iterator[Floats], progress: Progress | None
) -> tuple[Floats, float]:
    """The weight of each ∇log π(a|s) in ∇J `[P]`, and the bound on the rounding of ∇J."""
    state, likeliest = chain.layout.state, chain.likeliest
    per_step = chain.most_roundings + chain.layout.fan_in + 1
    others = likeliest != np.arange(len(state))
    weights, sizes = np.zeros(len(state)), np.zeros(len(state))
    done, blocks, inherited, relative = 0, 0, 0.0, 0.0
    for block in occupancies:
        t = np.arange(done, done + len(block))
        following = np.minimum(mdp.horizon - 1 - t, len(levels.h) - 1)
        h, error = levels.h[following], levels.error[following]
        q, noise = chain.action_values(h), chain.action_noise(h, error)
        weight = block[:, state] * chain.pi
        terms = weight * (q - q[:, likeliest])
        weights += terms.sum(axis=0)
        size = np.abs(terms)
        sizes += size.sum(axis=0)
        inherited += float(np.sum(weight * others * (noise + noise[:, likeliest])))
        relative += per_step * float(size.sum(axis=1) @ (t + 1))
        done += len(block)
        blocks += 1
        if progress is not None:
            progress(0.5 + 0.5 * done / mdp.horizon)
    # A term takes part in the sum of its block and in those of the blocks.
    additions = blocks + min(done, block_size(chain)) + mdp.num_states  # and that of start
    relative += float(sizes @ (chain.roundings + additions))
    return weights, 2 * (inherited + ROUNDOFF * relative)
