"""Where the states of a graph stand. The door to networkx, of which nothing is used that needs scipy.

Positions are in inches. The same graph always gets the same ones.
"""

import itertools
import math
import re

import networkx as nx
import numpy as np

from pgcheck.arrays import Floats
from pgcheck.model.graph import ModelGraph

RADIUS = 0.3  # of a state's circle
EDGE = 1.75  # the length of an edge between neighbours
NEAREST = 1.3  # the least distance between two states
CROWDED = 0.6  # of these, where edges have no labels
WIDEST = 14.0  # of what springs make of a graph, before states that are too near are moved apart
LINE = 8  # states of a chain that fit beside each other
HUB = 2 / 3  # of the other states are neighbours of a hub
FEW = 8  # states, of which none is a hub


def positions(graph: ModelGraph, *, has_labels: bool) -> Floats:
    """Returns where each state stands `[S, 2]`, the first states on the left.

    States that are named by row and column, as r0c1, stand there. A chain is a line, and a long one is folded; a tree
    has its roots on the left and its ends on the right; where one state, like the end of all episodes, neighbours
    most others, these stand around it. For what is left, like grids and cycles, springs between neighbours find the
    places, from the eigenvectors of the graph (Fruchterman and Reingold, 1991,
    https://doi.org/10.1002/spe.4380211102).

    Args:
      graph: what is to be drawn.
      has_labels: whether its edges have labels, which need room.
    """
    scale = 1.0 if has_labels else CROWDED
    cells = _cells(graph)
    if cells is not None:
        return cells * EDGE
    if len(graph.nodes) == 1:
        return np.zeros((1, 2))
    ties = _ties(graph)
    chain = _chain(ties)
    if chain is not None:
        return _folded(chain) * EDGE * scale
    layers = _layers(graph)
    if layers is not None:
        return _layered(layers) * scale
    hub = max(ties, key=ties.degree)
    if len(ties) > FEW and ties.degree[hub] >= HUB * (len(ties) - 1):
        return _around(ties, hub) * NEAREST * max(scale, 0.75)
    where = _springs(ties) * EDGE * scale
    where *= min(1.0, WIDEST / float(np.ptp(where, axis=0).max()))
    return _facing(_parted(where, NEAREST * scale), graph)


def _cells(graph: ModelGraph) -> Floats | None:
    """The cells of a grid, by row and column; None where states have no such names."""
    found = [re.match(r"r(\d+)c(\d+)(?!\d)", node.name) for node in graph.nodes]
    cells = [(float(match[2]), -float(match[1])) for match in found if match is not None]
    is_grid = len(set(cells)) == len(found)
    return np.array(cells) if is_grid else None


def _ties(graph: ModelGraph) -> nx.Graph:
    """Which states are neighbours; parts that no outcome connects are held together by their first states."""
    ties = nx.Graph()
    ties.add_nodes_from(range(len(graph.nodes)))
    ties.add_edges_from((edge.source, edge.target) for edge in graph.edges if edge.source != edge.target)
    ties.add_edges_from(list(itertools.pairwise(sorted(map(min, nx.connected_components(ties))))))
    return ties


def _chain(ties: nx.Graph) -> list[int] | None:
    """The states along a chain, beginning with the end of the smaller number; None where the graph is no chain."""
    ends = [state for state in ties if ties.degree[state] == 1]
    inner = [state for state in ties if ties.degree[state] == 2]
    if len(ends) != 2 or len(ends) + len(inner) < len(ties):
        return None
    return list(nx.dfs_preorder_nodes(ties, ends[0]))


def _folded(chain: list[int]) -> Floats:
    """A chain in lines that are read to and fro; its edges have the length 1."""
    lines = math.ceil(len(chain) / LINE)
    length = math.ceil(len(chain) / lines)
    where = np.zeros((len(chain), 2))
    for k, state in enumerate(chain):
        line, place = divmod(k, length)
        where[state] = place if line % 2 == 0 else length - 1 - place, -line
    return where


def _layers(graph: ModelGraph) -> list[list[int]] | None:
    """The layers of a tree, or of several, with all terminal states in the last; None where the graph is none."""
    tree = nx.DiGraph()
    tree.add_nodes_from(k for k, node in enumerate(graph.nodes) if not node.is_terminal)
    tree.add_edges_from(
        (edge.source, edge.target) for edge in graph.edges if edge.source != edge.target and edge.target in tree
    )
    forks = any(degree > 1 for _, degree in tree.out_degree)
    if not forks or not nx.is_branching(tree):
        return None
    roots = [state for state, degree in tree.in_degree if degree == 0]
    order = {state: k for k, state in enumerate(s for root in roots for s in nx.dfs_preorder_nodes(tree, root))}
    layers = [sorted(layer, key=order.__getitem__) for layer in nx.bfs_layers(tree, roots)]
    ends = [state for state, node in enumerate(graph.nodes) if node.is_terminal]
    return [*layers, ends] if ends else layers


def _layered(layers: list[list[int]]) -> Floats:
    """Layers from left to right, each as high as the longest."""
    where = np.zeros((sum(map(len, layers)), 2))
    longest = max(map(len, layers))
    for k, layer in enumerate(layers):
        spread = NEAREST * max(1.0, 0.85 * longest / len(layer))
        where[layer, 0] = 1.4 * EDGE * k
        where[layer, 1] = spread * ((len(layer) - 1) / 2 - np.arange(len(layer)))
    return where


def _around(ties: nx.Graph, hub: int) -> Floats:
    """All states around one, clockwise from the left; the distance between two of them is 1."""
    ring = [state for state in ties if state != hub]
    where = _table(nx.shell_layout(ties, [[hub], ring], rotate=math.pi / 2)) * np.array([1, -1])
    return np.asarray(where / math.dist(where[ring[0]], where[ring[1]]))


def _springs(ties: nx.Graph) -> Floats:
    """What springs between neighbours make of a graph; its edges have a median length of 1."""
    circle = nx.circular_layout(ties)  # parts states of equal place, which nothing else would part
    begin = {state: 0.1 * circle[state] + place for state, place in nx.spectral_layout(ties).items()}
    where = _table(nx.spring_layout(ties, pos=begin, iterations=200, seed=0))
    return np.asarray(where / np.median([math.dist(where[a], where[b]) for a, b in ties.edges]))


def _parted(where: Floats, nearest: float) -> Floats:
    """The same places, with those moved apart that are too near to each other."""
    for _ in range(100):
        ways = where[:, None] - where
        distances = np.hypot(ways[..., 0], ways[..., 1])
        near = (distances < nearest) & (distances > 0)
        push = np.where(near, (nearest - distances) / np.where(near, distances, 1.0), 0.0)
        where = where + 0.25 * np.einsum("ij,ijk->ik", push, ways)
    return where


def _table(placed: dict[int, Floats]) -> Floats:
    return np.array([placed[state] for state in range(len(placed))])


def _facing(where: Floats, graph: ModelGraph) -> Floats:
    """The same picture turned so that it is wider than high, and begins on the left."""
    centred = where - where.mean(axis=0)
    turned = centred @ np.linalg.svd(centred, full_matrices=False)[2].T
    start = np.array([node.start for node in graph.nodes])
    for axis, sign in ((0, -1.0), (1, 1.0)):
        if (start @ turned[:, axis]) * sign < -1e-9:
            turned[:, axis] *= -1
    return np.asarray(turned)
