"""Naming a mistake: by known mistakes, by impulses, and by what changes when the episodes are altered.

Only what was tested is named; the rest is `other`, with the matrix of impulses.
"""

from collections.abc import Sequence

from pgcheck.estimators.base import Estimator
from pgcheck.estimators.contract import Contract
from pgcheck.verification.batching import match_once_rescaled
from pgcheck.verification.causes import Diagnosis
from pgcheck.verification.findings import Finding
from pgcheck.verification.impulses import WeightMatrix, weights_agree
from pgcheck.verification.matching import match_mistakes
from pgcheck.verification.perturbations import explain_responses
from pgcheck.verification.probing import CHAIN_GAMMA, Prober


def diagnose(
    estimator: Estimator,
    contract: Contract,
    findings: Sequence[Finding],
    *,
    failed: bool,
    tolerance: float,
) -> tuple[list[Diagnosis], WeightMatrix | None]:
    """Returns what is wrong with an estimator, and how it weighs steps by rewards.

    A right estimator has no matrix. It may still get a warning, such as NaN for episodes of one step.

    Args:
      estimator, contract: the estimator.
      findings: its expectations.
      failed: whether one of the expectations is wrong.
      tolerance: the relative bias that passes.
    """
    enumerated = [finding for finding in findings if finding.enumeration is not None]
    gamma = next((finding.mdp.gamma for finding in enumerated if 0 < finding.mdp.gamma < 1), CHAIN_GAMMA)
    prober = Prober(estimator, contract, gamma, tolerance)
    warnings = prober.not_finite()
    if not failed:
        return warnings, None
    matrix = prober.matrix(gamma)
    return (_named(prober, enumerated, matrix) or [_unknown(prober, matrix)]) + warnings, matrix


def _named(prober: Prober, findings: Sequence[Finding], matrix: WeightMatrix | None) -> list[Diagnosis]:
    """What is wrong, by name; empty where no name fits."""
    if not findings:
        return []
    named = match_mistakes(prober, findings, matrix)
    if not named and not prober.contract.by_episode:
        named = match_once_rescaled(prober, findings)
    if named:
        return named
    named = explain_responses(prober, findings, matrix)
    if prober.contract.coupled and not any(diagnosis.id == "batch-coupled" for diagnosis in named):
        named.append(Diagnosis("batch-coupled", "batch-coupled/rows"))
    return named


def _unknown(prober: Prober, matrix: WeightMatrix | None) -> Diagnosis:
    """What the impulses show where no name fits."""
    if matrix is None:
        return Diagnosis("other", "other")
    elsewhere = prober.matrix(0.5 * matrix.gamma)
    if elsewhere is not None and weights_agree(elsewhere.values, matrix.values) and matrix.values[0, 0] != 0:
        discount = float(matrix.values[0, 1] / matrix.values[0, 0])
        return Diagnosis("other", "other/constant-discount", (("discount", discount),))
    return Diagnosis("other", "other/matrix")
