"""Estimators, models and policies that are sent to another process are there what they were here."""

import os
import pickle
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_array_equal

import pgcheck
from pgcheck.errors import EstimatorError, UsageError
from pgcheck.estimators.base import Estimator
from pgcheck.estimators.catalogue import ESTIMATORS, estimator
from pgcheck.exact.gradient import exact_gradient
from pgcheck.external import guard, program, program_sent, travelling
from pgcheck.external.calling import LocalFunction
from pgcheck.external.estimator_process import Process
from pgcheck.external.opening import opened
from pgcheck.external.policies import named_policy
from pgcheck.external.process import Child
from pgcheck.external.program_process import ProgramEndedError, ProgramSilentError
from pgcheck.trajectories.batch import Batch
from pgcheck.verification.setting import Setting
from tests.external.programs import RIGHT, answering
from tests.problems import random_problem

ESTIMATOR = """
import numpy as np
def right(batch):
    discounted = batch.rewards * batch.gamma ** np.arange(batch.rewards.shape[1])
    return np.einsum("n,nt...->n...", discounted.sum(axis=1), batch.score)
def wrong(batch):
    raise ValueError("mine")
"""

POLICY = """
import numpy as np
from pgcheck import Policy
def mine(mdp):
    policy = Policy.softmax(mdp)
    theta = np.linspace(-1.0, 1.0, len(policy.theta))
    return type(policy)(theta, policy.parameters, policy.index)
"""

GONE_SECONDS = 5.0  # within which a process has to be gone; it takes a tenth of a second


def sent(thing: object) -> object:
    return pickle.loads(pickle.dumps(thing))


@pytest.fixture(autouse=True)
def _ended() -> Iterator[None]:
    """Ends what arrived in this process."""
    yield
    for kept in (travelling._KEPT.children, program_sent._ARRIVED):
        for arrived in kept.values():
            arrived.close()
    program_sent._ARRIVED.clear()


@pytest.fixture
def batch() -> Batch:
    mdp, policy = random_problem(3)
    return Setting(mdp, policy).examples(30)


@pytest.mark.parametrize("estimator", [*ESTIMATORS, estimator("gae", 0.3)], ids=lambda it: it.name)
def test_built_in_estimators_are_the_same_after_the_journey(estimator: Estimator, batch: Batch) -> None:
    arrived = sent(estimator)
    assert isinstance(arrived, type(estimator))
    assert (arrived.name, arrived.lam, arrived.aggregation) == (estimator.name, estimator.lam, estimator.aggregation)
    assert_array_equal(arrived(batch), estimator(batch))


def test_a_model_travels_without_what_was_worked_out_from_it() -> None:
    mdp, policy = random_problem(1)
    before = pickle.dumps(mdp)
    gradient = exact_gradient(mdp, policy).gradient
    assert len(mdp.__dict__) > len(sent(mdp).__dict__), "nothing was kept with the model"
    assert len(pickle.dumps(mdp)) == len(before)
    arrived, its_policy = pickle.loads(pickle.dumps((mdp, policy)))
    assert_array_equal(exact_gradient(arrived, its_policy).gradient, gradient)


def test_a_setting_travels_with_policies_that_are_named_by_their_place(tmp_path: Path) -> None:
    mdp, _ = random_problem(2)
    (tmp_path / "own.py").write_text(POLICY)
    policy = named_policy(f"{tmp_path}/own.py:mine", mdp)
    setting = sent(Setting(mdp, policy, policy, same_start=True))
    assert isinstance(setting, Setting)
    assert setting.same_start
    assert setting.behavior is setting.policy
    assert_array_equal(setting.policy.theta, policy.theta)
    (tmp_path / "own.py").write_text(POLICY.replace("1.0", "2.00"))
    sys.modules.pop("own", None)
    with pytest.raises(pgcheck.errors.PolicyError, match="other parameters"):
        sent(Setting(mdp, policy))


def of_module(batch: Batch) -> np.ndarray:
    return np.asarray(batch.score.sum(axis=1))


def test_a_function_travels_by_its_place_and_one_without_is_refused(batch: Batch) -> None:
    arrived = sent(LocalFunction(of_module, "of_module"))
    assert isinstance(arrived, LocalFunction)
    assert arrived.function is of_module
    with pytest.raises(UsageError, match=r"mine cannot be sent to other processes: (.|\n)*top of a module"):
        sent(LocalFunction(lambda batch: of_module(batch), "mine"))


def test_a_relative_place_is_the_same_file_after_the_journey(
    tmp_path: Path, batch: Batch, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "there").mkdir()
    (tmp_path / "mine.py").write_text(ESTIMATOR)
    monkeypatch.chdir(tmp_path)
    with opened("mine.py:right") as here, opened("mine.py:wrong") as wrong:
        assert isinstance(here, Process)
        here.learn(batch.mdp, batch.policy)
        blob, blob_of_wrong, expected = pickle.dumps(here), pickle.dumps(wrong), here(batch)
    monkeypatch.chdir(tmp_path / "there")
    there = pickle.loads(blob)
    assert_array_equal(there(batch), expected)
    assert there.contract == here.contract
    assert pickle.loads(pickle.dumps(there))._child is there._child
    for _ in range(2):
        with pytest.raises(EstimatorError, match=r"^mine.py:wrong raised ValueError: mine"):
            pickle.loads(blob_of_wrong)(batch)
    with pytest.raises(EstimatorError, match=r"^mine.py"), Child("mine.py:right"):
        pass


