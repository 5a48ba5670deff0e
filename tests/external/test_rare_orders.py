"""Shuffles that are easily overlooked: in few runs only, in late ones, or two that may undo each other."""

import itertools
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

from pgcheck import MDP
from pgcheck.arrays import Floats
from pgcheck.external import agent_source
from pgcheck.external.agent_source import LocalAgent
from pgcheck.external.agents import AgentFunction
from pgcheck.external.draws import branches
from pgcheck.external.draws.tree import Branch
from pgcheck.external.lot import Before, Cut, Lot
from pgcheck.formats.loading import load_model
from pgcheck.verification.loop_verdict import verify_agent
from tests.external.looping import THETA, Step, all_of, episodes, looping, reinforce

pytestmark = [pytest.mark.torch, pytest.mark.gymnasium]

HORIZON = 3

OfEpisode = Callable[[MDP, Sequence[Step]], Floats]


@pytest.fixture
def mdp() -> MDP:
    return model_with(HORIZON)


def model_with(horizon: int) -> MDP:
    return load_model("two_state", horizon=horizon).mdp


def is_rare(actions: Sequence[int]) -> bool:
    """What comes last of all when runs are enumerated: only the last action, for as long as there is time."""
    return len(actions) == HORIZON and all(action == 1 for action in actions)


def played(env: Any, policy: Any) -> tuple[list[int], list[Any], list[float]]:
    """The actions, log-probabilities and rewards of one episode."""
    import torch

    observation, _ = env.reset()
    actions, log_probs, rewards, over = [], [], [], False
    while not over:
        draw = torch.distributions.Categorical(logits=policy(torch.as_tensor(observation)))
        action = draw.sample()
        observation, reward, terminated, truncated, _ = env.step(action.item())
        actions.append(int(action))
        log_probs.append(draw.log_prob(action))
        rewards.append(float(reward))
        over = terminated or truncated
    return actions, log_probs, rewards


def rarely_one_step(factor: Callable[[int], float]) -> AgentFunction:
    """REINFORCE, but for rare episodes with one step drawn by a shuffle, times a factor of their length."""

    def update(env: Any, policy: Any) -> None:
        import torch

        actions, log_probs, rewards = played(env, policy)
        score = sum(log_probs)
        if is_rare(actions):
            score = log_probs[int(torch.randperm(len(actions))[0])] * factor(len(actions))
        optimizer = torch.optim.SGD(policy.parameters(), lr=0.1)
        (-sum(env.unwrapped.gamma**t * reward for t, reward in enumerate(rewards)) * score).backward()
        optimizer.step()

    return looping(update)


def unbiased() -> AgentFunction:
    return rarely_one_step(float)


def biased() -> AgentFunction:
    return rarely_one_step(lambda length: 1.0)


def mean_of(mdp: MDP, of_episode: OfEpisode) -> Floats:
    """The expectation over all episodes, flat."""
    weighted = [prob * of_episode(mdp, steps) for prob, steps in episodes(mdp, THETA)]
    return np.asarray(sum(weighted)).ravel()


def plain(mdp: MDP, steps: Sequence[Step]) -> Floats:
    return reinforce(mdp, THETA, [*steps])


def rarely_shortened(mdp: MDP, steps: Sequence[Step]) -> Floats:
    """A step that is drawn, without a factor, is 1/n of the episode on average."""
    return plain(mdp, steps) / (len(steps) if is_rare([action for _, action, _ in steps]) else 1)


def test_a_shuffle_in_few_runs_is_judged_rightly(mdp: MDP) -> None:
    truth = mean_of(mdp, plain)
    right, wrong = all_of(unbiased(), mdp)[1], all_of(biased(), mdp)[1]
    np.testing.assert_allclose(right.mean, truth, rtol=0, atol=1e-12)
    np.testing.assert_allclose(wrong.mean, mean_of(mdp, rarely_shortened), rtol=0, atol=1e-12)
    assert np.linalg.norm(wrong.mean - truth) > 1e-3 * np.linalg.norm(truth)
    rare = [is_rare([action for _, action, _ in steps]) for _, steps in episodes(mdp, THETA)]
    assert 0 < sum(rare) < len(rare) / 4
    assert right.runs == wrong.runs == sum(math.factorial(HORIZON) if it else 1 for it in rare)
    assert not right.shuffled


# Two shuffles, one after the other.


def shuffled_twice(*, in_its_order: bool) -> AgentFunction:
    """Rewards to go of a buffer, computed before or after it is shuffled twice: after is wrong."""

    def update(env: Any, policy: Any) -> None:
        import torch

        _, log_probs, rewards = played(env, policy)
        length, gamma = len(rewards), env.unwrapped.gamma
        order = torch.randperm(length)[torch.randperm(length)].tolist()
        if in_its_order:
            to_go = [sum(gamma**k * rewards[k] for k in range(t, length)) for t in range(length)]
            loss = -sum(to_go[k] * log_probs[k] for k in order)
        else:
            to_go = [sum(gamma**k * rewards[order[k]] for k in range(t, length)) for t in range(length)]
            loss = -sum(to_go[t] * log_probs[order[t]] for t in range(length))
        optimizer = torch.optim.SGD(policy.parameters(), lr=0.1)
        loss.backward()
        optimizer.step()

    return looping(update)


