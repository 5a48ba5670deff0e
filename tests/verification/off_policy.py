"""Estimators for episodes that another policy drew, as people write them: right ones beside their wrong twins."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from pgcheck import Batch
from tests.oracles import Floats
from tests.verification.slips import entropy_gradient
from tests.verification.zoo import Estimate, discount, each_step, returned, to_go, vector, whole

Case = tuple[Estimate, set[str], str, str]  # a wrong estimator, its ids, the cause of `ratio`, its right twin


def rho(batch: Batch) -> Floats:
    """π/b of each step, 1 beyond the end, by plain division."""
    taken = batch.states, batch.actions
    drawn = np.where(batch.mask, batch.behavior_probs[taken], 1.0)
    return np.asarray(np.where(batch.mask, batch.probs[taken], 1.0) / drawn)


def product(batch: Batch) -> Floats:
    """ρ_0 … ρ_t."""
    return np.asarray(np.exp(np.cumsum(np.log(rho(batch)), axis=1)))


def total(batch: Batch) -> Floats:
    """ρ_0 … ρ_{L−1}, one number an episode."""
    return np.asarray(np.array([math.prod(row) for row in rho(batch).tolist()]))


def later(batch: Batch, weights: Floats, gamma: float = 1.0) -> Floats:
    """Σ_{k≥t} of weights."""
    out = np.array(weights)
    for t in reversed(range(out.shape[1] - 1)):
        out[:, t] += gamma * out[:, t + 1]
    return out


def per_decision(batch: Batch) -> Floats:
    return later(batch, discount(batch) * product(batch) * batch.rewards)


def baseline(batch: Batch) -> Floats:
    """Of the state, for a step whose state and action have their ratios."""
    return np.asarray(discount(batch) * product(batch) * (0.3 + 0.2 * batch.states))


def gained(batch: Batch) -> Floats:
    return discount(batch) * to_go(batch)


def of_others(batch: Batch, x: Floats) -> Floats:
    """The mean of the others of the batch; 0 of an episode by itself."""
    return np.asarray((x.sum() - x) / max(len(x) - 1, 1))


def self_normalised(batch: Batch) -> Any:
    weights = total(batch) / total(batch).sum()
    return np.einsum("n,nt...->...", weights * returned(batch), batch.score)


def v_trace(batch: Batch, bar: float = 1.0) -> Floats:
    """ρ̄_t (r_t + γ v_{t+1}) with values of 0, by the recursion of the paper."""
    cut = np.minimum(rho(batch), bar)
    out = np.zeros(batch.rewards.shape)
    for i, length in enumerate(batch.lengths):
        v = 0.0  # of the state after the step
        for t in reversed(range(length)):
            out[i, t] = cut[i, t] * (batch.rewards[i, t] + batch.gamma * v)
            v = cut[i, t] * batch.rewards[i, t] + batch.gamma * cut[i, t] * v
    return out


def ppo(batch: Batch, advantages: Floats, eps: float = 0.2) -> Floats:
    """The gradient of min(ρ A, clip(ρ, 1 − ε, 1 + ε) A): none where the clip is what is least."""
    ratio = rho(batch)
    clipped = np.clip(ratio, 1 - eps, 1 + eps) * advantages < ratio * advantages
    return np.where(clipped, 0.0, ratio * advantages)


RIGHT: dict[str, Estimate] = {
    "whole trajectory": vector(lambda b: each_step(b, total(b) * returned(b))),
    "whole trajectory on rewards to go": vector(lambda b: total(b)[:, None] * gained(b)),
    "per decision": vector(per_decision),
    "per decision with a baseline": vector(lambda b: per_decision(b) - baseline(b)),
    "whole trajectory, a mean of the batch": whole(lambda b: each_step(b, total(b) * returned(b))),
    "per decision, a mean of the batch": whole(per_decision),
    "leave one out": whole(lambda b: each_step(b, total(b) * (returned(b) - of_others(b, returned(b))))),
    "leave one out of what is corrected": whole(
        lambda b: each_step(b, total(b) * returned(b) - of_others(b, total(b) * returned(b)) * total(b))
    ),
}


def by(multiplier: "Callable[[Batch], Any]", weights: "Callable[[Batch], Any]" = gained) -> Estimate:
    return vector(lambda b: multiplier(b) * weights(b))


WRONG: dict[str, Case] = {
    "no ratio": (vector(gained), {"ratio"}, "ratio/missing", "per decision"),
    "no ratio, a loss": (vector(lambda b: -gained(b)), {"ratio", "sign"}, "ratio/missing", "per decision"),
    "no ratio, no gamma^t": (vector(to_go), {"ratio", "dropped-gamma"}, "ratio/missing", "per decision"),
    "no ratio, leave one out": (
        whole(lambda b: each_step(b, returned(b) - of_others(b, returned(b)))), {"ratio"}, "ratio/missing", "leave one out",
    ),
    "no ratio, batch mean": (
        whole(lambda b: each_step(b, returned(b) - returned(b).mean())), {"ratio", "scale"}, "ratio/missing", "leave one out",
    ),
    "the token's ratio": (by(rho), {"ratio"}, "ratio/single-step", "per decision"),
    "the token's ratio on the return": (
        vector(lambda b: rho(b) * each_step(b, returned(b))), {"ratio"}, "ratio/single-step", "whole trajectory",
    ),
    "the token's ratio, no gamma^t": (by(rho, to_go), {"ratio", "dropped-gamma"}, "ratio/single-step", "per decision"),
    "the token's ratio, nothing discounted": (
        by(rho, lambda b: to_go(b, 1.0)), {"ratio", "undiscounted", "dropped-gamma"}, "ratio/single-step", "per decision",
    ),
    "the token's ratio, leave one out": (
        whole(lambda b: rho(b) * each_step(b, returned(b) - of_others(b, returned(b)))), {"ratio"}, "ratio/single-step", "leave one out",
    ),
    "the prefix's ratio": (by(product), {"ratio"}, "ratio/future", "per decision"),
    "ratios from the step on": (
        vector(lambda b: discount(b) * later(b, discount(b) * product(b) * b.rewards) / (discount(b) * product(b) / rho(b))),
        {"ratio"}, "ratio/past", "per decision",
    ),
    "V-trace without a cut": (
        vector(lambda b: discount(b) * v_trace(b, 1e9)), {"ratio"}, "ratio/past", "per decision",
    ),
    "V-trace": (vector(lambda b: discount(b) * v_trace(b)), {"ratio"}, "ratio/cut-above", "per decision"),
    "V-trace, no gamma^t": (vector(v_trace), {"ratio", "dropped-gamma"}, "ratio/cut-above", "per decision"),
    "only later actions": (
        vector(lambda b: later(b, discount(b) * product(b) * b.rewards) / product(b)), {"ratio"}, "ratio/past-and-own", "per decision",
    ),
    "the product one short": (
        vector(lambda b: later(b, discount(b) * product(b) / rho(b) * b.rewards)), {"ratio"}, "ratio/one-short", "per decision",
    ),
    "the next step's ratio": (
        by(lambda b: np.hstack([rho(b)[:, 1:], np.ones((len(b), 1))])), {"ratio"}, "ratio/next-step", "per decision",
    ),
    "the step's before": (
        by(lambda b: np.hstack([np.ones((len(b), 1)), rho(b)[:, :-1]])), {"ratio"}, "ratio/previous-step", "per decision",
    ),
    "the sequence's mean": (
        vector(lambda b: each_step(b, total(b) ** (1 / np.maximum(b.lengths, 1)) * returned(b))),
        {"ratio"}, "ratio/geometric-mean", "whole trajectory",
    ),
    "upside down": (vector(lambda b: each_step(b, returned(b) / total(b))), {"ratio"}, "ratio/inverted", "whole trajectory"),
    "upside down, per decision": (
        vector(lambda b: later(b, discount(b) / product(b) * b.rewards)), {"ratio"}, "ratio/inverted", "per decision",
    ),
    "upside down, the token's": (by(lambda b: 1 / rho(b)), {"ratio"}, "ratio/inverted", "per decision"),
    "upside down, a loss": (
        vector(lambda b: -each_step(b, returned(b) / total(b))), {"ratio", "sign"}, "ratio/inverted", "whole trajectory",
    ),
    "twice": (vector(lambda b: each_step(b, total(b) ** 2 * returned(b))), {"ratio"}, "ratio/twice", "whole trajectory"),
    "the token's ratio, cut": (
        by(lambda b: np.minimum(rho(b), 1.1)), {"ratio"}, "ratio/cut-above", "per decision",
    ),
    "the whole ratio, cut": (
        vector(lambda b: each_step(b, np.minimum(total(b), 1.05) * returned(b))), {"ratio"}, "ratio/cut-above", "whole trajectory",
    ),
    "the whole ratio, cut, leave one out": (
        whole(lambda b: each_step(b, np.minimum(total(b), 1.05) * (returned(b) - of_others(b, returned(b))))),
        {"ratio"}, "ratio/cut-above", "leave one out",
    ),
    "per decision, the product cut": (
        vector(lambda b: later(b, discount(b) * np.minimum(product(b), 1.2) * b.rewards)), {"ratio"}, "ratio/cut-above", "per decision",
    ),
    "per decision, each ratio clipped": (
        vector(lambda b: later(b, discount(b) * np.cumprod(np.clip(rho(b), 0.9, 1.1), axis=1) * b.rewards)),
        {"ratio"}, "ratio/cut-outside", "per decision",
    ),
    "the token's ratio, masked": (
        by(lambda b: rho(b) * (rho(b) <= 1.1)), {"ratio"}, "ratio/masked-above", "per decision",
    ),
    "raised from below": (
        vector(lambda b: each_step(b, np.maximum(total(b), 0.9) * returned(b))), {"ratio"}, "ratio/cut-below", "whole trajectory",
    ),
    "PPO": (vector(lambda b: ppo(b, gained(b), 0.1)), {"ratio"}, "ratio/cut-by-sign", "per decision"),
    "PPO, no gamma^t": (vector(lambda b: ppo(b, to_go(b), 0.1)), {"ratio", "dropped-gamma"}, "ratio/cut-by-sign", "per decision"),
    "the mean of the tokens' ratios": (
        vector(lambda b: each_step(b, (rho(b) * b.mask).sum(axis=1) / np.maximum(b.lengths, 1) * returned(b))),
        {"ratio"}, "ratio/arithmetic-mean", "whole trajectory",
    ),
    "a whole loss: the token's ratio, an entropy bonus, the sign": (
        lambda b: -(np.einsum("nt,nt...->n...", rho(b) * to_go(b), b.score) + 0.01 * entropy_gradient(b).sum(axis=1)),
        {"ratio", "dropped-gamma", "sign", "regulariser"}, "ratio/single-step", "per decision",
    ),
    "the token's ratio, over the steps of the batch": (
        lambda b: np.einsum("nt,nt...->...", rho(b) * gained(b), b.score) / max(b.mask.sum(), 1),
        {"ratio", "length-normalised"}, "ratio/single-step", "per decision, a mean of the batch",
    ),
    "self-normalised": (self_normalised, {"ratio"}, "ratio/self-normalised", "whole trajectory, a mean of the batch"),
    "right ratios, no gamma^t": (
        vector(lambda b: later(b, b.gamma ** np.arange(b.rewards.shape[1]) * product(b) * b.rewards) / discount(b)),
        {"dropped-gamma"}, "", "per decision",
    ),
    "right ratios, a mean over steps": (
        vector(lambda b: total(b)[:, None] * gained(b) / np.maximum(b.lengths, 1)[:, None]), {"length-normalised"}, "", "whole trajectory",
    ),
    "right ratios, and an entropy bonus of the states as drawn": (
        lambda b: vector(per_decision)(b) + 0.01 * entropy_gradient(b).sum(axis=1), {"regulariser"}, "", "per decision",
    ),
    "right ratios, a loss": (vector(lambda b: -per_decision(b)), {"sign"}, "", "per decision"),
    "right ratios, batch mean": (
        whole(lambda b: each_step(b, total(b) * (returned(b) - returned(b).mean()))), {"scale"}, "", "leave one out",
    ),
}  # fmt: skip
