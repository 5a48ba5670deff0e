"""Speed and memory, as ratios measured in one run.

    python benchmarks/run.py            all of it, about ten minutes
    python benchmarks/run.py sampling   one part: enumeration, induction, memory, sampling, counts, covariance,
                                        moments, estimators, verification, startup, exact_startup,
                                        network (needs torch), agents (needs torch, gymnasium; stable-baselines3),
                                        programs (needs cc), sampled, large_models (the taxi needs gymnasium)

Machines differ and are noisy: only the ratios mean something, and each is a median over alternating runs.
"""

import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

import pgcheck
from benchmarks import subjects
from benchmarks.agents import agents
from benchmarks.large_models import large_models
from benchmarks.laws import exact_startup, moments
from benchmarks.networks import network
from benchmarks.programs import programs
from benchmarks.sampled import sampled
from benchmarks.subjects import constant, dense_model, plain_loop, plain_recursion, plain_rollouts, plain_sweeps
from pgcheck import MDP, Estimator, Policy, TabularSoftmax
from pgcheck.estimators.catalogue import ESTIMATORS
from pgcheck.exact.enumeration import enumerate_gradient
from pgcheck.external.calling import call_on_batches
from pgcheck.external.opening import opened
from pgcheck.trajectories.paths import listed
from pgcheck.trajectories.rollouts import AliasTables, Phase
from pgcheck.trajectories.sampling import Sampler
from pgcheck.verification.verdict import verify

REPEATS = 5


def median_time(work: Callable[[], object], repeats: int = REPEATS) -> float:
    """Seconds, the median of several runs after one that is not counted."""
    work()
    times = []
    for _ in range(repeats):
        since = time.perf_counter()
        work()
        times.append(time.perf_counter() - since)
    return statistics.median(times)


def enumeration() -> None:
    """Enumeration against the plain recursion, a trajectory."""
    small, large = (pgcheck.load("frozen_lake", horizon=h) for h in (5, 8))
    ours, theirs, counts = [], [], {5: 99_481, 8: 82_581_088}
    for _ in range(REPEATS):
        since = time.perf_counter()
        enumerate_gradient(*large)
        ours.append((time.perf_counter() - since) / counts[8])
        since = time.perf_counter()
        count, gradient = plain_recursion(*small)
        theirs.append((time.perf_counter() - since) / counts[5])
        assert count == counts[5]
    expected = pgcheck.exact_gradient(*small).gradient
    assert np.allclose([g for s, row in enumerate(gradient) if small[0].available[s].any() for g in row], expected)
    a, b = statistics.median(ours), statistics.median(theirs)
    print(f"enumeration, frozen_lake: {a * 1e9:.2f} ns a trajectory over {counts[8]:,} (horizon 8)")
    print(f"plain recursion:          {b * 1e9:.0f} ns a trajectory over {counts[5]:,} (horizon 5)")
    print(f"  ratio {b / a:.0f}, wanted at least 1000")


def induction() -> None:
    """Backward induction for new preferences of one MDP, against two plain sweeps over time that find J alone."""
    mdp, policy = pgcheck.load("frozen_lake", horizon=50)
    assert isinstance(policy, TabularSoftmax)
    points = [replace(policy, theta=np.linspace(-x, x, len(policy.theta))) for x in np.linspace(0, 2, 50)]
    assert np.allclose(plain_sweeps(mdp, points[-1]), pgcheck.exact_gradient(mdp, points[-1]).value, rtol=1e-12)
    sweeps = median_time(lambda: [plain_sweeps(mdp, point) for point in points]) / len(points)
    ours = median_time(lambda: [pgcheck.exact_gradient(mdp, point) for point in points]) / len(points)
    print(f"backward induction, frozen_lake (horizon 50), new preferences: {ours * 1e3:.2f} ms, wanted at most 0.5")
    print(f"  ratio to plain sweeps for J alone ({sweeps * 1e3:.2f} ms) {ours / sweeps:.1f}, wanted at most 5")


