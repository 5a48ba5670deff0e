"""Numbers by row and column as cells: coloured by sign and size, with the numbers where they fit."""

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LinearSegmentedColormap, Normalize
from matplotlib.patches import Rectangle

from pgcheck.arrays import Bools, Floats
from pgcheck.report.plots.picture import FAINT, GRID, INK, WRONG, signed

# Orange below 0 and blue above it: people with any kind of colour blindness can tell them apart. Both darken with the
# size, so that print in grey shows the size; the sign stands in the numbers.
COLOURS = LinearSegmentedColormap.from_list(
    "pgcheck", ("#7f3300", "#d55e00", "#f6c9a3", "#ffffff", "#a9cfe8", "#0072b2", "#003a5c"), N=41
)
HATCH = "#bbbbbb"
ROW = 0.27  # inches that a row takes
CELL = 0.62  # inches that a number takes
_PALE = 0.45  # of the greatest size: cells up to it are pale enough for dark digits


def heat_map(
    axes: Axes, values: Floats, *, rows: Sequence[str], columns: Sequence[str], greatest: float,
    numbers: bool = True, wrong: Bools | None = None,
) -> ScalarMappable:  # fmt: skip
    """Draws a cell for each value, and returns what a bar of its colours is made from.

    Args:
      axes: where.
      values: `[R, C]`; NaN is a cell that has no number, which is hatched.
      rows, columns: their names.
      greatest: the size that has the darkest colour.
      numbers: whether they stand in the cells.
      wrong: the cells that are framed `[R, C]`; None for none of them.
    """
    scale = Normalize(-greatest or -1.0, greatest or 1.0)
    for (r, c), value in ((place, float(values[place])) for place in _places(values)):
        has_none = value != value
        colour = "white" if has_none else COLOURS(scale(value))
        hatch = {"hatch": "////", "edgecolor": HATCH} if has_none else {"edgecolor": GRID}
        axes.add_patch(Rectangle((c, r), 1, 1, facecolor=colour, linewidth=1, gid=f"cell-{r}-{c}", **hatch))
        if numbers and not has_none:
            dark = abs(value) > _PALE * greatest
            axes.text(
                c + 0.5, r + 0.5, number(value), ha="center", va="center", size=8, color="white" if dark else INK
            )
    for r, c in _places(values) if wrong is not None else ():
        if wrong is not None and wrong[r, c]:
            frame = Rectangle((c + 0.04, r + 0.04), 0.92, 0.92, fill=False, edgecolor=WRONG, linewidth=2.2)
            frame.set_gid(f"wrong-{r}-{c}")
            axes.add_patch(frame)
    axes.set(xlim=(0, len(columns)), ylim=(len(rows), 0))
    axes.set_xticks([c + 0.5 for c in range(len(columns))], list(columns))
    axes.set_yticks([r + 0.5 for r in range(len(rows))], list(rows))
    axes.tick_params(length=0)
    for side in axes.spines.values():
        side.set_visible(False)
    return ScalarMappable(scale, COLOURS)


def number(value: float) -> str:
    """Returns a value as it stands in a cell."""
    return signed(f"{value:.3g}") if value else "0"


def upright(axes: Axes, names: Sequence[str], width: float) -> None:
    """Turns the names of the columns where they are too long to stand side by side, each in so many inches."""
    if max(map(len, names), default=0) * 0.085 > width:
        axes.tick_params(axis="x", rotation=90)


def colour_bar(axes: Axes, mappable: ScalarMappable, label: str) -> None:
    """Draws what the colours mean beside a heat map."""
    assert axes.figure is not None
    bar = axes.figure.colorbar(mappable, ax=axes, aspect=24, pad=0.02)
    bar.set_label(label)
    bar.outline.set_edgecolor(FAINT)
    bar.ax.tick_params(labelsize=8)


def _places(values: Floats) -> list[tuple[int, int]]:
    return [(r, c) for r in range(values.shape[0]) for c in range(values.shape[1])]
