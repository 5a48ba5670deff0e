"""What the runs of an agent show by themselves: gradients that are not finite, and other actions than π's."""

from collections.abc import Callable, Sequence

import numpy as np

from pgcheck.arrays import Bools
from pgcheck.verification.causes import Diagnosis
from pgcheck.verification.loop_evidence import LoopFinding
from pgcheck.verification.recorded import Recorded

SAME_PROBABILITY = 1e-5  # by which the share of an action may miss π(a|s): networks in single precision
SAME_RUNS = 1e-7  # by which the probabilities of two sets of runs may differ


def not_finite(findings: Sequence[LoopFinding]) -> Diagnosis | None:
    """Returns how likely runs without a finite gradient are, and what they have in common; None without any."""
    worst = max(findings, key=lambda it: it.runs.not_finite)
    if worst.runs.not_finite <= 0:
        return None
    figures = (("prob", worst.runs.not_finite),)
    inputs = tuple(
        key
        for key, holds in _COMMON.items()
        if all(abs(_probability(it.runs.recorded, holds) - it.runs.not_finite) <= SAME_RUNS for it in findings)
    )
    if not inputs:
        return Diagnosis("nan", "nan/runs", figures)
    return Diagnosis("nan", "nan/runs-with", (*figures, ("inputs", inputs[:1])))


def other_draws(findings: Sequence[LoopFinding]) -> Diagnosis | None:
    """Returns the action whose share in a state is not π(a|s), the one that is off most; None where there is none."""
    worst, named = SAME_PROBABILITY, None
    for finding in findings:
        recorded, mdp = finding.runs.recorded, finding.mdp
        batch = recorded.batch
        weights = np.broadcast_to(recorded.weights(np.ones(len(recorded.run)))[:, None], batch.mask.shape)[batch.mask]
        pairs = (batch.states * mdp.num_actions + batch.actions)[batch.mask]
        counts = np.bincount(pairs, weights, minlength=mdp.num_states * mdp.num_actions)
        counts = counts.reshape(mdp.num_states, mdp.num_actions)
        visits = counts.sum(axis=1, keepdims=True)
        share = counts / np.where(visits > 0, visits, 1.0)
        off = np.where(visits > 0, np.abs(share - finding.policy.probs()), 0.0)
        s, a = np.unravel_index(int(np.argmax(off)), off.shape)
        if off[s, a] > worst:
            worst = float(off[s, a])
            named = Diagnosis(
                "ratio", "ratio/other-draws",
                (("state", mdp.states[s]), ("action", mdp.actions[a]), ("drawn", float(share[s, a])),
                 ("prob", float(finding.policy.probs()[s, a]))),
            )  # fmt: skip
    return named


def _probability(recorded: Recorded, holds: Callable[[Recorded], Bools]) -> float:
    """The probability of runs with an episode of some kind."""
    which = np.zeros(len(recorded.probs), dtype=np.bool_)
    which[recorded.run[holds(recorded)[recorded.number]]] = True
    return float(recorded.probs[which].sum())


def _one_step(recorded: Recorded) -> Bools:
    return np.asarray(recorded.batch.lengths == 1)


def _zero_rewards(recorded: Recorded) -> Bools:
    batch = recorded.batch
    return np.asarray(~np.any(np.where(batch.mask, batch.rewards, 0.0), axis=1))


def _equal_rewards(recorded: Recorded) -> Bools:
    batch = recorded.batch
    return np.asarray(np.all(~batch.mask | (batch.rewards == batch.rewards[:, :1]), axis=1))


_COMMON: dict[str, Callable[[Recorded], Bools]] = {
    "one-step": _one_step,
    "zero-rewards": _zero_rewards,
    "equal-rewards": _equal_rewards,
}
