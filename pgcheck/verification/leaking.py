"""What returns that run on into the next episode of a batch add to the expectation, exactly.

In one list of all episodes, G_t of an episode of L steps is Σ_{t≤k<L} γ^{k−t} r_k + γ^{L−t} G', where G' is the
return of the episodes that follow. These are independent of it, so that E[G'] is K_m for m of them: K_0 = 0 and
K_m = J + E[γ^L] K_{m−1}.
"""

from dataclasses import replace

import numpy as np

from pgcheck.arrays import Floats
from pgcheck.estimators.mistakes.weights import REFERENCE, Candidate, dropped_gamma, with_gamma_t
from pgcheck.estimators.weights import returns
from pgcheck.trajectories.batch import Batch
from pgcheck.verification.explanation import Field
from pgcheck.verification.findings import Enumeration, Finding


def with_leak(field: Field | None, *, only_cut: bool) -> Field | None:
    """Returns the expectation over batches of what a field says of single episodes, with what leaks into them.

    None where that is not known: the weights have to be G_t, with γ^t or without.

    Args:
      field: the expectation of batches of one episode.
      only_cut: whether only episodes that the horizon cuts off run on.
    """
    if field is None or field.scale is not None or field.candidate is None:
        return None
    if field.candidate is not REFERENCE and field.candidate.weights is not dropped_gamma:
        return None

    def runs_on(batch: Batch) -> Floats:
        """γ^{L−t}, or 0 where the sum starts anew `[N, T]`."""
        exponent = np.maximum(batch.lengths[:, None] - np.arange(len(batch.outcomes)), 0)
        stops = (batch.terminated if only_cut else np.zeros(len(batch), dtype=np.bool_))[:, None]
        return np.where(stops, 0.0, batch.gamma**exponent)

    leak = Candidate(with_gamma_t(runs_on) if field.candidate is REFERENCE else runs_on)

    def means(part: Enumeration) -> Floats:
        """J and E[γ^L] of some episodes."""
        whole = np.append(runs_on(part.batch), np.zeros((len(part.prob), 1)), axis=1)[:, 0]
        return np.array([part.prob @ returns(part.batch), part.prob @ whole])

    def added(finding: Finding) -> Floats:
        value, factor = finding.total(means)
        following = total = 0.0
        for _ in range(finding.batch_size - 1):
            following = value + factor * following
            total += following
        return np.asarray(total / finding.batch_size * finding.total(lambda it: leak.mean(it.batch, it.prob)))

    return replace(field, added=added)
