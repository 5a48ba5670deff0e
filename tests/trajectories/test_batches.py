"""Batches of episodes, all of them and drawn ones, against plain loops over all trajectories."""

import itertools
import math
from collections import Counter

import numpy as np
import pytest

import pgcheck
from pgcheck import MDP, Policy, TooLargeError, UsageError
from pgcheck.trajectories.batches import ListedBatch, list_batches
from pgcheck.trajectories.listing import actor_of
from tests import oracles
from tests.problems import random_linear, random_problem

Key = tuple[object, ...]


def key_of(batch: ListedBatch) -> Key:
    return tuple(
        (tuple(e.states), tuple(e.actions), tuple(round(r, 9) for r in e.rewards), e.terminated)
        for e in batch.episodes
    )


def plain(mdp: MDP, policy: Policy, size: int, *, same_start: bool) -> Counter[tuple[object, ...]]:
    """The probability of each batch by its states and actions, by loops over all trajectories."""
    every = [
        (prob, states[0], (states, tuple(a for _, a in pairs)))
        for prob, _, pairs, states in oracles.trajectories(mdp, policy)
    ]
    law: Counter[tuple[object, ...]] = Counter()
    for members in itertools.product(every, repeat=size):
        starts = [start for _, start, _ in members]
        prob = math.prod(p for p, _, _ in members)
        if same_start:
            prob = prob / float(mdp.start[starts[0]]) ** (size - 1) if len(set(starts)) == 1 else 0.0
        if prob:
            law[tuple(name for _, _, name in members)] += prob  # type: ignore[assignment]
    return law


@pytest.mark.parametrize("same_start", [False, True])
@pytest.mark.parametrize("seed", range(6))
def test_every_batch_is_listed_with_its_probability(seed: int, same_start: bool) -> None:
    mdp, policy = random_problem(seed, horizon=2)
    if pgcheck.exact_gradient(mdp, policy).trajectories > 120:  # type: ignore[operator]
        mdp, policy = random_problem(seed, horizon=1)
    law: Counter[tuple[object, ...]] = Counter()
    keys = []
    for batch in list_batches(mdp, policy, 2, same_start=same_start).batches:
        keys.append(key_of(batch))
        law[tuple((tuple(e.states), tuple(e.actions)) for e in batch.episodes)] += batch.measure  # type: ignore[assignment]
    assert len(set(keys)) == len(keys)
    expected = plain(mdp, policy, 2, same_start=same_start)
    assert set(law) == set(expected)
    for name, prob in expected.items():
        assert law[name] == pytest.approx(prob, rel=1e-12)
    assert sum(law.values()) == pytest.approx(1)


def test_batches_of_one_start_have_another_law() -> None:
    mdp, policy = pgcheck.load("two_state", horizon=1)
    together = list(list_batches(mdp, policy, 3, same_start=True).batches)
    alone = list(list_batches(mdp, policy, 3).batches)
    assert all(len({episode.states[0] for episode in batch.episodes}) == 1 for batch in together)
    assert len(together) < len(alone)
    assert {len({episode.states[0] for episode in batch.episodes}) for batch in alone} == {1, 2}


@pytest.mark.parametrize("same_start", [False, True])
def test_drawn_batches_follow_the_law(same_start: bool) -> None:
    mdp, policy = random_linear(4, horizon=1)
    n = 200_000
    law = {key_of(batch): batch.measure for batch in list_batches(mdp, policy, 2, same_start=same_start).batches}
    rng = np.random.default_rng(0)
    drawn = {key_of(b): b.measure for b in list_batches(mdp, policy, 2, n, rng, same_start=same_start).batches}
    assert sum(drawn.values()) == n
    assert set(drawn) <= set(law)
    chi2 = sum((drawn.get(name, 0) - n * p) ** 2 / (n * p) for name, p in law.items())
    assert abs(chi2 - (len(law) - 1)) < 5 * math.sqrt(2 * len(law))


def test_the_behavior_draws_off_policy() -> None:
    model = pgcheck.load_model("two_state")
    assert model.behavior is not None
    assert actor_of(model.mdp, model.policy, model.behavior, off_policy=True) is model.behavior
    assert actor_of(model.mdp, model.policy, None, off_policy=False) is model.policy
    with pytest.raises(UsageError, match="has no behavior"):
        actor_of(model.mdp, model.policy, None, off_policy=True)


def test_too_many_batches_are_refused_with_their_number() -> None:
    mdp, policy = pgcheck.load("two_state")
    with pytest.raises(TooLargeError, match="6,436,343 batches of 5 among 23 trajectories; the limit is 2,000,000"):
        list_batches(mdp, policy, 5)
    with pytest.raises(TooLargeError, match="too many batches of 2"):
        list_batches(*pgcheck.load("frozen_lake"), 2)
    with pytest.raises(TooLargeError, match="Draw at most 666,666 batches"):
        list_batches(mdp, policy, 3, 10**6)
