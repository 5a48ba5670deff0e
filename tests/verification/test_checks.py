"""A list of checks: what comes of each, wherever it is done."""

import json
import pickle
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import pgcheck
from pgcheck.errors import EstimatorError, UsageError
from pgcheck.external.opening import opened
from pgcheck.formats.overrides import Overrides
from pgcheck.report.checks import check_record, check_text
from pgcheck.verification.checks import Check, Checking, Outcome, Rules, judged, outcome_of, run_checks
from pgcheck.verification.models import problems_of
from pgcheck.verification.verification import Verification
from pgcheck.workers.processes import Processes
from tests.conftest import ROOT
from tests.external.test_process import RIGHT

MINE = (
    RIGHT
    + """
import os, signal, sys

def crashes(batch):
    os.kill(os.getpid(), signal.SIGSEGV)

def exits(batch):
    sys.exit(3)

def prints(batch):
    print("printed by mine")
    return right(batch)
"""
)


def checks_in(folder: Path) -> list[Check]:
    """Checks of every kind: passes, a fail, an allowed deviation, crashes, what is not there, a drawn one."""
    (folder / "mine.py").write_text(MINE)
    mine = f"{folder}/mine.py"
    drawn = Rules(evidence="sampled", max_rollouts=4096, seed=5)
    return [
        Check(f"{mine}:right", ("bandit", "two_state")),
        Check(f"{mine}:crashes", ("bandit",)),
        Check("dropped-gamma", ("two_state",), Rules(allow=("dropped-gamma",))),
        Check("dropped-gamma", ("two_state",)),
        Check(f"{mine}:exits", ("bandit",)),
        Check(f"{mine}:absent", ("bandit",)),
        Check("reinforce", ("absent.yaml",)),
        Check("reinforce", ("two_state",), drawn),
        Check("batch-mean-baseline", ("bandit",)),
    ]


def test_the_texts_are_the_same_in_two_processes(tmp_path: Path) -> None:
    checks = checks_in(tmp_path)
    here = list(run_checks(checks, check_text))
    with Processes(2) as executor:
        there = list(run_checks(checks, check_text, executor=executor))
    assert there == here
    verdicts = [json.loads(text)["verdict"] for text in here]
    assert verdicts == ["pass", "error", "pass", "fail", "error", "error", "error", *verdicts[7:]]
    assert verdicts[7] in ("pass", "inconclusive")


def test_a_result_is_an_array_and_the_same_each_time(tmp_path: Path) -> None:
    task = Checking(tuple(checks_in(tmp_path)[:4]), check_text)
    again = pickle.loads(pickle.dumps(task))
    for part in range(4):
        (text,) = task(part)
        assert (text.dtype, text.ndim) == (np.uint8, 1)
        assert text.tobytes() == again(part)[0].tobytes()
    assert task(0)[0].tobytes() != task(3)[0].tobytes()


def test_an_outcome_is_what_verify_returns() -> None:
    check = Check(
        "dropped-gamma", ("two_state",), Rules(tolerance=0.01), Overrides(horizon=2, gamma=0.5, entropy=None, kl=None)
    )
    verdict = outcome_of(check).verdict
    alone = pgcheck.verify("dropped-gamma", ["two_state"], tolerance=0.01, horizon=2, gamma=0.5)
    assert isinstance(verdict, Verification)
    assert check_text(check, Outcome(verdict)) == check_text(check, Outcome(alone))
    other = outcome_of(replace(check, models=("bandit",))).verdict
    assert isinstance(other, Verification)
    assert check_text(check, Outcome(verdict)) != check_text(check, Outcome(other))


def test_without_models_it_is_the_battery() -> None:
    verdict = outcome_of(Check("reinforce")).verdict
    assert isinstance(verdict, Verification)
    assert set(verdict.checked) == set(pgcheck.verify("reinforce").checked)


def test_notes_on_models_come_with_the_outcome() -> None:
    corridor = f"{ROOT}/examples/models/corridor.py:slippery"
    overrides = Overrides(horizon=None, gamma=0.9, entropy=None, kl=None)
    outcome = outcome_of(Check("reinforce", (corridor,), Rules(evidence="exact"), overrides, {"start": "0"}))
    assert outcome.notes == (f"{corridor}: it has no horizon: inf",)
    assert outcome_of(Check("reinforce", ("bandit",))).notes == ()


@pytest.mark.parametrize(("name", "says"), [("crashes", "killed by SIGSEGV"), ("exits", "called sys.exit(3)")])
def test_an_estimator_that_crashes_is_an_outcome(tmp_path: Path, name: str, says: str) -> None:
    (tmp_path / "mine.py").write_text(MINE)
    error = outcome_of(Check(f"{tmp_path}/mine.py:{name}", ("bandit",))).verdict
    assert isinstance(error, EstimatorError)
    assert says in str(error)


def test_a_bug_is_no_outcome(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("pgcheck.verification.checks.verify", broken)
    with pytest.raises(ZeroDivisionError):
        outcome_of(Check("reinforce", ("bandit",)))


def test_a_policy_is_not_for_agents(tmp_path: Path) -> None:
    (tmp_path / "loop.py").write_text("from pgcheck.agents import agent\n@agent\ndef mine(env):\n    return None\n")
    check = Check(f"{tmp_path}/loop.py:mine", ("bandit",), policy="x.py:y")
    with opened(check.estimator) as function, pytest.raises(UsageError, match="an agent has a policy of its own"):
        judged(function, problems_of(["bandit"]), check)


def test_what_is_shown_can_be_read_back() -> None:
    check = Check("dropped-gamma", ("two_state",), expect="fail", command="pgcheck verify dropped-gamma two_state")
    record = check_record(check_text(check, outcome_of(check)))
    assert (record["verdict"], record["expect"], record["as_expected"]) == ("fail", "fail", True)
    assert record["command"] == check.command
    alone = pgcheck.verify("dropped-gamma", ["two_state"])
    assert record["models"][0]["relative_bias"] == alone.findings[0].relative_bias  # every bit of it
