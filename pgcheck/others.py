"""Somebody's estimator, as what samples and predicts want."""

import numpy as np

from pgcheck.batch import Batch
from pgcheck.calls import Caller
from pgcheck.estimate import Estimator
from pgcheck.expectation import habits, listed
from pgcheck.mdp import MDP, Floats
from pgcheck.policy import Policy


def somebodys(caller: Caller, mdp: MDP, policy: Policy) -> Estimator:
    """Returns an estimator that asks `caller`, once it is known what kind of function it is.

    Raises:
      EstimatorError: it cannot be called, or returns what is no gradient, or other numbers when called again.
    """
    kind = habits(caller, listed(mdp, policy, most=2000)[0])

    def gradients(batch: Batch) -> Floats:
        if kind.rows:
            return batch.flattened(caller.whole(batch).values)
        return batch.flattened(caller.groups(batch, np.arange(len(batch))[:, None]).values)

    def whole(batch: Batch) -> Floats:
        return batch.flattened(caller.whole(batch).values.mean(axis=0))

    if kind.by_episode:
        return Estimator(caller.name, "", "unknown", "", "", None, gradients=gradients)
    return Estimator(caller.name, "", "unknown", "", "", None, whole=whole)
