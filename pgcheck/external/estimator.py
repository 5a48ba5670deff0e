"""A user's function as an estimator: what kind of function it is, it shows when it is called."""

from abc import ABC, abstractmethod
from typing import ClassVar

import numpy as np

from pgcheck.arrays import Floats, Ints
from pgcheck.errors import UsageError
from pgcheck.estimators.base import Aggregation, Bias
from pgcheck.estimators.contract import EXAMPLES, Contract, contract_of
from pgcheck.estimators.problem import Problem, RawMoments
from pgcheck.model.mdp import MDP
from pgcheck.model.policy import Policy
from pgcheck.trajectories.batch import Batch
from pgcheck.trajectories.draws import examples


class External(ABC):
    """An estimator (`Estimator`) of which nothing is known but what it returns.

    Attributes:
      name: where it is from, as the user named it.
    """

    formula: ClassVar[str] = ""
    about: ClassVar[str] = ""
    source: ClassVar[str] = ""
    bias: ClassVar[Bias] = "unknown"
    off_policy: ClassVar[bool] = False
    needs_paths: ClassVar[bool] = True
    lam: ClassVar[float | None] = None

    def __init__(self, name: str) -> None:
        self.name = name
        self._contract: Contract | None = None

    @abstractmethod
    def __call__(self, batch: Batch, /) -> Floats:
        """Returns one gradient for each episode, or one for the whole batch."""

    @abstractmethod
    def of_batches(self, batch: Batch, index: Ints) -> Floats:
        """Returns the gradients of M batches `[M, *theta.shape]`; `index` `[M, B]` numbers their episodes."""

    def learn(self, mdp: MDP, policy: Policy) -> None:
        """Finds out, on this model, what kind of function it is; the methods below need it.

        Raises:
          EstimatorError: it cannot be called, or returns something else than gradients, or other numbers when
            called again.
        """
        self._contract = contract_of(self, examples(mdp, policy, EXAMPLES))

    @property
    def contract(self) -> Contract:
        """What kind of function it is.

        Raises:
          UsageError: `learn` has not been called.
        """
        if self._contract is None:
            raise UsageError(f"{self.name}: not called yet, so its kind is unknown; call learn(mdp, policy) first")
        return self._contract

    @property
    def aggregation(self) -> Aggregation:
        """`mean` where batches of one episode tell everything, else `batch`."""
        return "mean" if self.contract.by_episode else "batch"

    @property
    def mean_of_few(self) -> bool:
        """Whether it makes of a batch of a few episodes the mean of what it makes of each alone."""
        return self.contract.mean_of_few

    def each(self, batch: Batch) -> Floats:
        """Returns ĝ of each episode by itself `[N, d]`."""
        if self.contract.rows:
            return batch.flattened(self(batch).astype(np.float64, copy=False))
        return batch.flattened(self.of_batches(batch, np.arange(len(batch))[:, None]))

    def shares(self, batch: Batch, counts: Floats) -> Floats:
        """Returns how much each episode counts `[N]`: as often as it was drawn."""
        return counts

    def weighted_sum(self, batch: Batch, shares: Floats) -> Floats:
        """Returns Σ shares · ĝ over the episodes `[d]`."""
        return np.asarray(shares @ self.each(batch))

    def second_moments(self, problem: Problem) -> RawMoments | None:
        """Returns None: no recursion is known."""
        return None
