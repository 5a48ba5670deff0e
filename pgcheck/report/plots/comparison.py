"""Estimators side by side in a picture: bias on the left, variance on the right, in the order of the table."""

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.layout_engine import ConstrainedLayoutEngine

from pgcheck.estimators.comparison import Comparison
from pgcheck.estimators.standings import Standing
from pgcheck.report.plots.picture import (
    COLOURS,
    FAINT,
    GRID,
    INK,
    Picture,
    brief,
    headed,
    logarithmic,
    panels,
    signed,
    style,
)
from pgcheck.report.words import many, percent


def comparison_picture(comparison: Comparison) -> Picture:
    """Returns ‖bias‖ and tr Σ of each estimator; of a plan, with N."""
    standings = comparison.standings
    with style():
        picture, (bias, variance) = panels(2, width=8.4, height=max(2.4, 1.4 + 0.26 * len(standings)))
        _marks(bias, standings, [standing.bias for standing in standings], COLOURS[1])
        _marks(variance, standings, [standing.trace for standing in standings], COLOURS[0])
        names = [brief(standing.estimator.name) for standing in standings]
        bias.set_yticks(range(len(names)), names)
        variance.set_yticks(range(len(names)), [_rollouts(standing) for standing in standings])
        bias.set(xlabel="‖bias‖, reward per unit θ")
        variance.set(xlabel="tr Σ of one rollout, (reward per unit θ)²")
        if comparison.accuracy is None:
            variance.set_yticklabels([""] * len(names))
        else:
            variance.yaxis.tick_right()
            variance.annotate(
                "rollouts", (1, 1), (3.5, 0), xycoords="axes fraction", textcoords="offset points", color=INK
            )
            variance.tick_params(axis="y", length=0)
        engine = picture.get_layout_engine()
        if isinstance(engine, ConstrainedLayoutEngine):
            engine.set(wspace=0.1)
        headed(picture, _title(comparison))
    return picture


def _marks(axes: Axes, standings: Sequence[Standing], values: Sequence[float | None], colour: str) -> None:
    """A mark for each estimator; what is 0 or not known stands at the edge."""
    known = [value for value in values if value]
    logarithmic(axes, y=False)
    low, high = (min(known), max(known)) if known else (0.1, 1.0)
    edge = low / max(high / low, 10) ** 0.25
    axes.set_xlim(edge / 1.6, high * max(high / low, 10) ** 0.45)
    for place, (standing, value) in enumerate(zip(standings, values, strict=True)):
        about = "~" if standing.evidence == "sample" else ""
        text = "unknown" if value is None else signed(f"{about}{value:.3g}") if value else f"{about}0"
        x = value or edge
        if value is not None:
            filled = colour if value and not about else "white"
            axes.plot([x], [place], marker="o", color=colour, markerfacecolor=filled, markersize=6, linestyle="")
        axes.annotate(
            text, (x, place), (7 if value is not None else 0, 0), textcoords="offset points", va="center", size=8,
            color=INK if value is not None else FAINT,
        )  # fmt: skip
    axes.set_ylim(len(standings) - 0.4, -0.6)
    axes.grid(True, axis="y", color=GRID)
    axes.tick_params(axis="y", length=0)


def _rollouts(standing: Standing) -> str:
    """What a plan says of an estimator."""
    about = "~" if standing.evidence == "sample" else ""
    return f"{about}{standing.n:,}" if standing.n is not None else "unknown" if standing.bias is None else "never"


def _title(comparison: Comparison) -> str:
    standings, name = comparison.standings, brief(comparison.mdp.name, 40)
    biases = [standing.bias for standing in standings if standing.bias is not None]
    unknown = len(standings) - len(biases)
    title = f"{name}: {sum(map(bool, biases))} of {many(len(biases), 'estimator')} biased"
    title += f", {unknown} unknown" if unknown else ""
    if comparison.accuracy is not None:
        title += f"; rollouts for an error of {percent(comparison.accuracy)} of ‖∇J‖ = {comparison.exact.norm:.4g}"
    elif standings and standings[0].n is not None:
        title += f" with N = {standings[0].n:,}; ‖∇J‖ = {comparison.exact.norm:.4g}"
    sampled = any(standing.evidence == "sample" for standing in standings)
    return title + ("; ~ estimated from a sample" if sampled else "")
