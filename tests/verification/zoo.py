"""Estimators as people write them, right ones beside their wrong twins, with the verdict and the names due to them."""

from collections.abc import Callable
from typing import Any

import numpy as np

from pgcheck import Batch
from tests.oracles import Floats, index_of

Estimate = Callable[[Batch], Any]


def score_of(batch: Batch, s: int, a: int) -> Floats:
    """∇log π(a|s) in the shape of theta, as a user with a table would write it."""
    g = np.zeros(batch.theta.shape)
    if g.ndim == 2:
        g[s] -= batch.probs[s]
        g[s, a] += 1
        return g
    row = index_of(batch.policy)[s]
    for b, k in enumerate(row):
        if k >= 0:
            g[k] += (a == b) - batch.probs[s, b]
    return g


def loop(weights: "Callable[[Batch, Any], list[float]]") -> Estimate:
    """An estimator that goes through episodes one by one, as in most tutorials."""

    def estimate(batch: Batch) -> list[Floats]:
        rows = []
        for episode in batch:
            g = np.zeros(batch.theta.shape)
            for t, w in enumerate(weights(batch, episode)):
                g += w * score_of(batch, episode.states[t], episode.actions[t])
            rows.append(g)
        return rows

    return estimate


def vector(weights: "Callable[[Batch], Any]") -> Estimate:
    """A vectorised estimator: weights [N, T] of the scores."""
    return lambda batch: np.einsum("nt,nt...->n...", weights(batch), batch.score)


def whole(weights: "Callable[[Batch], Any]") -> Estimate:
    """One gradient for the batch: the mean over its episodes."""
    return lambda batch: np.einsum("nt,nt...->...", weights(batch), batch.score) / len(batch)


def discount(batch: Batch) -> Floats:
    return np.asarray(batch.gamma ** np.arange(batch.rewards.shape[1]))


def returned(batch: Batch) -> Floats:
    return np.asarray((batch.rewards * discount(batch)).sum(axis=1))


def to_go(batch: Batch, gamma: float | None = None) -> Floats:
    out = np.array(batch.rewards)
    for t in reversed(range(out.shape[1] - 1)):
        out[:, t] += (batch.gamma if gamma is None else gamma) * out[:, t + 1]
    return out


def each_step(batch: Batch, x: Any) -> Floats:
    return np.asarray(np.broadcast_to(np.asarray(x)[:, None], batch.rewards.shape))


# -- loops -------------------------------------------------------------------------------------------------------------


def textbook(batch: Batch, e: Any) -> list[float]:
    """REINFORCE of Sutton & Barto's box, with γ^t."""
    weights = []
    for t in range(len(e.rewards)):
        g = sum(batch.gamma ** (k - t) * e.rewards[k] for k in range(t, len(e.rewards)))
        weights.append(batch.gamma**t * g)
    return weights


def forgets_gamma_t(batch: Batch, e: Any) -> list[float]:
    g = 0.0
    weights: list[float] = []
    for r in e.rewards[::-1]:
        g = r + batch.gamma * g
        weights.insert(0, g)
    return weights


def backwards_with_gamma_t(batch: Batch, e: Any) -> list[float]:
    return [batch.gamma**t * w for t, w in enumerate(forgets_gamma_t(batch, e))]


def appends_instead_of_inserting(batch: Batch, e: Any) -> list[float]:
    return forgets_gamma_t(batch, e)[::-1]


def loop_stops_early(batch: Batch, e: Any) -> list[float]:
    return textbook(batch, e)[:-1]


def sums_from_t_plus_1(batch: Batch, e: Any) -> list[float]:
    return [w - batch.gamma**t * e.rewards[t] for t, w in enumerate(textbook(batch, e))]


def last_reward_unseen(batch: Batch, e: Any) -> list[float]:
    n = len(e.rewards) - 1
    return [sum(batch.gamma**k * e.rewards[k] for k in range(t, n)) for t in range(n + 1)]


def baseline_by_state(batch: Batch, e: Any) -> list[float]:
    """Any function of the state is a baseline."""
    return [
        w - 3.0 * batch.gamma**t * (1 + s) for t, (w, s) in enumerate(zip(textbook(batch, e), e.states, strict=True))
    ]


def baseline_by_action(batch: Batch, e: Any) -> list[float]:
    return [w - 0.7 * (1 + a) for w, a in zip(textbook(batch, e), e.actions, strict=True)]


def leave_one_out_in_python(batch: Batch) -> Any:
    """Fails on a batch of one, as the sum of the others has nobody to be divided by."""
    r = returned(batch).tolist()
    total = np.zeros(batch.theta.shape)
    for i, score in enumerate(batch.score.sum(axis=1)):
        others = [x for j, x in enumerate(r) if j != i]
        total += (r[i] - sum(others) / len(others)) * score
    return total / len(r)


