import math
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose

import pgcheck
from pgcheck import Batch, TooLargeError, enumerate_trajectories, exact_gradient, most_likely
from pgcheck.estimators.readings import two_readings
from pgcheck.trajectories.paths import enumerated_paths
from tests import oracles
from tests.problems import random_problem

seeds = st.integers(0, 2**32 - 1)


@settings(deadline=None, max_examples=60)
@given(seeds)
def test_every_trajectory_is_listed_once_with_its_probability_and_return(seed: int) -> None:
    mdp, policy = random_problem(seed)
    listed: Counter[tuple[object, ...]] = Counter()
    for batch, probability in enumerate_trajectories(mdp, policy):
        for episode, start, p in zip(batch, batch.starts.tolist(), probability.tolist(), strict=True):
            ret = sum(mdp.gamma**t * r for t, r in enumerate(episode.rewards.tolist()))
            states = (start, *episode.next_states.tolist())
            listed[states, tuple(episode.actions.tolist()), round(ret, 9), round(p, 12)] += 1
            assert episode.states.tolist() == list(states[:-1])
            ended = len(episode.actions) < mdp.horizon or bool(mdp.terminal[states[-1]])
            assert episode.terminated or not ended
    expected: Counter[tuple[object, ...]] = Counter()
    for p, ret, pairs, states in oracles.trajectories(mdp, policy):
        expected[states, tuple(a for _, a in pairs), round(ret, 9), round(p, 12)] += 1
    assert listed == expected


@settings(deadline=None, max_examples=40)
@given(seeds)
def test_the_most_likely_come_first(seed: int) -> None:
    mdp, policy = random_problem(seed)
    k = 7
    every = sorted((p for p, *_ in oracles.trajectories(mdp, policy)), reverse=True)
    found = most_likely(mdp, policy, k)
    assert_allclose([t.probability for t in found], every[:k], rtol=1e-12)
    assert len({tuple(t.path.tolist()) for t in found}) == len(found)


def test_the_most_likely_are_found_where_listing_is_impossible() -> None:
    mdp, policy = pgcheck.load("short_corridor")
    found = most_likely(mdp, policy, 3)
    assert [t.probability for t in found] == [0.125, 0.0625, 0.03125]
    assert [t.value for t in found] == [-3, -4, -5]


def test_a_horizon_too_long_for_the_most_likely_is_refused() -> None:
    with pytest.raises(TooLargeError, match="Lower the horizon to"):
        most_likely(*pgcheck.load("two_state", horizon=10**9), 1)


@settings(deadline=None, max_examples=40)
@given(seeds, st.booleans())
def test_a_batch_holds_what_estimators_see(seed: int, full: bool) -> None:
    mdp, policy = random_problem(seed, full=full)
    total = 0.0
    gradient = np.zeros(len(policy.theta))
    for batch, probability in enumerate_trajectories(mdp, policy):
        n, t = batch.states.shape
        assert len(batch) == n == len(list(batch))
        assert t == batch.lengths.max()
        assert (batch.num_states, batch.num_actions) == mdp.available.shape
        assert (batch.gamma, batch.horizon) == (mdp.gamma, mdp.horizon)
        assert batch.mask.sum(axis=1).tolist() == batch.lengths.tolist()
        assert batch.score.shape == (n, t, *batch.theta.shape)
        for array in (batch.states, batch.rewards, batch.mask, batch.score, batch.theta, batch.probs):
            assert not array.flags.writeable
        for array in (batch.states, batch.actions, batch.next_states, batch.rewards, batch.score):
            assert not np.any(array[~batch.mask])
        if full:
            assert batch.theta.shape == mdp.available.shape
            assert not batch.theta[mdp.terminal].any()
            softmax = np.exp(batch.theta) / np.exp(batch.theta).sum(axis=1, keepdims=True)
            assert_allclose(softmax * ~mdp.terminal[:, None], batch.probs)
        total += probability.sum()
        returns = (batch.rewards * batch.gamma ** np.arange(t)).sum(axis=1)
        estimate = np.einsum("n,nt...->n...", returns, batch.score)
        summed = np.einsum("n,n...->...", probability, estimate)
        gradient += summed[~mdp.terminal].ravel() if summed.ndim == 2 else summed
    assert total == pytest.approx(1)
    assert_allclose(gradient, exact_gradient(mdp, policy).gradient, atol=1e-12)


def test_theta_is_flat_where_states_share_a_row_or_lack_an_action() -> None:
    for model in ("aliased_gridworld", "short_corridor", "early_exit"):
        mdp, policy = pgcheck.load(model, horizon=2)
        batch, _ = next(enumerate_trajectories(mdp, policy))
        assert batch.theta.shape == (len(policy.theta),)


def test_batches_are_of_bounded_size() -> None:
    mdp, policy = pgcheck.load("cliff_walk", horizon=7)
    sizes = [len(batch) for batch, _ in enumerate_trajectories(mdp, policy)]
    assert len(sizes) > 1
    assert max(sizes) < 100_000
    assert sum(sizes) == exact_gradient(mdp, policy).trajectories


def test_paths_become_a_batch_and_back() -> None:
    mdp, policy = pgcheck.load("two_state")
    paths = np.concatenate(
        [
            np.pad(p, ((0, 4 - len(p)), (0, 0)), constant_values=mdp.padding)
            for p, *_ in enumerated_paths(mdp, policy)
        ],
        axis=1,
    )
    batch = Batch.from_paths(mdp, policy, paths)
    assert len(batch) == 23
    assert batch.states.shape == (23, 3)


def test_one_reading_converges_and_the_other_does_not() -> None:
    mdp, policy = pgcheck.load("two_state")
    exact = exact_gradient(mdp, policy)
    likely = most_likely(mdp, policy, 23)
    right, wrong = [], []
    for n in (100, 10_000, 10**6, 10**8, 10**12):
        readings = two_readings(mdp, policy, n, np.random.default_rng(n), likely)
        assert readings.counts.sum() == n
        right.append(exact.discrepancy(readings.sampled.estimate).error)
        wrong.append(exact.discrepancy(readings.unweighted).error)
    assert right[-1] < 1e-5 < 1e-2 < min(wrong)
    # All 23 have been drawn, so the wrong reading stays where it is: at the plain mean over trajectories.
    every = list(oracles.trajectories(mdp, policy))
    plain = (
        sum((r * sum(oracles.score(policy, *pair) for pair in pairs) for _, r, pairs, _ in every), np.zeros(4)) / 23
    )
    assert readings.distinct == 23
    assert_allclose(readings.unweighted, plain, rtol=1e-12)
    assert math.isclose(wrong[-1], float(np.linalg.norm(plain - exact.gradient)))
