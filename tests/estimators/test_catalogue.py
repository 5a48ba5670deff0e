from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose

import pgcheck
from pgcheck import (
    MDP,
    Batch,
    Policy,
    TabularSoftmax,
    UsageError,
    estimator,
    exact_gradient,
    predict,
    sample_gradient,
)
from pgcheck.estimators.catalogue import ESTIMATORS, NAMES
from pgcheck.estimators.sampled import sample_gradients
from pgcheck.trajectories.paths import enumerated_paths, measured
from tests import oracles
from tests.plain import Problem
from tests.problems import random_problem

seeds = st.integers(0, 2**32 - 1)
MEANS = [some.name for some in ESTIMATORS if some.aggregation == "mean"]
RIGHT = [some.name for some in ESTIMATORS if some.bias == "none"]


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def problem_with_behavior(seed: int) -> tuple[MDP, Policy, Policy]:
    mdp, policy = random_problem(seed, horizon=seed % 3 + 1)
    return mdp, policy, replace(policy, theta=rng(seed).normal(0, 0.7, len(policy.theta)))


def actor_of(name: str, policy: Policy, behavior: Policy) -> Policy:
    return behavior if estimator(name).off_policy else policy


@settings(deadline=None, max_examples=25)
@given(seeds)
@pytest.mark.parametrize("name", [some.name for some in ESTIMATORS])
def test_the_estimate_of_every_trajectory_is_that_of_the_formula(name: str, seed: int) -> None:
    mdp, policy, behavior = problem_with_behavior(seed)
    actor = actor_of(name, policy, behavior)
    plain = Problem(mdp, policy, actor)
    expected: dict[tuple[int, ...], oracles.Floats] = {}
    for e in plain.all:
        key = (*e.states, -1, *e.actions, -1, *(round(1000 * r) for r in e.rewards), int(e.ended))
        expected[key] = plain.estimate(name, e)
    seen = 0
    for listed, _ in pgcheck.enumerate_trajectories(mdp, actor):  # of all lengths in one batch
        batch = replace(listed, policy=policy, behavior=actor)
        each = estimator(name).each(batch)
        assert each.shape == (len(batch), len(policy.theta))
        for episode, start, g in zip(batch, batch.starts.tolist(), each, strict=True):
            states = (start, *episode.next_states.tolist())
            rewards = (round(1000 * r) for r in episode.rewards.tolist())
            key = (*states, -1, *episode.actions.tolist(), -1, *rewards, int(episode.terminated))
            # Two outcomes may differ in `done` alone, into a terminal state; their estimates are the same.
            assert_allclose(g, expected[key], rtol=1e-6, atol=1e-9)
            seen += 1
    assert seen == len(plain.all)


