"""Results → views: the words, tables and keys in which each command answers."""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np

from pgcheck.arrays import Floats, Ints
from pgcheck.estimators.base import Estimator
from pgcheck.estimators.convergence import Row, Slope
from pgcheck.estimators.moments import Moments
from pgcheck.estimators.readings import Readings
from pgcheck.estimators.sampled import SampledGradient
from pgcheck.exact.gradient import Discrepancy, ExactGradient
from pgcheck.model.mdp import MDP
from pgcheck.model.policy import Policy
from pgcheck.report.printer import Column, Grid, Record, View
from pgcheck.report.words import (
    about,
    error_sentence,
    grouped,
    headline,
    in_names,
    many,
    moments_sentences,
    named,
    percent,
    sized,
    spaced,
    two_readings_told,
)
from pgcheck.trajectories.batch import Batch
from pgcheck.trajectories.likely import Trajectory

BAR = 12  # characters of the longest bar


def exact_view(mdp: MDP, policy: Policy, exact: ExactGradient, likely: Sequence[Trajectory]) -> View:
    """∇J by state and action, and how far it can be trusted."""
    names = _parameter_names(mdp)
    prob = _prob_of_parameters(policy)

    def each() -> Iterator[tuple[str, str, float, float]]:
        for (o, a), p, g in zip(exact.parameters, prob, exact.gradient, strict=True):
            yield o, a, float(p), float(g)

    listed = [
        {**_trajectory(mdp, trajectory), "share": _share(mdp, policy, exact, trajectory)} for trajectory in likely
    ]

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
            **({"most_likely": listed} if likely else {}),
        }

    grid = Grid(
        (Column(names[0], right=False), Column(names[1], right=False), Column("pi"), Column("gradient of J")),
        ((o, a, f"{p:.6g}", f"{g:.8g}") for o, a, p, g in each()),
    )
    if exact.method == "enumeration":
        how = (
            f"all {about(exact.trajectories or 0)} enumerated, total probability {exact.probability:.12g}\n"
            f"backward induction agrees within {exact.agreement:.1e}; rounding at most {exact.rounding:.1e}"
        )
    else:
        how = f"by backward induction, without a trajectory; rounding at most {exact.rounding:.1e}"
    blocks: list[str | Grid] = [headline(mdp, exact.trajectories), "", grid, "", f"J = {exact.value:.10g}", how]
    rows: Iterable[Record] = ({names[0]: o, names[1]: a, "pi": p, "gradient": g} for o, a, p, g in each())
    if likely:
        rows = listed
        grid = Grid(
            (Column("trajectory", right=False), Column("P"), Column("R"), Column("share")),
            [
                (in_names(mdp, t), f"{t.probability:.6g}", f"{t.value:.6g}", percent(row["share"]))
                for t, row in zip(likely, listed, strict=True)
            ],
        )
        blocks += ["", grid]
    return View(record, rows, blocks)


