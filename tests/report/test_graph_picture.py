"""Models as pictures: all states and outcomes are there, apart from each other, in the same bytes each time."""

import itertools
import math
import subprocess
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest

import pgcheck
from pgcheck import MDP, TabularSoftmax
from pgcheck.arrays import Floats
from pgcheck.formats.bundled import bundled_models
from tests.conftest import ROOT, Run
from tests.report.graphs import HARD, shapes, with_hard_names

BUNDLED = [model.mdp for model in bundled_models()]
EVERY = [*BUNDLED, *shapes(), with_hard_names()]
SMALL = [mdp for mdp in EVERY if len(mdp.prob) <= 64]
SVG = "{http://www.w3.org/2000/svg}"

pytestmark = pytest.mark.plot


def picture(mdp: MDP, policy: pgcheck.Policy | None = None) -> Any:
    from pgcheck.report.plots.graph import model_picture

    return model_picture(mdp, policy or TabularSoftmax.of(mdp))


def nearest(where: Floats) -> float:
    return min((math.dist(a, b) for a, b in itertools.combinations(where, 2)), default=math.inf)


@pytest.mark.parametrize("mdp", EVERY, ids=lambda mdp: mdp.name[:20])
def test_a_picture_has_a_circle_for_each_state_and_an_arrow_for_each_outcome(mdp: MDP) -> None:
    from matplotlib.patches import Circle, PathPatch, Polygon

    (axes,) = picture(mdp).axes
    circles, lines, heads = (
        [patch for patch in axes.patches if type(patch) is kind] for kind in (Circle, PathPatch, Polygon)
    )
    if mdp.num_states <= 60:
        assert len(circles) == mdp.num_states + mdp.terminal.sum()
        assert len(lines) == len(heads) == len(mdp.prob) + (mdp.start > 0).sum()
        assert len(axes.lines) == mdp.done.sum()  # the bars
    else:
        assert 60 <= len(circles) <= 61
    assert nearest(np.unique([circle.center for circle in circles], axis=0)) >= 0.6  # twice the radius


def test_states_on_top_of_each_other_would_be_seen() -> None:
    """The eigenvectors of a star alone, from which the springs begin, put its points into few places."""
    import networkx as nx

    assert nearest(np.array(list(nx.spectral_layout(nx.star_graph(6)).values()))) < 0.6


@pytest.mark.parametrize("mdp", EVERY, ids=lambda mdp: mdp.name[:20])
def test_all_that_is_drawn_lies_within_the_picture(mdp: MDP) -> None:
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    from pgcheck.report.plots.picture import style

    drawn = picture(mdp)
    renderer = FigureCanvasAgg(drawn).get_renderer()
    width, height = drawn.get_size_inches() * drawn.dpi
    (axes,) = drawn.axes
    shown = [*axes.patches, *axes.texts, *axes.lines, *drawn.legends, *drawn.texts]
    for artist in shown:
        with style():
            box = artist.get_window_extent(renderer)
        assert -1 <= box.x0 <= box.x1 <= width + 1, artist
        assert -1 <= box.y0 <= box.y1 <= height + 1, artist
    assert max(drawn.get_size_inches()) <= 20


@pytest.mark.parametrize("mdp", SMALL, ids=lambda mdp: mdp.name[:20])
def test_labels_name_the_action_the_probability_and_the_reward(mdp: MDP) -> None:
    texts = [text.get_text() for text in picture(mdp).axes[0].texts]
    for a, p, r in zip(mdp.action.tolist(), mdp.prob.tolist(), mdp.reward.tolist(), strict=True):
        figures = ", ".join([*([f"{p:.3g}"] if p < 1 else []), *([f"r {r:.3g}"] if r else [])])
        name = mdp.actions[a]
        assert f"{name}\n{figures}".strip() in texts


