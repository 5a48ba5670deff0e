"""`cmd:PROGRAM ARGS` on the command line: the examples in other languages, and all commands with estimators."""

import json
import math
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.conftest import ROOT, Run
from tests.external.programs import RIGHT, UNDISCOUNTED, answering

PROGRAMS = ROOT / "examples" / "programs"

# What runs an example, right and without gamma^t, and the program that has to be there.
EXAMPLES = {
    "node": ("node {folder}/reinforce.js", "node {folder}/reinforce.js undiscounted"),
    "cc": ("./reinforce", "./reinforce undiscounted"),
    "mawk": (
        "mawk -W interactive -f {folder}/reinforce.awk",
        "mawk -W interactive -v undiscounted=1 -f {folder}/reinforce.awk",
    ),
    "gawk": ("gawk -f {folder}/reinforce.awk", "gawk -v undiscounted=1 -f {folder}/reinforce.awk"),
}


def example(interpreter: str, folder: Path) -> tuple[str, str]:
    """The example in a language, as an estimator, and its twin without gamma^t."""
    if shutil.which(interpreter) is None:
        pytest.skip(f"needs {interpreter}")
    if interpreter == "cc":
        command = [
            "cc",
            "-O2",
            "-Wall",
            "-Wextra",
            "-Werror",
            "-o",
            str(folder / "reinforce"),
            str(PROGRAMS / "reinforce.c"),
        ]
        subprocess.run(command, check=True)
    right, wrong = (f"cmd:{words.format(folder=PROGRAMS)}" for words in EXAMPLES[interpreter])
    return right, wrong


