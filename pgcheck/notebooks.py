"""Results as notebooks show them: the view of the command line as HTML, and the picture of `--plot`.

Loaded by `displayed.Displayed` once a result is shown; matplotlib only where one is drawn.
"""

import logging
from collections.abc import Sequence
from functools import singledispatch
from typing import Any

from pgcheck.errors import UsageError
from pgcheck.estimators.assessment import Assessment
from pgcheck.estimators.comparison import Comparison
from pgcheck.estimators.convergence import Convergence
from pgcheck.estimators.sampled import SampledGradient
from pgcheck.exact.gradient import ExactGradient
from pgcheck.exact.table import GradientTable
from pgcheck.formats.modelfile import Model
from pgcheck.model.mdp import MDP
from pgcheck.model.policy import Policy
from pgcheck.model.softmax import TabularSoftmax
from pgcheck.report.convergence import convergence_blocks
from pgcheck.report.estimates import sample_view, sampled_blocks
from pgcheck.report.estimators import comparison_view
from pgcheck.report.gradients import exact_blocks, exact_view
from pgcheck.report.markup import blocks_html
from pgcheck.report.models import mdp_blocks, show_view
from pgcheck.report.verification import TONE, verdict_text, verification_view
from pgcheck.report.view import Block, Span, Styled
from pgcheck.report.words import headline, named
from pgcheck.trajectories.summary import summarize
from pgcheck.verification.verification import Verification

MOST_ROWS = 60  # of a table in a notebook


def html_of(result: object) -> str:
    """Returns a result as `<div class="pgcheck">`."""
    return f'<div class="pgcheck">{blocks_html(blocks_of(result), most_rows=MOST_ROWS)}</div>'


@singledispatch
def blocks_of(result: object) -> Sequence[Block]:
    """Returns what people are shown of a result."""
    raise TypeError(f"{type(result).__name__} has no view")


@blocks_of.register
def _(result: ExactGradient) -> Sequence[Block]:
    return exact_blocks(result)


@blocks_of.register
def _(result: GradientTable) -> Sequence[Block]:
    return exact_view(result).blocks


@blocks_of.register
def _(result: SampledGradient) -> Sequence[Block]:
    return sampled_blocks(result)


@blocks_of.register
def _(result: Assessment) -> Sequence[Block]:
    # The first block names the seed, which a generator does not tell.
    _, *blocks = sample_view(result, 0).blocks
    return [f"{headline(result.mdp, result.exact.trajectories)}; {named(result.estimator)}".rstrip("; "), *blocks]


@blocks_of.register
def _(result: Convergence) -> Sequence[Block]:
    return convergence_blocks(result)


@blocks_of.register
def _(result: Comparison) -> Sequence[Block]:
    _, *blocks = comparison_view(result, 0).blocks
    n = "" if result.accuracy is not None or not result.standings else f"; N = {result.standings[0].n:,}"
    return [headline(result.mdp, result.exact.trajectories) + n, *blocks]


@blocks_of.register
def _(result: Verification) -> Sequence[Block]:
    # The first block names the estimator, which a verification does not know.
    _, *blocks = verification_view("", result).blocks
    return [Styled((Span(verdict_text(result), TONE[result.verdict]),)), *blocks]


@blocks_of.register
def _(result: Model) -> Sequence[Block]:
    return show_view(summarize(result.mdp, result.policy, result.behavior)).blocks


@blocks_of.register
def _(result: MDP) -> Sequence[Block]:
    return mdp_blocks(result)


def picture_of(result: object, *more: Any) -> Any:
    """Returns the picture of a result.

    Args:
      result: what is to be drawn.
      more: of an MDP, a policy or None; of an exact gradient, its MDP; of a convergence, others.

    Raises:
      UsageError: matplotlib or networkx is not installed.
    """
    logging.getLogger("matplotlib").setLevel(logging.CRITICAL)  # what it says of its cache and of fonts that it lacks
    try:
        return _picture(result, *more)
    except ModuleNotFoundError as error:
        missing = (error.name or "").partition(".")[0]
        if missing not in ("matplotlib", "networkx", "fontTools"):
            raise
        raise UsageError(f"plot() needs {missing}; install it with: pip install 'pgcheck[plot]'") from None


@singledispatch
def _picture(result: object) -> Any:
    raise TypeError(f"{type(result).__name__} has no picture")


@_picture.register
def _(result: ExactGradient, mdp: MDP) -> Any:
    from pgcheck.report.plots.gradient import exact_picture

    return exact_picture(mdp, result)


@_picture.register
def _(result: GradientTable) -> Any:
    from pgcheck.report.plots.gradient import gradient_picture

    return gradient_picture(result)


@_picture.register
def _(result: Assessment) -> Any:
    from pgcheck.report.plots.sampled import sample_picture

    return sample_picture(result)


@_picture.register
def _(result: Convergence, *others: Convergence) -> Any:
    from pgcheck.report.plots.convergence import convergence_picture

    return convergence_picture([result, *others])


@_picture.register
def _(result: Comparison) -> Any:
    from pgcheck.report.plots.comparison import comparison_picture

    return comparison_picture(result)


@_picture.register
def _(result: Verification) -> Any:
    from pgcheck.report.plots.verification import verification_picture

    return verification_picture("the estimator", result)


@_picture.register
def _(result: Model) -> Any:
    from pgcheck.report.plots.graph import model_picture

    return model_picture(result.mdp, result.policy)


@_picture.register
def _(result: MDP, policy: Policy | None = None) -> Any:
    from pgcheck.report.plots.graph import model_picture

    return model_picture(result, policy or TabularSoftmax.of(result))
