"""The runs of an agent made by several workers: the same record, byte for byte, as by this process alone."""

import json
import os
import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pgcheck.errors import EstimatorError, WorkerError
from pgcheck.external.agent_process import AgentProcess
from pgcheck.external.opening import opened
from pgcheck.report.verification_record import verification_record
from pgcheck.verification import loop_outputs, loop_sampled, sampling, sequential
from pgcheck.verification.verdict import verify
from pgcheck.workers.executor import HERE, Executor
from pgcheck.workers.processes import Processes

pytestmark = pytest.mark.gymnasium

FIRST = 1024  # runs of the first look in these tests

# Two episodes of two_state: 529 runs.
ARRAYS = """
import os
import numpy as np
from pgcheck.agents import Agent, agent

START = np.array([[0.3, -0.2], [-0.5, 0.1], [0.0, 0.0]])

@agent
def mine(env):
    theta = START.copy()
    rng = np.random.default_rng(0)
    gamma = env.unwrapped.gamma

    def episode():
        rows, rewards, over = [], [], False
        observation, _ = env.reset()
        while not over:
            probs = np.exp(theta[observation]) / np.exp(theta[observation]).sum()
            action = int(rng.choice(2, p=probs))
            row = np.zeros_like(theta)
            row[observation] -= probs
            row[observation, action] += 1
            observation, reward, terminated, truncated, _ = env.step(action)
            rows, rewards, over = [*rows, row], [*rewards, float(reward)], terminated or truncated
        return rows, rewards

    def update():
        runs, total = [episode() for _ in range(EPISODES)], np.zeros_like(theta)
        {before}
        for rows, rewards in runs:
            for t, row in enumerate(rows):
                total += row * sum({weight} * r for k, r in enumerate(rewards) if k >= t) / len(runs)
        {after}
        return total
    return Agent(logits=lambda table, observations: table[observations], parameters=theta, update=update)
"""

RIGHT, WRONG = "gamma**k", "gamma**(k - t)"
EVERY = range(23**2, 23**2 + 1)
LENGTHS = "[len(rewards) for _, rewards in runs]"

TORCH = """
import torch
from pgcheck.agents import Agent, agent

@agent(observation="one-hot")
def mine(env):
    torch.manual_seed(0)
    net = torch.nn.Sequential(torch.nn.Linear(3, 16), torch.nn.Tanh(), torch.nn.Linear(16, 2))
    optimizer = torch.optim.SGD(net.parameters(), 0.1)

    def update():
        loss = 0.0
        for _ in range(2):
            observation, _ = env.reset()
            over, score, returns, factor = False, 0.0, 0.0, 1.0
            while not over:
                draw = torch.distributions.Categorical(logits=net(torch.as_tensor(observation)[None]))
                action = draw.sample()
                score = score + draw.log_prob(action).sum()
                observation, reward, terminated, truncated, _ = env.step(action.item())
                returns, over = returns + factor * reward, terminated or truncated
                factor *= FACTOR
            loss = loss - returns * score / 2
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return Agent(logits=net, parameters=net.parameters(), update=update)
"""

SAMPLED = {"evidence": "sampled", "max_rollouts": FIRST}

Case = tuple[str, str, str, int, dict[str, Any], str, tuple[str, ...], range]

