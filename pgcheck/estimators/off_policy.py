"""Estimators whose rollouts another policy draws: the behavior b, with the ratios ρ_t = π(a_t|s_t) / b(a_t|s_t)."""

import numpy as np

from pgcheck.arrays import Floats
from pgcheck.estimators.base import WeightedScores
from pgcheck.estimators.on_policy import reinforce
from pgcheck.estimators.problem import Problem, RawMoments
from pgcheck.estimators.weights import all_steps, discounts, onward, ratios, returns, whole_ratio
from pgcheck.exact.second_moments import return_moments
from pgcheck.trajectories.batch import Batch

PRECUP = "Precup et al. (2000), https://scholarworks.umass.edu/cs_faculty_pubs/80"


def importance_sampling(batch: Batch) -> Floats:
    """w_t = ρ R, ρ = Π_t π(a_t|s_t) / b(a_t|s_t)."""
    return all_steps(batch, whole_ratio(batch) * returns(batch))


def importance_sampling_moments(problem: Problem) -> RawMoments:
    """Sums under b with a factor for each outcome: ρ for the mean, ρ² for the second moment."""
    mean = return_moments(problem.sums, problem.joint * problem.ratio, powers=())
    square = return_moments(problem.sums, problem.joint * problem.ratio**2)
    return RawMoments(mean.first[1], square.second[2])


IMPORTANCE_SAMPLING = WeightedScores(
    "importance-sampling", "rho sum psi_t R", "none", "off-policy, whole trajectory", PRECUP, importance_sampling,
    importance_sampling_moments, off_policy=True,
)  # fmt: skip


def per_decision(batch: Batch) -> Floats:
    """w_t = Σ_{k≥t} γ^k ρ_0 … ρ_k r_k: a reward is weighted by what led to it."""
    return onward(discounts(batch) * np.cumprod(ratios(batch), axis=1) * batch.credits, 1.0)


def per_decision_moments(problem: Problem) -> RawMoments:
    """C_t = ρ r + γρ C_{t+1}: γρ carries both what follows and what came before."""
    factor = problem.ratio * problem.mdp.gamma
    return problem.of_steps(lambda t: problem.ratio * problem.rewards(t), factor, factor)


PER_DECISION = WeightedScores(
    "per-decision", "sum psi_t sum_{k>=t} gamma^k rho_0 ... rho_k r_k", "none", "off-policy, step by step", PRECUP,
    per_decision, per_decision_moments, off_policy=True,
)  # fmt: skip


def weighted_importance_sampling_moments(problem: Problem) -> RawMoments:
    """The moments of Σ ρ_i g_i / Σ ρ_i, g_i = R Ψ, to the first order in 1/N (delta method).

    With m = E[ρ g] and E[ρ] = 1 the covariance is E[ρ² (g − m)(g − m)ᵀ] / N, and the bias −E[ρ² (g − m)] / N.
    See Owen (2013), Monte Carlo theory, methods and examples, chapter 9, https://artowen.su.domains/mc
    """
    mean = return_moments(problem.sums, problem.joint * problem.ratio, powers=()).first[1]
    square = return_moments(problem.sums, problem.joint * problem.ratio**2)
    first, mass = square.first[1], square.mass
    drift = mass * mean - first
    if problem.sums.full:
        cross = np.outer(mean, first)
        covariance = square.second[2] - cross - cross.T + mass * np.outer(mean, mean)
        return RawMoments(mean, covariance + np.outer(mean, mean), drift)
    variance = square.second[2] - 2 * mean * first + mass * mean**2
    return RawMoments(mean, variance + mean**2, drift)


WEIGHTED_IMPORTANCE_SAMPLING = WeightedScores(
    "weighted-importance-sampling", "sum_i rho_i g_i / sum_i rho_i", "vanishes",
    "off-policy, normalised weights; g_i is reinforce", PRECUP, reinforce, weighted_importance_sampling_moments,
    aggregation="ratio", share=whole_ratio, off_policy=True,
)  # fmt: skip
