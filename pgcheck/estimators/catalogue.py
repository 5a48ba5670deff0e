"""REINFORCE and its relatives: one small function each, from a batch to the weight of each ∇log π(a_t|s_t).

A function returns weights w `[N, T]`, and the estimate of a trajectory is Σ_t w_t ∇log π(a_t|s_t); or, where only t
and s_t matter, a table `[T, S, A]`, for Σ_t Σ_a w_t(s_t, a) ∇log π(a|s_t). What stands beyond a trajectory's end is
ignored.

To add one: write the function, give it an `Estimator` in `ESTIMATORS`, and a row in the tests. Its covariance
then comes from enumeration or from a sample; a recursion for it goes into `prediction`.
"""

import difflib
from dataclasses import replace
from functools import partial

import numpy as np

from pgcheck.arrays import Floats
from pgcheck.errors import UsageError
from pgcheck.estimators.base import Estimator
from pgcheck.estimators.weights import (
    all_steps,
    discounts,
    exact_critic,
    looked_up,
    onward,
    ratios,
    returns,
    td_errors,
    values,
    whole_ratio,
)  # fmt: skip
from pgcheck.trajectories.batch import Batch

LAMBDA = 0.95


def reinforce(batch: Batch) -> Floats:
    """w_t = R: the whole return weighs every step. Williams (1992), https://doi.org/10.1007/BF00992696"""
    return all_steps(batch, returns(batch))


def reward_to_go(batch: Batch) -> Floats:
    """w_t = γ^t G_t: rewards before t have no part in ∇J. Sutton et al. (1999)."""
    return discounts(batch) * onward(batch.rewards, batch.gamma)


def constant_baseline(batch: Batch) -> Floats:
    """w_t = R − J."""
    return all_steps(batch, returns(batch) - exact_critic(batch).value)


def optimal_baseline(batch: Batch) -> Floats:
    """w_t = R − b, b the constant of least variance (`Critic.best_constant`)."""
    return all_steps(batch, returns(batch) - exact_critic(batch).best_constant)


def value_baseline(batch: Batch) -> Floats:
    """w_t = γ^t (G_t − V_t(s_t))."""
    return discounts(batch) * (onward(batch.rewards, batch.gamma) - values(batch))


def actor_critic(batch: Batch) -> Floats:
    """w_t = γ^t δ_t, δ_t = r_t + γ V_{t+1}(s_{t+1}) − V_t(s_t)."""
    return discounts(batch) * td_errors(batch)


def gae(batch: Batch, lam: float) -> Floats:
    """w_t = γ^t Σ_{k≥t} (γλ)^{k−t} δ_k. Schulman et al. (2016), https://arxiv.org/abs/1506.02438"""
    return discounts(batch) * onward(td_errors(batch), batch.gamma * lam)


def advantage(batch: Batch) -> Floats:
    """w_t = γ^t A_t(s_t, a_t)."""
    table = [exact_critic(batch).advantages(t).ravel() for t in range(len(batch.outcomes))]
    return discounts(batch) * looked_up(table, (batch.states * batch.num_actions + batch.actions).T)


def all_actions(batch: Batch) -> Floats:
    """w_t(s, a) = γ^t π(a|s) A_t(s, a): Σ_a ∇π Q without sampling a. Asadi et al. (2017)."""
    table = [weight * batch.probs * exact_critic(batch).advantages(t) for t, weight in enumerate(discounts(batch))]
    return np.reshape(table, (-1, *batch.probs.shape))


def importance_sampling(batch: Batch) -> Floats:
    """w_t = ρ R, ρ = Π_t π(a_t|s_t) / b(a_t|s_t)."""
    return all_steps(batch, whole_ratio(batch) * returns(batch))


def per_decision(batch: Batch) -> Floats:
    """w_t = Σ_{k≥t} γ^k ρ_0 … ρ_k r_k: a reward is weighted by what led to it. Precup et al. (2000)."""
    return onward(discounts(batch) * np.cumprod(ratios(batch), axis=1) * batch.rewards, 1.0)


def dropped_gamma(batch: Batch) -> Floats:
    """w_t = G_t: wrong for γ < 1, as ∇J carries γ^t."""
    return onward(batch.rewards, batch.gamma)


def normalized_returns(batch: Batch) -> Floats:
    """w_t = γ^t (G_t − mean G) / (std G + 1e-8) over the episode's own steps: wrong."""
    to_go = np.where(batch.mask, onward(batch.rewards, batch.gamma), 0.0)
    length = np.maximum(batch.lengths, 1)[:, None]
    centred = np.where(batch.mask, to_go - to_go.sum(axis=1, keepdims=True) / length, 0.0)
    deviation = np.sqrt(np.sum(centred**2, axis=1, keepdims=True) / length)
    return np.asarray(discounts(batch) * centred / (deviation + 1e-8))


def mean_over_steps(batch: Batch) -> Floats:
    """w_t = R / L: the gradient of E[R/L] instead of E[R]."""
    return all_steps(batch, returns(batch) / np.maximum(batch.lengths, 1))


def immediate_reward(batch: Batch) -> Floats:
    """w_t = γ^t r_t: wrong unless actions do not matter later."""
    return discounts(batch) * batch.rewards


