"""`--observe memoryless`: the gradient of a policy that sees observations, against all histories, from T, O and R."""

import cmath
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose
from numpy.typing import NDArray

from pgcheck import TooLargeError, exact_gradient, load
from pgcheck.formats.loading import load_model
from pgcheck.model.softmax import TabularSoftmax

FOLDER = Path(__file__).parent / "pomdp"
Floats = NDArray[np.float64]


def written(moves: Floats, shows: Floats, pays: Floats, start: Floats) -> str:
    """A file of these tables: T [A, S, S], O [A, S, O], R [A, S, S, O]."""
    lines = [f"discount: 0.9\nstates: {moves.shape[1]}\nactions: {moves.shape[0]}\nobservations: {shows.shape[2]}"]
    lines.append("start: " + " ".join(map(repr, start.tolist())))
    for a in range(moves.shape[0]):
        lines.append(f"T: {a}\n" + " ".join(map(repr, moves[a].ravel().tolist())))
        lines.append(f"O: {a}\n" + " ".join(map(repr, shows[a].ravel().tolist())))
        for s in range(moves.shape[1]):
            lines.append(f"R: {a} : {s}\n" + " ".join(map(repr, pays[a, s].ravel().tolist())))
    return "\n".join(lines)


def expectation(
    moves: Floats,
    shows: Floats,
    pays: Floats,
    gamma: float,
    logits: dict[str, list[complex]],
    s: int,
    seen: str,
    left: int,
) -> complex:
    """The mean return from a state, with this observation seen last, over all that can follow."""
    if not left:
        return 0
    odds = [cmath.exp(x) for x in logits[seen]]
    total: complex = 0
    for a, t, o in np.argwhere(moves[:, s, :, None] * shows > 0).tolist():
        after = expectation(moves, shows, pays, gamma, logits, t, str(o), left - 1)
        total += odds[a] / sum(odds) * moves[a, s, t] * shows[a, t, o] * (pays[a, s, t, o] + gamma * after)
    return total


@pytest.mark.parametrize("depends", [True, False])
def test_the_gradient_is_that_over_all_histories(tmp_path: Path, depends: bool) -> None:
    rng = np.random.default_rng(7)
    moves = rng.dirichlet([1, 1], (2, 2))
    shows = rng.dirichlet([1, 1, 1], (2, 2))
    if not depends:
        shows[1] = shows[0]
    pays = rng.normal(size=(2, 2, 2, 3))
    start = np.array([0.3, 0.7])
    path = tmp_path / "m.POMDP"
    path.write_text(written(moves, shows, pays, start))
    model = load_model(path, observe="memoryless", horizon=3)
    said = "before the first action it sees start" if depends else "the first one is drawn as any other"
    assert said in model.notes[0]
    assert "mean" not in model.notes[0]
    seen = model.mdp.observations
    assert set(seen) == {"0", "1", "2", *(["start"] if depends else [])}
    theta = rng.normal(size=(len(seen), 2))
    preferences = {(sight, action): float(theta[i, int(action)]) for i, sight in enumerate(seen) for action in "01"}
    policy = TabularSoftmax.of(model.mdp, preferences)
    order = [policy.parameters.index(pair) for pair in preferences]

    def value(logits: NDArray[np.complex128]) -> complex:
        table = {sight: row.tolist() for sight, row in zip(seen, logits, strict=True)}
        firsts = (
            [(s, "start", 1.0) for s in (0, 1)]
            if depends
            else [(s, str(o), shows[0, s, o]) for s in (0, 1) for o in range(3)]
        )
        terms = [start[s] * p * expectation(moves, shows, pays, 0.9, table, s, o, 3) for s, o, p in firsts]
        return complex(sum(terms))

    expected = np.zeros(theta.shape)
    for place in np.ndindex(*theta.shape):
        step = theta.astype(complex)
        step[place] += 1e-30j
        expected[place] = value(step).imag / 1e-30
    gradient = exact_gradient(model.mdp, policy)
    assert_allclose(gradient.value, value(theta.astype(complex)).real, rtol=1e-12)
    assert_allclose(np.ravel(gradient.gradient)[order], expected.ravel(), rtol=1e-10, atol=1e-13)
    mean, _ = load(path, horizon=3)  # the state's policy is another
    assert mean.num_states == 2


def test_pairs_that_cannot_occur_are_left_out() -> None:
    mdp, _ = load(FOLDER / "maze.POMDP", observe="memoryless")
    assert mdp.states == ("west/wall", "middle/floor", "east/wall", "goal/end")
    assert mdp.terminal.tolist() == [False, False, False, True]
    mdp, _ = load(FOLDER / "growl.POMDP", observe="memoryless")
    assert mdp.states == (
        "tiger-left/growl-left", "tiger-left/growl-right", "tiger-left/start",
        "tiger-right/growl-left", "tiger-right/growl-right", "tiger-right/start",
    )  # fmt: skip
    assert mdp.start.tolist() == [0, 0, 0.5, 0, 0, 0.5]


def test_the_first_state_is_named_without_its_observation() -> None:
    mdp, _ = load(FOLDER / "growl.POMDP", observe="memoryless", start="tiger-right")
    assert mdp.states[int(np.argmax(mdp.start))] == "tiger-right/start"
    assert "tiger-left/start" not in mdp.states
    mdp, _ = load(FOLDER / "growl.POMDP", observe="memoryless", start="uniform")
    assert mdp.start.tolist() == [0, 0, 0.5, 0, 0, 0.5]


def test_a_rest_is_terminal_whatever_is_observed_there(tmp_path: Path) -> None:
    path = tmp_path / "m.POMDP"
    text = (
        "states: on off\nactions: go\nobservations: y n\nvalues: reward\nstart: on\n"
        "T: go : on 0.5 0.5\nT: go : off : off 1\nO: go uniform\nR: go : on : * : * 1\n"
    )
    path.write_text(text)
    model = load_model(path, observe="memoryless")  # gamma 1: it ends
    assert "1 absorbing state without rewards is terminal (off)" in model.notes[0]
    assert [s for s, t in zip(model.mdp.states, model.mdp.terminal, strict=True) if t] == ["off/y", "off/n"]
    path.write_text(text + "R: go : off : off : y 1\nR: go : off : off : n -1\n")
    with pytest.raises(TooLargeError, match="no episode ends"):  # it pays, if nothing on average
        load(path, observe="memoryless")


def test_rows_that_are_rounded_differently_are_the_same_row(tmp_path: Path) -> None:
    moves, shows = np.full((2, 2, 2), 0.5), np.full((2, 2, 3), 1 / 3)
    shows[1] = [0.33333, 0.33333, 0.33333]
    path = tmp_path / "m.POMDP"
    path.write_text(written(moves, shows, np.zeros((2, 2, 2, 3)), np.array([1.0, 0.0])))
    model = load_model(path, observe="memoryless", horizon=3)
    assert "the first one is drawn as any other" in model.notes[0]
    assert model.mdp.start.tolist() == pytest.approx([1 / 3, 1 / 3, 1 / 3, 0, 0, 0], rel=1e-12)
