"""Importance ratios that are cut off: where, and how often, read off an estimator's response to a single ratio.

In an episode of three steps all ratios are 1 but one, x. The weight of the first step by the last reward goes with x,
or with a power of it, unless x is cut: it then stays where it is, or is 0.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pgcheck.arrays import Floats
from pgcheck.estimators.base import Weights
from pgcheck.estimators.weights import ratios
from pgcheck.model.softmax import TabularSoftmax
from pgcheck.trajectories.batch import Batch
from pgcheck.verification.corrections import (
    Correction,
    Multiplier,
    credited,
    geometric_mean,
    multiplied,
    prefix,
    whole,
)
from pgcheck.verification.findings import Finding
from pgcheck.verification.impulses import chain, chain_episodes, coefficients
from pgcheck.verification.probing import Prober

STEPS = 3
FAR, FARTHER = 1e3, 1e4  # ratios beyond any cut
BISECTIONS = 40

_CAUSES = {  # by whether weights become 0, and whether there is a bound below, and above
    (False, False, True): "ratio/cut-above",
    (False, True, False): "ratio/cut-below",
    (False, True, True): "ratio/cut-outside",
    (True, False, True): "ratio/masked-above",
    (True, True, False): "ratio/masked-below",
    (True, True, True): "ratio/masked-outside",
}


@dataclass(frozen=True)
class Cut:
    """How an estimator cuts ratios.

    Attributes:
      low, high: what lies outside is cut; 0 and infinity where nothing is.
      masks: whether a weight with such a ratio becomes 0, or the ratio the nearest bound.
      sided: whether that depends on the sign of the weight, as in PPO: above for gains, below for losses.
    """

    low: float = 0.0
    high: float = math.inf
    masks: bool = False
    sided: bool = False

    @property
    def is_there(self) -> bool:
        """Whether anything is cut."""
        return self.low > 0 or self.high < math.inf

    @property
    def cause(self) -> str:
        """The key of its text, where anything is cut."""
        if self.sided:
            return "ratio/cut-by-sign"
        return _CAUSES[self.masks, self.low > 0, self.high < math.inf]

    def of(self, ratio: Floats) -> Floats:
        """Returns ratios as they are after the cut."""
        if self.masks:
            return np.where(self.outside(ratio) > 0, 0.0, ratio)
        return np.clip(ratio, self.low, self.high)

    def outside(self, ratio: Floats) -> Floats:
        """Returns 1 where a ratio is cut, else 0."""
        return np.asarray((ratio > self.high) | (ratio < self.low), dtype=np.float64)


@dataclass(frozen=True, eq=False)
class CutCorrection:
    """A correction with a cut, and the ratios that are compared with the bounds `[N, T]`."""

    correction: Correction
    compared: Multiplier


def corrections(cut: Cut) -> list[CutCorrection]:
    """Returns the ways in which ratios with a cut may enter."""

    if cut.sided:
        return [_by_sign(cut, compared) for compared in (ratios, prefix, whole, geometric_mean)]

    def product(batch: Batch) -> Floats:
        return np.asarray(np.cumprod(cut.of(ratios(batch)), axis=1), dtype=np.float64)

    def whole_product(batch: Batch) -> Floats:
        return np.broadcast_to(product(batch)[:, -1:], batch.mask.shape)

    def cutting(compared: Multiplier) -> Multiplier:
        return lambda batch: cut.of(compared(batch))

    return [
        *(
            CutCorrection(multiplied(cut.cause, cutting(compared)), compared)
            for compared in (ratios, prefix, whole, geometric_mean)
        ),
        CutCorrection(multiplied(cut.cause, product), ratios),
        CutCorrection(multiplied(cut.cause, whole_product), ratios),
        CutCorrection(credited(cut.cause, cutting(prefix)), prefix),
        CutCorrection(credited(cut.cause, product), ratios),
    ]


def _by_sign(cut: Cut, compared: Multiplier) -> CutCorrection:
    """PPO's surrogate: no weight where a gain has too large a ratio, or a loss too small a one."""

    def apply(batch: Batch, weights: Weights) -> Floats:
        weight, ratio = weights(batch), compared(batch)
        is_cut = ((weight > 0) & (ratio > cut.high)) | ((weight < 0) & (ratio < cut.low))
        return np.where(is_cut, 0.0, ratio * weight)

    return CutCorrection(Correction(cut.cause, apply), compared)


