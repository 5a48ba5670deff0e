"""Each known deviation of a training loop is named, and no other; the right twin passes."""

import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose

from pgcheck.external.agent_source import AgentSource
from pgcheck.formats.loading import load_model
from pgcheck.model.mdp import MDP
from pgcheck.verification.loop_verdict import verify_agent
from pgcheck.verification.verification import Verification
from tests.verification import loops
from tests.verification.loops import Step, softmax
from tests.verification.remembering import remembered

pytestmark = pytest.mark.gymnasium

ONE = ["two_state"]


def verified(source: AgentSource, models: Any = None, **options: Any) -> Verification:
    return verify_agent(source, models, **options)


def ids(verification: Verification) -> list[str]:
    return [diagnosis.id for diagnosis in verification.diagnosis]


RIGHT: dict[str, tuple[dict[str, Any], Any]] = {
    "γ^t G_t": ({}, None),
    "less a value of the state": ({"weights": loops.baselined}, None),
    "two episodes": ({"episodes": 2}, ONE),
    # Those that end within the buffer are exchangeable, and any episode ends within it.
    "episodes under way are left out of a long buffer": ({"steps": 4, "ended_only": True}, ONE),
}

WRONG: dict[str, tuple[dict[str, Any], Any, list[str]]] = {
    "γ^t": ({"weights": loops.dropped_gamma}, None, ["dropped-gamma"]),
    "γ": ({"weights": loops.undiscounted}, None, ["undiscounted", "dropped-gamma"]),
    "over L": ({"weights": loops.over_own_length}, None, ["length-normalised"]),
    "over L of two": ({"weights": loops.over_own_length, "episodes": 2}, ONE, ["length-normalised"]),
    "sign": ({"weights": loops.minus}, ONE, ["sign"]),
    "factor": ({"weights": loops.times_constant}, ONE, ["scale"]),
    "sum": ({"episodes": 2, "over": "nothing"}, ONE, ["scale"]),
    "steps": ({"episodes": 2, "over": "steps"}, ONE, ["length-normalised"]),
    "horizon": ({"over": "horizon"}, None, ["length-normalised"]),
    "γ^t and steps": (
        {"weights": loops.dropped_gamma, "episodes": 2, "over": "steps"}, ONE, ["dropped-gamma", "length-normalised"],
    ),
    "leak": ({"weights": loops.leaking, "episodes": 2}, ONE, ["leaks-between-episodes", "dropped-gamma"]),
    "mean of the run": (
        {"weights": loops.centred_over_run, "episodes": 2}, ONE, ["action-dependent-baseline", "dropped-gamma"],
    ),
    "standardised": ({"weights": loops.standardised}, ONE, ["nonlinear", "dropped-gamma"]),
    "standardised over two": (
        {"weights": loops.standardised, "episodes": 2}, ONE, ["nonlinear", "dropped-gamma"],
    ),
    "squared": ({"weights": loops.squared}, ONE, ["nonlinear"]),
    "entropy": ({"entropy": 0.01}, None, ["regulariser"]),
    "entropy, one model": ({"entropy": 0.01}, ONE, ["regulariser"]),
    "entropy subtracted": ({"entropy": -0.01}, None, ["sign"]),
    "weight decay": ({"decay": 0.02}, None, ["regulariser"]),
    "three at once": (
        {"weights": loops.dropped_gamma, "entropy": 0.01, "over": "steps"},
        ONE,
        ["dropped-gamma", "length-normalised", "regulariser"],
    ),
    "exploration": ({"explore": 0.1}, ONE, ["ratio"]),
    "window": ({"steps": 4}, ONE, ["window"]),
    "window over steps": (
        {"weights": loops.dropped_gamma, "steps": 4, "over": "steps"}, ONE, ["dropped-gamma", "window", "scale"],
    ),
    "episodes under way": ({"steps": 2, "ended_only": True}, ONE, ["cut-episodes-dropped"]),
    "until enough steps": ({"until": 4}, ONE, ["window"]),
    "until enough steps, summed": ({"until": 4, "over": "nothing"}, ONE, ["scale"]),
}  # fmt: skip


