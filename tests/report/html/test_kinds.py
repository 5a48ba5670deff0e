"""Whatever the model and the estimators are, there is a page; an error stands in its place, and the rest stands."""

import re
import sys
from pathlib import Path

import pytest

from pgcheck.errors import TooLargeError
from pgcheck.estimators.mistakes.catalogue import explain
from pgcheck.verification import dossier
from tests.conftest import Run
from tests.report.html.pages import Made, page

pytestmark = pytest.mark.html

FLAT = """
name: flat
horizon: 2
gamma: 1
states: [only]
actions: [wait]
start: only
transitions: {only: {wait: only}}
"""


def section(made: Made, name: str) -> str:
    """The text of a section of a page."""
    found = re.search(rf'<section id="{name}".*?\n</section>\n', made.html, re.DOTALL)
    assert found is not None
    return found[0]


def test_a_model_without_a_horizon_is_cut() -> None:
    made = page("two_state", "--horizon", "inf")
    assert made.status == 0
    assert "inf, cut at" in section(made, "summary")


def test_a_gradient_of_zero_and_a_single_state(tmp_path: Path) -> None:
    (tmp_path / "flat.yaml").write_text(FLAT)
    made = page("flat.yaml", "--estimator", "reward-to-go", folder=tmp_path)
    assert made.status == 0
    assert "<dt>‖∇J(θ)‖</dt><dd>0</dd>" in made.html
    assert "PASS" in section(made, "verdicts")


def test_what_is_too_long_is_said_in_its_place(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def too_long(*_: object, **__: object) -> None:
        raise TooLargeError("horizon 50,000,000 with 2 states is too long")

    monkeypatch.setattr(dossier, "assess", too_long)
    monkeypatch.setattr(dossier, "compare", too_long)
    done = run("report", "bandit")
    made = Made(done.stdout, done.returncode, done.stderr)
    assert made.status == 0
    for name in ("trajectories", "estimators"):
        assert '<p class="error">horizon 50,000,000 with 2 states is too long</p>' in section(made, name)
        assert "<svg" not in section(made, name)
    assert "<svg" in section(made, "gradient")


def test_episodes_of_another_policy() -> None:
    wrong, right = "examples/off_policy.py:ratio_of_the_step", "examples/off_policy.py:ratios_up_to_the_reward"
    made = page("two_state", "--off-policy", "--estimator", f"{right},{wrong}")
    assert made.status == 1
    verdicts = section(made, "verdicts")
    assert re.findall("PASS|FAIL", verdicts)[0] == "PASS"
    assert ">ratio: " in verdicts  # explained
    assert "per-decision" in section(made, "estimators")
    assert f"pgcheck verify {wrong} two_state --off-policy" in verdicts


def test_a_linear_policy_has_a_bar_for_each_weight() -> None:
    made = page("short_corridor_linear", "--horizon", "4")
    assert made.status == 0
    assert ">parameter</th>" in section(made, "gradient")


def test_a_program_that_fails_is_no_end_of_the_page() -> None:
    fails = f"cmd:{sys.executable} -c 'raise SystemExit(3)  # a, b'"
    made = page("bandit", "--estimator", "reward-to-go", "--estimator", fails)
    verdicts = section(made, "verdicts")
    assert made.status == 2
    assert "NOT CHECKED" in section(made, "summary")
    assert "PASS" in verdicts
    assert "SystemExit(3)  # a, b" in verdicts
    assert "could not be run: see" in section(made, "error")
    assert "reinforce" in section(made, "estimators")


@pytest.mark.gymnasium
def test_an_agent_has_a_verdict_alone(tmp_path: Path) -> None:
    (tmp_path / "loops.py").write_text(explain("other-gamma").code.right)
    made = page("two_state", "--estimator", "loops.py:gradient", folder=tmp_path)
    assert made.status == 0
    assert "PASS" in section(made, "verdicts")
    assert "draws its own episodes: see" in section(made, "error")
