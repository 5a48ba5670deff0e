"""Large models, as whole processes: a million outcomes as arrays and as YAML; a taxi with three commands."""

import importlib.util
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

STATES, ACTIONS, OUTCOMES, HORIZON = 10_000, 10, 10, 50
REPEATS = 3


def large_models() -> None:
    """Seconds, processor seconds and peak memory of commands, the best of three runs."""
    with tempfile.TemporaryDirectory() as folder:
        columns = million_outcomes()
        arrays, rows, taxi = (Path(folder) / name for name in ("million.npz", "million.yaml", "taxi.npz"))
        np.savez(arrays, **columns, start=np.array(0), gamma=np.array(0.95), horizon=np.array(HORIZON))  # type: ignore[arg-type]
        write_rows(rows, columns)
        report(["exact", str(arrays)], "a million outcomes, .npz", "4 s and 0.6 GB")
        report(["exact", str(rows)], "a million outcomes, YAML", "12 s")
        if importlib.util.find_spec("gymnasium") is None:
            print("taxi: needs gymnasium")
            return
        words = ["gym:Taxi-v4", "--gamma", "0.99"]
        subprocess.run(pgcheck("convert", *words, "-o", str(taxi)), check=True, stderr=subprocess.DEVNULL)
        for model in (words, [str(taxi)]):
            for command in (["sample", "--n", "1e5"], ["converge"], ["plan"]):
                report([*command, *model], f"taxi, {Path(model[0]).name}", "5 s")


def million_outcomes() -> dict[str, np.ndarray]:
    """Columns of a model whose states lead to near ones."""
    rng = np.random.default_rng(0)
    state, action, number = (index.ravel() for index in np.indices((STATES, ACTIONS, OUTCOMES)))
    return {
        "state": state,
        "action": action,
        "next_state": (state + action + 7 * number) % STATES,
        "prob": rng.dirichlet(np.ones(OUTCOMES), size=STATES * ACTIONS).ravel(),
        "reward": rng.normal(size=len(state)).round(3),
    }


def write_rows(path: Path, columns: dict[str, np.ndarray]) -> None:
    """Writes the same model in the machine form of a model file."""
    with open(path, "w") as file:
        file.write(f"horizon: {HORIZON}\ngamma: 0.95\nstates: {STATES}\nactions: {ACTIONS}\nstart: 0\n")
        file.write("transitions:\n  columns: [state, action, to, p, reward]\n  rows:\n")
        for s, a, t, p, r in zip(*(column.tolist() for column in columns.values()), strict=True):
            file.write(f"  - [{s}, {a}, {t}, {p}, {r}]\n")


def report(words: list[str], model: str, wanted: str) -> None:
    """Runs a command, and prints what the best run took."""
    runs = [measured(words) for _ in range(REPEATS)]
    elapsed, processor, peak = (min(run[k] for run in runs) for k in range(3))
    print(
        f"{words[0]}, {model}: {elapsed:.2f} s ({processor:.2f} s of processors) and {peak:.2f} GB, wanted {wanted}"
    )


def measured(words: list[str]) -> tuple[float, float, float]:
    """Seconds, processor seconds and peak gigabytes of a command."""
    since = time.perf_counter()
    process = subprocess.Popen(pgcheck(*words), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    elapsed = time.perf_counter() - since
    assert process.returncode == 0, words
    return elapsed, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1e6


def pgcheck(*words: str) -> list[str]:
    """Returns a command line."""
    return [sys.executable, "-m", "pgcheck", *words]