def test_the_width_is_the_probability_of_the_action() -> None:
    """π(stay|left) = 1/(1 + e^-0.5); lines are 0.7 to 3.6 points wide."""
    from matplotlib.patches import PathPatch

    (axes,) = picture(*pgcheck.load("two_state")).axes
    first = next(patch for patch in axes.patches if type(patch) is PathPatch)
    assert first.get_linewidth() == pytest.approx(0.7 + 2.9 / (1 + math.exp(-0.5)))


def test_edges_that_have_both_ends_in_common_keep_apart() -> None:
    from pgcheck.model.graph import model_graph
    from pgcheck.report.plots.curves import curves
    from pgcheck.report.plots.layout import positions

    graph = model_graph(*pgcheck.load("value_polytope"), most_states=9, most_edges=99)
    where = positions(graph, has_labels=True)
    drawn = curves(graph, where, [(0.5, 0.3)] * 8, (0.4, 0.3)).edges
    middles = np.array([curve.points[1:-1].mean(axis=0) for curve in drawn])
    assert nearest(middles) > 0.3
    assert len(middles) == 8


def test_too_many_outcomes_have_no_labels_and_that_is_said() -> None:
    drawn = picture(next(mdp for mdp in BUNDLED if mdp.name == "frozen-lake"))
    assert [text.get_text() for text in drawn.texts] == ["frozen-lake: 16 states, 128 outcomes, too many for labels"]
    assert not any(text.get_text().startswith("left") for text in drawn.axes[0].texts)


def test_a_large_model_is_cut_and_that_is_said() -> None:
    (title,) = picture(shapes()[-1]).texts
    assert title.get_text().startswith("large: the likeliest 60 of 900 states, ")


def test_states_named_by_row_and_column_stand_there() -> None:
    from matplotlib.patches import Circle

    circles = [patch for patch in picture(*pgcheck.load("cliff_walk")).axes[0].patches if type(patch) is Circle]
    mdp, _ = pgcheck.load("cliff_walk")
    centres = dict(zip(mdp.states, (circle.center for circle in circles), strict=False))
    assert centres["r0c0"][0] == centres["r1c0"][0] < centres["r0c1"][0]
    assert centres["r0c0"][1] == centres["r0c1"][1] > centres["r1c0"][1]


def test_the_command_writes_a_valid_picture_with_names_that_are_text(run: Run, tmp_path: Path) -> None:
    from pgcheck.formats.writing import model_text

    mdp = with_hard_names()
    (tmp_path / "hard.yaml").write_text(model_text(pgcheck.Model(mdp, TabularSoftmax.of(mdp))), encoding="utf-8")
    done = run("show", "hard.yaml", "--plot", "hard.svg")
    assert (done.returncode, done.stderr) == (0, "")
    root = ElementTree.parse(tmp_path / "hard.svg").getroot()
    texts = {"".join(text.itertext()) for text in root.iter(f"{SVG}text")}
    assert {name for name in HARD if len(name) <= 9 and name.isascii()} <= texts
    assert not list(root.iter(f"{SVG}script"))


def test_the_same_bytes_in_another_process() -> None:
    code = (
        "import hashlib\nfrom tests.report.graphs import shapes\nfrom pgcheck import TabularSoftmax\n"
        "from pgcheck.report.plots.graph import model_picture\nfrom pgcheck.report.plots.picture import rendered\n"
        "for mdp in shapes():\n"
        "    file = rendered(model_picture(mdp, TabularSoftmax.of(mdp)), 'svg', title='', command='')\n"
        "    print(hashlib.sha256(file).hexdigest())\n"
    )
    outputs = [
        subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT,
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": str(ROOT)},
        ).stdout
        for seed in ("1", "2")
    ]  # fmt: skip
    assert outputs[0] == outputs[1]
    assert len(set(outputs[0].split())) == len(shapes())


def test_without_networkx_the_command_says_what_to_install(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.startswith(("networkx", "pgcheck.report.plots."))]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "networkx", None)
    done = run("show", "--plot", "a.svg")
    assert done.returncode == 2
    assert done.stderr == "error: --plot needs networkx; install it with: pip install 'pgcheck[plot]'\n"
    assert done.stdout == ""
