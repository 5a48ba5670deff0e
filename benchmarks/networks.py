"""Speed with a network for a policy, where torch is installed."""

import importlib.util
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

import pgcheck
from benchmarks.laws import slippery_lake
from pgcheck import TabularSoftmax
from pgcheck.external.estimator_process import Process
from pgcheck.verification.verdict import verify

REPEATS = 15

PER_EPISODE = """
import torch
from pgcheck.adapters import log_probs, torch_loss

def loss(theta, batch):
    discount = batch.gamma ** torch.arange(batch.rewards.shape[1], dtype=torch.float64)
    to_go = (torch.tensor(batch.rewards) * discount).flip(1).cumsum(1).flip(1)
    return -(to_go * log_probs(theta, batch)).sum(dim=1)

estimate = torch_loss(loss)
"""


def network() -> None:
    """∇J of a network of 5,000 parameters against that of a table, and a loss of each episode on the battery."""
    if importlib.util.find_spec("torch") is None:
        print("network: needs torch: pip install 'pgcheck[torch]'")
        return
    import torch

    from pgcheck.policies import torch_policy

    mdp, _ = slippery_lake(8)
    table = TabularSoftmax.of(mdp)
    layers = torch.nn.Linear(mdp.num_states, 72), torch.nn.Tanh(), torch.nn.Linear(72, mdp.num_actions)
    policy = torch_policy(torch.nn.Sequential(*layers).double()).of(mdp)
    weights = np.random.default_rng(0).normal(size=mdp.available.shape)
    works: tuple[Callable[[], object], ...] = (
        lambda: pgcheck.exact_gradient(mdp, policy), lambda: pgcheck.exact_gradient(mdp, table),
        lambda: policy.pullback(weights),
    )  # fmt: skip
    times: list[list[float]] = [[], [], []]
    for _ in range(REPEATS + 1):
        for work, seconds in zip(works, times, strict=True):
            since = time.perf_counter()
            work()
            seconds.append(time.perf_counter() - since)
    ours, tabular, backward = (1e3 * statistics.median(seconds[1:]) for seconds in times)
    print(f"exact gradient, {len(policy.theta):,} parameters, {mdp.num_states} states: {ours:.2f} ms; of a table")
    print(f"  {tabular:.2f} ms, a backward pass {backward:.2f} ms")
    print(
        f"  ratio to three times a table and a backward pass {ours / (3 * tabular + backward):.2f}, wanted at most 1"
    )
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "loss.py"
        file.write_text(PER_EPISODE)
        since = time.perf_counter()
        with Process(f"{file}:estimate") as estimator:
            verdict = verify(estimator).verdict
    assert verdict == "pass"
    print(
        f"verify a torch loss of each episode on the battery: {time.perf_counter() - since:.1f} s, wanted at most 20"
    )
