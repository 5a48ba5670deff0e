"""Estimators side by side in a picture: the bias and the variance of the table, in its order."""

import numpy as np
import pytest

import pgcheck
from pgcheck.estimators.catalogue import ESTIMATORS, chosen
from pgcheck.estimators.comparison import Comparison, compare, plan

pytestmark = pytest.mark.plot


def compared(names: tuple[str, ...], model: str = "two_state") -> Comparison:
    mdp, policy = pgcheck.load(model)
    return compare(mdp, policy, [chosen(name) for name in names], 100, np.random.default_rng(0))


def test_marks_are_bias_and_variance_in_the_order_of_the_table() -> None:
    from pgcheck.report.plots.comparison import comparison_picture

    names = ("reinforce", "dropped-gamma", "gae", "mean-over-steps")
    comparison = compared(names)
    left, right = comparison_picture(comparison).axes
    assert [label.get_text() for label in left.get_yticklabels()] == list(names)
    traces = {round(float(line.get_ydata()[0])): float(line.get_xdata()[0]) for line in right.lines}
    assert [traces[k] for k in range(4)] == pytest.approx([standing.trace for standing in comparison.standings])
    biases = [float(line.get_xdata()[0]) for line in left.lines]
    assert biases[1] == pytest.approx(comparison.standings[1].bias)
    assert [text.get_text() for text in left.texts][0::2] == ["0", "0"]
    # What has no bias is an open mark at the edge, below every bias that is not 0.
    assert [line.get_markerfacecolor() for line in left.lines][0::2] == ["white", "white"]
    assert left.lines[1].get_markerfacecolor() != "white"
    assert max(biases[0::2]) < min(biases[1::2])
    assert (left.get_xscale(), right.get_xscale()) == ("log", "log")


def test_what_is_not_known_has_no_mark_and_what_is_sampled_a_tilde() -> None:
    from pgcheck.report.plots.comparison import comparison_picture

    unknown = comparison_picture(compared(("uniform-trajectories",), "frozen_lake"))
    left, _ = unknown.axes
    assert [text.get_text() for text in left.texts] == ["unknown"]
    assert "0 of 0 estimators biased, 1 unknown" in unknown.get_suptitle().replace("\n", " ")
    assert not left.lines
    picture = comparison_picture(compared(("reinforce", "normalised-returns"), "frozen_lake"))
    standings = compared(("reinforce", "normalised-returns"), "frozen_lake").standings
    marked = [text.get_text().startswith("~") for text in picture.axes[1].texts]
    assert marked == [standing.evidence == "sample" for standing in standings]
    assert any(marked)
    assert "~ estimated from a sample" in picture.get_suptitle().replace("\n", " ")


def test_a_plan_names_the_rollouts_beside() -> None:
    from pgcheck.report.plots.comparison import comparison_picture

    model = pgcheck.load("two_state")
    usable = [estimator for estimator in ESTIMATORS if not estimator.off_policy]
    result = plan(*model, usable, 0.05, np.random.default_rng(0))
    picture = comparison_picture(result)
    numbers = [label.get_text() for label in picture.axes[1].get_yticklabels()]
    known = [f"{standing.n:,}" for standing in result.standings if standing.n is not None]
    assert numbers[: len(known)] == known
    assert set(numbers[len(known) :]) == {"never"}
    # N = tr Σ / (0.05 ‖∇J‖)², for an estimator without a bias
    first = result.standings[0]
    assert first.n == np.ceil((first.trace or 0) / (0.05 * result.exact.norm) ** 2)
    assert "5 of" in picture.get_suptitle()
