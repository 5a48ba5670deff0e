"""What an optimizer follows in the end: hooks of its own, steps by hand, and what is clipped."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import pgcheck
from pgcheck import MDP
from pgcheck.arrays import Floats
from pgcheck.errors import EstimatorError
from tests.external.looping import THETA, all_of, expected, looping, loss_of

pytestmark = [pytest.mark.torch, pytest.mark.gymnasium]

Update = Callable[[Any, Any], object]


@pytest.fixture
def mdp() -> MDP:
    return pgcheck.load("two_state")[0]


# Hooks of an optimizer's own.


def hooked(hook: Callable[[Any, Any, Any], None] | None) -> Update:
    def update(env: Any, policy: Any) -> None:
        import torch

        optimizer = torch.optim.SGD(policy.parameters(), lr=0.1)
        if hook is not None:
            optimizer.register_step_pre_hook(hook)
        loss_of(env, policy).backward()
        optimizer.step()

    return update


def times(factor: float) -> Callable[[Any, Any, Any], None]:
    def hook(optimizer: Any, args: Any, kwargs: Any) -> None:
        del args, kwargs
        for group in optimizer.param_groups:
            for parameter in group["params"]:
                parameter.grad.mul_(factor)

    return hook


@pytest.mark.parametrize(("hook", "factor"), [(times(-1.0), -1.0), (times(0.25), 0.25), (None, 1.0)])
def test_what_an_optimizers_own_hook_does_is_a_part_of_the_step(mdp: MDP, hook: Any, factor: float) -> None:
    mean = all_of(looping(hooked(hook)), mdp)[1].mean
    np.testing.assert_allclose(mean, factor * expected(mdp), rtol=0, atol=1e-12)


# Steps by hand.


def by_hand(sign: float, step: float) -> Update:
    """The gradient of `sign` times the loss, and a step of so much along it."""

    def update(env: Any, policy: Any) -> None:
        import torch

        (sign * loss_of(env, policy)).backward()
        with torch.no_grad():
            for p in policy.parameters():
                p += step * p.grad

    return update


@pytest.mark.parametrize(
    ("sign", "step", "factor"),
    [(1.0, -0.1, 1.0), (-1.0, 0.1, 1.0), (1.0, 0.1, -1.0), (-1.0, -0.1, -1.0)],
    ids=["descends the loss", "ascends the objective", "ascends the loss", "descends the objective"],
)
def test_a_step_by_hand_has_the_direction_in_which_it_goes(mdp: MDP, sign: float, step: float, factor: float) -> None:
    mean = all_of(looping(by_hand(sign, step)), mdp)[1].mean
    np.testing.assert_allclose(mean, factor * expected(mdp), rtol=0, atol=1e-12)


def normalised(gradient: Any) -> Any:
    return gradient.sign()


def upside_down(gradient: Any) -> Any:
    return gradient.flip(0)


def decayed(gradient: Any) -> Any:
    import torch

    return gradient + torch.ones_like(gradient)


@pytest.mark.parametrize("change", [normalised, upside_down, decayed])
def test_a_step_by_hand_that_is_neither_is_refused(mdp: MDP, change: Callable[[Any], Any]) -> None:
    def update(env: Any, policy: Any) -> None:
        import torch

        loss_of(env, policy).backward()
        with torch.no_grad():
            policy.weight -= 0.1 * change(policy.weight.grad)

    with pytest.raises(EstimatorError, match=r"changed without an optimizer of torch"):
        all_of(looping(update), mdp)


# What is clipped.


def clipping(*, critic: bool, policys: bool) -> Update:
    def update(env: Any, policy: Any) -> None:
        import torch

        value = torch.nn.Parameter(torch.zeros(1, dtype=torch.float64))
        loss = loss_of(env, policy)
        ((value - 100.0) ** 2).sum().backward()
        if critic:
            torch.nn.utils.clip_grad_norm_([value], 0.1)
            torch.nn.utils.clip_grad_value_([value], 0.01)
        torch.optim.SGD([value], lr=0.1).step()
        optimizer = torch.optim.SGD(policy.parameters(), lr=0.1)
        loss.backward()
        if policys:
            torch.nn.utils.clip_grad_norm_(policy.parameters(), 0.5)
        optimizer.step()

    return update


def norm_of(gradient: Floats) -> float:
    return float(np.sqrt(np.sum(gradient**2)))


def test_clipping_of_a_critic_alone_is_not_the_policys(mdp: MDP) -> None:
    lot = all_of(looping(clipping(critic=True, policys=False)), mdp)[1]
    assert lot.clipped == 0
    np.testing.assert_allclose(lot.mean, expected(mdp), rtol=0, atol=1e-12)


@pytest.mark.parametrize("critic", [True, False])
def test_clipping_of_the_policy_beside_that_of_a_critic_is_told(mdp: MDP, critic: bool) -> None:
    lot = all_of(looping(clipping(critic=critic, policys=True)), mdp)[1]
    large = expected(mdp, lambda g: np.full_like(THETA, norm_of(g) > 0.5))[0]
    assert 0 < large < 1
    assert lot.clipped == pytest.approx(large)
    shortened = expected(mdp, lambda g: g * min(1.0, 0.5 / (norm_of(g) + 1e-6)))
    np.testing.assert_allclose(lot.mean, shortened, rtol=0, atol=1e-12)
    assert norm_of(shortened - expected(mdp)) > 1e-3
