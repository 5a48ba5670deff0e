"""The record of a check has the same bytes, whoever does its parts."""

import json
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import pgcheck
from pgcheck import verify
from pgcheck.errors import EstimatorError
from pgcheck.external import estimator_process
from pgcheck.external.estimator_process import Process
from pgcheck.external.opening import opened
from pgcheck.report.verification_record import verification_record
from pgcheck.trajectories.ranges import Ranges
from pgcheck.verification.setting import Setting
from pgcheck.workers.executor import HERE, Executor
from pgcheck.workers.processes import Processes
from tests.external.programs import RIGHT, UNDISCOUNTED, answering
from tests.problems import random_problem

HORIZON = 11  # of two_state: 6,143 trajectories, in six ranges
RARE = 4_000  # the number of a trajectory in the fourth range

FUNCTIONS = """
import os, signal, time
import numpy as np

def discount(batch):
    return batch.gamma ** np.arange(batch.rewards.shape[1])

def rows(batch):
    return np.einsum("n,nt...->n...", (batch.rewards * discount(batch)).sum(axis=1), batch.score)

def loop(batch):
    result = []
    for states, actions, rewards, length in zip(batch.states, batch.actions, batch.rewards, batch.lengths):
        gradient = np.zeros(batch.theta.shape)
        for t in range(length):
            to_go = sum(batch.gamma**k * rewards[k] for k in range(t, length))
            gradient[states[t]] -= to_go * batch.probs[states[t]]
            gradient[states[t], actions[t]] += to_go
        result.append(gradient)
    return result

def undiscounted(batch):
    to_go = np.cumsum((batch.rewards * discount(batch))[:, ::-1], axis=1)[:, ::-1] / discount(batch)
    return np.einsum("nt,nt...->n...", np.where(batch.mask, to_go, 0.0), batch.score)

def mean(batch):
    return rows(batch).mean(axis=0)

def baseline(batch):
    returned = (batch.rewards * discount(batch)).sum(axis=1)
    return np.einsum("n,nt...->n...", returned - returned.mean(), batch.score).mean(axis=0)

def coupled(batch):
    returned = (batch.rewards * discount(batch)).sum(axis=1)
    return np.einsum("n,nt...->n...", returned - returned.mean(), batch.score)

def leave_one_out(batch):
    returned = (batch.rewards * discount(batch)).sum(axis=1)
    others = (returned.sum() - returned) / max(len(batch) - 1, 1)
    return np.einsum("n,nt...->n...", returned - others, batch.score).mean(axis=0)

def importance(batch):
    ratio = batch.probs[batch.states, batch.actions] / batch.behavior_probs[batch.states, batch.actions]
    return np.prod(np.where(batch.mask, ratio, 1.0), axis=1)[(...,) + (None,) * batch.theta.ndim] * rows(batch)

def has_rare(batch):
    if len(batch.outcomes) < len(PATH):
        return False
    return bool((batch.outcomes[: len(PATH)] == np.array(PATH)[:, None]).all(axis=0).any())

def raises(batch):
    if has_rare(batch):
        raise ValueError("this one")
    return rows(batch)

def dies(batch):
    if has_rare(batch):
        os.kill(os.getpid(), signal.SIGKILL)
    return rows(batch)

def kills_its_worker(batch):
    if has_rare(batch) and not os.path.exists("killed"):
        open("killed", "w").close()
        os.kill(os.getppid(), signal.SIGKILL)
        time.sleep(60)
    return rows(batch)
"""

SAMPLED: dict[str, Any] = {
    "models": ["two_state"], "horizon": 8, "evidence": "sampled", "max_rollouts": 16384, "tolerance": 0.001,
}  # fmt: skip
EXACT: dict[str, Any] = {"models": ["two_state"], "horizon": HORIZON}

# What is checked, and the verdict that is due.
CHECKS: dict[str, tuple[str, dict[str, Any], str]] = {
    "rows": ("rows", EXACT, "pass"),
    "rows that fail": ("undiscounted", EXACT, "fail"),
    "a loop over episodes": ("loop", EXACT, "pass"),
    "a mean, called with one episode": ("mean", EXACT, "pass"),
    "whole batches": ("baseline", {"models": ["two_state"], "horizon": 4, "batch_sizes": [2, 3]}, "fail"),
    "rows of whole batches": ("coupled", {"models": ["two_state"], "horizon": 3, "batch_sizes": [2, 3]}, "fail"),
    "one start": ("leave_one_out", {"models": ["two_state"], "horizon": 4, "same_start": True}, "pass"),
    "drawn rows": ("rows", SAMPLED, "inconclusive"),
    "drawn rows that fail": ("undiscounted", SAMPLED, "fail"),
    "drawn batches": ("leave_one_out", {**SAMPLED, "batch_sizes": [2]}, "inconclusive"),
}


@pytest.fixture(scope="module")
def executors() -> Iterator[dict[str, Executor]]:
    with Processes(1) as one, Processes(2) as two, Processes(3) as three:
        yield {"here": HERE, "one": one, "two": two, "three": three}