# What stands before and after the sum over steps, the weight, the episodes; options; the verdict, its ids, and how
# many runs there are: 23 episodes, or pairs of them, whose order is one of two where it matters.
CASES: dict[str, Case] = {
    "wrong": ("pass", "pass", WRONG, 2, {}, "fail", ("dropped-gamma",), EVERY),
    "few runs": ("pass", "pass", WRONG, 1, {}, "fail", ("dropped-gamma",), range(23, 24)),
    "sampled": ("pass", "pass", f"2 * {RIGHT}", 1, SAMPLED, "fail", ("scale",), range(FIRST, FIRST + 1)),
    "sampled, with noise": (
        "pass", "total = total * (1 + 0.1 * np.random.normal())", RIGHT, 1, SAMPLED, "inconclusive", (),
        range(FIRST, FIRST + 1),
    ),
    "an order that makes no difference": (
        "runs = [runs[k] for k in rng.permutation(len(runs))]", "pass", RIGHT, 2, {}, "pass", (), EVERY,
    ),
    "an order that matters": (
        "runs = [runs[k] for k in rng.permutation(len(runs))][:1]", "pass", RIGHT, 2, {}, "pass", (),
        range(2 * 23**2, 2 * 23**2 + 1),
    ),
    "an order that matters in few runs": (
        "runs = [runs[k] for k in rng.permutation(2)][:1] if all(a[-1][1][1] > 0 for a, _ in runs) else runs",
        "pass", RIGHT, 2, {}, "pass", (), range(23**2 + 1, 23**2 + 100),
    ),
    "no number in few runs": (
        "pass", f"total = total * (np.nan if {LENGTHS} == [3, 3] and runs[1][1][-1] < 1 else 1)", RIGHT, 2, {},
        "fail", ("nan",), EVERY,
    ),
    "more runs than may be": (
        "pass", "pass", RIGHT, 2, {"max_runs": 300, "evidence": "exact"}, "inconclusive", (), range(0),
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def executors() -> Iterator[list[Executor]]:
    with Processes(2) as two, Processes(3) as three:
        yield [HERE, two, three]


@pytest.fixture
def some(request: pytest.FixtureRequest, executors: list[Executor]) -> list[Executor]:
    """This process and two workers; and three, where that is to be seen."""
    return executors if request.node.callspec.id in ("wrong", "sampled") else executors[:2]


@pytest.fixture(autouse=True)
def early_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lets the first look come earlier than it does."""
    for module in (sequential, sampling, loop_sampled):
        monkeypatch.setattr(module, "FIRST_LOOK", FIRST)
    for module in (loop_outputs, loop_sampled):
        monkeypatch.setattr(module, "KEPT", FIRST)
    monkeypatch.setattr(loop_outputs, "BLOCK", FIRST)


def written(folder: Path, before: str = "pass", after: str = "pass", weight: str = RIGHT, episodes: int = 2) -> str:
    code = ARRAYS.replace("{before}", before).replace("{after}", after).replace("{weight}", weight)
    (folder / "mine.py").write_text(code.replace("EPISODES", str(episodes)))
    return f"{folder / 'mine.py'}:mine"


def verified(spec: str, executor: Executor, **options: Any) -> dict[str, Any]:
    """The record of a verdict, after it went through JSON."""
    with opened(spec, timeout=60.0) as agent:
        assert isinstance(agent, AgentProcess)
        verification = verify(agent, ["two_state"], executor=executor, **options)
    return dict(json.loads(json.dumps(verification_record(spec, verification))))


def texts(spec: str, executors: list[Executor], **options: Any) -> list[str]:
    """The record, or the error, of each executor."""
    found = []
    for executor in executors:
        try:
            found.append(json.dumps(verified(spec, executor, **options)))
        except EstimatorError as error:
            found.append(str(error))
    return found


# Which take long.
SLOW = ("an order that makes no difference", "no number in few runs", "sampled, with noise")


@pytest.mark.parametrize("name", [pytest.param(it, marks=[pytest.mark.slow] * (it in SLOW)) for it in CASES])
def test_the_record_is_the_same_whoever_makes_the_runs(name: str, tmp_path: Path, some: list[Executor]) -> None:
    before, after, weight, episodes, options, verdict, ids, runs = CASES[name]
    here, *others = texts(written(tmp_path, before, after, weight, episodes), some, **options)
    assert others == [here] * len(others)
    record = json.loads(here)
    assert (record["verdict"], tuple(it["id"] for it in record["diagnosis"])) == (verdict, ids)
    assert all(it["runs"] in runs for it in record["models"])


def test_an_error_in_one_run_is_the_same(tmp_path: Path, executors: list[Executor]) -> None:
    line = f"if {LENGTHS} == [3, 2]: raise ValueError('rare')"
    here, *others = texts(written(tmp_path, after=line), executors[:2])
    assert "raised ValueError: rare" in here
    assert others == [here]


def test_a_place_is_named_as_it_was_written(
    tmp_path: Path, executors: list[Executor], monkeypatch: pytest.MonkeyPatch
) -> None:
    written(tmp_path, weight=WRONG)
    monkeypatch.chdir(tmp_path)
    here, *others = texts("mine.py:mine", executors[:2])
    assert json.loads(here)["verdict"] == "fail"
    assert others == [here]


def test_an_agent_travels_as_its_place(tmp_path: Path) -> None:
    with opened(written(tmp_path), timeout=30.0) as agent:
        arrived, again = pickle.loads(pickle.dumps(agent)), pickle.loads(pickle.dumps(agent))
        assert isinstance(arrived, AgentProcess)
        assert (arrived.name, arrived.travels, agent.name) == (again.name, True, again.name)
        assert arrived._child is again._child  # one process for all that arrives
        assert arrived._child.timeout == 30.0


# What kills the worker: the parent of the process in which the agent is.
KILLS = "if os.getppid() != {main} and {once}: os.kill(os.getppid(), 9)"


def test_a_worker_that_is_killed_changes_nothing(tmp_path: Path, executors: list[Executor]) -> None:
    flag = tmp_path / "killed"
    line = KILLS.format(
        main=os.getpid(), once=f"not os.path.exists({str(flag)!r}) and not open({str(flag)!r}, 'w').close()"
    )
    here, *others = texts(written(tmp_path, after=line, weight=WRONG), executors[:2])
    assert flag.exists()
    assert json.loads(here)["verdict"] == "fail"
    assert others == [here]


def test_a_part_that_kills_every_worker_is_given_up(tmp_path: Path, executors: list[Executor]) -> None:
    spec = written(tmp_path, after=KILLS.format(main=os.getpid(), once="True"))
    assert verified(spec, HERE)["verdict"] == "pass"
    with pytest.raises(WorkerError, match=r"running .*mine.py:mine on two-state: part \d+ of \d+ was given up"):
        verified(spec, executors[1])


def test_an_agent_that_begins_otherwise_in_another_process_is_refused(
    tmp_path: Path, executors: list[Executor]
) -> None:
    spec = written(tmp_path)
    file = tmp_path / "mine.py"
    file.write_text(file.read_text().replace("START = np.array(", "START = os.getpid() % 97 / 97 + np.array("))
    assert verified(spec, HERE)["verdict"] == "pass"
    with pytest.raises(EstimatorError, match="made other parameters in another process"):
        verified(spec, executors[1])


@pytest.mark.torch
@pytest.mark.parametrize(
    ("factor", "options", "verdict"),
    [
        ("0.9", {}, "pass"),
        pytest.param("1.0", {}, "fail", marks=pytest.mark.slow),
        pytest.param("1.0", SAMPLED, "inconclusive", marks=pytest.mark.slow),
    ],
)
def test_a_loop_in_torch_has_the_same_record(
    tmp_path: Path, executors: list[Executor], factor: str, options: dict[str, Any], verdict: str
) -> None:
    (tmp_path / "mine.py").write_text(TORCH.replace("FACTOR", factor))
    here, *others = texts(f"{tmp_path / 'mine.py'}:mine", executors[:2], **options)
    assert json.loads(here)["verdict"] == verdict
    assert others == [here]
