"""The error against N, in a picture: both axes logarithmic, with what theory expects, and where it stalls."""

import math
import re
from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from pgcheck.estimators.convergence import Convergence
from pgcheck.report.convergence import sentence
from pgcheck.report.plots.picture import (
    COLOURS,
    DASHES,
    FAINT,
    MARKS,
    Picture,
    brief,
    headed,
    logarithmic,
    panels,
    signed,
    style,
)

MOST_BANDS = 4  # estimators: more bands than these hide each other
BAND = "95 % band (for large N)"
MOST_INSIDE = 5  # names in a legend that stands in the picture
LINE = 0.055  # of the height of the axes that a line of text takes


def convergence_picture(results: Sequence[Convergence]) -> Picture:
    """Returns ‖ĝ_N − ∇J‖ against N for one or more estimators on one model."""
    beside = len(results) > MOST_INSIDE
    with style():
        picture, (axes,) = panels(width=8.4 if beside else 6.4, height=max(4.2, 1.2 + 0.24 * len(results)))
        logarithmic(axes)
        for k, result in enumerate(results):
            _draw(axes, result, k, band=len(results) <= MOST_BANDS)
        if not any(row.error > 0 for result in results for row in result.rows):
            axes.set(xlim=(1, 10), ylim=(0.1, 1))
            axes.text(0.5, 0.5, "the error is 0 at every N", ha="center", va="center", transform=axes.transAxes)
        axes.set(xlabel="rollouts N", ylabel="‖ĝ − ∇J‖, reward per unit θ")
        axes.grid(True)
        _name_biases(axes, results)
        legend = _legend(results)
        if beside:
            axes.legend(handles=legend, loc="upper left", bbox_to_anchor=(1.0, 1.0), fontsize=8)
        else:
            axes.legend(handles=legend, loc="best", fontsize=9)
        headed(picture, _title(results))
    return picture


def _draw(axes: Axes, result: Convergence, k: int, *, band: bool) -> None:
    """The measured errors as marks, the expected ones as a line in a band, the bias as a thin line."""
    colour = COLOURS[k % len(COLOURS)]
    expected = [it for it in result.expected if it.error > 0]
    if band and all(it.low is not None for it in expected):
        axes.fill_between(
            [it.n for it in expected], [it.low or 0.0 for it in expected], [it.high or 0.0 for it in expected],
            color=colour, alpha=0.15, linewidth=0, zorder=1,
        )  # fmt: skip
    axes.plot(
        [it.n for it in expected], [it.error for it in expected],
        color=colour, linestyle=DASHES[k % len(DASHES)], linewidth=1.3, zorder=2,
    )  # fmt: skip
    if result.bias:
        axes.axhline(result.bias, color=colour, linewidth=0.8, linestyle=(0, (1, 2)), zorder=1)
    rows = [row for row in result.rows if row.error > 0]
    axes.plot(
        [row.n for row in rows], [row.error for row in rows],
        marker=MARKS[k % len(MARKS)], color=colour, markersize=6, markeredgecolor="white", linestyle="", zorder=3,
    )  # fmt: skip


def _name_biases(axes: Axes, results: Sequence[Convergence]) -> None:
    """Names the lines at which errors stall, below the right end of each: expected errors are above them."""
    biases = sorted(((it.bias, it.estimator.name, k) for k, it in enumerate(results) if it.bias), reverse=True)
    if len(biases) > MOST_BANDS:
        return
    low, high = map(math.log10, axes.get_ylim())
    place = math.inf
    for bias, name, k in biases:
        place = min(place - LINE, (math.log10(bias) - low) / (high - low) - 0.008)
        axes.text(
            0.995, place, f"bias of {brief(name)}", size=8, ha="right", va="top", transform=axes.transAxes,
            color=COLOURS[k % len(COLOURS)],
        )  # fmt: skip


def _legend(results: Sequence[Convergence]) -> list[Line2D | Patch]:
    """A line for each estimator; for one alone, what mark, line and band are."""
    has_band = len(results) <= MOST_BANDS and any(it.low is not None for result in results for it in result.expected)
    if len(results) == 1:
        (result,) = results
        times = f": root mean square of {result.replicates:,} estimates" if result.replicates > 1 else ""
        handles = [Line2D([], [], marker=MARKS[0], color=COLOURS[0], linestyle="", label=f"measured{times}")]
        if result.expected:
            handles.append(Line2D([], [], color=COLOURS[0], linewidth=1.3, label="expected: √(tr Σ / N + ‖bias‖²)"))
    else:
        handles = [
            Line2D(
                [], [], color=COLOURS[k % len(COLOURS)], marker=MARKS[k % len(MARKS)], markeredgecolor="white",
                linestyle=DASHES[k % len(DASHES)], linewidth=1.3, label=_named(result),
            )
            for k, result in enumerate(results)
        ]  # fmt: skip
    colour = COLOURS[0] if len(results) == 1 else FAINT
    band = [Patch(color=colour, alpha=0.15 if len(results) == 1 else 0.25, linewidth=0, label=BAND)]
    return [*handles, *(band if has_band else [])]


def _named(result: Convergence) -> str:
    bias = f" (bias {signed(f'{result.bias:.2g}')})" if result.bias else ""
    return f"{brief(result.estimator.name)}{bias}"


def _title(results: Sequence[Convergence]) -> str:
    name = brief(results[0].mdp.name, 40)
    if len(results) == 1:
        said = re.sub(r"(?<=\d)e-0?(?=\d)", "e−", sentence(results[0]))
        return f"{name}: {said}".replace("+-", "±").replace("^-", "^−").replace("||gradient||", "‖∇J‖")
    stuck = [brief(result.estimator.name) for result in results if result.rate in ("stalls", "will-stall")]
    if not stuck:
        return f"{name}: the error of {len(results)} estimators"
    where = ", ".join(stuck) if len(stuck) <= MOST_BANDS else f"{len(stuck)} of {len(results)} estimators"
    return f"{name}: the error of {where} stalls at the bias, however large N is"