@settings(deadline=None, max_examples=15)
@given(seeds)
@pytest.mark.parametrize("name", RIGHT)
def test_a_right_estimator_has_the_gradient_for_its_mean(name: str, seed: int) -> None:
    mdp, policy, behavior = problem_with_behavior(seed)
    truth = oracles.complex_step(mdp, policy)
    moments = predict(mdp, policy, estimator(name), rng(), behavior=behavior)(None)
    assert moments is not None
    actor = actor_of(name, policy, behavior)
    summed = np.zeros(len(policy.theta))
    for batch, prob in pgcheck.enumerate_trajectories(mdp, actor):
        summed += prob @ estimator(name).each(replace(batch, policy=policy, behavior=actor))
    for mean in (moments.mean, summed):
        assert_allclose(mean, truth, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("name", [some.name for some in ESTIMATORS if some.bias == "wrong"])
def test_a_wrong_estimator_has_another_mean(name: str) -> None:
    mdp, policy = pgcheck.load("two_state")
    found = predict(mdp, policy, estimator(name), rng())(None)
    assert found is not None
    assert np.linalg.norm(found.mean - oracles.complex_step(mdp, policy)) > 0.04


@settings(deadline=None, max_examples=20)
@given(seeds)
def test_the_wrong_ones_have_the_bias_of_their_closed_forms(seed: int) -> None:
    mdp, policy = random_problem(seed)
    plain = Problem(mdp, policy)

    def mean(name: str) -> oracles.Floats:
        found = predict(mdp, policy, estimator(name), rng())(None)
        assert found is not None
        return found.mean

    # Where the mean return of one step only counts, the gradient is that of the next reward.
    occupancy = [np.array(mdp.start)]
    fields = {"dropped-gamma": np.zeros(len(policy.theta)), "immediate-reward": np.zeros(len(policy.theta))}
    for t in range(mdp.horizon):
        after = np.zeros(mdp.num_states)
        for s, row in enumerate(plain.table):
            for a, nxt, p, r, ends in row:
                flow = occupancy[-1][s] * plain.probs[s, a] * p
                fields["immediate-reward"] += mdp.gamma**t * flow * r * plain.score[s, a]
                onward = 0.0 if ends else mdp.gamma * plain.v[t + 1][nxt]
                fields["dropped-gamma"] += flow * (r + onward) * plain.score[s, a]
                after[nxt] += 0.0 if ends else flow
        occupancy.append(after)
    for name, field in fields.items():
        assert_allclose(mean(name), field, atol=1e-12)
    # R/L is an objective too: its gradient by complex step is what averaging over steps estimates.
    assert_allclose(mean("mean-over-steps"), gradient_of_mean_reward(mdp, policy), atol=1e-12)


def gradient_of_mean_reward(mdp: MDP, policy: Policy) -> oracles.Floats:
    """∇E[R/L] by complex step of the sum over all trajectories."""
    gradient = []
    for k in range(len(policy.theta)):
        theta = [complex(x) for x in policy.theta]
        theta[k] += 1e-30j
        probs = oracles.softmax(policy, theta)
        total = 0j
        for prob, value, pairs, _ in oracles.trajectories(mdp, policy):
            likelihood = complex(prob)
            for pair in pairs:
                likelihood *= probs[pair] / probs[pair].real
            total += likelihood * value / max(len(pairs), 1)
        gradient.append(total.imag / 1e-30)
    return np.array(gradient)


@settings(deadline=None, max_examples=20)
@given(seeds)
def test_lambda_goes_from_actor_critic_to_the_value_baseline(seed: int) -> None:
    mdp, policy = random_problem(seed)
    for lam, twin in ((0.0, "actor-critic"), (1.0, "value-baseline")):
        for batch, _, _ in measured(mdp, policy, enumerated_paths(mdp, policy), policy):
            if lam == 1.0:
                # Cut by the horizon the two agree only because V is 0 there.
                assert_allclose(estimator("gae", 1.0).each(batch), estimator(twin).each(batch), atol=1e-12)
            else:
                assert_allclose(estimator("gae", 0.0).each(batch), estimator(twin).each(batch), atol=1e-14)
        one, other = (predict(mdp, policy, e, rng())(None) for e in (estimator("gae", lam), estimator(twin)))
        assert one is not None
        assert other is not None
        assert_allclose(one.variance, other.variance, atol=1e-12)


def test_a_batch_is_called_as_a_whole() -> None:
    """As anybody's function: rows of theta's shape, or one of it where the estimate is no mean."""
    model = pgcheck.load_model("two_state")
    mdp, policy = model.mdp, model.policy
    batch = next(b for b, _, _ in measured(mdp, policy, enumerated_paths(mdp, policy), policy) if len(b) > 3)
    for some in ESTIMATORS:
        shape = some(batch).shape
        assert shape == ((len(batch), 3, 2) if some.aggregation == "mean" else (3, 2))
    twice = Batch(mdp, policy, np.tile(batch.starts, 2), np.tile(batch.outcomes, 2))
    uniform = estimator("uniform-trajectories")
    assert_allclose(uniform(twice), uniform(batch), atol=1e-15)
    assert_allclose(uniform(batch), estimator("reinforce")(batch).mean(axis=0), atol=1e-15)
    empty = Batch(mdp, policy, batch.starts[:0], batch.outcomes[:, :0])
    assert estimator("reinforce")(empty).shape == (0, 3, 2)


@pytest.mark.parametrize("name", NAMES)
def test_sampling_weighs_trajectories_by_their_counts(name: str) -> None:
    """The mean over listed trajectories, each estimated by itself, is what is sampled from the same seed."""
    for model, n in (("two_state", 50), ("early_exit", 5000), ("random_walk", 40), ("frozen_lake", 2000)):
        loaded = pgcheck.load_model(model)
        mdp, policy = loaded.mdp, loaded.policy
        some = estimator(name)
        actor = drawn = loaded.behavior if some.off_policy else policy
        assert drawn is not None
        total, shares, times = np.zeros(len(policy.theta)), 0.0, 0
        for batch, counts in pgcheck.sample_trajectories(mdp, drawn, n, rng(4)):
            mine = replace(batch, policy=policy, behavior=actor)
            share = some.shares(mine, counts.astype(np.float64))
            total += share @ some.each(mine)
            shares += float(share.sum())
            times += int(counts.sum())
        assert times == n
        sampled = sample_gradient(mdp, policy, n, rng(4), estimator=some, behavior=loaded.behavior)
        assert_allclose(sampled.estimate, total / shares, rtol=1e-9, atol=1e-12)


def test_several_estimators_share_their_rollouts() -> None:
    mdp, policy = pgcheck.load("early_exit")
    some = [estimator(name) for name in ("reinforce", "advantage", "uniform-trajectories")]
    together = sample_gradients(mdp, policy, 3000, rng(1), some)
    for one, other in zip(some, together, strict=True):
        assert_allclose(other.estimate, sample_gradient(mdp, policy, 3000, rng(1), estimator=one).estimate, rtol=1e-9)
        assert other.mean_return == pytest.approx(together[0].mean_return)


def test_a_misreading_converges_to_the_mean_over_distinct_trajectories() -> None:
    mdp, policy = pgcheck.load("two_state")
    found = predict(mdp, policy, estimator("uniform-trajectories"), rng())
    plain = Problem(mdp, policy)
    every = np.mean([plain.estimate("uniform-trajectories", e) for e in plain.all], axis=0)
    limit = found(None)
    assert limit is not None
    assert_allclose(limit.mean, every, atol=1e-12)
    for n in (30, 300):
        runs = np.array(
            [sample_gradient(mdp, policy, n, rng(k), estimator="uniform-trajectories").estimate for k in range(800)]
        )
        at = found(n)
        assert at is not None
        # First order, and as if trajectories came independently: some percent.
        assert_allclose(runs.mean(axis=0), at.mean, atol=0.02)
        assert float(runs.var(axis=0).sum()) == pytest.approx(at.trace / n, rel=0.25)


def test_the_bias_of_a_ratio_vanishes_as_predicted() -> None:
    model = pgcheck.load_model("two_state")
    mdp, policy, behavior = model.mdp, model.policy, model.behavior
    assert isinstance(behavior, TabularSoftmax)
    far = replace(behavior, theta=np.array([-1.0, 1.0, 1.0, -0.5]))
    found = predict(mdp, policy, estimator("weighted-importance-sampling"), rng(), behavior=far)(None)
    assert found is not None
    plain = Problem(mdp, policy, far)
    prob, ratio = (np.array(x) for x in zip(*((e.prob, plain.rho(e, 99)) for e in plain.all), strict=True))
    each = np.array([plain.estimate("reinforce", e) for e in plain.all])
    truth = exact_gradient(mdp, policy).gradient
    n, runs = 1000, 400_000
    share = rng().multinomial(n, prob / prob.sum(), size=runs) * ratio
    estimates = share @ each / share.sum(axis=1, keepdims=True)
    noise = np.sqrt(found.trace / n / runs)
    bias = found.bias(truth, n)
    assert np.linalg.norm(bias) > 10 * noise  # there is something to see
    assert np.linalg.norm(estimates.mean(axis=0) - truth - bias) < 4 * noise + 0.2 * np.linalg.norm(bias)
    assert float(estimates.var(axis=0).sum()) == pytest.approx(found.trace / n, rel=0.1)


def with_copies(mdp: MDP, copies: int) -> MDP:
    """The same problem with several copies of each state, which look alike: to an estimator nothing changes."""
    copy = np.arange(copies)
    row, source, target = (x.ravel() for x in np.meshgrid(np.arange(len(mdp.prob)), copy, copy, indexing="ij"))
    return replace(
        mdp,
        states=tuple(f"{state}-{i}" for state in mdp.states for i in copy),
        start=np.repeat(mdp.start, copies) / copies,
        terminal=np.repeat(mdp.terminal, copies),
        observation=np.repeat(mdp.observation, copies),
        state=mdp.state[row] * copies + source,
        action=mdp.action[row],
        next_state=mdp.next_state[row] * copies + target,
        prob=mdp.prob[row] / copies,
        reward=mdp.reward[row],
        done=mdp.done[row],
        reference=None if mdp.reference is None else np.repeat(mdp.reference, copies, axis=0),
    )


def test_a_sample_stands_in_where_nothing_else_does() -> None:
    mdp, policy = pgcheck.load("early_exit")
    exact = predict(mdp, policy, estimator("normalised-returns"), rng(), full=True)(None)
    many = with_copies(mdp, 12)  # 1.1e9 trajectories
    alike = replace(TabularSoftmax.of(many), theta=policy.theta)
    sampled = predict(many, alike, estimator("normalised-returns"), rng(), full=True)(None)
    assert exact is not None
    assert sampled is not None
    assert (exact.evidence, sampled.evidence) == ("enumeration", "sample")
    assert_allclose(sampled.mean, exact.mean, atol=5 * np.sqrt(exact.trace / 10_000))
    assert_allclose(sampled.variance, exact.variance, rtol=0.15, atol=1e-12)
    assert exact.matrix is not None
    assert sampled.matrix is not None
    assert_allclose(sampled.matrix, exact.matrix, atol=0.05 * float(np.abs(exact.matrix).max()))


def test_what_cannot_be_had_is_said() -> None:
    mdp, policy = pgcheck.load("two_state")
    with pytest.raises(UsageError, match="did you mean reward-to-go"):
        estimator("reward-togo")
    with pytest.raises(UsageError, match="lambda belongs to gae"):
        estimator("reinforce", 0.5)
    with pytest.raises(UsageError, match="expected 0 to 1"):
        estimator("gae", 1.5)
    with pytest.raises(UsageError, match="two-state has no behavior"):
        sample_gradient(mdp, policy, 10, rng(), estimator="per-decision")
    with pytest.raises(UsageError, match="rollouts of its own"):
        sample_gradients(mdp, policy, 10, rng(), [estimator("reinforce"), estimator("per-decision")], behavior=policy)
    assert isinstance(policy, TabularSoftmax)
    never = replace(policy, theta=np.array([0.0, -2000.0, 0.0, 0.0]))
    with pytest.raises(UsageError, match="the behavior never takes 'move' in 'left'"):
        sample_gradient(mdp, policy, 10, rng(), estimator="per-decision", behavior=never)
