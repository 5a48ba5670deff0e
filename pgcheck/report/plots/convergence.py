"""The error against N, in a picture: both axes logarithmic, with what theory expects."""

from collections.abc import Sequence

from pgcheck.estimators.convergence import Convergence
from pgcheck.report.plots.picture import COLOURS, DASHES, MARKS, Picture, logarithmic, panels, style


def convergence_picture(results: Sequence[Convergence]) -> Picture:
    """Returns ‖ĝ_N − ∇J‖ against N for one or more estimators on one model."""
    with style():
        picture, (axes,) = panels()
        for k, result in enumerate(results):
            colour, mark = COLOURS[k % len(COLOURS)], MARKS[k % len(MARKS)]
            rows = [row for row in result.rows if row.error > 0]
            axes.plot(
                [row.n for row in rows], [row.error for row in rows],
                marker=mark, color=colour, linestyle=DASHES[k % len(DASHES)], label=result.estimator.name,
            )  # fmt: skip
        logarithmic(axes)
        axes.set(xlabel="rollouts N", ylabel="||error||")
        axes.grid(True)
        axes.legend()
    return picture