def sample_view(
    mdp: MDP, exact: ExactGradient, sampled: SampledGradient, seed: int, estimator: Estimator,
    moments: Moments | None, likely: Sequence[Trajectory], readings: Readings | None,
) -> View:  # fmt: skip
    """The estimate beside the exact gradient; with the trajectories, both readings of the mean."""
    off = exact.discrepancy(sampled.estimate)
    std_error = None if moments is None else moments.std_error(sampled.n)
    z = _z(exact, sampled, std_error)
    chi2 = None if moments is None else moments.chi2(exact.gradient, sampled.estimate, sampled.n)
    wrong = None if readings is None else exact.discrepancy(readings.unweighted)
    listed: list[Record] = []
    if readings is not None:
        listed = [
            {**_trajectory(mdp, t), "count": int(c), "frequency": int(c) / sampled.n}
            for t, c in zip(likely, readings.counts, strict=True)
        ]

    def record() -> Record:
        answer: Record = {
            **model_record(mdp),
            "n": sampled.n,
            "seed": seed,
            **_estimator(estimator),
            "value": exact.value,
            "mean_return": sampled.value,
            "parameters": [list(names) for names in exact.parameters],
            "estimate": sampled.estimate.tolist(),
            "gradient": exact.gradient.tolist(),
            **_discrepancy(off),
            "std_error": None if std_error is None else std_error.tolist(),
            "z": list(z),
            "expected_error": None if moments is None else moments.expected_error(exact.gradient, sampled.n),
            **_moments(exact, moments),
            "chi2": None if chi2 is None else chi2[0],
            "degrees_of_freedom": None if chi2 is None else chi2[1],
        }
        if readings is not None and wrong is not None:
            answer["most_likely"] = listed
            answer["unweighted"] = {
                "distinct": readings.distinct,
                "estimate": readings.unweighted.tolist(),
                **_discrepancy(wrong),
            }
        return answer

    names = _parameter_names(mdp)

    def each() -> Iterator[Record]:
        columns = exact.parameters, sampled.estimate.tolist(), exact.gradient.tolist(), _listed(std_error, len(z)), z
        for (o, a), e, g, deviation, score in zip(*columns, strict=True):
            yield {
                names[0]: o, names[1]: a, "estimate": e, "gradient": g, "error": e - g, "std_error": deviation,
                "z": score,
            }  # fmt: skip

    rows: Iterable[Record] = each()
    grid = Grid(
        (
            Column(names[0], right=False), Column(names[1], right=False), Column("estimate"), Column("exact"),
            Column("std error"), Column("z"),
        ),
        (
            (
                r[names[0]], r[names[1]], f"{r['estimate']:.6g}", f"{r['gradient']:.6g}",
                if_known(r["std_error"], ".1e"), if_known(r["z"], "+.2f"),
            )
            for r in each()
        ),
    )  # fmt: skip
    blocks: list[str | Grid] = [
        f"{headline(mdp, exact.trajectories)}; {named(estimator)}seed {seed}",
        "",
        grid,
        "",
        f"N = {spaced(sampled.n)}: mean return {sampled.value:.6g}, J = {exact.value:.6g}",
        error_sentence(off),
        *moments_sentences(exact, estimator, moments, sampled.n),
    ]
    if readings is not None and wrong is not None:
        rows = listed
        grid = Grid(
            (Column("trajectory", right=False), Column("P"), Column("n/N"), Column("R")),
            [
                (in_names(mdp, t), f"{t.probability:.6g}", f"{c / sampled.n:.6g}", f"{t.value:.6g}")
                for t, c in zip(likely, readings.counts, strict=True)
            ],
        )
        blocks += ["", grid, *two_readings_told(off, wrong, readings.distinct)]
    return View(record, rows, blocks)


def converge_columns(largest: int) -> tuple[Column, ...]:
    """The columns of `converge`, of fixed width, for rows that come one by one."""
    return (
        Column("N", width=max(9, len(spaced(largest)))),
        Column("||error||", width=9),
        Column("expected", width=9),
        Column("relative", width=10),
        Column("cosine", width=9),
        Column("log error", right=False, width=BAR),
    )


def converge_cells(row: Row, first: Row, last: int) -> tuple[str, ...]:
    """A row of `converge`; its bar is scaled to what the Monte Carlo rate foretells from the first row."""
    decades = 0.5 * math.log10(max(last / first.n, 10))
    length = 0.0
    if row.error > 0 and first.error > 0:
        length = 1 + (BAR - 1) * (1 - math.log10(first.error / row.error) / decades)
    bar = "#" * round(min(max(length, 0), BAR))
    cosine = "" if row.cosine is None else f"{row.cosine:.6f}"
    return spaced(row.n), f"{row.error:.2e}", if_known(row.expected, ".2e"), percent(row.relative_error), cosine, bar


def row_record(row: Row) -> Record:
    """The keys of a row of `converge`."""
    return {
        "n": row.n, "error": row.error, "relative_error": row.relative_error, "cosine": row.cosine,
        "expected": row.expected,
    }  # fmt: skip


