"""Estimators → views: the list of them, and side by side in a plan or a comparison."""

import textwrap
from collections.abc import Sequence

from pgcheck.estimators.base import Estimator
from pgcheck.estimators.comparison import Comparison
from pgcheck.estimators.standings import Standing
from pgcheck.report.view import Column, Grid, Record, View
from pgcheck.report.words import headline, if_known, model_record, percent

LEGEND = (
    "\npsi_t = grad log pi(a_t|s_t); R = sum_t gamma^t r_t; L is the number of steps;\n"
    "G_t = sum_{k>=t} gamma^(k-t) r_k;\n"
    "delta_t = r_t + gamma V_{t+1}(s_{t+1}) - V_t(s_t);\n"
    "rho_t = pi(a_t|s_t) / b(a_t|s_t), rho is their product; b draws the rollouts"
)
BIAS = {
    "none": "no bias", "vanishes": "the bias vanishes as N grows", "wrong": "wrong", "unknown": "bias unknown",
}  # fmt: skip


def estimators_view(estimators: Sequence[Estimator]) -> View:
    """The built-in estimators: formula, bias, source."""
    rows: list[Record] = [
        {
            "estimator": e.name, "bias_kind": e.bias, "formula": e.formula, "about": e.about,
            "off_policy": e.off_policy, "source": e.source,
        }
        for e in estimators
    ]  # fmt: skip
    paragraphs = [f"{e.name}\n  {e.formula}\n  {BIAS[e.bias]}: {e.about}\n  {e.source}" for e in estimators]
    return View(lambda: {"estimators": rows}, rows, [*paragraphs, LEGEND])


def comparison_view(comparison: Comparison, seed: int) -> View:
    """Estimators side by side: a plan, where there is an accuracy, or a comparison with equal N."""
    mdp, exact, standings = comparison.mdp, comparison.exact, comparison.standings
    is_plan = comparison.accuracy is not None
    n = standings[0].n if standings else None

    def record() -> Record:
        asked = {"accuracy": comparison.accuracy} if is_plan else {"n": n}
        head = {**model_record(mdp), "seed": seed, **asked, "value": exact.value, "norm": exact.norm}
        return {**head, "estimators": [_row(standing, is_plan) for standing in standings]}

    columns = [Column("estimator", right=False), Column("bias"), Column("tr cov")]
    columns += map(Column, ("variance", "N") if is_plan else ("expected", "measured"))
    cells = [_cells(standing, is_plan) for standing in standings]
    if is_plan:
        first = headline(mdp, exact.trajectories)
        accuracy = percent(comparison.accuracy)
        last = f"N rollouts have an expected error of at most {accuracy} of ||gradient|| = {exact.norm:.4g}"
        last += "\nvariance: tr cov relative to REINFORCE"
    else:
        first = f"{headline(mdp, exact.trajectories)}; N = {n or 0:,}; seed {seed}"
        last = f"||gradient|| = {exact.norm:.4g}; expected and measured are norms of the error"
    blocks: list[str | Grid] = [first, "", Grid(tuple(columns), cells), "", last]
    if any(standing.evidence == "sample" for standing in standings):
        blocks.append("~ estimated from a sample; the other figures are exact")
    if comparison.left_out:
        names = ", ".join(estimator.name for estimator in comparison.left_out)
        blocks.append(
            textwrap.fill(f"left out, because the model has no behavior: {names}", 79, break_on_hyphens=False)
        )
    return View(record, [_row(standing, is_plan) for standing in standings], blocks)


def _row(standing: Standing, is_plan: bool) -> Record:
    figures: Record = {
        "estimator": standing.estimator.name, "n": standing.n, "bias": standing.bias, "trace": standing.trace,
        "variance_reduction": standing.reduction, "expected_error": standing.expected,
    }  # fmt: skip
    return {**figures, **({} if is_plan else {"error": standing.error}), "covariance": standing.evidence}


def _cells(standing: Standing, is_plan: bool) -> tuple[str, ...]:
    about = "~" if standing.evidence == "sample" else ""
    bias = "unknown" if standing.bias is None else f"{about}{standing.bias:.2e}" if standing.bias else f"{about}0"
    trace = "" if standing.trace is None else f"{about}{standing.trace:.4g}"
    name, expected = standing.estimator.name, if_known(standing.expected, ".2e")
    if not is_plan:
        return name, bias, trace, expected, if_known(standing.error, ".2e")
    n = f"{about}{standing.n:,}" if standing.n is not None else "unknown" if standing.bias is None else "never"
    variance = "" if standing.reduction is None else f"{about}{1 - standing.reduction:.4g} x"
    return name, bias, trace, variance, n
