"""Models and their trajectories → views."""

import itertools
from collections.abc import Iterable, Iterator

import numpy as np

from pgcheck.formats.bundled import BundledModel
from pgcheck.model.mdp import MDP
from pgcheck.report.view import Block, Column, Grid, Record, View
from pgcheck.report.words import headline, many, model_record, sized
from pgcheck.trajectories.summary import ModelSummary

MAX_TRANSITIONS = 100  # outcomes that people are shown
MAX_WEIGHTS = 100  # parameters of a policy that is no table


def show_view(summary: ModelSummary) -> View:
    """The model as understood."""
    mdp = summary.mdp
    aliased = mdp.observations != mdp.states
    policies = {"pi": summary.probs, "b": summary.behavior_probs, "ref": mdp.reference}
    tables = {
        "theta" if summary.is_table else "logit": summary.logits,
        **{name: probs for name, probs in policies.items() if probs is not None},
    }

    def rows() -> Iterator[Record]:
        for s, a in zip(*np.nonzero(mdp.available), strict=True):
            seen = {"observation": mdp.observations[mdp.observation[s]]} if aliased else {}
            numbers = {name: float(table[s, a]) for name, table in tables.items()}
            yield {"state": mdp.states[s], **seen, "action": mdp.actions[a], **numbers}

    weights = summary.policy.theta.tolist()

    def record() -> Record:
        return {
            **model_record(mdp),
            "states": list(mdp.states),
            "actions": list(mdp.actions),
            "num_states": mdp.num_states,
            "num_actions": mdp.num_actions,
            "num_outcomes": len(mdp.prob),
            "num_parameters": len(weights),
            "start": _start(mdp),
            "terminal": _terminal(mdp),
            "parameters": [list(names) for names in summary.policy.parameters],
            "theta": weights,
            "policy": list(rows()),
            "behavior_probs": None if summary.behavior_probs is None else summary.behavior_probs.tolist(),
            "reference_probs": None if mdp.reference is None else mdp.reference.tolist(),
            "transitions": list(_transitions(mdp)),
            "trajectories": [{"horizon": h, "trajectories": n} for h, n in summary.counts],
        }

    words = ["state", *(["observation"] if aliased else []), "action"]
    policy_grid = Grid(
        (*(Column(name, right=False) for name in words), *map(Column, tables)),
        ((*(row[name] for name in words), *(f"{row[name]:.6g}" for name in tables)) for row in rows()),
    )
    counts_grid = Grid((Column("horizon"), Column("trajectories")), [(f"{h:,}", sized(n)) for h, n in summary.counts])
    first, *outcomes = mdp_blocks(mdp)
    blocks: list[Block] = [
        f"{first}, {many(len(weights), 'parameter')}",
        *outcomes,
        "",
        *([] if summary.is_table else _weights(summary)),
        policy_grid,
        "",
        counts_grid,
    ]
    if summary.counts_cut:
        blocks.append("larger horizons take too long to count")
    return View(record, rows(), blocks)


def mdp_blocks(mdp: MDP) -> list[Block]:
    """What is in a model beside its policy."""
    grid = Grid(
        (*(Column(name, right=False) for name in ("state", "action", "to")), *map(Column, ("p", "reward", "done"))),
        (
            (t["state"], t["action"], t["to"], f"{t['p']:.6g}", f"{t['reward']:.6g}", "yes" if t["done"] else "")
            for t in itertools.islice(_transitions(mdp), MAX_TRANSITIONS)
        ),
    )
    more = len(mdp.prob) - MAX_TRANSITIONS
    return [
        f"{headline(mdp, None)}; {many(len(mdp.prob), 'outcome')}",
        f"start: {', '.join(f'{name} {p:.6g}' for name, p in _start(mdp).items())}",
        f"terminal: {', '.join(_terminal(mdp)) or 'none'}",
        "",
        grid,
        *([f"... and {many(more, 'more outcome')}; --format json shows all"] if more > 0 else []),
    ]


def _start(mdp: MDP) -> dict[str, float]:
    return {mdp.states[s]: float(mdp.start[s]) for s in np.flatnonzero(mdp.start).tolist()}


def _terminal(mdp: MDP) -> list[str]:
    return [mdp.states[s] for s in np.flatnonzero(mdp.terminal).tolist()]


def _transitions(mdp: MDP) -> Iterator[Record]:
    columns = (c.tolist() for c in (mdp.state, mdp.action, mdp.next_state, mdp.prob, mdp.reward, mdp.done))
    for s, a, to, p, reward, done in zip(*columns, strict=True):
        names = {"state": mdp.states[s], "action": mdp.actions[a], "to": mdp.states[to]}
        yield {**names, "p": p, "reward": reward, "done": done}


def _weights(summary: ModelSummary) -> list[Block]:
    """The parameters of a policy that is no table of preferences."""
    names, theta = summary.policy.parameters, summary.policy.theta
    cells = [(" ".join(name), f"{x:.6g}") for name, x in zip(names[:MAX_WEIGHTS], theta.tolist(), strict=False)]
    more = len(names) - MAX_WEIGHTS
    rest = [f"... and {many(more, 'more parameter')}; --format json shows all"] if more > 0 else []
    return [Grid((Column("parameter", right=False), Column("theta")), cells), *rest, ""]


def models_view(models: Iterable[BundledModel]) -> View:
    """What is bundled: each model's name, what its file says first, and its sizes."""
    rows: list[Record] = [
        {
            "name": model.name, "description": model.description, "states": model.mdp.num_states,
            "actions": model.mdp.num_actions, "horizon": model.mdp.horizon, "gamma": model.mdp.gamma,
        }
        for model in models
    ]  # fmt: skip
    columns = (Column("model", right=False), Column("states"), Column("horizon"), Column("what", right=False))
    grid = Grid(columns, [(r["name"], f"{r['states']}", f"{r['horizon']}", r["description"]) for r in rows])
    return View(lambda: {"models": rows}, rows, [grid])
