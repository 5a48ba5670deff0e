"""The curves of a graph: edges beside each other, around states in their way, and back to where they began."""

import itertools
import math
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from pgcheck.arrays import Floats
from pgcheck.model.graph import ModelGraph
from pgcheck.report.plots.layout import RADIUS

BESIDE = 0.42  # between the middles of edges beside each other
WIDEST = 1.7  # of such edges together
DETOURS = (0.0, 0.5, -0.5, 0.9, -0.9, 1.4, -1.4)  # of edges between two states, around others
CLEAR = 1.25 * RADIUS  # of the middle of another state
TOUCH = RADIUS + 0.03  # where an edge begins and ends
LOOP = 0.75  # how far an edge to the same state goes, from its middle
OPENING = 0.4  # half the angle, in radians, between the ends of such an edge
ENTRY = 0.5  # the length of the arrow to a state that episodes begin in
STEPS = np.linspace(0, 1, 25)[:, None]  # at which a curve is looked at
PLACES = (12, 10, 14, 8, 16, 6, 18)  # of these, where a label may stand
EARLY = (7, 5, 9, 11, 13)  # the same, for edges that many others meet at their end
MANY = 6
TURNS = (0.0, 0.8, -0.8)  # from the way out of a state to a label at its end, in radians

Size = tuple[float, float]


@dataclass(frozen=True, eq=False)
class Curve:
    """A Bézier curve with a label.

    Attributes:
      points: its control points: 2 of a straight arrow, 3 of an edge, 4 of an edge to the same state `[2 to 4, 2]`.
      label: the middle of its label `[2]`.
      size: the width and height of its label.
    """

    points: Floats
    label: Floats
    size: Size


@dataclass(frozen=True, eq=False)
class Curves:
    """All curves of a graph: one for each edge, and one into each state that episodes begin in."""

    edges: tuple[Curve, ...]
    entries: dict[int, Curve]

    def corners(self, where: Floats) -> tuple[Floats, Floats]:
        """Returns the lowest and the highest coordinates `[2]` of states, curves and labels."""
        every = [*self.edges, *self.entries.values()]
        points = [where - TOUCH, where + TOUCH, *(_along(curve.points) for curve in every)]
        points += [curve.label + sign * np.array(curve.size) / 2 for curve in every for sign in (-1, 1)]
        stacked = np.vstack(points)
        return stacked.min(axis=0), stacked.max(axis=0)


def curves(graph: ModelGraph, where: Floats, labels: Sequence[Size], entry: Size) -> Curves:
    """Returns where the curves of a graph run.

    Args:
      graph: the graph.
      where: where its states stand `[S, 2]`.
      labels: the width and height of each edge's label.
      entry: the same of the label of an arrow into a first state.
    """
    boxes = [(x, y, 2 * RADIUS, 2 * RADIUS) for x, y in where.tolist()]
    paths, entries = _paths(graph, where)

    def placed(points: Floats, size: Size, places: Sequence[Floats]) -> Curve:
        if not any(size):
            return Curve(points, places[0], size)
        taken = np.array(boxes)
        place = max(places, key=lambda place: _apart(place, size, taken))
        boxes.append((float(place[0]), float(place[1]), *size))
        return Curve(points, place, size)

    entered = {
        state: placed(points, entry, _beyond(where[state], points[0], entry)) for state, points in entries.items()
    }
    meeting = Counter(edge.target for edge in graph.edges)
    drawn: dict[int, Curve] = {}
    # The label of an edge to the same state has fewer places, which the others have to leave to it.
    for k in sorted(paths, key=lambda k: graph.edges[k].source != graph.edges[k].target):
        edge, points, along = graph.edges[k], paths[k], _along(paths[k])
        if edge.source == edge.target:
            places = _beyond(where[edge.source], along[12], labels[k])
        else:
            places = list(along[list(EARLY if meeting[edge.target] > MANY else PLACES)])
        drawn[k] = placed(points, labels[k], places)
    return Curves(tuple(drawn[k] for k in range(len(graph.edges))), entered)


def _apart(place: Floats, size: Size, boxes: Floats) -> float:
    """1 where a box overlaps none of the others, which are centres and sizes `[N, 4]`; the less the more it does."""
    shares = 2 * abs(boxes[:, :2] - place) / (boxes[:, 2:] + size)
    return min(float(np.min(np.max(shares, axis=1))), 1.0)


def _beyond(middle: Floats, top: Floats, size: Size) -> list[Floats]:
    """Where a label of what leads out of a state can stand: beyond its top, straight on or to one side."""
    angles = [_angle(top - middle) + turn for turn in TURNS]
    aways = [np.array([math.cos(angle), math.sin(angle)]) for angle in angles]
    return [np.asarray(top + away * (0.04 + abs(away) @ size / 2)) for away in aways]


