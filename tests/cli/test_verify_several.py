"""`pgcheck verify` with several estimators: a row for each, and the worst exit status."""

import csv
import io
import json
from pathlib import Path

import pytest

from pgcheck.external.opening import leading_estimators
from tests.conftest import Run
from tests.external.test_process import RIGHT

MINE = (
    RIGHT
    + """
def twice(batch):
    return 2 * right(batch)

def broken(batch):
    raise ValueError("mine")
"""
)


@pytest.mark.parametrize(
    ("words", "status"),
    [
        (["mine.py:right", "reinforce", "bandit"], 0),
        (["mine.py:right", "mine.py:twice", "bandit"], 1),
        (["mine.py:twice", "mine.py:broken", "bandit"], 1),
        (["mine.py:broken", "mine.py:right", "bandit"], 2),
        (["mine.py:right", "mine.py:absent", "bandit"], 2),
        (["reinforce", "reward-to-go", "frozen_lake", "--evidence", "exact"], 3),
        (["mine.py:broken", "reinforce", "frozen_lake"], 2),
        (["reinforce", "dropped-gamma", "two_state", "frozen_lake"], 1),
    ],
)
def test_the_exit_status_is_the_worst(run: Run, tmp_path: Path, words: list[str], status: int) -> None:
    (tmp_path / "mine.py").write_text(MINE)
    assert run("verify", *words).returncode == status


def test_each_estimator_is_judged_as_it_is_alone(run: Run, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(MINE)
    names = ["mine.py:right", "mine.py:broken", "dropped-gamma"]
    told = json.loads(run("verify", *names, "bandit", "two_state", "--format", "json").stdout)
    assert list(told) == ["schema", "estimators"]
    right, broken, dropped = told["estimators"]
    for name, entry in (("mine.py:right", right), ("dropped-gamma", dropped)):
        alone = json.loads(run("verify", name, "bandit", "two_state", "--format", "json").stdout)
        assert {"schema": told["schema"], **entry} == alone
    assert (broken["estimator"], broken["verdict"]) == ("mine.py:broken", "error")
    assert "raised ValueError: mine" in broken["why"]


def test_the_lines_name_their_estimator(run: Run, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(MINE)
    words = ["verify", "mine.py:right", "mine.py:broken", "mine.py:twice", "bandit", "two_state"]
    lines = [json.loads(line) for line in run(*words, "--format", "jsonl").stdout.splitlines()]
    assert [(line["estimator"], line["verdict"], line["model"]) for line in lines] == [
        ("mine.py:right", "pass", "bandit"), ("mine.py:right", "pass", "two-state"),
        ("mine.py:broken", "error", None),
        ("mine.py:twice", "fail", "bandit"), ("mine.py:twice", "fail", "two-state"),
    ]  # fmt: skip
    rows = list(csv.DictReader(io.StringIO(run(*words, "--format", "csv").stdout)))
    assert [list(row) for row in rows] == [list(line) for line in lines]


def test_people_read_a_row_for_each_estimator(run: Run, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(MINE)
    done = run("verify", "mine.py:right", "mine.py:broken", "mine.py:twice", "bandit", "-o", "out.txt")
    assert (done.returncode, done.stdout) == (1, "")  # the file is kept although the answer is no
    lines = (tmp_path / "out.txt").read_text().splitlines()
    assert lines[0] == "1 of 3 PASS"
    rows = {line.split()[0]: line.split()[1:] for line in lines[2:] if line.startswith(" mine.py:")}
    assert rows["mine.py:right"][0] == "PASS"
    assert rows["mine.py:twice"] == ["FAIL", "100.00", "%", "bandit", "scale"]
    assert rows["mine.py:broken"] == ["ERROR"]
    assert "  mine.py:broken raised ValueError: mine" in lines
    assert lines[-1] == "for the details of one: pgcheck verify mine.py:twice"


def test_models_begin_with_the_first_word_that_names_no_estimator(tmp_path: Path) -> None:
    assert leading_estimators(["a.py:f", "gae", "two_state", "b.py:g"]) == (
        ["a.py:f", "gae"],
        ["two_state", "b.py:g"],
    )
    assert leading_estimators(["b.py", "m.yaml"]) == (["b.py"], ["m.yaml"])
    assert leading_estimators(["two_state", "gae"]) == ([], ["two_state", "gae"])
    file = tmp_path / "a:b.yaml"
    file.write_text("")
    assert leading_estimators([str(file)]) == ([], [str(file)])
