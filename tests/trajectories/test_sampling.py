import math
from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose

import pgcheck
from pgcheck import MDP, Policy, UsageError, exact_gradient, sample_gradient, sample_trajectories
from pgcheck.trajectories.frontier import Block
from pgcheck.trajectories.rollouts import AliasTables
from pgcheck.trajectories.sampling import Sampler, split_counts, streams
from pgcheck.trajectories.tree import Tree
from tests import oracles
from tests.problems import random_problem

seeds = st.integers(0, 2**32 - 1)


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


@settings(deadline=None, max_examples=15)
@given(seeds, st.sampled_from([1, 7, 40, 1000]))
def test_the_mean_over_many_estimates_lies_within_its_standard_error(seed: int, n: int) -> None:
    mdp, policy = random_problem(seed)
    exact = exact_gradient(mdp, policy)
    stream = rng(seed)
    runs = 200
    estimates = np.array([sample_gradient(mdp, policy, n, stream).estimate for _ in range(runs)])
    # The mean of the runs is one estimate from runs * n rollouts; its error has this root mean square.
    expected = math.sqrt(max(oracles.covariance_trace(mdp, policy), 0) / (runs * n))
    assert np.linalg.norm(estimates.mean(axis=0) - exact.gradient) <= 5 * expected + 1e-12


def test_the_error_has_the_size_that_theory_gives() -> None:
    for model, n in (("two_state", 50), ("early_exit", 3000), ("aliased_gridworld", 10**7)):
        mdp, policy = pgcheck.load(model)
        exact = exact_gradient(mdp, policy)
        stream = rng(1)
        errors = [exact.discrepancy(sample_gradient(mdp, policy, n, stream).estimate).error for _ in range(300)]
        mean_square = float(np.mean(np.square(errors)))
        assert mean_square == pytest.approx(oracles.covariance_trace(mdp, policy) / n, rel=0.25)


def test_frequencies_stand_in_for_probabilities() -> None:
    """χ² of the counts of all trajectories, where the counts are split and where rollouts go one by one."""
    for n in (10, 300, 10**6):
        mdp, policy = pgcheck.load("two_state")
        probability = Counter[tuple[int, ...]]()
        for prob, _, pairs, states in oracles.trajectories(mdp, policy):
            probability[(*(a for _, a in pairs), -1, *states)] += prob  # type: ignore[assignment]
        counts = Counter[tuple[int, ...]]()
        stream, runs = rng(n), 200
        for _ in range(runs):
            for batch, count in sample_trajectories(mdp, policy, n, stream):
                for episode, start, c in zip(batch, batch.starts.tolist(), count.tolist(), strict=True):
                    key = (*episode.actions.tolist(), -1, start, *episode.next_states.tolist())
                    counts[key] += c
        assert counts.total() == n * runs
        assert set(counts) <= set(probability)
        chi2 = sum((counts[k] - n * runs * p) ** 2 / (n * runs * p) for k, p in probability.items())
        df = len(probability) - 1
        assert abs(chi2 - df) < 5 * math.sqrt(2 * df)


def test_the_same_seed_gives_the_same_digits(two_state: tuple[MDP, Policy]) -> None:
    for n in (3, 1000, 10**12):
        one, other, third = (sample_gradient(*two_state, n, rng(s)).estimate for s in (5, 5, 6))
        assert one.tobytes() == other.tobytes()
        assert one.tobytes() != third.tobytes()


def test_the_order_of_work_does_not_change_the_draws() -> None:
    """Parts of a block draw from streams of their own: what one draws in addition changes no other part.

    So they may be worked on in any order.
    """
    mdp, policy = pgcheck.load("frozen_lake", horizon=6)
    tree = Tree(mdp, policy.probs())
    disturbed = 0  # the first of the parts into which the first block is cut

    def part(block: Block) -> tuple[int, ...]:
        assert block.rng is not None
        sequence = block.rng.bit_generator.seed_seq
        assert isinstance(sequence, np.random.SeedSequence)
        return tuple(sequence.spawn_key)

    def draw_more(block: Block) -> None:
        if part(block)[:1] == (disturbed,):
            assert block.rng is not None
            block.rng.random(3)

    def counts(settle: Callable[[Block], None] | None) -> dict[tuple[int, ...], list[Any]]:
        of_part: dict[tuple[int, ...], list[Any]] = {}
        root = tree.root(10**6 * mdp.start, rng=rng())
        for block, leaves in tree.walk(root, split_counts, settle=settle, block_size=500):
            if leaves is not None:
                of_part.setdefault(part(block), []).append(leaves.measure.tolist())
        return of_part

    before, after = counts(None), counts(draw_more)
    changed = {key for key in before | after if before.get(key) != after.get(key)}
    assert {key[:1] for key in before} == {(), (0,), (1,), (2,)}
    assert {key[:1] for key in changed} == {(disturbed,)}


