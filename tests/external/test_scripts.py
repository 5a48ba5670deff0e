"""Scripts that run as programs: what they see, what they leave behind, and that their gradient is judged."""

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from pgcheck.errors import EstimatorError, UsageError
from pgcheck.external.agent_source import LocalAgent
from pgcheck.external.agents import Agent, AgentFunction
from pgcheck.external.scripts import script
from pgcheck.verification.loop_verdict import verify_agent

pytestmark = [pytest.mark.torch, pytest.mark.gymnasium]

REINFORCE = """
import sys
import gymnasium
import older
import torch

assert __name__ == "__main__" and sys.modules["__main__"].__file__ == __file__
torch.manual_seed(0)
env = gymnasium.make("pgcheck/two_state-v0")
gamma, keeps = env.unwrapped.gamma, sys.argv[1] == "right"
policy = torch.nn.Linear(3, 2).double()
optimizer = torch.optim.SGD(policy.parameters(), 0.1)
while True:  # ends at its first step
    state, done, log_probs, rewards = env.reset()[0], False, [], []
    while not done:
        distribution = torch.distributions.Categorical(logits=policy(torch.as_tensor(state).double()))
        action = distribution.sample()
        log_probs.append(distribution.log_prob(action))
        state, reward, terminated, truncated, _ = env.step(action.item())
        rewards.append(older.same(reward))
        done = terminated or truncated
    total = sum((gamma ** t if keeps else 1) * sum(gamma ** (k - t) * rewards[k] for k in range(t, len(rewards))) * p
                for t, p in enumerate(log_probs))
    optimizer.zero_grad()
    (-total).backward()
    optimizer.step()
"""


def older(reward: float) -> float:
    return reward


def agent_of(path: Path, *argv: str, **settings: Any) -> AgentFunction:
    def made(env: Any) -> Agent:
        del env
        return script(
            path,
            argv=argv,
            modules={"older": SimpleNamespace(same=older)},
            logits=lambda variables, observations: variables["policy"](observations.double()),
            parameters=lambda variables: variables["policy"].named_parameters(),
            **settings,
        )

    return AgentFunction(made, observation="one-hot")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "reinforce.py"
    path.write_text(REINFORCE)
    return path


def test_a_script_is_judged_as_it_stands(file: Path) -> None:
    assert verify_agent(LocalAgent(agent_of(file, "right")), ["two_state"]).verdict == "pass"
    assert verify_agent(LocalAgent(agent_of(file, "wrong")), ["two_state"]).verdict == "fail"


@pytest.mark.parametrize("argument", ["right", None])  # None: it fails at sys.argv[1]
def test_a_script_leaves_the_program_as_it_was(file: Path, argument: str | None) -> None:
    def state() -> tuple[Any, ...]:
        return sys.modules["__main__"], "older" in sys.modules, sys.argv, [*sys.path]

    before = state()
    source = LocalAgent(agent_of(file, *([argument] if argument else [])))
    if argument is None:
        with pytest.raises(IndexError):
            verify_agent(source, ["two_state"])
    else:
        verify_agent(source, ["two_state"])
    assert state() == before
    assert sys.argv is before[2]


def test_another_model_than_the_one_the_script_names_is_refused(file: Path) -> None:
    with pytest.raises(EstimatorError, match=r"two-state.*was asked for"):
        verify_agent(LocalAgent(agent_of(file, "right")), ["random_walk"])


def test_what_is_no_script_is_refused(tmp_path: Path) -> None:
    (tmp_path / "broken.py").write_text("def (")
    for name in ("missing.py", "broken.py"):
        with pytest.raises(UsageError, match=name):
            script(tmp_path / name, logits=np.zeros, parameters=np.zeros)
