"""Each bundled model against the known answer in its header, from a formula that is written out here."""

import json
import math
import re
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose

import pgcheck
from pgcheck import ExactGradient, exact_gradient
from pgcheck.formats import sources
from pgcheck.formats.schema import model_schema
from pgcheck.trajectories.counting import count_trajectories
from tests import oracles


def by_name(exact: ExactGradient) -> dict[tuple[str, ...], float]:
    return dict(zip(exact.parameters, exact.gradient.tolist(), strict=True))


def exact_of(model: str, **changes: float) -> ExactGradient:
    return exact_gradient(*pgcheck.load(model, **changes))  # type: ignore[arg-type]


@pytest.mark.parametrize("name", sources.bundled_names())
def test_a_bundled_model_says_what_it_is_whence_and_its_answer(name: str) -> None:
    header = re.match(r"(#.*\n)+", (sources.bundled_directory() / f"{name}.yaml").read_text())
    assert header is not None
    lines = header[0].splitlines()
    assert len(lines[0]) <= 62
    assert "Source:" in header[0]
    assert "Known answer" in header[0]


@pytest.mark.parametrize("name", sources.bundled_names())
def test_backward_induction_is_right_on_a_bundled_model(name: str) -> None:
    mdp, policy = pgcheck.load(name)
    exact = exact_gradient(mdp, policy, method="backward-induction")
    expected = oracles.complex_step(mdp, policy)
    assert_allclose(exact.gradient, expected, rtol=1e-9, atol=1e-12 * np.abs(expected).max())
    assert exact.value == pytest.approx(
        oracles.value(mdp, policy, [complex(x) for x in policy.theta]).real, rel=1e-12
    )


@pytest.mark.parametrize("name", sources.bundled_names())
def test_enumeration_is_right_on_a_bundled_model_of_horizon_3(name: str) -> None:
    mdp, policy = pgcheck.load(name, horizon=3)
    exact = exact_gradient(mdp, policy, method="enumeration")
    value, gradient, count, mass = oracles.recursion(mdp, policy)
    assert (exact.trajectories, count_trajectories(mdp)) == (count, count)
    assert mass == pytest.approx(1)
    assert exact.value == pytest.approx(value, rel=1e-12, abs=1e-15)
    assert_allclose(exact.gradient, gradient, rtol=1e-10, atol=1e-12 * max(1e-3, np.abs(gradient).max()))


def test_there_are_at_least_nine_models_and_two_state_comes_first() -> None:
    names = sources.bundled_names()
    assert len(names) >= 9
    assert names[0] == "two_state"
    count = exact_of("two_state").trajectories
    assert count is not None
    assert count < 100


def test_bandit_has_its_closed_form() -> None:
    mdp, policy = pgcheck.load("bandit")
    exact = exact_gradient(mdp, policy)
    rewards = np.array([1, 2, -0.5, 1.75])
    pi = policy.probs()[0]
    assert exact.value == pytest.approx(pi @ rewards)
    assert_allclose(exact.gradient, pi * (rewards - pi @ rewards), rtol=1e-12)


def test_short_corridor_has_its_closed_form() -> None:
    exact = exact_of("short_corridor")
    assert exact.value == pytest.approx(-12, rel=1e-12)  # -(4 - 2p) / (p (1 - p)) at p = 1/2
    assert_allclose(exact.gradient, [-2, 2], rtol=1e-12)  # dJ/dp = 8, dp/dtheta = p (1 - p)


def test_deep_sea_has_its_closed_form() -> None:
    exact = exact_of("deep_sea")
    assert exact.value == pytest.approx(2**-8 - 0.01 / 2)


def test_frozen_lake_has_gymnasiums_success_rate() -> None:
    assert exact_of("frozen_lake").value == pytest.approx(0.013939795959171435, rel=1e-12)
    short = exact_of("frozen_lake", horizon=8)
    assert (short.trajectories, short.method) == (82_581_088, "enumeration")
    assert short.value == pytest.approx(193 / 65536, rel=1e-12)
    assert short.agreement is not None
    assert short.agreement < 1e-15


