"""Environments against the law of all episodes by plain recursion, and the errors of loops that misuse them."""

import copy
import pickle
from collections import Counter, defaultdict
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_array_equal

import pgcheck
from pgcheck import MDP, EstimatorError, ModelError, Policy, TabularSoftmax
from pgcheck.external.draws.answers import Answers, answered_by
from pgcheck.external.draws.endings import UnanswerableError
from tests.estimators.test_calibration import chi_squared
from tests.external.loops import Law, Step, apart, episode, every_run, exact_law, path_of, seen_probs
from tests.problems import random_problem

pytestmark = pytest.mark.gymnasium

PROBLEMS = [
    *(("two_state", 3), ("early_exit", 3), ("aliased_gridworld", 3), ("bandit", 1), ("short_corridor_linear", 4)),
    *((seed, None) for seed in (*range(12), 14, 18, 21)),
]  # random ones have `done`, several starts, terminal ones among them, shared observations, and lack actions


def problem(source: str | int, horizon: int | None) -> tuple[MDP, Policy]:
    if isinstance(source, str):
        return pgcheck.load(source, horizon=horizon)
    mdp, policy = random_problem(source)
    return (mdp, policy) if mdp.horizon < 4 else (replace(mdp, horizon=3), policy)


def starts_over(mdp: MDP) -> bool:
    return bool(np.any(mdp.terminal & (mdp.start > 0)))


def answered_law(mdp: MDP, policy: Policy, **settings: Any) -> Law:
    """The law of what a run records, over all answers; each step of each run is compared with the record."""
    env, probs = pgcheck.env(mdp, **settings), seen_probs(mdp, policy)
    law: Law = defaultdict(float)
    steps: list[list[Step]] = []
    for prob, answers in every_run(lambda: steps.append(episode(env, probs))):
        recorded, taken = answers.episodes[0], steps[-1]
        assert answers.environment == [0]
        law[path_of(mdp, recorded)] += prob
        outcomes = recorded[1:]
        assert [step[1] for step in taken] == [*mdp.reward[outcomes], *[0.0] * (len(taken) - len(outcomes))]
        states = [recorded[0], *mdp.next_state[outcomes]]
        last = mdp.observation[states[-1]]
        shown = [*mdp.observation[states[1:]], *[last] * (len(taken) - len(outcomes))]
        assert [step[0] for step in taken] == shown
        assert not any(step[2] or step[3] for step in taken[:-1])
        offered = [mdp.available[s] | mdp.terminal[s] for s in states[1:]]
        idle = np.ones(mdp.num_actions, dtype=np.bool_)
        ended = bool(outcomes) and bool(mdp.done[outcomes[-1]] or mdp.terminal[states[-1]])
        if settings.get("pad"):
            offered = [*(offered[:-1] if ended else offered), *[idle] * mdp.horizon][: mdp.horizon]
            assert len(taken) == mdp.horizon
            ended = False
        else:
            assert len(taken) == len(outcomes)
            assert ended or len(outcomes) == mdp.horizon
        assert [step[4]["action_mask"].tolist() for step in taken] == [mask.tolist() for mask in offered]
        terminates = ended or settings.get("time_limit") == "terminated"
        assert taken[-1][2:4] == (terminates, not terminates)
    return dict(law)


@pytest.mark.parametrize("pad", [False, True])
@pytest.mark.parametrize("time_limit", ["truncated", "terminated"])
@pytest.mark.parametrize(("source", "horizon"), PROBLEMS)
def test_the_record_over_all_answers_has_the_law_of_episodes(
    source: str | int, horizon: int | None, time_limit: str, pad: bool
) -> None:
    mdp, policy = problem(source, horizon)
    if starts_over(mdp) and not pad:
        with pytest.raises(ModelError, match=r"may start in the terminal state s\d.*\n.*pad=True"):
            pgcheck.env(mdp)
        return
    law = answered_law(mdp, policy, time_limit=time_limit, pad=pad)
    assert sum(law.values()) == pytest.approx(1, abs=1e-12)
    assert apart(law, exact_law(mdp, policy)) < 1e-12


