"""An estimate in pictures: P(τ) beside n(τ)/N for the likeliest trajectories, and ĝ beside ∇J by component."""

import numpy as np
from matplotlib.axes import Axes

from pgcheck.estimators.assessment import Assessment
from pgcheck.report.plots.components import component_rows
from pgcheck.report.plots.picture import COLOURS, Picture, brief, headed, legend_below, panels, style, titled
from pgcheck.report.words import in_names, percent

MOST = 20  # trajectories, or components, that are drawn
MOST_LETTERS = 60  # of a trajectory's name
BAR = "#c4c4c4"


def sample_picture(assessment: Assessment) -> Picture:
    """Returns an estimate beside the exact gradient; with the likeliest trajectories, where they were asked for."""
    likely = assessment.likely[:MOST]
    components = min(len(assessment.exact.gradient), MOST)
    with style():
        height = max(2.6, 1.6 + 0.26 * max(components, len(likely)))
        picture, axes = panels(2 if likely else 1, width=11.0 if likely else 6.4, height=height)
        if likely:
            _trajectories(axes[0], assessment)
        _components(axes[-1], assessment, components)
        legend_below(picture)
        headed(picture, _title(assessment))
    return picture


def _trajectories(axes: Axes, assessment: Assessment) -> None:
    """How likely each trajectory is, and how often it was drawn."""
    likely = assessment.likely[:MOST]
    names = [brief(in_names(assessment.mdp, drawn.trajectory), MOST_LETTERS) for drawn in likely]
    places = np.arange(len(likely))
    axes.barh(places, [drawn.trajectory.probability for drawn in likely], height=0.6, color=BAR, label="P(τ)")
    axes.plot(
        [drawn.frequency for drawn in likely], places, marker="|", markersize=13, markeredgewidth=2.4, linestyle="",
        color=COLOURS[0], label="n(τ)/N",
    )  # fmt: skip
    axes.set_yticks(places, names, size=8)
    axes.set(ylim=(len(likely) - 0.4, -0.6), xlabel="probability, share of the rollouts", xlim=(0, None))
    axes.tick_params(axis="y", length=0)


def _components(axes: Axes, assessment: Assessment, most: int) -> None:
    """The estimate beside what is right; and the mean over distinct trajectories, which is another reading of it."""
    exact, estimate = assessment.exact, assessment.sampled.estimate
    order = np.arange(len(estimate))
    if most < len(order):
        size = np.maximum(np.abs(exact.gradient), np.abs(estimate))
        order = np.argsort(-size, kind="stable")[:most]
    component_rows(
        axes, [exact.parameters[k] for k in order.tolist()], exact.gradient[order], estimate[order],
        label="estimate", colour=COLOURS[0],
        std_error=None if assessment.std_error is None else assessment.std_error[order],
    )  # fmt: skip
    if assessment.unweighted is not None:
        axes.plot(
            assessment.unweighted[order], np.arange(len(order)), marker="X", markersize=7, markeredgecolor="white",
            linestyle="", color=COLOURS[1], label="mean over distinct trajectories (wrong)", zorder=3,
        )  # fmt: skip
    if most < len(estimate):
        titled(axes, f"the {most} largest of {len(estimate):,} components", 3.4)


def _title(assessment: Assessment) -> str:
    away = assessment.discrepancy.relative_error
    error = f"{percent(away)} of ‖∇J‖" if away is not None else f"{assessment.discrepancy.error:.3g}"
    title = f"{brief(assessment.estimator.name)} on {brief(assessment.mdp.name, 40)}, N = {assessment.sampled.n:,}"
    expected = assessment.exact.relative(assessment.expected_error)
    usual = "" if expected is None else f" (expected {percent(expected)})"
    return f"{title}: the error is {error}{usual}"