@pytest.fixture(autouse=True)
def functions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    mdp, policy = pgcheck.load("two_state", horizon=HORIZON)
    numbered = (batch.outcomes[:, k] for r in range(6) for batch, _ in Ranges(mdp, policy, policy).batches(r)
                for k in range(len(batch)))  # fmt: skip
    rare = next(path for number, path in enumerate(numbered) if number >= RARE and len(path) == HORIZON)
    (tmp_path / "mine.py").write_text(f"{FUNCTIONS}\nPATH = {rare.tolist()}\n")


def record(spec: str, executor: Executor, options: dict[str, Any]) -> str:
    with opened(spec) as estimator:
        rng = np.random.default_rng(5)
        verification = verify(estimator, executor=executor, rng=rng, **options)
    return json.dumps(verification_record(spec, verification))


def records(spec: str, executors: dict[str, Executor], options: dict[str, Any]) -> dict[str, str]:
    return {name: record(spec, executor, options) for name, executor in executors.items()}


@pytest.mark.parametrize("check", CHECKS)
def test_the_bytes_are_the_same(check: str, executors: dict[str, Executor]) -> None:
    name, options, verdict = CHECKS[check]
    of = records(f"mine.py:{name}", executors, options)
    assert json.loads(of["here"])["verdict"] == verdict
    assert set(of.values()) == {of["here"]}


def test_drawn_digits_that_should_differ_do(executors: dict[str, Executor]) -> None:
    here = record("mine.py:rows", HERE, SAMPLED)
    assert here != record("mine.py:rows", executors["two"], {**SAMPLED, "max_rollouts": 8192})


def test_off_policy(executors: dict[str, Executor]) -> None:
    mdp, policy = random_problem(4, horizon=4)
    behavior = type(policy)(policy.theta[::-1].copy(), policy.parameters, policy.index)
    of = records("mine.py:importance", executors, {"models": [(mdp, policy, behavior)], "off_policy": True})
    assert json.loads(of["here"])["verdict"] == "pass"
    assert set(of.values()) == {of["here"]}


@pytest.mark.parametrize(("body", "verdict"), [(RIGHT, "pass"), (UNDISCOUNTED, "fail")], ids=["right", "wrong"])
def test_a_program(body: str, verdict: str, executors: dict[str, Executor], tmp_path: Path) -> None:
    answering(tmp_path, body)
    spec = f"cmd:{shlex.quote(sys.executable)} -ES mine.py"
    of = records(spec, executors, {"models": ["two_state"], "horizon": 9})
    assert json.loads(of["here"])["verdict"] == verdict
    assert set(of.values()) == {of["here"]}


@pytest.mark.parametrize(("name", "text"), [("raises", "raised ValueError: this one"), ("dies", "killed by SIGKILL")])
def test_an_error_at_one_episode_is_the_same(name: str, text: str, executors: dict[str, Executor]) -> None:
    messages = set()
    for executor in executors.values():
        with pytest.raises(EstimatorError) as raised:
            record(f"mine.py:{name}", executor, EXACT)
        messages.add(str(raised.value))
    (message,) = messages
    assert text in message


def test_a_worker_that_is_killed_is_replaced(executors: dict[str, Executor], tmp_path: Path) -> None:
    flag = tmp_path / "killed"
    flag.touch()
    undisturbed = record("mine.py:kills_its_worker", HERE, EXACT)
    for name in ("one", "two"):
        flag.unlink()
        assert record("mine.py:kills_its_worker", executors[name], EXACT) == undisturbed
        assert flag.exists(), "no worker was killed"


def test_a_built_in_estimator(executors: dict[str, Executor]) -> None:
    for name in ("gae", "weighted-importance-sampling", "dropped-gamma"):
        of = {
            verification_record(name, verify(name, ["two_state"], horizon=8, executor=executor)).__repr__()
            for executor in executors.values()
        }
        assert len(of) == 1


def test_gradients_of_small_batches_do_not_depend_on_how_many_are_asked_for_together(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    mdp, policy = pgcheck.load("two_state", horizon=HORIZON)
    batch = Setting(mdp, policy).examples(700)
    index = np.random.default_rng(0).integers(len(batch), size=(900, 3))
    gradients, requests = [], []
    for seconds in (0.0, 1e-3, 10.0):
        monkeypatch.setattr(estimator_process, "LOT_SECONDS", seconds)
        with opened("mine.py:baseline") as estimator:
            assert isinstance(estimator, Process)
            asked, ask = [0], estimator._child.ask

            def counted(*args: Any, asked: list[int] = asked, ask: Any = ask) -> Any:
                asked[0] += 1
                return ask(*args)

            monkeypatch.setattr(estimator._child, "ask", counted)
            gradients.append(estimator.of_batches(batch, index))
            requests += asked
    assert requests[0] > 900 > requests[-1]
    assert all(np.array_equal(gradients[0], other) for other in gradients[1:])
