"""An objective with an entropy bonus or a KL penalty as a reward.

    J = E[Σ_t γ^t (r_t + α H(π(·|s_t)) − β KL(π(·|s_t) ‖ π_ref(·|s_t)))]

H(π(·|s)) is the mean of −log π(a|s), and KL(π(·|s) ‖ π_ref(·|s)) that of log(π(a|s) / π_ref(a|s)). So with

    r′(s, a) = r − α log π(a|s) − β log(π(a|s) / π_ref(a|s)),   frozen at θ,

J is E[Σ_t γ^t r′_t]. What is left of ∇J beyond REINFORCE's formula for r′ is the mean of ∇r′, which is 0 because
E[∇log π] = 0. Whatever works on rewards therefore works on objectives.
"""

from weakref import WeakKeyDictionary

import numpy as np

from pgcheck.arrays import Floats
from pgcheck.model.mdp import MDP
from pgcheck.model.policy import Policy

_CREDITED: WeakKeyDictionary[MDP, WeakKeyDictionary[Policy, MDP]] = WeakKeyDictionary()  # one for each pair is enough


def credited(mdp: MDP, policy: Policy) -> MDP:
    """Returns the MDP with r′ for rewards and no objective besides; the MDP itself where α = β = 0.

    The outcomes keep their numbers. Asked for again, it is the same one.
    """
    if not mdp.entropy and not mdp.kl:
        return mdp
    of_policy = _CREDITED.setdefault(mdp, WeakKeyDictionary())
    if policy not in of_policy:
        of_policy[policy] = mdp.with_rewards(mdp.reward + bonus(mdp, policy)[mdp.state, mdp.action])
    return of_policy[policy]


def bonus(mdp: MDP, policy: Policy) -> Floats:
    """Returns −α log π(a|s) − β log(π(a|s) / π_ref(a|s)) `[S, A]`; 0 where π(a|s) is 0."""
    probs = policy.probs()
    log_probs = np.log(np.where(probs > 0, probs, 1.0))
    return -mdp.entropy * log_probs - mdp.kl * log_ratio(probs, mdp.reference)


def log_ratio(probs: Floats, reference: Floats | None) -> Floats:
    """Returns log(π(a|s) / π_ref(a|s)) `[S, A]`; 0 where one of them is 0, or without a reference."""
    if reference is None:
        return np.zeros(probs.shape)
    is_known = (probs > 0) & (reference > 0)
    return np.log(np.where(is_known, probs, 1.0) / np.where(is_known, reference, 1.0))