def test_a_folder_that_is_not_there_is_named(tmp_path: Path, batch: Batch) -> None:
    child = Child("mine.py:right", directory=str(tmp_path / "absent"))
    with pytest.raises(EstimatorError, match=r"mine.py:right: \S+ has no folder .*absent\n.*shared disk"):
        pickle.loads(pickle.dumps(Process(child)))(batch)


def test_what_has_ended_is_started_again_for_the_next_part(tmp_path: Path, batch: Batch) -> None:
    (tmp_path / "mine.py").write_text(
        f"import os\n{ESTIMATOR}\ndef once(batch):\n    if not os.path.exists('{tmp_path}/flag'):\n"
        f"        open('{tmp_path}/flag', 'w').close(); os._exit(3)\n    return right(batch)\n"
    )
    arrived = sent(Process(Child(f"{tmp_path}/mine.py:once")))
    assert isinstance(arrived, Process)
    with pytest.raises(EstimatorError, match="ended its process with status 3") as raised:
        arrived(batch)
    assert raised.value.ended
    assert arrived(batch).shape == (len(batch), *batch.theta.shape)


def test_a_program_travels_as_its_command(tmp_path: Path, batch: Batch, monkeypatch: pytest.MonkeyPatch) -> None:
    answering(tmp_path, RIGHT)
    monkeypatch.chdir(tmp_path)
    with opened(f"cmd:{shlex.quote(sys.executable)} -ES mine.py") as here:
        assert isinstance(here, program.Program)
        here.learn(batch.mdp, batch.policy)
        blob, expected = pickle.dumps(here), here(batch)
    monkeypatch.chdir("/")
    arrived = pickle.loads(blob)
    assert_array_equal(arrived(batch), expected)
    assert_array_equal(arrived.of_batches(batch, np.array([[0], [1]])), expected[:2])


@pytest.mark.parametrize(
    "error",
    [
        EstimatorError("a", not_finite=True), EstimatorError("b", ended=True), ProgramSilentError("c"),
        ProgramEndedError("d", failed=True), ProgramEndedError("e", failed=False),
    ],
    ids=str,
)  # fmt: skip
def test_errors_travel_back(error: EstimatorError) -> None:
    back = sent(error)
    assert type(back) is type(error)
    assert (str(back), vars(back)) == (str(error), vars(error))


HANGS = """
import os, subprocess, sys, time
def hang(batch):
    sleeper = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    open("pids", "w").write(f"{os.getpid()} {sleeper.pid}\\n")
    while True:
        pass
if __name__ == "__main__":
    hang(None)
"""

PARENT = """
import sys
from pgcheck.external.opening import opened
from pgcheck.verification.setting import Setting
from tests.problems import random_problem
with opened(sys.argv[1]) as estimator:
    estimator(Setting(*random_problem(3)).examples(5))
"""


def is_running(pid: int) -> bool:
    """Whether a process goes on; one that has ended and was not waited for does not."""
    state = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False).stdout
    return bool(state.strip()) and not state.startswith("Z")


def left_after_a_kill(folder: Path, spec: str) -> list[int]:
    """Which processes are left some time after the process was killed that had started an estimator that hangs."""
    (folder / "hangs.py").write_text(HANGS)
    root = str(Path(__file__).resolve().parents[2])
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT, spec], cwd=folder, env={**os.environ, "PYTHONPATH": root},
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    pids: list[int] = []
    wait(lambda: (folder / "pids").exists() and (folder / "pids").read_text().endswith("\n"), 60.0)
    pids = [int(word) for word in (folder / "pids").read_text().split()]
    assert all(map(is_running, pids))
    parent.kill()
    parent.wait()
    wait(lambda: not any(map(is_running, pids)), GONE_SECONDS)
    left = [pid for pid in pids if is_running(pid)]
    for pid in left:
        os.kill(pid, signal.SIGKILL)
    return left


def wait(until: Callable[[], bool], seconds: float) -> None:
    end = time.monotonic() + seconds
    while not until() and time.monotonic() < end:
        time.sleep(0.02)


@pytest.mark.skipif(os.name != "posix", reason="needs process groups")
@pytest.mark.parametrize("spec", ["hangs.py:hang", f"cmd:{shlex.quote(sys.executable)} -S hangs.py"])
def test_nothing_outlives_a_process_that_is_killed(tmp_path: Path, spec: str) -> None:
    assert left_after_a_kill(tmp_path, spec) == []


@pytest.mark.skipif(os.name != "posix", reason="needs process groups")
def test_without_the_guard_a_program_would_be_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    unguarded = f"from pgcheck.external import guard\nguard.SCRIPT = 'read -r _'\n{PARENT}"
    monkeypatch.setattr(sys.modules[__name__], "PARENT", unguarded)
    assert left_after_a_kill(tmp_path, f"cmd:{shlex.quote(sys.executable)} -S hangs.py")


@pytest.mark.skipif(os.name != "posix", reason="needs process groups")
def test_a_guard_that_has_let_go_kills_nothing() -> None:
    sleeper = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True)
    watching = guard.Guard(sleeper.pid)
    watching.end()
    time.sleep(0.2)
    assert is_running(sleeper.pid)
    sleeper.kill()
    sleeper.wait()
