"""Agents that run in a process of their own: the same runs as in this one, and no harm from what their code does."""

import json
import math
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from multiprocessing.connection import Connection, Pipe
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import pgcheck
from pgcheck import MDP
from pgcheck.errors import EstimatorError, UsageError
from pgcheck.external import contents, wire
from pgcheck.external.agent_process import AgentProcess
from pgcheck.external.agent_source import Beginning
from pgcheck.external.agents import AgentFunction
from pgcheck.external.defined import functions_in
from pgcheck.external.draws.answers import Draw
from pgcheck.external.draws.branches import branches_of
from pgcheck.external.draws.tree import Branch, Count
from pgcheck.external.episodes import decoded
from pgcheck.external.loading import load
from pgcheck.external.loop import Rehearsal
from pgcheck.external.lot import Before, Cut, Lot
from pgcheck.external.opening import agent_source_of, estimator_of, opened, opened_on
from pgcheck.external.subject import Subject, UnsuitableError
from pgcheck.model.linearised import Linearised
from tests.conftest import Run
from tests.external.looping import whole
from tests.external.test_hostile import is_running

NUMBER = 17
ARRAYS = """
import numpy as np
from pgcheck.agents import Agent, agent

@agent
def mine(env):
    theta = np.array([[0.3, -0.2], [-0.5, 0.1], [0.0, 0.0]])

    def update():
        choose = np.random.default_rng(0)
        observation, _ = env.reset()
        gradient, returns, factor, over = np.zeros_like(theta), 0.0, 1.0, False
        while not over:
            probs = np.exp(theta[observation]) / np.exp(theta[observation]).sum()
            action = choose.choice(2, p=probs)
            gradient[observation] -= probs
            gradient[observation, action] += 1
            observation, reward, terminated, truncated, _ = env.step(action)
            returns, factor = returns + factor * reward, factor * env.unwrapped.gamma
            over = terminated or truncated
        {line}
        return returns * gradient
    return Agent(logits=lambda theta, observations: theta[observations], parameters=theta, update=update)
"""


@pytest.fixture
def mdp() -> MDP:
    return pgcheck.load("two_state")[0]


def written(folder: Path, line: str = "pass") -> str:
    """Returns the place of an agent whose update runs a line before it returns its gradient."""
    (folder / "mine.py").write_text(ARRAYS.replace("{line}", line))
    return f"{folder / 'mine.py'}:mine"


def all_runs(spec: str, mdp: MDP, timeout: float = 60.0) -> tuple[Beginning, Lot]:
    with opened(spec, timeout=timeout) as agent:
        assert isinstance(agent, AgentProcess)
        beginning = agent.begin(mdp)
        return beginning, whole(agent, 1000)


@pytest.mark.gymnasium
def test_a_process_shows_what_this_one_shows(tmp_path: Path, mdp: MDP) -> None:
    spec = written(tmp_path)
    beginning, lot = all_runs(spec, mdp)
    here = agent_source_of(load(spec))
    local, every = here.begin(mdp), whole(here, 1000)
    assert lot.runs == every.runs
    assert lot.mass == pytest.approx(1.0)
    policy, other = beginning.subject.policy, local.subject.policy
    for name in ("theta", "all_logits", "logit_derivative"):
        assert np.array_equal(getattr(policy, name), getattr(other, name))
    assert (policy.shapes, policy.single, beginning.rehearsal) == (other.shapes, other.single, local.rehearsal)
    np.testing.assert_allclose(lot.mean, every.mean, atol=1e-15)
    np.testing.assert_allclose(lot.mean, pgcheck.exact_gradient(mdp, policy).gradient, atol=1e-12)


# The line of the update, and what is said.
ENDS = {
    "sys.exit": ("import sys; sys.exit(0)", r"called sys.exit\(0\)"),
    "os._exit": ("import os; os._exit(0)", "ended its process with status 0, before it had answered"),
    "a segmentation fault": ("import ctypes; ctypes.string_at(0)", "killed by SIGSEGV"),
    "memory": ("x = [np.ones(10**7) for _ in range(10**5)]", "ran out of memory"),
    "a hang": ("while True: pass", r"did not end within 3 seconds(.|\n)*mine.py\", line 21, in update"),
    "a sleep": ("import time; time.sleep(1000)", r"did not end within 3 seconds(.|\n)*mine.py\", line 21, in update"),
    "an error": ("raise ValueError('mine')", r"raised ValueError: mine\n.*line 21, in update"),
    "an interrupt": ("raise KeyboardInterrupt", "raised KeyboardInterrupt"),
    "all files closed": ("import os; os.closerange(3, 1000)", "closed the pipe"),
}