@pytest.mark.parametrize("name", RIGHT)
def test_a_right_loop_passes(name: str) -> None:
    options, models = RIGHT[name]
    verification = verified(remembered(**options), models)
    assert (verification.verdict, ids(verification)) == ("pass", [])


# Of two episodes each, with some hundred runs.
SLOW = (
    "standardised over two", "until enough steps", "until enough steps, summed", "over L of two", "sum",
    "γ^t and steps", "mean of the run",
)  # fmt: skip


@pytest.mark.parametrize("name", [pytest.param(it, marks=[pytest.mark.slow] * (it in SLOW)) for it in WRONG])
def test_a_deviation_is_named_and_no_other(name: str) -> None:
    options, models, expected = WRONG[name]
    verification = verified(remembered(**options), models)
    assert (verification.verdict, ids(verification)) == ("fail", expected)
    assert all(diagnosis.certain for diagnosis in verification.diagnosis)


@pytest.mark.parametrize(
    "name", ["γ^t and steps", "three at once", "exploration", "window over steps", "standardised"]
)
def test_deviations_are_accepted_if_all_of_them_are_allowed(name: str) -> None:
    options, models, expected = WRONG[name]
    agent = remembered(**options)
    assert verified(agent, models, allow=expected).verdict == "pass"
    for left_out in expected:
        others = [it for it in expected if it != left_out]
        assert verified(agent, models, allow=others).verdict == "fail"


def test_what_has_no_name_is_not_accepted_whatever_is_allowed() -> None:
    every = sorted({name for _, _, names in WRONG.values() for name in names})
    verification = verified(remembered(weights=loops.squared), ONE, allow=every)
    assert verification.verdict == "fail"


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"weights": loops.times_constant}, 0.37),
        ({"weights": loops.dropped_gamma, "episodes": 2, "over": "nothing"}, 2.0),
        pytest.param(
            {"weights": loops.dropped_gamma, "episodes": 2, "over": "horizon"}, 1 / 3, marks=pytest.mark.slow
        ),
    ],
)
def test_a_positive_factor_needs_no_name_up_to_scale(options: dict[str, Any], expected: float) -> None:
    verification = verified(remembered(**options), ONE, up_to_scale=True, allow=["dropped-gamma"])
    assert verification.verdict == "pass"
    assert verification.scale == pytest.approx(expected)
    assert not {"scale", "length-normalised"} & set(ids(verification))


def test_a_factor_beside_a_mistake_is_told_by_other_rewards_where_few_numbers_tell() -> None:
    agent, names = remembered(weights=loops.times_constant_without_gamma), ["dropped-gamma", "scale"]
    verification = verified(agent, ONE)
    assert (verification.verdict, ids(verification)) == ("fail", names)
    assert all(diagnosis.certain for diagnosis in verification.diagnosis)
    assert verified(agent, ONE, allow=names).verdict == "pass"
    assert verified(agent, ONE, allow=names[:1]).verdict == "fail"


def test_what_has_no_name_comes_with_its_figures() -> None:
    verification = verified(remembered(weights=loops.growing), ONE)
    (diagnosis,) = verification.diagnosis
    (finding,) = verification.findings
    assert diagnosis.id == "other"
    assert f"{finding.scale:.4g} times" in diagnosis.text
    assert f"cosine {finding.cosine:.4f}" in diagnosis.text


def test_minus_the_gradient_fails_up_to_scale() -> None:
    assert verified(remembered(weights=loops.minus), ONE, up_to_scale=True).verdict == "fail"


