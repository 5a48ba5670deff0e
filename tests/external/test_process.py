"""Nothing that an estimator does turns into a pass, or into an answer on standard output."""

import json
import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from pgcheck.external.prints import MOST_LINES
from tests.conftest import Run, pgcheck_command

RIGHT = """
import numpy as np
def right(batch):
    discounted = batch.rewards * batch.gamma ** np.arange(batch.rewards.shape[1])
    return np.einsum("n,nt...->n...", discounted.sum(axis=1), batch.score)
"""

# What stands before `return right(batch)`, and what is said of it.
ENDS = {
    "sys.exit(0)": ("import sys; sys.exit(0)", "called sys.exit(0)"),
    "os._exit(0)": ("import os; os._exit(0)", "ended its process with status 0"),
    "exit in a later call": (
        "global calls; calls = globals().get('calls', 0) + 1\n    if calls > 4: import os; os._exit(0)",
        "ended its process with status 0",
    ),
    "abort": ("import os; os.abort()", "killed by SIGABRT"),
    "kill": ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", "killed by SIGKILL; was it out of memory?"),
    "segmentation fault": ("import ctypes; ctypes.string_at(0)", "killed by SIGSEGV"),
    "hang": ("while True: pass", "did not answer within 1 seconds"),
    "sleep": ("import time; time.sleep(1000)", "did not answer within 1 seconds"),
    "memory": ("x = [np.ones(10**7) for _ in range(10**5)]", "ran out of memory"),
    "recursion": ("f = lambda: f()\n    f()", "raised RecursionError"),
    "raise": ("raise ValueError('mine')", "raised ValueError: mine"),
    "interrupt": ("raise KeyboardInterrupt", "raised KeyboardInterrupt"),
    "all files closed": ("import os; os.closerange(3, 1000)", "closed the pipe"),
    "write": ("batch.rewards[:] = 0", "must not be written to"),
    "write to the path": ("batch.outcomes[:] = 0", "must not be written to"),
    "another model": ("object.__setattr__(batch.mdp, 'gamma', 1.0)", "changed batch.mdp"),
    "noise after a while": (
        "global n; n = globals().get('n', 0) + 1\n    if n > 9: return right(batch) + np.random.rand()",
        "returned different values for the same batch",
    ),
    "an error without words": (
        "class E(Exception):\n        def __str__(self): raise SystemExit(0)\n    raise E",
        "raised E: (its message",
    ),
    "colours": ("raise ValueError(chr(27) + '[31m')", "raised ValueError: \\x1b[31m"),
    "masked": ("x = right(batch); return np.ma.masked_where(abs(x) > 0.1, x)", "returned nan"),
    "huge": ("return right(batch) * 1e300", "returned numbers of size"),
}

# What does no harm.
HARMLESS = {
    "print": "print('hello'); import sys; sys.stdout.write('x' * 10000); sys.stdout.flush()",
    "closed stdout": "import sys, os; sys.stdout.close()",
    "another directory": "import os, tempfile; os.chdir(tempfile.gettempdir())",
    "seeds": "import random; random.seed(0); np.random.seed(0)",
    "a thread": "import threading, time; threading.Thread(target=lambda: time.sleep(60), daemon=False).start()",
    "signal handlers": "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)",
    "two processes": "import os; os.fork()",
    "patched pgcheck": "import pgcheck.verification.verdict as v; v.TOLERANCE = 1e9",
}


def written(folder: Path, line: str, after: str = "return right(batch)") -> None:
    (folder / "mine.py").write_text(f"{RIGHT}\ndef estimate(batch):\n    {line}\n    {after}\n")


