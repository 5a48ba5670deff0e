"""Components of a gradient, named, with what an estimator has for them: a row each, one mark beside the other."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes

from pgcheck.arrays import Floats
from pgcheck.report.plots.picture import FAINT, INK, brief

NORMAL_95 = 1.96  # standard errors on each side of what 95 of 100 lie within
UNIT = "reward per unit θ"


def component_rows(
    axes: Axes, names: Sequence[Sequence[str]], right: Floats, found: Floats, *,
    label: str, colour: str, std_error: Floats | None = None,
) -> None:  # fmt: skip
    """Draws a row for each component: a bar where ∇J is, a mark where the estimate or its expectation is.

    Args:
      axes: where.
      names: of each component.
      right, found: ∇J and what is compared with it `[d]`.
      label: what that is.
      colour: of its marks.
      std_error: of what was found `[d]`: drawn as 95 % error bars.
    """
    places = np.arange(len(names))
    axes.axvline(0, color=FAINT, linewidth=0.8, zorder=1)
    if std_error is not None:
        axes.errorbar(
            found, places, xerr=NORMAL_95 * std_error, fmt="none", ecolor=colour, elinewidth=1.4, capsize=3, zorder=2
        )
        label = f"{label} ± {NORMAL_95:g} standard errors"
    axes.plot(
        right, places, marker="|", markersize=13, markeredgewidth=2.6, linestyle="", color=INK, label="∇J", zorder=3
    )
    axes.plot(
        found, places, marker="o", markersize=5.5, markeredgecolor="white", markeredgewidth=0.7, linestyle="",
        color=colour, label=label, zorder=4,
    )  # fmt: skip
    axes.set_yticks(places, [brief(" ".join(parts)) for parts in names], size=8)
    axes.set(ylim=(len(names) - 0.4, -0.6), xlabel=UNIT)
    axes.tick_params(axis="y", length=0)
    axes.locator_params(axis="x", nbins=5)
