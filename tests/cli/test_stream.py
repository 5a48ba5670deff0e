"""`pgcheck trajectories M | ./program | pgcheck verify - M`: pipelines, options, and what is refused."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import pgcheck
from pgcheck.external.header import header_of
from tests.conftest import HANG, TERMINAL_VARIABLES, Run, pgcheck_command
from tests.verification import zoo
from tests.verification.printed import lines, setting

RIGHT, FORGOTTEN = zoo.RIGHT["vectorised"], zoo.WRONG["gamma^t forgotten, vectorised"][0]

# Plain loops, without pgcheck or numpy, as they are written in any language. With an argument, gamma^t is forgotten.
PROGRAM = """
import json, sys
header = json.loads(sys.stdin.readline())
probs, gamma = header["probs"], header["gamma"]
for line in sys.stdin:
    e = json.loads(line)
    g = [[0.0] * len(row) for row in probs]
    to_go = 0.0
    for t in reversed(range(len(e["actions"]))):
        s, a, to_go = e["states"][t], e["actions"][t], e["rewards"][t] + gamma * to_go
        weight = to_go if sys.argv[1:] else gamma**t * to_go
        for b, p in enumerate(probs[s]):
            g[s][b] += weight * ((a == b) - p)
    print(json.dumps(g))
"""


@pytest.fixture
def shell(tmp_path: Path) -> Run:
    """Runs a command line of a shell in which `pgcheck` and `program` are known."""

    def command(text: str) -> "subprocess.CompletedProcess[str]":
        (tmp_path / "program.py").write_text(PROGRAM)
        environment = {name: value for name, value in os.environ.items() if name not in TERMINAL_VARIABLES}
        python = f'"{sys.executable}"'
        functions = f'pgcheck() {{ {python} -m pgcheck "$@"; }}; program() {{ {python} program.py "$@"; }}; '
        return subprocess.run(
            ["sh", "-c", functions + text], capture_output=True, text=True, cwd=tmp_path, env=environment,
            timeout=HANG, check=False,
        )  # fmt: skip

    return command


def test_a_program_in_a_pipeline_and_its_twin_without_gamma(shell: Run) -> None:
    done = shell("pgcheck trajectories --header two_state | program | pgcheck verify - two_state")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("-: PASS\nexact over all trajectories of 1 model")
    done = shell("pgcheck trajectories --header two_state | program wrong | pgcheck verify - two_state")
    assert (done.returncode, done.stderr) == (1, "")
    assert done.stdout.startswith("-: FAIL\ndropped-gamma: gamma^t is left out")
    assert "could not be called again" in done.stdout


def test_drawn_rollouts_in_a_pipeline(shell: Run) -> None:
    options = "--n 10k --seed 3"
    done = shell(
        f"pgcheck trajectories --header two_state {options} | program wrong"
        f" | pgcheck verify - two_state {options} --format json"
    )
    told = json.loads(done.stdout)
    assert (done.returncode, told["verdict"], told["diagnosis"][0]["id"]) == (1, "fail", "dropped-gamma")


def test_json_is_that_of_any_estimator(run: Run, tmp_path: Path) -> None:
    where = setting("two_state")
    (tmp_path / "mine.py").write_text(
        "import numpy as np\ndef forgotten(batch):\n    to_go = np.array(batch.rewards)\n"
        "    for t in range(to_go.shape[1] - 2, -1, -1):\n        to_go[:, t] += batch.gamma * to_go[:, t + 1]\n"
        "    return np.einsum('nt,nt...->n...', to_go * batch.mask, batch.score)\n"
    )
    done = run("verify", "-", "two_state", "--format", "json", stdin=lines(where, FORGOTTEN))
    called = run("verify", "mine.py:forgotten", "two_state", "--format", "json")
    ours, theirs = json.loads(done.stdout), json.loads(called.stdout)
    assert ours.keys() == theirs.keys()
    assert (ours["verdict"], done.returncode) == ("fail", 1)
    (row,), (other,) = ours["models"], theirs["models"]
    assert row["expectation"] == pytest.approx(other["expectation"], abs=1e-12)
    assert row["gradient"] == other["gradient"]
    assert row["bias"] == pytest.approx(other["bias"], abs=1e-12)
    (line,) = run("verify", "-", "two_state", "--format", "jsonl", stdin=lines(where, FORGOTTEN)).stdout.splitlines()
    assert json.loads(line)["diagnosis"] == "dropped-gamma"


@pytest.mark.parametrize(
    ("options", "overrides"),
    [
        ((), {}), (("--horizon", "4"), {"horizon": 4}), (("--gamma", "0.5"), {"gamma": 0.5}),
        (("--batches", "2"), {"size": 2}), (("--batches", "2", "--same-start"), {"size": 2, "same_start": True}),
    ],
)  # fmt: skip
def test_the_same_options_go_to_both(run: Run, options: tuple[str, ...], overrides: dict[str, float]) -> None:
    size = overrides.pop("size", None)
    where = setting("two_state", **overrides)  # type: ignore[arg-type]
    estimate = RIGHT if size is None else zoo.RIGHT["mean of batch"]
    text = lines(where, estimate, None if size is None else int(size))
    assert len(run("trajectories", "two_state", *options).stdout.splitlines()) == len(text.splitlines())
    done = run("verify", "-", "two_state", *options, stdin=text)
    assert (done.returncode, done.stdout[:8]) == (0, "-: PASS\n")


def test_gradients_out_of_step_are_refused(run: Run) -> None:
    text = lines(setting("two_state"), RIGHT)
    done = run("verify", "-", "two_state", "--horizon", "4", stdin=text)
    assert done.returncode == 2
    assert "one for each trajectory of two-state; there were 23: did the program end early?" in done.stderr
    done = run("verify", "-", "two_state", "--horizon", "2", stdin=text)
    assert done.returncode == 2
    assert "expected no more than 11 gradients" in done.stderr
    done = run("verify", "-", "two_state", stdin=text.replace("]]", "]", 1))
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("error: standard input, line 1: ")
    assert run("verify", "-", "two_state", stdin="").returncode == 2


def test_few_digits_are_told(run: Run) -> None:
    where = setting("two_state")
    done = run("verify", "-", "two_state", stdin=lines(where, RIGHT, form="%.6g"))
    assert done.returncode == 0
    assert "No number has more than 6 significant digits, so the tolerance is 0.0001" in done.stdout
    done = run("verify", "-", "two_state", stdin=lines(where, RIGHT, form="%.2f"))
    assert done.returncode == 1
    assert "is the bias a matter of rounding?" in done.stdout


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("-",), "name the model that `trajectories` was given:\n  pgcheck trajectories two_state | ./program"),
        (("-", "two_state", "bandit"), "name one model"),
        (("-", "-"), "standard input holds the gradients, so the model must be a file or a bundled one"),
        (("-", "reinforce", "two_state"), "leave out the other estimators"),
        (("-", "two_state", "--batch-sizes", "2"), "give --batches B, as to `trajectories`"),
        (("-", "two_state", "--max-calls", "9"), "--max-calls is for estimators that can be called"),
        (("reinforce", "two_state", "--n", "5000"), "--n is for gradients on standard input (verify -)"),
        (("reinforce", "two_state", "--batches", "2"), "see --batch-sizes"),
        (("-", "two_state", "--n", "1e12"), "at most 536,870,912"),
        (("-", "no_such_model"), "no_such_model"),
    ],
)
def test_what_is_refused_before_reading(run: Run, words: tuple[str, ...], told: str) -> None:
    done = run("verify", *words, stdin="rubbish\n")
    assert (done.returncode, done.stdout) == (2, "")
    assert told in done.stderr
    assert "rubbish" not in done.stderr


def test_too_few_rollouts_are_inconclusive(run: Run) -> None:
    done = run("verify", "-", "two_state", "--n", "1000", stdin="rubbish\n")
    assert done.returncode == 3
    assert "1,000 rollouts are too few" in done.stdout
    assert "Try --n 4096." in done.stdout


def test_a_terminal_is_not_waited_for(tmp_path: Path) -> None:
    pty = pytest.importorskip("pty")
    mine, theirs = pty.openpty()
    try:
        done = subprocess.run(
            [*pgcheck_command(), "verify", "-", "two_state"], stdin=theirs, capture_output=True, text=True,
            cwd=tmp_path, timeout=HANG, check=False,
        )  # fmt: skip
    finally:
        os.close(mine)
        os.close(theirs)
    assert done.returncode == 2
    assert "gradients are expected on standard input" in done.stderr
    assert "pgcheck trajectories two_state | ./program | pgcheck verify - two_state" in done.stderr


def test_the_header(run: Run) -> None:
    first, second, *_ = run("trajectories", "two_state", "--header").stdout.splitlines()
    header = json.loads(first)
    mdp, policy = pgcheck.load("two_state")
    assert header == header_of(mdp, policy)
    assert (header["pgcheck"], header["model"], header["gamma"], header["horizon"]) == (1, "two-state", 0.9, 3)
    assert (header["num_states"], header["num_actions"], header["entropy"], header["kl"]) == (3, 2, 0, 0)
    assert header["theta"] == [[0.3, -0.2], [0.1, 0.0], [0.0, 0.0]]  # of the file, and nothing for the terminal state
    assert header["probs"] == header["behavior_probs"] == policy.probs().tolist()
    assert header["parameters"] == [["left", "stay"], ["left", "move"], ["right", "stay"], ["right", "move"]]
    assert "probability" in json.loads(second)
    away = json.loads(
        run("trajectories", "two_state", "--header", "--off-policy", "--gamma", "1").stdout.splitlines()[0]
    )
    assert away["behavior_probs"] != away["probs"]
    assert (away["gamma"], len(away["reference_probs"])) == (1, 3)
    flat = json.loads(run("trajectories", "early_exit", "--header", "-n", "5").stdout.splitlines()[0])
    assert len(flat["theta"]) == len(flat["parameters"]) == 6
    for form in ("table", "json", "csv"):
        done = run("trajectories", "two_state", "--header", "--format", form)
        assert (done.returncode, done.stdout) == (2, "")
        assert f"--header is a line of JSON lines, not of {form}; add --format jsonl" in done.stderr
