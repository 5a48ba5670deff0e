"""Naming a mistake: by known mistakes, by impulses, and by what changes when the episodes are altered.

Only what was tested is named; the rest is `other`, with the matrix of impulses.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from pgcheck.estimators.base import Estimator
from pgcheck.estimators.contract import Contract
from pgcheck.verification.batching import explain_trend
from pgcheck.verification.causes import Diagnosis
from pgcheck.verification.explanation import Explanation
from pgcheck.verification.findings import Finding
from pgcheck.verification.impulses import WeightMatrix
from pgcheck.verification.influence import find_leak, find_unused
from pgcheck.verification.leaking import with_leak
from pgcheck.verification.matching import match_mistakes
from pgcheck.verification.peeling import Peeler
from pgcheck.verification.perturbations import explain_responses, find_nonlinear
from pgcheck.verification.probing import AS_IT_IS, CHAIN_GAMMA, Prober, View
from pgcheck.verification.ratios import UNREWARDED, explain_ratios, on_policy_findings

ALONE = ("right-at-gamma-1", "right-without-it")  # notes that hold where nothing else is wrong


@dataclass(frozen=True, eq=False)
class Diagnosed:
    """What is known of an estimator besides its expectations.

    Attributes:
      explanation: what is wrong with it; without names for a right one.
      warnings: what may be trouble although the expectations are right, such as NaN for episodes of one step.
      matrix: how it weights steps by rewards; None for a right one, or where it could not be found out.
      prober: calls it.
    """

    explanation: Explanation
    warnings: tuple[Diagnosis, ...]
    matrix: WeightMatrix | None
    prober: Prober


def diagnose(
    estimator: Estimator,
    contract: Contract,
    findings: Sequence[Finding],
    *,
    failed: bool,
    tolerance: float,
    preferred: Callable[[Explanation], bool] | None = None,
) -> Diagnosed:
    """Returns what is wrong with an estimator, and how it weights steps by rewards.

    Args:
      estimator, contract: the estimator.
      findings: its expectations.
      failed: whether one of the expectations is wrong.
      tolerance: the relative bias that passes.
      preferred: which of several explanations to return; None is the one that needs the fewest words.
    """
    enumerated = [finding for finding in findings if finding.enumeration is not None]
    gamma = next((finding.mdp.gamma for finding in enumerated if 0 < finding.mdp.gamma < 1), CHAIN_GAMMA)
    prober = Prober(estimator, contract, gamma, tolerance)
    warnings = tuple(prober.not_finite())
    if not failed:
        return Diagnosed(Explanation(), warnings, None, prober)
    if any(finding.setting.off_policy for finding in enumerated):
        away = Prober(estimator, contract, gamma, tolerance, off_policy=True)
        named, matrix = _named_off_policy(prober, away, enumerated, preferred)
        return Diagnosed(named if named.diagnoses else _unknown(matrix), warnings, matrix, away)
    matrix = prober.matrix(gamma)
    named = _named(prober, enumerated, matrix, preferred)
    return Diagnosed(named if named.diagnoses else _unknown(matrix), warnings, matrix, prober)


def _named_off_policy(
    plain: Prober,
    prober: Prober,
    findings: Sequence[Finding],
    preferred: Callable[[Explanation], bool] | None,
) -> tuple[Explanation, WeightMatrix | None]:
    """What is wrong where another policy draws the episodes: with the ratios, and what is wrong without them too.

    `plain` calls the estimator on episodes that the policy itself draws, `prober` on those of the behavior.
    """
    alterable = prober.alterable(findings)
    on_policy = on_policy_findings(prober, alterable)
    if not on_policy:
        return Explanation(), None
    parts = Peeler(prober, alterable, None).of_parts()
    if parts is not None and parts.diagnoses and all(it.id in UNREWARDED for it in parts.diagnoses):
        return parts, None
    if all(finding.is_right(prober.tolerance) for finding in on_policy):
        return explain_ratios(prober, alterable, on_policy, Explanation(complete=True), findings), None
    matrix = plain.matrix(plain.gamma)
    rest = _named(plain, on_policy, matrix, preferred)
    named = explain_ratios(prober, alterable, on_policy, rest if rest.diagnoses else _unknown(matrix), findings)
    if any(diagnosis.id == "ratio" for diagnosis in named.diagnoses):  # then no other fault is the only one
        named = replace(named, diagnoses=tuple(it.without_notes(*ALONE) for it in named.diagnoses))
    return named, matrix


def _named(
    prober: Prober,
    findings: Sequence[Finding],
    matrix: WeightMatrix | None,
    preferred: Callable[[Explanation], bool] | None,
) -> Explanation:
    """What is wrong, by name; without names where none fits."""
    alterable = prober.alterable(findings)
    peeler = Peeler(prober, alterable, matrix)
    named = _unused(peeler)
    if named is None and findings:
        named = match_mistakes(prober, findings, matrix, preferred=preferred)
    if named is not None:
        return named
    if not alterable:
        named = Explanation(tuple(explain_trend(prober, findings)))
    else:
        named = (
            _leaking(peeler, findings)
            or _shown(find_nonlinear(prober, alterable, findings))
            or peeler.named()
            or Explanation(tuple(explain_responses(peeler, findings, matrix)))
        )
    told = {"batch-coupled", "leaks-between-episodes"} & {it.id for it in named.diagnoses}
    if prober.contract.coupled and not told and not named.complete:
        coupled = Diagnosis("batch-coupled", "batch-coupled/rows")
        named = replace(named, diagnoses=(*named.diagnoses, coupled))
    return named


def _shown(diagnoses: Sequence[Diagnosis]) -> Explanation | None:
    """What was seen to be there but does not tell the expectation; None where nothing was."""
    return Explanation(tuple(diagnoses)) if diagnoses else None


def _unused(peeler: Peeler) -> Explanation | None:
    """Episodes that have no part in the result, and what is wrong besides; None where all have."""
    unused = None if peeler.prober.contract.by_episode else find_unused(peeler.prober, peeler.findings)
    if unused is None:
        return None
    diagnosis, length = unused
    return _with_rest(diagnosis, peeler.named(View(length=length, of_known_sizes=True)))


def _leaking(peeler: Peeler, findings: Sequence[Finding]) -> Explanation | None:
    """Returns that go on into the next episode, and what is wrong besides; None where they do not."""
    leak = None if peeler.prober.contract.by_episode else find_leak(peeler.prober)
    if leak is None:
        return None
    if nonlinear := find_nonlinear(peeler.prober, peeler.findings, findings):
        return Explanation((leak, *nonlinear))
    rest = _with_rest(leak, peeler.named(View(alone=True)))
    is_known = rest.view == View(alone=True)
    field = with_leak(rest.field, only_cut=leak.cause == "leaks-between-episodes/cut") if is_known else None
    return replace(rest, complete=field is not None, view=AS_IT_IS, field=field)


def _with_rest(diagnosis: Diagnosis, rest: Explanation | None) -> Explanation:
    """A diagnosis, and what is wrong once it is taken away; that more may hide where it has no name."""
    if rest is None:
        return Explanation((diagnosis.noted("more-may-hide"),))
    return rest.after(diagnosis)


def _unknown(matrix: WeightMatrix | None) -> Explanation:
    """What the impulses show where no name fits."""
    return Explanation((Diagnosis("other", "other" if matrix is None else "other/matrix"),))
