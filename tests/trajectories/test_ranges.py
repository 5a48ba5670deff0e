"""Trajectories in ranges of their numbers: all of them, each once, whichever range is asked for first."""

import pytest

import pgcheck
from pgcheck.trajectories.batch import Batch
from pgcheck.trajectories.counting import count_trajectories
from pgcheck.trajectories.listing import list_trajectories
from pgcheck.trajectories.ranges import FEWEST, RANGES, Ranges
from tests.problems import random_problem

Found = dict[tuple[tuple[int, ...], ...], float]


def paths(ranges: Ranges, number: int) -> Found:
    found: Found = {}
    for batch, prob in ranges.batches(number):
        for k, probability in enumerate(prob.tolist()):
            path = path_of(batch, k)
            assert path not in found
            found[path] = probability
    return found


def path_of(batch: Batch, k: int) -> tuple[tuple[int, ...], ...]:
    return (int(batch.starts[k]),), tuple(batch.outcomes[: batch.lengths[k], k].tolist())


@pytest.mark.parametrize("order", ["forwards", "backwards"])
def test_each_trajectory_comes_once(order: str) -> None:
    mdp, policy = pgcheck.load("two_state", horizon=12)
    ranges = Ranges(mdp, policy, policy)
    numbers = list(range(len(ranges)))
    assert len(numbers) == -(-12_287 // FEWEST)
    each = {k: paths(ranges, k) for k in (numbers if order == "forwards" else numbers[::-1])}
    assert all(len(each[k]) == FEWEST for k in numbers[:-1])
    assert sum(map(len, each.values())) == count_trajectories(mdp)
    assert sum(sum(found.values()) for found in each.values()) == pytest.approx(1, abs=1e-12)
    fresh = Ranges(mdp, policy, policy)
    assert paths(fresh, 5) == each[5], "a range is another one where those before it were not made"


def test_a_small_model_is_one_range_with_all_that_is_listed() -> None:
    mdp, policy = random_problem(7, horizon=3)
    ranges = Ranges(mdp, policy, policy)
    assert len(ranges) == 1
    listed = sorted(one.measure for one in list_trajectories(mdp, policy).trajectories)
    assert sorted(p for _, prob in ranges.batches(0) for p in prob.tolist()) == pytest.approx(listed, rel=1e-14)


def test_there_are_as_many_ranges_as_workers_need_and_no_more() -> None:
    mdp, policy = pgcheck.load("two_state", horizon=17)
    assert len(Ranges(mdp, policy, policy)) == RANGES
