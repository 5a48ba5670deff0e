"""Calling an estimator on altered episodes, to see how its result changes."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from pgcheck.arrays import Floats, Ints
from pgcheck.errors import EstimatorError
from pgcheck.estimators.base import Estimator
from pgcheck.estimators.contract import Contract
from pgcheck.model.softmax import TabularSoftmax
from pgcheck.trajectories.batch import Batch
from pgcheck.verification.calls import Viewed, each_episode
from pgcheck.verification.causes import Diagnosis
from pgcheck.verification.exhaustive import over_batches, over_episodes
from pgcheck.verification.findings import Finding
from pgcheck.verification.impulses import (
    WeightMatrix,
    chain,
    chain_episodes,
    coefficients,
    correct_weights,
    fork,
    impulses,
    weights_agree,
)

CHAIN_STEPS = 4  # of the episodes that impulses go through
CHAIN_GAMMA = 0.9  # where no model has a γ between 0 and 1
NOISE, NOISE_SINGLE = 1e-12, 1e-5  # weights that are rounding alone, relative to the greatest
MAX_ALTERED = 2_000  # batches of one size, where their episodes are altered again and again
CLOSE, CLOSE_SINGLE = 1e-6, 1e-4  # relative differences that count as none, in double and in single precision


Change = Callable[[Batch], Batch]
Length = Callable[[Ints], Floats]  # from the lengths of M batches' episodes [M, B] to a factor for each [M]


@dataclass(frozen=True)
class View:
    """An estimator looked at in another way.

    Attributes:
      changes: what is done to the episodes before the estimator sees them.
      length: what the gradient of each batch is multiplied by.
      alone: whether each episode is a batch by itself.
      of_known_sizes: whether `length` is known only for the batch sizes that were looked at.
    """

    changes: tuple[Change, ...] = ()
    length: Length | None = None
    alone: bool = False
    of_known_sizes: bool = False

    def altered(self, batch: Batch) -> Batch:
        """Returns the episodes that the estimator sees."""
        for change in self.changes:
            batch = change(batch)
        return batch

    def then(self, *changes: Change) -> "View":
        """Returns the view with more changes."""
        return replace(self, changes=(*self.changes, *changes))


AS_IT_IS = View()


class Prober:
    """Calls an estimator on altered episodes.

    Attributes:
      gamma: γ of the chains.
      scale: what gradients are divided by: the factor that was accepted.
      tolerance: the relative difference within which two expectations are the same.
      rounding: the relative difference within which two weights are the same.
      off_policy: whether another policy than the one that is differentiated draws the episodes.
      was_not_finite: whether the estimator has returned NaN or infinity for altered episodes.
    """

    def __init__(
        self, estimator: Estimator, contract: Contract, gamma: float, tolerance: float, scale: float = 1.0,
        *, off_policy: bool = False,
    ) -> None:  # fmt: skip
        self.estimator = estimator
        self.contract = contract
        self.gamma = gamma
        self.scale = scale
        self.rounding = CLOSE_SINGLE if contract.single else CLOSE
        self.tolerance = max(self.rounding, tolerance)
        self.off_policy = off_policy
        self.was_not_finite = False

    def each(self, batch: Batch) -> Floats:
        """Returns the gradients of single episodes `[N, *theta.shape]`."""
        return np.asarray(each_episode(self.estimator, batch, self.contract).values / self.scale)

    def alone(self, batch: Batch) -> Floats:
        """Returns the gradients of batches of one episode `[N, *theta.shape]`."""
        return self.each(batch) if self.contract.by_episode else self._of_single_batches(batch)

    def through(self, view: View) -> "Prober":
        """Returns a prober of the estimator as a view shows it."""
        estimator = Viewed(self.estimator, self.contract, view.altered, view.length)
        return Prober(estimator, self.contract, self.gamma, self.tolerance, self.scale, off_policy=self.off_policy)

    def mean(self, finding: Finding, view: View = AS_IT_IS) -> Floats | None:
        """Returns E[ĝ] of the view on a finding's model; None where the estimator cannot be called like that."""
        viewed = self.through(view)
        try:
            if finding.enumeration is None:
                by_episode = over_episodes(viewed.estimator, finding.setting, self.contract)
                return None if by_episode is None else by_episode.mean
            batch, prob = finding.enumeration.batch, finding.enumeration.prob
            if view.alone or self.contract.by_episode:
                return np.asarray(np.tensordot(prob, viewed.alone(batch), axes=1))
            return over_batches(
                viewed.estimator, batch, prob, finding.batch_size, self.contract,
                same_start=finding.enumeration.same_start,
            ).mean  # fmt: skip
        except EstimatorError as error:
            self.was_not_finite = self.was_not_finite or error.not_finite
            return None
        except Exception:  # the estimator has its verdict already: altered episodes may be too strange for it
            return None

    def seen(self, findings: Sequence[Finding], view: View) -> list[Finding] | None:
        """Returns the findings that an estimator would have had, if it were the view of it; None where one fails."""
        seen = []
        for finding in findings:
            mean = self.mean(finding, view)
            if mean is None:
                return None
            size = 1 if view.alone else finding.batch_size
            seen.append(replace(finding, expectation=replace(finding.expectation, mean=mean, batch_size=size)))
        return seen

    def alterable(self, findings: Sequence[Finding]) -> list[Finding]:
        """Returns the findings whose episodes can be altered: estimators of whole batches need few batches."""
        return [
            finding
            for finding in findings
            if finding.enumeration is not None
            and (
                self.contract.by_episode
                or finding.enumeration.number_of_batches(finding.batch_size, self.contract) <= MAX_ALTERED
            )
        ]

    def matrix(self, gamma: float) -> WeightMatrix | None:
        """Returns W of episodes that terminate; None for an estimator of whole batches."""
        return self.matrix_alone(gamma) if self.contract.by_episode else None

    def matrix_alone(self, gamma: float) -> WeightMatrix | None:
        """Returns W of episodes that terminate, each in a batch by itself."""
        try:
            values = impulses(self.alone, CHAIN_STEPS, gamma)
        except Exception:  # the estimator may be made for one model only
            return None
        is_right = weights_agree(values, correct_weights(CHAIN_STEPS, gamma), self.rounding)
        return WeightMatrix(values, gamma, is_right, NOISE_SINGLE if self.contract.single else NOISE)

    def follows_next_states(self) -> bool:
        """Whether the weight of a step changes with the state after it, without any reward."""
        mdp, _, batch = fork(self.gamma)
        assert mdp.num_actions == 2
        try:
            rows = self.alone(batch)
        except Exception:  # the estimator may be made for one model only
            return False
        first, second = rows.reshape(2, -1, 2)[:, 0]
        return float(np.max(np.abs(first - second))) > self.rounding * max(1.0, float(np.abs(rows).max()))

    def weights_follow_actions(self, reward: float) -> bool:
        """Whether steps are weighted by their actions although every reward is the same."""
        mdp, policy = chain(CHAIN_STEPS, self.gamma)
        batch = chain_episodes(mdp, policy, [[0] * CHAIN_STEPS, [1] * CHAIN_STEPS])
        batch = batch.altered(rewards=np.full((2, CHAIN_STEPS), reward))
        try:
            first, second = coefficients(batch, self.alone(batch))
        except Exception:  # the estimator may be made for one model only
            return False
        return float(np.max(np.abs(first - second))) > self.rounding * max(1.0, float(np.abs(first).max()))

    def weights_follow_policy(self) -> bool:
        """Whether, with all rewards 0, the weight of an action changes with its probability, as log π does."""
        differences = []
        for preference in (0.6, -0.3):
            mdp, _ = chain(CHAIN_STEPS, self.gamma)
            policy = TabularSoftmax.of(mdp, {(name, "one"): preference for name in mdp.observations})
            batch = chain_episodes(mdp, policy, [[0] * CHAIN_STEPS, [1] * CHAIN_STEPS])
            batch = batch.altered(rewards=np.zeros((2, CHAIN_STEPS)))
            try:
                first, second = coefficients(batch, self.alone(batch))
            except Exception:  # the estimator may be made for one model only
                return False
            differences.append(first - second)
        here, there = differences
        return float(np.max(np.abs(here - there))) > self.rounding * max(1.0, float(np.abs(here).max()))

    def entropy_coefficient(self) -> float | None:
        """Returns the coefficient of an entropy in what is there without any reward; None where there is none.

        Of the two actions of a step, what the gradients have in common is no weight of the score; it has to be
        ∇H(π(·|s_t)), times γ^t or not, for policies that differ from step to step.
        """
        mdp, _ = chain(CHAIN_STEPS, self.gamma)
        policy = TabularSoftmax.of(mdp, {(name, "one"): 0.3 + 0.2 * t for t, name in enumerate(mdp.observations)})
        batch = chain_episodes(mdp, policy, [[0] * CHAIN_STEPS, [1] * CHAIN_STEPS])
        batch = batch.altered(rewards=np.zeros((2, CHAIN_STEPS)))
        try:
            rows = self.alone(batch)
        except Exception:  # the estimator may be made for one model only
            return None
        first, second = rows.reshape(2, -1, 2)[:, :CHAIN_STEPS, 0]
        p, q = batch.probs[:CHAIN_STEPS].T
        common = (second + p * (first - second)) / (p * q * np.log(q / p))
        if float(np.max(np.abs(common))) <= self.rounding:
            return None
        for series in (np.ones(CHAIN_STEPS), self.gamma ** np.arange(CHAIN_STEPS, dtype=np.float64)):
            if np.allclose(common, common[0] * series, rtol=self.rounding, atol=0):
                return float(abs(common[0]))
        return None

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

    def _of_single_batches(self, batch: Batch) -> Floats:
        return (
            np.asarray(self.estimator.of_batches(batch, np.arange(len(batch))[:, None]), dtype=np.float64)
            / self.scale
        )
