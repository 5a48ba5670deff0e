"""Exact values of a policy, as a perfect critic would know them: J, V_t, A_t, δ_t, and the best constant baseline.

V_t(s)    = E[Σ_{k≥t} γ^{k−t} r_k | s_t = s]         A_t(s, a) = Q_t(s, a) − V_t(s)
Q_t(s, a) = Σ_k P(k|s, a) (r_k + γ V_{t+1}(s′_k))    δ_t(k)    = r_k + γ V_{t+1}(s′_k) − V_t(s)
"""

from functools import cached_property, lru_cache

import numpy as np

from pgcheck.arrays import Floats
from pgcheck.exact.bellman import Bellman
from pgcheck.exact.induction import backward_induction
from pgcheck.exact.pair_sums import PairSums
from pgcheck.exact.second_moments import return_moments
from pgcheck.model.mdp import MDP
from pgcheck.model.objective import credited
from pgcheck.model.policy import Policy


@lru_cache(maxsize=8)
def critic(mdp: MDP, policy: Policy) -> "Critic":
    """Returns the critic of a problem; the same one when it is asked for again."""
    return Critic(credited(mdp, policy), policy)


class Critic:
    """Exact values under a policy, for each number of steps that are left.

    Raises:
      TooLargeError: the horizon is too long for backward induction, or for the moments behind `best_constant`.
    """

    def __init__(self, mdp: MDP, policy: Policy) -> None:
        self.mdp = mdp
        self.policy = policy
        self._induction = backward_induction(mdp, policy)
        self._probs = policy.probs()
        self._bellman = Bellman(mdp, self._probs)
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
        """Returns V_t(s) `[S]`; 0 in terminal states and at the horizon."""
        values = self._induction.values
        return np.asarray(values[min(self.mdp.horizon - t, len(values) - 1)])

    def advantages(self, t: int) -> Floats:
        """Returns A_t(s, a) `[S, A]`; 0 where s does not offer a.

        Formed from differences of Q_t, so that a value that is common to all actions costs no digits.
        """
        left = min(self.mdp.horizon - t, len(self._induction.values))
        advantages = self._advantages.get(left)
        if advantages is None:
            bellman = self._bellman
            excess = bellman.differences(bellman.action_values(self.values(t + 1)))
            advantages = self._advantages[left] = np.zeros(self._probs.shape)
            advantages[bellman.state, bellman.action] = excess - bellman.state_means(excess)[bellman.state]
        return advantages

    def differences(self, t: int) -> Floats:
        """Returns δ_t of each outcome `[K]`; V_{t+1} counts as 0 after the episode's end."""
        return self._bellman.outcome_values(self.values(t + 1)) - self.values(t)[self.mdp.state]

    @cached_property
    def best_constant(self) -> float:
        """The b that minimises tr Cov[(R − b) Ψ], Ψ = Σ_t ∇log π(a_t|s_t): E[R ‖Ψ‖²] / E[‖Ψ‖²].

        See Greensmith et al. (2004), https://www.jmlr.org/papers/v5/greensmith04a.html
        """
        joint = self._probs[self.mdp.state, self.mdp.action] * self.mdp.prob
        sums = PairSums(self.mdp, self.policy)
        second = return_moments(sums, joint, powers=(0, 1)).second
        squares, weighted = (float(sums.second_at_theta(second[power]).sum()) for power in (0, 1))
        return weighted / squares if squares > 0 else 0.0
