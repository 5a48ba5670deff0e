"""Wrong estimators with their right twins: slips of the score, terms without reward, several faults at once."""

from typing import Any

import numpy as np

from pgcheck import Batch
from tests.oracles import Floats, index_of
from tests.verification.zoo import (
    Estimate,
    discount,
    each_step,
    returned,
    score_of,
    textbook,
    to_go,
    vector,
    whole,
    wrong_critic,
)


def picked(batch: Batch, s: int, a: int) -> Floats:
    """∂logits(s, a)/∂θ: 1 at the action's own preference."""
    g = np.zeros(batch.theta.shape)
    if g.ndim == 2:
        g[s, a] = 1
    elif index_of(batch.policy)[s, a] >= 0:
        g[index_of(batch.policy)[s, a]] = 1
    return g


def looked_up(score: Any, state_shift: int = 0, action_shift: int = 0, *, twin: bool = False) -> Estimate:
    """A loop whose score is that of other pairs than (s_t, a_t)."""

    def estimate(batch: Batch) -> list[Floats]:
        rows = []
        for e in batch:
            g = np.zeros(batch.theta.shape)
            for t, w in enumerate(textbook(batch, e)):
                s, a = t + state_shift * (not twin), t + action_shift * (not twin)
                if s < len(e.states) and a < len(e.actions):
                    g += w * score(batch, e.states[s], e.actions[a])
            rows.append(g)
        return rows

    return estimate


def entropy_gradient(batch: Batch) -> Floats:
    """∇H(π(·|s_t)) of each step, exact `[N, T, *theta.shape]`."""
    out = np.zeros(batch.score.shape)
    for s in range(batch.num_states):
        taken = np.flatnonzero(batch.probs[s] > 0)
        if len(taken):
            one = sum(-batch.probs[s, a] * np.log(batch.probs[s, a]) * score_of(batch, s, int(a)) for a in taken)
            out[(batch.states == s) & batch.mask] = one
    return out


def exact_values(batch: Batch) -> Floats:
    """V_t(s) of the batch's own model `[T + 1, S]`, by backward induction in plain loops."""
    mdp = batch.mdp
    values = np.zeros((mdp.horizon + 1, mdp.num_states))
    for t in reversed(range(mdp.horizon)):
        for s, a, n, p, r, ends in zip(
            mdp.state, mdp.action, mdp.next_state, mdp.prob, mdp.reward, mdp.ends, strict=True
        ):
            after = 0.0 if ends else values[t + 1, n]
            values[t, s] += batch.probs[s, a] * p * (r + mdp.gamma * after)
    return values


def exact_td(batch: Batch) -> Floats:
    """γ^t δ_t with the exact values: right."""
    values = exact_values(batch)
    t = np.arange(batch.rewards.shape[1])
    last = (t == batch.lengths[:, None] - 1) & batch.terminated[:, None]
    after = np.where(last, 0.0, values[t + 1, batch.next_states])
    return discount(batch) * (batch.rewards + batch.gamma * after - values[t, batch.states])


def steps(batch: Batch) -> Floats:
    return np.asarray(np.maximum(batch.lengths, 1)[:, None], dtype=np.float64)


def guess(batch: Batch) -> Floats:
    """A baseline: values of states that have nothing to do with the returns."""
    return np.asarray(0.3 + 0.2 * batch.states)


def flattened_to_go(batch: Batch, *, anew: bool) -> Floats:
    """Rewards to go by one loop backwards over the steps of all episodes in a row."""
    out = np.zeros(batch.rewards.shape)
    g = 0.0
    for i in reversed(range(len(batch))):
        if anew:
            g = 0.0
        for t in reversed(range(batch.lengths[i])):
            g = batch.rewards[i, t] + batch.gamma * g
            out[i, t] = g
    return out


def leaks_where_cut(batch: Batch) -> Floats:
    """The same, where only episodes that terminate start the sum anew."""
    out = np.zeros(batch.rewards.shape)
    g = 0.0
    for i in reversed(range(len(batch))):
        if batch.terminated[i]:
            g = 0.0
        for t in reversed(range(batch.lengths[i])):
            g = batch.rewards[i, t] + batch.gamma * g
            out[i, t] = g
    return out


