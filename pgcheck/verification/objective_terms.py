"""Entropy bonuses and KL terms as people write them, and what each adds to the gradient.

With x_t = log(π(a_t|s_t) / π_ref(a_t|s_t)), KL is estimated by k1 = x, k2 = x² / 2 or k3 = exp(−x) − 1 + x. Where
such a k stands in the reward, −k is credited to all steps before it, and is a constant for the derivative. Where it
stands in the loss, Σ_t c_t ρ k_t is differentiated, ρ with it: ρ is 1, or a ratio of π to the behavior, whose value
is 1 where that is π and whose gradient is not 0 even there. c_t is γ^t, or 1; both over L, where a loss is averaged.

With ψ_t = ∇log π(a_t|s_t) and k′ = 1, x, 1 − exp(−x), the gradient of c_t ρ k_t is c_t (ρ k′_t ψ_t + k_t ∇ρ), and
∇ρ = ρ Σ ψ_j over the steps j that ρ is made of.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Literal

import numpy as np

from pgcheck.arrays import Floats
from pgcheck.estimators.base import Weights
from pgcheck.estimators.mistakes.weights import Candidate, dropped_gamma, undiscounted, with_gamma_t
from pgcheck.estimators.on_policy import reward_to_go
from pgcheck.estimators.weights import all_steps, discounts, onward, ratios, whole_ratio
from pgcheck.model.objective import log_ratio
from pgcheck.trajectories.batch import Batch
from pgcheck.verification.findings import Enumeration
from pgcheck.verification.terms import expected_entropy

About = Literal["entropy", "kl"]
Ratio = Literal["none", "token", "detached", "prefix", "sequence", "mean"]

ESTIMATORS_OF_KL = ("k1", "k2", "k3")
RATIOS: tuple[Ratio, ...] = ("none", "token", "detached", "prefix", "sequence", "mean")
RATIOS_ON_POLICY: tuple[Ratio, ...] = ("none", "token", "prefix", "sequence", "mean")
DISCOUNTS = ("sum gamma^t", "sum", "(1/L) sum gamma^t", "(1/L) sum")


@dataclass(frozen=True, eq=False)
class Way:
    """A way to write an entropy bonus or a KL term.

    Attributes:
      about: which of the two it is.
      cause: the key of its text in `verification.objective_texts.TEXTS`; `full` where it is right.
      variant: how KL is written, as of `verification.objective_texts.Variants`; empty for an entropy.
      discount: c_t, one of `DISCOUNTS`.
    """

    about: About
    cause: str
    variant: str = ""
    discount: str = DISCOUNTS[0]

    @property
    def is_full(self) -> bool:
        """Whether it is the gradient of the entropy, or of −KL, of all steps."""
        return self.cause == "full"


@dataclass(frozen=True, eq=False)
class ObjectiveTerm:
    """A way to write it, and what it adds to the gradient.

    Attributes:
      way: the way.
      mean: its expectation over the episodes of a model, times a coefficient `[*theta.shape]`; KL counts as −KL.
    """

    way: Way
    mean: Callable[[Enumeration], Floats]


def surprises(batch: Batch) -> Floats:
    """Returns −log π(a_t|s_t) `[N, T]`, 0 beyond the end."""
    return np.asarray(-np.log(np.where(batch.mask, batch.probs[batch.states, batch.actions], 1.0)))


def kl_of_steps(batch: Batch, kind: str) -> Floats:
    """Returns k1, k2 or k3 of each step `[N, T]`, 0 beyond the end."""
    x = _log_ratios(batch)
    return x if kind == "k1" else x**2 / 2 if kind == "k2" else np.asarray(np.expm1(-x) + x)


def penalties(batch: Batch, kind: str) -> Floats:
    """Returns −k of each step `[N, T]`: KL as a reward."""
    return -kl_of_steps(batch, kind)


def _in_place_of_rewards(rewards: Weights) -> Callable[[Batch], Batch]:
    return lambda batch: batch.altered(rewards=rewards(batch))


# Rewards for entropy and against KL, which put in place of a batch's own are credited in an estimator's own way.
OWN_WAYS: tuple[tuple[Way, Callable[[Batch], Batch]], ...] = (
    (Way("entropy", "full"), _in_place_of_rewards(surprises)),
    (Way("kl", "full", "k1-reward"), _in_place_of_rewards(partial(penalties, kind="k1"))),
    (Way("kl", "kl-reward", "k2-reward"), _in_place_of_rewards(partial(penalties, kind="k2"))),
    (Way("kl", "kl-reward", "k3-reward"), _in_place_of_rewards(partial(penalties, kind="k3"))),
)


def terms_in_reward(about: About, rewards: Weights, variant: str) -> list[ObjectiveTerm]:
    """Returns a reward for entropy or against KL that is credited to all steps before it.

    Discounted, without γ^t, and not discounted at all.
    """
    ways: tuple[tuple[str, Weights], ...] = (
        ("full", reward_to_go),
        (f"{about}-without-gamma-t", dropped_gamma),
        (f"{about}-undiscounted", undiscounted),
        (f"{about}-undiscounted", with_gamma_t(undiscounted)),
    )
    return [ObjectiveTerm(Way(about, key, variant), partial(_credited, rewards, weights)) for key, weights in ways]


def entropy_terms(*, off_policy: bool) -> list[ObjectiveTerm]:
    """Returns the entropy bonuses; the first of several that fit is named."""
    terms = terms_in_reward("entropy", surprises, "")
    for name in DISCOUNTS:
        way, steps = Way("entropy", "entropy-present", discount=name), partial(_steps, name)
        terms.append(ObjectiveTerm(way, expected_entropy(steps)))
        terms.append(ObjectiveTerm(way, _mean_of(partial(_times, name, surprises))))
        if off_policy:
            terms.append(ObjectiveTerm(way, partial(_as_policy_visits, expected_entropy(steps))))
            loss = partial(_times, name, lambda batch: -np.ones(batch.rewards.shape))
            terms.append(ObjectiveTerm(replace(way, cause="entropy-sampled"), _mean_of(loss)))
    return terms


def kl_terms(*, off_policy: bool) -> list[ObjectiveTerm]:
    """Returns the KL terms; the first of several that fit is named."""
    terms = terms_in_reward("kl", partial(penalties, kind="k1"), "k1-reward")
    for name in DISCOUNTS:
        for ratio in RATIOS if off_policy else RATIOS_ON_POLICY:
            for kind in ESTIMATORS_OF_KL:
                way = Way("kl", _cause(kind, ratio, name, off_policy=off_policy), f"{kind}-{ratio}", name)
                terms.append(ObjectiveTerm(way, _mean_of(partial(kl_loss, kind=kind, ratio=ratio, discount=name))))
    for kind in ESTIMATORS_OF_KL[1:]:
        in_reward = terms_in_reward("kl", partial(penalties, kind=kind), f"{kind}-reward")
        terms += [replace(term, way=replace(term.way, cause="kl-reward")) for term in in_reward]
    return terms


def kl_loss(batch: Batch, kind: str, ratio: Ratio, discount: str = DISCOUNTS[0]) -> Floats:
    """Returns w_t of ψ_t `[N, T]` in the gradient of −Σ_t c_t ρ k_t.

    none −c k′; token −c ρ_t (k + k′); detached −c ρ_t k′; prefix −(Σ_{j≥t} c_j ρ_{0:j} k_j + c_t ρ_{0:t} k′_t);
    sequence −ρ (Σ_j c_j k_j + c_t k′_t); mean, m = ρ^{1/L}: −m (Σ_j c_j k_j / L + c_t k′_t).
    """
    x, c = _log_ratios(batch), _steps(discount, batch)
    slope = np.ones(x.shape) if kind == "k1" else x if kind == "k2" else -np.expm1(-x)
    if ratio == "none":
        return np.asarray(-c * slope)
    values = kl_of_steps(batch, kind)
    if ratio in ("token", "detached"):
        return np.asarray(-c * ratios(batch) * (slope + (values if ratio == "token" else 0.0)))
    if ratio == "prefix":
        prefix = np.cumprod(ratios(batch), axis=1)
        return -onward(c * prefix * values, 1.0) - c * prefix * slope
    total, whole = (c * values).sum(axis=1), whole_ratio(batch)
    if ratio == "mean":
        lengths = np.maximum(batch.lengths, 1)
        total, whole = total / lengths, whole ** (1.0 / lengths)
    return np.asarray(-whole[:, None] * (all_steps(batch, total) + c * slope))


def _cause(kind: str, ratio: Ratio, discount: str, *, off_policy: bool) -> str:
    """The key of the text of a KL term in the loss."""
    if ratio == "mean":
        return "kl-sequence-mean"
    if ratio in ("prefix", "sequence"):
        if kind == "k2":
            return "kl-square"
        return {DISCOUNTS[0]: "full", DISCOUNTS[1]: "kl-undiscounted"}.get(discount, "kl-over-length")
    if off_policy and ratio == "none":
        return "kl-actions"
    if (kind, ratio) == ("k2", "token"):
        return "kl-square-present"
    if kind == "k3" and ratio != "token":
        return "kl-reverse"
    return "kl-states" if off_policy else "kl-present"


def _log_ratios(batch: Batch) -> Floats:
    """x_t `[N, T]`, 0 beyond the end."""
    reference = None if batch.mdp.reference is None else batch.reference_probs
    return np.where(batch.mask, log_ratio(batch.probs, reference)[batch.states, batch.actions], 0.0)


def _steps(name: str, batch: Batch) -> Floats:
    """c_t `[N, T]`, 0 beyond the end."""
    factors = discounts(batch) if "gamma" in name else np.ones(len(batch.outcomes))
    lengths = np.maximum(batch.lengths, 1)[:, None] if "L" in name else 1.0
    return np.asarray(np.where(batch.mask, factors / lengths, 0.0))


def _times(name: str, weights: Weights, batch: Batch) -> Floats:
    """c_t w_t `[N, T]`."""
    return np.asarray(_steps(name, batch) * weights(batch))


def _mean_of(weights: Weights) -> Callable[[Enumeration], Floats]:
    """The expectation of weights of ∇log π."""
    return lambda enumeration: Candidate(weights).mean(enumeration.batch, enumeration.prob)


def _credited(rewards: Weights, weights: Weights, enumeration: Enumeration) -> Floats:
    """The expectation of weights that are made of these rewards, corrected by the whole ratio where it is not 1."""
    batch = enumeration.batch
    return _as_policy_visits(_mean_of(weights), replace(enumeration, batch=batch.altered(rewards=rewards(batch))))


def _as_policy_visits(mean: Callable[[Enumeration], Floats], enumeration: Enumeration) -> Floats:
    """An expectation over the episodes of the policy, whoever drew them."""
    if enumeration.batch.behavior is None:
        return mean(enumeration)
    return mean(replace(enumeration, prob=enumeration.prob * whole_ratio(enumeration.batch)))
