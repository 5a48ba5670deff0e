"""What the weights of ∇log π(a_t|s_t) are made of: γ^t, R, G_t, V_t(s_t), δ_t and the importance ratios ρ_t.

Arrays of steps are `[N, T]` for N trajectories and T steps.
"""

import numpy as np

from pgcheck.arrays import Floats, Ints
from pgcheck.errors import UsageError
from pgcheck.exact.critic import Critic, critic
from pgcheck.model.mdp import MDP
from pgcheck.model.policy import Policy
from pgcheck.trajectories.batch import Batch


def discounts(batch: Batch) -> Floats:
    """Returns γ^t `[T]`."""
    return batch.gamma ** np.arange(len(batch.outcomes), dtype=np.float64)


def returns(batch: Batch) -> Floats:
    """Returns R = Σ_t γ^t r_t of each trajectory `[N]`."""
    return batch.credits @ discounts(batch)


def onward(x: Floats, factor: float) -> Floats:
    """Returns Σ_{k≥t} factor^{k−t} x_k `[N, T]`: G_t for rewards and γ."""
    out = np.array(x, order="F")
    for t in range(out.shape[1] - 2, -1, -1):
        out[:, t] += factor * out[:, t + 1]
    return out


def values(batch: Batch) -> Floats:
    """Returns V_t(s_t) `[N, T]`; 0 beyond the end."""
    here = np.append(batch.mdp.state, batch.num_states)[batch.outcomes]
    tables = exact_critic(batch)
    return looked_up([np.append(tables.values(t), 0.0) for t in range(len(here))], here)


def td_errors(batch: Batch) -> Floats:
    """Returns δ_t = r_t + γ V_{t+1}(s_{t+1}) − V_t(s_t) `[N, T]`; V is 0 after the episode's end."""
    mdp = batch.mdp
    after = np.append(np.where(mdp.ends, mdp.num_states, mdp.next_state), mdp.num_states)[batch.outcomes]
    tables = exact_critic(batch)
    next_values = looked_up([np.append(tables.values(t + 1), 0.0) for t in range(len(after))], after)
    return batch.credits + batch.gamma * next_values - values(batch)


def ratios(batch: Batch) -> Floats:
    """Returns ρ_t = π(a_t|s_t) / b(a_t|s_t) `[N, T]`; 1 beyond the end."""
    if batch.behavior is None or batch.behavior is batch.policy:
        return np.ones((len(batch), len(batch.outcomes)))
    by_outcome = outcome_ratios(batch.mdp, batch.policy, batch.behavior)
    taken: Floats = np.append(by_outcome, 1.0)[batch.outcomes].T
    return taken


def whole_ratio(batch: Batch) -> Floats:
    """Returns ρ = Π_t ρ_t of each trajectory `[N]`."""
    return np.asarray(np.prod(ratios(batch), axis=1))


def outcome_ratios(mdp: MDP, policy: Policy, behavior: Policy | None) -> Floats:
    """Returns π(a|s) / b(a|s) of each outcome's state and action `[K]`.

    Raises:
      UsageError: b never takes an action that π takes.
    """
    if behavior is None:
        return np.ones(len(mdp.prob))
    above, below = (p.probs()[mdp.state, mdp.action] for p in (policy, behavior))
    never = np.flatnonzero((below == 0) & (above > 0))
    if len(never):
        where = f"{mdp.actions[mdp.action[never[0]]]!r} in {mdp.states[mdp.state[never[0]]]!r}"
        raise UsageError(f"{mdp.name}: the behavior never takes {where}, which the policy does; raise its preference")
    return np.divide(above, below, out=np.zeros(len(above)), where=below > 0)


def exact_critic(batch: Batch) -> Critic:
    """Returns the exact values of the batch's policy."""
    return critic(batch.mdp, batch.policy)


def all_steps(batch: Batch, weight: Floats) -> Floats:
    """Returns the same weight `[N]` for all steps of a trajectory `[N, T]`."""
    return np.broadcast_to(weight[:, None], (len(batch), len(batch.outcomes)))


def looked_up(rows: list[Floats], index: Ints) -> Floats:
    """Returns rows[t][index[t, n]] as `[N, T]`."""
    out = np.empty(index.shape)
    for t, row in enumerate(rows):
        np.take(row, index[t], out=out[t], mode="clip")
    return out.T
