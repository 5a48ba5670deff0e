"""Self-normalised estimators: the ratios of a batch are divided by their sum, so that the bias vanishes as 1/B."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from pgcheck.arrays import Floats, Ints, norm_of
from pgcheck.estimators.base import Weights
from pgcheck.estimators.mistakes.weights import dropped_gamma, with_gamma_t
from pgcheck.estimators.weights import all_steps, ratios, returns
from pgcheck.external.estimator import External
from pgcheck.model.softmax import TabularSoftmax
from pgcheck.trajectories.batch import Batch
from pgcheck.verification.batching import trend_of
from pgcheck.verification.causes import Diagnosis
from pgcheck.verification.corrections import Multiplier, prefix, whole
from pgcheck.verification.exhaustive import over_batches
from pgcheck.verification.findings import Finding
from pgcheck.verification.impulses import chain, chain_episodes
from pgcheck.verification.probing import Prober


@dataclass(frozen=True)
class _Kind:
    """Which ratios are divided by their sum over the batch.

    Attributes:
      ratio: of each step `[N, T]`.
      by_step: whether the sum goes over one step of all episodes, or over what is there.
      over_steps: whether the sum goes over all steps of the batch.
    """

    ratio: Multiplier
    by_step: bool = False
    over_steps: bool = False


_KINDS = (_Kind(whole), _Kind(prefix, by_step=True), _Kind(ratios, by_step=True), _Kind(ratios, over_steps=True))
_WEIGHTS: tuple[tuple[Weights, tuple[str, ...]], ...] = (
    (lambda batch: all_steps(batch, returns(batch)), ()),
    (with_gamma_t(dropped_gamma), ()),
    (dropped_gamma, ("dropped-gamma",)),
)


class _SelfNormalised(External):
    """Σ_i Σ_t ρ_it w_it ∇log π / Σ ρ, the sum below over the batch."""

    def __init__(self, kind: _Kind, weights: Weights) -> None:
        super().__init__("self-normalised")
        self._kind = kind
        self._weights = weights

    def __call__(self, batch: Batch, /) -> Floats:
        """Returns the gradient of the whole batch."""
        return np.asarray(self.of_batches(batch, np.arange(len(batch))[None])[0])

    def of_batches(self, batch: Batch, index: Ints) -> Floats:
        """Returns the gradients of batches `[M, *theta.shape]`."""
        ratio = self._kind.ratio(batch)[index]  # [M, B, T]
        mask = batch.mask[index]
        if self._kind.over_steps:
            below = np.sum(ratio * mask, axis=(1, 2), keepdims=True)
        elif self._kind.by_step:
            below = np.sum(ratio, axis=1, keepdims=True)  # the product stands where an episode has ended
        else:
            below = np.sum(ratio[:, :, :1], axis=1, keepdims=True)
        share = np.where(mask, ratio, 0.0) / np.where(below > 0, below, 1.0)
        weighted = share * np.asarray(self._weights(batch))[index]
        score = batch.score.reshape(*batch.mask.shape, -1)[index]
        return np.asarray(np.einsum("mbt,mbtd->md", weighted, score)).reshape(len(index), *batch.theta.shape)


def find_self_normalised(prober: Prober, findings: Sequence[Finding], every: Sequence[Finding]) -> list[Diagnosis]:
    """Returns whether an estimator of whole batches is a self-normalised one; empty where it is not.

    Args:
      prober: knows the estimator.
      findings: its expectations off-policy, of so few batches that they can be compared.
      every: all of its expectations, for how the bias goes with the batch size.
    """
    if prober.contract.by_episode or not findings:
        return []
    for kind in _KINDS:
        for weights, ids in _WEIGHTS:
            if all(_fits(prober, finding, _SelfNormalised(kind, weights)) for finding in findings):
                diagnosis = Diagnosis("ratio", "ratio/self-normalised")
                trend = trend_of(every, prober.tolerance)
                named = diagnosis if trend is None else trend.noted(diagnosis)
                return [named, *(Diagnosis(name, name) for name in ids)]
    return []


def is_free_of_scale(prober: Prober) -> bool:
    """Whether a ratio that all episodes of a batch have makes no difference: they are divided by their sum."""
    if prober.contract.by_episode:
        return False
    results = []
    for ratio in (1.0, 1.5, 3.0):
        mdp, _ = chain(1, 1.0, copies=2)  # two episodes without a common state, so that a baseline cancels nothing
        policy, behavior = (
            TabularSoftmax.of(mdp, {(name, "one"): math.log(p / (1 - p)) for name in mdp.states})
            for p in (0.3, 0.3 / ratio)
        )
        batch = chain_episodes(mdp, policy, [[0], [0]], np.array([0, 2]), behavior)
        try:
            gradients = prober.estimator.of_batches(batch.altered(rewards=np.eye(2)[:, :1]), np.array([[0, 1]]))
        except Exception:  # the estimator may be made for one model only
            return False
        results.append(np.asarray(gradients, dtype=np.float64))
    size = float(np.abs(results[0]).max())
    return size > 0 and all(float(np.abs(other - results[0]).max()) <= prober.rounding * size for other in results)


def _fits(prober: Prober, finding: Finding, estimator: _SelfNormalised) -> bool:
    """Whether an estimator has the same expectation on a model."""
    assert finding.enumeration is not None
    batch, prob = finding.enumeration.batch, finding.enumeration.prob
    contract = replace(prober.contract, ordered=False)
    mean = over_batches(
        estimator, batch, prob, finding.batch_size, contract, same_start=finding.enumeration.same_start
    ).mean
    return norm_of(mean - finding.expectation.mean) <= prober.tolerance * finding.size
