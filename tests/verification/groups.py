"""Wrong estimators with their right twins: groups of episodes, lists of returns, several factors at once."""

import numpy as np

from pgcheck import Batch
from tests.oracles import Floats
from tests.verification.slips import Case, flattened_to_go, per_row, right, rows, steps
from tests.verification.zoo import discount, returned


def group_mean(batch: Batch) -> Floats:
    """Advantages of a group: the returns less their mean, the episode's own among them."""
    return np.asarray(returned(batch) - returned(batch).mean())


def others_mean(batch: Batch) -> Floats:
    """The same without the episode's own: right."""
    returns = returned(batch)
    return np.asarray(returns - (returns.sum() - returns) / max(len(batch) - 1, 1))


def by_group(batch: Batch, advantage: Floats, each: Floats) -> Floats:
    """The mean over episodes of an advantage times the score of the episode."""
    return np.asarray(np.einsum("n,n...->...", advantage, each) / len(batch))


def scores(batch: Batch) -> Floats:
    return np.asarray(batch.score.sum(axis=1))


def leave_one_out(batch: Batch) -> Floats:
    return by_group(batch, others_mean(batch), scores(batch))


def reset_at_rewards(batch: Batch, *, reset: bool) -> Floats:
    """Discounted returns that start anew wherever a reward is not 0, as for a game of many points."""
    out = np.zeros(batch.rewards.shape)
    for i, length in enumerate(batch.lengths):
        g = 0.0
        for t in reversed(range(length)):
            if reset and batch.rewards[i, t] != 0:
                g = 0.0
            g = batch.rewards[i, t] + batch.gamma * g
            out[i, t] = g
    return out


def whitened_list(batch: Batch, *, anew: bool) -> Floats:
    """Returns of all episodes in one list, standardised afterwards."""
    weights = flattened_to_go(batch, anew=anew)
    each = weights[batch.mask]
    return np.where(batch.mask, (weights - each.mean()) / (each.std() + 1e-8), 0.0)


GROUPS: dict[str, Case] = {
    "a group's mean, over a constant length": (
        lambda b: by_group(b, group_mean(b), scores(b)) / 100, {"scale"}, leave_one_out,
    ),
    "a group's mean, over the horizon": (
        lambda b: by_group(b, group_mean(b), scores(b)) / b.horizon, {"scale", "length-normalised"}, leave_one_out,
    ),
    "a loss of a group's mean, times gamma": (
        lambda b: -b.gamma * by_group(b, group_mean(b), scores(b)), {"scale", "sign"}, leave_one_out,
    ),
    "a group's mean, each episode over its own length": (
        lambda b: by_group(b, group_mean(b), scores(b) / per_row(b, steps(b))), {"scale", "length-normalised"},
        leave_one_out,
    ),
    "the others' mean, each episode over its own length": (
        lambda b: by_group(b, others_mean(b), scores(b) / per_row(b, steps(b))), {"length-normalised"},
        leave_one_out,
    ),
    "advantages against all scores": (
        lambda b: returned(b).mean() * scores(b).mean(axis=0), {"scale"},
        lambda b: returned(b).sum() * scores(b).mean(axis=0),
    ),
    "advantages against all scores, a mean over steps": (
        lambda b: returned(b).mean() * scores(b).sum(axis=0) / max(b.lengths.sum(), 1),
        {"scale", "length-normalised"}, lambda b: returned(b).sum() * scores(b).mean(axis=0),
    ),
    "half, and the sign of a loss": (lambda b: -0.5 * right(b), {"sign", "scale"}, right),
    "over the horizon, and the sign of a loss": (
        lambda b: -right(b) / b.horizon, {"sign", "length-normalised"}, right,
    ),
    "reset wherever a reward is not 0": (
        lambda b: rows(b, discount(b) * reset_at_rewards(b, reset=True)), {"nonlinear"},
        lambda b: rows(b, discount(b) * reset_at_rewards(b, reset=False)),
    ),
    "rows with a sum over the border": (
        lambda b: rows(b, flattened_to_go(b, anew=False)), {"leaks-between-episodes", "dropped-gamma"},
        lambda b: rows(b, discount(b) * flattened_to_go(b, anew=True)),
    ),
    "one list of returns, standardised": (
        lambda b: rows(b, whitened_list(b, anew=False)).mean(axis=0), {"leaks-between-episodes", "nonlinear"}, right,
    ),
    "standardised, each episode by itself": (
        lambda b: rows(b, whitened_list(b, anew=True)).mean(axis=0), {"nonlinear"}, right,
    ),
}  # fmt: skip
