"""What popular code computes: the exact expectation of each loop's first update, beside the gradient.

    python benchmarks/libraries.py              all of it that is installed, as a Markdown table
    python benchmarks/libraries.py sb3 rlax     the rows whose name has one of these words

Needs stable-baselines3, sb3-contrib, rlax: pip install stable-baselines3 sb3-contrib rlax
"""

import datetime
import importlib.metadata
import importlib.util
import io
import sys
import time
import warnings
from collections.abc import Callable
from contextlib import redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import pgcheck
from benchmarks.library_agents import contrib_ppo, two_environments
from pgcheck.external.agent_source import LocalAgent
from pgcheck.external.agents import AgentFunction
from pgcheck.verification.loop_evidence import LoopFinding
from pgcheck.verification.loop_verdict import verify_agent

EXAMPLES = Path(__file__).resolve().parent.parent / "examples" / "agents"


@dataclass(frozen=True)
class Row:
    """A loop, and how it is run.

    Attributes:
      package: whose version is shown; the module that is needed.
      code: the algorithm and its settings.
      make: returns the agent.
      model, gamma: where it runs; None is the model's own discount.
      words: what it computes.
    """

    package: str
    code: str
    make: Callable[[], AgentFunction]
    model: str
    gamma: float | None
    words: str


def example(name: str, function: str) -> Callable[[], AgentFunction]:
    """Returns what loads an agent of examples/agents."""

    def made() -> AgentFunction:
        specification = importlib.util.spec_from_file_location(f"example_{name}", EXAMPLES / f"{name}.py")
        assert specification is not None
        assert specification.loader is not None
        module: ModuleType = importlib.util.module_from_spec(specification)
        specification.loader.exec_module(module)
        found: AgentFunction = getattr(module, function)
        return found

    return made


SB3, CONTRIB = "stable-baselines3", "sb3-contrib"
A2C, PPO = example("check_a2c", "a2c"), example("check_ppo", "ppo")
PLAIN, WHOLE = example("check_a2c", "plain_a2c"), example("check_a2c", "whole_episodes")
CLIPPED = (
    "mean over the buffer; V(s) after its end and after the time limit; norm, with the critic's part, clipped to 0.5"
)
ROWS = (
    Row(SB3, "A2C, defaults, n_steps=3", A2C, "two_state", None, CLIPPED),
    Row(SB3, "A2C, defaults, n_steps=3", A2C, "deep_sea", None, CLIPPED),
    Row(
        SB3, "A2C, n_steps=3, gamma=1, no clipping", PLAIN, "two_state", None,
        "mean over the buffer of undiscounted returns; V(s) after its end and after the time limit",
    ),
    Row(
        SB3, "A2C, n_steps=horizon, gamma=1, whole episodes", WHOLE, "two_state", 1.0,
        "the gradient, divided by the horizon",
    ),
    Row(
        SB3, "A2C, n_steps=1, two environments", lambda: two_environments, "two_state", None,
        "the same with one step from each environment",
    ),
    Row(
        SB3, "PPO, defaults, n_steps=3, one minibatch", PPO, "two_state", None,
        f"{CLIPPED}; advantages standardised",
    ),
    Row(
        SB3, "PPO, n_steps=2, minibatches of 1, gamma=1", example("check_ppo", "minibatches"), "two_state", None,
        "a minibatch is the buffer's mean, on average over all orders",
    ),
    Row(
        CONTRIB, "MaskablePPO, n_steps=3, gamma=1, no clipping", lambda: contrib_ppo, "two_state", None,
        "as A2C above, while all actions are offered",
    ),
    Row(
        "torch", "examples/agents/cleanrl_style.py, 3 steps", example("cleanrl_style", "ppo"), "two_state", None,
        "mean over the buffer, of which each reset costs a step; standardised, entropy bonus, norm clipped to 0.5",
    ),
    Row(
        "torch", "the same without GAE, standardising, entropy, clipping", example("cleanrl_style", "plain"),
        "two_state", None,
        "mean over the buffer, of which each reset costs a step; no gamma^t; V(s) after the buffer's end",
    ),
    Row("torch", "REINFORCE with gamma^t", example("reinforce", "reinforce"), "two_state", None, "the gradient"),
    Row(
        "torch", "REINFORCE as published", example("reinforce", "as_published"), "two_state", None,
        "gamma^t is left out",
    ),
    Row("torch", "REINFORCE as published", example("reinforce", "as_published"), "long_chain", None, "the same"),
    Row(
        "torch", "REINFORCE, returns standardised", example("reinforce", "standardised"), "two_state", None,
        "not a number in episodes of one step",
    ),
    Row(
        "rlax", "policy_gradient_loss times the length", example("rlax_loop", "right"), "two_state", None,
        "the gradient",
    ),
    Row(
        "rlax", "policy_gradient_loss", example("rlax_loop", "as_it_comes"), "two_state", None,
        "each episode is divided by its own length",
    ),
)  # fmt: skip

HEAD = "| library | code | model | runs | seconds | verdict | relative bias | scale | cosine | what it is |"


def measured(row: Row) -> str:
    """Returns the line of a loop in the table."""
    model = pgcheck.load_model(row.model, gamma=row.gamma)
    agent = row.make()
    since = time.perf_counter()
    with redirect_stdout(io.StringIO()):
        verification = verify_agent(LocalAgent(agent), [model], max_runs=100_000)
    seconds = time.perf_counter() - since
    (finding,) = verification.findings
    assert isinstance(finding, LoopFinding)
    names = ", ".join(dict.fromkeys(it.id for it in verification.diagnosis if it.id != "other"))
    verdict = verification.verdict + (f": {names}" if names else "")
    cosine = "" if finding.cosine is None else f"{finding.cosine:.6f}"
    gamma = "" if row.gamma is None else f", gamma {row.gamma:g}"
    return (
        f"| {row.package} {importlib.metadata.version(row.package)} | {row.code} | {row.model}{gamma} "
        f"| {finding.runs.number:,} | {seconds:.1f} | {verdict} | {100 * (finding.relative_bias or 0.0):.4g} % "
        f"| {finding.scale or 0:.6g} | {cosine} | {row.words} |"
    )


def main() -> None:
    """Prints the table."""
    warnings.simplefilter("ignore")
    words = sys.argv[1:]
    print(f"Measured on {datetime.date.today()}.\n\n{HEAD}\n|{'---|' * (HEAD.count('|') - 1)}")
    for row in ROWS:
        if words and not any(word.lower() in f"{row.package} {row.code}".lower() for word in words):
            continue
        try:
            importlib.metadata.version(row.package)
        except importlib.metadata.PackageNotFoundError:
            print(f"{row.package}: not installed", file=sys.stderr)
            continue
        print(measured(row), flush=True)


if __name__ == "__main__":
    main()
