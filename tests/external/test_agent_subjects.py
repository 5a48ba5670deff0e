"""What an agent's function may make, and networks of many kinds: judged rightly, or refused with a clear message."""

import itertools
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import pgcheck
from pgcheck import MDP
from pgcheck.errors import EstimatorError
from pgcheck.external.agent_source import LocalAgent
from pgcheck.external.agents import Agent, AgentFunction
from tests.external.loops import THETA, all_of, expected, looping, loss_of, table

pytestmark = [pytest.mark.torch, pytest.mark.gymnasium]


@pytest.fixture
def mdp() -> MDP:
    return pgcheck.load("two_state")[0]


def step(env: Any, policy: Any) -> None:
    import torch

    optimizer = torch.optim.SGD(policy.parameters(), lr=0.1)
    loss_of(env, policy).backward()
    optimizer.step()


def network(width: int = 3) -> Any:
    """Returns a network of two layers behind a table, with numbers that are not drawn."""
    import torch

    net = torch.nn.Sequential(table(), torch.nn.Tanh(), torch.nn.Linear(2, width), torch.nn.Linear(width, 2)).double()
    for k, p in enumerate(net.parameters()):
        if k:
            p.data = torch.linspace(-1, 1, p.numel(), dtype=p.dtype).reshape(p.shape)
    return net


def exact_of(mdp: MDP, beginning: Any) -> Any:
    return pgcheck.exact_gradient(mdp, beginning.subject.policy).gradient


def head_and_trunk(env: Any, net: Any) -> None:
    import torch

    optimizers = [torch.optim.SGD(part.parameters(), lr=0.1) for part in (net[3], net[:3])]
    loss_of(env, net).backward()
    for optimizer in optimizers:
        optimizer.step()


def head_and_trunk_twice(env: Any, net: Any) -> None:
    for _ in range(2):
        net.zero_grad()
        head_and_trunk(env, net)


@pytest.mark.parametrize("update", [step, head_and_trunk, head_and_trunk_twice])
def test_a_network_has_the_gradient_of_all_its_layers(mdp: MDP, update: Callable[[Any, Any], None]) -> None:
    beginning, lot = all_of(looping(update, network), mdp)
    assert len(beginning.subject.policy.theta) == 6 + 9 + 8
    np.testing.assert_allclose(lot.mean, exact_of(mdp, beginning), atol=1e-12)


def test_layers_that_no_optimizer_holds_do_not_move(mdp: MDP) -> None:
    import torch

    def head_alone(env: Any, net: Any) -> None:
        optimizer = torch.optim.SGD(net[3].parameters(), lr=0.1)
        loss_of(env, net).backward()
        optimizer.step()

    beginning, lot = all_of(looping(head_alone, network), mdp)
    exact = exact_of(mdp, beginning)
    np.testing.assert_allclose(lot.mean, np.concatenate([np.zeros(15), exact[15:]]), atol=1e-12)
    assert np.linalg.norm(exact[:15]) > 0.01


def test_a_critic_that_steps_first_is_passed_over(mdp: MDP) -> None:
    import torch

    def made(env: Any) -> Agent:
        policy, critic = table(), torch.nn.Embedding.from_pretrained(torch.zeros(3, 1), freeze=False)
        parameters = [*policy.parameters(), *critic.parameters()]

        def update() -> None:
            optimizers = [torch.optim.SGD(it.parameters(), lr=0.1) for it in (critic, policy)]
            loss = loss_of(env, policy)
            ((critic.weight - 1) ** 2).sum().backward()
            optimizers[0].step()
            loss.backward()
            optimizers[1].step()

        return Agent(policy, parameters, update, values=critic)

    beginning, lot = all_of(AgentFunction(made), mdp)
    assert len(beginning.subject.unused) == 1
    assert beginning.subject.values is not None
    np.testing.assert_allclose(lot.mean, expected(mdp), atol=1e-12)


