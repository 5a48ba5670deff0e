"""A verdict in pictures: W[t, k] beside what is right, and the expectation beside the gradient by component."""

import numpy as np
from matplotlib.axes import Axes

from pgcheck.report.plots.components import component_rows
from pgcheck.report.plots.heatmap import heat_map
from pgcheck.report.plots.picture import (
    RIGHT,
    WRONG,
    Picture,
    brief,
    headed,
    legend_below,
    lowered,
    panels,
    signed,
    style,
    titled,
)
from pgcheck.report.verification import verdict_text
from pgcheck.report.words import percent
from pgcheck.verification.findings import Finding
from pgcheck.verification.impulses import WeightMatrix
from pgcheck.verification.sampled_finding import SampledFinding
from pgcheck.verification.verification import Verification

MOST = 14  # components that are drawn
PANEL = 2.9  # inches of one of several panels
MOST_STEPS = 8  # of a matrix of which the numbers fit their cells


def verification_picture(name: str, verification: Verification) -> Picture:
    """Returns what the verdict on an estimator rests on, as far as there is anything to draw."""
    matrix, finding = verification.matrix, verification.worst
    why = "nothing could be checked"
    if finding is not None and not np.all(np.isfinite(finding.expectation_vector)):
        finding, why = None, "the expectation is not finite"
    with style():
        columns = 2 * (matrix is not None) + (finding is not None)
        picture, axes = panels(max(columns, 1), width={0: 5.0, 1: 6.4, 2: 7.6, 3: 11.0}[columns], height=4.2)
        rest = list(axes)
        if matrix is not None:
            _matrices(rest.pop(0), rest.pop(0), matrix)
        if finding is not None:
            _components(rest.pop(0), finding, verification)
            legend_below(picture)
        for empty in rest:
            empty.set_axis_off()
            empty.text(0.5, 0.5, why, ha="center", va="center")
        headed(picture, _title(name, verification))
    return picture


def _matrices(found: Axes, right: Axes, matrix: WeightMatrix) -> None:
    """W, and what it has to be; where any weight is right, as the reward came before the action, a hatched cell."""
    steps = len(matrix.values)
    due = np.where(np.triu(np.ones((steps, steps), dtype=np.bool_)), matrix.right_weights, np.nan)
    greatest = max(float(np.abs(matrix.without_rounding).max(initial=0.0)), 1.0)
    rows, columns = [f"t = {t}" for t in range(steps)], [f"r{lowered(k)}" for k in range(steps)]
    numbers = steps <= MOST_STEPS
    values = matrix.without_rounding
    heat_map(found, values, rows=rows, columns=columns, greatest=greatest, wrong=matrix.wrong, numbers=numbers)
    heat_map(right, due, rows=rows, columns=columns, greatest=greatest, numbers=numbers)
    titled(found, "W[t, k]" + (", framed where wrong" if matrix.wrong.any() else ""), PANEL)
    titled(right, f"right: γᵏ, γ = {matrix.gamma:g}; hatched: any", PANEL)
    for axes in (found, right):
        axes.set_aspect("equal")


def _components(axes: Axes, finding: Finding, verification: Verification) -> None:
    """A row for each component, or for those that differ most."""
    gradient, mean = finding.gradient_vector, finding.expectation_vector
    fails = verification.verdict == "fail"
    order = np.arange(len(gradient))
    if len(order) > MOST:
        size = np.abs(mean - gradient) if fails else np.abs(gradient)
        order = np.argsort(-size, kind="stable")[:MOST]
    component_rows(
        axes, [finding.policy.parameters[k] for k in order.tolist()], gradient[order], mean[order],
        label="estimated expectation" if isinstance(finding, SampledFinding) else "expectation",
        colour=WRONG if fails else RIGHT,
        std_error=finding.std_error_vector[order] if isinstance(finding, SampledFinding) else None,
    )  # fmt: skip
    batch = "" if finding.batch_size == 1 else f", batches of {finding.batch_size}"
    bias = "" if finding.relative_bias is None else f": relative bias {signed(percent(finding.relative_bias))}"
    which = "that are off most" if fails else "that are largest"
    most = "" if len(order) == len(gradient) else f"; the {len(order)} {which}, of {len(gradient):,} components"
    titled(axes, f"{brief(finding.mdp.name)}{batch}{bias}{most}", PANEL)


def _title(name: str, verification: Verification) -> str:
    ids = ", ".join(dict.fromkeys(diagnosis.id for diagnosis in verification.diagnosis))
    said = f"{brief(name, 50)}: {verdict_text(verification)}"
    return f"{said} ({ids})" if ids and verification.verdict == "fail" else said
