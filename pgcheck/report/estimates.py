"""An estimate beside the exact gradient → views."""

from collections.abc import Iterable, Iterator

from pgcheck.estimators.assessment import Assessment
from pgcheck.estimators.sampled import SampledGradient
from pgcheck.exact.gradient import Discrepancy, ExactGradient
from pgcheck.report.gradients import by_parameter
from pgcheck.report.layers import layer_blocks, layers_record, shown
from pgcheck.report.view import Block, Column, Grid, Record, View
from pgcheck.report.words import (
    bias_size,
    estimator_record,
    headline,
    if_known,
    in_names,
    known_digits,
    model_record,
    named,
    parameter_names,
    percent,
    trajectory_record,
)

SHOWN_ROUNDING = 1e-6  # of the gradient: what may be missing from six digits


def sampled_blocks(sampled: SampledGradient) -> list[Block]:
    """An estimate by parameter."""
    cells = [f"{g:.6g}" for g in sampled.estimate.tolist()]
    grid = by_parameter(sampled.parameters, "estimate", cells)
    return [grid, "", f"N = {sampled.n:,}: mean return {sampled.mean_return:.6g}"]


def sample_view(result: Assessment, seed: int) -> View:
    """The estimate beside the exact gradient; with the likeliest trajectories, both readings of the mean."""
    mdp, exact, sampled = result.mdp, result.exact, result.sampled
    titles = parameter_names(mdp, exact.parameters)
    likely: list[Record] = [
        {**trajectory_record(mdp, drawn.trajectory), "count": drawn.count, "frequency": drawn.frequency}
        for drawn in result.likely
    ]
    std_error = None if result.std_error is None else result.std_error.tolist()

    def record() -> Record:
        answer: Record = {
            **model_record(mdp),
            "n": sampled.n,
            "seed": seed,
            **estimator_record(result.estimator),
            "value": exact.value,
            "mean_return": sampled.mean_return,
            "parameters": [list(names) for names in exact.parameters],
            "estimate": sampled.estimate.tolist(),
            "gradient": exact.gradient.tolist(),
            "rounding": exact.rounding,
            **_discrepancy(result.discrepancy),
            "std_error": std_error,
            "z": list(result.z),
            "expected_error": result.expected_error,
            "bias": result.bias,
            "trace": None if result.moments is None else result.moments.trace,
            "covariance": None if result.moments is None else result.moments.evidence,
            "tail_probability": result.tail_probability,
            "chi2": result.chi2,
            "degrees_of_freedom": result.degrees_of_freedom,
            **layers_record(result.layers),
        }
        if result.unweighted is not None and result.unweighted_discrepancy is not None:
            answer["most_likely"] = likely
            answer["unweighted"] = {
                "distinct": result.distinct,
                "estimate": result.unweighted.tolist(),
                **_discrepancy(result.unweighted_discrepancy),
            }
        return answer

    def components() -> Iterator[Record]:
        deviations = [None] * len(result.z) if std_error is None else std_error
        vectors = (v.tolist() for v in (sampled.estimate, exact.gradient, result.error))
        columns = exact.parameters, *vectors, deviations, result.z
        for names, estimate, gradient, error, deviation, z in zip(*columns, strict=True):
            yield {
                **dict(zip(titles, names, strict=True)), "estimate": estimate, "gradient": gradient,
                "error": error, "std_error": deviation, "z": z,
            }  # fmt: skip

    figures = ("estimate", "exact", "std error", "z")
    grid = Grid(
        (*(Column(title, right=False) for title in titles), *map(Column, figures)),
        (
            (
                *(c[title] for title in titles), f"{c['estimate']:.6g}",
                known_digits(c["gradient"], exact.rounding, 6),
                if_known(c["std_error"], ".1e"), if_known(c["z"], "+.2f"),
            )
            for c in shown(components(), result.layers)
        ),
    )  # fmt: skip
    blocks: list[Block] = [
        f"{headline(mdp, exact.trajectories)}; {named(result.estimator)}seed {seed}",
        "",
        grid,
        *layer_blocks(result.layers),
        "",
        f"N = {sampled.n:,}: mean return {sampled.mean_return:.6g}, "
        f"J = {known_digits(exact.value, exact.value_rounding, 6)}",
        _error_sentence(result.discrepancy),
        *_expectation_sentences(result),
        *_rounding_sentence(result.exact),
    ]
    rows: Iterable[Record] = components()
    if result.unweighted_discrepancy is not None:
        rows = likely
        columns = Column("trajectory", right=False), Column("P"), Column("n/N"), Column("R")
        cells = [
            (
                in_names(mdp, drawn.trajectory), f"{drawn.trajectory.probability:.6g}", f"{drawn.frequency:.6g}",
                f"{drawn.trajectory.value:.6g}",
            )
            for drawn in result.likely
        ]  # fmt: skip
        blocks += ["", Grid(columns, cells), *_readings(result, result.unweighted_discrepancy)]
    return View(record, rows, blocks)


def _discrepancy(discrepancy: Discrepancy) -> Record:
    return {
        "error": discrepancy.error, "relative_error": discrepancy.relative_error, "cosine": discrepancy.cosine,
    }  # fmt: skip


def _error_sentence(discrepancy: Discrepancy) -> str:
    """How far the estimate is from the gradient."""
    if discrepancy.relative_error is None:
        return f"||error|| = {discrepancy.error:.3e}; the gradient is 0, so there is no relative error"
    cosine = "" if discrepancy.cosine is None else f", cosine {discrepancy.cosine:.6f}"
    return f"||error|| = {discrepancy.error:.3e}, {percent(discrepancy.relative_error)} of ||gradient||{cosine}"


def _rounding_sentence(exact: ExactGradient) -> list[str]:
    """How far rounding may have moved the gradient, where that can show."""
    if exact.rounding <= SHOWN_ROUNDING * exact.norm:
        return []
    return [f"rounding may have changed the exact gradient by up to {exact.rounding:.1e}"]


def _expectation_sentences(result: Assessment) -> list[str]:
    """What was to be expected of the estimate."""
    name, moments = result.estimator.name, result.moments
    if moments is None:
        return [f"the expected error is not available for {name}"]
    how = {
        "recursion": "exact, before any rollout",
        "enumeration": "from all trajectories, before any rollout",
        "sample": f"from a sample of {moments.rollouts or 0:,} rollouts",
    }[moments.evidence]
    lines = [f"expected error {result.expected_error:.3e} ({how})"]
    if result.bias is not None and result.bias > 0:
        lines.append(f"{name} is biased by {bias_size(result.bias, result.relative_bias)}: more rollouts do not help")
    return lines


def _readings(result: Assessment, wrong: Discrepancy) -> list[str]:
    """Which reading of "the mean over the sampled trajectories" is the gradient."""
    right = "weight per rollout (correct)"
    other = "weight per distinct trajectory (wrong)"
    width = max(len(right), len(other))
    return [
        "",
        "P(tau) is in n(tau)/N: how often tau was drawn stands in for its probability.\n"
        f"{result.distinct or 0:,} distinct trajectories were drawn; the error with",
        f"  {right:{width}}  error {size_text(result.discrepancy)}",
        f"  {other:{width}}  error {size_text(wrong)}",
    ]


def size_text(discrepancy: Discrepancy) -> str:
    """Returns how large an error is, and which share of the gradient."""
    share = "" if discrepancy.relative_error is None else f" ({percent(discrepancy.relative_error)})"
    return f"{discrepancy.error:.2e}{share}"
