"""`pgcheck verify --config`: a list of checks, one table, one exit status."""

import csv
import io
import json
import shlex
import subprocess
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer.main

from pgcheck.cli.app import app
from pgcheck.cli.verify_config import checks_of
from pgcheck.formats.check_keys import ESTIMATORS, FLAG, KEYS, OF_ALL
from tests.conftest import ROOT, Run, pgcheck_command
from tests.external.test_process import RIGHT

MINE = (
    RIGHT
    + """
import time

def twice(batch):
    return 2 * right(batch)

def broken(batch):
    raise ValueError("mine")

def mean(batch):
    return right(batch).mean(axis=0)

def slow(batch, calls=[]):
    time.sleep(0 if calls else 1)  # the first call alone is slow
    calls.append(batch)
    return right(batch)

def policy(mdp):
    from pgcheck.formats.loading import load_model
    return load_model("two_state").behavior
"""
)

THREE = """\
models = ["bandit"]
[[check]]
estimator = "mine.py:right"
[[check]]
estimator = "mine.py:broken"
[[check]]
estimator = "mine.py:twice"
models = ["bandit", "two_state"]
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "mine.py").write_text(MINE)
    kernel = np.array([np.eye(3)[[1, 2, 1]], [[0.5, 0.25, 0.25], [0, 0, 1], [0.5, 0.5, 0]]])
    np.savez(tmp_path / "m.npz", P=kernel, R=np.array([1.0, 0.0, 2.0]), gamma=0.9)
    (tmp_path / "walk.py").write_text(
        "from tests.formats.explorable import Corridor\ndef walk():\n    return Corridor()\n"
    )
    (tmp_path / "checks.toml").write_text(THREE)
    return tmp_path


def listed(folder: Path, text: str) -> None:
    (folder / "checks.toml").write_text(text)


NPZ = "reinforce m.npz --horizon 2 --start 0 --rewards-on leave"
DRAWN = "two_state --evidence sampled --max-rollouts 4096"

# For each key: what it is added to, as words of the command line; its line; and the words that say the same.
EFFECTS = {
    "models": ("reinforce", 'models = ["bandit"]', "bandit"),
    "tolerance": ("dropped-gamma two_state", "tolerance = 0.5", "--tolerance 0.5"),
    "off-policy": ("reinforce two_state", "off-policy = true", "--off-policy"),
    "same-start": ("reinforce two_state", "same-start = true", "--same-start"),
    "up-to-scale": ("mine.py:twice two_state", "up-to-scale = true", "--up-to-scale"),
    "allow": ("dropped-gamma two_state", 'allow = ["dropped-gamma", "scale"]', "--allow dropped-gamma,scale"),
    "batch-sizes": ("mine.py:mean bandit", "batch-sizes = [4, 1]", "--batch-sizes 1,4"),
    "max-trajectories": (
        "reinforce two_state --evidence exact", "max-trajectories = 2", "--max-trajectories 2"
    ),
    "max-calls": ("mine.py:mean two_state --evidence exact", "max-calls = 9", "--max-calls 9"),
    "evidence": ("reinforce two_state --max-rollouts 4096", 'evidence = "sampled"', "--evidence sampled"),
    "confidence": (f"gae {DRAWN}", "confidence = 0.9", "--confidence 0.9"),
    "max-rollouts": ("reinforce frozen_lake --evidence sampled", "max-rollouts = 4096", "--max-rollouts 4096"),
    "seed": (f"gae {DRAWN}", "seed = 7", "--seed 7"),
    "timeout": ("mine.py:slow bandit", "timeout = 0.05", "--timeout 0.05"),
    "horizon": ("reinforce two_state", "horizon = 2", "--horizon 2"),
    "gamma": ("reinforce two_state", "gamma = 0.5", "--gamma 0.5"),
    "entropy": ("reinforce two_state", "entropy = 0.1", "--entropy 0.1"),
    "kl": ("reinforce token_tree", "kl = 0.3", "--kl 0.3"),
    "policy": ("mine.py:right two_state", 'policy = "mine.py:policy"', "--policy mine.py:policy"),
    "start": (NPZ.replace(" --start 0", ""), 'start = "1"', "--start 1"),
    "axes": (NPZ, 'axes = "sat"', "--axes sat"),
    "rewards-on": (NPZ.replace(" --rewards-on leave", ""), 'rewards-on = "enter"', "--rewards-on enter"),
    "rewards": (NPZ, 'rewards = "cost"', "--rewards cost"),
    "terminal": (NPZ, 'terminal = "done"', "--terminal done"),
    "observe": (NPZ, 'observe = "state"', "--observe state"),
    "explore": ("reinforce walk.py:walk --horizon 3", "explore = true", "--explore"),
    "max-states": ("reinforce walk.py:walk --horizon 3 --explore", "max-states = 2", "--max-states 2"),
}  # fmt: skip


def test_every_option_of_verify_is_a_key_or_of_all_checks() -> None:
    command: Any = typer.main.get_command(app)
    options = {
        max(parameter.opts, key=len).removeprefix("--")
        for parameter in command.commands["verify"].params
        if parameter.param_type_name == "option"
    }
    of_streams, of_one_verdict = {"n", "batches"}, {"plot"}
    assert options - set(OF_ALL) - of_streams - of_one_verdict - {"help"} == set(KEYS) - {"models"}
    assert set(EFFECTS) == set(KEYS)
    assert not set(KEYS) & {*OF_ALL, *ESTIMATORS}


@pytest.mark.parametrize("key", EFFECTS)
def test_a_key_does_what_the_option_does(run: Run, folder: Path, key: str) -> None:
    before, line, more = EFFECTS[key]
    (estimator, *words), lines = before.split(), []
    while words:
        word = words.pop(0)
        name = word.removeprefix("--")
        if not word.startswith("--"):
            lines.append(f'models = "{word}"')
        else:
            lines.append(f"{name} = {'true' if KEYS[name] is FLAG else json.dumps(words.pop(0))}")
    records = []
    for text in (lines, [*lines, line]):
        listed(folder, "\n".join([f'[[check]]\nestimator = "{estimator}"', *text]))
        (record,) = json.loads(run("verify", "--config", "checks.toml", "--format", "json").stdout)["checks"]
        records.append(record)
    alone = run("verify", *before.split(), *more.split(), "--format", "json")
    if alone.stdout:
        expected = json.loads(alone.stdout)
        assert {name: records[1].get(name) for name in expected if name != "schema"} == {
            name: value for name, value in expected.items() if name != "schema"
        }
    else:
        assert records[1]["verdict"] == "error"
        assert f"error: {records[1]['why']}\n" in alone.stderr
    again = run(*shlex.split(records[1]["command"])[1:], "--format", "json")
    assert (again.stdout, again.returncode) == (alone.stdout, alone.returncode)
    told = [{k: v for k, v in record.items() if k != "command"} for record in records]
    assert told[0] != told[1], "the key has no effect"


@pytest.mark.parametrize(
    ("checks", "status", "word"),
    [
        ([("mine.py:right", "pass"), ("reinforce", "pass")], 0, "pass"),
        ([("mine.py:right", "pass"), ("mine.py:twice", "pass"), ("mine.py:broken", "pass")], 1, "fail"),
        ([("mine.py:broken", "pass"), ("mine.py:right", "pass")], 2, "error"),
        ([("mine.py:absent", "pass"), ("mine.py:right", "pass")], 2, "error"),
        ([("mine.py:twice", "fail"), ("mine.py:right", "pass")], 0, "pass"),
        ([("mine.py:right", "fail")], 1, "fail"),
        ([("mine.py:broken", "fail")], 2, "error"),
    ],
)
def test_the_exit_status_is_the_worst(
    run: Run, folder: Path, checks: list[tuple[str, str]], status: int, word: str
) -> None:
    lines = [f'[[check]]\nestimator = "{name}"\nexpect = "{expect}"\n' for name, expect in checks]
    listed(folder, "models = ['bandit']\n" + "".join(lines))
    done = run("verify", "--config", "checks.toml", "--format", "json")
    assert (done.returncode, json.loads(done.stdout)["verdict"]) == (status, word)
    assert json.loads(done.stdout)["schema"] == "pgcheck/1"


@pytest.mark.parametrize(("expect", "status"), [("pass", 3), ("fail", 3)])
def test_what_is_not_known_is_inconclusive(run: Run, folder: Path, expect: str, status: int) -> None:
    listed(folder, f"estimator = 'reinforce'\nmodels = ['frozen_lake']\nevidence = 'exact'\nexpect = '{expect}'\n")
    done = run("verify", "--config", "checks.toml", "--format", "json")
    assert (done.returncode, json.loads(done.stdout)["verdict"]) == (status, "inconclusive")


def test_people_read_a_row_for_each_check(run: Run, folder: Path) -> None:
    done = run("verify", "--config", "checks.toml", "-o", "out.txt")
    assert (done.returncode, done.stdout) == (1, "")
    lines = (folder / "out.txt").read_text().splitlines()
    assert lines[0] == "1 of 3 PASS"
    rows = [line.split() for line in lines if line.startswith(" mine.py:")]
    assert rows[0][:3] == ["mine.py:right", "bandit", "PASS"]
    assert rows[1] == ["mine.py:broken", "bandit", "ERROR"]
    assert rows[2] == ["mine.py:twice", "bandit,", "two_state", "FAIL", "100.00", "%", "bandit", "scale"]
    assert "  mine.py:broken raised ValueError: mine" in lines
    assert lines[-1] == "for the details of one: pgcheck verify mine.py:twice bandit two_state"


def test_models_have_a_column_where_they_differ(run: Run, folder: Path) -> None:
    listed(folder, "models = ['bandit']\n[[check]]\nestimators = ['reinforce', 'reward-to-go']\n")
    table = run("verify", "--config", "checks.toml").stdout
    assert table.startswith("2 of 2 PASS\n")
    assert " models" not in table
    listed(
        folder,
        "[[check]]\nestimator = 'dropped-gamma'\nmodels = 'two_state'\nexpect = 'fail'\n"
        "[[check]]\nestimator = 'gae'\nexpect = 'fail'\n",
    )
    table = run("verify", "--config", "checks.toml").stdout
    assert table.startswith("1 of 2 AS EXPECTED\n")
    assert "FAIL, as expected" in table
    assert "PASS, expected FAIL" in table
    assert "(battery)" in table


def test_json_lines_and_csv_have_a_line_for_each_check(run: Run, folder: Path) -> None:
    whole = json.loads(run("verify", "--config", "checks.toml", "--format", "json").stdout)
    done = run("verify", "--config", "checks.toml", "--format", "jsonl")
    assert done.returncode == 1
    assert [json.loads(line) for line in done.stdout.splitlines()] == whole["checks"]
    rows = list(csv.DictReader(io.StringIO(run("verify", "--config", "checks.toml", "--format", "csv").stdout)))
    assert [(row["estimator"], row["verdict"], row["diagnosis"]) for row in rows] == [
        ("mine.py:right", "pass", ""), ("mine.py:broken", "error", ""), ("mine.py:twice", "fail", "scale"),
    ]  # fmt: skip


def test_a_line_is_written_as_soon_as_its_check_is_done(folder: Path) -> None:
    listed(folder, "models = ['bandit']\n[[check]]\nestimator = 'reinforce'\n[[check]]\nestimator = 'mine.py:slow'\n")
    began = time.monotonic()
    process = subprocess.Popen(
        [*pgcheck_command(), "verify", "--config", "checks.toml", "--format", "jsonl"],
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, cwd=folder,
    )  # fmt: skip
    with process:
        assert process.stdout is not None
        first = json.loads(process.stdout.readline())
        first_after = time.monotonic() - began
        assert process.poll() is None  # the slow one is still under way
        second = json.loads(process.stdout.readline())
    assert (first["estimator"], second["estimator"]) == ("reinforce", "mine.py:slow")
    assert time.monotonic() - began > first_after + 1


@pytest.mark.parametrize("form", ["table", "jsonl"])
def test_two_processes_print_the_same_bytes(run: Run, folder: Path, form: str) -> None:
    words = ["verify", "--config", "checks.toml", "--format", form]
    here, there = run(*words, "--workers", "1"), run(*words, "--workers", "2")
    assert here.returncode == there.returncode == 1
    assert there.stdout == here.stdout != ""


@pytest.mark.parametrize("name", ["checks.toml", "mine.py", "own.py", "walk.py", "bandit.yaml"])
def test_finished_checks_are_kept_until_something_changes(run: Run, folder: Path, name: str) -> None:
    (folder / "own.py").write_text(MINE)
    (folder / "bandit.yaml").write_text((ROOT / "mdps" / "bandit.yaml").read_text())
    listed(
        folder,
        "estimator = 'mine.py:right'\nmodels = ['bandit.yaml', 'walk.py:walk']\npolicy = 'own.py:policy'\n"
        "horizon = 2\nexplore = true\n",
    )
    words = ["verify", "--config", "checks.toml", "--checkpoint", "kept"]
    first = run(*words)
    assert run(*words).stdout == first.stdout != ""
    (folder / name).write_text((folder / name).read_text() + "\n# changed\n")
    changed = run(*words)
    assert (changed.returncode, changed.stdout) == (2, "")
    assert name in changed.stderr


def test_the_project_s_own_table_is_read(run: Run, folder: Path) -> None:
    (folder / "pyproject.toml").write_text("[tool.pgcheck]\nestimators = ['reinforce']\nmodels = ['bandit']\n")
    done = run("verify", "--format", "json")
    assert done.returncode == 0
    assert done.stdout == run("verify", "--config", "pyproject.toml", "--format", "json").stdout
    assert [check["estimator"] for check in json.loads(done.stdout)["checks"]] == ["reinforce"]
    (folder / "pyproject.toml").write_text("[tool.other]\n")
    absent = run("verify")
    assert absent.returncode == 2
    assert absent.stderr == (
        "error: ESTIMATOR is missing; expected pgcheck verify [OPTIONS] ESTIMATOR... [MODEL]... "
        "(see: pgcheck verify --help)\n"
        "  Or list checks in a file: --config checks.toml, or the table [tool.pgcheck] of ./pyproject.toml\n"
    )
    (folder / "pyproject.toml").unlink()
    assert run("verify").stderr == absent.stderr


def test_paths_are_relative_to_the_file(run: Run, folder: Path) -> None:
    (folder / "ci").mkdir()
    (folder / "ci" / "mine.yaml").write_text((ROOT / "mdps" / "bandit.yaml").read_text())
    (folder / "ci" / "own.py").write_text(MINE)
    (folder / "ci" / "checks.toml").write_text(
        "estimator = 'own.py:right'\nmodels = ['mine.yaml']\npolicy = 'absent.py:x'\n"
    )
    (check,) = json.loads(run("verify", "--config", "ci/checks.toml", "--format", "json").stdout)["checks"]
    assert (check["verdict"], check["why"]) == ("error", "ci/absent.py:x: ci/absent.py: no such file")
    (folder / "ci" / "checks.toml").write_text("estimator = 'own.py:right'\nmodels = ['mine.yaml']\n")
    assert run("verify", "--config", "ci/checks.toml").returncode == 0
    assert run("verify", "--config", str(folder / "ci" / "checks.toml")).returncode == 0


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--tolerance", "0.1"], "--tolerance is not for a list of checks; write tolerance = ... in checks.toml: at"),
        (["--off-policy"], "--off-policy is not for a list of checks; write off-policy = ..."),
        (["--allow", "scale"], "--allow is not for a list of checks; write allow = ..."),
        (["--gamma", "1"], "--gamma is not for a list of checks; write gamma = ..."),
        (["--seed", "0"], "--seed is not for a list of checks; write seed = ..."),  # also where it is the usual one
        (["-n", "10"], "--n is not for a list of checks; leave it out"),
        (["reinforce"], "--config checks.toml: it lists the estimators; write 'reinforce' there, or leave"),
        (["-"], "--config checks.toml: it lists the estimators"),
    ],
)  # fmt: skip
def test_what_belongs_in_the_file_is_refused_beside_it(run: Run, folder: Path, words: list[str], says: str) -> None:
    done = run("verify", "--config", "checks.toml", *words)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"error: {says}")


@pytest.mark.parametrize("name", ["absent.toml", ".", ""])
def test_a_file_that_is_not_there_is_refused(run: Run, folder: Path, name: str) -> None:
    done = run("verify", "--config", name)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"{name}: error: ")


def test_faults_of_the_file_are_told_before_anything_runs(run: Run, folder: Path) -> None:
    listed(folder, THREE + "seeed = 1\n")
    done = run("verify", "--config", "checks.toml", "-o", "out.txt")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        "checks.toml:9:1: error: unknown key 'seeed'; did you mean seed?\n    9 | seeed = 1\n      | ^\n"
    )
    assert not (folder / "out.txt").exists()


@pytest.mark.parametrize(
    ("text", "place", "says"),
    [
        ("models = 'm.npz'\nmax-states = 9\n", "2:14", "max-states is how many states explore may find; add"),
        ("models = 'm.npz'\nmax-states = 9\nexplore = false\n", "2:14", "max-states is how many states explore"),
        ("axes = 'sat'\n", "1:8", "axes is about the source of models, but gae has no models"),
        ("explore = true\n", "1:11", "explore is about the source of models"),
    ],
)  # fmt: skip
def test_keys_that_are_at_odds_are_told(run: Run, folder: Path, text: str, place: str, says: str) -> None:
    listed(folder, text + "[[check]]\nestimator = 'gae'\n[[check]]\nestimator = 'gae'\n")
    done = run("verify", "--config", "checks.toml")
    assert done.returncode == 2
    assert done.stderr.startswith(f"checks.toml:{place}: error: {says}")
    assert done.stderr.count("error:") == 1


def test_notes_are_told_once_and_not_when_quiet(run: Run, folder: Path) -> None:
    listed(
        folder,
        "models = 'm.npz'\nhorizon = 2\nstart = '0'\nrewards-on = 'leave'\n"
        "[[check]]\nestimators = ['reinforce', 'reward-to-go']\n",
    )
    done = run("verify", "--config", "checks.toml")
    assert done.returncode == 0
    notes = [line for line in done.stderr.splitlines() if line.startswith("note: ")]
    assert notes
    assert len(notes) == len(set(notes))
    assert run("verify", "--config", "checks.toml", "--quiet").stderr == ""


def test_the_examples_checks_pass(run: Run) -> None:
    done = run("verify", "--config", f"{ROOT}/examples/checks.toml", "--workers", "1")
    assert (done.returncode, done.stderr) == (0, "")
    assert len(checks_of(f"{ROOT}/examples/checks.toml")) >= 4


def test_the_page_s_example_is_real(run: Run, tmp_path: Path) -> None:
    page = (ROOT / "docs" / "reference" / "checks-file.md").read_text()
    (example,) = [block for block in page.split("```toml\n")[1:] if "[[check]]" in block]
    (tmp_path / "checks.toml").write_text(example.partition("```")[0])
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    done = run("verify", "--config", "checks.toml", "--workers", "1")
    assert (done.returncode, done.stderr) == (0, "")
    for key in (*KEYS, *ESTIMATORS, "expect"):
        assert f"`{key}`" in page, key
