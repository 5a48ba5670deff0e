"""Where episodes without a horizon are cut: a horizon beyond which nothing is left above rounding.

By the bounds below it is the smallest that will do, or up to about half more.

Let M(s, s′) = γ Σ_a π(a|s) Σ_k P(k|s, a) over the outcomes that lead to s′ and go on, ρ(s) the mean of |r|, both at
one step, and w_t = start M^t. What the steps from n on add to J is at most

    Σ_{t≥n} w_t · ρ = w_n · X,   X = Σ_k M^k ρ,

and what they add to ∇J = E[Σ_t γ^t r_t Σ_{i≤t} ∇log π(a_i|s_i)] is in size at most

    c Σ_{t≥n} (t + 1) w_t · ρ = c w_n · ((n + 1) X + Y),   Y = Σ_k k M^k ρ,   c the greatest ‖∇log π‖.

Both have to fall to 2^-53 of J and of ∇J. X and Y are found along with w_n: with n terms of their sums, and what is
left of 1, u_n = M^n 1 at most μ < 1,

    X ≤ X_n + u_n max X,            max X ≤ max X_n / (1 − μ)
    Y ≤ Y_n + u_n (n max X + max Y),  max Y ≤ (max Y_n + μ n max X) / (1 − μ)

So nothing is guessed from how fast they fall.
"""

from dataclasses import replace
from weakref import WeakKeyDictionary

import numpy as np

from pgcheck.arrays import Bools, Floats, Ints, norm_of
from pgcheck.errors import TooLargeError
from pgcheck.model.horizon import Cut
from pgcheck.model.mdp import MDP
from pgcheck.model.objective import credited
from pgcheck.model.policy import Policy, steepness
from pgcheck.model.survival import survival

ROUNDOFF = 2.0**-53
CANCELLED = 2.0**-26  # of the sum of all sizes: a smaller J or ∇J is mostly rounding itself
MAX_STEPS = 20_000_000  # before a horizon is called too long
MAX_WORK = 20_000_000_000  # products: some minutes

_CUTS: WeakKeyDictionary[MDP, WeakKeyDictionary[Policy, MDP]] = WeakKeyDictionary()


def cut(mdp: MDP, policy: Policy) -> MDP:
    """Returns an MDP whose episodes end: without a horizon, they are cut where nothing above rounding is left.

    With an objective its terms count as rewards. An MDP with a horizon is returned as it is.

    Raises:
      TooLargeError: γ is 1, and there is a state from which episodes never end; or they end so slowly
        that the horizon would be too long.
    """
    if not mdp.is_endless:
        return mdp
    of_policy = _CUTS.setdefault(mdp, WeakKeyDictionary())
    if policy not in of_policy:
        steps = Cut(_sufficient_horizon(mdp, policy))
        of_policy[policy] = mdp if steps == mdp.horizon else replace(mdp, horizon=steps)
        _CUTS.setdefault(of_policy[policy], WeakKeyDictionary())[policy] = of_policy[policy]
    return of_policy[policy]


