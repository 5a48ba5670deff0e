"""After an exact pass: what longer episodes, other rewards and larger batches show."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from pgcheck.arrays import Floats
from pgcheck.estimators.contract import EXAMPLES, contract_of
from pgcheck.verification.causes import Diagnosis
from pgcheck.verification.explanation import Explanation
from pgcheck.verification.findings import Finding
from pgcheck.verification.impulses import right_weights
from pgcheck.verification.probing import AS_IT_IS, CHAIN_GAMMA, Prober
from pgcheck.verification.reach import beyond_models
from pgcheck.verification.stretch import Stretched, stretched

SEED = 0  # of the drawn episodes: the same verdict every time


def stretch(
    prober: Prober, findings: Sequence[Finding], explanation: Explanation, scale: float = 1.0
) -> tuple[Stretched, ...]:
    """Returns what larger batches show, on the first model with a gradient: their size matters, not the model.

    Args:
      prober: calls the estimator.
      findings: its expectations.
      explanation: all that is wrong with them; without names where they are right.
      scale: the factor by which they are multiples of the gradient, if they are right.
    """
    finding = next((finding for finding in findings if finding.norm > 0), None)
    is_unknown = bool(explanation.diagnoses) and explanation.field is None and not prober.contract.by_episode
    if finding is None or explanation.view.of_known_sizes or is_unknown:
        return ()
    estimator, contract, field = prober.estimator, prober.contract, explanation.field

    def due(size: int) -> Floats:
        if not explanation.diagnoses:
            return scale * finding.gradient
        if contract.by_episode or field is None:
            return finding.expectation.mean
        return field.mean(replace(finding, expectation=replace(finding.expectation, batch_size=size)))

    if explanation.view != AS_IT_IS and not contract.by_episode:  # what divides each batch is taken away first
        viewed = prober.through(explanation.view).estimator
        contract = contract_of(viewed, finding.setting.examples(EXAMPLES))
        estimator = viewed
    rng = np.random.default_rng(SEED)
    return tuple(stretched(estimator, contract, finding.setting, finding.gradient, rng, expected=due))


def reach(prober: Prober, gamma: float, explanation: Explanation) -> list[Diagnosis] | None:
    """Returns what is wrong with a long episode, or with large or small rewards, besides what is explained.

    None where it could not be tried.
    """
    field = explanation.field or explanation.credit
    if field is None or (prober.off_policy and explanation.diagnoses):
        return None
    size = 1 if prober.contract.by_episode else 2

    def expected(steps: int, discount: float) -> list[Floats]:
        if prober.off_policy:
            return right_weights(steps, discount, off_policy=True)
        return [field.weights(steps, discount, size)]

    viewed = prober if explanation.view == AS_IT_IS else prober.through(explanation.view)
    return beyond_models(viewed, gamma, expected)


def explain_stretch(results: Sequence[Stretched]) -> list[Diagnosis]:
    """Returns what is wrong with larger batches; a warning where an estimator raised an error."""
    for result in results:
        size = ("size", result.batch_size)
        if result.outcome == "wrong" and result.counted is not None:
            return [Diagnosis("batch-size", "batch-size/first-episodes", (size, ("counted", result.counted)))]
        if result.outcome == "wrong" and result.factor is not None:
            return [Diagnosis("batch-size", "batch-size/factor", (size, ("factor", result.factor)))]
        if result.outcome == "raised":
            return [Diagnosis("batch-size", "batch-size/raised", (size,))]
    return []


def counts_past_rewards(prober: Prober, gamma: float) -> bool | None:
    """Whether rewards before a step count in its weight; None where it cannot be found out."""
    matrix = prober.matrix(gamma)
    if matrix is None:
        return None
    below = np.abs(np.tril(matrix.values, -1))
    return bool(np.any(below > prober.rounding * max(1.0, float(np.abs(matrix.values).max()))))


def gamma_of_chains(findings: Sequence[Finding]) -> float:
    """Returns the γ of chains like the models: that of the first with a discount, or 1 where none has one."""
    gammas = [finding.mdp.gamma for finding in findings if finding.mdp.gamma > 0]
    return next((gamma for gamma in gammas if gamma < 1), 1.0 if gammas else CHAIN_GAMMA)
