"""Random small problems with every feature of the model file."""

from dataclasses import replace

import numpy as np

from pgcheck import MDP, Linear, TabularSoftmax


def random_problem(
    seed: int,
    *,
    gamma: float | None = None,
    horizon: int | None = None,
    spread: float = 1.0,
    aliased: bool | None = None,
    full: bool = False,
) -> tuple[MDP, TabularSoftmax]:
    """A random MDP and policy: ragged actions, `done`, terminal states, shared observations, several starts.

    Args:
      seed: of everything random.
      gamma, horizon: drawn if None.
      spread: standard deviation of the preferences.
      aliased: whether states share observations; drawn if None.
      full: every state that is not terminal offers every action, and none shares an observation.
    """
    rng = np.random.default_rng(seed)
    num_states, num_actions = int(rng.integers(2, 5)), int(rng.integers(1, 4))
    terminal = rng.random(num_states) < 0.25
    terminal[0] = False
    share = not full and (rng.random() < 0.4 if aliased is None else aliased)
    observation = np.arange(num_states)
    if share:
        observation = rng.integers(0, max(1, num_states - 1), num_states)
        observation = np.unique(observation, return_inverse=True)[1]
    offers = rng.random((num_states, num_actions)) < 0.7
    offers[np.arange(num_states), rng.integers(0, num_actions, num_states)] = True
    if full:
        offers[:] = True
    rows = []
    for s in np.flatnonzero(~terminal):
        for a in np.flatnonzero(offers[observation[s]]):
            k = int(rng.integers(1, 4))
            for p in rng.dirichlet(np.ones(k)):
                done = bool(rng.random() < 0.2)
                rows.append((s, a, rng.integers(num_states), p, float(rng.integers(-2, 3)) / 2, done))
    state, action, to, prob, reward, done_ = (np.array(column) for column in zip(*rows, strict=True))
    start = rng.dirichlet(np.ones(num_states)) * (rng.random(num_states) < 0.6)
    start[0] += 0.1
    mdp = MDP(
        name=f"random-{seed}",
        states=tuple(f"s{i}" for i in range(num_states)),
        actions=tuple(f"a{i}" for i in range(num_actions)),
        horizon=int(rng.integers(1, 5)) if horizon is None else horizon,
        gamma=float(rng.choice([0.0, 0.5, 0.9, 1.0])) if gamma is None else gamma,
        start=start / start.sum(),
        terminal=terminal,
        observations=tuple(f"o{i}" for i in range(int(observation.max()) + 1)),
        observation=observation.astype(np.int64),
        state=state.astype(np.int64),
        action=action.astype(np.int64),
        next_state=to.astype(np.int64),
        prob=prob.astype(np.float64),
        reward=reward.astype(np.float64),
        done=done_.astype(np.bool_),
    )
    plain = TabularSoftmax.of(mdp)
    return mdp, TabularSoftmax.of(mdp, {key: float(rng.normal(0, spread)) for key in plain.parameters})


def random_linear(seed: int, *, weights: int | None = None, **options: float | bool | None) -> tuple[MDP, Linear]:
    """A random MDP, and a linear policy whose features are those of what states look like; some are 0.

    Args:
      seed: of everything random.
      weights: d; drawn if None.
      options: of `random_problem`.
    """
    mdp, _ = random_problem(seed, **options)  # type: ignore[arg-type]
    rng = np.random.default_rng([seed, 1])
    size = int(rng.integers(1, 5)) if weights is None else weights
    shape = (len(mdp.observations), mdp.num_actions, size)
    features = (rng.normal(size=shape) * (rng.random(shape) < 0.7))[mdp.observation]
    names = tuple((f"w{i}",) for i in range(size))
    return mdp, Linear(rng.normal(size=size), names, features, mdp.available)


def with_objective(mdp: MDP, seed: int, entropy: float, kl: float) -> MDP:
    """The MDP with an objective, whose reference is a random table π_ref(a|s), alike where states look alike."""
    rng = np.random.default_rng([seed, 2])
    odds = np.exp(rng.normal(size=(len(mdp.observations), mdp.num_actions)))[mdp.observation] * mdp.available
    reference = odds / np.maximum(odds.sum(axis=1, keepdims=True), 1e-300)
    return replace(mdp, entropy=entropy, kl=kl, reference=reference)