def test_river_swim_has_its_rational_value() -> None:
    expected = 2746872413047547379582791 / 419430400000000000000000000
    assert exact_of("river_swim").value == pytest.approx(expected, rel=1e-12)


def test_value_polytope_has_its_closed_form() -> None:
    # V = (I - 0.9 P)^-1 r for the uniform policy.
    p = np.array([[0.7, 0.3], [0.99, 0.01], [0.2, 0.8], [0.99, 0.01]]).reshape(2, 2, 2).mean(axis=1)
    r = np.array([-0.45, -0.1, 0.5, 0.5]).reshape(2, 2).mean(axis=1)
    v = np.linalg.solve(np.eye(2) - 0.9 * p, r)
    mdp, _ = pgcheck.load("value_polytope")
    assert exact_of("value_polytope").value == pytest.approx(mdp.start @ v, abs=1e-6)


def test_random_walk_is_the_gamblers_ruin() -> None:
    exact = exact_of("random_walk")
    j = 1 / (1 + math.exp(-3 * 0.25))
    assert exact.value == pytest.approx(j, rel=1e-12)
    assert by_name(exact)["inside", "right"] == pytest.approx(3 * j * (1 - j), rel=1e-12)


def test_early_exit_ends_early_in_both_ways() -> None:
    mdp, _ = pgcheck.load("early_exit")
    assert mdp.done.any()
    assert not mdp.available.all()
    ways = {(s, a, t): set() for s, a, t in zip(mdp.state, mdp.action, mdp.next_state, strict=True)}  # type: ignore[var-annotated]
    for s, a, t, d in zip(mdp.state, mdp.action, mdp.next_state, mdp.done, strict=True):
        ways[s, a, t].add(bool(d))
    entered = {t: set.union(*(w for (_, _, u), w in ways.items() if u == t)) for _, _, t in ways}
    assert {False, True} in entered.values()


def test_models_load_by_name_from_anywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "bandit").mkdir()  # a folder of that name does not stand in the way
    assert pgcheck.load("bandit")[0].name == "bandit"
    assert pgcheck.load("two-state")[0].name == "two-state"


def test_editors_find_the_schema_beside_the_models() -> None:
    folder = sources.bundled_directory()
    assert json.loads((folder / "model.schema.json").read_text()) == model_schema()
    for name in sources.bundled_names():
        text = (folder / f"{name}.yaml").read_text()
        assert "\n# yaml-language-server: $schema=model.schema.json\n" in text


def stop_or_go(name: str, go: str, rows: int, length: int) -> float:
    """J of rows of states in which one goes on, or stops and so ends the episode, from the outcomes alone."""
    mdp, policy = pgcheck.load(name)
    p = 1 / (1 + math.exp(-policy.theta[0]))
    mean = np.zeros((mdp.num_states, 2))
    np.add.at(mean, (mdp.state, mdp.action), mdp.prob * mdp.reward)
    by_action = mean[:, mdp.actions.index(go)], mean[:, 1 - mdp.actions.index(go)]
    total = 0.0
    for row in range(rows):
        value = 0.0
        for i in reversed(range(row * length, (row + 1) * length)):
            value = p * (by_action[0][i] + mdp.gamma * value) + (1 - p) * by_action[1][i]
        total += value / rows
    return total


@pytest.mark.parametrize(("name", "rows", "length"), [("long_chain", 1, 24), ("forty_rooms", 4, 10)])
def test_the_models_that_reach_far_have_their_recursion(name: str, rows: int, length: int) -> None:
    exact = exact_of(name)
    assert exact.value == pytest.approx(stop_or_go(name, "go", rows, length), rel=1e-12)
    header = (sources.bundled_directory() / f"{name}.yaml").read_text()
    written = re.search(r"J = (?:V_0 = )?(-?[0-9.]+\d)", header)
    assert written is not None
    assert exact.value == pytest.approx(float(written[1]), rel=1e-11)
