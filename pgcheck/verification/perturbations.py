"""What is said where no names explain all of the bias: how the expectation responds when the episodes are altered."""

import itertools
from collections.abc import Sequence

import numpy as np

from pgcheck.arrays import norm_of
from pgcheck.estimators.mistakes.weights import public_id
from pgcheck.verification.alterations import no_rewards, rewards_times
from pgcheck.verification.batching import explain_trend, trend_of
from pgcheck.verification.causes import Diagnosis
from pgcheck.verification.findings import Finding
from pgcheck.verification.impulses import WeightMatrix, chain, chain_episodes, coefficients
from pgcheck.verification.peeling import Peeler
from pgcheck.verification.probing import CHAIN_STEPS, Prober, View
from pgcheck.verification.terms import fitting_term, term_means


def find_nonlinear(prober: Prober, alterable: Sequence[Finding], findings: Sequence[Finding]) -> list[Diagnosis]:
    """Returns whether the expectation fails to follow the rewards in proportion, and what is there without any.

    Args:
      prober: calls the estimator.
      alterable: findings whose episodes can be altered.
      findings: all findings, for how the bias goes with the batch size.
    """
    worst = _worst(alterable)
    unrewarded = prober.mean(worst, View((no_rewards,)))
    mean, size = worst.expectation.mean, worst.size
    base = np.zeros(mean.shape) if unrewarded is None else unrewarded
    for factor, cause in ((2.0, "nonlinear/doubled"), (-1.0, "nonlinear/negated")):
        altered = prober.mean(worst, View((rewards_times(factor),)))
        if altered is None or norm_of(altered - base - factor * (mean - base)) <= prober.tolerance * size:
            continue
        trend = trend_of(findings, prober.tolerance)
        # A constant that is added to a standard deviation does not show in large rewards.
        large, larger = (prober.mean(worst, View((rewards_times(size),))) for size in (1e6, 2e6))
        is_scaleless = large is not None and larger is not None and norm_of(larger - large) <= 1e-4 * norm_of(large)
        if is_scaleless and worst.setting.same_start and not prober.contract.by_episode:
            cause = "nonlinear/group"
        nonlinear = Diagnosis("nonlinear", cause)
        return [nonlinear if trend is None else trend.noted(nonlinear), *_term(prober, alterable)]
    if not _adds_up(prober):
        return [Diagnosis("nonlinear", "nonlinear/sum"), *_term(prober, alterable)]
    return []


def _adds_up(prober: Prober) -> bool:
    """Whether two rewards at two steps of an episode have the weights of the one and of the other, added up."""
    pairs = list(itertools.combinations(range(CHAIN_STEPS), 2))
    single = np.eye(CHAIN_STEPS)
    rewards = np.vstack([np.zeros((1, CHAIN_STEPS)), single, [single[j] + single[k] for j, k in pairs]])
    mdp, policy = chain(CHAIN_STEPS, prober.gamma)
    batch = chain_episodes(mdp, policy, [[(t + 1) % 2 for t in range(CHAIN_STEPS)]] * len(rewards))
    try:
        weights = coefficients(batch, prober.alone(batch.altered(rewards=rewards)))
    except Exception:  # the estimator may be made for one model only, or for larger batches
        return True
    added = weights[1:] - weights[0]
    sums = np.array([added[j] + added[k] for j, k in pairs])
    off = np.abs(added[CHAIN_STEPS:] - sums).max()
    return float(off) <= prober.rounding * max(1.0, float(np.abs(weights).max()))


def explain_responses(peeler: Peeler, findings: Sequence[Finding], matrix: WeightMatrix | None) -> list[Diagnosis]:
    """Returns what the expectation's response to altered episodes says; empty where it says nothing.

    Each of it was seen to be there, but does not explain all of the bias.
    """
    prober, worst = peeler.prober, _worst(peeler.findings)
    diagnoses = []
    if flags := peeler.flags():
        drops = flags[0].diagnoses[0].cause == "cut-episodes-dropped"
        cause = "cut-episodes-dropped" if drops else "bootstrap/time-limit"
        diagnoses.append(Diagnosis(public_id(cause), cause))
    elif peeler.follows_next_states():
        diagnoses.append(Diagnosis("bootstrap", "bootstrap/next-states"))
    diagnoses += _term(prober, peeler.findings)
    if not diagnoses:
        unrewarded = prober.mean(worst, View((no_rewards,)))
        is_there = unrewarded is not None and norm_of(unrewarded) > prober.tolerance * worst.size
        follows = is_there and prober.contract.by_episode and prober.weights_follow_actions(0.0)
        if follows and prober.weights_follow_policy():
            diagnoses.append(Diagnosis("regulariser", "regulariser/policy"))
        elif follows:
            diagnoses.append(Diagnosis("action-dependent-baseline", "action-dependent-baseline/no-reward"))
        elif is_there:
            diagnoses.append(Diagnosis("regulariser", "regulariser/unknown", certain=False))
    diagnoses = [it.noted("more-may-hide") for it in diagnoses]
    if not diagnoses:
        diagnoses = explain_trend(prober, findings)
    if not diagnoses and matrix is not None and matrix.is_right and prober.weights_follow_actions(1.0):
        diagnoses.append(Diagnosis("action-dependent-baseline", "action-dependent-baseline/action"))
    if prober.was_not_finite and prober.mean(worst, View((no_rewards,))) is None:
        diagnoses.append(Diagnosis("nan", "nan/no-reward"))
    return diagnoses


def _term(prober: Prober, findings: Sequence[Finding]) -> list[Diagnosis]:
    """A known term without any reward, where it is all that is there without them."""
    seen = prober.seen(findings, View((no_rewards,)))
    if seen is None:
        return []
    sizes = [finding.size for finding in findings]
    means = [finding.expectation.mean for finding in seen]
    if all(norm_of(mean) <= prober.tolerance * size for mean, size in zip(means, sizes, strict=True)):
        return []
    term = fitting_term(means, sizes, term_means(findings), prober.tolerance)
    return [] if term is None else [term.diagnosis]


def _worst(findings: Sequence[Finding]) -> Finding:
    return max(findings, key=lambda finding: finding.severity)
