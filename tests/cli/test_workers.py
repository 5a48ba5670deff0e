"""Who does the work makes no difference to what a command prints: no digit, not one byte."""

import json
import os
import pickle
import signal
import subprocess
import time
from pathlib import Path

import pytest

from pgcheck import PolicyError, load
from pgcheck.policies import torch_policy
from tests.conftest import ROOT, Run, pgcheck_command

ESTIMATOR = f"{ROOT}/examples/reinforce.py:reinforce"
COMMANDS = {
    "exact": ["exact", "frozen_lake", "--horizon", "7"],
    "sample": ["sample", "frozen_lake", "--n", "300,000"],
    "sample-top": ["sample", "frozen_lake", "--n", "300,000", "--top", "3"],
    "sample-gae": ["sample", "frozen_lake", "--n", "300,000", "--estimator", "gae"],
    "sample-mine": ["sample", "two_state", "--n", "200,000", "--estimator", ESTIMATOR],
    "sample-off-policy": ["sample", "two_state", "--n", "200,000", "--estimator", "importance-sampling"],
    "converge": ["converge", "frozen_lake", "--n", "10,1000,200_000", "--replicates", "5"],
    "converge-mine": ["converge", "two_state", "--n", "10,1000", "--replicates", "5", "--estimator", ESTIMATOR],
    "plan": ["plan", "two_state"],
    "compare": ["compare", "two_state", "--n", "200,000"],
    "objective": ["exact", "frozen_lake", "--horizon", "7", "--entropy", "0.1"],
    "verify": ["verify", ESTIMATOR, "two_state", "bandit"],
}


@pytest.mark.parametrize("name", COMMANDS)
def test_the_bits_are_the_same_whoever_does_the_work(name: str, run: Run, tmp_path: Path) -> None:
    words = [*COMMANDS[name], "--format", "json"]
    alone = run(*words, "--workers", "1")
    assert alone.returncode == 0, alone.stderr
    kept = ["--checkpoint", str(tmp_path / "kept")]
    for more in ([], ["--workers", "2"], ["--workers", "3"], ["--workers", "2", *kept], ["--workers", "1", *kept]):
        shared = run(*words, *more)
        assert (shared.returncode, shared.stdout) == (0, alone.stdout), (more, shared.stderr)


NETWORK = """
import torch
from pgcheck.policies import torch_policy
def net(mdp):
    torch.manual_seed(0)
    layers = torch.nn.Linear(mdp.num_states, 4), torch.nn.Tanh(), torch.nn.Linear(4, mdp.num_actions)
    return torch_policy(torch.nn.Sequential(*layers))
"""


@pytest.mark.torch
@pytest.mark.parametrize("estimator", ["reinforce", "gae", ESTIMATOR])
def test_a_network_is_the_same_in_every_process(estimator: str, run: Run, tmp_path: Path) -> None:
    (tmp_path / "net.py").write_text(NETWORK)
    words = ["converge", "two_state", "--n", "10,100", "--replicates", "3", "--estimator", estimator]
    results = [run(*words, "--policy", "net.py:net", "--format", "json", "--workers", count) for count in "12"]
    assert results[0].returncode == 0, results[0].stderr
    assert results[0].stdout == results[1].stdout
    rows = json.loads(results[0].stdout)["rows"]
    assert all(row["cosine"] is not None for row in rows)


@pytest.mark.torch
def test_a_network_without_a_place_is_not_sent() -> None:
    import torch

    mdp, _ = load("two_state")
    policy = torch_policy(torch.nn.Linear(mdp.num_states, mdp.num_actions)).of(mdp)
    with pytest.raises(PolicyError, match="a network cannot be sent to other processes"):
        pickle.dumps(policy)