def v_trace(cut: Cut, between: Cut) -> Weights:
    """Returns w_t = ρ̄_t (r_t + Σ_{k>t} γ^{k−t} c̄_{t+1} … c̄_{k−1} ρ̄_k r_k), `between` being the cut of c̄."""

    def weights(batch: Batch) -> Floats:
        rho, trace = cut.of(ratios(batch)), between.of(ratios(batch))
        target = np.array(rho * batch.credits, order="F")  # of the state before each step
        for t in range(target.shape[1] - 2, -1, -1):
            target[:, t] += batch.gamma * trace[:, t] * target[:, t + 1]
        after = np.zeros(target.shape)
        after[:, :-1] = target[:, 1:]
        return np.asarray(rho * (batch.credits + batch.gamma * after))

    return weights


def share_cut(cut: Cut, compared: Multiplier, findings: Sequence[Finding]) -> float:
    """Returns the greatest part of a model's steps, as the behavior draws them, whose ratio is cut."""
    shares = [0.0]
    for finding in findings:
        if finding.enumeration is not None:
            batch, prob = finding.enumeration.batch, finding.enumeration.prob
            steps = prob[:, None] * batch.mask
            shares.append(float(np.sum(steps * cut.outside(compared(batch))) / max(float(steps.sum()), 1e-300)))
    return max(shares)


def find_cuts(prober: Prober) -> tuple[Cut, Cut]:
    """Returns how the ratio of a step is cut, and that of a step between it and the reward."""
    try:
        cuts = [_cut(prober, j) for j in range(STEPS)]
    except Exception:  # the estimator may be made for one model only
        return Cut(), Cut()
    own = next((cut for cut in (cuts[0], cuts[2], cuts[1]) if cut.is_there), Cut())
    return own, cuts[1] if cuts[1].is_there else own


def _cut(prober: Prober, j: int) -> Cut:
    """How the ratio of step j is cut."""
    gains, losses = _range(prober, j, 1.0), _range(prober, j, -1.0)
    masks = any(it.masks for it in (gains, losses))
    if gains == losses:
        return gains
    return Cut(losses.low, gains.high, masks, sided=True)


def _range(prober: Prober, j: int, reward: float) -> Cut:
    """The same for rewards of one sign."""

    def weight(x: float) -> float:
        return _weight(prober, j, x, reward)

    one = weight(1.0)
    size = abs(one)
    if not size:
        return Cut()

    def bound(far: float, farther: float) -> tuple[float, bool] | None:
        """Where a ratio is cut on this side of 1, and whether it is masked; None where it is not."""
        there, beyond = weight(far), weight(farther)
        if abs(there - beyond) > prober.rounding * max(abs(there), 1e-6 * size):
            return None
        if abs(there) > prober.rounding * size:
            # What is the same on this side as at 1 is cut at 1, if it follows the ratio on the other side.
            follows = abs(there - one) > prober.rounding * size or abs(weight(1 / far) - one) > prober.rounding * size
            return (there / one, False) if follows else None
        inner, outer = 0.0, math.log(far)
        for _ in range(BISECTIONS):
            middle = (inner + outer) / 2
            is_cut = abs(weight(math.exp(middle))) <= prober.rounding * size * math.exp(min(middle, 0.0))
            inner, outer = (inner, middle) if is_cut else (middle, outer)
        return math.exp(outer), True

    above, below = bound(FAR, FARTHER), bound(1 / FAR, 1 / FARTHER)
    masks = any(it is not None and it[1] for it in (above, below))
    return Cut(below[0] if below else 0.0, above[0] if above else math.inf, masks)


def _weight(prober: Prober, j: int, x: float, reward: float) -> float:
    """What the last reward adds to the coefficient of the first step, where the ratio of step j is x and others 1."""
    mdp, _ = chain(STEPS, 1.0)
    prob = np.full(len(mdp.states), 0.5)
    prob[j] = min(0.5, x / 2)
    drawn = prob.copy()
    drawn[j] = prob[j] / x
    policy, behavior = (
        TabularSoftmax.of(mdp, {(name, "one"): math.log(p / (1 - p)) for name, p in zip(mdp.states, q, strict=True)})
        for q in (prob, drawn)
    )
    batch = chain_episodes(mdp, policy, [[0] * STEPS] * 2, behavior=behavior)
    rewards = np.zeros((2, STEPS))
    rewards[0, -1] = reward
    weights = coefficients(batch, prober.alone(batch.altered(rewards=rewards)))
    return float(weights[0, 0] - weights[1, 0])