def converge_record(
    mdp: MDP,
    exact: ExactGradient,
    rows: Sequence[Row],
    fit: Slope,
    seed: int,
    replicates: int,
    estimator: Estimator,
    limit: Moments | None,
) -> Record:
    """The JSON object of `converge`."""
    return {
        **model_record(mdp),
        "seed": seed,
        **_estimator(estimator),
        **_moments(exact, limit),
        "replicates": replicates,
        "value": exact.value,
        "parameters": [list(names) for names in exact.parameters],
        "gradient": exact.gradient.tolist(),
        "rows": [row_record(row) for row in rows],
        "slope": fit.slope,
        "slope_std_err": fit.std_err,
    }


def show_view(
    mdp: MDP, policy: Policy, behavior: Policy | None, counts: Sequence[tuple[int, int]], cut: bool
) -> View:
    """The model as understood."""
    probs = policy.probs()
    drawn = None if behavior is None else behavior.probs()
    aliased = len(mdp.observations) < mdp.num_states or mdp.observations != mdp.states

    def rows() -> Iterator[Record]:
        for s, a in zip(*np.nonzero(mdp.available), strict=True):
            seen = {"observation": mdp.observations[mdp.observation[s]]} if aliased else {}
            numbers = {"theta": float(policy.theta[policy.index[s, a]]), "pi": float(probs[s, a])}
            if drawn is not None:
                numbers["b"] = float(drawn[s, a])
            yield {"state": mdp.states[s], **seen, "action": mdp.actions[a], **numbers}

    start = {mdp.states[s]: float(mdp.start[s]) for s in np.flatnonzero(mdp.start).tolist()}
    terminal = [mdp.states[s] for s in np.flatnonzero(mdp.terminal).tolist()]

    def record() -> Record:
        return {
            **model_record(mdp),
            "states": list(mdp.states),
            "actions": list(mdp.actions),
            "num_states": mdp.num_states,
            "num_actions": mdp.num_actions,
            "num_outcomes": len(mdp.prob),
            "num_parameters": len(policy.theta),
            "start": start,
            "terminal": terminal,
            "policy": list(rows()),
            "trajectories": [{"horizon": h, "trajectories": n} for h, n in counts],
        }

    numbers = ("theta", "pi") if behavior is None else ("theta", "pi", "b")
    words = ["state", *(["observation"] if aliased else []), "action"]
    policy_grid = Grid(
        (*(Column(name, right=False) for name in words), *map(Column, numbers)),
        ((*(row[name] for name in words), *(f"{row[name]:.6g}" for name in numbers)) for row in rows()),
    )
    counts_grid = Grid((Column("horizon"), Column("trajectories")), [(grouped(h), sized(n)) for h, n in counts])
    blocks: list[str | Grid] = [
        f"{headline(mdp, None)}; {many(len(mdp.prob), 'outcome')}, {many(len(policy.theta), 'parameter')}",
        f"start: {', '.join(f'{name} {p:.6g}' for name, p in start.items())}",
        f"terminal: {', '.join(terminal) or 'none'}",
        "",
        policy_grid,
        "",
        counts_grid,
    ]
    if cut:
        blocks.append("the numbers beyond that take too long to count")
    return View(record, rows(), blocks)


def models_view(models: Iterable[tuple[str, str, MDP]]) -> View:
    """What is bundled: each model's name, what its file says first, and its sizes."""
    rows: list[Record] = [
        {
            "name": name, "description": text, "states": mdp.num_states, "actions": mdp.num_actions,
            "horizon": mdp.horizon, "gamma": mdp.gamma,
        }
        for name, text, mdp in models
    ]  # fmt: skip
    columns = (Column("model", right=False), Column("states"), Column("horizon"), Column("what", right=False))
    grid = Grid(columns, [(r["name"], f"{r['states']}", f"{r['horizon']}", r["description"]) for r in rows])
    return View(lambda: {"models": rows}, rows, [grid])


def trajectory_rows(weight: str, batches: Iterable[tuple[Batch, Floats | Ints]]) -> Iterator[Record]:
    """Trajectories one by one, with their probability or count."""
    for batch, weights in batches:
        for episode, state, value in zip(batch, batch.starts.tolist(), weights.tolist(), strict=True):
            yield {
                weight: value,
                "states": [state, *episode.next_states.tolist()],
                "actions": episode.actions.tolist(),
                "rewards": episode.rewards.tolist(),
                "terminated": episode.terminated,
            }


