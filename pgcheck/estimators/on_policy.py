"""Right estimators whose rollouts the policy itself draws: each with its weights and the recursion of its moments.

The weights w_t make the estimate Σ_t w_t ∇log π(a_t|s_t). R = Σ_t γ^t r_t is the return, G_t = Σ_{k≥t} γ^{k−t} r_k
the return to go, V_t, A_t and δ_t are those of the exact critic.
"""

from functools import partial

import numpy as np

from pgcheck.arrays import Floats
from pgcheck.estimators.base import WeightedScores
from pgcheck.estimators.problem import Problem, RawMoments
from pgcheck.estimators.weights import (
    all_steps,
    discounts,
    exact_critic,
    looked_up,
    onward,
    returns,
    td_errors,
    values,
)
from pgcheck.exact.second_moments import state_moments
from pgcheck.trajectories.batch import Batch

LAMBDA = 0.95  # λ of `gae` unless told

WILLIAMS = "Williams (1992), https://doi.org/10.1007/BF00992696"
SUTTON = "Sutton et al. (1999), https://papers.nips.cc/paper/1713"
GREENSMITH = "Greensmith et al. (2004), https://www.jmlr.org/papers/v5/greensmith04a.html"
BARTO = "Barto et al. (1983), https://doi.org/10.1109/TSMC.1983.6313077"
SCHULMAN = "Schulman et al. (2016), https://arxiv.org/abs/1506.02438"
ASADI = "Asadi et al. (2017), https://arxiv.org/abs/1709.00503"


def reinforce(batch: Batch) -> Floats:
    """w_t = R: the whole return weights every step."""
    return all_steps(batch, returns(batch))


def reinforce_moments(problem: Problem) -> RawMoments:
    """H = R Σ_t ψ_t."""
    return problem.of_return()


REINFORCE = WeightedScores(
    "reinforce", "sum psi_t R", "none", "the total return", WILLIAMS, reinforce, reinforce_moments, needs_paths=False
)  # fmt: skip


def reward_to_go(batch: Batch) -> Floats:
    """w_t = γ^t G_t: rewards before t have no part in ∇J."""
    return discounts(batch) * onward(batch.credits, batch.gamma)


def reward_to_go_moments(problem: Problem) -> RawMoments:
    """H_t = ψ_t G_t + γ H_{t+1}."""
    return problem.of_steps(problem.rewards, problem.mdp.gamma, problem.mdp.gamma)


REWARD_TO_GO = WeightedScores(
    "reward-to-go", "sum psi_t gamma^t G_t", "none", "rewards before t left out", SUTTON, reward_to_go,
    reward_to_go_moments,
)  # fmt: skip


def constant_baseline(batch: Batch) -> Floats:
    """w_t = R − J."""
    return all_steps(batch, returns(batch) - exact_critic(batch).value)


def constant_baseline_moments(problem: Problem) -> RawMoments:
    """H = (R − J) Σ_t ψ_t."""
    return problem.of_return(problem.critic.value)


CONSTANT_BASELINE = WeightedScores(
    "constant-baseline", "sum psi_t (R - J)", "none", "b = J", WILLIAMS, constant_baseline, constant_baseline_moments
)  # fmt: skip


def optimal_baseline(batch: Batch) -> Floats:
    """w_t = R − b, b the constant of least variance (`Critic.best_constant`)."""
    return all_steps(batch, returns(batch) - exact_critic(batch).best_constant)


def optimal_baseline_moments(problem: Problem) -> RawMoments:
    """H = (R − b) Σ_t ψ_t."""
    return problem.of_return(problem.critic.best_constant)


OPTIMAL_BASELINE = WeightedScores(
    "optimal-baseline", "sum psi_t (R - b)", "none", "the constant b of least variance", GREENSMITH, optimal_baseline,
    optimal_baseline_moments,
)  # fmt: skip


def value_baseline(batch: Batch) -> Floats:
    """w_t = γ^t (G_t − V_t(s_t))."""
    return discounts(batch) * (onward(batch.credits, batch.gamma) - values(batch))


