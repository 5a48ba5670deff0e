"""Known estimators of episodes that another policy drew: on-policy weights with a right or a wrong correction."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from pgcheck.arrays import Floats
from pgcheck.estimators.base import Weights
from pgcheck.estimators.mistakes.weights import Mistake, dropped_gamma, with_gamma_t
from pgcheck.estimators.weights import all_steps, returns
from pgcheck.trajectories.batch import Batch
from pgcheck.verification.corrections import Correction, Multiplier


@dataclass(frozen=True, eq=False)
class Corrected(Mistake):
    """On-policy weights with a correction, less a constant baseline: the mean return of the episodes as drawn.

    Attributes:
      baseline: what one unit of the baseline is multiplied by `[N, T]`; None where there is no baseline.
      by_start: whether the baseline is that of the episodes with the same first state.
    """

    baseline: Multiplier | None = None
    by_start: bool = False

    def mean(self, batch: Batch, prob: Floats) -> Floats:
        """Returns Σ_τ P(τ) ĝ(τ) over the episodes of a batch `[*theta.shape]`, for probabilities `[N]`."""
        mean = super().mean(batch, prob)
        if self.baseline is None:
            return mean
        group = batch.starts if self.by_start else np.zeros(len(batch), dtype=np.int64)
        mass = np.bincount(group, weights=prob)
        total = np.bincount(group, weights=prob * returns(batch))
        level = np.divide(total, mass, out=np.zeros(len(mass)), where=mass > 0)[group]
        below = replace(self, weights=_times(self.baseline, level), baseline=None)
        return mean - below.mean(batch, prob)


def _times(multiplier: Multiplier, level: Floats) -> Weights:
    return lambda batch: multiplier(batch) * level[:, None]


def _whole_return(batch: Batch) -> Floats:
    """w_t = R."""
    return all_steps(batch, returns(batch))


def _undiscounted_return(batch: Batch) -> Floats:
    """w_t = Σ_k r_k."""
    return all_steps(batch, np.asarray(batch.credits.sum(axis=1)))


# The weights that are right on-policy, and those that only the whole return makes.
_BASES: tuple[tuple[Weights, tuple[str, ...]], ...] = (
    (with_gamma_t(dropped_gamma), ()),
    (_whole_return, ()),
    (_undiscounted_return, ("undiscounted", "dropped-gamma")),
)


def wrong(ways: Sequence[Correction]) -> Iterator[Mistake]:
    """Yields wrong corrections of weights that are right on-policy, some with the mean return as a baseline."""
    for way in ways:
        for weights, more in _BASES:
            yield Corrected(_corrected(way, weights), ("ratio", *more), way.cause)
    for way in ways:
        if way.multiplier is not None:
            for by_start in (False, True):
                yield Corrected(
                    _corrected(way, _whole_return), ("ratio",), way.cause, baseline=way.multiplier, by_start=by_start
                )


def mistaken(ways: Sequence[Correction], mistakes: Sequence[Mistake]) -> Iterator[Mistake]:
    """Yields known mistakes with a correction; a wrong one makes it two causes."""
    for way in ways:
        for mistake in mistakes:
            ids = ("ratio", *mistake.ids) if way.cause else mistake.ids
            yield replace(
                mistake, weights=_corrected(way, mistake.weights), ids=ids, cause=way.cause or mistake.cause,
                notes=() if way.cause else mistake.notes,
            )  # fmt: skip


def _corrected(way: Correction, weights: Weights) -> Weights:
    return lambda batch: way.apply(batch, weights)
