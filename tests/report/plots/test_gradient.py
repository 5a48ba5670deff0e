"""∇J in a picture: the numbers of the result, at their place, with their names."""

import numpy as np
import pytest

import pgcheck
from pgcheck.exact.table import GradientTable, gradient_table
from pgcheck.formats.modelfile import Model

pytestmark = pytest.mark.plot

# J of two_state, from the tables of its file alone: the derivative by a central difference is the gradient.
STEP = 1e-5
MOVE, STAY = {"left": -0.2, "right": 0.0}, {"left": 0.3, "right": 0.1}


def value(theta: dict[tuple[str, str], float]) -> float:
    """J of two_state by hand: three steps, γ = 0.9."""
    p, q = (
        1 / (1 + np.exp(theta[state, "stay"] - theta[state, "move"])) for state in ("left", "right")
    )  # fmt: skip
    left = right = 0.0
    for _ in range(3):
        left, right = (
            (1 - 0.8 * p) * 0.9 * left + 0.8 * p * (1 + 0.9 * right), (1 - q) * (0.5 + 0.9 * right) + 2 * q
        )  # fmt: skip
    return float(left + right) / 2


def by_differences() -> dict[tuple[str, str], float]:
    theta = {(s, a): table[s] for a, table in (("move", MOVE), ("stay", STAY)) for s in table}
    return {
        key: (value({**theta, key: theta[key] + STEP}) - value({**theta, key: theta[key] - STEP})) / (2 * STEP)
        for key in theta
    }


def table_of(name: str) -> GradientTable:
    return gradient_table(*pgcheck.load(name))


def test_each_cell_has_the_number_of_its_state_and_action() -> None:
    from pgcheck.report.plots.gradient import gradient_picture

    axes = gradient_picture(table_of("two_state")).axes[0]
    rows = [label.get_text() for label in axes.get_yticklabels()]
    columns = [label.get_text() for label in axes.get_xticklabels()]
    assert (rows, columns) == (["left", "right"], ["stay", "move"])
    right = by_differences()
    seen = {}
    for text in axes.texts:
        x, y = text.get_position()
        seen[rows[int(y)], columns[int(x)]] = float(text.get_text().replace("−", "-"))
    assert set(seen) == set(right)
    for key, number in seen.items():
        assert number == pytest.approx(right[key], abs=6e-4)  # three digits
    colours = {patch.get_gid(): patch.get_facecolor() for patch in axes.patches}
    assert len(colours) == 4
    red, _, blue, _ = colours["cell-0-1"]  # moving left to right is good: blue
    assert blue > red
    red, _, blue, _ = colours["cell-0-0"]
    assert red > blue


def test_of_a_large_model_the_greatest_states_are_shown_and_the_title_says_so() -> None:
    from pgcheck.report.plots.gradient import gradient_picture

    table = table_of("forty_rooms")
    picture = gradient_picture(table)
    rows = [label.get_text() for label in picture.axes[0].get_yticklabels()]
    norms: dict[str, float] = {}
    for (state, _), g in zip(table.exact.parameters, table.exact.gradient.tolist(), strict=True):
        norms[state] = norms.get(state, 0.0) + g**2
    left_out = set(norms) - set(rows)
    assert len(rows) == 30
    assert max(norms[state] for state in left_out) <= min(norms[state] for state in rows)
    assert picture.get_suptitle().replace("\n", " ").endswith("the 30 states with the greatest gradient, of 40")
    assert "of 40" not in gradient_picture(table_of("frozen_lake")).get_suptitle()


def test_an_action_that_is_not_there_is_hatched() -> None:
    from pgcheck.report.plots.gradient import gradient_picture

    transitions = np.zeros((2, 2, 2))
    transitions[0, :, 1] = transitions[1, 0, 0] = 1  # the second state has one action
    mdp = pgcheck.MDP.from_arrays(transitions, [1.0, 2.0], horizon=3)
    picture = gradient_picture(gradient_table(mdp, pgcheck.TabularSoftmax.of(mdp)))
    hatched = [patch.get_gid() for patch in picture.axes[0].patches if patch.get_hatch()]
    assert hatched == ["cell-1-1"]
    assert "hatched: not available" in picture.get_suptitle()
    assert "hatched" not in gradient_picture(table_of("two_state")).get_suptitle()


def test_a_linear_policy_has_a_bar_for_each_parameter() -> None:
    from pgcheck.report.plots.gradient import gradient_picture

    table = table_of("short_corridor_linear")
    axes = gradient_picture(table).axes[0]
    widths = [patch.get_width() for patch in axes.patches]
    assert widths == pytest.approx(table.exact.gradient.tolist())
    assert [label.get_text() for label in axes.get_yticklabels()] == ["w1", "w2"]


def test_a_model_without_an_action_has_a_picture_too() -> None:
    from pgcheck.report.plots.gradient import gradient_picture

    mdp = pgcheck.MDP.from_arrays(np.zeros((1, 1, 1)), [0.0], horizon=1, terminal=[0])
    picture = gradient_picture(gradient_table(mdp, pgcheck.TabularSoftmax.of(mdp)))
    assert picture._repr_svg_().startswith("<svg")


def test_what_has_both_a_model_and_a_gradient_is_drawn_alike(two_state: Model) -> None:
    from pgcheck.report.plots.gradient import exact_picture, gradient_picture

    table = table_of("two_state")
    assert exact_picture(table.mdp, table.exact)._repr_svg_() == gradient_picture(table)._repr_svg_()