def _paths(graph: ModelGraph, where: Floats) -> tuple[dict[int, Floats], dict[int, Floats]]:
    """The control points of each edge, and of the arrow into each first state."""
    between: dict[tuple[int, int], list[int]] = defaultdict(list)
    for k, edge in enumerate(graph.edges):
        between[min(edge.source, edge.target), max(edge.source, edge.target)].append(k)
    paths: dict[int, Floats] = {}
    for (a, b), group in between.items():
        if a != b:
            there = [k for k in group if graph.edges[k].source == a]
            back = [k for k in group if graph.edges[k].source == b]
            others = np.delete(where, [a, b], axis=0)
            detour = max(DETOURS, key=lambda detour: _clearance(_bent(where[a], where[b], detour), others))
            for k, offset in _offsets(there, back):
                points = _bent(where[a], where[b], offset + detour)
                paths[k] = points if graph.edges[k].source == a else points[::-1]
    entries: dict[int, Floats] = {}
    for state, (node, middle) in enumerate(zip(graph.nodes, where, strict=True)):
        loops = between.get((state, state), [])
        taken = [
            _angle(where[sum(pair) - state] - middle) for pair in between if state in pair and pair != (state, state)
        ]
        free = _free(taken, len(loops) + (node.start > 0))
        if node.start > 0:
            angle = min(free, key=math.cos)  # the one that is most to the left
            free.remove(angle)
            ray = np.array([math.cos(angle), math.sin(angle)])
            entries[state] = np.array([middle + (TOUCH + ENTRY) * ray, middle + TOUCH * ray])
        for k, angle in zip(loops, free, strict=True):
            paths[k] = _loop(middle, angle)
    return paths, entries


def _offsets(there: list[int], back: list[int]) -> Iterator[tuple[int, float]]:
    """How far to the left of the straight way the middle of each edge is; the two directions keep to their sides."""
    beside = min(BESIDE, WIDEST / (len(there) + len(back)))
    least = 0.5 if there and back else (1 - len(there) - len(back)) / 2
    for sign, group in ((1, there), (-1, back)):
        for place, k in enumerate(group):
            yield k, sign * beside * (least + place)


def _bent(source: Floats, target: Floats, offset: float) -> Floats:
    """A curve between two states whose middle is so far to the left of the straight way."""
    x, y = target - source
    control = (source + target) / 2 + 2 * offset * np.array([-y, x]) / math.hypot(x, y)
    ends = [end + TOUCH * (control - end) / math.dist(control, end) for end in (source, target)]
    return np.array([ends[0], control, ends[1]])


def _loop(middle: Floats, angle: float) -> Floats:
    """A curve from a state to itself."""
    rays = [(TOUCH, -OPENING), (4 / 3 * LOOP, -1.3 * OPENING), (4 / 3 * LOOP, 1.3 * OPENING), (TOUCH, OPENING)]
    return np.array([middle + r * np.array([math.cos(angle + t), math.sin(angle + t)]) for r, t in rays])


def _free(taken: list[float], number: int) -> list[float]:
    """Directions for so many edges to the same state, as far as they can be from others and each other."""
    if not taken:
        return [math.pi / 2 - 2 * math.pi * k / number for k in range(number)]
    angles = sorted(angle % (2 * math.pi) for angle in taken)
    gaps = [(after - before, before) for before, after in itertools.pairwise([*angles, angles[0] + 2 * math.pi])]
    numbers = [0] * len(gaps)
    for _ in range(number):
        roomiest = max(range(len(gaps)), key=lambda k: round(gaps[k][0] / (numbers[k] + 2), 6))
        numbers[roomiest] += 1
    return [
        before + gap * (k + 1) / (count + 1)
        for (gap, before), count in zip(gaps, numbers, strict=True)
        for k in range(count)
    ]


def _angle(way: Floats) -> float:
    return math.atan2(way[1], way[0])


def _along(points: Floats) -> Floats:
    """Points of a Bézier curve at `STEPS` `[25, 2]`, by de Casteljau's algorithm."""
    rows = [np.broadcast_to(point, (len(STEPS), 2)) for point in points]
    while len(rows) > 1:
        rows = [(1 - STEPS) * before + STEPS * after for before, after in itertools.pairwise(rows)]
    return np.asarray(rows[0])


def _clearance(points: Floats, others: Floats) -> float:
    """How near a curve comes to other states; all that is clear counts alike."""
    if not len(others):
        return CLEAR
    ways = _along(points)[:, None] - others
    return min(float(np.min(np.hypot(ways[..., 0], ways[..., 1]))), CLEAR)
