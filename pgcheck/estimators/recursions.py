"""Which recursion gives the mean and second moment of which built-in estimator, at any horizon."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from pgcheck.arrays import Floats
from pgcheck.estimators import catalogue as estimators
from pgcheck.estimators.base import Estimator
from pgcheck.exact.critic import Critic, critic
from pgcheck.exact.pair_sums import PairSums
from pgcheck.exact.second_moments import StepCredit, return_moments, state_moments, trace_moments
from pgcheck.model.mdp import MDP
from pgcheck.model.policy import Policy

Sums = tuple[Floats, Floats]  # E[ĝ] [d], and E[ĝ ĝᵀ] [d, d] or its diagonal [d]


@dataclass(frozen=True, eq=False)
class Setting:
    """What the recursions need: the problem, who acts, which estimator, and whether whole matrices are wanted."""

    mdp: MDP
    policy: Policy
    actor: Policy
    estimator: Estimator
    full: bool

    @cached_property
    def frame(self) -> PairSums:
        return PairSums(self.mdp, self.policy, full=self.full)

    @property
    def critic(self) -> Critic:
        return critic(self.mdp, self.policy)

    @cached_property
    def joint(self) -> Floats:
        """The probability of each outcome in its state `[K]`."""
        return np.asarray(self.actor.probs()[self.mdp.state, self.mdp.action] * self.mdp.prob)

    @cached_property
    def ratio(self) -> Floats:
        """π/b of each outcome `[K]`."""
        return estimators.odds(self.mdp, self.policy, self.actor)

    def traced(
        self, x: Callable[[int], Floats], trace: Floats | float, carry: Floats | float,
        baseline: Callable[[int], Floats] | None = None,
    ) -> Sums:  # fmt: skip
        """`trace_moments`, with factors that may be the same for all outcomes, and no baseline by default."""
        level, ones = np.zeros(self.mdp.num_states), np.ones(len(self.mdp.prob))

        def step(t: int) -> StepCredit:
            return StepCredit(x(t), level if baseline is None else baseline(t))

        return trace_moments(self.frame, self.joint, step, trace * ones, carry * ones)


def reinforce(of: Setting, baseline: float = 0.0) -> Sums:
    """Of `reinforce`, or with a constant baseline: `return_moments`, R − b times Ψ."""
    whole = return_moments(of.frame, of.joint, baseline=baseline)
    return whole.first[1], whole.second[2]


def constant_baseline(of: Setting) -> Sums:
    """Of `constant-baseline`."""
    return reinforce(of, of.critic.value)


def optimal_baseline(of: Setting) -> Sums:
    """Of `optimal-baseline`."""
    return reinforce(of, of.critic.best_constant)


def mean_over_steps(of: Setting) -> Sums:
    """Of `mean-over-steps`: the return, weighted by 1/L; squared, by 1/L²."""
    mean = return_moments(of.frame, of.joint, ending=lambda length: 1 / max(length, 1), powers=())
    square = return_moments(of.frame, of.joint, ending=lambda length: 1 / max(length, 1) ** 2)
    return mean.first[1], square.second[2]


def importance_sampling(of: Setting) -> Sums:
    """Of `importance-sampling`: with ρ² for a weight under b the second moment, with ρ the mean."""
    mean = return_moments(of.frame, of.joint * of.ratio, powers=())
    return mean.first[1], return_moments(of.frame, of.joint * of.ratio**2).second[2]


def reward_to_go(of: Setting) -> Sums:
    """Of `reward-to-go`."""
    return of.traced(lambda t: of.mdp.reward, of.mdp.gamma, of.mdp.gamma)


def value_baseline(of: Setting) -> Sums:
    """Of `value-baseline`."""
    return of.traced(lambda t: of.mdp.reward, of.mdp.gamma, of.mdp.gamma, of.critic.values)


def actor_critic(of: Setting) -> Sums:
    """Of `actor-critic`."""
    return of.traced(of.critic.differences, 0.0, of.mdp.gamma)


def gae(of: Setting) -> Sums:
    """Of `gae`: differences carried on by γλ."""
    assert of.estimator.lam is not None
    return of.traced(of.critic.differences, of.estimator.lam * of.mdp.gamma, of.mdp.gamma)


def advantage(of: Setting) -> Sums:
    """Of `advantage`."""
    return of.traced(lambda t: of.critic.advantages(t)[of.mdp.state, of.mdp.action], 0.0, of.mdp.gamma)


def all_actions(of: Setting) -> Sums:
    """Of `all-actions`: `state_moments`, Σ_a ∇π A."""
    pair = of.frame.state, of.frame.action
    return state_moments(of.frame, of.joint, lambda t: of.frame.pi * of.critic.advantages(t)[pair])


def per_decision(of: Setting) -> Sums:
    """Of `per-decision`: γρ carries both what follows and what came before."""
    factor = of.ratio * of.mdp.gamma
    return of.traced(lambda t: of.ratio * of.mdp.reward, factor, factor)


def dropped_gamma(of: Setting) -> Sums:
    """Of `dropped-gamma`."""
    return of.traced(lambda t: of.mdp.reward, of.mdp.gamma, 1.0)


def immediate_reward(of: Setting) -> Sums:
    """Of `immediate-reward`."""
    return of.traced(lambda t: of.mdp.reward, 0.0, of.mdp.gamma)


# By the function of the estimator, as its name may be given to another.
RECURSIONS: dict[object, Callable[[Setting], Sums]] = {
    estimators.reinforce: reinforce,
    estimators.reward_to_go: reward_to_go,
    estimators.constant_baseline: constant_baseline,
    estimators.optimal_baseline: optimal_baseline,
    estimators.value_baseline: value_baseline,
    estimators.actor_critic: actor_critic,
    estimators.gae: gae,
    estimators.advantage: advantage,
    estimators.all_actions: all_actions,
    estimators.importance_sampling: importance_sampling,
    estimators.per_decision: per_decision,
    estimators.dropped_gamma: dropped_gamma,
    estimators.mean_over_steps: mean_over_steps,
    estimators.immediate_reward: immediate_reward,
}


def weighted_importance_sampling(of: Setting) -> tuple[Floats, Floats, Floats]:
    """Returns mean, second moment and drift of Σ ρ_i g_i / Σ ρ_i, to the first order in 1/N (delta method).

    With m = E[ρ g] and E[ρ] = 1 the covariance is E[ρ² (g − m)(g − m)ᵀ] / N, and the bias −E[ρ² (g − m)] / N.
    See Owen (2013), Monte Carlo theory, methods and examples, chapter 9, https://artowen.su.domains/mc
    """
    mean = return_moments(of.frame, of.joint * of.ratio, powers=()).first[1]
    squared = return_moments(of.frame, of.joint * of.ratio**2)
    first, mass = squared.first[1], squared.mass
    if of.full:
        cross = np.outer(mean, first)
        spread = squared.second[2] - cross - cross.T + mass * np.outer(mean, mean)
        return mean, spread + np.outer(mean, mean), mass * mean - first
    spread = squared.second[2] - 2 * mean * first + mass * mean**2
    return mean, spread + mean**2, mass * mean - first
