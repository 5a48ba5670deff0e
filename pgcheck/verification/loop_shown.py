"""What the runs of an agent show by themselves: gradients that are not finite, and other actions than π's."""

from collections.abc import Callable, Sequence

import numpy as np

from pgcheck.arrays import Bools, Floats
from pgcheck.verification.causes import Diagnosis
from pgcheck.verification.loop_evidence import LoopFinding
from pgcheck.verification.recorded import Recorded
from pgcheck.verification.tails import normal_quantile

SAME_PROBABILITY = 1e-5  # by which the share of an action may miss π(a|s): networks in single precision
CHANCE = 1e-4  # that a share is taken to be off which is not
RARE = 1e-6  # the least variance of a share, times the visits
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
    return _off_most(findings, lambda off, visits, probs: off, SAME_PROBABILITY)


def other_sampled_draws(findings: Sequence[LoopFinding]) -> Diagnosis | None:
    """Returns the same of sampled runs: shares that are off by more than chance explains."""

    def deviation(off: Floats, visits: Floats, probs: Floats) -> Floats:
        return off / np.sqrt(np.maximum(probs * (1 - probs), RARE) / np.maximum(visits, 1.0))

    pairs = sum(finding.policy.probs().size for finding in findings)
    return _off_most(findings, deviation, normal_quantile(CHANCE / (2 * pairs)))


def _off_most(
    findings: Sequence[LoopFinding], measure: Callable[[Floats, Floats, Floats], Floats], most: float
) -> Diagnosis | None:
    """The action whose share in a state is off most, by some measure; None where none is off by more than `most`."""
    worst, named = most, None
    for finding in findings:
        recorded, mdp, probs = finding.runs.recorded, finding.mdp, finding.policy.probs()
        batch = recorded.batch
        weights = np.broadcast_to(recorded.weights(np.ones(len(recorded.run)))[:, None], batch.mask.shape)[batch.mask]
        pairs = (batch.states * mdp.num_actions + batch.actions)[batch.mask]
        counts = np.bincount(pairs, weights, minlength=mdp.num_states * mdp.num_actions)
        counts = counts.reshape(mdp.num_states, mdp.num_actions)
        visits = counts.sum(axis=1, keepdims=True)
        share = counts / np.where(visits > 0, visits, 1.0)
        off = np.where(visits > 0, np.abs(share - probs), 0.0)
        measured = measure(off, visits * len(recorded.probs), probs)
        s, a = np.unravel_index(int(np.argmax(measured)), off.shape)
        if measured[s, a] > worst:
            worst = float(measured[s, a])
            named = Diagnosis(
                "ratio", "ratio/other-draws",
                (("state", mdp.states[s]), ("action", mdp.actions[a]), ("drawn", float(share[s, a])),
                 ("prob", float(probs[s, a]))),
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
