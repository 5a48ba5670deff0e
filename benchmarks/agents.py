"""Speed of the check on training loops: pgcheck's own part of a run and of a draw, and two whole verdicts."""

import importlib.util
import random
import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np

import pgcheck
from pgcheck.agents import Agent, AgentFunction, agent, sb3
from pgcheck.external.agent_source import LocalAgent
from pgcheck.external.draws.answers import Answers
from pgcheck.external.run import Runner
from pgcheck.verification.loop_verdict import verify_agent

REPEATS = 40
DRAWS = 1_000


def agents() -> None:
    """A run beside the same update by itself, a draw, A2C with 70 runs and REINFORCE with 529."""
    if importlib.util.find_spec("torch") is None or importlib.util.find_spec("gymnasium") is None:
        print("agents: needs torch and gymnasium: pip install 'pgcheck[torch,gymnasium]'")
        return
    own = _own_part()
    print(f"pgcheck's own part of a run: {own * 1e3:.2f} ms, wanted at most 1")
    for name, seconds in _of_draws().items():
        print(f"a draw by {name}: {seconds * 1e6:.1f} us, wanted at most 20")
    if importlib.util.find_spec("stable_baselines3") is not None:
        _verdict("stable-baselines3 A2C, 3 steps, two_state", _a2c, 70, 3.0)
    _verdict("REINFORCE in torch, two episodes, two_state", _reinforce, 529, 5.0)


def _own_part() -> float:
    """Seconds of a run beyond those of making the agent and its update, which asks for one draw."""
    from pgcheck.external.environment import environment_of

    mdp, _ = pgcheck.load("two_state")
    env = environment_of(mdp, observation="one-hot")

    def alone() -> None:
        _one_step(env).update()

    runner = Runner(AgentFunction(_one_step, observation="one-hot"), mdp)
    run, theirs = [], []
    for number in range(REPEATS + 3):
        seconds = _seconds(lambda: runner.run(Answers())), _seconds(alone)
        if number >= 3:
            run.append(seconds[0])
            theirs.append(seconds[1])
    return statistics.median(run) - statistics.median(theirs)


def _seconds(work: Callable[[], object]) -> float:
    since = time.perf_counter()
    work()
    return time.perf_counter() - since


def _one_step(env: Any) -> Agent:
    import torch

    torch.manual_seed(0)
    policy = torch.nn.Linear(3, 2)
    optimizer = torch.optim.SGD(policy.parameters(), 0.1)

    def update() -> None:
        observation, _ = env.reset()
        policy(torch.as_tensor(observation)).sum().backward()
        optimizer.step()

    return Agent(policy, policy.parameters(), update)


def _of_draws() -> dict[str, float]:
    """Seconds of one draw in a run, by the function that draws."""
    import torch

    weights = torch.tensor([0.4, 0.6])
    draws: dict[str, Callable[[], object]] = {
        "random.randrange": lambda: random.randrange(2),
        "numpy.random.randint": lambda: np.random.randint(2),  # noqa: NPY002 - as users' code does
        "torch.multinomial": lambda: torch.multinomial(weights, 1),
    }
    mdp, _ = pgcheck.load("two_state")
    found: dict[str, float] = {}
    for name, draw in draws.items():

        def made(env: Any, name: str = name, draw: Callable[[], object] = draw) -> Agent:
            def update() -> Any:
                env.reset()
                since = time.perf_counter()
                for _ in range(DRAWS):
                    draw()
                found[name] = (time.perf_counter() - since) / DRAWS
                return np.zeros((3, 2))

            return Agent(lambda theta, observations: observations @ theta, np.zeros((3, 2)), update)

        Runner(AgentFunction(made, observation="one-hot"), mdp).run(Answers())
    return found


def _verdict(name: str, function: AgentFunction, runs: int, wanted: float) -> None:
    verify_agent(LocalAgent(function), ["two_state"])  # what is imported on the way
    since, cpu = time.perf_counter(), time.process_time()
    verification = verify_agent(LocalAgent(function), ["two_state"])
    seconds, cpu = time.perf_counter() - since, time.process_time() - cpu
    (finding,) = verification.findings
    assert finding.runs.number == runs  # type: ignore[attr-defined]
    print(f"{name}, {runs} runs: {seconds:.1f} s ({cpu:.1f} s of processor time), wanted at most {wanted:g}")


@agent
def _a2c(env: Any) -> Agent:
    from stable_baselines3 import A2C

    return sb3(A2C("MlpPolicy", env, n_steps=3, seed=0, device="cpu"))


@agent(observation="one-hot")
def _reinforce(env: Any) -> Agent:
    import torch

    torch.manual_seed(0)
    policy = torch.nn.Sequential(torch.nn.Linear(3, 16), torch.nn.Tanh(), torch.nn.Linear(16, 2))
    optimizer = torch.optim.Adam(policy.parameters(), 1e-2)
    gamma = env.unwrapped.gamma

    def update() -> None:
        loss = torch.zeros(())
        for _ in range(2):
            observation, done, log_probs, rewards = env.reset()[0], False, [], []
            while not done:
                distribution = torch.distributions.Categorical(logits=policy(torch.as_tensor(observation)))
                action = distribution.sample()
                log_probs.append(distribution.log_prob(action))
                observation, reward, terminated, truncated, _ = env.step(action.item())
                rewards.append(reward)
                done = terminated or truncated
            to_go = 0.0
            for t in reversed(range(len(rewards))):
                to_go = rewards[t] + gamma * to_go
                loss = loss - gamma**t * to_go * log_probs[t] / 2
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    return Agent(policy, policy.parameters(), update)
