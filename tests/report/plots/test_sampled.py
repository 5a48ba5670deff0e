"""An estimate in pictures: P(τ) beside n(τ)/N, and ĝ beside ∇J, both as the result has them."""

import numpy as np
import pytest

import pgcheck
from pgcheck.estimators.assessment import Assessment, assess

pytestmark = pytest.mark.plot


def assessed(top: int | None) -> Assessment:
    return assess(*pgcheck.load("two_state"), 500, np.random.default_rng(3), top=top)


def test_bars_are_probabilities_and_marks_are_frequencies() -> None:
    from pgcheck.report.plots.sampled import sample_picture

    result = assessed(5)
    left, right = sample_picture(result).axes
    assert [bar.get_width() for bar in left.patches] == [drawn.trajectory.probability for drawn in result.likely]
    (marks,) = left.lines
    shares = np.asarray(marks.get_xdata())
    assert shares.tolist() == [drawn.frequency for drawn in result.likely]
    assert shares * 500 == pytest.approx(np.rint(shares * 500))
    # By hand: from right, P(move) = 1/(1 + e^0.1), and half of the episodes begin there.
    assert left.patches[0].get_width() == pytest.approx(0.5 / (1 + np.exp(0.1)))
    assert left.get_yticklabels()[0].get_text() == "right move > goal"
    wrong = [line for line in right.lines if line.get_marker() == "X"]
    assert np.asarray(wrong[0].get_xdata()) == pytest.approx(result.unweighted)


def test_error_bars_are_two_sided_95_percent() -> None:
    from pgcheck.report.plots.sampled import sample_picture

    result = assessed(None)
    (axes,) = sample_picture(result).axes
    (bars,) = axes.collections
    ends = np.array([segment[:, 0] for segment in bars.get_segments()])
    assert result.std_error is not None
    assert ends.mean(axis=1) == pytest.approx(result.sampled.estimate)
    assert ends[:, 1] - ends[:, 0] == pytest.approx(2 * 1.96 * result.std_error)
    assert not axes.patches
