"""Training loops that do what real or careless ones do: each is judged rightly, or refused with a clear message."""

import contextlib
import random
import sys
import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import pgcheck
from pgcheck import MDP
from pgcheck.arrays import Floats
from pgcheck.errors import EstimatorError
from tests.external.loops import THETA, all_of, expected, looping, loss_of, rollout

pytestmark = [pytest.mark.torch, pytest.mark.gymnasium]

Update = Callable[[Any, Any], object]


@pytest.fixture
def mdp() -> MDP:
    return pgcheck.load("two_state")[0]


def optimizer_of(policy: Any, **settings: Any) -> Any:
    import torch

    return torch.optim.SGD(policy.parameters(), **{"lr": 0.1, **settings})


def stepping(**settings: Any) -> Update:
    """An update of one step of SGD."""

    def update(env: Any, policy: Any) -> None:
        optimizer = optimizer_of(policy, **settings)
        loss_of(env, policy).backward()
        optimizer.step()

    return update


def zeroed_at_the_end(env: Any, policy: Any) -> None:
    optimizer = optimizer_of(policy)
    loss_of(env, policy).backward()
    optimizer.step()
    optimizer.zero_grad()


def in_an_endless_loop(env: Any, policy: Any) -> None:
    optimizer = optimizer_of(policy)
    while True:
        optimizer.zero_grad()
        loss_of(env, policy).backward()
        optimizer.step()


def bare_except(env: Any, policy: Any) -> None:
    optimizer = optimizer_of(policy)
    for _ in range(3):
        optimizer.zero_grad()
        loss_of(env, policy).backward()
        try:  # noqa: SIM105
            optimizer.step()
        except:  # noqa: E722
            pass


def except_around_all(env: Any, policy: Any) -> None:
    for _ in range(3):
        with contextlib.suppress(BaseException):
            stepping()(env, policy)


def rest_after_finally(env: Any, policy: Any) -> None:
    try:
        stepping()(env, policy)
    finally:
        loss_of(env, policy)


def maximized(env: Any, policy: Any) -> None:
    optimizer = optimizer_of(policy, maximize=True)
    (-loss_of(env, policy)).backward()
    optimizer.step()


def lbfgs(env: Any, policy: Any) -> None:
    import torch

    optimizer = torch.optim.LBFGS(policy.parameters(), lr=0.1)
    loss = loss_of(env, policy)

    def closure() -> Any:
        optimizer.zero_grad()
        loss.backward(retain_graph=True)
        return loss

    optimizer.step(closure)


def twice_backward(env: Any, policy: Any) -> None:
    optimizer = optimizer_of(policy)
    loss = loss_of(env, policy)
    loss.backward(retain_graph=True)
    loss.backward()
    optimizer.step()


def grad_alone(env: Any, policy: Any) -> None:
    loss_of(env, policy).backward()


def by_hand(env: Any, policy: Any) -> None:
    loss_of(env, policy).backward()
    for p in policy.parameters():
        p.data -= 0.1 * p.grad


def clipped(env: Any, policy: Any) -> None:
    import torch

    optimizer = optimizer_of(policy)
    loss_of(env, policy).backward()
    torch.nn.utils.clip_grad_norm_(policy.parameters(), 0.5)
    optimizer.step()


def scheduled(env: Any, policy: Any) -> None:
    import torch

    optimizer = optimizer_of(policy)
    scheduler = torch.optim.lr_scheduler.StepLR(optimizer, 1)
    for _ in range(2):
        optimizer.zero_grad()
        loss_of(env, policy).backward()
        optimizer.step()
        scheduler.step()


def adamw(env: Any, policy: Any) -> None:
    import torch

    optimizer = torch.optim.AdamW(policy.parameters(), weight_decay=0.25)
    loss_of(env, policy).backward()
    optimizer.step()


def compiled_policy(env: Any, policy: Any) -> None:
    import torch

    optimizer = optimizer_of(policy)
    loss_of(env, torch.compile(policy)).backward()
    optimizer.step()


def compiled_update(env: Any, policy: Any) -> None:
    import torch

    torch.compile(stepping())(env, policy)


def rollouts_in_inference_mode(env: Any, policy: Any) -> None:
    import torch

    steps = []
    with torch.inference_mode():
        observation, _ = env.reset()
        over, returns = False, 0.0
        while not over:
            action = torch.distributions.Categorical(logits=policy(torch.as_tensor(observation))).sample().item()
            steps.append((int(observation), action))
            observation, reward, terminated, truncated, _ = env.step(action)
            returns += env.unwrapped.gamma ** (len(steps) - 1) * reward
            over = terminated or truncated
    states, actions = torch.tensor(steps).T
    log_probs = torch.log_softmax(policy(states), dim=1)[torch.arange(len(steps)), actions]
    optimizer = optimizer_of(policy)
    (-returns * log_probs.sum()).backward()
    optimizer.step()