def memory() -> None:
    """Peak memory of enumeration at 1e6 and at 1e8 trajectories, each in a process of its own."""
    peaks = []
    for horizon in (6, 8):
        code = (
            "import resource, pgcheck; from pgcheck.exact.enumeration import enumerate_gradient;"
            f"enumerate_gradient(*pgcheck.load('frozen_lake', horizon={horizon}));"
            "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)"
        )
        runs = [
            int(subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout)
            for _ in range(3)
        ]
        peaks.append(statistics.median(runs) / 1024)
    print(f"peak memory: {peaks[0]:.1f} MB at 940,903 trajectories, {peaks[1]:.1f} MB at 82,581,088")
    print(f"  ratio {peaks[1] / peaks[0]:.2f}, wanted at most 1.20")


def one_by_one_steps(mdp: MDP, policy: Policy, n: int, rng: np.random.Generator) -> int:
    """How many steps the rollouts took that were drawn one by one: those of the tree above them do not count."""
    steps = 0
    roll = AliasTables.roll

    def counted(self: AliasTables, *arguments: Any) -> tuple[Any, list[Phase]]:
        nonlocal steps
        total, phases = roll(self, *arguments)
        steps += sum(len(phase.slots) * len(phase.rollouts) for phase in phases)
        return total, phases

    AliasTables.roll = counted  # type: ignore[assignment]
    for _ in Sampler(mdp, policy, n, rng).walk():
        pass
    AliasTables.roll = roll  # type: ignore[method-assign]
    return steps


