"""A verdict in pictures: what of it is there, with its numbers; and what is not there is left out."""

import io
from pathlib import Path

import numpy as np
import pytest

import pgcheck
from pgcheck.verification.impulses import WeightMatrix
from tests.conftest import Run
from tests.report.plots.svg import Drawn

pytestmark = pytest.mark.plot


def test_the_matrix_frames_what_is_wrong() -> None:
    from pgcheck.report.plots.verification import verification_picture

    verification = pgcheck.verify("dropped-gamma")
    found, right, components = verification_picture("dropped-gamma", verification).axes
    numbers = {text.get_position(): float(text.get_text()) for text in found.texts}
    for (x, y), number in numbers.items():
        k, t = int(x), int(y)
        assert number == pytest.approx(0.9 ** (k - t) if k >= t else 0.0, abs=6e-4)  # γ^(k−t): γ^t is missing
    due = {text.get_position(): float(text.get_text()) for text in right.texts}
    assert len(numbers) == 16
    assert len(due) == 10
    for (x, _), number in due.items():
        assert number == pytest.approx(0.9 ** int(x), abs=6e-4)
    framed = {str(patch.get_gid()) for patch in found.patches if str(patch.get_gid()).startswith("wrong")}
    assert framed == {f"wrong-{t}-{k}" for t in range(1, 4) for k in range(t, 4)}
    assert len([patch for patch in right.patches if patch.get_hatch()]) == 6
    worst = verification.worst
    assert worst is not None
    assert len(components.get_yticklabels()) == 14
    _, gradient, mean = components.lines
    assert np.ptp(np.asarray(gradient.get_xdata()) - np.asarray(mean.get_xdata())) > 0


def test_a_right_matrix_has_no_frame() -> None:
    right = WeightMatrix(np.triu(0.5 ** np.arange(3) * np.ones((3, 3))), 0.5, is_right=True, rounding=1e-12)
    assert not right.wrong.any()
    values = right.values.copy()
    values[2, 0] = 7.0  # a reward before the step, of which any weight is right
    assert not WeightMatrix(values, 0.5, is_right=True, rounding=1e-12).wrong.any()
    values[0, 2] *= 1.01
    assert np.argwhere(WeightMatrix(values, 0.5, is_right=False, rounding=1e-12).wrong).tolist() == [[0, 2]]


def test_a_pass_has_the_components_alone_each_on_its_gradient() -> None:
    from pgcheck.report.plots.verification import verification_picture

    verification = pgcheck.verify("reinforce", "two_state")
    picture = verification_picture("reinforce", verification)
    (axes,) = picture.axes
    _, gradient, mean = axes.lines
    exact = pgcheck.exact_gradient(*pgcheck.load("two_state"))
    assert np.asarray(gradient.get_xdata()) == pytest.approx(exact.gradient)
    assert np.asarray(mean.get_xdata()) == pytest.approx(exact.gradient)
    assert picture.get_suptitle() == "reinforce: PASS"


def test_a_failing_verdict_is_drawn_and_exits_with_1(run: Run, tmp_path: Path) -> None:
    done = run("verify", "dropped-gamma", "two_state", "--plot", "a.svg")
    assert (done.returncode, done.stderr) == (1, "")
    texts = Drawn((tmp_path / "a.svg").read_bytes()).texts
    assert "dropped-gamma: FAIL (dropped-gamma)" in texts
    assert {"left stay", "left move", "right stay", "right move"} <= set(texts)


def test_drawn_evidence_has_error_bars(run: Run, tmp_path: Path) -> None:
    errand = ("verify", "reinforce", "two_state", "--evidence", "sampled", "--tolerance", "0.2", "--quiet")
    assert run(*errand, "--plot", "a.svg").returncode == 0
    assert "estimated expectation ± 1.96 standard errors" in Drawn((tmp_path / "a.svg").read_bytes()).texts
    assert run(*errand[:3], "--plot", "a.svg").returncode == 0
    assert "expectation" in Drawn((tmp_path / "a.svg").read_bytes()).texts


def test_a_model_that_is_too_large_leaves_nothing_to_draw(run: Run, tmp_path: Path) -> None:
    done = run("verify", "reinforce", "frozen_lake", "--evidence", "exact", "--plot", "a.svg")
    assert done.returncode == 3
    assert "nothing could be checked" in Drawn((tmp_path / "a.svg").read_bytes()).texts


def test_gradients_on_standard_input_are_drawn_too(run: Run, tmp_path: Path) -> None:
    mdp, policy = pgcheck.load("bandit")
    lines = run("trajectories", "bandit", "--format", "jsonl").stdout.splitlines()
    printed = io.StringIO()
    for line in lines:
        printed.write("[0, 0, 0, 0]\n" if line else "")
    done = run("verify", "-", "bandit", "--plot", "a.svg", stdin=printed.getvalue())
    assert done.returncode == 1
    drawn = Drawn((tmp_path / "a.svg").read_bytes())
    assert any(text.startswith("-: FAIL") for text in drawn.texts)
    assert len(policy.theta) == len(drawn.groups("ytick"))
    assert mdp.name in " ".join(drawn.texts)
