"""What all pictures have in common: how they look, and how one becomes the bytes of a file. The door to matplotlib.

Pictures are made without `pyplot`, so that no window system and no state of a user's program is touched. The same
picture is the same bytes: nothing in a file depends on the time or on chance.
"""

import contextlib
import hashlib
import io
import math
import re
import textwrap
import unicodedata
import warnings
from collections.abc import Iterator, Sequence
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.ticker import Formatter, FuncFormatter

from pgcheck import __version__
from pgcheck.formats.problems import visible
from pgcheck.report.plots.fonts import with_fonts

WIDTH = 6.4  # inches of a picture with one panel
DOTS = 160  # of a bitmap, an inch
FEW_DECADES = 30  # times the least value of an axis: up to this its ticks between powers of ten are named
INK, FAINT, GRID = "#222222", "#767676", "#dddddd"
# Okabe and Ito's colours, which people with any kind of colour blindness can tell apart, without their yellow, which
# print loses: https://jfly.uni-koeln.de/color/ . Beside them, each line has a mark and a dash of its own.
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000")
MARKS = ("o", "s", "^", "D", "v", "P", "X")
DASHES = ("-", "--", "-.", ":")
RIGHT, WRONG = COLOURS[0], COLOURS[1]

_STYLE: dict[str, Any] = {
    "font.family": "DejaVu Sans", "font.size": 10, "axes.titlesize": 11, "axes.titlelocation": "left",
    "axes.spines.top": False, "axes.spines.right": False, "axes.edgecolor": FAINT, "axes.labelcolor": INK,
    "axes.titlecolor": INK, "text.color": INK, "xtick.color": INK, "ytick.color": INK, "axes.grid": False,
    "grid.color": GRID, "grid.linewidth": 0.6, "legend.frameon": False, "lines.linewidth": 1.6, "lines.markersize": 5,
    "figure.facecolor": "white", "axes.facecolor": "white", "savefig.facecolor": "auto", "figure.dpi": 100,
    "axes.unicode_minus": True, "axes.formatter.limits": (-3, 5), "legend.fontsize": 9,
    "text.usetex": False, "mathtext.fontset": "dejavusans",
    "svg.fonttype": "none", "svg.hashsalt": "pgcheck", "pdf.fonttype": 42, "text.parse_math": False,
}  # fmt: skip
_LOWERED = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")
_RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


class Picture(Figure):
    """A matplotlib figure that shows itself in a notebook; `savefig` and all else is matplotlib's."""

    def _repr_svg_(self) -> str:
        return inline_svg(self)


@contextlib.contextmanager
def style() -> Iterator[None]:
    """The look of all pictures, whatever a user's matplotlibrc says; to be held while one is made or written."""
    with mpl.rc_context(), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing", category=UserWarning)  # a box stands for it
        mpl.rcdefaults()
        mpl.rcParams.update(_STYLE)
        yield


def panels(columns: int = 1, *, width: float = WIDTH, height: float = 4.0) -> tuple[Picture, Sequence[Axes]]:
    """Returns a picture with so many panels side by side, and their axes; call it within `style`.

    Args:
      columns: how many.
      width, height: of the picture, in inches.
    """
    picture = Picture(figsize=(width, height), layout="constrained")
    return picture, list(picture.subplots(1, columns, squeeze=False)[0])


def headed(picture: Figure, title: str) -> None:
    """Sets the title of a whole picture, in as many lines as it takes."""
    picture.suptitle(_filled(title, 11.5 * picture.get_figwidth()), x=0.01, ha="left", size=11)


def titled(axes: Axes, title: str, inches: float) -> None:
    """Sets the title of a panel that is so wide, in as many lines as it takes."""
    axes.set_title(_filled(title, 13 * inches), size=9)


def _filled(text: str, columns: float) -> str:
    lines = textwrap.wrap(visible(text), max(round(columns), 20), break_on_hyphens=False)
    return "\n".join(lines)


def brief(name: str, most: int = 28) -> str:
    """Returns a name for a picture: of one that takes too many columns the beginning and the end."""
    name = visible(name)
    columns = len(name) + sum(unicodedata.east_asian_width(character) in "WF" for character in name)
    if columns <= most:
        return name
    kept = most * len(name) // columns - 1
    return f"{name[: kept - kept // 2]}…{name[len(name) - kept // 2 :]}"


def legend_below(picture: Figure) -> None:
    """Draws one legend for all panels below them, where it hides nothing."""
    handles = {label: handle for axes in picture.axes for handle, label in zip(*_legend_of(axes), strict=True)}
    picture.legend(handles.values(), handles.keys(), loc="outside lower right", ncols=len(handles))


def _legend_of(axes: Axes) -> tuple[list[Any], list[str]]:
    handles, labels = axes.get_legend_handles_labels()
    return handles, labels


def signed(text: str) -> str:
    """Returns a number as it is set in print: with a minus sign, and without zeros that lead an exponent."""
    return text.replace("-", "−").replace("e−0", "e−").replace("e+0", "e")


def lowered(number: int) -> str:
    """Returns a whole number as an index."""
    return str(number).translate(_LOWERED)


def logarithmic(axes: Axes, *, x: bool = True, y: bool = True) -> None:
    """Makes axes logarithmic, with ticks like 10⁻³: names may hold a $, so no text is read as TeX."""
    if x:
        axes.set_xscale("log")
    if y:
        axes.set_yscale("log")
    for axis in [axes.xaxis] * x + [axes.yaxis] * y:
        axis.set_major_formatter(FuncFormatter(_power))
        axis.set_minor_formatter(_Between())


class _Between(Formatter):
    """Names ticks between powers of ten where there are few powers."""

    def __call__(self, x: float, pos: int | None = None) -> str:
        assert self.axis is not None
        low, high = self.axis.get_view_interval()
        few = 0 < high < FEW_DECADES * low
        return signed(f"{x:.2g}") if few and f"{x:.0e}"[0] in "25" else ""


def _power(value: float, _: int) -> str:
    exponent = round(math.log10(value))
    return f"{value:g}" if abs(exponent) <= 2 else f"10{str(exponent).translate(_RAISED)}"


def rendered(picture: Figure, form: str, *, title: str, command: str) -> bytes:
    """Returns a picture as a file.

    Args:
      picture: what to write.
      form: `svg`, `png` or `pdf`.
      title, command: for the file's metadata: what is shown, and what made it.
    """
    title, command = visible(title), visible(command)
    maker = f"pgcheck {__version__}"
    metadata: dict[str, dict[str, str | None]] = {
        "svg": {"Title": title, "Description": command, "Creator": maker, "Date": None},
        "pdf": {"Title": title, "Subject": command, "Creator": maker, "CreationDate": None},
        "png": {"Title": title, "Description": command, "Software": maker},
    }
    file = io.BytesIO()
    with style():
        picture.savefig(file, format=form, dpi=DOTS, metadata=metadata[form])
    return with_fonts(file.getvalue().decode()).encode() if form == "svg" else file.getvalue()


def inline_svg(picture: Figure) -> str:
    """Returns a picture as an SVG element to stand in a page: without the head of a file, with the page's fonts.

    No two pictures of a page have an id in common, unless they are the same.
    """
    file = io.StringIO()
    with style():
        FigureCanvasSVG(picture).print_svg(file, metadata={"Date": None, "Creator": None})
    text = file.getvalue()
    text = text[text.index("<svg") :]
    own = hashlib.sha256(text.encode()).hexdigest()[:8]
    return re.sub(r'((?: id="|href="#|url\(#))', rf"\1p{own}-", text)
