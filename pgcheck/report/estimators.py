"""Estimators → views: the list of them, and side by side in a plan or a comparison."""

import textwrap
from collections.abc import Sequence

from pgcheck.estimators.base import Estimator
from pgcheck.estimators.comparison import Contender
from pgcheck.exact.gradient import ExactGradient
from pgcheck.model.mdp import MDP
from pgcheck.report.printer import Column, Grid, Record, View
from pgcheck.report.views import if_known, model_record
from pgcheck.report.words import headline, percent, spaced


def estimators_view(estimators: Sequence[Estimator]) -> View:
    """The built-in estimators: formula, bias, source."""
    rows: list[Record] = [
        {
            "estimator": some.name, "bias": some.bias, "formula": some.formula, "about": some.about,
            "off_policy": some.off_policy, "source": some.source,
        }
        for some in estimators
    ]  # fmt: skip
    bias = {"none": "no bias", "vanishes": "the bias vanishes as N grows", "wrong": "wrong"}
    listed: list[str | Grid] = [
        f"{some.name}\n  {some.formula}\n  {bias[some.bias]}: {some.about}\n  {some.source}" for some in estimators
    ]
    legend = (
        "\npsi_t = grad log pi(a_t|s_t); R = sum_t gamma^t r_t; L is the number of steps;\n"
        "G_t = sum_{k>=t} gamma^(k-t) r_k;\n"
        "delta_t = r_t + gamma V_{t+1}(s_{t+1}) - V_t(s_t);\n"
        "rho_t = pi(a_t|s_t) / b(a_t|s_t), rho is their product; b draws the rollouts"
    )
    return View(lambda: {"estimators": rows}, rows, [*listed, legend])


def contenders_view(
    mdp: MDP, exact: ExactGradient, seed: int, rows: Sequence[Contender], left_out: Sequence[Estimator],
    accuracy: float | None,
) -> View:  # fmt: skip
    """Estimators side by side: of a plan, where there is an accuracy, or of a comparison."""

    def keys(row: Contender) -> Record:
        figures: Record = {
            "estimator": row.estimator.name, "n": row.n, "bias": row.bias, "trace": row.trace,
            "variance_reduction": row.reduction, "expected_error": row.expected,
        }  # fmt: skip
        if accuracy is None:
            figures["error"] = row.error
        return {**figures, "covariance": row.evidence}

    def record() -> Record:
        asked = {"accuracy": accuracy} if accuracy is not None else {"n": rows[0].n if rows else None}
        head = {**model_record(mdp), "seed": seed, **asked, "value": exact.value, "norm": exact.norm}
        return {**head, "estimators": [keys(row) for row in rows]}

    def bias(row: Contender) -> str:
        if row.bias is None:
            return "unknown"
        if row.bias <= 1e-9 * exact.norm + exact.rounding:
            return "~0" if row.evidence == "sample" else "0"
        return f"{'~' if row.evidence == 'sample' else ''}{row.bias:.2e}"

    def trace(row: Contender) -> str:
        return "" if row.trace is None else f"{'~' if row.evidence == 'sample' else ''}{row.trace:.4g}"

    columns = [Column("estimator", right=False), Column("bias"), Column("tr cov")]
    if accuracy is None:
        columns += [Column("expected"), Column("measured")]
        first = f"{headline(mdp, exact.trajectories)}; N = {spaced(rows[0].n or 0) if rows else 0}; seed {seed}"
        last = f"||gradient|| = {exact.norm:.4g}; expected and measured are sizes of the error"
        cells = [
            (row.estimator.name, bias(row), trace(row), if_known(row.expected, ".2e"), if_known(row.error, ".2e"))
            for row in rows
        ]
    else:
        columns += [Column("less variance"), Column("N")]
        first = f"{headline(mdp, exact.trajectories)}"
        last = f"N rollouts have an expected error of at most {percent(accuracy)} of ||gradient|| = {exact.norm:.4g}"
        cells = [(row.estimator.name, bias(row), trace(row), percent(row.reduction), _needs(row)) for row in rows]
    blocks: list[str | Grid] = [first, "", Grid(tuple(columns), cells), "", last]
    if any(row.evidence == "sample" for row in rows):
        blocks.append("~ is an estimate from a sample; the other figures are exact")
    if left_out:
        names = ", ".join(some.name for some in left_out)
        blocks.append(textwrap.fill(f"left out, as the model has no behavior: {names}", 79, break_on_hyphens=False))
    return View(record, map(keys, rows), blocks)


def _needs(row: Contender) -> str:
    if row.n is not None:
        return f"{'~' if row.evidence == 'sample' else ''}{spaced(row.n)}"
    return "unknown" if row.bias is None else "never"
