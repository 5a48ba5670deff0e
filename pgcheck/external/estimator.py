"""Somebody's estimator, as what samples and predicts want."""

import numpy as np

from pgcheck.arrays import Floats
from pgcheck.estimators.base import Caller, Estimator
from pgcheck.estimators.contract import contract_of
from pgcheck.model.mdp import MDP
from pgcheck.model.policy import Policy
from pgcheck.trajectories.batch import Batch
from pgcheck.trajectories.paths import listed


def somebodys(caller: Caller, mdp: MDP, policy: Policy) -> Estimator:
    """Returns an estimator that asks `caller`, once it is known what kind of function it is.

    Raises:
      EstimatorError: it cannot be called, or returns what is no gradient, or other numbers when called again.
    """
    kind = contract_of(caller, listed(mdp, policy, most=2000)[0])

    def gradients(batch: Batch) -> Floats:
        if kind.rows:
            return batch.flattened(caller.whole(batch).values)
        return batch.flattened(caller.groups(batch, np.arange(len(batch))[:, None]).values)

    def whole(batch: Batch) -> Floats:
        return batch.flattened(caller.whole(batch).values.mean(axis=0))

    if kind.by_episode:
        return Estimator(caller.name, "", "unknown", "", "", None, gradients=gradients)
    return Estimator(caller.name, "", "unknown", "", "", None, whole=whole)
