"""The exact gradient → views."""

from collections.abc import Iterator, Sequence

from pgcheck.exact.gradient import ExactGradient
from pgcheck.exact.table import GradientTable
from pgcheck.report.layers import layer_blocks, layers_record, shown
from pgcheck.report.view import Block, Column, Grid, Record, View
from pgcheck.report.words import (
    about,
    headline,
    in_names,
    known_digits,
    many,
    model_record,
    parameter_names,
    percent,
    trajectory_record,
)


def exact_view(table: GradientTable) -> View:
    """∇J by state and action, and how far it can be trusted."""
    mdp, exact = table.mdp, table.exact
    titles = parameter_names(mdp, exact.parameters)
    likely = [
        {**trajectory_record(mdp, contribution.trajectory), "share": contribution.share}
        for contribution in table.contributions
    ]
    key = "most_likely" if table.order == "probability" else "greatest_shares"

    def components() -> Iterator[Record]:
        probs = [{}] * len(exact.parameters) if table.probs is None else [{"pi": pi} for pi in table.probs.tolist()]
        for names, pi, g in zip(exact.parameters, probs, exact.gradient.tolist(), strict=True):
            yield {**dict(zip(titles, names, strict=True)), **pi, "gradient": g}

    def record() -> Record:
        return {
            **model_record(mdp),
            "value": exact.value,
            "parameters": [list(names) for names in exact.parameters],
            "gradient": exact.gradient.tolist(),
            "method": exact.method,
            "trajectories": exact.trajectories,
            "probability": exact.probability,
            "agreement": exact.agreement,
            "rounding": exact.rounding,
            "value_rounding": exact.value_rounding,
            **layers_record(table.layers),
            **({key: likely} if likely else {}),
        }

    grid = Grid(
        (
            *(Column(title, right=False) for title in titles),
            *([] if table.probs is None else [Column("pi")]),
            Column("gradient of J"),
        ),
        (
            (
                *(c[title] for title in titles),
                *([f"{c['pi']:.6g}"] if "pi" in c else []),
                known_digits(c["gradient"], exact.rounding, 8),
            )
            for c in shown(components(), table.layers)
        ),
    )
    how = _how(exact)
    if mdp.is_endless:
        how = f"horizon inf: cut at {many(mdp.horizon, 'step')}, beyond which nothing above rounding is left\n{how}"
    blocks: list[Block] = [
        headline(mdp, exact.trajectories),
        "",
        grid,
        *layer_blocks(table.layers),
        "",
        _value(exact),
        how,
    ]
    if not likely:
        return View(record, components(), blocks)
    columns = Column("trajectory", right=False), Column("P"), Column("R"), Column("share")
    cells = [
        (in_names(mdp, t), f"{t.probability:.6g}", f"{t.value:.6g}", percent(contribution.share))
        for contribution in table.contributions
        for t in [contribution.trajectory]
    ]
    return View(record, likely, [*blocks, "", Grid(columns, cells)])


def exact_blocks(exact: ExactGradient) -> list[Block]:
    """∇J by parameter and how far it can be trusted, where no more is known of the model."""
    cells = [known_digits(g, exact.rounding, 8) for g in exact.gradient.tolist()]
    return [by_parameter(exact.parameters, "gradient of J", cells), "", _value(exact), _how(exact)]


def by_parameter(parameters: Sequence[tuple[str, ...]], title: str, cells: Sequence[str]) -> Grid:
    """A row for each parameter."""
    is_preference = all(len(names) == 2 for names in parameters)
    titles = ("observation", "action") if is_preference else ("parameter",)
    columns = *(Column(name, right=False) for name in titles), Column(title)
    names = parameters if is_preference else [(" ".join(names),) for names in parameters]
    return Grid(columns, [(*name, cell) for name, cell in zip(names, cells, strict=True)])


def _value(exact: ExactGradient) -> str:
    return f"J = {known_digits(exact.value, exact.value_rounding, 10)}"


def _how(exact: ExactGradient) -> str:
    """What the gradient was found by, and how far it can be off."""
    if exact.method != "enumeration":
        return f"by backward induction, no enumeration; rounding at most {exact.rounding:.1e}"
    everything = "1 trajectory" if exact.trajectories == 1 else f"all {about(exact.trajectories or 0)}"
    return (
        f"{everything} enumerated, total probability {exact.probability:.12g}\n"
        f"backward induction agrees within {exact.agreement:.1e}; rounding at most {exact.rounding:.1e}"
    )