def test_some_random_problems_start_over_and_some_do_not() -> None:
    assert {starts_over(problem(seed, None)[0]) for seed in range(12)} == {True, False}


def test_the_law_of_another_policy_or_model_is_another() -> None:
    mdp, policy = pgcheck.load("two_state")
    law = answered_law(mdp, policy)
    assert apart(law, exact_law(mdp, TabularSoftmax.of(mdp))) > 0.01
    assert apart(law, exact_law(replace(mdp, start=np.array([0.25, 0.75, 0.0])), policy)) > 0.01
    assert apart(law, exact_law(replace(mdp, horizon=2), policy)) > 0.01


def sampled_statistic(mdp: MDP, policy: Policy, law: Law, n: int = 4000) -> tuple[float, int]:
    """χ² of seeded episodes outside of any run against a law, and its degrees of freedom."""
    env, rng, probs = pgcheck.env(mdp), np.random.default_rng(5), policy.probs()
    env.reset(seed=1)
    counts: Counter[Any] = Counter()
    for _ in range(n):
        env.reset()
        pairs, states, returned, over = [], [env._state], 0.0, False
        while not over:
            action = int(rng.choice(mdp.num_actions, p=probs[states[-1]]))
            pairs.append((states[-1], action))
            _, reward, terminated, truncated, _ = env.step(action)
            returned += mdp.gamma ** (len(pairs) - 1) * reward
            states.append(env._state)
            over = terminated or truncated
        counts[tuple(pairs), tuple(states), round(returned, 9)] += 1
    assert set(counts) <= set(law)
    rare = [path for path, prob in law.items() if prob * n < 5]
    cells = [(n * prob, counts[path]) for path, prob in law.items() if prob * n >= 5]
    if rare:
        cells.append((n * sum(law[path] for path in rare), sum(counts[path] for path in rare)))
    return sum((count - mean) ** 2 / mean for mean, count in cells), len(cells) - 1


@pytest.mark.parametrize("source", ["two_state", "early_exit", 18])
def test_outside_of_runs_seeded_episodes_have_the_law(source: str | int) -> None:
    mdp, policy = problem(source, 3)
    law = exact_law(mdp, policy)
    assert 1e-3 < chi_squared(*sampled_statistic(mdp, policy, law)) < 1 - 1e-3
    steeper = {path: prob**1.2 for path, prob in law.items()}
    wrong = {path: prob / sum(steeper.values()) for path, prob in steeper.items()}
    assert chi_squared(*sampled_statistic(mdp, policy, wrong)) > 1 - 1e-9


def test_a_seed_repeats_an_episode_and_another_one_does_not() -> None:
    env = pgcheck.env("river_swim")

    def walk(seed: int) -> list[int]:
        return [int(env.reset(seed=seed)[0]), *(int(env.step(1)[0]) for _ in range(6))]

    walks = [walk(seed) for seed in range(20)]
    assert walks == [walk(seed) for seed in range(20)]
    assert len(set(map(tuple, walks))) > 5


def test_an_action_may_be_any_whole_number() -> None:
    env = pgcheck.env("two_state")
    moved = []
    for action in (1, True, np.int64(1), np.int8(1), np.array(1), np.array([1]), np.array([[1]]), 1.0, np.float32(1)):
        env.reset(seed=0)
        moved.append(env.step(action)[:4])
    assert set(moved) == {moved[0]}
    assert moved[0] == (2, 2.0, True, False)