def minibatch(batch: Batch, *, over: str) -> Any:
    """A seeded half of the batch."""
    n = max(1, (len(batch) + 1) // 2)
    rows = np.random.default_rng(0).choice(len(batch), n, replace=False)
    total = np.einsum("nt,nt...->...", (discount(batch) * to_go(batch))[rows], batch.score[rows])
    return np.asarray(total / (n if over == "used" else len(batch)))


def rows(batch: Batch, weights: Floats) -> Floats:
    return np.asarray(np.einsum("nt,nt...->n...", weights, batch.score))


def right(batch: Batch) -> Floats:
    return rows(batch, discount(batch) * to_go(batch))


def per_row(batch: Batch, x: Any) -> Floats:
    return np.asarray(x).reshape(len(batch), *(1 for _ in batch.theta.shape))


def entropy_rows(batch: Batch) -> Floats:
    return np.asarray(entropy_gradient(batch).sum(axis=1))


def whitened(batch: Batch, *, twin: bool = False) -> Any:
    """Advantages over a critic, whitened over the batch."""
    advantage = np.where(batch.mask, discount(batch) * (to_go(batch) - guess(batch)), 0.0)
    if not twin:
        each = advantage[batch.mask]
        advantage = np.where(batch.mask, (advantage - each.mean()) / (each.std() + 1e-8), 0.0)
    return rows(batch, advantage).mean(axis=0)


def five_faults(batch: Batch) -> Floats:
    """γ^t forgotten, the own reward left out, a mean over steps, the sign of a loss, and an entropy bonus."""
    weights = to_go(batch) - batch.rewards
    return np.asarray(-(rows(batch, weights) + 0.1 * entropy_rows(batch)) / per_row(batch, steps(batch)))


Case = tuple[Estimate, set[str], Estimate]  # a wrong estimator, its ids, and its right twin

SLIPS: dict[str, Case] = {
    "the logit's gradient": (
        looked_up(picked), {"score-without-pi"}, looked_up(score_of),
    ),
    "actions shifted by one": (
        looked_up(score_of, 0, 1), {"score-of-next-step"}, looked_up(score_of, 0, 1, twin=True),
    ),
    "states shifted by one": (
        looked_up(score_of, 1, 0), {"score-of-next-step"}, looked_up(score_of, 1, 0, twin=True),
    ),
    "the score of the next step": (
        looked_up(score_of, 1, 1), {"score-of-next-step"}, looked_up(score_of, 1, 1, twin=True),
    ),
    "the first step left out": (
        vector(lambda b: (np.arange(b.rewards.shape[1]) >= 1) * discount(b) * to_go(b)), {"first-step-missing"},
        vector(lambda b: (np.arange(b.rewards.shape[1]) >= 0) * discount(b) * to_go(b)),
    ),
    "two steps left out, no gamma^t": (
        vector(lambda b: (np.arange(b.rewards.shape[1]) >= 2) * to_go(b)), {"first-step-missing", "dropped-gamma"},
        right,
    ),
    "first step only": (
        vector(lambda b: (np.arange(b.rewards.shape[1]) == 0) * to_go(b)), {"first-step-only"}, right,
    ),
    "discount from the end": (
        vector(lambda b: to_go(b, 1.0) * 0 + _from_the_end(b)), {"discount-from-the-end", "dropped-gamma"}, right,
    ),
    "another gamma in the rewards to go": (
        vector(lambda b: discount(b) * to_go(b, 0.5)), {"discount-twice"}, vector(lambda b: discount(b) * to_go(b)),
    ),
    "lambda without a critic": (
        vector(lambda b: discount(b) * to_go(b, 0.8 * b.gamma)), {"bootstrap"}, right,
    ),
    "TD and entropy, exact values": (
        lambda b: rows(b, exact_td(b)) + 0.1 * entropy_rows(b), {"regulariser"}, vector(exact_td),
    ),
    "TD and weight decay, exact values": (
        lambda b: rows(b, exact_td(b)) - 0.01 * b.theta, {"regulariser"}, vector(exact_td),
    ),
    "TD and a constant, exact values": (lambda b: rows(b, exact_td(b)) + 0.02, {"regulariser"}, vector(exact_td)),
    "TD and entropy, other values": (
        lambda b: rows(b, wrong_critic(b)) + 0.1 * entropy_rows(b), {"bootstrap", "regulariser"}, vector(exact_td),
    ),
    "TD without gamma^t, exact values": (
        vector(lambda b: exact_td(b) / discount(b)), {"dropped-gamma"}, vector(exact_td),
    ),
    "whitened advantages": (whitened, {"nonlinear"}, lambda b: whitened(b, twin=True)),
    "cut episodes thrown away": (
        lambda b: right(b) * per_row(b, b.terminated), {"cut-episodes-dropped"}, right,
    ),
    "cut episodes thrown away, and gamma^t": (
        lambda b: rows(b, to_go(b)) * per_row(b, b.terminated), {"cut-episodes-dropped", "dropped-gamma"}, right,
    ),
    "a mean over steps, and a baseline": (
        lambda b: rows(b, discount(b) * (to_go(b) - guess(b))) / per_row(b, steps(b)), {"length-normalised"},
        lambda b: rows(b, discount(b) * (to_go(b) - guess(b))),
    ),
    "an exact entropy, averaged over steps": (
        lambda b: right(b) + 0.1 * entropy_rows(b) / per_row(b, steps(b)), {"regulariser"}, right,
    ),
    "a sampled entropy, averaged over steps": (
        lambda b: right(b) - rows(b, 0.1 * np.log(np.where(b.mask, b.probs[b.states, b.actions], 1.0)) / steps(b)),
        {"regulariser"}, right,
    ),
    "an entropy over the horizon": (
        lambda b: right(b) + 0.1 * entropy_rows(b) / b.horizon, {"regulariser"}, right,
    ),
    "an entropy averaged over the steps of the batch": (
        lambda b: right(b).mean(axis=0) + 0.1 * entropy_rows(b).sum(axis=0) / max(b.lengths.sum(), 1),
        {"regulariser"},
        whole(lambda b: discount(b) * to_go(b)),
    ),
    "five faults": (
        five_faults, {"dropped-gamma", "off-by-one", "length-normalised", "sign", "regulariser"}, right,
    ),
    "a sum over the border of episodes": (
        whole(lambda b: discount(b) * flattened_to_go(b, anew=False)), {"leaks-between-episodes"},
        whole(lambda b: discount(b) * flattened_to_go(b, anew=True)),
    ),
    "a sum over the border, and gamma^t forgotten": (
        whole(lambda b: flattened_to_go(b, anew=False)), {"leaks-between-episodes", "dropped-gamma"},
        whole(lambda b: discount(b) * flattened_to_go(b, anew=True)),
    ),
    "a sum over the border of cut episodes": (
        whole(lambda b: discount(b) * leaks_where_cut(b)), {"leaks-between-episodes"},
        whole(lambda b: discount(b) * flattened_to_go(b, anew=True)),
    ),
    "a minibatch over the whole batch's size": (
        lambda b: minibatch(b, over="all"), {"batch-coupled"}, lambda b: minibatch(b, over="used"),
    ),
    "a critic at the end of every episode": (
        vector(lambda b: each_step(b, returned(b) + b.next_states[np.arange(len(b)), np.maximum(b.lengths - 1, 0)])),
        {"bootstrap"}, vector(lambda b: each_step(b, returned(b))),
    ),
}  # fmt: skip


def _from_the_end(batch: Batch) -> Floats:
    out = np.zeros(batch.rewards.shape)
    for i, length in enumerate(batch.lengths):
        for t in range(length):
            out[i, t] = sum(batch.gamma ** (length - 1 - k) * batch.rewards[i, k] for k in range(t, length))
    return out
