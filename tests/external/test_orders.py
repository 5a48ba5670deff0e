"""Orders of a buffer, which are enumerated only where they make a difference; imports that draw."""

import functools
import math
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import pgcheck
from pgcheck.arrays import Floats
from pgcheck.external.agent_source import LocalAgent
from pgcheck.external.agents import Agent, AgentFunction
from pgcheck.external.lot import Lot
from tests.external.looping import whole as all_runs

pytestmark = pytest.mark.gymnasium

THETA = np.array([[0.3, -0.2], [0.1, 0.0], [0.0, 0.0]])
STEPS = 3
SHARE = 2 / STEPS  # of the steps that two of them are


def logits(theta: Any, observations: Any) -> Any:
    return observations @ theta


def shuffled(estimate: Callable[[list[Floats], Floats], Floats]) -> AgentFunction:
    """An agent that takes steps from several episodes, and shuffles them."""

    def made(env: Any) -> Agent:
        def update() -> Floats:
            rows, rewards, done = [], [], True
            observation: Any = None
            for _ in range(STEPS):
                observation = env.reset()[0] if done else observation
                weights = np.exp(observation @ THETA)
                probs = weights / weights.sum()
                action = int(np.random.choice(2, p=probs))  # noqa: NPY002 - as users' code does
                rows.append(np.outer(observation, np.eye(2)[action] - probs))
                observation, reward, terminated, truncated, _ = env.step(action)
                rewards.append(reward)
                done = terminated or truncated
            order = np.random.permutation(STEPS)  # noqa: NPY002
            return estimate([rows[k] for k in order], np.array(rewards)[order])

        return Agent(logits=logits, parameters=THETA, update=update)

    return AgentFunction(made, observation="one-hot")


def everything(function: AgentFunction, *, rehearses: bool = True) -> Lot:
    agent = LocalAgent(function)
    agent.begin(pgcheck.load("two_state")[0], rehearses=rehearses)
    total = all_runs(agent, 20_000)
    assert total.mass == pytest.approx(1, abs=1e-12)
    return total


def whole(rows: list[Floats], rewards: Floats) -> Floats:
    return np.asarray(sum(reward * row for row, reward in zip(rows, rewards, strict=True)))


@functools.cache
def of_all_steps() -> Lot:
    return everything(shuffled(whole))


@functools.cache
def of_the_first_two() -> Lot:
    return everything(shuffled(lambda rows, rewards: whole(rows[:2], rewards[:2])))


def test_orders_that_make_no_difference_are_no_runs() -> None:
    mean, half = of_all_steps(), of_the_first_two()
    assert half.runs == math.factorial(STEPS) * mean.runs
    # Each step is one of the first two with probability 2/3.
    np.testing.assert_allclose(half.mean, SHARE * mean.mean, rtol=0, atol=1e-12)


@pytest.mark.parametrize("rehearses", [True, pytest.param(False, marks=pytest.mark.slow)])
def test_orders_that_matter_in_few_runs_are_enumerated_from_the_beginning(rehearses: bool) -> None:
    def rare(rows: list[Floats], rewards: Floats) -> Floats:
        is_rare = (rewards == 2).sum() == STEPS - 1 and (rewards == 0.5).sum() == 1
        return whole(rows[:2], rewards[:2]) if is_rare else SHARE * whole(rows, rewards)

    found = everything(shuffled(rare), rehearses=rehearses)
    half = of_the_first_two()
    assert found.runs == half.runs
    np.testing.assert_allclose(found.mean, half.mean, rtol=0, atol=1e-12)


def test_a_module_that_draws_while_it_is_imported_leaves_no_runs_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "draws_when_imported.py").write_text("import random\nNUMBER = random.randrange(8_000_001)\n")
    monkeypatch.syspath_prepend(tmp_path)

    def imports(rows: list[Floats], rewards: Floats) -> Floats:
        import draws_when_imported  # type: ignore[import-not-found]

        assert 0 <= draws_when_imported.NUMBER <= 8_000_000
        return whole(rows, rewards)

    try:
        assert everything(shuffled(imports)).runs == of_all_steps().runs
    finally:
        sys.modules.pop("draws_when_imported", None)
