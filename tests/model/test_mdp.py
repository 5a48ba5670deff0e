from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_array_equal

import pgcheck
from pgcheck import MDP, ModelError, TooLargeError
from tests.problems import random_problem

ARRAYS = ("start", "terminal", "observation", "state", "action", "next_state", "prob", "reward", "done")


@pytest.mark.parametrize("seed", range(30))
def test_the_order_and_splitting_of_outcomes_do_not_matter(seed: int) -> None:
    mdp, _ = random_problem(seed)
    order = np.random.default_rng(seed).permutation(np.repeat(np.arange(len(mdp.prob)), 2))
    columns = {name: getattr(mdp, name)[order] for name in ("state", "action", "next_state", "reward", "done")}
    shuffled = replace(mdp, **columns, prob=mdp.prob[order] / 2)
    for name in ARRAYS:
        np.testing.assert_allclose(getattr(shuffled, name), getattr(mdp, name), rtol=1e-15)


def test_arrays_are_read_only() -> None:
    mdp, policy = pgcheck.load("two_state")
    with pytest.raises(ValueError, match="read-only"):
        mdp.prob[0] = 1
    with pytest.raises(ValueError, match="read-only"):
        policy.theta[0] = 1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"horizon": 0}, "horizon 0"),
        ({"gamma": 1.5}, "gamma 1.5"),
        ({"start": np.array([0.5, 0.4, 0.0])}, "start does not sum to 1"),
        ({"terminal": np.array([True, False, True])}, "a terminal state has outcomes"),
        ({"terminal": np.array([False, False, False])}, "has no action"),
        ({"prob": np.array([0.5, 0.1, 0.8, 1.0, 1.0])}, "do not sum to 1"),
        ({"reward": np.array([np.nan, 0, 0, 0, 0])}, "not finite"),
        ({"next_state": np.array([0, 1, 5, 1, 2])}, "outside"),
        ({"reward": np.zeros(4)}, "differ in length"),
    ],
)
def test_arrays_that_are_no_mdp_are_refused(change: dict[str, object], message: str) -> None:
    mdp, _ = pgcheck.load("two_state")
    with pytest.raises(ModelError, match=message):
        replace(mdp, **change)  # type: ignore[arg-type]


def test_too_many_pairs_are_refused_before_any_table_is_made() -> None:
    mdp, _ = pgcheck.load("two_state")
    with pytest.raises(TooLargeError, match="3 states x 10,000,000 actions"):
        replace(mdp, actions=tuple(map(str, range(10_000_000))))


def test_done_and_terminal_both_end_an_episode() -> None:
    mdp, _ = pgcheck.load("early_exit")
    assert_array_equal(mdp.ends, mdp.done | mdp.terminal[mdp.next_state])
    assert isinstance(mdp, MDP)