def test_a_generator_is_advanced(two_state: tuple[MDP, Policy]) -> None:
    stream = rng()
    for n in (5, 10**6):
        assert (
            sample_gradient(*two_state, n, stream).estimate.tobytes()
            != sample_gradient(*two_state, n, stream).estimate.tobytes()
        )


def test_streams_depend_on_their_key_only() -> None:
    one, other = streams(rng()), streams(rng())
    other(7, 1).random(10)
    assert one(10, 0).random() == other(10, 0).random() != other(10, 1).random()


def test_the_listed_trajectories_are_those_of_the_estimate() -> None:
    for model, n in (("two_state", 100), ("frozen_lake", 3000), ("early_exit", 10**9), ("random_walk", 200)):
        mdp, policy = pgcheck.load(model)
        total, gradient, seen = 0, np.zeros(len(policy.theta)), set()
        for batch, count in sample_trajectories(mdp, policy, n, rng(2)):
            total += int(count.sum())
            returns = (batch.rewards * mdp.gamma ** np.arange(batch.rewards.shape[1])).sum(axis=1)
            weights = np.zeros((mdp.num_states, mdp.num_actions))
            np.add.at(
                weights,
                (batch.states[batch.mask], batch.actions[batch.mask]),
                np.broadcast_to((count * returns)[:, None], batch.mask.shape)[batch.mask],
            )
            gradient += policy.pullback(weights / n)
            seen |= {
                (s, *e.actions.tolist(), -1, *e.next_states.tolist(), *e.rewards.tolist(), e.terminated)
                for e, s in zip(batch, batch.starts.tolist(), strict=True)
            }
            assert len(batch) == len(count)
            total_distinct = len(seen)
        assert total == n
        assert total_distinct == sum(len(b) for b, _ in sample_trajectories(mdp, policy, n, rng(2)))
        assert_allclose(gradient, sample_gradient(mdp, policy, n, rng(2)).estimate, rtol=1e-9, atol=1e-12)


def test_alias_tables_hold_the_probabilities() -> None:
    for seed in range(50):
        mdp, policy = random_problem(seed, spread=3)
        tables = AliasTables(Tree(mdp, policy.probs()))
        joint = policy.probs()[mdp.state, mdp.action] * mdp.prob
        got = np.zeros(len(joint) + 1)
        share = tables.cut - (np.arange(len(joint) + 1) - np.repeat(mdp.offset, tables.width.astype(int)))
        width = np.repeat(tables.width, tables.width.astype(int))
        np.add.at(got, tables.outcome[0::2], (1 - share) / width)
        np.add.at(got, tables.outcome[1::2], share / width)
        assert_allclose(got[:-1], joint, rtol=1e-12, atol=1e-16)


def test_counts_are_exact_up_to_the_largest_n(two_state: tuple[MDP, Policy]) -> None:
    n = 10**15
    assert sum(int(count.sum()) for _, count in sample_trajectories(*two_state, n, rng())) == n
    exact = exact_gradient(*two_state)
    assert exact.discrepancy(sample_gradient(*two_state, n, rng()).estimate).error < 1e-6


@pytest.mark.parametrize("n", [0, -1, 10**15 + 1])
def test_a_number_of_rollouts_out_of_range_is_refused(two_state: tuple[MDP, Policy], n: int) -> None:
    with pytest.raises(UsageError, match="rollouts; expected 1 to"):
        sample_gradient(*two_state, n, rng())


def test_a_rollout_can_start_in_a_terminal_state() -> None:
    model = pgcheck.loads(
        "{horizon: 2, states: [s, t], actions: [a, b], start: {s: 0.5, t: 0.5}, terminal: [t],"
        " transitions: {s: {a: {to: t, reward: 1}, b: t}}}"
    )
    for n in (10, 10**6):
        sampler = Sampler(model.mdp, model.policy, n, rng())
        for _ in sampler.walk():
            pass
        assert sampler.fraction() == 1
        lengths = Counter[int]()
        for batch, count in sample_trajectories(model.mdp, model.policy, n, rng()):
            for length, c in zip(batch.lengths.tolist(), count.tolist(), strict=True):
                lengths[length] += c
        assert lengths.total() == n
        assert abs(lengths[0] - n / 2) < 5 * math.sqrt(n / 4)


def test_sampling_a_model_that_draws_certain_outcomes_is_exact() -> None:
    model = pgcheck.loads(
        "{horizon: 4, states: 2, actions: 1, start: 0, transitions: {0: {0: {to: 1, reward: 1}}, 1: {0: 0}}}"
    )
    sampled = sample_gradient(model.mdp, model.policy, 5, rng())
    assert (sampled.mean_return, sampled.estimate.tolist()) == (2.0, [0.0, 0.0])