def returned(env: Any, policy: Any) -> Any:
    import torch

    gradient = torch.autograd.grad(-loss_of(env, policy), list(policy.parameters()))
    return [part.numpy() for part in gradient]


def swallowed_fault_of_a_step(env: Any, policy: Any) -> None:
    for _ in range(2):
        with contextlib.suppress(Exception):
            stepping()(env, policy)


def norm_of(gradient: Floats) -> float:
    return float(np.sqrt(np.sum(gradient**2)))


# The update, and what the optimizer follows in place of an episode's gradient g.
JUDGED: dict[str, tuple[Update, Callable[[Floats], Floats]]] = {
    "plain": (stepping(), lambda g: g),
    "zero_grad at the end": (zeroed_at_the_end, lambda g: g),
    "an endless loop with steps": (in_an_endless_loop, lambda g: g),
    "a bare except around the step": (bare_except, lambda g: g),
    "except BaseException around all": (except_around_all, lambda g: g),
    "draws in a finally block": (rest_after_finally, lambda g: g),
    "maximize": (maximized, lambda g: g),
    "momentum": (stepping(momentum=0.9), lambda g: g),
    "weight decay of SGD": (stepping(weight_decay=0.25), lambda g: g - 0.25 * THETA),
    "AdamW": (adamw, lambda g: g),
    "LBFGS": (lbfgs, lambda g: g),
    "two backward calls": (twice_backward, lambda g: 2 * g),
    ".grad alone": (grad_alone, lambda g: g),
    "a step by hand": (by_hand, lambda g: g),
    "clipped norm": (clipped, lambda g: g * min(1.0, 0.5 / (norm_of(g) + 1e-6))),
    "a learning-rate schedule": (scheduled, lambda g: g),
    "a compiled policy": (compiled_policy, lambda g: g),
    "a compiled update": (compiled_update, lambda g: g),
    "inference mode": (rollouts_in_inference_mode, lambda g: g),
    "a returned gradient": (returned, lambda g: g),
    "except Exception around all": (swallowed_fault_of_a_step, lambda g: g),
}


@pytest.mark.parametrize("name", JUDGED)
def test_a_loop_is_judged_rightly(mdp: MDP, name: str) -> None:
    update, followed = JUDGED[name]
    beginning, lot = all_of(looping(update), mdp)
    np.testing.assert_allclose(lot.mean, expected(mdp, followed), rtol=0, atol=1e-12)
    assert lot.mass == pytest.approx(1.0, abs=1e-12)
    assert lot.runs == 23  # the model's trajectories with the actions that lead to them
    assert beginning.subject.policy.theta.tolist() == THETA.ravel().tolist()


def test_weight_decay_that_is_no_part_of_the_gradient_is_told(mdp: MDP) -> None:
    assert all_of(looping(adamw), mdp)[0].rehearsal.decayed == 0.25
    assert all_of(looping(stepping(weight_decay=0.25)), mdp)[0].rehearsal.decayed == 0.0


def test_clipped_runs_are_told(mdp: MDP) -> None:
    large = expected(mdp, lambda g: np.full_like(THETA, norm_of(g) > 0.5))[0]  # their probability
    assert 0 < large < 1
    assert all_of(looping(clipped), mdp)[1].clipped == pytest.approx(large)


def test_runs_that_are_not_finite_are_left_out_and_counted(mdp: MDP) -> None:
    def divided(env: Any, policy: Any) -> None:
        optimizer = optimizer_of(policy)
        loss = loss_of(env, policy)
        (loss * (float("nan") if loss.item() == 0 else 1.0)).backward()
        optimizer.step()

    _, lot = all_of(looping(divided), mdp)
    zero = expected(mdp, lambda g: np.full_like(THETA, norm_of(g) == 0))[0]
    assert 0 < zero < 1
    assert lot.not_finite == pytest.approx(zero)
    np.testing.assert_allclose(lot.mean, expected(mdp), atol=1e-12)  # what is left out would add 0


HERE = "test_hostile_agents.py, line"
EARLIER = np.random.default_rng(0)
STATE = {"runs": 0}


def numbered() -> int:
    STATE["runs"] += 1
    return STATE["runs"]


def normal_numbers(env: Any, policy: Any) -> None:
    import torch

    optimizer = optimizer_of(policy)
    (loss_of(env, policy) + torch.randn(()) * policy.weight.sum()).backward()
    optimizer.step()