@pytest.mark.torch
def test_an_action_may_be_a_tensor() -> None:
    import torch

    env = pgcheck.env("two_state")
    for action in (torch.tensor(1), torch.tensor([1]), torch.tensor(1.0, requires_grad=True)):
        env.reset(seed=0)
        assert env.step(action)[0] == 2
    env.reset(seed=0)
    with pytest.raises(EstimatorError, match=r"two-state: action tensor\(\[0, 1\]\); expected a number from 0 to 1"):
        env.step(torch.tensor([0, 1]))


@pytest.mark.parametrize(
    "action", [2, -1, 0.5, None, "stay", np.array([0, 1]), np.array([]), float("nan"), float("inf"), [0]]
)
def test_what_is_no_action_is_refused_and_the_episode_goes_on(action: Any) -> None:
    env = pgcheck.env("two_state")
    env.reset(seed=0)
    with pytest.raises(EstimatorError, match=r"two-state: action .*; expected a number from 0 to 1"):
        env.step(action)
    assert env.step(1)[0] == 2


def test_an_action_that_the_state_does_not_offer_is_named_with_the_mask() -> None:
    env = pgcheck.env("early_exit")
    while env.mdp.states[env._state] != "hall":
        _, info = env.reset()
    offered = env.mdp.available[env._state]
    assert 0 < offered.sum() < 3
    assert_array_equal(env.action_masks(), offered)
    assert_array_equal(info["action_mask"], offered)
    assert info["action_mask"].dtype == np.int8
    assert {int(env.action_space.sample(info["action_mask"])) for _ in range(50)} == set(np.flatnonzero(offered))
    with pytest.raises(EstimatorError) as caught:
        env.step(int(np.flatnonzero(~offered)[0]))
    assert str(caught.value) == (
        "early-exit: state hall does not offer action wait (0); it offers walk (1), jump (2).\n"
        "  Mask the logits: env.action_masks() and info['action_mask'] say which actions a state offers."
    )
    env.step(int(np.flatnonzero(offered)[0]))


def test_a_step_without_an_episode_is_named() -> None:
    env = pgcheck.env("two_state", render_mode="ansi")
    with pytest.raises(EstimatorError, match="two-state: step before the first reset"):
        env.step(0)
    with pytest.raises(EstimatorError, match="two-state: render before the first reset"):
        env.render()
    env.reset(seed=0)
    assert env.render() == "right"
    env.step(1)
    assert env.render() == "goal"
    with pytest.raises(EstimatorError, match="after the end of an episode, which ended after step 1 in state goal"):
        env.step(1)


def test_an_environment_that_outlives_a_run_registers_in_each_and_is_reset_first() -> None:
    env = pgcheck.env("long_chain")
    env.reset(seed=0)
    for _ in range(2):
        answers = Answers()
        with answered_by(answers):
            with pytest.raises(UnanswerableError, match=r"long-chain: .* call env.reset.. at the start of each run"):
                env.step(0)
            assert isinstance(answers.fault, UnanswerableError)  # though the loop caught it
            other = pgcheck.env("long_chain")
            other.reset()
            env.reset()
            env.step(0)
            other.step(0)
            env.reset()
        assert answers.environment == [0, 1, 1]
        assert [len(steps) for steps in answers.episodes] == [2, 2, 1]
    with pytest.raises(EstimatorError, match="long-chain: the episode under way is part of a run that is over"):
        env.step(0)
    env.reset()
    env.step(0)
    assert answers.environment == [0, 1, 1]


def test_a_copy_leaves_the_record_of_the_run_behind() -> None:
    env, answers = pgcheck.env("long_chain"), Answers()
    with answered_by(answers):
        env.reset()
        others = [copy.copy(env), copy.deepcopy(env), pickle.loads(pickle.dumps(env))]
        for other in others[1:]:
            with pytest.raises(UnanswerableError, match="outside of this run"):
                other.step(0)
            other.reset()
        env.step(0)
    others[0].step(0)  # the copy goes on by itself
    assert answers.environment == [0, 1, 2]
    assert [len(steps) for steps in answers.episodes] == [2, 1, 1]
