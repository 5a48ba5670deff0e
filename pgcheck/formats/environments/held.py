"""What an environment did, held against its table: do they agree?

An outcome that has probability 0 in the table decides at once. Of frequencies: let a row have K outcomes with
probabilities p, seen n times, n_k of each. Against p stands the mean over all distributions,

    E = (K − 1)! Π_k n_k! / (n + K − 1)! / Π_k p_k^{n_k},

a martingale of mean 1 if the row is right, however actions are chosen and whenever it is looked at; so E ever
exceeds 1/α with a probability of at most α (Ville's inequality). Rows with the same probabilities are also taken
together, and all share one α: no more than one right environment in 10^9 would be refused.
"""

import math
from collections.abc import Sequence

import numpy as np

from pgcheck.arrays import Floats
from pgcheck.formats.environments.stepping import Row, Stepped
from pgcheck.formats.environments.tables import Table
from pgcheck.formats.problems import fault
from pgcheck.formats.reader import cropped

ALPHA = 1e-9  # the probability at which a right environment would be refused
SHOWN = 5  # steps that a message lists
ADVICE = (
    "  The exact gradient would be that of P. Let P say what step() does; all that step() remembers belongs in its "
    "states."
)


def hold(seen: Stepped, table: Table, names: Sequence[str], actions: Sequence[str], source: str) -> None:
    """Raises ModelError where the environment does not do what its table says.

    Args:
      seen: what the environment did.
      table: the table.
      names, actions: of its states and actions, for the message.
      source: in the message.
    """
    what = "step() does something else than the table P says"
    if seen.impossible:
        lines = [
            f"  state {cropped(names[s])}, action {cropped(actions[a])}: step() led to "
            f"{_outcome(names[table.number[e.state]] if e.state in table.number else str(e.state), e.reward, e.ends)}"
            f"; P: {_listed(seen.rows[s, a], names)}"
            for (s, a), e in list(seen.impossible.items())[:SHOWN]
        ]
        count = f"{seen.surprises:,} of {seen.steps:,} steps gave what has probability 0 there"
        raise fault(source, "\n".join([f"{what}: {count}", *lines, ADVICE]))
    if seen.stuck:
        stuck = cropped(names[min(seen.stuck)])
        raise fault(source, f"{what}: it has no actions in state {stuck}, in which an episode went on\n{ADVICE}")
    rows = {key: row for key, row in seen.rows.items() if len(row.probs) > 1}
    alike: dict[tuple[float, ...], list[Row]] = {}
    for row in rows.values():
        alike.setdefault(tuple(round(p, 12) for p in row.probs), []).append(row)
    limit = math.log((len(table.states) * len(table.actions) + len(table.prob)) / ALPHA)
    for (s, a), row in rows.items():
        if evidence(row.counts, row.probs) > limit:
            where = f"state {cropped(names[s])}, action {cropped(actions[a])}"
            raise fault(source, f"{what}\n  {where}: {_frequencies(row.counts, row.probs)}\n{ADVICE}")
    for same in alike.values():
        counts, probs = [sum(column) for column in zip(*(row.counts for row in same), strict=True)], same[0].probs
        if evidence(counts, probs) > limit:
            where = f"{len(same):,} pairs of state and action with the same probabilities"
            raise fault(source, f"{what}\n  {where}: {_frequencies(counts, probs)}\n{ADVICE}")


def hold_start(seen: Stepped, start: Floats, names: Sequence[str], source: str) -> None:
    """Raises ModelError where resets lead to states in other proportions than `start` `[S]` says."""
    what = "reset() does something else than initial_state_distrib says"
    wrong = [s for s in seen.starts if not start[s] > 0]
    if wrong:
        raise fault(source, f"{what}: it led to state {cropped(names[wrong[0]])}, which has probability 0")
    possible = np.flatnonzero(start > 0).tolist()
    counts, probs = [seen.starts.get(s, 0) for s in possible], (start[possible] / start[possible].sum()).tolist()
    if evidence(counts, probs) > math.log(1 / ALPHA):
        raise fault(source, f"{what}: {_frequencies(counts, probs)}")


def evidence(counts: Sequence[int], probs: Sequence[float]) -> float:
    """Returns log E: how much likelier the counts are under the mean of all distributions than under `probs`."""
    kinds, total = len(counts), sum(counts)
    mean = math.lgamma(kinds) + sum(math.lgamma(n + 1) for n in counts) - math.lgamma(total + kinds)
    return mean - sum(n * math.log(p) for n, p in zip(counts, probs, strict=True) if n)


def _outcome(name: str, reward: float, ends: bool) -> str:
    return f"{cropped(name)} with reward {reward:g}{' and the end' if ends else ''}"


def _listed(row: Row, names: Sequence[str]) -> str:
    parts = [
        f"{_outcome(names[s], reward, ends)} (probability {row.probs[k]:g})"
        for (s, reward, ends), k in list(row.outcomes.items())[:SHOWN]
    ]
    return ", ".join(parts) + (", ..." if len(row.outcomes) > SHOWN else "")


def _frequencies(counts: Sequence[int], probs: Sequence[float]) -> str:
    total = sum(counts)
    shown = [f"{n / total:.3g} (probability {p:.3g})" for n, p in zip(counts[:SHOWN], probs, strict=False)]
    return f"frequencies in {total:,} tries: {', '.join(shown)}{', ...' if len(counts) > SHOWN else ''}"
