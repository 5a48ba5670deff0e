"""A model as a picture: a circle for each state, an arrow for each outcome."""

import math
import unicodedata
from dataclasses import replace

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Circle, PathPatch, Polygon
from matplotlib.path import Path

from pgcheck.arrays import Floats
from pgcheck.formats.problems import visible
from pgcheck.model.graph import Edge, ModelGraph, Node, model_graph
from pgcheck.model.mdp import MDP
from pgcheck.model.policy import Policy
from pgcheck.report.graph_text import edge_figures, graph_title
from pgcheck.report.plots.curves import Curve, curves
from pgcheck.report.plots.layout import RADIUS, positions
from pgcheck.report.plots.picture import COLOURS, DASHES, INK, WIDTH, Picture, brief, style

MOST_STATES = 60  # of a larger model, only the likeliest are drawn
MOST_EDGES = 400
MOST_LABELS = 64  # edges; the labels of more would cover each other
MOST_ACTIONS = 12  # that the legend names
MARGIN = 0.12
TITLE, LEGEND = 0.4, 0.26  # the heights of the title and of a line of the legend
COLUMN = 1.25  # the width of a column of the legend
LETTER, LINE = 0.068, 0.16  # the width and height of a letter of a label, in inches as all else
THIN, THICK = 0.7, 3.6  # lines, in points, of actions that the policy never and always takes
CODES = {2: [Path.MOVETO, Path.LINETO], 3: [Path.MOVETO, *[Path.CURVE3] * 2], 4: [Path.MOVETO, *[Path.CURVE4] * 3]}


def model_picture(mdp: MDP, policy: Policy) -> Picture:
    """Returns a model as a graph.

    A state that episodes begin in has an arrow from nowhere, a terminal one a double ring. The label of an arrow is
    the action, the probability of the outcome where it is not 1, and the reward where it is not 0; its width is the
    policy's probability of the action. An arrow against a bar ends the episode, wherever it leads.
    """
    graph = model_graph(mdp, policy, most_states=MOST_STATES, most_edges=MOST_EDGES)
    has_labels = len(graph.edges) <= MOST_LABELS
    labels = [_label(graph, edge) if has_labels else "" for edge in graph.edges]
    where = positions(graph, has_labels=has_labels)
    drawn = curves(graph, where, [_size(label) for label in labels], _size("start\n0.00"))
    lines = len(_legend(graph))
    title = graph_title(replace(graph, name=brief(graph.name, 40))) + ("" if has_labels else ", too many for labels")
    with style():
        low, high = (corner + sign * MARGIN for corner, sign in zip(drawn.corners(where), (-1, 1), strict=True))
        picture, axes = _sheet(low, high, lines)
        inch = 1 / picture.get_figwidth(), 1 / picture.get_figheight()
        picture.text(0.12 * inch[0], 1 - 0.12 * inch[1], title, va="top", size=11)
        for edge, curve, label in zip(graph.edges, drawn.edges, labels, strict=True):
            colour, dash = _look(edge.action)
            _arrow(axes, curve.points, colour, dash, THIN + (THICK - THIN) * edge.policy, is_last=edge.done)
            _words(axes, curve, label, colour)
        for state, curve in drawn.entries.items():
            _arrow(axes, curve.points, INK, "-", 1.2, is_last=False)
            start = graph.nodes[state].start
            _words(axes, curve, "start" if start == 1 else f"start\n{start:.3g}", INK)
        for node, (x, y) in zip(graph.nodes, where.tolist(), strict=True):
            _circle(axes, node, x, y)
        picture.legend(handles=_legend(graph), loc="lower center", ncols=_columns(picture, lines), fontsize=8)
    return picture


def _sheet(low: Floats, high: Floats, lines: int) -> tuple[Picture, Axes]:
    """An empty picture in which the units of positions are inches, with room for a title and the legend."""
    width, height = (high - low).tolist()
    wide = max(width, WIDTH)
    picture = Picture(figsize=(wide, 1.0))
    below = 0.1 + LEGEND * math.ceil(lines / _columns(picture, lines))
    tall = height + TITLE + below
    picture.set_figheight(tall)
    axes = picture.add_axes((0, below / tall, 1, height / tall))
    middle = (low[0] + high[0]) / 2
    axes.set(xlim=(middle - wide / 2, middle + wide / 2), ylim=(low[1], high[1]))
    axes.set_axis_off()
    return picture, axes