def sampling() -> None:
    """One-by-one rollouts, a step, against one `Generator.random` draw of an array of the same length."""
    for model, horizon, n in (("river_swim", 200, 50_000), ("frozen_lake", 100, 3_000_000)):
        mdp, policy = pgcheck.load(model, horizon=horizon)
        ratios, ours, draws = [], [], []
        for repeat in range(REPEATS + 1):
            sampler = Sampler(mdp, policy, n, np.random.default_rng(repeat))
            since = time.perf_counter()
            for _ in sampler.walk():
                pass
            elapsed = time.perf_counter() - since
            steps = one_by_one_steps(mdp, policy, n, np.random.default_rng(repeat))
            ours.append(elapsed / steps)
            rng, size = np.random.default_rng(repeat), 2**14
            since = time.perf_counter()
            for _ in range(steps // size):
                rng.random(size)
            draws.append((time.perf_counter() - since) / (steps // size * size))
            ratios.append(ours[-1] / draws[-1])
        since = time.perf_counter()
        loop = plain_rollouts(mdp, policy, 2000, np.random.default_rng(0))
        python = (time.perf_counter() - since) / loop
        a, b, c = (statistics.median(x[1:]) for x in (ours, draws, ratios))
        print(
            f"rollouts, {model} (horizon {horizon}): {a * 1e9:.1f} ns a step, Generator.random {b * 1e9:.2f} ns, "
            f"plain Python {python * 1e9:.0f} ns"
        )
        print(f"  ratio {c:.1f}, wanted at most 10; plain Python takes {python / a:.0f} times as long")


def counts() -> None:
    """1e12 rollouts against 1e6."""
    mdp, policy = pgcheck.load("two_state")

    def draw(n: int) -> Callable[[], object]:
        return lambda: pgcheck.sample_gradient(mdp, policy, n, np.random.default_rng(0))

    few, many = median_time(draw(10**6), 31), median_time(draw(10**12), 31)
    print(f"two_state: 1e6 rollouts {few * 1e3:.2f} ms, 1e12 rollouts {many * 1e3:.2f} ms")
    print(f"  ratio {many / few:.2f}, wanted at most 3")


def covariance() -> None:
    """The exact covariance of two estimators, time and peak memory, each in a process of its own."""
    for states, actions, horizon, outcomes, seconds, gigabytes in ((100, 4, 100, 100, 5, 1), (500, 6, 50, 1, 30, 2)):
        for name in ("reward-to-go", "reinforce"):
            code = (
                "import resource, time, numpy as np; from benchmarks.subjects import dense_model; import pgcheck;"
                f"m = dense_model({states}, {actions}, {horizon}, {outcomes}); t = time.perf_counter();"
                f"f = pgcheck.predict(*m, pgcheck.estimator('{name}'), np.random.default_rng(0))(None);"
                "print(time.perf_counter() - t, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6, f.evidence)"
            )
            done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True)
            took, peak, evidence = done.stdout.split()
            print(
                f"covariance of {name}, {states} states, {actions} actions, horizon {horizon}: {float(took):.2f} s "
                f"and {float(peak):.2f} GB by {evidence}, wanted {seconds} s and {gigabytes} GB"
            )


def estimators() -> None:
    """A step of rollouts with each built-in estimator, against one with plain `reinforce`."""
    for name, horizon, n in (("river_swim", 200, 50_000), ("frozen_lake", 100, 1_000_000)):
        model = pgcheck.load_model(name, horizon=horizon)
        for some in ESTIMATORS[1:]:

            def draw(estimator: Estimator | str, seed: int, model: pgcheck.Model = model, n: int = n) -> float:
                rng = np.random.default_rng(seed)
                since = time.perf_counter()
                pgcheck.sample_gradient(model.mdp, model.policy, n, rng, estimator=estimator, behavior=model.behavior)
                return time.perf_counter() - since

            draw(some, 0)
            ratio = statistics.median(draw(some, seed) / draw("reinforce", seed) for seed in range(REPEATS))
            print(f"{some.name}, {name} (horizon {horizon}): {ratio:.2f} times a step of reinforce, wanted at most 3")


def verification() -> None:
    """Exact checks of an estimator: a million episodes, all pairs of a model, a plain loop, one batch."""
    million, pairs = pgcheck.load("cliff_walk"), pgcheck.load("early_exit")
    for name, model, sizes, wanted in (
        ("vectorised", million, None, "60 s and 1 GB"), ("centred", pairs, [2], "45 s for 282,000 pairs"),
    ):  # fmt: skip
        since = time.perf_counter()
        with opened(f"{subjects.__file__}:{name}") as process:
            result = verify(process, [model], batch_sizes=sizes)
        took = time.perf_counter() - since
        peak = (
            max(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)) / 1e6
        )
        what = "1,039,279 episodes" if sizes is None else "109,746 unordered pairs of 468 episodes"
        print(f"verify {name}, {what}: {result.verdict}, {took:.1f} s, {peak:.2f} GB, wanted {wanted}")
    batch, _ = listed(*pairs)
    index = np.random.default_rng(0).integers(0, len(batch), (50_000, 2))
    took = median_time(lambda: call_on_batches(constant, batch, index), 3) / len(index)
    print(f"a batch of two through an estimator that does nothing: {took * 1e6:.1f} us, wanted at most 25")
    model = dense_model(4, 2, 4, 4)
    took = median_time(lambda: verify(plain_loop, [model]))
    print(
        f"verify a plain loop, 16,384 episodes of 4 states: {took:.2f} s, wanted at most 0.7 (martingale 0.2.0: 3.5)"
    )
    examples = Path(__file__).resolve().parent.parent / "examples" / "reinforce.py"
    for name in ("reinforce", "subtracts_its_own_return"):
        since = time.perf_counter()
        with opened(f"{examples}:{name}") as process:
            verify(process)
        print(f"verify {name} on the battery: {time.perf_counter() - since:.1f} s, wanted at most 20")


def startup() -> None:
    """`pgcheck --version` against a Typer application with one option."""
    typer_app = (
        "import typer\na = typer.Typer()\n@a.command()\ndef f(version: bool = False): print(1)\na(['--version'])"
    )
    ours: list[float] = []
    theirs: list[float] = []
    for _ in range(21):
        for times, words in ((ours, ["-m", "pgcheck", "--version"]), (theirs, ["-c", typer_app])):
            since = time.perf_counter()
            subprocess.run([sys.executable, *words], capture_output=True, check=True)
            times.append(time.perf_counter() - since)
    a, b = statistics.median(ours) * 1e3, statistics.median(theirs) * 1e3
    print(f"start-up: pgcheck --version {a:.0f} ms, a Typer application with one option {b:.0f} ms")
    print(f"  difference {a - b:.0f} ms, wanted at most 20")


PARTS = {part.__name__: part for part in (
    enumeration, induction, memory, sampling, counts, covariance, moments, estimators, verification, startup,
    exact_startup, network, agents, programs, sampled, large_models,
)}  # fmt: skip

if __name__ == "__main__":
    for name in sys.argv[1:] or PARTS:
        PARTS[name]()