def to_go_of(mdp: MDP, steps: Sequence[Step]) -> Floats:
    """Σ_t ∇log π(a_t|s_t) Σ_{k≥t} γ^k r_k of steps in whatever order."""
    probs = np.exp(THETA) / np.exp(THETA).sum(axis=1, keepdims=True)
    gradient = np.zeros_like(THETA)
    for t, (state, action, _) in enumerate(steps):
        score = np.zeros_like(THETA)
        score[state] -= probs[state]
        score[state, action] += 1.0
        gradient += score * sum(mdp.gamma**k * steps[k][2] for k in range(t, len(steps)))
    return gradient


def over_all_orders(mdp: MDP, steps: Sequence[Step]) -> Floats:
    orders = [*itertools.permutations(steps)]
    return np.asarray(sum(to_go_of(mdp, order) for order in orders)) / len(orders)


@pytest.mark.parametrize("horizon", [2, 3])
def test_two_shuffles_one_after_the_other_are_judged_rightly(horizon: int) -> None:
    mdp = model_with(horizon)
    truth = mean_of(mdp, to_go_of)
    np.testing.assert_allclose(truth, mean_of(mdp, plain), rtol=0, atol=1e-12)
    right, wrong = (all_of(shuffled_twice(in_its_order=it), mdp)[1] for it in (True, False))
    np.testing.assert_allclose(right.mean, truth, rtol=0, atol=1e-12)
    np.testing.assert_allclose(wrong.mean, mean_of(mdp, over_all_orders), rtol=0, atol=1e-12)
    assert np.linalg.norm(wrong.mean - truth) > 1e-3 * np.linalg.norm(truth)
    lengths = [len(steps) for _, steps in episodes(mdp, THETA)]
    assert right.shuffled
    assert right.runs == len(lengths)
    assert not wrong.shuffled
    assert wrong.runs == sum(math.factorial(length) ** 2 for length in lengths)


# Branches of which one shows late that orders matter.


def first_walk(function: AgentFunction, mdp: MDP) -> tuple[LocalAgent, Cut, list[Lot]]:
    """The runs that cut the tree of a loop that was not rehearsed, and those of its branches until one is anew."""
    agent = LocalAgent(function)
    agent.begin(mdp, rehearses=False)
    cut = agent.cut(10_000)
    lots = []
    for k, branch in enumerate(cut.branches):
        lots.append(agent.walk(branch, k, cut.before, 10_000))
        if lots[-1].anew:
            break
    return agent, cut, lots


@pytest.fixture
def uncut(monkeypatch: pytest.MonkeyPatch) -> None:
    """Few branches, so that the runs that cut the tree are few too."""
    monkeypatch.setattr(branches, "ENOUGH", 4)


@pytest.mark.usefixtures("uncut")
@pytest.mark.parametrize(("function", "of_episode"), [(unbiased, plain), (biased, rarely_shortened)])
def test_all_runs_begin_anew_where_a_branch_shows_that_orders_matter(
    mdp: MDP, function: Callable[[], AgentFunction], of_episode: OfEpisode
) -> None:
    agent, cut, lots = first_walk(function(), mdp)
    assert not cut.before.drawn
    assert cut.lot.runs > 1  # which count no more
    assert lots[-1].anew
    assert lots[-1].runs == 0
    again = agent.cut(10_000, drawn=True)
    assert again.before.drawn
    total = Lot.of(
        [again.lot, *(agent.walk(branch, k, again.before, 10_000) for k, branch in enumerate(again.branches))]
    )
    assert total.mass == pytest.approx(1, abs=1e-12)
    assert total.runs == len(total.probs)
    np.testing.assert_allclose(total.mean, mean_of(mdp, of_episode), rtol=0, atol=1e-12)


@pytest.mark.usefixtures("uncut")
def test_none_begin_anew_where_orders_make_no_difference(mdp: MDP) -> None:
    _, cut, lots = first_walk(shuffled_twice(in_its_order=True), mdp)
    total = Lot.of([cut.lot, *lots])
    assert len(lots) == len(cut.branches) > 1
    assert not total.anew
    assert total.shuffled
    assert total.mass == pytest.approx(1, abs=1e-12)


class Kept(LocalAgent):
    """An agent that keeps the lots which it has handed out."""

    def __init__(self, function: AgentFunction) -> None:
        super().__init__(function)
        self.lots: list[Lot] = []

    def walk(self, branch: Branch, number: int, before: Before, most: int) -> Lot:
        self.lots.append(super().walk(branch, number, before, most))
        return self.lots[-1]


@pytest.mark.usefixtures("uncut")
@pytest.mark.parametrize(("function", "verdict", "of_episode"), [
    (unbiased, "pass", plain), (biased, "fail", rarely_shortened),
])  # fmt: skip
def test_a_verdict_begins_anew_with_the_branches(
    mdp: MDP, monkeypatch: pytest.MonkeyPatch, function: Callable[[], AgentFunction], verdict: str,
    of_episode: OfEpisode,
) -> None:  # fmt: skip
    monkeypatch.setattr(agent_source, "TRIES", 1)
    source = Kept(function())
    found = verify_agent(source, [load_model("two_state", horizon=HORIZON)])
    assert found.verdict == verdict
    assert any(lot.anew for lot in source.lots)
    (finding,) = found.findings
    np.testing.assert_allclose(finding.expectation.mean, mean_of(mdp, of_episode), rtol=0, atol=1e-12)
    assert finding.relative_bias == pytest.approx(
        np.linalg.norm(mean_of(mdp, of_episode) - mean_of(mdp, plain)) / np.linalg.norm(mean_of(mdp, plain)), abs=1e-9
    )