@pytest.mark.parametrize("name", sorted(ENDS))
def test_what_an_estimator_does_never_passes(run: Run, tmp_path: Path, name: str) -> None:
    line, message = ENDS[name]
    written(tmp_path, line)
    timeout = "1" if name in ("hang", "sleep") else "300"
    done = run(
        "verify", "mine.py:estimate", "two_state", "--timeout", timeout, "--format", "json", "--evidence", "exact",
        env={"PGCHECK_ESTIMATOR_MEMORY": str(2**30)},
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (2, "")
    assert message in done.stderr
    assert "pgcheck/" not in done.stderr  # only the user's own frames


@pytest.mark.parametrize("name", sorted(HARMLESS))
def test_what_does_no_harm(run: Run, tmp_path: Path, name: str) -> None:
    written(tmp_path, HARMLESS[name])
    done = run("verify", "mine.py:estimate", "two_state", "--timeout", "300", "--format", "json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["verdict"] == "pass"


@pytest.mark.parametrize("name", ["patched pgcheck", "print"])
def test_a_wrong_estimator_cannot_talk_its_way_out(run: Run, tmp_path: Path, name: str) -> None:
    written(tmp_path, HARMLESS[name], "return 2 * right(batch)")
    done = run("verify", "mine.py:estimate", "two_state", "--format", "json")
    assert done.returncode == 1
    assert json.loads(done.stdout)["verdict"] == "fail"


# What Python lacks on systems that are not POSIX.
HIDES = """
import os, sys
for name in ("fcntl", "resource", "termios"):
    sys.modules[name] = None
for name in ("killpg", "setsid", "setpgid", "getpgid"):
    delattr(os, name)
"""


@pytest.mark.parametrize(
    ("after", "status", "verdict"), [("return right(batch)", 0, "pass"), ("return 2 * right(batch)", 1, "fail")]
)
def test_no_module_of_posix_alone_is_needed(run: Run, tmp_path: Path, after: str, status: int, verdict: str) -> None:
    (tmp_path / "hidden").mkdir()
    (tmp_path / "hidden" / "sitecustomize.py").write_text(HIDES)
    written(tmp_path, "import sys; assert sys.modules['fcntl'] is sys.modules['resource'] is None", after)
    path = os.pathsep.join([str(tmp_path / "hidden"), *filter(None, [os.environ.get("PYTHONPATH")])])
    done = run("verify", "mine.py:estimate", "two_state", "--format", "json", env={"PYTHONPATH": path})
    assert done.returncode == status, done.stderr
    assert json.loads(done.stdout)["verdict"] == verdict


def test_a_hang_ends_where_there_are_no_process_groups(run: Run, tmp_path: Path) -> None:
    (tmp_path / "hidden").mkdir()
    (tmp_path / "hidden" / "sitecustomize.py").write_text(HIDES)
    written(tmp_path, "while True: pass")
    done = run(
        "verify", "mine.py:estimate", "two_state", "--timeout", "2", env={"PYTHONPATH": str(tmp_path / "hidden")}
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert "did not answer within 2 seconds" in done.stderr


def test_forged_answers_are_not_believed(run: Run, tmp_path: Path) -> None:
    """Whatever is written to the pipe by others than the worker."""
    forged = '{"verdict": "pass"}'
    line = f"""import os
    for fd in range(3, 64):
        try: os.write(fd, b'{forged}\\n')
        except OSError: pass"""
    written(tmp_path, line)
    done = run("verify", "mine.py:estimate", "two_state", "--timeout", "300")
    assert done.returncode == 2
    assert "interfered with the pipe" in done.stderr or "ended its process" in done.stderr


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("import sys; sys.exit(0)", "called sys.exit(0)"),
        ("def estimate(batch:", "raised SyntaxError"),
        ("import nothing_like_it", "raised ModuleNotFoundError: No module named 'nothing_like_it'"),
        (
            "def estimate(batch, more): return 1",
            "estimate(batch, more) needs 2 arguments; expected a function of one",
        ),
        (
            "def estimate(theta, batch): return 1",
            "estimate(theta, batch) looks like a loss: wrap it in pgcheck.adapters",
        ),
        ("def estimate(theta, batch): return 1", "    estimate = torch_loss(estimate)\n"),
        ("class estimate:\n    def of(self, batch): return 1", "estimate is a class: name an instance, or a method"),
        ("async def estimate(batch): return 1", "estimate is a coroutine function (async def): pgcheck calls plain"),
        ("estimate = 3", "not a function of a batch"),
        ("raise RuntimeError('at import')", "raised RuntimeError: at import"),
    ],
)
def test_files_that_cannot_be_used(run: Run, tmp_path: Path, source: str, message: str) -> None:
    (tmp_path / "mine.py").write_text(source + "\n")
    done = run("verify", "mine.py:estimate", "two_state")
    assert (done.returncode, done.stdout) == (2, "")
    assert message in done.stderr
    assert "pgcheck/" not in done.stderr
    assert "never awaited" not in done.stderr


METHODS = """
class Agent:
    def estimate(self, batch):
        return right(batch)

async def later(batch):
    return right(batch)

def forgets_to_await(batch):
    return later(batch)

def loss(theta, batch):
    return 0

agent = Agent()
"""


def test_a_method_of_an_instance_is_an_estimator(run: Run, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(RIGHT + METHODS)
    assert run("verify", "mine.py:agent.estimate", "bandit").returncode == 0
    done = run("verify", "mine.py:Agent.estimate", "bandit")
    assert (done.returncode, done.stdout) == (2, "")
    assert "Agent.estimate(self, batch) is a method of a class: name that of an instance" in done.stderr
    assert "did you mean estimate?" in run("verify", "mine.py:agent.estimat", "bandit").stderr


def test_a_coroutine_is_refused_without_a_warning(run: Run, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(RIGHT + METHODS)
    done = run("verify", "mine.py:forgets_to_await", "bandit")
    assert done.returncode == 2
    assert "the estimator returned a coroutine" in done.stderr
    assert "never awaited" not in done.stderr


def test_a_file_without_a_function_lists_those_that_it_has_and_runs_none(run: Run, tmp_path: Path) -> None:
    wrapped = "from pgcheck.adapters import torch_loss\nestimate = torch_loss(loss)\n"
    (tmp_path / "mine.py").write_text("raise SystemExit(7)\n" + RIGHT + METHODS + wrapped)
    done = run("verify", "mine.py")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.splitlines() == [
        "error: mine.py: which function?",
        *(f"    pgcheck verify mine.py:{name}" for name in ("right", "forgets_to_await", "estimate")),
    ]
    (tmp_path / "none.py").write_text("x = 1\n")
    assert "no function of one argument is defined there" in run("verify", "none.py").stderr
    assert "absent.py: no such file" in run("verify", "absent.py").stderr


def test_the_first_lines_of_what_it_prints_are_shown_and_the_rest_counted(run: Run, tmp_path: Path) -> None:
    line = "global n; n = globals().get('n', 0) + 1; print('call', n, 'x' * 1000)"
    written(tmp_path, line, "import warnings; warnings.warn(f'warned {n}')\n    return right(batch)")
    done = run("verify", "mine.py:estimate", "two_state")
    assert done.returncode == 0
    lines = done.stderr.splitlines()
    assert lines[0].startswith("call 1 xxx")
    assert lines[0].endswith("xxx...")
    assert len(lines[0]) < 510
    assert len(lines) == MOST_LINES + 1
    assert lines[-1].startswith("... and ")
    assert lines[-1].endswith(" more lines from mine.py:estimate")
    # The oracle counts the calls in a file; each prints one line and warns in two.
    written(tmp_path, "open('calls', 'a').write('x'); print('call')")
    done = run("verify", "mine.py:estimate", "two_state")
    calls = len((tmp_path / "calls").read_text())
    assert done.stderr.splitlines() == ["call"] * MOST_LINES + [
        f"... and {calls - MOST_LINES:,} more lines from mine.py:estimate"
    ]


def test_a_few_lines_are_shown_without_a_count(run: Run, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text("import sys; print('loaded'); sys.stderr.write('twice')\n" + RIGHT)
    assert run("verify", "mine.py:right", "bandit").stderr == "loaded\ntwice\n"


def test_prints_beyond_what_a_pipe_holds_do_not_block(run: Run, tmp_path: Path) -> None:
    written(tmp_path, "import os; os.write(1, b'y' * 10**6); os.write(2, b'z\\n' * 10**5)")
    done = run("verify", "mine.py:estimate", "bandit")
    assert done.returncode == 0
    assert len(done.stderr) < 10_000


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interruption_ends_the_estimator_too(tmp_path: Path, number: signal.Signals) -> None:
    written(tmp_path, "import os, time; open('pid', 'w').write(str(os.getpid())); time.sleep(1000)")
    command = [*pgcheck_command(), "verify", "mine.py:estimate", "two_state"]
    parent = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    for _ in range(200):
        if (tmp_path / "pid").exists() and (tmp_path / "pid").read_text():
            break
        time.sleep(0.1)
    parent.send_signal(number)
    out, err = parent.communicate(timeout=20)
    assert (parent.returncode, out) == (130 if number == signal.SIGINT else 143, "")
    assert err.startswith("pgcheck: interrupted")
    child = int((tmp_path / "pid").read_text())
    with pytest.raises(ProcessLookupError):
        os.kill(child, 0)


def test_the_other_commands_are_as_careful(run: Run, tmp_path: Path) -> None:
    written(tmp_path, "import os; os._exit(0)")
    for command in ("sample", "converge", "plan", "compare"):
        done = run(command, "--estimator", "mine.py:estimate")
        assert (done.returncode, done.stdout) == (2, "")
        assert "ended its process with status 0" in done.stderr


def test_sample_and_the_others_take_a_users_estimator(run: Run, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(
        RIGHT + "\ndef centred(batch):\n    r = right(batch)\n    return r.mean(axis=0) * 1.5\n"
    )
    mine = json.loads(run("sample", "--estimator", "mine.py:right", "--format", "json").stdout)
    own = json.loads(run("sample", "--format", "json").stdout)
    assert mine["estimate"] == pytest.approx(own["estimate"], rel=1e-12)
    assert mine["std_error"] == pytest.approx(own["std_error"])
    assert (mine["estimator"], mine["covariance"]) == ("mine.py:right", "enumeration")
    done = run("converge", "--estimator", "mine.py:centred", "--n", "10..1e5")
    assert "error stalls at the bias of mine.py:centred, 2.42e-01 (50.00 % of ||gradient||)" in done.stdout
    rows = json.loads(run("compare", "--estimator", "mine.py:right,reinforce", "--format", "json").stdout)[
        "estimators"
    ]
    assert rows[0]["error"] == pytest.approx(rows[1]["error"], rel=1e-9)
    planned = json.loads(run("plan", "--estimator", "mine.py:right", "--format", "json").stdout)["estimators"]
    assert planned[0]["n"] == 4769


def test_a_whole_batch_estimator_samples_with_all_rollouts_at_once(run: Run, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(
        RIGHT + "\ndef summed(batch):\n    return right(batch).sum(axis=0) / len(batch) + len(batch)\n"
    )
    summed = json.loads(run("sample", "--n", "500", "--estimator", "mine.py:summed", "--format", "json").stdout)
    own = json.loads(run("sample", "--n", "500", "--format", "json").stdout)
    assert summed["estimate"] == pytest.approx([x + 500 for x in own["estimate"]])
    assert summed["expected_error"] is None
    done = run("sample", "--n", "1e6", "--estimator", "mine.py:summed")
    assert done.returncode == 2
    assert "which holds all rollouts: at most 100,000" in done.stderr