def test_half_precision_is_judged_within_its_digits(mdp: MDP) -> None:
    import torch

    beginning, lot = all_of(looping(step, lambda: table(torch.bfloat16)), mdp)
    assert beginning.subject.policy.single
    exact = exact_of(mdp, beginning)
    assert (
        1e-6 < np.linalg.norm(lot.mean - exact) / np.linalg.norm(exact) < 4e-2
    )  # a rounded number of bfloat16 has 8 bits


def test_a_deviation_of_one_number_is_not_finite(mdp: MDP) -> None:
    import torch

    def standardised(env: Any, policy: Any) -> None:
        optimizer = torch.optim.SGD(policy.parameters(), lr=0.1)
        (loss_of(env, policy) / torch.ones(1).std()).backward()
        optimizer.step()

    with pytest.warns(UserWarning, match="degrees of freedom"):
        _, lot = all_of(looping(standardised), mdp)
    assert lot.not_finite == pytest.approx(1.0)
    assert not lot.mean.any()


def nothing_of(env: Any) -> Any:
    return None


def pair_of(env: Any) -> Any:
    return table(), step


def another_network(env: Any) -> Agent:
    return Agent(logits=table(), parameters=table().parameters(), update=lambda: None)


def with_logits(logits: Callable[[Any, Any], Any]) -> Callable[[Any], Agent]:
    def made(env: Any) -> Agent:
        policy = table()
        return Agent(lambda rows: logits(policy, rows), policy.parameters(), lambda: step(env, policy))

    return made


def dropping(env: Any) -> Agent:
    import torch

    return looping(step, lambda: torch.nn.Sequential(table(), torch.nn.Dropout(0.5))).function(env)


def batch_normal(env: Any) -> Agent:
    import torch

    return looping(step, lambda: torch.nn.Sequential(table(), torch.nn.BatchNorm1d(2).double())).function(env)


def too_wide(env: Any) -> Agent:
    return looping(step, lambda: network(2**22)).function(env)


COUNTER = itertools.count()


def other_weights(env: Any) -> Agent:
    policy = table()
    policy.weight.data += next(COUNTER)
    return looping(step, lambda: policy).function(env)


def leaving(env: Any) -> Agent:
    sys.exit(3)


# What the agent's function does, and what is said of it.
REFUSED: dict[str, tuple[Callable[[Any], Any], str]] = {
    "None": (nothing_of, "nothing_of returned None; is a return missing"),
    "a pair": (pair_of, "pair_of returned a tuple; expected"),
    "a module": (lambda env: table(), "returned an Embedding; expected"),
    "no parameters": (lambda env: Agent(table(), [], print), "parameters are empty"),
    "parameters of another network": (another_network, "depend on none of its parameters"),
    "logits of another shape": (with_logits(lambda policy, rows: policy(rows)[:, :1]), r"shape \[3, 1\] .*"),
    "detached logits": (with_logits(lambda policy, rows: policy(rows).detach()), "are they detached"),
    "logits that are not finite": (with_logits(lambda policy, rows: policy(rows) / 0), "not finite"),
    "logits that are an array": (with_logits(lambda policy, rows: THETA), "expected a tensor"),
    "logits that raise": (with_logits(lambda policy, rows: 1 / 0), "cannot be called .* ZeroDivisionError"),
    "dropout in the policy": (dropping, "is there dropout"),
    "batch normalisation": (batch_normal, "normalisation of batches"),
    "a network that is too large": (too_wide, "may have 67,108,864 numbers"),
    "other weights each time": (other_weights, "made other parameters when it was called again"),
    "sys.exit": (leaving, r"called sys.exit\(3\)"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_an_agent_is_refused(mdp: MDP, name: str) -> None:
    function, message = REFUSED[name]
    with pytest.raises(EstimatorError, match=message):
        LocalAgent(AgentFunction(function)).begin(mdp)