def own_generator(env: Any, policy: Any) -> None:
    import torch

    generator = torch.Generator().manual_seed(3)
    optimizer = optimizer_of(policy)
    (loss_of(env, policy) + torch.randn((), generator=generator) * policy.weight.sum()).backward()
    optimizer.step()


def drawing(draw: Callable[[], float]) -> Update:
    def update(env: Any, policy: Any) -> None:
        optimizer = optimizer_of(policy)
        (loss_of(env, policy) + draw() * policy.weight.sum()).backward()
        optimizer.step()

    return update


def dropout(env: Any, policy: Any) -> None:
    import torch

    optimizer = optimizer_of(policy)
    layer = torch.nn.Dropout(0.5)
    loss_of(env, lambda observation: layer(policy(observation))).backward()
    optimizer.step()


def in_a_thread(env: Any, policy: Any) -> None:
    thread = threading.Thread(target=lambda: rollout(env, policy))
    thread.start()
    thread.join()
    stepping()(env, policy)


def without_reset(env: Any, policy: Any) -> None:
    env.step(0)


def environment_of_ones_own(env: Any, policy: Any) -> None:
    import gymnasium

    own = gymnasium.make("CartPole-v1")
    own.reset(seed=0)
    optimizer = optimizer_of(policy)
    policy.weight.sum().backward()
    optimizer.step()


def changed_before(env: Any, policy: Any) -> None:
    policy.weight.data *= 0.5
    stepping()(env, policy)


def changed_and_swallowed(env: Any, policy: Any) -> None:
    policy.weight.data *= 0.5
    with contextlib.suppress(Exception):
        stepping()(env, policy)


def two_steps_by_hand(env: Any, policy: Any) -> None:
    for _ in range(2):
        policy.weight.grad = None
        by_hand(env, policy)


def by_hand_and_zeroed(env: Any, policy: Any) -> None:
    by_hand(env, policy)
    policy.weight.grad.zero_()


def no_gradient(env: Any, policy: Any) -> None:
    rollout(env, policy)


def wrong_shape(env: Any, policy: Any) -> Any:
    rollout(env, policy)
    return np.zeros(4)


def exits(env: Any, policy: Any) -> None:
    rollout(env, policy)
    sys.exit(0)


def remembered(env: Any, policy: Any) -> None:
    optimizer = optimizer_of(policy)
    (loss_of(env, policy) * numbered()).backward()
    optimizer.step()


def more_draws_each_time(env: Any, policy: Any) -> None:
    for _ in range(numbered() % 3):
        rollout(env, policy)
    stepping()(env, policy)


def fewer_draws(env: Any, policy: Any) -> None:
    import torch

    if numbered() % 2:
        torch.randint(0, 3, ())
    stepping()(env, policy)


# The update, and what is said of it.
REFUSED: dict[str, tuple[Update, str]] = {
    "torch.randn": (normal_numbers, f"a draw cannot be answered: .*{HERE}"),
    "a generator of torch's of one's own": (own_generator, f"a draw cannot be answered: .*{HERE}"),
    "np.random.normal": (drawing(lambda: np.random.normal()), f"{HERE}"),  # noqa: NPY002
    "random.random": (drawing(lambda: random.random()), f"{HERE}"),
    "a generator of before": (drawing(lambda: float(EARLIER.normal())), f"{HERE}"),
    "dropout": (dropout, f"{HERE}"),
    "a thread": (in_a_thread, "in another thread"),
    "no reset": (without_reset, "call env.reset"),
    "an environment of one's own": (environment_of_ones_own, "made no step in the environment that it was given"),
    "parameters that change": (changed_before, "was changed before the first step"),
    "parameters that change, and nobody is told": (changed_and_swallowed, "was changed before the first step"),
    "two steps by hand": (two_steps_by_hand, "changed before .* gradient"),
    "a step by hand, then zeroed": (by_hand_and_zeroed, "nothing is left in .grad"),
    "no gradient": (no_gradient, "computed no gradient"),
    "a gradient of another shape": (wrong_shape, r"shape \[4\]; expected .*\[6\]"),
    "sys.exit": (exits, r"called sys.exit\(0\)"),
    "a global that scales the gradient": (remembered, "remember earlier runs"),
    "a global that changes the draws": (more_draws_each_time, "remember earlier runs"),
    "a global that adds a draw": (fewer_draws, "remember earlier runs"),
}


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
@pytest.mark.parametrize("name", REFUSED)
def test_a_loop_is_refused(mdp: MDP, name: str) -> None:
    update, message = REFUSED[name]
    STATE["runs"] = 0
    with pytest.raises(EstimatorError, match=message):
        all_of(looping(update), mdp)
