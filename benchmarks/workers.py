"""What two workers gain over one, what it takes to start them, and what a checkpoint costs.

    python -m benchmarks.workers             all of it, about five minutes on two processors
    python -m benchmarks.workers rollouts    one part: enumeration, rollouts, evidence, start, checkpoint

Ratios in one run, each a median over alternating pairs. Other work on the machine takes away from two workers first.
"""

import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

import pgcheck
from benchmarks.nothing import Nothing
from pgcheck.estimators.sampled import sample_gradient
from pgcheck.exact.enumeration import enumerate_gradient
from pgcheck.external.opening import opened
from pgcheck.verification.verdict import verify
from pgcheck.workers.checkpoint import Checkpoint
from pgcheck.workers.executor import HERE, Executor
from pgcheck.workers.processes import Processes

PAIRS = 3
LOOP = """
def loop(batch):
    gradients = []
    for episode in batch:
        gradient = 0 * batch.theta
        for t, (s, a) in enumerate(zip(episode.states.tolist(), episode.actions.tolist())):
            reward_to_go = sum(batch.gamma**k * r for k, r in enumerate(episode.rewards.tolist()) if k >= t)
            gradient[s] -= reward_to_go * batch.probs[s]
            gradient[s, a] += reward_to_go
        gradients.append(gradient)
    return gradients
"""


def seconds(work: Callable[[], object]) -> float:
    since = time.perf_counter()
    work()
    return time.perf_counter() - since


def ratios(one: Callable[[], object], other: Callable[[], object]) -> list[float]:
    """How many times longer the first takes, in several pairs."""
    return [seconds(one) / seconds(other) for _ in range(PAIRS)]


def tell(what: str, values: list[float], wanted: str) -> None:
    print(f"{what}: {statistics.median(values):.2f} ({', '.join(f'{it:.2f}' for it in sorted(values))}; {wanted})")


def shared(what: str, work: Callable[[Executor], object], wanted: str) -> None:
    """Prints how much longer work takes here than by two processes that have been started."""
    with Processes(2) as two:
        work(two)  # what is loaded at its first use
        tell(f"{what}, one worker over two", ratios(lambda: work(HERE), lambda: work(two)), wanted)


def enumeration() -> None:
    """7.7e8 trajectories."""
    problem = pgcheck.load("frozen_lake", horizon=9)
    shared("enumeration", lambda executor: enumerate_gradient(*problem, executor=executor), "at least 1.85")


def rollouts() -> None:
    """1e8 rollouts, most of them one by one."""
    problem = pgcheck.load("frozen_lake")
    shared(
        "1e8 rollouts",
        lambda executor: sample_gradient(*problem, 10**8, np.random.default_rng(0), executor=executor),
        "at least 1.8",
    )


def evidence() -> None:
    """A plain loop in Python over 1e5 episodes, listed for a verdict."""
    model = [pgcheck.load("frozen_lake", horizon=5)]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "loop.py")
        path.write_text(LOOP)
        with opened(f"{path}:loop") as estimator:
            shared(
                "evidence by a loop over 1e5 episodes",
                lambda executor: verify(estimator, model, executor=executor),
                "at least 1.85",
            )


def start() -> None:
    """Two workers, from nothing."""

    code = "from benchmarks.workers import first_start; first_start()"
    times = [float(subprocess.check_output([sys.executable, "-c", code])) for _ in range(PAIRS)]
    tell("seconds to start two workers", times, "below 0.5")


def first_start() -> None:
    """Prints how long two workers take to start in a process that has had none."""
    with Processes(2) as two:
        print(seconds(lambda: list(two.map(Nothing(), range(2)))))


def checkpoint() -> None:
    """An enumeration with and without a file for its parts."""
    problem = pgcheck.load("frozen_lake", horizon=9)

    def kept() -> None:
        with tempfile.TemporaryDirectory() as folder, Checkpoint(f"{folder}/kept", {}) as file:
            enumerate_gradient(*problem, executor=file.around(HERE))

    tell("with a checkpoint over without", ratios(kept, lambda: enumerate_gradient(*problem)), "below 1.03")


PARTS = (enumeration, rollouts, evidence, start, checkpoint)

if __name__ == "__main__":
    asked = sys.argv[1:]
    for part in PARTS:
        if not asked or part.__name__ in asked:
            part()
