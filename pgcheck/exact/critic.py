"""What an exact critic knows of a policy: J, V_t, A_t, and the best constant baseline."""

from functools import cached_property, lru_cache

import numpy as np

from pgcheck.arrays import Floats
from pgcheck.exact.gradient import backward_induction
from pgcheck.exact.second_moments import Frame, total
from pgcheck.model.mdp import MDP
from pgcheck.model.policy import Policy


@lru_cache(maxsize=8)
def critic(mdp: MDP, policy: Policy) -> "Critic":
    """Returns the critic of a problem; the same one when asked again."""
    return Critic(mdp, policy)


class Critic:
    """Exact values under a policy, for the number of steps that are left.

    Raises:
      TooLargeError: the horizon is too long for backward induction, or for the moments behind `best_constant`.
    """

    def __init__(self, mdp: MDP, policy: Policy) -> None:
        self.mdp = mdp
        self.policy = policy
        self._induction = backward_induction(mdp, policy)
        self._advantages: dict[int, Floats] = {}

    @property
    def value(self) -> float:
        """J."""
        return self._induction.value

    @property
    def gradient(self) -> Floats:
        """∇J `[d]`."""
        return self._induction.gradient

    def values(self, t: int) -> Floats:
        """Returns V_t(s) = E[Σ_{k≥t} γ^{k−t} r_k | s_t = s] `[S]`; 0 in terminal states and at the horizon."""
        known = self._induction.values
        return np.asarray(known[min(self.mdp.horizon - t, len(known) - 1)])

    def advantages(self, t: int) -> Floats:
        """Returns A_t(s, a) = Q_t(s, a) − V_t(s) `[S, A]`; 0 where s does not offer a.

        Formed from differences of Q_t, so that a value that is common to all actions costs no digits.
        """
        level = min(self.mdp.horizon - t, len(self._induction.values))
        known = self._advantages.get(level)
        if known is None:
            mdp = self.mdp
            onward = np.where(mdp.ends, 0.0, mdp.gamma * self.values(t + 1)[mdp.next_state])
            q = np.zeros((mdp.num_states, mdp.num_actions))
            np.add.at(q, (mdp.state, mdp.action), mdp.prob * (mdp.reward + onward))
            likeliest = np.argmax(self._probs, axis=1)[:, None]
            excess = np.where(mdp.available, q - np.take_along_axis(q, likeliest, axis=1), 0.0)
            mean = np.sum(self._probs * excess, axis=1, keepdims=True)
            known = self._advantages[level] = np.where(mdp.available, excess - mean, 0.0)
        return known

    def differences(self, t: int) -> Floats:
        """Returns δ_t = r + γ V_{t+1}(s′) − V_t(s) of each outcome `[K]`; V is 0 after the episode's end."""
        mdp = self.mdp
        onward = np.where(mdp.ends, 0.0, mdp.gamma * self.values(t + 1)[mdp.next_state])
        return mdp.reward + onward - self.values(t)[mdp.state]

    @cached_property
    def best_constant(self) -> float:
        """The b that minimises tr Cov[(R − b) Ψ], Ψ = Σ_t ∇log π(a_t|s_t): E[R ‖Ψ‖²] / E[‖Ψ‖²].

        See Greensmith et al. (2004), https://www.jmlr.org/papers/v5/greensmith04a.html
        """
        mdp = self.mdp
        joint = self._probs[mdp.state, mdp.action] * mdp.prob
        second = total(Frame(mdp, self.policy), joint, powers=(0, 1)).second
        squares = float(second[0].sum())
        return float(second[1].sum()) / squares if squares > 0 else 0.0

    @cached_property
    def _probs(self) -> Floats:
        return self.policy.probs()
