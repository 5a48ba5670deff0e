"""The error against N in a picture: the numbers of the result, and what theory says beside them."""

import numpy as np
import pytest

import pgcheck
from pgcheck.estimators.convergence import Convergence
from tests.conftest import Run
from tests.report.plots.svg import Drawn

pytestmark = pytest.mark.plot


def result_of(name: str = "reinforce", model: str = "two_state", n: tuple[int, ...] = (10, 100, 1000)) -> Convergence:
    return pgcheck.converge(*pgcheck.load(model), n=n, replicates=4, estimator=name)


def test_marks_are_the_measured_errors_and_the_line_the_expected_ones() -> None:
    from pgcheck.report.plots.convergence import convergence_picture

    result = result_of("dropped-gamma")
    (axes,) = convergence_picture([result]).axes
    expected, bias, measured = axes.lines
    assert np.asarray(measured.get_xdata()).tolist() == [10, 100, 1000]
    assert np.asarray(measured.get_ydata()).tolist() == [row.error for row in result.rows]
    assert measured.get_linestyle() == "None"
    limit = result.limit
    assert limit is not None
    # The formula itself: √(tr Σ/N + ‖bias‖²), from the covariance and the mean of the estimator.
    away = np.linalg.norm(limit.mean - result.exact.gradient)
    n = np.asarray(expected.get_xdata(), dtype=float)
    assert np.asarray(expected.get_ydata()) == pytest.approx(np.sqrt(limit.variance.sum() / n + away**2))
    assert np.asarray(bias.get_ydata()) == pytest.approx([away, away])
    assert [text.get_text() for text in axes.texts] == ["bias of dropped-gamma"]
    (band,) = axes.collections
    ys = band.get_paths()[0].vertices[:, 1]
    assert ys.min() < away
    assert (axes.get_xscale(), axes.get_yscale()) == ("log", "log")


def test_without_a_bias_there_is_no_line_of_it() -> None:
    from pgcheck.report.plots.convergence import convergence_picture

    (axes,) = convergence_picture([result_of()]).axes
    assert len(axes.lines) == 2
    assert not axes.texts


def test_several_estimators_have_marks_and_dashes_of_their_own() -> None:
    from pgcheck.report.plots.convergence import convergence_picture

    names = ("reinforce", "reward-to-go", "gae", "mean-over-steps")
    picture = convergence_picture([result_of(name) for name in names])
    (axes,) = picture.axes
    measured = [line for line in axes.lines if line.get_linestyle() == "None"]
    assert len({line.get_marker() for line in measured}) == 4
    assert len({line.get_color() for line in measured}) == 4
    legend = axes.get_legend()
    assert legend is not None
    assert [text.get_text().split(" (")[0] for text in legend.get_texts()] == [*names, "95 % band"]
    assert "mean-over-steps stalls" in picture.get_suptitle().replace("\n", " ")


def test_an_error_of_0_has_no_place_on_a_logarithmic_axis() -> None:
    from pgcheck.report.plots.convergence import convergence_picture

    mdp = pgcheck.MDP.from_arrays(np.ones((1, 2, 1)), [1.0], horizon=1)
    nothing = pgcheck.converge(mdp, pgcheck.TabularSoftmax.of(mdp), n=[10, 100], estimator="advantage")
    assert nothing.rate == "no-error"
    texts = Drawn(convergence_picture([nothing])._repr_svg_()).texts
    assert "the error is 0 at every N" in texts


def test_seventeen_estimators_fit(run: Run, tmp_path: object) -> None:
    from pathlib import Path

    from pgcheck.estimators.catalogue import NAMES

    done = run("converge", "--n", "10,100", "--estimator", ",".join(NAMES), "--plot", "a.svg", "--quiet")
    assert (done.returncode, done.stderr) == (0, "")
    drawn = Drawn(Path(str(tmp_path), "a.svg").read_bytes())
    for name in NAMES:
        assert any(text.startswith(name) for text in drawn.texts)