WILLIAMS = "Williams (1992), https://doi.org/10.1007/BF00992696"
SUTTON = "Sutton et al. (1999), https://papers.nips.cc/paper/1713"
GREENSMITH = "Greensmith et al. (2004), https://www.jmlr.org/papers/v5/greensmith04a.html"
BARTO = "Barto et al. (1983), https://doi.org/10.1109/TSMC.1983.6313077"
SCHULMAN = "Schulman et al. (2016), https://arxiv.org/abs/1506.02438"
ASADI = "Asadi et al. (2017), https://arxiv.org/abs/1709.00503"
PRECUP = "Precup et al. (2000), https://scholarworks.umass.edu/cs_faculty_pubs/80"
PYTORCH = "the REINFORCE of https://github.com/pytorch/examples"
FOLKLORE = "a common slip"
NOTA = "Nota & Thomas (2020), https://arxiv.org/abs/1906.07073"

ESTIMATORS = (
    Estimator("reinforce", "sum psi_t R", "none", "the total return", WILLIAMS, reinforce),
    Estimator("reward-to-go", "sum psi_t gamma^t G_t", "none", "rewards before t left out", SUTTON, reward_to_go),
    Estimator("constant-baseline", "sum psi_t (R - J)", "none", "b = J", WILLIAMS, constant_baseline),
    Estimator(
        "optimal-baseline", "sum psi_t (R - b)", "none", "the constant b of least variance", GREENSMITH,
        optimal_baseline,
    ),
    Estimator(
        "value-baseline", "sum psi_t gamma^t (G_t - V_t(s_t))", "none", "exact V_t as baseline", SUTTON,
        value_baseline,
    ),
    Estimator(
        "actor-critic", "sum psi_t gamma^t delta_t", "none", "one-step difference, exact V_t", BARTO, actor_critic
    ),
    Estimator(
        "gae", "sum psi_t gamma^t sum_{k>=t} (gamma lambda)^(k-t) delta_k", "none",
        "generalised advantage, exact V_t; --lambda", SCHULMAN, partial(gae, lam=LAMBDA), lam=LAMBDA,
    ),
    Estimator("advantage", "sum psi_t gamma^t A_t(s_t, a_t)", "none", "exact A_t", SUTTON, advantage),
    Estimator(
        "all-actions", "sum_t gamma^t sum_a grad pi(a|s_t) Q_t(s_t, a)", "none", "no noise from the action", ASADI,
        all_actions,
    ),
    Estimator(
        "importance-sampling", "rho sum psi_t R", "none", "off-policy, whole trajectory", PRECUP,
        importance_sampling, off_policy=True,
    ),
    Estimator(
        "per-decision", "sum psi_t sum_{k>=t} gamma^k rho_0 ... rho_k r_k", "none", "off-policy, step by step",
        PRECUP, per_decision, off_policy=True,
    ),
    Estimator(
        "weighted-importance-sampling", "sum_i rho_i g_i / sum_i rho_i", "vanishes",
        "off-policy, weights sum to 1; g_i is reinforce", PRECUP, reinforce, share=whole_ratio, off_policy=True,
    ),
    Estimator("dropped-gamma", "sum psi_t G_t", "wrong", "gamma^t is left out", NOTA, dropped_gamma),
    Estimator(
        "normalized-returns", "sum psi_t gamma^t (G_t - mean G) / (std G + 1e-8)", "wrong",
        "standardised within the episode", PYTORCH, normalized_returns,
    ),
    Estimator(
        "mean-over-steps", "sum psi_t R / L", "wrong", "the gradient of E[R/L] instead", FOLKLORE, mean_over_steps
    ),
    Estimator(
        "immediate-reward", "sum psi_t gamma^t r_t", "wrong", "what follows the reward is left out", FOLKLORE,
        immediate_reward,
    ),
    Estimator(
        "uniform-trajectories", "sum_tau g(tau) / D", "wrong",
        "each of the D distinct trajectories alike; g is reinforce", FOLKLORE, reinforce, once=True,
    ),
)  # fmt: skip

NAMES = tuple(estimator.name for estimator in ESTIMATORS)


def estimator(name: str, lam: float | None = None) -> Estimator:
    """Returns the built-in estimator of this name.

    Args:
      name: one of `NAMES`.
      lam: the λ of `gae`, 0 to 1; None is 0.95.

    Raises:
      UsageError: there is none, or λ is given for another or out of range.
    """
    found = next((some for some in ESTIMATORS if some.name == name), None)
    if found is None:
        near = difflib.get_close_matches(name[:100], NAMES, 1)
        hint = f"did you mean {near[0]}?" if near else f"expected one of {', '.join(NAMES)}"
        raise UsageError(f"no estimator {name[:100]!r}; {hint} (see: pgcheck estimators)")
    if lam is None:
        return found
    if name != "gae":
        raise UsageError(f"lambda belongs to gae, not to {name}")
    if not 0 <= lam <= 1:
        raise UsageError(f"lambda {lam}; expected 0 to 1")
    return replace(found, weights=partial(gae, lam=lam), lam=lam)
