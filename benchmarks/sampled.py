"""Speed of sampled verdicts: steps a second, and which part of the time is not the estimator's own."""

import time

import numpy as np

import pgcheck
from pgcheck import Batch
from pgcheck.arrays import Floats
from pgcheck.estimators.contract import contract_of
from pgcheck.external.calling import LocalFunction
from pgcheck.verification.outputs import OfEstimator
from pgcheck.verification.sampled_finding import gradient_of
from pgcheck.verification.sampling import Sampling, looked_until_decided
from pgcheck.verification.setting import Setting

ROLLOUTS = 2**17


class Timed:
    """REINFORCE with rewards to go, vectorised, of a tabular policy; it notes how long its calls take."""

    def __init__(self) -> None:
        self.seconds, self.steps = 0.0, 0

    def __call__(self, batch: Batch) -> Floats:
        since = time.perf_counter()
        to_go = np.array(batch.rewards)
        for t in range(to_go.shape[1] - 2, -1, -1):
            to_go[:, t] += batch.gamma * to_go[:, t + 1]
        weights = np.where(batch.mask, to_go * batch.gamma ** np.arange(to_go.shape[1]), 0.0)
        n, (states, actions) = len(batch), batch.theta.shape
        row = np.arange(n)[:, None] * states + batch.states
        sums = np.bincount((row * actions + batch.actions).ravel(), weights.ravel(), n * states * actions)
        table = sums.astype(np.float64).reshape(n, states, actions)
        table -= table.sum(axis=2, keepdims=True) * batch.probs
        self.seconds += time.perf_counter() - since
        self.steps += int(batch.lengths.sum())
        return table


def sampled() -> None:
    """As many rollouts of two models, whatever they show."""
    for name in ("two_state", "frozen_lake"):
        mdp, policy = pgcheck.load(name)
        setting, timed = Setting(mdp, policy), Timed()
        estimator = LocalFunction(timed, "timed")
        contract = contract_of(estimator, setting.examples(2000))
        gradient = gradient_of(setting, 1e-3)
        outputs = OfEstimator(estimator, contract, setting, None, gradient, np.random.default_rng(0))
        sampling = Sampling(tolerance=1e-9, max_rollouts=ROLLOUTS)  # which no bound reaches
        timed.seconds, timed.steps, since = 0.0, 0, time.perf_counter()
        looked = looked_until_decided(outputs, gradient, sampling)
        seconds = time.perf_counter() - since
        steps = timed.steps
        print(
            f"{name}: {looked.look.rollouts:,} rollouts, {steps / looked.look.rollouts:.1f} steps each: "
            f"{steps / seconds:.3g} steps a second; the estimator alone {steps / timed.seconds:.3g}; "
            f"{100 * (1 - timed.seconds / seconds):.0f} % of the time is not its own"
        )
