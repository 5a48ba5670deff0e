"""What a part costs on a Dask cluster and in processes, and on paper what many trajectories cost on many cores.

python -m benchmarks.cluster             1,000 parts of 50 ms on two workers, both ways: about five minutes
python -m benchmarks.cluster --fast      a tenth of the parts
"""

import math
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from pgcheck.workers.dask import Cluster
from pgcheck.workers.executor import Arrays, Executor, Part
from pgcheck.workers.processes import Processes

REPEATS = 3
WORKERS = 2
SECONDS = 0.05  # of a part
RATE = 2e-9  # seconds that enumeration takes for a trajectory on one core (benchmarks/run.py enumeration)
MOST_PARTS, FEWEST_TRAJECTORIES = 100_000, 2e8  # of enumeration, in all and in a part
PARAMETERS = 64
CORES = (16, 256, 4_096)
TRAJECTORIES = (1e12, 1e15)


@dataclass(frozen=True)
class Sines:
    """Work that is the same wherever it is done, and takes no memory."""

    rounds: int
    label: str = "adding sines"

    def __call__(self, part: Part) -> Arrays:
        numbers = np.linspace(0, part, 2_000)
        for _ in range(self.rounds):
            numbers = np.sin(numbers)
        return (np.resize(numbers, PARAMETERS),)


def seconds(work: Callable[[], object]) -> float:
    since = time.perf_counter()
    work()
    return time.perf_counter() - since


def rounds() -> int:
    """How many rounds make a part of the wanted length."""
    return max(1, round(1_000 * SECONDS / min(seconds(lambda: Sines(1_000)(1)) for _ in range(5))))


def parts_cost(number: int) -> tuple[float, float]:
    """Prints what parts cost both ways; returns the seconds of a part without work, and of a result to merge."""
    makers: dict[str, Callable[[], Processes | Cluster]] = {
        "processes": lambda: Processes(WORKERS), "cluster": lambda: Cluster(f"local:{WORKERS}"),
    }  # fmt: skip
    work, nothing = Sines(rounds()), Sines(0)
    full: dict[str, list[float]] = {name: [] for name in makers}
    empty: dict[str, list[float]] = {name: [] for name in makers}

    def run(executor: Executor, task: Sines) -> float:
        return seconds(lambda: list(executor.map(task, range(number))))

    for _ in range(REPEATS):
        for name, make in makers.items():
            with make() as executor:
                list(executor.map(nothing, range(2 * WORKERS)))  # so that the workers are there
                full[name].append(run(executor, work))
                empty[name].append(run(executor, nothing))
    for name in makers:
        whole, each = statistics.median(full[name]), statistics.median(empty[name]) / number
        print(f"{name:>9}: {whole:.2f} s for {number:,} parts, {each * 1e3:.2f} ms for an empty one")
    ratio = statistics.median(b / a for a, b in zip(full["processes"], full["cluster"], strict=True))
    print(f"  ratio {ratio:.3f}, wanted at most 1.15")
    results = np.random.default_rng(0).standard_normal((number, PARAMETERS))
    merging = seconds(lambda: [math.fsum(column) for column in results.T.tolist()]) / number
    print(f"merging: {merging * 1e6:.1f} µs a part of {PARAMETERS} parameters")
    return statistics.median(empty["cluster"]) / number, merging


def table(part: float, merging: float) -> None:
    """Prints what enumeration takes, on paper: the cores' work and the scheduler's go on at once, merging too.

    Args:
      part: seconds that one part costs the scheduler and its client, which do all parts one after the other.
      merging: seconds for a part's result.
    """
    print("| trajectories | parts | a part | " + " | ".join(f"{cores:,} cores" for cores in CORES) + " |")
    print("|---" * (3 + len(CORES)) + "|")
    for count in TRAJECTORIES:
        parts = min(MOST_PARTS, math.ceil(count / FEWEST_TRAJECTORIES))
        each = count / parts * RATE
        times = [max(math.ceil(parts / cores) * each, parts * (part + merging)) for cores in CORES]
        print(f"| {count:.0e} | {parts:,} | {words(each)} | " + " | ".join(map(words, times)) + " |")


def words(time: float) -> str:
    """Writes seconds as people do."""
    for unit, size in (("days", 86_400), ("h", 3_600), ("min", 60)):
        if time >= 2 * size:
            return f"{time / size:.3g} {unit}"
    return f"{time:.2g} s"


if __name__ == "__main__":
    table(*parts_cost(100 if "--fast" in sys.argv else 1_000))
