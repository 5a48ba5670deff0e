"""Built-in estimators that are wrong, each a known mistake, with the recursions of their moments.

They show what a mistake does to the error; the weights are those of `mistakes`, where there is one.
"""

import numpy as np

from pgcheck.arrays import Floats
from pgcheck.estimators.base import WeightedScores
from pgcheck.estimators.mistakes.weights import centred, dropped_gamma, immediate_reward, mean_over_steps
from pgcheck.estimators.on_policy import reinforce
from pgcheck.estimators.problem import Problem, RawMoments
from pgcheck.estimators.weights import discounts
from pgcheck.exact.second_moments import return_moments
from pgcheck.trajectories.batch import Batch

PYTORCH = "the REINFORCE of https://github.com/pytorch/examples"
FOLKLORE = "a common slip"
NOTA = "Nota & Thomas (2020), https://arxiv.org/abs/1906.07073"


def dropped_gamma_moments(problem: Problem) -> RawMoments:
    """H_t = ψ_t G_t + H_{t+1}: no factor γ comes with the step."""
    return problem.of_steps(problem.rewards, problem.mdp.gamma, 1.0)


DROPPED_GAMMA = WeightedScores(
    "dropped-gamma", "sum psi_t G_t", "wrong", "gamma^t is left out", NOTA, dropped_gamma, dropped_gamma_moments
)


def normalised_returns(batch: Batch) -> Floats:
    """w_t = γ^t (G_t − mean G) / (std G + 1e-8) over the episode's own steps."""
    deviations = np.where(batch.mask, centred(batch), 0.0)
    length = np.maximum(batch.lengths, 1)[:, None]
    std = np.sqrt(np.sum(deviations**2, axis=1, keepdims=True) / length)
    return np.asarray(discounts(batch) * deviations / (std + 1e-8))


NORMALISED_RETURNS = WeightedScores(
    "normalised-returns", "sum psi_t gamma^t (G_t - mean G) / (std G + 1e-8)", "wrong",
    "standardised within the episode", PYTORCH, normalised_returns,
)  # fmt: skip


def mean_over_steps_moments(problem: Problem) -> RawMoments:
    """The return weighted by 1/L; squared, by 1/L²."""
    mean = return_moments(problem.sums, problem.joint, ending=lambda length: 1 / max(length, 1), powers=())
    square = return_moments(problem.sums, problem.joint, ending=lambda length: 1 / max(length, 1) ** 2)
    return RawMoments(mean.first[1], square.second[2])


MEAN_OVER_STEPS = WeightedScores(
    "mean-over-steps", "sum psi_t R / L", "wrong", "the gradient of E[R/L] instead", FOLKLORE, mean_over_steps,
    mean_over_steps_moments,
)  # fmt: skip


def immediate_reward_moments(problem: Problem) -> RawMoments:
    """H_t = ψ_t r_t + γ H_{t+1}."""
    return problem.of_steps(problem.rewards, 0.0, problem.mdp.gamma)


IMMEDIATE_REWARD = WeightedScores(
    "immediate-reward", "sum psi_t gamma^t r_t", "wrong", "later rewards are left out", FOLKLORE,
    immediate_reward, immediate_reward_moments,
)  # fmt: skip

UNIFORM_TRAJECTORIES = WeightedScores(
    "uniform-trajectories", "sum_tau g(tau) / D", "wrong",
    "equal weight for each of the D distinct trajectories; g is reinforce", FOLKLORE, reinforce,
    aggregation="distinct",
)  # fmt: skip