def _sufficient_horizon(mdp: MDP, policy: Policy) -> int:
    """A number of steps beyond which neither J nor ∇J changes above rounding."""
    problem, probs = credited(mdp, policy), policy.probs()
    goes_on = ~mdp.ends & (probs[mdp.state, mdp.action] > 0)
    reached = _closure(mdp.start > 0, mdp.state[goes_on], mdp.next_state[goes_on]) & ~mdp.terminal
    if mdp.gamma == 1:
        _refuse_without_end(mdp, reached, goes_on, probs)
    step = survival(problem, probs, reached)
    measure, visits, left = mdp.start[reached], np.zeros(step.size), np.ones(step.size)
    x, v, y = np.zeros((3, step.size))
    sizes, total, total_late, n = [], 0.0, 0.0, 0
    steepest = 2 * steepness(policy)
    while n < MAX_STEPS and n * step.work < MAX_WORK:
        sizes.append(step.sizes(measure))
        total += float(sizes[-1].sum())
        total_late += steepest * float(sizes[-1] @ (n + 1 + np.arange(step.number)))
        visits += step.visits(measure)
        measure = step.ahead(measure)
        later = step.back(np.stack([x, v, y + step.number * x, left], axis=1))
        (x, v, y), left = step.terms.T + later[:, :3].T, later[:, 3]
        n += step.number
        most = float(left.max(initial=0.0))
        if most > 0.5:
            continue
        most_x = float(x.max(initial=0.0)) / (1 - most)
        most_y = (float(y.max(initial=0.0)) + most * n * most_x) / (1 - most)
        beyond_x, beyond_y = x + left * most_x, y + left * (n * most_x + most_y)
        rest = float(measure @ beyond_x)
        rest_late = steepest * float(measure @ ((n + 1) * beyond_x + beyond_y))
        if rest > ROUNDOFF * total or rest_late > ROUNDOFF * total_late:
            continue
        value, gradient = float(mdp.start[reached] @ v), _size_of_gradient(problem, policy, reached, visits, v)
        limit = ROUNDOFF * max(abs(value), CANCELLED * total)
        limit_late = ROUNDOFF * max(gradient, CANCELLED * total_late)
        if rest <= limit and rest_late <= limit_late:
            added = np.concatenate(sizes)
            late = steepest * added * (1 + np.arange(n))
            fits = (_rests(added, rest) <= limit) & (_rests(late, rest_late) <= limit_late)
            return max(1, int(np.argmax(fits)))
    raise TooLargeError(
        f"{mdp.name}: horizon inf is too long: after {n:,} steps {float(measure.sum()):.2g} of the weight is left\n"
        f"  Lower gamma from {mdp.gamma:.12g}, or give a horizon, like --horizon 1000."
    )


def _rests(added: Floats, rest: float) -> Floats:
    """What is added from each step on `[n + 1]`, where the rest is added after them."""
    return np.append(np.cumsum(added[::-1])[::-1] + rest, rest)


def _size_of_gradient(mdp: MDP, policy: Policy, reached: Bools, visits: Floats, value: Floats) -> float:
    """‖∇J‖ = ‖Σ_s d(s) Σ_a π(a|s) (Q(s, a) − V(s)) ∇log π(a|s)‖, for d and V of the states that are reached."""
    following, occupancy = np.zeros((2, mdp.num_states))
    following[reached], occupancy[reached] = value, visits
    outcomes = mdp.reward + np.where(mdp.ends, 0.0, mdp.gamma * following[mdp.next_state])
    pair = mdp.state * mdp.num_actions + mdp.action
    probs = policy.probs()
    q = np.bincount(pair, weights=mdp.prob * outcomes, minlength=probs.size).reshape(probs.shape)
    return norm_of(policy.pullback(occupancy[:, None] * probs * (q - following[:, None])))


def _refuse_without_end(mdp: MDP, reached: Bools, goes_on: Bools, probs: Floats) -> None:
    """Raises TooLargeError where from a state that is reached no end is."""
    ending = mdp.ends & (probs[mdp.state, mdp.action] > 0)
    last = np.zeros(mdp.num_states, dtype=np.bool_)
    last[mdp.state[ending]] = True
    caught = reached & ~_closure(last, mdp.next_state[goes_on], mdp.state[goes_on])
    if caught.any():
        state = mdp.states[int(np.argmax(caught))]
        raise TooLargeError(
            f"{mdp.name}: from state {state!r} no episode ends, and gamma is 1: horizon inf has no limit\n"
            "  Lower gamma, like --gamma 0.99, or give a horizon, like --horizon 100."
        )


def _closure(first: Bools, source: Ints, target: Ints) -> Bools:
    """The states that are reached from the first ones `[S]` by links from source to target `[K]`."""
    order = np.argsort(source, kind="stable")
    target = target[order]
    offset = np.searchsorted(source[order], np.arange(len(first) + 1))
    seen, frontier = first.copy(), np.flatnonzero(first)
    while len(frontier):
        count = offset[frontier + 1] - offset[frontier]
        links = np.repeat(offset[frontier] - np.cumsum(count) + count, count) + np.arange(count.sum())
        found = np.unique(target[links])
        frontier = found[~seen[found]]
        seen[frontier] = True
    return seen
