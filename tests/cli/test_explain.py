"""`pgcheck explain`, and the line after a failure that leads to it."""

import csv
import importlib.util
import io
import json
from pathlib import Path

import pytest

from pgcheck.estimators.mistakes.ids import IDS
from pgcheck.report.spelling import spelled_out
from tests.conftest import ROOT, Run

EXAMPLE = f"{ROOT}/examples/reinforce.py:forgets_the_discount"
RIGHT = f"{ROOT}/examples/reinforce.py:reinforce"
WHY = "Why, and the right lines: pgcheck explain"


def test_without_an_id_all_are_listed(run: Run) -> None:
    listed = json.loads(run("explain", "--format", "json").stdout)["mistakes"]
    assert sorted(it["id"] for it in listed) == list(IDS)
    table = run("explain").stdout
    assert all(f" {name} " in table for name in IDS)
    rows = list(csv.DictReader(io.StringIO(run("explain", "--format", "csv").stdout)))
    assert [row["id"] for row in rows] == [it["id"] for it in listed]


def test_people_see_what_it_is_the_lines_and_how_large_it_is(run: Run) -> None:
    done = run("explain", "dropped-gamma", "two_state")
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert lines[0] == "dropped-gamma: gamma^t is left out"
    assert "-             gradients[i] += to_go * batch.score[i, t]" in lines
    assert "+             gradients[i] += batch.gamma**t * to_go * batch.score[i, t]" in lines
    (row,) = [line.split() for line in lines if line.startswith(" two-state")]
    assert row == ["two-state", "3", "0.9", "1", "9.95", "%", "1.085", "0.9988"]  # as `verify` has it in the README
    assert "    https://github.com/facebookresearch/Pearl/issues/46" in lines
    assert all(len(line) <= 80 for line in lines if "http" not in line)


def test_json_and_csv_hold_all_of_it(run: Run) -> None:
    told = json.loads(run("explain", "scale", "two_state", "--format", "json").stdout)
    assert {"schema", "title", "what", "formula", "why", "wrong", "right", "command", "harmless", "see"} <= set(told)
    assert [(it["batch_size"], round(it["relative_bias"], 9)) for it in told["measured"]] == [
        (2, 0.5),
        (3, 0.333333333),
    ]
    assert all({"title", "place", "url", "said"} == set(thread) for thread in told["threads"])
    rows = list(csv.DictReader(io.StringIO(run("explain", "scale", "two_state", "--format", "csv").stdout)))
    assert [row["batch_size"] for row in rows] == ["2", "3"]
    assert rows[0]["wrong"] == told["wrong"]
    assert "def gradient(batch):" in told["right"]


def test_when_it_does_no_harm_is_said_only_where_such_a_case_is_listed(run: Run) -> None:
    harmless = "When it does no harm:\n"
    assert f"{harmless}  Where the last reward" in run("explain", "last-reward-missing", "two_state").stdout
    assert harmless not in run("explain", "sign", "two_state").stdout
    assert json.loads(run("explain", "sign", "two_state", "--format", "json").stdout)["harmless"] == []


def test_it_is_measured_on_models_and_with_numbers_that_are_given(run: Run) -> None:
    told = json.loads(run("explain", "dropped-gamma", "--gamma", "1", "--format", "json").stdout)
    assert len(told["measured"]) == 6
    assert all(it["gamma"] == 1 and it["relative_bias"] < 1e-9 for it in told["measured"])
    told = json.loads(run("explain", "dropped-gamma", "bandit", "two_state", "--format", "json").stdout)
    assert [it["model"] for it in told["measured"]] == ["bandit", "two-state"]
    assert told["measured"][1]["relative_bias"] > 0.05 > 1e-9 > told["measured"][0]["relative_bias"]


def test_an_unknown_id_is_refused(run: Run) -> None:
    done = run("explain", "dropd-gamma")
    assert (done.returncode, done.stdout) == (2, "")
    assert "did you mean dropped-gamma?" in done.stderr
    assert run("explain", "dropped-gamma", "no_such_model").returncode == 2
    done = run("explain", "dropped-gamma", "--axes", "ast")
    assert (done.returncode, "no MODEL" in done.stderr) == (2, True)


def test_symbols_are_spelled_out_without_unicode(launch: Run) -> None:
    done = launch("explain", "dropped-gamma", "two_state", env={"PYTHONIOENCODING": "ascii"})
    assert "E[g] - grad J = E[sum_t (1 - gamma^t) G_t psi_t]" in done.stdout
    assert "?" not in done.stdout.replace("Gradient? (Nota", "")  # the title of a paper
    assert spelled_out("‖ĝ‖ ≤ c") == "||g|| <= c"


@pytest.mark.parametrize("missing", ["gymnasium", "torch"])
def test_what_cannot_be_measured_says_what_to_install(
    run: Run, monkeypatch: pytest.MonkeyPatch, missing: str
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == missing else object())
    done = run("explain", "clipped-norm")
    assert done.returncode == 0
    install = "'pgcheck[gymnasium]'" if missing == "gymnasium" else "torch"
    assert f"To measure it, install what it needs: pip install {install}\n" in done.stdout
    assert "rel. bias" not in done.stdout
    told = json.loads(run("explain", "clipped-norm", "--format", "json").stdout)
    assert (told["missing"], told["measured"]) == ([missing], [])


@pytest.mark.gymnasium
def test_a_loop_is_measured_where_gymnasium_is_there(run: Run) -> None:
    told = json.loads(run("explain", "window", "two_state", "--format", "json").stdout)
    assert [it["model"] for it in told["measured"]] == ["two-state"]
    assert 0.1 < told["measured"][0]["relative_bias"] < 0.2


def test_a_failure_leads_to_the_explanation(run: Run) -> None:
    assert f"\n  {WHY} dropped-gamma\n" in run("verify", EXAMPLE, "two_state").stdout
    assert "pgcheck explain" not in run("verify", RIGHT, "two_state").stdout
    assert "pgcheck explain" not in run("verify", EXAMPLE, "two_state", "--format", "json").stdout
    allowed = run("verify", EXAMPLE, "two_state", "--allow", "dropped-gamma")
    assert (allowed.returncode, "pgcheck explain" in allowed.stdout) == (0, False)
    several = run("verify", RIGHT, EXAMPLE, "two_state").stdout
    assert several.count(f"\n{WHY} dropped-gamma\n") == 1


def test_the_first_mistake_that_is_not_allowed_is_explained(run: Run, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(
        "import numpy as np\n\n\ndef both(batch):\n"
        "    to_go = np.cumsum(batch.rewards[:, ::-1], axis=1)[:, ::-1]\n"
        "    return np.einsum('nt,nt...->n...', to_go, batch.score)\n"
    )
    assert f"{WHY} undiscounted\n" in run("verify", "mine.py:both", "two_state").stdout
    left = run("verify", "mine.py:both", "two_state", "--allow", "undiscounted").stdout
    assert f"{WHY} dropped-gamma\n" in left


def test_a_failing_list_of_checks_leads_to_the_explanation(run: Run, tmp_path: Path) -> None:
    (tmp_path / "checks.toml").write_text(f"models = ['two_state']\n[[check]]\nestimators = ['{EXAMPLE}']\n")
    assert f"\n{WHY} dropped-gamma\n" in run("verify", "--config", "checks.toml").stdout
