"""An estimate in pictures: P(τ) beside n(τ)/N for the likeliest trajectories, and ĝ beside ∇J by component."""

import numpy as np
from matplotlib.axes import Axes

from pgcheck.estimators.assessment import Assessment
from pgcheck.report.plots.picture import COLOURS, FAINT, INK, Picture, brief, headed, panels, style
from pgcheck.report.words import in_names, percent

MOST = 20  # trajectories, or components, that are drawn


def sample_picture(assessment: Assessment) -> Picture:
    """Returns an estimate beside the exact gradient; with the likeliest trajectories, where they were asked for."""
    likely = assessment.likely[:MOST]
    components = min(len(assessment.exact.gradient), MOST)
    columns = 2 if likely else 1
    with style():
        height = max(2.6, 1.5 + 0.26 * max(components, len(likely)))
        picture, axes = panels(columns, width=5.0 * columns, height=height)
        if likely:
            _trajectories(axes[0], assessment)
        _components(axes[-1], assessment, components)
        headed(picture, _title(assessment))
    return picture


def _trajectories(axes: Axes, assessment: Assessment) -> None:
    """How likely each trajectory is, and how often it was drawn."""
    likely = assessment.likely[:MOST]
    names = [brief(in_names(assessment.mdp, drawn.trajectory), 40) for drawn in likely]
    places = np.arange(len(likely))
    axes.barh(places, [drawn.trajectory.probability for drawn in likely], height=0.6, color="#c9c9c9", label="P(τ)")
    axes.plot(
        [drawn.frequency for drawn in likely], places, marker="|", markersize=13, markeredgewidth=2.4, linestyle="",
        color=COLOURS[0], label="n(τ)/N",
    )  # fmt: skip
    axes.set_yticks(places, names, size=8)
    axes.set(ylim=(len(likely) - 0.4, -0.6), xlabel="probability, and share of the rollouts", xlim=(0, None))
    axes.tick_params(axis="y", length=0)
    axes.legend(loc="lower right")


def _components(axes: Axes, assessment: Assessment, most: int) -> None:
    """The estimate with two-sided 95 % error bars, beside what is right."""
    exact, estimate = assessment.exact, assessment.sampled.estimate
    order = np.arange(len(estimate))
    if most < len(order):
        size = np.maximum(np.abs(exact.gradient), np.abs(estimate))
        order = np.argsort(-size, kind="stable")[:most]
    places = np.arange(len(order))
    axes.axvline(0, color=FAINT, linewidth=0.8)
    axes.plot(
        exact.gradient[order], places, marker="|", markersize=13, markeredgewidth=2.4, linestyle="", color=INK,
        label="∇J",
    )  # fmt: skip
    bars = None if assessment.std_error is None else 1.96 * assessment.std_error[order]
    axes.errorbar(
        estimate[order], places, xerr=bars, fmt="o", color=COLOURS[1], markersize=5, elinewidth=1.4, capsize=3,
        label="estimate" if bars is None else "estimate ± 1.96 standard errors",
    )  # fmt: skip
    axes.set_yticks(places, [brief(" ".join(exact.parameters[k])) for k in order.tolist()], size=8)
    axes.set(ylim=(len(order) - 0.4, -0.6), xlabel="∂J/∂θ (reward per unit θ)")
    axes.tick_params(axis="y", length=0)
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.2), ncols=2)


def _title(assessment: Assessment) -> str:
    away = assessment.discrepancy.relative_error
    error = f"{percent(away)} of ‖∇J‖" if away is not None else f"{assessment.discrepancy.error:.3g}"
    title = f"{brief(assessment.estimator.name)} on {brief(assessment.mdp.name, 40)}, N = {assessment.sampled.n:,}"
    expected = assessment.exact.relative(assessment.expected_error)
    usual = "" if expected is None else f" (expected {percent(expected)})"
    return f"{title}: the error is {error}{usual}"
