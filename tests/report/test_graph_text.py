"""Models in Mermaid and dot: valid, with the right numbers of states and outcomes, and names that stay names."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import pgcheck
from pgcheck import MDP, TabularSoftmax
from pgcheck.formats.bundled import bundled_models
from pgcheck.report.graph_text import graph_text
from tests.conftest import Run
from tests.report.graphs import HARD, shapes, with_hard_names

BUNDLED = [model.mdp for model in bundled_models()]
TEXT = r'"((?:[^"\\\n#]|#\d+;)*)"'  # of Mermaid: nothing in quotes ends them, and # only begins a number
MERMAID = {
    "node": re.compile(rf"    s(\d+)\(\({TEXT}\)\)"),
    "end": re.compile(rf"    s(\d+)\(\(\({TEXT}\)\)\)"),
    "edge": re.compile(rf"    s(\d+) -{{2,3}}[>x]\|{TEXT}\| s(\d+)"),
    "start": re.compile(rf"    start(\d+)\[\"start\"\] -\.->(?:\|{TEXT}\|)? s(\d+)"),
    "width": re.compile(r"    linkStyle (\d+(?:,\d+)*) stroke-width:(\d\.\d)px"),
}
QUOTED = r'"((?:[^"\\]|\\.)*)"'
DOT = {
    "node": re.compile(rf"    s(\d+) \[label={QUOTED}\];"),
    "end": re.compile(rf"    s(\d+) \[label={QUOTED}, shape=doublecircle\];"),
    "edge": re.compile(rf"    s(\d+) -> s(\d+) \[label={QUOTED}, penwidth=\d\.\d(?:, arrowhead=teenormal)?\];"),
    "start": re.compile(rf"    start(\d+) \[shape=point\]; start\d+ -> s\d+ \[style=dashed, label={QUOTED}\];"),
}


def text(mdp: MDP, language: str) -> str:
    return graph_text(mdp, TabularSoftmax.of(mdp), language)


def lines(graph: str, language: str) -> dict[str, list[tuple[str, ...]]]:
    """The lines of a graph by kind; fails where one is of none."""
    rows = graph.splitlines()
    if language == "mermaid":
        assert rows[0] == rows[2] == "---"
        assert re.fullmatch(r'title: "(?:[^"\\]|\\.)*"', rows[1])
        assert rows[3] == "flowchart LR"
        body, grammar = rows[4:], MERMAID
    else:
        assert rows[:2] == ["digraph model {", "    rankdir=LR; labelloc=t;"]
        assert re.fullmatch(rf"    label={QUOTED};", rows[2])
        assert rows[3] == "    node [shape=circle];"
        assert rows[-1] == "}"
        body, grammar = rows[4:-1], DOT
    found: dict[str, list[tuple[str, ...]]] = {kind: [] for kind in grammar}
    for row in body:
        kinds = [(kind, match) for kind, pattern in grammar.items() if (match := pattern.fullmatch(row))]
        assert len(kinds) == 1, row
        found[kinds[0][0]].append(kinds[0][1].groups())
    return found


def plain(label: str, language: str) -> str:
    """A label as it is shown."""
    if language == "mermaid":
        return re.sub(r"#(\d+);", lambda match: chr(int(match[1])), label)
    return re.sub(r"\\(.)", r"\1", label).replace("&amp;", "&")


@pytest.mark.parametrize("language", ["mermaid", "dot"])
@pytest.mark.parametrize("mdp", [*BUNDLED, *shapes()[:-1], with_hard_names()], ids=lambda mdp: mdp.name[:20])
def test_a_graph_has_all_states_outcomes_and_starts(mdp: MDP, language: str) -> None:
    found = lines(text(mdp, language), language)
    assert len(found["node"]) == (~mdp.terminal).sum()
    assert len(found["end"]) == mdp.terminal.sum()
    assert len(found["start"]) == (mdp.start > 0).sum()
    labels = [label for edge in found["edge"] for label in edge[1 if language == "mermaid" else 2].split("<br>")]
    assert len(labels) == len(mdp.prob)
    actions = [mdp.actions[a] for a in mdp.action]
    shown = sorted(plain(label, language) for label in labels)
    assert all(label.startswith(action) for label, action in zip(shown, sorted(actions), strict=True))


def test_two_state_in_mermaid() -> None:
    assert graph_text(*pgcheck.load("two_state"), "mermaid").splitlines()[4:13] == [
        '    s0(("left"))',
        '    s1(("right"))',
        '    s2((("goal")))',
        '    s0 -->|"stay<br>move 0.2"| s0',
        '    s0 --->|"move 0.8, r 1"| s1',
        '    s1 -->|"stay r 0.5"| s1',
        '    s1 ---x|"move r 2"| s2',
        '    start0["start"] -.->|"0.5"| s0',
        '    start1["start"] -.->|"0.5"| s1',
    ]


def test_the_policy_is_the_width() -> None:
    """π(stay|left) = 1/(1 + e^-0.5) = 0.622, so 1 + 4 · 0.622 = 3.5."""
    graph = graph_text(*pgcheck.load("two_state"), "dot")
    assert 's0 -> s0 [label="stay", penwidth=3.5];' in graph
    assert 's0 -> s1 [label="move 0.8, r 1", penwidth=2.5];' in graph
    assert "linkStyle 0 stroke-width:3.5px" in graph_text(*pgcheck.load("two_state"), "mermaid")


@pytest.mark.parametrize("language", ["mermaid", "dot"])
def test_hard_names_are_shown_as_they_are(language: str) -> None:
    found = lines(text(with_hard_names(), language), language)
    assert [plain(label, language) for _, label in found["node"]] == list(HARD)


@pytest.mark.parametrize("language", ["mermaid", "dot"])
def test_a_name_that_is_not_escaped_would_be_seen(language: str) -> None:
    graph = text(BUNDLED[0], language)
    name = BUNDLED[0].states[0]
    with pytest.raises(AssertionError):
        lines(graph.replace(f'"{name}"', '"a"b"', 1), language)


@given(st.text(min_size=1, max_size=30), st.sampled_from(["mermaid", "dot"]))
def test_any_name_is_a_name(name: str, language: str) -> None:
    mdp = MDP.from_arrays([[[1.0]]], [0.0], horizon=1, states=[name], actions=[name], name=name)
    found = lines(text(mdp, language), language)
    assert (len(found["node"]), len(found["edge"])) == (1, 1)


@pytest.mark.parametrize(("language", "most"), [("mermaid", 60), ("dot", 900)])
def test_of_a_large_model_mermaid_gets_the_likeliest_part_and_that_is_said(language: str, most: int) -> None:
    graph = text(shapes()[-1], language)
    found = lines(graph, language)
    assert len(found["node"]) + len(found["end"]) == most
    assert ("the likeliest 60 of 900 states" in graph) == (language == "mermaid")


def test_mermaid_keeps_to_its_limits() -> None:
    size = 60
    names = [f"{'~' * 50}{k}" for k in range(size)]
    everywhere, rewards = [[[1 / size] * size]] * size, [-1.23456e-300] * size
    mdp = MDP.from_arrays(everywhere, rewards, horizon=1, states=names, actions=["~" * 50])
    graph = text(mdp, "mermaid")
    # maxEdges and maxTextSize, https://mermaid.js.org/config/schema-docs/config.html
    assert len(lines(graph, "mermaid")["edge"]) <= 500
    assert len(graph) <= 50_000
    assert "the likeliest 60 of 60 states, 200 of 3,600 outcomes" in graph


@pytest.mark.skipif(shutil.which("dot") is None, reason="needs dot of Graphviz")
@pytest.mark.parametrize("mdp", [*BUNDLED, with_hard_names()], ids=lambda mdp: mdp.name[:20])
def test_dot_draws_it(mdp: MDP) -> None:
    done = subprocess.run(["dot", "-Tsvg"], input=text(mdp, "dot").encode(), capture_output=True, check=True)
    drawn = done.stdout.decode()
    assert drawn.count('class="edge"') == len(mdp.prob) + (mdp.start > 0).sum()
    assert "<script" not in drawn


@pytest.mark.parametrize(
    ("arguments", "first"),
    [(["--format", "mermaid"], "---"), (["--format", "dot"], "digraph model {")],
)
def test_show_prints_a_graph(run: Run, arguments: list[str], first: str) -> None:
    done = run("show", *arguments)
    assert done.returncode == 0
    assert done.stdout.splitlines()[0] == first
    assert done.stderr == ""


@pytest.mark.parametrize(
    ("file", "first"), [("m.mmd", "---"), ("m.dot", "digraph model {"), ("m.GV", "digraph model {")]
)
def test_the_suffix_of_the_output_says_the_language(run: Run, tmp_path: Path, file: str, first: str) -> None:
    assert run("show", "-o", file).returncode == 0
    assert (tmp_path / file).read_text(encoding="utf-8").splitlines()[0] == first


@pytest.mark.parametrize("language", ["mermaid", "dot"])
def test_other_commands_refuse_it_and_say_what_they_expect(run: Run, language: str) -> None:
    done = run("exact", "--format", language)
    assert done.returncode == 2
    assert done.stderr == f"error: --format '{language}': expected table, json, jsonl or csv\n"


def test_an_unknown_format_of_show_is_told_all_that_there_are(run: Run) -> None:
    done = run("show", "--format", "graphviz")
    assert done.returncode == 2
    assert done.stderr == "error: --format 'graphviz': expected table, json, jsonl, csv, mermaid or dot\n"
