"""The tree in parts: the parts are all of it, and what comes of them does not depend on how many there are."""

import math
from collections.abc import Iterator, Sequence

import numpy as np
import pytest

from pgcheck import load
from pgcheck.estimators.sampled import sample_gradient
from pgcheck.exact import enumeration
from pgcheck.exact.enumeration import enumerate_gradient, number_of_parts
from pgcheck.exact.induction import backward_induction
from pgcheck.trajectories import dealing
from pgcheck.trajectories.counting import count_trajectories
from pgcheck.trajectories.parts import Below, Part
from pgcheck.trajectories.paths import sample_trajectories
from pgcheck.workers.executor import HERE, Arrays, Finished, Task
from pgcheck.workers.processes import Processes

MODELS = ("two_state", "frozen_lake", "cliff_walk", "short_corridor")


class Counting:
    """Does the parts here, and keeps them."""

    def __init__(self) -> None:
        self.parts: list[Part] = []

    def map(self, task: Task, parts: Sequence[Part], finished: Finished | None = None) -> Iterator[Arrays]:
        self.parts += parts
        return HERE.map(task, parts, finished)


@pytest.fixture
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(enumeration, "FEW", 50)
    monkeypatch.setattr(dealing, "FEW", 200)


@pytest.mark.usefixtures("small_parts")
@pytest.mark.parametrize("name", MODELS)
def test_an_enumeration_in_parts_is_the_gradient(name: str) -> None:
    mdp, policy = load(name, horizon=6)
    counting = Counting()
    value, gradient, mass = enumerate_gradient(mdp, policy, executor=counting)
    induction = backward_induction(mdp, policy)  # which knows of no trees
    assert value == pytest.approx(induction.value, rel=1e-12, abs=1e-15)
    np.testing.assert_allclose(gradient, induction.gradient, rtol=1e-11, atol=1e-14)
    assert mass == pytest.approx(1, abs=1e-12)
    if count_trajectories(mdp) > 1000:
        assert len(counting.parts) > 10
        measure = math.fsum(math.fsum(part.measure) for part in counting.parts)
        assert 0 < measure <= 1 + 1e-12


@pytest.mark.usefixtures("small_parts")
def test_parts_are_of_about_equal_size() -> None:
    mdp, policy = load("frozen_lake", horizon=6)
    counting, below = Counting(), Below(mdp)
    enumerate_gradient(mdp, policy, executor=counting)
    sizes = [sum(below(state, part.depth) for state in part.states.tolist()) for part in counting.parts]
    assert len(sizes) >= 60
    assert max(sizes) < 3 * sum(sizes) / len(sizes)
    assert sum(sizes) <= count_trajectories(mdp)


def test_the_numbers_below_are_those_that_are_counted() -> None:
    for name in MODELS:
        mdp, _ = load(name, horizon=7)
        starts = np.flatnonzero(mdp.start).tolist()
        assert sum(Below(mdp)(state, 0) for state in starts) == count_trajectories(mdp)


@pytest.mark.parametrize(
    ("trajectories", "parts"),
    [(1, 1), (7.9e6, 1), (8e6, 2), (1e8, 25), (7.7e8, 64), (1e10, 64), (1e13, 50_000), (1e300, 100_000)],
)
def test_into_how_many_parts_a_tree_is_cut(trajectories: float, parts: int) -> None:
    assert number_of_parts(trajectories) == parts


@pytest.mark.parametrize(("n", "parts"), [(1, 1), (10**5, 1), (10**6, 15), (10**8, 95), (10**15, 4096)])
def test_into_how_many_parts_rollouts_are_cut(n: int, parts: int) -> None:
    assert dealing.number_of_parts(n) == parts


@pytest.mark.usefixtures("small_parts")
@pytest.mark.parametrize("name", MODELS)
def test_rollouts_in_parts_are_as_many_as_were_asked_for_and_each_trajectory_comes_once(name: str) -> None:
    mdp, policy = load(name, horizon=8)
    counts: dict[tuple[int, ...], int] = {}
    for batch, count in sample_trajectories(mdp, policy, 20_000, np.random.default_rng(1)):
        for column, number in zip(np.vstack([batch.starts, batch.outcomes]).T.tolist(), count.tolist(), strict=True):
            key = tuple(step for step in column if step != mdp.padding)
            assert key not in counts
            counts[key] = number
    assert sum(counts.values()) == 20_000


@pytest.mark.usefixtures("small_parts")
@pytest.mark.parametrize("estimator", ["reinforce", "uniform-trajectories"])
def test_estimates_from_rollouts_in_parts_are_those_of_the_listed_trajectories(estimator: str) -> None:
    mdp, policy = load("frozen_lake", horizon=8)
    total, weight = np.zeros(len(policy.theta)), 0.0
    for batch, count in sample_trajectories(mdp, policy, 20_000, np.random.default_rng(2)):
        shares = np.ones(len(batch)) if estimator == "uniform-trajectories" else count
        returns = (batch.rewards * mdp.gamma ** np.arange(batch.rewards.shape[1])).sum(axis=1)
        total += (shares * returns) @ batch.flattened(batch.score.sum(axis=1))
        weight += shares.sum()
    sampled = sample_gradient(mdp, policy, 20_000, np.random.default_rng(2), estimator=estimator)
    np.testing.assert_allclose(sampled.estimate, total / weight, rtol=1e-9, atol=1e-12)


@pytest.mark.usefixtures("small_parts")
def test_rollouts_in_parts_follow_the_law() -> None:
    mdp, policy = load("frozen_lake", horizon=6)
    exact = backward_induction(mdp, policy)
    means = [sample_gradient(mdp, policy, 20_000, np.random.default_rng(seed)).mean_return for seed in range(40)]
    spread = np.std(means, ddof=1) / math.sqrt(len(means))
    assert abs(np.mean(means) - exact.value) < 5 * spread
    # The mean of so many returns scatters as single rollouts do, and no more: parts are independent.
    assert np.std(means, ddof=1) == pytest.approx(math.sqrt(exact.value * (1 - exact.value) / 20_000), rel=0.4)


@pytest.mark.usefixtures("small_parts")
@pytest.mark.parametrize("workers", [2, 3])
def test_processes_find_the_same_bits(workers: int) -> None:
    mdp, policy = load("frozen_lake", horizon=6)
    with Processes(workers) as executor:
        here, there = (enumerate_gradient(mdp, policy, executor=it) for it in (HERE, executor))
        assert (here[0], here[1].tolist(), here[2]) == (there[0], there[1].tolist(), there[2])
        for estimator in ("reinforce", "gae"):
            one, other = (
                sample_gradient(mdp, policy, 10_000, np.random.default_rng(3), estimator=estimator, executor=it)
                for it in (HERE, executor)
            )
            assert one.estimate.tolist() == other.estimate.tolist()
            assert one.mean_return == other.mean_return
