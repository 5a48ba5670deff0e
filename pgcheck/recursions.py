"""Which recursion gives the mean and second moment of which built-in estimator, at any horizon."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from pgcheck.critic import Critic, critic
from pgcheck.estimate import Estimator
from pgcheck.estimators import odds
from pgcheck.mdp import MDP, Floats
from pgcheck.moments import Frame, Step, field, total, traced
from pgcheck.policy import Policy

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
    def frame(self) -> Frame:
        return Frame(self.mdp, self.policy, full=self.full)

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
        return odds(self.mdp, self.policy, self.actor)

    def traced(
        self, x: Callable[[int], Floats], trace: Floats | float, carry: Floats | float,
        baseline: Callable[[int], Floats] | None = None,
    ) -> Sums:  # fmt: skip
        """`moments.traced`, with factors that may be the same for all outcomes, and no baseline by default."""
        level, ones = np.zeros(self.mdp.num_states), np.ones(len(self.mdp.prob))

        def step(t: int) -> Step:
            return Step(x(t), level if baseline is None else baseline(t))

        return traced(self.frame, self.joint, step, trace * ones, carry * ones)


def reinforce(of: Setting, baseline: float = 0.0) -> Sums:
    whole = total(of.frame, of.joint, baseline=baseline)
    return whole.first[1], whole.second[2]


def constant_baseline(of: Setting) -> Sums:
    return reinforce(of, of.critic.value)


def optimal_baseline(of: Setting) -> Sums:
    return reinforce(of, of.critic.best_constant)


def mean_over_steps(of: Setting) -> Sums:
    mean = total(of.frame, of.joint, ending=lambda length: 1 / max(length, 1), powers=())
    square = total(of.frame, of.joint, ending=lambda length: 1 / max(length, 1) ** 2)
    return mean.first[1], square.second[2]


def importance_sampling(of: Setting) -> Sums:
    mean = total(of.frame, of.joint * of.ratio, powers=())
    return mean.first[1], total(of.frame, of.joint * of.ratio**2).second[2]


def reward_to_go(of: Setting) -> Sums:
    return of.traced(lambda t: of.mdp.reward, of.mdp.gamma, of.mdp.gamma)


def value_baseline(of: Setting) -> Sums:
    return of.traced(lambda t: of.mdp.reward, of.mdp.gamma, of.mdp.gamma, of.critic.values)


def actor_critic(of: Setting) -> Sums:
    return of.traced(of.critic.differences, 0.0, of.mdp.gamma)


def gae(of: Setting) -> Sums:
    assert of.estimator.lam is not None
    return of.traced(of.critic.differences, of.estimator.lam * of.mdp.gamma, of.mdp.gamma)


def advantage(of: Setting) -> Sums:
    return of.traced(lambda t: of.critic.advantages(t)[of.mdp.state, of.mdp.action], 0.0, of.mdp.gamma)


def all_actions(of: Setting) -> Sums:
    pair = of.frame.state, of.frame.action
    return field(of.frame, of.joint, lambda t: of.frame.pi * of.critic.advantages(t)[pair])


def per_decision(of: Setting) -> Sums:
    factor = of.ratio * of.mdp.gamma
    return of.traced(lambda t: of.ratio * of.mdp.reward, factor, factor)


def dropped_gamma(of: Setting) -> Sums:
    return of.traced(lambda t: of.mdp.reward, of.mdp.gamma, 1.0)


def immediate_reward(of: Setting) -> Sums:
    return of.traced(lambda t: of.mdp.reward, 0.0, of.mdp.gamma)


RECURSIONS: dict[str, Callable[[Setting], Sums]] = {
    "reinforce": reinforce,
    "reward-to-go": reward_to_go,
    "constant-baseline": constant_baseline,
    "optimal-baseline": optimal_baseline,
    "value-baseline": value_baseline,
    "actor-critic": actor_critic,
    "gae": gae,
    "advantage": advantage,
    "all-actions": all_actions,
    "importance-sampling": importance_sampling,
    "per-decision": per_decision,
    "dropped-gamma": dropped_gamma,
    "mean-over-steps": mean_over_steps,
    "immediate-reward": immediate_reward,
}


def weighted_importance_sampling(of: Setting) -> tuple[Floats, Floats, Floats]:
    """Returns mean, second moment and drift of Σ ρ_i g_i / Σ ρ_i, to the first order in 1/N (delta method).

    With m = E[ρ g] and E[ρ] = 1 the covariance is E[ρ² (g − m)(g − m)ᵀ] / N, and the bias −E[ρ² (g − m)] / N.
    See Owen (2013), Monte Carlo theory, methods and examples, chapter 9, https://artowen.su.domains/mc
    """
    mean = total(of.frame, of.joint * of.ratio, powers=()).first[1]
    squared = total(of.frame, of.joint * of.ratio**2)
    first, mass = squared.first[1], squared.mass
    if of.full:
        cross = np.outer(mean, first)
        spread = squared.second[2] - cross - cross.T + mass * np.outer(mean, mean)
        return mean, spread + np.outer(mean, mean), mass * mean - first
    spread = squared.second[2] - 2 * mean * first + mass * mean**2
    return mean, spread + mean**2, mass * mean - first
