"""A verdict in pictures: W[t, k] beside what is right, and the expectation against the gradient by component."""

import numpy as np
from matplotlib.axes import Axes

from pgcheck.report.plots.heatmap import heat_map
from pgcheck.report.plots.picture import FAINT, INK, RIGHT, WRONG, Picture, brief, headed, panels, style
from pgcheck.report.verification import verdict_text
from pgcheck.verification.findings import Finding
from pgcheck.verification.impulses import WeightMatrix
from pgcheck.verification.sampled_finding import SampledFinding
from pgcheck.verification.verification import Verification

LABELLED = 3  # components that are named


def verification_picture(name: str, verification: Verification) -> Picture:
    """Returns what the verdict on an estimator rests on, as far as there is anything to draw."""
    matrix, finding = verification.matrix, verification.worst
    has_numbers = finding is not None and bool(np.all(np.isfinite(finding.expectation_vector)))
    columns = 2 * (matrix is not None) + has_numbers
    with style():
        picture, axes = panels(max(columns, 1), width=max(3.4 * columns, 5.0), height=3.8)
        rest = list(axes)
        if matrix is not None:
            _matrices(rest.pop(0), rest.pop(0), matrix)
        if has_numbers and finding is not None:
            _components(rest.pop(0), finding, verification)
        for empty in rest:
            empty.set_axis_off()
        headed(picture, _title(name, verification))
    return picture


def _matrices(found: Axes, right: Axes, matrix: WeightMatrix) -> None:
    """W, and what it has to be; where any weight is right, as the reward came before the action, a hatched cell."""
    steps = len(matrix.values)
    due = np.where(np.triu(np.ones((steps, steps), dtype=np.bool_)), matrix.right_weights, np.nan)
    greatest = max(float(np.abs(matrix.without_rounding).max(initial=0.0)), 1.0)
    rows, columns = [f"t={t}" for t in range(steps)], [f"r_{k}" for k in range(steps)]
    heat_map(found, matrix.without_rounding, rows=rows, columns=columns, greatest=greatest, wrong=matrix.wrong)
    heat_map(right, due, rows=rows, columns=columns, greatest=greatest)
    found.set_title("weight of step t by reward r_k", size=9)
    right.set_title(f"right: γ^k, γ = {matrix.gamma:g}", size=9)
    for axes in (found, right):
        axes.set_aspect("equal")


def _components(axes: Axes, finding: Finding, verification: Verification) -> None:
    """A point for each component, on the diagonal where the expectation is the gradient."""
    gradient, mean = finding.gradient_vector, finding.expectation_vector
    scale = 1.0 if verification.scale is None else verification.scale
    low, high = float(min(gradient.min(), mean.min())), float(max(gradient.max(), mean.max()))
    room = 0.15 * ((high - low) or abs(high) or 1.0)
    ends = np.array([low - room, high + room])
    axes.plot(ends, scale * ends, color=FAINT, linewidth=1, zorder=1)
    if isinstance(finding, SampledFinding):
        axes.errorbar(
            gradient, mean, yerr=1.96 * finding.std_error_vector, fmt="none", ecolor=FAINT, elinewidth=1, zorder=2
        )
    colour = WRONG if verification.verdict == "fail" else RIGHT
    axes.plot(gradient, mean, "o", color=colour, markersize=5, zorder=3)
    for worst in finding.worst_components(LABELLED) if verification.verdict == "fail" else ():
        axes.annotate(
            brief(" ".join(worst.parameter)), (worst.gradient, worst.expectation), (6, -8),
            textcoords="offset points", size=8, color=INK,
        )  # fmt: skip
    axes.set(xlim=ends, ylim=ends, xlabel="∂J/∂θ", ylabel="expectation")
    axes.set_title(brief(finding.mdp.name), size=9)


def _title(name: str, verification: Verification) -> str:
    ids = ", ".join(dict.fromkeys(diagnosis.id for diagnosis in verification.diagnosis))
    said = f"{brief(name, 50)}: {verdict_text(verification)}"
    return f"{said} ({ids})" if ids and verification.verdict == "fail" else said