def trajectory_table(mdp: MDP, weight: str) -> tuple[tuple[Column, ...], Callable[[Record], tuple[str, ...]]]:
    """The columns of `trajectories`, and what stands in them."""

    def cells(row: Record) -> tuple[str, ...]:
        steps = [f"{mdp.states[s]} {mdp.actions[a]}" for s, a in zip(row["states"], row["actions"], strict=False)]
        value = math.fsum(mdp.gamma**t * r for t, r in enumerate(row["rewards"]))
        return f"{row[weight]:.6g}", f"{value:.6g}", " > ".join([*steps, mdp.states[row["states"][-1]]])

    return (Column(weight, width=16), Column("R", width=12), Column("trajectory", right=False)), cells


def model_record(mdp: MDP) -> Record:
    """The keys with which every JSON object about a model begins."""
    return {"model": mdp.name, "horizon": mdp.horizon, "gamma": mdp.gamma}


def _discrepancy(off: Discrepancy) -> Record:
    return {"error": off.error, "relative_error": off.relative_error, "cosine": off.cosine}


def _estimator(estimator: Estimator) -> Record:
    return {"estimator": estimator.name, **({} if estimator.lam is None else {"lambda": estimator.lam})}


def _moments(exact: ExactGradient, moments: Moments | None) -> Record:
    """What is known of the estimator: the size of its bias as N grows, tr Σ, and where they come from."""
    if moments is None:
        return {"bias": None, "trace": None, "covariance": None}
    bias = math.hypot(*moments.bias(exact.gradient).tolist())
    return {"bias": bias, "trace": moments.trace, "covariance": moments.evidence}


def _z(exact: ExactGradient, sampled: SampledGradient, std_error: Floats | None) -> list[float | None]:
    """The error of each component in standard errors; 0 where there is neither."""
    if std_error is None:
        return [None] * len(exact.gradient)
    error = sampled.estimate - exact.gradient
    nothing = np.abs(error) <= 1e-12 * exact.norm + exact.rounding
    return [
        float(e / s) if s > 0 else (0.0 if none else None)
        for e, s, none in zip(error, std_error, nothing, strict=True)
    ]


def _listed(values: Floats | None, size: int) -> list[float | None]:
    return [None] * size if values is None else values.tolist()


def if_known(value: float | None, form: str) -> str:
    """A number in a form, or nothing for None."""
    return "" if value is None else format(value, form)


def _parameter_names(mdp: MDP) -> tuple[str, str]:
    return ("state" if mdp.observations == mdp.states else "observation"), "action"


def _prob_of_parameters(policy: Policy) -> Floats:
    """π of each parameter's action where its observation is seen `[d]`."""
    prob = np.zeros(len(policy.theta))
    offered = policy.index >= 0
    prob[policy.index[offered]] = policy.probs()[offered]
    return prob


def _trajectory(mdp: MDP, trajectory: Trajectory) -> Record:
    first, outcomes = trajectory.path[0], trajectory.path[1:]
    return {
        "probability": trajectory.probability,
        "return": trajectory.value,
        "states": [int(first), *mdp.next_state[outcomes].tolist()],
        "actions": mdp.action[outcomes].tolist(),
        "rewards": mdp.reward[outcomes].tolist(),
        "terminated": bool(mdp.ends[outcomes[-1]] if len(outcomes) else mdp.terminal[first]),
    }


def _share(mdp: MDP, policy: Policy, exact: ExactGradient, trajectory: Trajectory) -> float | None:
    """What a trajectory adds to ∇J, along ∇J: P R Ψ · ∇J / ‖∇J‖²; over all trajectories these sum to 1."""
    if exact.norm == 0:
        return None
    outcomes = trajectory.path[1:]
    visits = np.zeros((mdp.num_states, mdp.num_actions))
    np.add.at(visits, (mdp.state[outcomes], mdp.action[outcomes]), trajectory.probability * trajectory.value)
    unit = exact.gradient / exact.norm
    return float(policy.pullback(visits) @ unit / exact.norm)
