"""A model as a graph in text: for Mermaid, which GitHub draws in a README, and for Graphviz's dot."""

import json
from collections import defaultdict
from collections.abc import Iterable

from pgcheck.formats.problems import visible
from pgcheck.model.graph import Edge, ModelGraph, Node, model_graph
from pgcheck.model.mdp import MDP
from pgcheck.model.policy import Policy
from pgcheck.report.words import many

DIGITS = 6
# Of states and of edges. Mermaid draws no more than 500 edges, and text of no more than 50,000 characters.
MOST = {"mermaid": (60, 200), "dot": (1_000, 10_000)}
MOST_LETTERS = 26  # of a name in Mermaid, for the same reason
_WIDE = str.maketrans("<>&", "\N{FULLWIDTH LESS-THAN SIGN}\N{FULLWIDTH GREATER-THAN SIGN}\N{FULLWIDTH AMPERSAND}")
THIN, THICK = 1.0, 5.0  # lines of actions that the policy never and always takes, in pixels or points


def graph_text(mdp: MDP, policy: Policy, language: str) -> str:
    """Returns a model as a graph in `mermaid` or `dot`.

    A state that episodes begin in has an arrow from a point, a terminal one a double ring. The label of an arrow is
    the action, the probability of the outcome where it is not 1, and the reward where it is not 0; its width is the
    policy's probability of the action. An outcome that ends the episode has a cross (Mermaid) or a bar (dot) at its
    tip.
    """
    states, edges = MOST[language]
    graph = model_graph(mdp, policy, most_states=states, most_edges=edges)
    return mermaid_text(graph) if language == "mermaid" else dot_text(graph)


def graph_title(graph: ModelGraph) -> str:
    """Returns the name and the size of a model, and which part of it is shown."""
    states, outcomes = many(graph.states, "state"), many(graph.outcomes, "outcome")
    if not graph.is_whole:
        states, outcomes = f"the likeliest {len(graph.nodes):,} of {states}", f"{len(graph.edges):,} of {outcomes}"
    return f"{visible(graph.name)}: {states}, {outcomes}"


def edge_figures(edge: Edge, digits: int) -> str:
    """Returns the probability of an outcome, if it is not certain, and its reward, if it has one."""
    probability = [] if edge.prob == 1 else [f"{edge.prob:.{digits}g}"]
    reward = [f"r {edge.reward:.{digits}g}"] if edge.reward else []
    return ", ".join([*probability, *reward])


def mermaid_text(graph: ModelGraph) -> str:
    """Returns a graph as a flowchart of Mermaid (https://mermaid.js.org/syntax/flowchart.html).

    Outcomes that lead back to their state share an arrow, because Mermaid draws such arrows on top of each other; the
    other arrows at such a state are longer, so that their labels do not cover it.
    """
    title = graph_title(graph).translate(_WIDE)
    lines = ["---", f"title: {json.dumps(title, ensure_ascii=False)}", "---", "flowchart LR"]
    for k, node in enumerate(graph.nodes):
        name = _in_mermaid(_node_label(node))
        lines.append(f'    s{k}((("{name}")))' if node.is_terminal else f'    s{k}(("{name}"))')
    looping = {edge.source for edge in graph.edges if edge.source == edge.target}
    widths: dict[str, list[int]] = defaultdict(list)
    for arrow, edges in enumerate(_arrows(graph.edges)):
        is_last = all(edge.done for edge in edges)
        labels = [
            " ".join(filter(None, [_in_mermaid(graph.actions[edge.action]), edge_figures(edge, DIGITS)]))
            + (", ends" if edge.done and not is_last else "")
            for edge in edges
        ]
        source, target = edges[0].source, edges[0].target
        longer = "-" if source != target and not looping.isdisjoint((source, target)) else ""
        lines.append(f'    s{source} {longer}--{"x" if is_last else ">"}|"{"<br>".join(labels)}"| s{target}')
        widths[_width(max(edges, key=lambda edge: edge.policy))].append(arrow)
    for k, node in enumerate(graph.nodes):
        if node.start > 0:
            label = "" if node.start == 1 else f'|"{node.start:.{DIGITS}g}"|'
            lines.append(f'    start{k}["start"] -.->{label} s{k}')
    lines += [f"    linkStyle {','.join(map(str, arrows))} stroke-width:{w}px" for w, arrows in widths.items()]
    return "\n".join(lines) + "\n"


def _arrows(edges: Iterable[Edge]) -> list[list[Edge]]:
    """The edges of each arrow: all that lead from a state to itself have one."""
    arrows: list[list[Edge]] = []
    loops: dict[int, list[Edge]] = {}
    for edge in edges:
        if edge.source == edge.target and edge.source in loops:
            loops[edge.source].append(edge)
            continue
        arrows.append([edge])
        if edge.source == edge.target:
            loops[edge.source] = arrows[-1]
    return arrows


def dot_text(graph: ModelGraph) -> str:
    """Returns a graph in the language of Graphviz (https://graphviz.org/doc/info/lang.html)."""
    lines = [
        "digraph model {", "    rankdir=LR; labelloc=t;", f"    label={_in_dot(graph_title(graph))};",
        "    node [shape=circle];",
    ]  # fmt: skip
    for k, node in enumerate(graph.nodes):
        shape = ", shape=doublecircle" if node.is_terminal else ""
        lines.append(f"    s{k} [label={_in_dot(_node_label(node))}{shape}];")
    for edge in graph.edges:
        label = " ".join(filter(None, [graph.actions[edge.action], edge_figures(edge, DIGITS)]))
        head = ", arrowhead=teenormal" if edge.done else ""
        looks = f"label={_in_dot(label)}, penwidth={_width(edge)}{head}"
        lines.append(f"    s{edge.source} -> s{edge.target} [{looks}];")
    for k, node in enumerate(graph.nodes):
        if node.start > 0:
            label = "" if node.start == 1 else f"{node.start:.{DIGITS}g}"
            lines.append(f"    start{k} [shape=point]; start{k} -> s{k} [style=dashed, label={_in_dot(label)}];")
    return "\n".join([*lines, "}"]) + "\n"


def _node_label(node: Node) -> str:
    return node.name if node.sight is None else f"{node.name} ({node.sight})"


def _width(edge: Edge) -> str:
    return f"{THIN + (THICK - THIN) * edge.policy:.1f}"


def _in_mermaid(name: str) -> str:
    """A name within quotes: all ASCII but letters, digits and spaces by number, so that none of it is markup."""
    name = visible(name)
    shown = name if len(name) <= MOST_LETTERS else f"{name[: MOST_LETTERS - 1]}…"
    return "".join(
        letter if letter.isalnum() or letter == " " or not letter.isascii() else f"#{ord(letter)};"
        for letter in shown
    )


def _in_dot(text: str) -> str:
    """A text as a quoted string; & would begin an entity."""
    escaped = visible(text).replace("&", "&amp;").replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
