"""What stands in a page: the results of a report in words, tables and pictures, ready for the template."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from pgcheck.errors import PgcheckError
from pgcheck.estimators.assessment import Assessment
from pgcheck.estimators.comparison import Comparison
from pgcheck.estimators.convergence import Convergence
from pgcheck.estimators.mistakes.explanation import NOTATION
from pgcheck.report.convergence import convergence_blocks
from pgcheck.report.estimates import size_text
from pgcheck.report.estimators import comparison_view
from pgcheck.report.gradients import exact_view
from pgcheck.report.html.gallery import Gallery, Shown
from pgcheck.report.html.markup import Html
from pgcheck.report.html.verdicts import Judged, anchor, judged_of
from pgcheck.report.markup import blocks_html
from pgcheck.report.models import show_view
from pgcheck.report.plots.comparison import comparison_picture
from pgcheck.report.plots.convergence import convergence_picture
from pgcheck.report.plots.gradient import gradient_picture
from pgcheck.report.plots.graph import model_picture
from pgcheck.report.plots.sampled import sample_picture
from pgcheck.report.view import Block, Column, Grid
from pgcheck.report.words import about, headline, in_names, known_digits, many, percent
from pgcheck.verification.dossier import Dossier

MOST_ROWS = 200  # of a table in a page
OPEN = 24  # rows of a table that is not folded


NOTHING = Html()


@dataclass(frozen=True)
class Commands:
    """The command lines that a page tells.

    Attributes:
      page: makes the page again.
      alone: checks each estimator alone, by its name.
    """

    page: str
    alone: Mapping[str, str]


@dataclass(frozen=True)
class Part:
    """A section's picture and text.

    Attributes:
      picture: None where there is nothing to draw.
      said: the text and the tables.
      errors: why something is missing.
      folded: whether the text is so long that only its heading is shown at first.
    """

    picture: Shown | None = None
    said: Html = NOTHING
    errors: tuple[str, ...] = ()
    folded: bool = False


@dataclass(frozen=True)
class Readings:
    """The two readings of a mean over rollouts, and how far each is off.

    Attributes:
      n, distinct: how many rollouts there were, and distinct trajectories among them.
      right, wrong: the error of each.
      table: P(τ) beside n(τ)/N.
      coverage: the share of the probability that the trajectories of the table have together.
    """

    n: str
    distinct: str
    right: str
    wrong: str
    table: Html
    coverage: str


@dataclass(frozen=True)
class Content:
    """All that the template puts into a page."""

    name: str
    headline: str
    figures: tuple[tuple[str, str], ...]
    on_battery: bool
    verdicts: tuple[Judged, ...]
    notation: str
    model: Part
    gradient: Part
    rollouts: Part
    readings: Readings | None
    convergence: Part
    comparison: Part
    without_lines: tuple[tuple[str, str, str], ...]
    commands: Commands
    is_timed: bool
    seed: int
    versions: tuple[tuple[str, str], ...]
    digests: tuple[tuple[str, str], ...]
    model_text: str | None
    font: Html


def content_of(dossier: Dossier, commands: Commands) -> Content:
    """Returns what stands in the page of a report."""
    gallery = Gallery()
    mdp, exact = dossier.model.mdp, dossier.gradient.exact
    rollouts = dossier.rollouts
    parts = {
        "model": _model(dossier, gallery),
        "gradient": _gradient(dossier, gallery),
        "rollouts": _rollouts(rollouts, gallery),
        "convergence": _convergence(dossier, gallery),
        "comparison": _comparison(dossier.comparison, dossier.seed, gallery),
    }
    return Content(
        name=mdp.name,
        headline=headline(mdp, exact.trajectories),
        figures=_figures(dossier),
        on_battery=dossier.on_battery,
        verdicts=judged_of(dossier, gallery, commands.alone),
        notation=NOTATION,
        readings=None if isinstance(rollouts, PgcheckError) else _readings(rollouts),
        without_lines=tuple(_without_lines(dossier)),
        commands=commands,
        is_timed=dossier.is_timed,
        seed=dossier.seed,
        versions=dossier.provenance.versions,
        digests=dossier.provenance.digests,
        model_text=dossier.provenance.model,
        font=gallery.font,
        **parts,
    )


def _figures(dossier: Dossier) -> tuple[tuple[str, str], ...]:
    """The numbers that the summary shows, each after what it is."""
    mdp, exact = dossier.model.mdp, dossier.gradient.exact
    counted = "" if exact.trajectories is None else about(exact.trajectories)
    how = f"{counted} enumerated" if exact.method == "enumeration" else "backward induction"
    return (
        ("J(θ)", known_digits(exact.value, exact.value_rounding, 8)),
        ("‖∇J(θ)‖", known_digits(exact.norm, exact.rounding, 8)),
        ("parameters", f"{len(exact.gradient):,}"),
        ("exact by", how),
        ("rounding", f"at most {exact.rounding:.1e}"),
        *([("horizon", f"inf, cut at {many(mdp.horizon, 'step')}")] if mdp.is_endless else []),
    )


def _model(dossier: Dossier, gallery: Gallery) -> Part:
    view = show_view(dossier.summary)
    caption = (
        "The states, and the outcomes of each action: its probability and its reward, where they are not 1 and 0. "
        "The wider an arrow, the more often the policy takes the action."
    )
    picture = gallery.shown(model_picture(dossier.model.mdp, dossier.model.policy), caption)
    return Part(picture, Html(blocks_html(view.blocks, most_rows=MOST_ROWS)), folded=True)


def _gradient(dossier: Dossier, gallery: Gallery) -> Part:
    table = dossier.gradient
    picture = gallery.shown(gradient_picture(table), "∇J(θ) by component: how much J grows with each parameter.")
    _, *blocks = exact_view(table).blocks  # the first says which model it is
    said = Html(blocks_html(blocks, most_rows=MOST_ROWS))
    return Part(picture, said, folded=len(table.exact.gradient) > OPEN)


def _rollouts(rollouts: Assessment | PgcheckError, gallery: Gallery) -> Part:
    if isinstance(rollouts, PgcheckError):
        return Part(errors=(str(rollouts),))
    caption = "P(τ) beside n(τ)/N for the likeliest trajectories, and the estimate beside ∇J."
    return Part(gallery.shown(sample_picture(rollouts), caption))


def _readings(rollouts: Assessment) -> Readings:
    columns = Column("trajectory τ", right=False), *map(Column, ("P(τ)", "n(τ)", "n(τ)/N", "R(τ)"))
    cells = [
        (
            in_names(rollouts.mdp, drawn.trajectory), f"{drawn.trajectory.probability:.6g}", f"{drawn.count:,}",
            f"{drawn.frequency:.6g}", f"{drawn.trajectory.value:.6g}",
        )
        for drawn in rollouts.likely
    ]  # fmt: skip
    return Readings(
        f"{rollouts.sampled.n:,}",
        f"{rollouts.distinct or 0:,}",
        size_text(rollouts.discrepancy),
        "" if rollouts.unweighted_discrepancy is None else size_text(rollouts.unweighted_discrepancy),
        Html(blocks_html([Grid(columns, cells)])),
        percent(rollouts.coverage),
    )


def _convergence(dossier: Dossier, gallery: Gallery) -> Part:
    """The error against N of the estimators that were asked for, and of those beside them."""
    outcomes = [*dossier.convergences, *(subject.convergence for subject in dossier.subjects)]
    results = [it for it in outcomes if isinstance(it, Convergence)]
    errors = [str(it) for it in dossier.convergences if isinstance(it, PgcheckError)]
    errors += [
        f"{subject.name}: {subject.convergence}"
        for subject in dossier.subjects
        if isinstance(subject.convergence, PgcheckError) and subject.convergence is not subject.verdict
    ]
    blocks = [block for result in results for block in _rows(result)]
    picture = None
    if results:
        names = ", ".join(result.estimator.name for result in results)
        picture = gallery.shown(convergence_picture(results), f"The error ‖ĝ − ∇J‖ against N: {names}.")
    return Part(picture, Html(blocks_html(blocks)), tuple(dict.fromkeys(errors)))


def _without_lines(dossier: Dossier) -> Iterator[tuple[str, str, str]]:
    """The estimators without an error against N, the anchors of their verdicts, and why."""
    for number, subject in enumerate(dossier.subjects, 1):
        if subject.convergence is None:
            yield subject.name, anchor(number), "draws its own episodes"
        elif subject.convergence is subject.verdict:
            yield subject.name, anchor(number), "could not be run"


def _rows(result: Convergence) -> tuple[Block, ...]:
    """A row for each N, and what they show."""
    _, *blocks = convergence_blocks(result)  # the first says which model it is
    return f"The error of {result.estimator.name}:", *blocks


def _comparison(comparison: Comparison | PgcheckError, seed: int, gallery: Gallery) -> Part:
    if isinstance(comparison, PgcheckError):
        return Part(errors=(str(comparison),))
    picture = gallery.shown(comparison_picture(comparison), "Bias and variance of each estimator.")
    _, *blocks = comparison_view(comparison, seed).blocks
    return Part(picture, Html(blocks_html(blocks)))