@pytest.mark.gymnasium
@pytest.mark.parametrize("name", ENDS)
def test_what_an_agent_does_ends_in_an_error(
    tmp_path: Path, mdp: MDP, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    line, message = ENDS[name]
    monkeypatch.setenv("PGCHECK_ESTIMATOR_MEMORY", str(2**30))
    with pytest.raises(EstimatorError, match=message):
        all_runs(written(tmp_path, line), mdp, timeout=3.0 if "within" in message else 60.0)


@pytest.mark.torch
@pytest.mark.gymnasium
def test_torch_runs_out_of_memory_too(tmp_path: Path, mdp: MDP) -> None:
    with pytest.raises(EstimatorError, match="ran out of memory"):
        all_runs(written(tmp_path, "import torch; torch.zeros(10**13)"), mdp)


@pytest.mark.gymnasium
def test_an_interrupt_ends_the_agent(tmp_path: Path) -> None:
    spec = written(tmp_path, f"import os; open({str(tmp_path / 'pid')!r}, 'w').write(str(os.getpid()))")
    code = f"""
import pgcheck
from pgcheck.external.opening import opened
with opened({spec!r}) as agent:
    agent.begin(pgcheck.load("two_state")[0])
    print("begun", flush=True)
    while True:
        agent.begin(pgcheck.load("two_state")[0])
"""
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        assert parent.stdout.readline() == b"begun\n"
        pid = int((tmp_path / "pid").read_text())
        parent.send_signal(signal.SIGINT)
        assert parent.wait(timeout=60) != 0
    for _ in range(100):
        if not is_running(pid):
            return
        time.sleep(0.1)
    pytest.fail("the agent goes on")


@pytest.mark.gymnasium
def test_a_run_may_hang_long_after_the_first(tmp_path: Path, mdp: MDP) -> None:
    line = "global runs; runs = globals().get('runs', 0) + 1\n        while runs > 20: pass"
    with opened(written(tmp_path, line), timeout=3.0) as agent:
        assert isinstance(agent, AgentProcess)
        agent.begin(mdp)
        with pytest.raises(EstimatorError, match="did not end within 3 seconds"):
            agent.cut(1000)


@pytest.mark.gymnasium
def test_copies_that_an_agent_makes_of_its_process_do_not_answer(tmp_path: Path, mdp: MDP) -> None:
    line = "global forks; forks = globals().get('forks', 0) + 1\n        if forks < 4: import os; os.fork()"
    beginning, lot = all_runs(written(tmp_path, line), mdp)
    np.testing.assert_allclose(lot.mean, pgcheck.exact_gradient(mdp, beginning.subject.policy).gradient, atol=1e-12)


@pytest.mark.torch
@pytest.mark.gymnasium
def test_a_model_for_which_an_agent_is_not_made_is_told_apart(tmp_path: Path) -> None:
    lacking, _ = pgcheck.load("early_exit")
    assert not lacking.available[~lacking.terminal].all()
    (tmp_path / "mine.py").write_text(
        "import torch\nfrom pgcheck.agents import Agent, agent\n@agent\ndef mine(env):\n"
        "    net = torch.nn.Embedding(env.observation_space.n, env.action_space.n)\n"
        "    return Agent(net, net.parameters(), lambda: env.reset())\n"
    )
    with opened(f"{tmp_path / 'mine.py'}:mine") as agent:
        assert isinstance(agent, AgentProcess)
        with pytest.raises(UnsuitableError, match="does not offer it"):
            agent.begin(lacking)


@pytest.mark.gymnasium
def test_prints_of_all_runs_are_counted(tmp_path: Path, mdp: MDP, capsys: pytest.CaptureFixture[str]) -> None:
    all_runs(written(tmp_path, "print('return', returns)"), mdp)
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 11
    assert lines[-1].startswith("... and ")


def test_agents_of_a_file_are_listed_as_they_are_named(tmp_path: Path) -> None:
    (tmp_path / "many.py").write_text(
        "import pgcheck\nfrom pgcheck import agents\nfrom pgcheck.agents import agent\n"
        "@agent\ndef a(env): ...\n@agent(pad=True)\ndef b(env): ...\n@pgcheck.agents.agent\ndef _c(env): ...\n"
        "@agents.agent(pad=True)\ndef d(env, lr=1): ...\ne = agent(a)\nf = agent(pad=True)(a)\n"
        "@other\ndef _hidden(env): ...\ng = other(a)\ndef two(x, y): ...\n"
    )
    assert functions_in(str(tmp_path / "many.py")) == ["a", "b", "_c", "d", "e", "f"]


def test_an_agent_that_no_function_makes_is_refused(tmp_path: Path) -> None:
    (tmp_path / "made.py").write_text(
        "from pgcheck.agents import Agent\nmine = Agent(logits=print, parameters=[1.0], update=print)\n"
    )
    with pytest.raises(EstimatorError, match=r"mine is an Agent; each run needs a new one\n(.|\n)*@pgcheck.agents"):
        load(f"{tmp_path / 'made.py'}:mine")


def test_a_function_of_env_that_fails_is_told_of_the_mark(tmp_path: Path) -> None:
    model = pgcheck.load("two_state")
    (tmp_path / "plain.py").write_text("def mine(env): return env.reset()\ndef other(batch): return batch.reset()\n")
    with (
        pytest.raises(EstimatorError, match="Mark it with @pgcheck"),
        opened_on([f"{tmp_path / 'plain.py'}:mine"], *model),
    ):
        pass
    with pytest.raises(EstimatorError) as error, opened_on([f"{tmp_path / 'plain.py'}:other"], *model):
        pass
    assert "@" not in str(error.value)


def test_other_commands_refuse_agents(tmp_path: Path, run: Run) -> None:
    told = "an agent is checked by `pgcheck verify`; it draws its own episodes"
    with pytest.raises(UsageError, match=told), opened_on([written(tmp_path)], *pgcheck.load("two_state")):
        pass
    for command in (["sample"], ["converge"], ["compare"], ["plan"]):
        done = run(*command, "two_state", "--estimator", written(tmp_path))
        assert (done.returncode, done.stdout) == (2, "")
        assert told in done.stderr
    with pytest.raises(UsageError, match=told):
        estimator_of(AgentFunction(print))  # type: ignore[arg-type]


def beginning_on(mdp: MDP) -> Beginning:
    rng = np.random.default_rng(0)
    policy = Linearised(
        mdp, rng.normal(size=4), {"w": (2, 2)}, rng.normal(size=(3, 2)), rng.normal(size=(3, 2, 4)), single=True
    )
    subject = Subject(policy, ("critic",), rng.normal(size=3), rng.normal(size=(3, 4)), 5)
    return Beginning(subject, Rehearsal(2, 0.5, Count(23.0, 0.5, 16)))


def cut_on(mdp: MDP) -> Cut:
    """One run with one episode of one step, and probability 1/2; and a branch that is left."""
    k = int(np.flatnonzero(mdp.state == np.flatnonzero(mdp.start)[0])[0])
    start = int(mdp.state[k])
    lot = Lot(np.full(4, 0.5), 1, 0.5, 4.0, 0.0, 0.0, 0.25, [0.5], [1, 0, start, 1, k], False)
    told = Draw((0.25, 0.0, 0.75), 2), Draw((0.5, 0.5), 0)
    return Cut(lot, (Branch(told, 2), Branch(told, 1, 1)), Before(True, 2.5, 3, 1e-3))


@pytest.fixture
def ends() -> Iterator[tuple[Connection, Connection]]:
    """The parent's end and the child's end."""
    parent, child = Pipe()
    with parent, child:
        yield parent, child


def test_a_beginning_and_a_lot_arrive_as_they_are(ends: tuple[Connection, Connection], mdp: MDP) -> None:
    sent, cut = beginning_on(mdp), cut_on(mdp)
    wire.send_answer(ends[1], NUMBER, contents.answer_of(sent))
    came = wire.receive_answer(ends[0], NUMBER, contents.beginning_on(mdp))
    assert isinstance(came, Beginning)
    assert (came.rehearsal, came.subject.unused) == (sent.rehearsal, sent.subject.unused)
    assert (came.subject.policy.shapes, came.subject.policy.single) == ({"w": (2, 2)}, True)
    for name in ("theta", "all_logits", "logit_derivative"):
        assert np.array_equal(getattr(came.subject.policy, name), getattr(sent.subject.policy, name))
    for name in ("values", "value_derivative"):
        assert np.array_equal(getattr(came.subject, name), getattr(sent.subject, name))
    wire.send_answer(ends[1], NUMBER, contents.answer_of(cut))
    again = wire.receive_answer(ends[0], NUMBER, contents.cut_on(mdp, 4, 5))
    assert isinstance(again, Cut)
    assert (again.branches, again.before) == (cut.branches, cut.before)
    for lot in (again.lot, Lot.of_arrays(cut.lot.arrays)):
        assert np.array_equal(lot.mean, cut.lot.mean)
        assert {**vars(lot), "mean": 0} == {**vars(cut.lot), "mean": 0}


def test_how_far_runs_are_arrives_too(ends: tuple[Connection, Connection], mdp: MDP) -> None:
    for runs, mass, told in ((3, 0.25, (3, 0.25)), (6, 0.25, None), (3, math.nan, None)):
        wire.send_answer(ends[1], NUMBER, contents.answer_of((runs, mass)))
        if told is None:
            with pytest.raises(wire.MalformedAnswerError):
                wire.receive_answer(ends[0], NUMBER, contents.cut_on(mdp, 4, 5))
        else:
            assert wire.receive_answer(ends[0], NUMBER, contents.cut_on(mdp, 4, 5)) == told


# What the header of a beginning says instead.
NO_BEGINNING = [
    {"shapes": None}, {"shapes": []}, {"shapes": [["w", [2, -2]]]}, {"shapes": [["w", [2, 2.0]]]},
    {"shapes": [["w", [2**60, 2**60]]]}, {"shapes": [["w", [2, 3]]]}, {"shapes": [["w", [4]], ["w", [0]]]},
    {"shapes": [[1, [4]]]}, {"shapes": [["w", [1] * 99]]}, {"steps": -1}, {"steps": "2"}, {"steps": True},
    {"decayed": -0.5}, {"decayed": float("nan")}, {"count": [23.0, 0.5]}, {"count": [0.0, 0.5, 16]},
    {"count": [float("inf"), 0.5, 16]}, {"unused": [1]}, {"unused": "critic"},
]  # fmt: skip
NO_LOT = [
    {"runs": -1}, {"runs": 2}, {"runs": 6}, {"runs": 1.0}, {"runs": None}, {"numbers": 4}, {"numbers": 2**40},
    {"square": -1.0}, {"square": float("nan")}, {"square": 1e-3}, {"not_finite": 0.6}, {"without": -0.1},
    {"without": None}, {"clipped": 0.6}, {"clipped": float("inf")}, {"of_branches": 2**40}, {"of_branches": 19},
    {"before": [True, 2.5, 3]}, {"before": [True, -2.5, 3, 0.0]}, {"before": [True, 2.5, 0.5, 0.0]},
]  # fmt: skip


def tampered(answer: wire.Answer, changes: dict[str, Any]) -> wire.Answer:
    return wire.Answer({**answer.fields, **changes}, answer.arrays)


@pytest.mark.parametrize("changes", NO_BEGINNING, ids=json.dumps)
def test_what_is_no_beginning_is_refused(
    ends: tuple[Connection, Connection], mdp: MDP, changes: dict[str, Any]
) -> None:
    wire.send_answer(ends[1], NUMBER, tampered(contents.answer_of(beginning_on(mdp)), changes))
    with pytest.raises(wire.MalformedAnswerError):
        wire.receive_answer(ends[0], NUMBER, contents.beginning_on(mdp))


@pytest.mark.parametrize("changes", NO_LOT, ids=json.dumps)
def test_what_is_no_lot_is_refused(ends: tuple[Connection, Connection], mdp: MDP, changes: dict[str, Any]) -> None:
    wire.send_answer(ends[1], NUMBER, tampered(contents.answer_of(cut_on(mdp)), changes))
    ends[1].close()  # what waits for more would wait for ever
    with pytest.raises((wire.MalformedAnswerError, EOFError)):
        wire.receive_answer(ends[0], NUMBER, contents.cut_on(mdp, 4, 5))


def test_arrays_that_are_not_finite_are_refused(ends: tuple[Connection, Connection], mdp: MDP) -> None:
    for read, answer, shown in (
        (contents.beginning_on(mdp), contents.answer_of(beginning_on(mdp)), range(5)),
        (contents.cut_on(mdp, 4, 5), contents.answer_of(cut_on(mdp)), range(4)),
    ):
        for k in shown:
            arrays = [array.copy() for array in answer.arrays]
            arrays[k].flat[0] = np.nan
            parent, child = Pipe()
            with parent, child:
                wire.send_answer(child, NUMBER, wire.Answer(answer.fields, arrays))
                with pytest.raises(wire.MalformedAnswerError):
                    wire.receive_answer(parent, NUMBER, read)


def test_more_than_all_runs_are_refused(ends: tuple[Connection, Connection], mdp: MDP) -> None:
    answer = contents.answer_of(cut_on(mdp))
    mean, _, *others = answer.arrays
    wire.send_answer(ends[1], NUMBER, wire.Answer(answer.fields, [mean, np.array([1.01]), *others]))
    with pytest.raises(wire.MalformedAnswerError):
        wire.receive_answer(ends[0], NUMBER, contents.cut_on(mdp, 4, 5))


# What is told of the branches instead: how many draws, how many are fixed, the last answer; and of each draw.
NO_BRANCHES = [
    [1], [1, 1, -1], [1, 1, -1, 0], [1, 1, -1, 0, 2, 0.5], [1, 1, -1, 2, 2, 0.5, 0.5], [1, 1, -1, 0, 2, 0.0, 1.0],
    [1, 2, -1, 0, 2, 0.5, 0.5], [1, 1, 1, 0, 2, 0.5, 0.5], [1, 1, -1, 0.5, 2, 0.5, 0.5], [1, 1, -1, 0, 0],
    [1, 1, -2, 0, 2, 0.5, 0.5], [1, 1, -1, 0, 2, -0.5, 0.5], [2**60, 0, -1], [1, 1, -1, 0, 2**60],
]  # fmt: skip


@pytest.mark.parametrize("numbers", NO_BRANCHES, ids=json.dumps)
def test_what_is_no_branch_is_refused(numbers: list[float]) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - it has no text
        branches_of(numbers)
    assert branches_of([1, 1, -1, 0, 2, 0.5, 0.5, 0, 0, -1]) == (Branch((Draw((0.5, 0.5), 0),), 1), Branch())


def test_unknown_fields_are_passed_over(ends: tuple[Connection, Connection], mdp: MDP) -> None:
    wire.send_answer(ends[1], NUMBER, tampered(contents.answer_of(cut_on(mdp)), {"new": [1]}))
    assert isinstance(wire.receive_answer(ends[0], NUMBER, contents.cut_on(mdp, 4, 5)), Cut)


def test_episodes_are_decoded_as_batches_hold_them(mdp: MDP) -> None:
    start = int(np.flatnonzero(mdp.start)[0])
    first = int(np.flatnonzero((mdp.state == start) & ~mdp.ends)[0])
    second = int(np.flatnonzero(mdp.state == mdp.next_state[first])[0])
    episodes = decoded([2, 0, start, 2, first, second, 1, start, 0, 0, 1, 0, start, 1, first], mdp, 3)
    assert episodes.runs == 3
    assert episodes.run.tolist() == [0, 0, 2]
    assert episodes.environment.tolist() == [0, 1, 0]
    assert episodes.starts.tolist() == [start] * 3
    assert episodes.outcomes.T.tolist() == [[first, second], [mdp.padding] * 2, [first, mdp.padding]]


def test_what_is_no_episode_of_the_model_is_refused(mdp: MDP) -> None:
    start = int(np.flatnonzero(mdp.start)[0])
    other = int(np.flatnonzero(mdp.start == 0)[0])
    first = int(np.flatnonzero(mdp.state == start)[0])
    wrong = int(np.flatnonzero(mdp.state != mdp.next_state[first])[0])
    last = int(np.flatnonzero(mdp.ends)[0])
    for numbers in (
        [], [1], [-1], [1, 0, start, 1], [1, 0, start, -1, 0], [0, 0], [1, -1, start, 0], [1, 0, other, 0],
        [1, 0, -1, 0], [1, 0, mdp.num_states, 0], [1, 0, start, 1, mdp.padding], [1, 0, start, 1, -1],
        [1, 0, start, 2, first, wrong], [1, 0, start, 1, int(np.flatnonzero(mdp.state != start)[0])],
        [1, 0, int(mdp.state[last]), 2, last, last], [1, 0, start, 2**40], [1, 0, start, 99, *[first] * 99],
    ):  # fmt: skip
        with pytest.raises(EstimatorError):
            decoded(numbers, mdp, 1)