def wrong_critic(batch: Batch) -> Any:
    """A one-step difference with values that are not those of the steps that are left."""
    v = np.arange(batch.num_states) * 0.3
    after = np.where(
        batch.terminated[:, None] & (np.arange(batch.rewards.shape[1]) == batch.lengths[:, None] - 1),
        0.0,
        v[batch.next_states],
    )
    return discount(batch) * (batch.rewards + batch.gamma * after - v[batch.states])


def past_counts_too(batch: Batch, e: Any) -> list[float]:
    return [sum(batch.gamma**k * r for k, r in enumerate(e.rewards))] * len(e.rewards)


# -- the table: name, estimator, verdict, ids, the right twin of a wrong one ----------------------------------------------

RIGHT: dict[str, Estimate] = {
    "textbook": loop(textbook),
    "backwards": loop(backwards_with_gamma_t),
    "whole return": loop(past_counts_too),
    "vectorised": vector(lambda b: discount(b) * to_go(b)),
    "vectorised total": vector(lambda b: each_step(b, returned(b))),
    "state baseline": loop(baseline_by_state),
    "constant baseline": vector(lambda b: each_step(b, returned(b) - 5.0)),
    "mean of batch": whole(lambda b: discount(b) * to_go(b)),
    "leave one out": whole(
        lambda b: each_step(b, returned(b) - (returned(b).sum() - returned(b)) / max(len(b) - 1, 1))
    ),
    "rescaled by B/(B-1)": lambda b: (
        whole(lambda b: each_step(b, returned(b) - returned(b).mean()))(b) * (len(b) / max(len(b) - 1, 1))
    ),
    "past rewards as baseline": vector(lambda b: discount(b) * to_go(b) + np.cumsum(b.rewards, axis=1) - b.rewards),
    "leave one out, in Python": leave_one_out_in_python,
    "the neighbour as baseline": lambda b: (
        np.einsum("n,n...->...", returned(b) - np.roll(returned(b), 1), b.score.sum(axis=1)) / len(b)
        if len(b) > 1
        else np.einsum("n,n...->...", returned(b), b.score.sum(axis=1))
    ),
    "single precision": lambda b: vector(lambda b: discount(b) * to_go(b))(b).astype(np.float32),
}

