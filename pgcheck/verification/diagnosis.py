"""Naming a mistake: by known mistakes, by impulses, and by what changes when the episodes are altered.

Only what was tested is named; the rest is `other`, with the matrix of impulses.
"""

from collections.abc import Sequence
from dataclasses import replace

from pgcheck.estimators.base import Estimator
from pgcheck.estimators.contract import Contract
from pgcheck.verification.batching import explain_trend
from pgcheck.verification.causes import Diagnosis
from pgcheck.verification.findings import Finding
from pgcheck.verification.impulses import WeightMatrix
from pgcheck.verification.influence import find_leak, find_unused
from pgcheck.verification.matching import match_mistakes
from pgcheck.verification.peeling import Peeler
from pgcheck.verification.perturbations import explain_responses, find_nonlinear
from pgcheck.verification.probing import CHAIN_GAMMA, Prober, View
from pgcheck.verification.ratios import explain_ratios, on_policy_findings

ALONE = ("right-at-gamma-1", "right-without-it")  # notes that hold where nothing else is wrong


def diagnose(
    estimator: Estimator,
    contract: Contract,
    findings: Sequence[Finding],
    *,
    failed: bool,
    tolerance: float,
) -> tuple[list[Diagnosis], WeightMatrix | None]:
    """Returns what is wrong with an estimator, and how it weights steps by rewards.

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
    if any(finding.setting.off_policy for finding in enumerated):
        diagnoses, matrix = _named_off_policy(prober, enumerated)
        return diagnoses + warnings, matrix
    matrix = prober.matrix(gamma)
    return (_named(prober, enumerated, matrix) or [_unknown(matrix)]) + warnings, matrix


def _named_off_policy(plain: Prober, findings: Sequence[Finding]) -> tuple[list[Diagnosis], WeightMatrix | None]:
    """What is wrong where another policy draws the episodes: with the ratios, and what is wrong without them too.

    `plain` calls the estimator on episodes that the policy itself draws.
    """
    prober = Prober(plain.estimator, plain.contract, plain.gamma, plain.tolerance, off_policy=True)
    alterable = prober.alterable(findings)
    on_policy = on_policy_findings(prober, alterable)
    if not on_policy:
        return [_unknown(None)], None
    rest, matrix = [], None
    if not all(finding.is_right(prober.tolerance) for finding in on_policy):
        matrix = plain.matrix(plain.gamma)
        rest = _named(plain, on_policy, matrix) or [_unknown(matrix)]
    named = explain_ratios(prober, alterable, on_policy, rest, findings) or [_unknown(matrix)]
    if any(diagnosis.id == "ratio" for diagnosis in named):  # then no other fault is the only one
        named = [replace(it, notes=tuple(note for note in it.notes if note not in ALONE)) for it in named]
    return named, matrix


def _named(prober: Prober, findings: Sequence[Finding], matrix: WeightMatrix | None) -> list[Diagnosis]:
    """What is wrong, by name; empty where no name fits."""
    alterable = prober.alterable(findings)
    peeler = Peeler(prober, alterable, matrix)
    if named := _unused(peeler):
        return named
    if named := match_mistakes(prober, findings, matrix) if findings else []:
        return named
    if not alterable:
        named = explain_trend(prober, findings)
    else:
        named = (
            _leaking(peeler)
            or find_nonlinear(prober, alterable, findings)
            or peeler.named()
            or explain_responses(peeler, findings, matrix)
        )
    if prober.contract.coupled and not any(diagnosis.id == "batch-coupled" for diagnosis in named):
        named.append(Diagnosis("batch-coupled", "batch-coupled/rows"))
    return named


def _unused(peeler: Peeler) -> list[Diagnosis]:
    """Episodes that have no part in the result, and what is wrong besides; empty where all have."""
    unused = None if peeler.prober.contract.by_episode else find_unused(peeler.prober, peeler.findings)
    if unused is None:
        return []
    diagnosis, length = unused
    return _with_rest(diagnosis, peeler.named(View(length=length)))


def _leaking(peeler: Peeler) -> list[Diagnosis]:
    """Returns that go on into the next episode, and what is wrong besides; empty where they do not."""
    leak = None if peeler.prober.contract.by_episode else find_leak(peeler.prober)
    return [] if leak is None else _with_rest(leak, peeler.named(View(alone=True)))


def _with_rest(diagnosis: Diagnosis, rest: list[Diagnosis] | None) -> list[Diagnosis]:
    """A diagnosis, and what is wrong once it is taken away; None where that has no name."""
    if rest is None:
        return [replace(diagnosis, notes=(*diagnosis.notes, "more-may-hide"))]
    return [diagnosis, *rest]


def _unknown(matrix: WeightMatrix | None) -> Diagnosis:
    """What the impulses show where no name fits."""
    return Diagnosis("other", "other" if matrix is None else "other/matrix")