@pytest.mark.parametrize(
    ("coefficient", "options"),
    [
        (0.01, {"entropy": 0.01}),
        (0.02, {"decay": 0.02}),
        pytest.param(0.3, {"entropy": 0.3}, marks=pytest.mark.slow),
    ],
)
def test_the_coefficient_of_a_term_is_found(coefficient: float, options: dict[str, Any]) -> None:
    (diagnosis,) = verified(remembered(**options)).diagnosis
    assert dict(diagnosis.figures)["coefficient"] == pytest.approx(coefficient, rel=1e-6)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_gradients_that_are_no_numbers_come_with_their_probability_and_what_they_have_in_common() -> None:
    verification = verified(remembered(weights=loops.standardised_by_torch), ONE)
    (diagnosis,) = verification.diagnosis
    mdp = load_model("two_state").mdp
    probability = sum(prob for prob, run in runs_of(mdp, 1, None, theta_of(mdp)) if len(run[0]) == 1)
    assert diagnosis.id == "nan"
    assert dict(diagnosis.figures) == {"prob": pytest.approx(probability), "inputs": ("one-step",)}


def test_exploration_says_which_action_and_both_probabilities() -> None:
    verification = verified(remembered(explore=0.1), ONE)
    figures = dict(verification.diagnosis[0].figures)
    mdp = verification.findings[0].mdp
    pi = softmax(theta_of(mdp)[mdp.states.index(str(figures["state"]))])[mdp.actions.index(str(figures["action"]))]
    assert figures["prob"] == pytest.approx(pi)
    assert figures["drawn"] == pytest.approx(0.9 * pi + 0.1 / 2)


@pytest.mark.parametrize("name", ["γ^t and steps", "leak", "standardised", "window over steps", "until enough steps"])
def test_the_expectation_is_the_sum_over_all_runs(name: str) -> None:
    options, models, _ = WRONG[name]
    (finding,) = verified(remembered(**options), models).findings
    mdp, theta = finding.mdp, theta_of(finding.mdp)
    total = np.zeros_like(theta)
    for prob, run in runs_of(mdp, options.get("episodes", 1), options.get("steps"), theta, options.get("until")):
        weights = options.get("weights", loops.right)(run, mdp.gamma)
        each = np.zeros_like(theta)
        for it, w in zip(itertools.chain(*run), itertools.chain(*weights), strict=True):
            each[it.state] -= w * softmax(theta[it.state])
            each[it.state, it.action] += w
        total += prob * each / (len(run) if options.get("over") is None else sum(map(len, run)))
    assert_allclose(finding.expectation.mean, total.ravel(), rtol=1e-10, atol=1e-12)


def theta_of(mdp: MDP) -> Any:
    size = len(mdp.observations) * mdp.num_actions
    return np.linspace(-0.4, 0.5, size).reshape(-1, mdp.num_actions) ** 2


def runs_of(
    mdp: MDP, episodes: int, steps: int | None, theta: Any, until: int | None = None
) -> Iterator[tuple[float, list[list[Step]]]]:
    """All runs with their probabilities, by plain recursion over the model's arrays."""

    def following(prob: float, run: list[list[Step]], state: int) -> Iterator[tuple[float, list[list[Step]]]]:
        for k in np.flatnonzero(mdp.state == state).tolist():
            action, after = int(mdp.action[k]), int(mdp.next_state[k])
            t = len(run[-1])
            ended = bool(mdp.done[k] or mdp.terminal[after])
            limited = not ended and t + 1 == mdp.horizon
            step = Step(state, action, float(mdp.reward[k]), after, ended or limited, limited, t)
            longer = [*run[:-1], [*run[-1], step]]
            p = prob * float(softmax(theta[state])[action] * mdp.prob[k])
            total = sum(map(len, longer))
            if steps is not None:
                is_over = total == steps
            else:
                enough = total >= until if until is not None else len(longer) == episodes
                is_over = step.done and enough
            if is_over:
                yield p, longer
            elif step.done:
                yield from begun(p, longer)
            else:
                yield from following(p, longer, after)

    def begun(prob: float, run: list[list[Step]]) -> Iterator[tuple[float, list[list[Step]]]]:
        for state in np.flatnonzero(mdp.start).tolist():
            yield from following(prob * float(mdp.start[state]), [*run, []], state)

    yield from begun(1.0, [])
