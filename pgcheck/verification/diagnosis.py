"""Naming a mistake: by known wrong fields, by impulses, and by what changes when the episodes are altered.

Nothing is named that was not tested for; what is left is `other`, with the matrix of impulses.
"""

from collections.abc import Sequence

from pgcheck.estimators.base import Caller
from pgcheck.estimators.contract import Contract
from pgcheck.verification import impulses as probes
from pgcheck.verification.matching import by_field
from pgcheck.verification.perturbations import by_change, by_steps
from pgcheck.verification.probing import CLOSE, CLOSE_SINGLE, GAMMA, Bench, Case, Diagnosis, Finding, Matrix


def diagnose(
    caller: Caller,
    kind: Contract,
    findings: Sequence[Finding],
    cases: Sequence[Case],
    *,
    failed: bool,
    tolerance: float,
) -> tuple[list[Diagnosis], Matrix | None]:
    """Returns what is wrong with an estimator, and its matrix of impulses.

    One that is right may still have something to be warned of: that it fails on episodes of one step.
    """
    bench = Bench(caller, kind)
    warnings = bench.not_finite()
    if not failed:
        return warnings, None
    gamma = next((case.mdp.gamma for case in cases if 0 < case.mdp.gamma < 1), GAMMA)
    matrix = bench.matrix(gamma)
    small = [found for found in findings if found.case is not None]
    close = max(CLOSE_SINGLE if kind.single else CLOSE, tolerance)
    named = by_field(bench, small, gamma, matrix, close) if small else []
    if small and not named and not kind.by_episode:
        named = by_steps(bench, small, gamma, close)
    if small and not named:
        named = by_change(bench, small, gamma, matrix, close)
        if kind.coupled and not any(one.id == "batch-coupled" for one in named):
            text = "rows of the result change with the other episodes of the batch"
            named.append(Diagnosis("batch-coupled", text))
    return (named or [_unknown(bench, matrix)]) + warnings, matrix


def _unknown(bench: Bench, matrix: Matrix | None) -> Diagnosis:
    """What is left: with what the impulses tell all the same."""
    text = "none of the known mistakes"
    if matrix is None:
        return Diagnosis("other", text)
    text += "; the matrix shows how each step is weighed by each reward"
    elsewhere = bench.matrix(0.5 * matrix.gamma)
    if elsewhere is not None and probes.agree(elsewhere.values, matrix.values) and matrix.values[0, 0] != 0:
        factor = matrix.values[0, 1] / matrix.values[0, 0]
        text = f"the weights do not follow batch.gamma; a discount of about {factor:.6g} is written in the code"
    return Diagnosis("other", text)
