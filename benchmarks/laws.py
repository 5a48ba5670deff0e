"""Speed of what is known before a rollout: the moments of `sample`, plans, the default rows of `converge`."""

import statistics
import subprocess
import sys
import time

import numpy as np

import pgcheck
from benchmarks.subjects import dense_model
from pgcheck import MDP, Policy, TabularSoftmax

REPEATS = 3
HOLES = {19, 29, 35, 41, 42, 46, 49, 52, 54, 59}
COMMANDS = (("plan cliff_walk", 2), ("plan short_corridor", 2), ("converge value_polytope", 3))


def slippery_lake(size: int = 8, horizon: int = 60) -> tuple[MDP, Policy]:
    """A frozen lake: a step goes where it should, or to one of its two sides, a third each; the goal pays 1."""
    moves = ((0, -1), (1, 0), (0, 1), (-1, 0))
    states, goal = size * size, size * size - 1
    transitions, rewards = np.zeros((states, 4, states)), np.zeros((states, 4, states))
    terminal = np.isin(np.arange(states), [*HOLES, goal])
    for s in np.flatnonzero(~terminal).tolist():
        for a in range(4):
            for side in (a - 1, a, a + 1):
                down, right = moves[side % 4]
                row = min(max(s // size + down, 0), size - 1)
                column = min(max(s % size + right, 0), size - 1)
                transitions[s, a, row * size + column] += 1 / 3
    rewards[:, :, goal] = 1.0
    mdp = MDP.from_arrays(
        transitions, rewards, horizon=horizon, gamma=0.99, start=np.eye(states)[0], terminal=terminal
    )
    return mdp, TabularSoftmax.of(mdp)


def moments() -> None:
    """The expected error and standard errors over the rollouts of N = 1,000; commands that cost mostly moments."""
    reinforce = pgcheck.estimator("reinforce")
    for name, (mdp, policy), wanted in (
        ("slippery lake of 8 x 8, horizon 60", slippery_lake(), "a ratio of at most 0.25, or 0.2 s"),
        ("500 states, 6 actions, horizon 50", dense_model(500, 6, 50, 1), "at most 3 s for both"),
    ):
        laws, rollouts = [], []
        for seed in range(REPEATS):
            rng = np.random.default_rng(seed)
            since = time.perf_counter()
            pgcheck.predict(mdp, policy, reinforce, rng)(1_000)
            laws.append(time.perf_counter() - since)
            since = time.perf_counter()
            pgcheck.sample_gradient(mdp, policy, 1_000, rng)
            rollouts.append(time.perf_counter() - since)
        law, draw = statistics.median(laws), statistics.median(rollouts)
        print(f"moments, {name}: {law:.3f} s; 1,000 rollouts with ∇J {draw:.3f} s")
        print(f"  ratio {law / draw:.2f}, wanted {wanted}")
    for words, limit in COMMANDS:
        command = [sys.executable, "-m", "pgcheck", *words.split()]
        runs = []
        for _ in range(REPEATS):
            since = time.perf_counter()
            subprocess.run(command, capture_output=True, check=True)
            runs.append(time.perf_counter() - since)
        print(f"pgcheck {words}: {statistics.median(runs):.2f} s, wanted at most {limit}")


def exact_startup() -> None:
    """`pgcheck exact` of a small model against Python that imports NumPy."""
    times: tuple[list[float], list[float]] = ([], [])
    for _ in range(11):
        for own, words in zip(times, (["-m", "pgcheck", "exact", "two_state"], ["-c", "import numpy"]), strict=True):
            since = time.perf_counter()
            subprocess.run([sys.executable, *words], capture_output=True, check=True)
            own.append(time.perf_counter() - since)
    ours, theirs = (statistics.median(own) * 1e3 for own in times)
    print(f"start-up: pgcheck exact {ours:.0f} ms, python -c 'import numpy' {theirs:.0f} ms")
    print(f"  difference {ours - theirs:.0f} ms, wanted at most 150")