def _columns(picture: Picture, lines: int) -> int:
    return min(lines, int(picture.get_figwidth() / COLUMN))


def _label(graph: ModelGraph, edge: Edge) -> str:
    return f"{_short(graph.actions[edge.action], 14)}\n{edge_figures(edge, 3)}".strip()


def _size(label: str) -> tuple[float, float]:
    if not label:
        return 0.0, 0.0
    lines = label.split("\n")
    return LETTER * max(map(_width, lines)), LINE * len(lines)


def _width(text: str) -> int:
    """Of a text in letters; those of East Asia are twice as wide."""
    return sum(2 if unicodedata.east_asian_width(letter) in "WF" else 1 for letter in text)


def _short(name: str, most: int) -> str:
    """A name without what is beyond so many letters."""
    name = visible(name)
    if _width(name) <= most:
        return name
    while _width(name) >= most:
        name = name[:-1]
    return f"{name}…"


def _look(action: int) -> tuple[str, str]:
    return COLOURS[action % len(COLOURS)], DASHES[action % len(DASHES)]


def _arrow(axes: Axes, points: Floats, colour: str, dash: str, width: float, *, is_last: bool) -> None:
    """A line with a head; with a bar at its tip where the episode ends."""
    tip, way = points[-1], points[-1] - points[-2]
    way = way / np.hypot(*way)
    across = np.array([-way[1], way[0]])
    length, half = 0.12 + 0.02 * width, 0.045 + 0.012 * width
    base = tip - length * way
    line = Path(np.vstack([points[:-1], base]), CODES[len(points)])
    axes.add_patch(PathPatch(line, fill=False, edgecolor=colour, linestyle=dash, linewidth=width, capstyle="butt"))
    axes.add_patch(Polygon([tip, base + half * across, base - half * across], color=colour, linewidth=0))
    if is_last:
        bar = np.array([tip + 1.7 * half * across, tip - 1.7 * half * across])
        axes.plot(*bar.T, color=colour, linewidth=2.0, solid_capstyle="butt")


def _words(axes: Axes, curve: Curve, label: str, colour: str) -> None:
    box = {"facecolor": "white", "edgecolor": "none", "pad": 0.4, "alpha": 0.85}
    if label:
        axes.text(*curve.label, label, color=colour, ha="center", va="center", fontsize=8, linespacing=1.0, bbox=box)


def _circle(axes: Axes, node: Node, x: float, y: float) -> None:
    axes.add_patch(Circle((x, y), RADIUS, facecolor="white", edgecolor=INK, linewidth=1.2, zorder=4))
    if node.is_terminal:
        axes.add_patch(Circle((x, y), 0.85 * RADIUS, fill=False, edgecolor=INK, linewidth=1.0, zorder=4))
    name, up = _short(node.name, 9), 0.0 if node.sight is None else 0.07
    axes.text(x, y + up, name, ha="center", va="center", fontsize=9 if _width(name) <= 5 else 7, zorder=5)
    if node.sight is not None:
        axes.text(x, y - 0.1, f"({_short(node.sight, 9)})", ha="center", va="center", fontsize=6, zorder=5)


def _legend(graph: ModelGraph) -> list[Line2D]:
    """A line for each action, and what is to be known besides."""
    shown = graph.actions[:MOST_ACTIONS]
    lines = [
        Line2D([], [], color=_look(a)[0], linestyle=_look(a)[1], label=_short(name, 18))
        for a, name in enumerate(shown)
    ]
    more = len(graph.actions) - len(shown)
    notes = [*([f"and {more:,} more"] if more else []), "width: probability of the action"]
    return [*lines, *(Line2D([], [], linestyle="none", label=note) for note in notes)]