@pytest.mark.dask
@pytest.mark.parametrize("name", ["exact", "sample", "converge", "plan"])
def test_the_bits_are_the_same_on_a_cluster(name: str, run: Run) -> None:
    words = [*COMMANDS[name], "--format", "json"]
    alone, cluster = run(*words, "--workers", "1"), run(*words, "--scheduler", "local:2")
    assert (cluster.returncode, cluster.stdout) == (0, alone.stdout), cluster.stderr


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["--workers", "0"], "--workers '0': expected 1 to 4,096, or auto"),
        (["--workers", "many"], "--workers 'many': expected a whole number"),
        (["--workers", "2", "--scheduler", "local:2"], "give one of them"),
        (["--checkpoint", "README.md"], "README.md"),
    ],
)
def test_what_is_wrong_with_these_options_is_said(words: list[str], text: str, run: Run, tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("# No checkpoint\n" * 100)
    result = run("exact", "two_state", *words)
    assert result.returncode == 2
    assert text in result.stderr
    assert result.stdout == ""


def test_a_checkpoint_of_something_else_is_refused_with_what_differs(run: Run, tmp_path: Path) -> None:
    kept = ["--checkpoint", str(tmp_path / "kept")]
    assert run("exact", "frozen_lake", "--horizon", "6", *kept).returncode == 0
    before = (tmp_path / "kept").read_bytes()
    for words, what in (
        (["exact", "frozen_lake", "--horizon", "5"], "horizon"), (["exact", "two_state", "--horizon", "6"], "model"),
        (["exact", "frozen_lake", "--horizon", "6", "--gamma", "0.5"], "gamma"),
        (["sample", "frozen_lake"], "command"),
    ):  # fmt: skip
        refused = run(*words, *kept)
        assert refused.returncode == 2
        assert what in refused.stderr
    assert (tmp_path / "kept").read_bytes() == before
    same = run("exact", "frozen_lake", "--horizon", "6", *kept, "--format", "json", "--quiet", "--workers", "2")
    assert same.returncode == 0


def test_an_estimator_whose_source_has_changed_is_something_else(run: Run, tmp_path: Path) -> None:
    mine = tmp_path / "mine.py"
    code = "def mine(batch):\n    return (batch.rewards.sum(1)[:, None, None] * batch.score.sum(1))\n"
    mine.write_text(code)
    words = [
        "sample",
        "two_state",
        "--n",
        "1000",
        "--estimator",
        f"{mine}:mine",
        "--checkpoint",
        str(tmp_path / "kept"),
    ]
    assert run(*words).returncode == 0
    assert run(*words).returncode == 0
    mine.write_text(code.replace("return (", "return (2 * "))
    refused = run(*words)
    assert refused.returncode == 2
    assert "source" in refused.stderr


def test_a_command_that_is_killed_goes_on_where_it_was(run: Run, tmp_path: Path) -> None:
    words = ["exact", "frozen_lake", "--horizon", "8", "--max-trajectories", "1e9", "--format", "json"]
    kept = ["--checkpoint", str(tmp_path / "kept"), "--workers", "2"]
    process = subprocess.Popen(
        [*pgcheck_command(), *words, *kept], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    since = time.monotonic()
    while not (tmp_path / "kept").exists() and time.monotonic() < since + 60:
        time.sleep(0.01)
    time.sleep(0.1)
    process.send_signal(signal.SIGKILL)
    process.wait()
    resumed, whole = run(*words, *kept), run(*words, "--workers", "1")
    assert resumed.returncode == 0, resumed.stderr
    assert resumed.stdout == whole.stdout
    assert json.loads(whole.stdout)["method"] == "enumeration"


def test_a_worker_that_is_killed_makes_no_difference(run: Run) -> None:
    words = ["sample", "frozen_lake", "--n", "2e7", "--format", "json"]
    process = subprocess.Popen([*pgcheck_command(), *words, "--workers", "2"], stdout=subprocess.PIPE, text=True)
    killed: set[int] = set()
    since = time.monotonic()
    while process.poll() is None and not killed and time.monotonic() < since + 60:
        for pid in workers_of(process.pid):
            os.kill(pid, signal.SIGKILL)
            killed.add(pid)
            break
        time.sleep(0.01)
    out, _ = process.communicate()
    assert killed
    assert process.returncode == 0
    assert out == run(*words, "--workers", "1").stdout


def workers_of(parent: int) -> list[int]:
    """The processes that a server of workers has forked: grandchildren of the command."""
    children: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        children.setdefault(int(fields[1]), []).append(int(stat.parent.name))
    return [pid for child in children.get(parent, []) for pid in children.get(child, [])]
