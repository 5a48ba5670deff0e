"""Losses of networks, and the gradients of single episodes, against one backward pass each."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose

import pgcheck
from pgcheck import MDP, Batch, EstimatorError
from pgcheck.adapters import jax_loss, log_probs, torch_loss
from pgcheck.arrays import Floats
from pgcheck.model.parametric import Network
from pgcheck.trajectories.paths import listed
from tests import networks
from tests.model.test_network import network
from tests.problems import random_problem
from tests.verification import zoo

TORCH, JAX = pytest.mark.torch, pytest.mark.jax
KINDS = [pytest.param("torch", marks=TORCH), pytest.param("jax", marks=JAX)]


def problem(kind: str, seed: int = 4, *, single: bool = False) -> tuple[MDP, Network]:
    mdp, _ = random_problem(seed, horizon=3, gamma=0.9)
    return mdp, network(kind, mdp, networks.random_theta(mdp, seed), single=single)


def each(theta: Any, batch: Batch) -> Any:
    """−R Σ_t log π(a_t|s_t) of each episode."""
    returned = zoo.returned(batch)
    if isinstance(theta, dict) or hasattr(theta, "detach"):
        import torch

        return -torch.tensor(returned) * log_probs(theta, batch).sum(dim=1)
    import jax

    return -jax.numpy.asarray(returned) * log_probs(theta, batch).sum(axis=1)


def adapter(kind: str) -> Callable[[Any], Callable[[Batch], Floats]]:
    return torch_loss if kind == "torch" else jax_loss


@pytest.mark.parametrize("kind", KINDS)
def test_a_loss_of_a_network_gives_the_gradient_of_each_episode(kind: str) -> None:
    mdp, policy = problem(kind)
    batch = listed(mdp, policy)[0]
    expected = pgcheck.estimator("reinforce").each(batch)
    tolerance = 1e-10 if kind == "torch" else 1e-5  # jax itself works in single precision
    scale = np.abs(expected).max()
    found = adapter(kind)(each)(batch)
    assert_allclose(found, expected, atol=tolerance * scale)
    few = batch.part(slice(0, 2))  # fewer episodes than parameters: by rows
    assert_allclose(adapter(kind)(each)(few), expected[:2], atol=tolerance * scale)
    mean = adapter(kind)(lambda theta, batch: each(theta, batch).mean())(batch)
    assert_allclose(mean, expected.mean(axis=0), atol=tolerance * scale)


@pytest.mark.parametrize("kind", KINDS)
def test_a_loss_of_a_linear_policy_gives_the_gradient_of_each_episode(kind: str) -> None:
    mdp, policy = pgcheck.load("short_corridor_linear", horizon=3)
    batch = listed(mdp, policy)[0]
    expected = pgcheck.estimator("reinforce").each(batch)
    assert_allclose(adapter(kind)(each)(batch), expected, atol=1e-10 if kind == "torch" else 1e-5)
    assert np.abs(expected).max() > 0.1


@TORCH  # jax compiles anew for every shape of a batch, which takes minutes here
def test_networks_pass_and_fail_as_tables_do() -> None:
    model = problem("torch")
    assert pgcheck.verify(torch_loss(each), [model]).verdict == "pass"
    half = pgcheck.verify(torch_loss(lambda theta, batch: each(theta, batch) / 2), [model])
    assert (half.verdict, [d.id for d in half.diagnosis]) == ("fail", ["scale"])


@TORCH
def test_a_network_in_single_precision_passes_with_the_tolerance_of_single_precision() -> None:
    found = pgcheck.verify(torch_loss(each), [problem("torch", single=True)])
    assert (found.verdict, found.tolerance) == ("pass", 1e-4)


@TORCH
def test_a_loss_may_call_the_live_module() -> None:
    import torch

    mdp, policy = problem("torch")

    def loss(theta: Any, batch: Batch) -> Any:
        module, rows = batch.policy.module, torch.tensor(batch.policy.observations)  # type: ignore[attr-defined]
        assert all(theta[name] is parameter for name, parameter in module.named_parameters())
        offered = torch.tensor(batch.mdp.available)
        table = torch.log_softmax(module(rows).masked_fill(~offered, -torch.inf), dim=-1)
        taken = table[torch.tensor(np.array(batch.states)), torch.tensor(np.array(batch.actions))]
        taken = torch.where(torch.tensor(np.array(batch.mask)), taken, 0.0)
        return -torch.tensor(zoo.returned(batch)) * taken.sum(dim=1)

    assert pgcheck.verify(torch_loss(loss), [(mdp, policy)]).verdict == "pass"
    assert all(p.grad is None for p in policy.module.parameters())  # type: ignore[attr-defined]


@TORCH
@pytest.mark.parametrize("episodes", [3, 60])  # fewer than there are parameters, and more
def test_what_torch_cannot_vectorise_is_gone_through_one_by_one(episodes: int) -> None:
    import torch

    class Squared(torch.autograd.Function):  # type: ignore[misc]
        """Its backward pass is none that torch can differentiate or vectorise: it works in NumPy."""

        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            ctx.save_for_backward(x)
            return x**2

        @staticmethod
        def backward(ctx: Any, gradient: Any) -> Any:
            (x,) = ctx.saved_tensors
            return torch.from_numpy(2 * x.detach().numpy() * gradient.detach().numpy())

    mdp, policy = pgcheck.load("two_state")
    batch = listed(mdp, policy)[0]
    batch = batch.part(np.arange(episodes) % len(batch))

    def loss(square: Callable[[Any], Any]) -> Callable[[Batch], Floats]:
        return torch_loss(lambda theta, batch: square(log_probs(theta, batch)).sum(dim=1))

    assert_allclose(loss(Squared.apply)(batch), loss(torch.square)(batch), rtol=1e-12, atol=1e-14)


@TORCH
def test_a_detached_part_stays_detached_in_every_block() -> None:
    import torch

    def loss(theta: Any, batch: Batch) -> Any:
        with torch.no_grad():
            weight = log_probs(theta, batch).sum(dim=1).exp()
        return weight * log_probs(theta, batch).sum(dim=1) + log_probs(theta, batch).mean().detach()

    mdp, policy = pgcheck.load("two_state")
    batch = listed(mdp, policy)[0]
    assert len(batch) > len(policy.theta)
    probability = np.exp(log_probs(torch.tensor(np.array(batch.theta)), batch).sum(dim=1).numpy())
    expected = -probability[:, None, None] * batch.score.sum(axis=1)
    assert_allclose(torch_loss(loss)(batch), expected, rtol=1e-12, atol=1e-15)


@TORCH
def test_losses_that_do_not_belong_to_the_policy_are_refused() -> None:
    mdp, policy = problem("torch")
    with pytest.raises(EstimatorError, match="jax_loss needs a policy of jax_policy; this one is a TorchNetwork"):
        pgcheck.verify(jax_loss(each), [(mdp, policy)])
    with pytest.raises(EstimatorError, match="does not depend on theta"):
        pgcheck.verify(torch_loss(lambda theta, batch: each(theta, batch).detach()), [(mdp, policy)])