def value_baseline_moments(problem: Problem) -> RawMoments:
    """H_t = ψ_t (G_t − V_t) + γ H_{t+1}."""
    return problem.of_steps(problem.rewards, problem.mdp.gamma, problem.mdp.gamma, problem.critic.values)


VALUE_BASELINE = WeightedScores(
    "value-baseline", "sum psi_t gamma^t (G_t - V_t(s_t))", "none", "exact V_t as baseline", SUTTON, value_baseline,
    value_baseline_moments,
)  # fmt: skip


def actor_critic(batch: Batch) -> Floats:
    """w_t = γ^t δ_t, δ_t = r_t + γ V_{t+1}(s_{t+1}) − V_t(s_t)."""
    return discounts(batch) * td_errors(batch)


def actor_critic_moments(problem: Problem) -> RawMoments:
    """H_t = ψ_t δ_t + γ H_{t+1}."""
    return problem.of_steps(problem.critic.differences, 0.0, problem.mdp.gamma)


ACTOR_CRITIC = WeightedScores(
    "actor-critic", "sum psi_t gamma^t delta_t", "none", "one-step difference, exact V_t", BARTO, actor_critic,
    actor_critic_moments,
)  # fmt: skip


def gae(lam: float) -> WeightedScores:
    """Returns generalised advantage estimation: w_t = γ^t Σ_{k≥t} (γλ)^{k−t} δ_k."""
    return WeightedScores(
        "gae", "sum psi_t gamma^t sum_{k>=t} (gamma lambda)^(k-t) delta_k", "none",
        "generalised advantage, exact V_t; --lambda", SCHULMAN, partial(gae_weights, lam=lam),
        partial(gae_moments, lam=lam), lam=lam,
    )  # fmt: skip


def gae_weights(batch: Batch, *, lam: float) -> Floats:
    """w_t = γ^t Σ_{k≥t} (γλ)^{k−t} δ_k."""
    return discounts(batch) * onward(td_errors(batch), batch.gamma * lam)


def gae_moments(problem: Problem, *, lam: float) -> RawMoments:
    """C_t = δ_t + γλ C_{t+1}, H_t = ψ_t C_t + γ H_{t+1}."""
    return problem.of_steps(problem.critic.differences, lam * problem.mdp.gamma, problem.mdp.gamma)


def advantage(batch: Batch) -> Floats:
    """w_t = γ^t A_t(s_t, a_t)."""
    tables = [exact_critic(batch).advantages(t).ravel() for t in range(len(batch.outcomes))]
    return discounts(batch) * looked_up(tables, (batch.states * batch.num_actions + batch.actions).T)


def advantage_moments(problem: Problem) -> RawMoments:
    """H_t = ψ_t A_t + γ H_{t+1}."""
    mdp = problem.mdp
    return problem.of_steps(lambda t: problem.critic.advantages(t)[mdp.state, mdp.action], 0.0, mdp.gamma)


ADVANTAGE = WeightedScores(
    "advantage", "sum psi_t gamma^t A_t(s_t, a_t)", "none", "exact A_t", SUTTON, advantage, advantage_moments
)


def all_actions(batch: Batch) -> Floats:
    """w_t(s, a) = γ^t π(a|s) A_t(s, a): Σ_a ∇π Q without sampling a."""
    tables = [
        discount * batch.probs * exact_critic(batch).advantages(t) for t, discount in enumerate(discounts(batch))
    ]
    return np.reshape(tables, (-1, *batch.probs.shape))


def all_actions_moments(problem: Problem) -> RawMoments:
    """The moments of Σ_t γ^t u_t(s_t), u_t(s) = Σ_a ∇π(a|s) A_t(s, a)."""
    pair = problem.sums.state, problem.sums.action
    return RawMoments(
        *state_moments(problem.sums, problem.joint, lambda t: problem.sums.pi * problem.critic.advantages(t)[pair])
    )


ALL_ACTIONS = WeightedScores(
    "all-actions", "sum_t gamma^t sum_a grad pi(a|s_t) Q_t(s_t, a)", "none", "no noise from the action", ASADI,
    all_actions, all_actions_moments,
)  # fmt: skip
