"""The expectation over all trajectories, and over all batches of them."""

import itertools
import math

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import pgcheck
from pgcheck import Batch, exact_gradient, verify
from pgcheck.estimators.contract import Contract, contract_of
from pgcheck.external.calling import LocalFunction
from pgcheck.trajectories.paths import listed
from pgcheck.verification.exhaustive import batches_at, number_of_batches, over_batches
from pgcheck.workers.merging import RunningSum
from tests.plain import Problem
from tests.verification import zoo


@pytest.mark.parametrize("name", ["gamma^t forgotten", "centred within the episode", "rewards clipped"])
def test_the_expectation_is_that_of_plain_summation(name: str) -> None:
    estimate, _, _ = zoo.WRONG[name]
    mdp, policy = pgcheck.load("early_exit", horizon=3)
    found = verify(estimate, [(mdp, policy)]).findings[0]
    plain = Problem(mdp, policy)
    total, square = np.zeros(len(policy.theta)), 0.0
    for e in plain.all:
        outcomes = []
        for t, (s, a) in enumerate(zip(e.states, e.actions, strict=False)):
            rows = zip(mdp.state, mdp.action, mdp.next_state, mdp.reward, mdp.ends, range(len(mdp.prob)), strict=True)
            last = e.ended and t + 1 == len(e.actions)
            wanted = (s, a, e.states[t + 1], e.rewards[t], last)
            outcomes.append(next(k for *row, k in rows if tuple(row) == wanted))
        batch = Batch(mdp, policy, np.array([e.states[0]]), np.array(outcomes)[:, None])
        g = np.asarray(estimate(batch))[0]
        total += e.prob * g
        square += e.prob * float(g @ g)
    np.testing.assert_allclose(found.expectation.mean, total, atol=1e-12)
    assert found.expectation.trace == pytest.approx(square - float(total @ total))
    truth = exact_gradient(mdp, policy).gradient
    assert found.bias == pytest.approx(float(np.linalg.norm(total - truth)))
    assert found.cosine == pytest.approx(float(total @ truth / np.linalg.norm(total) / np.linalg.norm(truth)))
    assert found.scale == pytest.approx(float(total @ truth / (truth @ truth)))


@pytest.mark.parametrize("name", ["standardised over the batch", "mean over all steps of the batch"])
@pytest.mark.parametrize("size", [2, 3])
def test_batches_are_weighted_as_ordered_tuples(name: str, size: int) -> None:
    """Multisets with multinomial weights give what all ordered tuples give, one by one."""
    estimate, _, _ = zoo.WRONG[name]
    mdp, policy = pgcheck.load("two_state", horizon=2)
    batch, prob = listed(mdp, policy)
    expected = np.zeros(batch.theta.shape)
    for rows in itertools.product(range(len(batch)), repeat=size):
        part = batch.part(np.array(rows))
        short = Batch(mdp, policy, part.starts, part.outcomes[: part.lengths.max()])
        expected += math.prod(prob[list(rows)]) * np.asarray(estimate(short))
    function = LocalFunction(estimate, name)
    for ordered in (False, True):
        kind = Contract(False, False, ordered, False, False)
        found = over_batches(function, batch, prob, size, kind)
        np.testing.assert_allclose(found.mean, expected, atol=1e-12)
    assert number_of_batches(11, 2, Contract(False, False, True, False, False)) == 121
    assert number_of_batches(11, 2, Contract(False, False, False, False, False)) == 66


def test_an_estimate_that_depends_on_the_order_is_given_all_orders() -> None:
    def first_counts_double(batch: Batch) -> object:
        rows = zoo.RIGHT["vectorised"](batch)
        return (rows.sum(axis=0) + rows[0]) / (len(batch) + 1)

    def first_as_baseline(batch: Batch) -> object:
        """Biased in the first episode, right in the others, and in the mean by exactly 1/B."""
        r = zoo.returned(batch)
        return np.einsum("n,nt...->...", r - r[0], batch.score) / len(batch)

    mdp, policy = pgcheck.load("two_state")
    assert contract_of(LocalFunction(first_counts_double, ""), listed(mdp, policy)[0]).ordered
    assert verify(first_counts_double).verdict == "pass"
    found = verify(first_as_baseline, ["two_state"])
    assert found.verdict == "fail"
    assert [one.scale for one in found.findings] == [pytest.approx(1 / 2), pytest.approx(2 / 3)]


def test_the_order_of_few_episodes_is_seen_too() -> None:
    """Where a model has so few that batches of them could all look alike."""
    for horizon in (3, 4, 5):
        found = verify(zoo.RIGHT["the neighbour as baseline"], [pgcheck.load("random_walk", horizon=horizon)])
        assert found.contract.ordered
        assert found.verdict == "pass"


@pytest.mark.parametrize("ordered", [True, False])
@pytest.mark.parametrize(("episodes", "size"), [(1, 3), (2, 1), (5, 2), (7, 3), (3, 5)])
def test_batches_by_their_numbers_are_those_of_itertools(episodes: int, size: int, ordered: bool) -> None:
    every = (
        itertools.product(range(episodes), repeat=size)
        if ordered
        else itertools.combinations_with_replacement(range(episodes), size)
    )
    expected = np.array(list(every))
    assert_array_equal(batches_at(np.arange(len(expected)), episodes, size, ordered=ordered), expected)
    some = np.arange(len(expected) // 2, len(expected))
    assert_array_equal(batches_at(some, episodes, size, ordered=ordered), expected[some])


def test_a_sum_of_parts_loses_nothing_to_rounding() -> None:
    terms = np.random.default_rng(0).standard_normal((1000, 3)) * 10.0 ** np.arange(1000)[:, None] ** 0.3
    terms[1::2] = -terms[::2] * (1 + 1e-13)
    running = RunningSum()
    for term in terms:
        running.add(term)
    exact = [math.fsum(column) for column in terms.T.tolist()]
    assert_allclose(running.total, exact, rtol=1e-12)
    assert not np.allclose(np.add.accumulate(terms)[-1], exact, rtol=1e-12, atol=0)
