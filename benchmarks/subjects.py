"""What is measured against, and with: plain Python, a dense random model, and users' estimators."""

from typing import Any

import numpy as np

from pgcheck import MDP, Batch, Policy, TabularSoftmax

ZERO = np.zeros(6)


def plain_recursion(mdp: MDP, policy: Policy) -> tuple[int, list[list[float]]]:
    """The gradient the way one writes it first: every trajectory in turn, in plain Python."""
    probs = policy.probs().tolist()
    outcomes: list[list[tuple[int, int, float, float, bool]]] = [[] for _ in mdp.states]
    for s, a, t, p, r, e in zip(mdp.state, mdp.action, mdp.next_state, mdp.prob, mdp.reward, mdp.ends, strict=True):
        outcomes[s].append((int(a), int(t), float(p), float(r), bool(e)))
    actions = [sorted({a for a, *_ in row}) for row in outcomes]
    gradient = [[0.0] * mdp.num_actions for _ in mdp.states]
    count = 0

    def go(s: int, t: int, prob: float, ret: float, path: list[tuple[int, int]]) -> None:
        nonlocal count
        for a, following, p, r, ends in outcomes[s]:
            onward, reward = prob * probs[s][a] * p, ret + mdp.gamma**t * r
            path.append((s, a))
            if ends or t + 1 == mdp.horizon:
                count += 1
                for u, b in path:
                    for c in actions[u]:
                        gradient[u][c] += onward * reward * ((b == c) - probs[u][c])
            else:
                go(following, t + 1, onward, reward, path)
            path.pop()

    for s, p in enumerate(mdp.start.tolist()):
        if p:
            go(s, 0, p, 0.0, [])
    return count, gradient


def plain_sweeps(mdp: MDP, policy: Policy) -> tuple[float, float]:
    """J, backwards and forwards in time, by dense matrices: the least that backward induction does."""
    probs = policy.probs()
    joint = probs[mdp.state, mdp.action] * mdp.prob
    shape = mdp.num_states, mdp.num_states
    going = np.where(mdp.ends, 0.0, mdp.gamma * joint)
    step = np.bincount(mdp.state * shape[1] + mdp.next_state, weights=going, minlength=shape[0] * shape[1])
    step = step.reshape(shape)
    reward = np.bincount(mdp.state, weights=joint * mdp.reward, minlength=shape[0])
    value, reached, total = np.zeros(shape[0]), np.where(mdp.terminal, 0.0, mdp.start), 0.0
    for _ in range(mdp.horizon):
        value = reward + step @ value
        total += float(reached @ reward)
        reached = reached @ step
    return float(mdp.start @ value), total


def plain_rollouts(mdp: MDP, policy: Policy, n: int, rng: np.random.Generator) -> int:
    """Rollouts in a plain Python loop; returns the number of steps."""
    probs = policy.probs()
    rows = [
        [(int(mdp.next_state[k]), bool(mdp.ends[k])) for k in range(mdp.offset[s], mdp.offset[s + 1])]
        for s in range(mdp.num_states)
    ]
    joint = probs[mdp.state, mdp.action] * mdp.prob
    cumulative = [np.cumsum(joint[mdp.offset[s] : mdp.offset[s + 1]]).tolist() for s in range(mdp.num_states)]
    steps = 0
    start = int(np.argmax(mdp.start))
    for _ in range(n):
        s = start
        for _ in range(mdp.horizon):
            u, k = rng.random(), 0
            while k < len(cumulative[s]) - 1 and u > cumulative[s][k]:
                k += 1
            steps += 1
            s, ends = rows[s][k]
            if ends:
                break
    return steps


def dense_model(states: int, actions: int, horizon: int, outcomes: int) -> tuple[MDP, Policy]:
    """A random MDP in which every action leads to so many of the states."""
    rng = np.random.default_rng(0)
    pairs = states * actions
    k = pairs * outcomes
    names = tuple(map(str, range(states)))
    state = np.repeat(np.arange(states), actions * outcomes)
    action = np.tile(np.repeat(np.arange(actions), outcomes), states)
    target = np.concatenate([rng.choice(states, outcomes, replace=False) for _ in range(pairs)])
    mdp = MDP(
        f"{states} states", names, names[:actions], horizon, 0.99, np.full(states, 1 / states),
        np.zeros(states, dtype=np.bool_), names, np.arange(states), state, action, target,
        rng.dirichlet(np.ones(outcomes), pairs).ravel(), rng.normal(size=k), np.zeros(k, dtype=np.bool_),
    )  # fmt: skip
    return mdp, TabularSoftmax.of(mdp)


def vectorised(batch: Batch) -> Any:
    """Rows of REINFORCE, vectorised."""
    returns = (batch.rewards * batch.gamma ** np.arange(batch.rewards.shape[1])).sum(axis=1)
    return np.einsum("n,nt...->n...", returns, batch.score)


def centred(batch: Batch) -> Any:
    """One gradient for the batch, with its mean return as baseline."""
    returns = (batch.rewards * batch.gamma ** np.arange(batch.rewards.shape[1])).sum(axis=1)
    return np.tensordot((returns - returns.mean()) / len(returns), batch.score.sum(axis=1), axes=1)


def plain_loop(batch: Batch) -> Any:
    """REINFORCE in a plain Python loop over episodes."""
    rows = []
    for episode in batch:
        g, to_go = np.zeros(batch.theta.shape), 0.0
        for t in range(len(episode.rewards) - 1, -1, -1):
            to_go = episode.rewards[t] + batch.gamma * to_go
            weight = batch.gamma**t * to_go
            g[episode.states[t]] -= weight * batch.probs[episode.states[t]]
            g[episode.states[t], episode.actions[t]] += weight
        rows.append(g)
    return rows


def constant(batch: Batch) -> Any:
    """Looks at what a batch estimator looks at, and does nothing with it."""
    _ = batch.rewards, batch.score, batch.mask, batch.lengths, batch.states, batch.actions
    return ZERO