@pytest.mark.parametrize("interpreter", sorted(EXAMPLES))
def test_the_examples_are_right_and_their_twins_are_named(run: Run, tmp_path: Path, interpreter: str) -> None:
    """On models with terminal states, with states that lack actions, and with rewards from -1,000 to 1,000."""
    right, wrong = example(interpreter, tmp_path)
    models = ["two_state", "early_exit", "river_swim", "--horizon", "4"]
    done = run("verify", right, *models, "--format", "json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert (told["verdict"], len(told["models"])) == ("pass", 3)
    assert max(entry["relative_bias"] for entry in told["models"]) < 1e-12
    done = run("verify", wrong, *models, "--format", "json")
    assert done.returncode == 1, done.stderr
    assert [entry["id"] for entry in json.loads(done.stdout)["diagnosis"]] == ["dropped-gamma"]
    assert run("verify", wrong, *models, "--allow", "dropped-gamma").returncode == 0


def test_a_program_is_an_estimator_of_every_command(run: Run, tmp_path: Path) -> None:
    """What REINFORCE with rewards to go has for numbers, the program has, from the same rollouts."""
    spec = answering(tmp_path, RIGHT)
    for command in (
        ["sample", "--n", "1e4", "--seed", "3"],
        ["converge", "--n", "10,1000"],
        ["plan", "--accuracy", "0.1"],
        ["compare", "--n", "500"],
    ):
        ours, theirs = (
            run(*command, "two_state", "--estimator", name, "--format", "json") for name in (spec, "reward-to-go")
        )
        assert ours.returncode == theirs.returncode == 0, ours.stderr
        assert numbers(json.loads(ours.stdout)) == pytest.approx(numbers(json.loads(theirs.stdout)), rel=1e-9)


def numbers(value: object) -> list[float]:
    """The numbers of a result that an estimator's own figures rest on, in their order."""
    if isinstance(value, dict):
        of_keys = [numbers(item) for key, item in sorted(value.items()) if key in KEYS]
        return [number for part in of_keys for number in part]
    if isinstance(value, list):
        return [number for item in value for number in numbers(item)]
    return [float(value)] if isinstance(value, int | float) and not isinstance(value, bool) else []


KEYS = {
    "estimate", "error", "relative_error", "expected_error", "std_error", "rows", "n", "expected", "estimators",
    "bias", "trace", "variance", "measured",
}  # fmt: skip


def test_a_pass_and_a_fail_read_as_those_of_functions_do(run: Run, tmp_path: Path) -> None:
    right = answering(tmp_path, RIGHT)
    done = run("verify", right, "two_state")
    assert done.returncode == 0
    assert done.stdout.startswith(f"{right}: PASS\nexact over all trajectories of 1 model")
    wrong = answering(tmp_path, UNDISCOUNTED)
    done = run("verify", wrong, "two_state")
    assert done.returncode == 1
    assert done.stdout.startswith(f"{wrong}: FAIL\ndropped-gamma: gamma^t is left out")
    assert "How a unit reward r_k weights step t" in done.stdout


def test_a_program_that_prints_six_digits_is_judged_as_in_single_precision(run: Run, tmp_path: Path) -> None:
    """As C's %g and awk's print do. The bias that this makes is above the tolerance for double precision."""
    for wrong, options, status in ((False, [], 0), (False, ["--tolerance", "1e-6"], 1), (True, [], 1)):
        short = f"rows = [[float('%g' % x) for x in row] for row in answer(header, message, {wrong})]\n    "
        spec = answering(tmp_path, short + "print(json.dumps(rows), flush=True)")
        done = run("verify", spec, "two_state", *options)
        assert done.returncode == status
        assert done.stderr == (
            f"note: {spec} prints numbers of 6 digits: it is judged as in single precision; print 17 digits (%.17g) "
            "for more\n"
        )


def test_a_program_is_judged_on_drawn_episodes(run: Run, tmp_path: Path) -> None:
    options = ["two_state", "--evidence", "sampled", "--max-rollouts", "8192", "--format", "json"]
    done = run("verify", answering(tmp_path, RIGHT), *options)
    assert (done.returncode, json.loads(done.stdout)["evidence"]) == (0, "sampled")
    done = run("verify", answering(tmp_path, UNDISCOUNTED), *options)
    assert done.returncode == 1
    assert [entry["id"] for entry in json.loads(done.stdout)["diagnosis"]] == ["dropped-gamma"]


NETWORK = """
import torch
from pgcheck.policies import torch_policy

def network(mdp):
    torch.manual_seed(0)
    return torch_policy(torch.nn.Linear(mdp.num_states, mdp.num_actions, bias=False, dtype=torch.float64))
"""


@pytest.mark.torch
def test_a_program_answers_for_a_network_in_the_order_of_its_parameters(run: Run, tmp_path: Path) -> None:
    """On states that are one-hot, a linear layer is a table on its side, with a column for a terminal state too."""
    (tmp_path / "net.py").write_text(NETWORK)
    body = """assert len(header["theta"]) == len(header["parameters"]) == header["num_states"] * header["num_actions"]
    rows = [sum(map(list, zip(*table(header, episode))), []) for episode in message["episodes"]]
    print(json.dumps(rows), flush=True)"""
    done = run("verify", answering(tmp_path, body), "two_state", "early_exit", "--policy", "net.py:network")
    assert done.returncode == 0, done.stderr
    done = run("verify", answering(tmp_path, RIGHT), "two_state", "--policy", "net.py:network")
    assert done.returncode == 2
    assert "holds lists of shape 23 x 4" in done.stderr
    assert "expected a list of 23 gradients of 6 numbers, or one gradient" in done.stderr


def test_the_header_says_what_a_batch_has(run: Run, tmp_path: Path) -> None:
    keep = f"open('header.json', 'a').write(json.dumps(header)) if count == 1 else 0\n    {RIGHT}"
    options = ["--entropy", "0.25", "--horizon", "2", "--gamma", "0.5"]
    run("verify", answering(tmp_path, keep), "two_state", "--off-policy", *options)
    header = json.loads((tmp_path / "header.json").read_text())
    assert list(header) == [
        "pgcheck", "model", "num_states", "num_actions", "gamma", "horizon", "entropy", "kl", "theta", "probs",
        "behavior_probs", "reference_probs", "parameters",
    ]  # fmt: skip
    assert (header["pgcheck"], header["model"]) == (1, "two-state")
    assert (header["num_states"], header["num_actions"], header["horizon"]) == (3, 2, 2)
    assert (header["gamma"], header["entropy"], header["kl"]) == (0.5, 0.25, 0.0)
    assert header["theta"] == [[0.3, -0.2], [0.1, 0.0], [0.0, 0.0]]
    preferences = {"probs": (0.5, 0.1), "behavior_probs": (-0.2, -0.1), "reference_probs": (-0.1, -0.4)}
    for name, differences in preferences.items():  # of the first action and the second
        expected = [[1 / (1 + math.exp(-x)), 1 / (1 + math.exp(x))] for x in differences]
        assert header[name] == [*map(pytest.approx, expected), [0, 0]]
    assert header["parameters"] == [["left", "stay"], ["left", "move"], ["right", "stay"], ["right", "move"]]
