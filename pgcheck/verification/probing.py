"""Calling an estimator on altered episodes, to see how its result changes."""

from collections.abc import Sequence

import numpy as np

from pgcheck.arrays import Floats
from pgcheck.errors import EstimatorError
from pgcheck.estimators.base import Estimator
from pgcheck.estimators.contract import Contract
from pgcheck.trajectories.batch import Batch
from pgcheck.verification.calls import each_episode
from pgcheck.verification.causes import Diagnosis
from pgcheck.verification.exhaustive import number_of_batches, over_batches
from pgcheck.verification.findings import Enumeration, Finding
from pgcheck.verification.impulses import (
    WeightMatrix,
    chain,
    chain_episodes,
    coefficients,
    correct_weights,
    impulses,
    weights_agree,
)

CHAIN_STEPS = 4  # of the episodes that impulses go through
CHAIN_GAMMA = 0.9  # where no model has a γ between 0 and 1
MAX_ALTERED = 5_000  # batches of one size, where their episodes are altered again and again
CLOSE, CLOSE_SINGLE = 1e-6, 1e-4  # relative differences that count as none, in double and in single precision


class Prober:
    """Calls an estimator on altered episodes.

    Attributes:
      gamma: γ of the chains.
      tolerance: the relative difference within which two expectations are the same.
      rounding: the relative difference within which two weights are the same.
      was_not_finite: whether the estimator has returned NaN or infinity for altered episodes.
    """

    def __init__(self, estimator: Estimator, contract: Contract, gamma: float, tolerance: float) -> None:
        self.estimator = estimator
        self.contract = contract
        self.gamma = gamma
        self.rounding = CLOSE_SINGLE if contract.single else CLOSE
        self.tolerance = max(self.rounding, tolerance)
        self.was_not_finite = False

    def each(self, batch: Batch) -> Floats:
        """Returns the gradients of single episodes `[N, *theta.shape]`."""
        return each_episode(self.estimator, batch, self.contract).values

    def mean(self, enumeration: Enumeration, batch: Batch, size: int) -> Floats | None:
        """Returns E[ĝ] over altered episodes of a model; None where the estimator cannot be called on them."""
        try:
            if self.contract.by_episode:
                return np.asarray(np.tensordot(enumeration.prob, self.each(batch), axes=1))
            return over_batches(self.estimator, batch, enumeration.prob, size, self.contract).mean
        except EstimatorError as error:
            self.was_not_finite = self.was_not_finite or error.not_finite
            return None
        except Exception:  # the estimator has its verdict already: altered episodes may be too strange for it
            return None

    def alterable(self, findings: Sequence[Finding]) -> list[Finding]:
        """Returns the findings whose episodes can be altered: estimators of whole batches need few batches."""
        return [
            finding
            for finding in findings
            if finding.enumeration is not None
            and (
                self.contract.by_episode
                or number_of_batches(len(finding.enumeration.batch), finding.batch_size, self.contract) <= MAX_ALTERED
            )
        ]

    def matrix(self, gamma: float) -> WeightMatrix | None:
        """Returns W of episodes that terminate; None for an estimator of whole batches."""
        if not self.contract.by_episode:
            return None
        try:
            values = impulses(self.each, CHAIN_STEPS, gamma)
        except Exception:  # the estimator may be made for one model only
            return None
        is_right = weights_agree(values, correct_weights(CHAIN_STEPS, gamma), self.rounding)
        return WeightMatrix(values, gamma, is_right)

    def weights_follow_actions(self, reward: float) -> bool:
        """Whether steps are weighed by their actions although every reward is the same."""
        mdp, policy = chain(CHAIN_STEPS, self.gamma)
        batch = chain_episodes(mdp, policy, [[0] * CHAIN_STEPS, [1] * CHAIN_STEPS])
        batch = batch.altered(rewards=np.full((2, CHAIN_STEPS), reward))
        try:
            first, second = coefficients(batch, self.each(batch))
        except Exception:  # the estimator may be made for one model only
            return False
        return float(np.max(np.abs(first - second))) > self.rounding * max(1.0, float(np.abs(first).max()))

    def not_finite(self) -> list[Diagnosis]:
        """Returns a warning where the result is not finite for inputs that no model has."""
        if not self.contract.by_episode:
            return []
        inputs = []
        for name, rewards in (("one-step", [1.0]), ("zero-rewards", [0.0] * 3), ("equal-rewards", [1.0] * 3)):
            steps = len(rewards)
            mdp, policy = chain(steps, CHAIN_GAMMA)
            batch = chain_episodes(mdp, policy, [[t % 2 for t in range(steps)], [0] * steps])
            try:
                self.each(batch.altered(rewards=np.tile(rewards, (2, 1))))
            except EstimatorError as error:
                if error.not_finite:
                    inputs.append(name)
            except Exception:  # the estimator may be made for one model only
                continue
        return [Diagnosis("nan", "nan/inputs", (("inputs", tuple(inputs)),))] if inputs else []