WRONG: dict[str, tuple[Estimate, set[str], str]] = {
    "gamma^t forgotten": (loop(forgets_gamma_t), {"dropped-gamma"}, "backwards"),
    "gamma^t forgotten, vectorised": (vector(lambda b: to_go(b)), {"dropped-gamma"}, "vectorised"),
    "not discounted at all": (vector(lambda b: to_go(b, 1.0)), {"undiscounted", "dropped-gamma"}, "vectorised"),
    "rewards to go not discounted": (vector(lambda b: discount(b) * to_go(b, 1.0)), {"undiscounted"}, "vectorised"),
    "a loss": (vector(lambda b: -discount(b) * to_go(b)), {"sign"}, "vectorised"),
    "discount from t = 1": (vector(lambda b: b.gamma * discount(b) * to_go(b)), {"scale"}, "vectorised"),
    "half": (vector(lambda b: 0.5 * discount(b) * to_go(b)), {"scale"}, "vectorised"),
    "divided by the horizon": (vector(lambda b: discount(b) * to_go(b) / b.horizon), {"length-normalised"}, "vectorised"),
    "mean over steps": (
        vector(lambda b: discount(b) * to_go(b) / np.maximum(b.lengths, 1)[:, None]), {"length-normalised"}, "vectorised",
    ),
    "mean over steps of the return": (
        vector(lambda b: each_step(b, returned(b) / np.maximum(b.lengths, 1))), {"length-normalised"}, "vectorised total",
    ),
    "own reward only": (vector(lambda b: discount(b) * b.rewards), {"immediate-reward"}, "vectorised"),
    "own reward only, no gamma": (vector(lambda b: b.rewards), {"immediate-reward", "dropped-gamma"}, "vectorised"),
    "starts at t + 1": (loop(sums_from_t_plus_1), {"off-by-one"}, "textbook"),
    "the loop stops early": (loop(loop_stops_early), {"last-step-missing"}, "textbook"),
    "the last reward unseen": (loop(last_reward_unseen), {"last-reward-missing"}, "textbook"),
    "centred within the episode": (
        vector(lambda b: discount(b) * (to_go(b) - (to_go(b) * b.mask).sum(1, keepdims=True) / np.maximum(b.lengths, 1)[:, None])),
        {"action-dependent-baseline"}, "vectorised",
    ),
    "standardised within the episode": (
        vector(lambda b: discount(b) * _standardised(to_go(b), b)), {"nonlinear"}, "vectorised",
    ),
    "rewards clipped": (vector(lambda b: each_step(b, (np.clip(b.rewards, -1, 1) * discount(b)).sum(1))), {"nonlinear"}, "vectorised total"),
    "only the sign of the return": (vector(lambda b: each_step(b, np.sign(returned(b)))), {"nonlinear"}, "vectorised total"),
    "an entropy bonus": (
        vector(lambda b: discount(b) * to_go(b) - 0.1 * np.log(np.where(b.mask, b.probs[b.states, b.actions], 1.0))),
        {"regulariser"}, "vectorised",
    ),
    "weight decay": (lambda b: vector(lambda b: discount(b) * to_go(b))(b) - 0.01 * b.theta, {"regulariser"}, "vectorised"),
    "baseline by action": (loop(baseline_by_action), {"action-dependent-baseline"}, "state baseline"),
    "a value at the time limit": (
        vector(lambda b: each_step(b, returned(b) + np.where(b.terminated, 0.0, b.rewards.sum(1)))), {"bootstrap"}, "vectorised total",
    ),
    "weights nothing that matters": (vector(lambda b: np.ones(b.rewards.shape)), {"zero-mean"}, "vectorised"),
    "batch mean as baseline": (whole(lambda b: each_step(b, returned(b) - returned(b).mean())), {"scale"}, "leave one out"),
    "standardised over the batch": (
        whole(lambda b: each_step(b, (returned(b) - returned(b).mean()) / (returned(b).std() + 1e-8))), {"nonlinear"}, "leave one out",
    ),
    "sum over the batch": (lambda b: len(b) * whole(lambda b: discount(b) * to_go(b))(b), {"scale"}, "mean of batch"),
    "mean over all steps of the batch": (
        lambda b: len(b) * whole(lambda b: discount(b) * to_go(b))(b) / max(b.lengths.sum(), 1), {"length-normalised"}, "mean of batch",
    ),
    "rows with the batch's mean taken off": (
        vector(lambda b: each_step(b, returned(b) - returned(b).mean())), {"scale"}, "vectorised total",
    ),
    "baseline of the time step over the batch": (
        whole(lambda b: discount(b) * (to_go(b) - to_go(b).mean(axis=0))), {"scale"}, "mean of batch",
    ),
    "baseline of the time step over those still running": (
        whole(lambda b: discount(b) * (to_go(b) - (to_go(b) * b.mask).sum(axis=0) / np.maximum(b.mask.sum(axis=0), 1))), {"batch-coupled"}, "leave one out",
    ),
    "an entropy bonus, and gamma^t forgotten": (
        vector(lambda b: to_go(b) - 0.1 * np.log(np.where(b.mask, b.probs[b.states, b.actions], 1.0))), {"regulariser", "dropped-gamma"}, "vectorised",
    ),
    "a critic that is not exact": (vector(wrong_critic), {"bootstrap"}, "vectorised"),
    "a discount written in the code": (
        vector(lambda b: 0.99 ** np.arange(b.rewards.shape[1]) * to_go(b, 0.99)), {"discount-twice"}, "vectorised",
    ),
    "the absolute return": (vector(lambda b: each_step(b, np.abs(returned(b)))), {"nonlinear"}, "vectorised total"),
    "loss.mean() of a tutorial": (
        lambda b: -len(b) * whole(to_go)(b) / max(b.lengths.sum(), 1), {"length-normalised", "dropped-gamma", "sign"}, "mean of batch",
    ),
    "reversed forgotten": (
        vector(lambda b: np.cumsum(discount(b) * b.rewards, axis=1)), {"immediate-reward"}, "vectorised",
    ),
    "pi instead of log pi": (
        vector(lambda b: discount(b) * to_go(b) * b.probs[b.states, b.actions]), {"gradient-of-pi"}, "vectorised",
    ),
    "in the wrong order": (loop(appends_instead_of_inserting), {"other"}, "backwards"),
    "last step only": (vector(lambda b: (np.arange(b.rewards.shape[1]) == b.lengths[:, None] - 1) * discount(b) * to_go(b)), {"last-step-only"}, "vectorised"),
    "gamma^t twice": (vector(lambda b: discount(b) ** 2 * to_go(b)), {"discount-twice"}, "vectorised"),
    "the square of the return": (vector(lambda b: each_step(b, returned(b) ** 2)), {"nonlinear"}, "vectorised total"),
}  # fmt: skip


def _standardised(x: Floats, batch: Batch) -> Floats:
    length = np.maximum(batch.lengths, 1)[:, None]
    mean = (x * batch.mask).sum(1, keepdims=True) / length
    deviation = np.sqrt((((x - mean) * batch.mask) ** 2).sum(1, keepdims=True) / length)
    return np.asarray((x - mean) / (deviation + 1e-8))
