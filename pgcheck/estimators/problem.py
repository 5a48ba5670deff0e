"""What the moments of an estimator follow from: an MDP, the policy to differentiate, and the policy that acts."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from pgcheck.arrays import Floats
from pgcheck.estimators.weights import outcome_ratios
from pgcheck.exact.critic import Critic, critic
from pgcheck.exact.pair_sums import PairSums
from pgcheck.exact.second_moments import StepCredit, return_moments, trace_moments
from pgcheck.model.mdp import MDP
from pgcheck.model.objective import credited
from pgcheck.model.policy import Policy


@dataclass(frozen=True, eq=False)
class RawMoments:
    """The first two moments of one rollout's estimate.

    Attributes:
      mean: E[ĝ] `[d]`.
      second: E[ĝ ĝᵀ] `[d, d]`, or its diagonal `[d]`.
      drift: what E[ĝ_N] has beyond the mean, times N, to the first order `[d]`; None for a mean of N estimates.
    """

    mean: Floats
    second: Floats
    drift: Floats | None = None


@dataclass(frozen=True, eq=False)
class Problem:
    """An MDP, the policy π at which the gradient is taken, and the actor b that draws the rollouts.

    Attributes:
      mdp, policy, actor: the three; the actor is the policy itself unless an estimator is off-policy.
      full: whether whole covariance matrices are wanted, or their diagonals.
      progress: called with the fraction of a recursion that is done, 0 to 1, from time to time.
    """

    mdp: MDP
    policy: Policy
    actor: Policy
    full: bool = False
    progress: Callable[[float], None] | None = None

    @cached_property
    def sums(self) -> PairSums:
        """Sums over (state, action) pairs, on which the recursions work."""
        return PairSums(credited(self.mdp, self.policy), self.policy, full=self.full, progress=self.progress)

    @property
    def critic(self) -> Critic:
        """The exact values of the policy."""
        return critic(self.mdp, self.policy)

    @cached_property
    def joint(self) -> Floats:
        """b(a|s) P(outcome|s, a) of each outcome `[K]`."""
        return np.asarray(self.actor.probs()[self.mdp.state, self.mdp.action] * self.mdp.prob)

    @cached_property
    def ratio(self) -> Floats:
        """π(a|s) / b(a|s) of each outcome `[K]`."""
        return outcome_ratios(self.mdp, self.policy, self.actor)

    def at_theta(self, raw: RawMoments) -> RawMoments:
        """Returns the moments that a recursion has found, pulled back to θ."""
        sums = self.sums
        drift = None if raw.drift is None else sums.at_theta(raw.drift)
        return RawMoments(sums.at_theta(raw.mean), sums.second_at_theta(raw.second), drift)

    def of_return(self, baseline: float = 0.0) -> RawMoments:
        """Returns the moments of (R − b) Σ_t ∇log π(a_t|s_t), for a constant b."""
        sums = return_moments(self.sums, self.joint, baseline=baseline)
        return RawMoments(sums.first[1], sums.second[2])

    def of_steps(
        self, gain: Callable[[int], Floats], trace: Floats | float, carry: Floats | float,
        baseline: Callable[[int], Floats] | None = None,
    ) -> RawMoments:  # fmt: skip
        """Returns the moments of H_0, where H_t = ∇log π(a_t|s_t) (C_t − b_t(s_t)) + carry H_{t+1}.

        C_t = x_t + trace C_{t+1} is what follows step t: with the rewards for x and γ for trace, the return to go.

        Args:
          gain: from t to x of each outcome `[K]`.
          trace, carry: factors, one for all outcomes or one for each `[K]`.
          baseline: from t to b of each state `[S]`; None for 0.
        """
        level, ones = np.zeros(self.mdp.num_states), np.ones(len(self.mdp.prob))

        def step(t: int) -> StepCredit:
            return StepCredit(gain(t), level if baseline is None else baseline(t))

        return RawMoments(*trace_moments(self.sums, self.joint, step, trace * ones, carry * ones))

    def rewards(self, t: int) -> Floats:
        """Returns r of each outcome `[K]`, with what the objective adds to it: the gain of step t."""
        return self.sums.mdp.reward
