"""What a run replaces, seeds and sets is as before when the run is over, however it ended."""

import random
import sys
import threading
import warnings
from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from numpy.random import default_rng as imported_by_its_name

import pgcheck
from pgcheck import MDP
from pgcheck.errors import EstimatorError
from pgcheck.external.draws.answers import under_way
from tests.external.loops import all_of, looping, loss_of

pytestmark = [pytest.mark.torch, pytest.mark.gymnasium]

ENDED = "the run has ended"


@pytest.fixture
def mdp() -> MDP:
    return pgcheck.load("two_state")[0]


def step(env: Any, policy: Any) -> None:
    import torch

    torch.set_num_threads(torch.get_num_threads() + 1)
    torch.set_default_dtype(torch.float64)
    np.seterr(all="ignore")
    optimizer = torch.optim.SGD(policy.parameters(), lr=0.1)
    loss_of(env, policy).backward()
    torch.nn.utils.clip_grad_norm_(policy.parameters(), 0.5)
    torch.set_grad_enabled(False)
    optimizer.step()


def failing(error: BaseException) -> Callable[[Any, Any], None]:
    def update(env: Any, policy: Any) -> None:
        step_without_stop(env, policy)
        raise error

    return update


def step_without_stop(env: Any, policy: Any) -> None:
    import torch

    torch.set_num_threads(torch.get_num_threads() + 1)
    loss_of(env, policy).backward()


def normal(env: Any, policy: Any) -> None:
    import torch

    (loss_of(env, policy) + torch.randn(())).backward()


# The update, and the error in which its runs end.
UPDATES: dict[str, tuple[Callable[[Any, Any], None], type[BaseException] | None]] = {
    "all is well": (step, None),
    "an error": (failing(ValueError(ENDED)), ValueError),
    "an interrupt": (failing(KeyboardInterrupt()), KeyboardInterrupt),
    "sys.exit": (failing(SystemExit(0)), EstimatorError),
    "a draw that cannot be answered": (normal, EstimatorError),
}


def attributes() -> dict[tuple[str, str], object]:
    """Returns what stands in all modules of the libraries, in this one, and in their classes that draw."""
    import gymnasium
    import torch

    owners: list[Any] = [torch.Tensor, torch.Generator, gymnasium.Space, gymnasium.spaces.Discrete, random.Random]
    names = ("torch", "numpy", "random", "gymnasium", "tests", "pgcheck")
    owners += [it for name, it in sys.modules.items() if name.split(".")[0] in names and isinstance(it, ModuleType)]
    return {(owner.__name__, name): value for owner in owners for name, value in [*vars(owner).items()]}


def settings() -> dict[str, object]:
    """Returns what may be set for a whole process."""
    import torch
    from torch._dynamo.eval_frame import _stance

    steps = sys.modules["torch.optim.optimizer"]
    return {
        "random": random.getstate(), "numpy": repr(np.random.get_state()),  # noqa: NPY002
        "torch": torch.get_rng_state().tolist(), "threads of torch": torch.get_num_threads(),
        "precision": torch.get_default_dtype(), "gradients": torch.is_grad_enabled(), "stance": _stance.stance,
        "hooks": dict(steps._global_optimizer_pre_hooks), "errors": np.geterr(), "trace": sys.gettrace(),
        "path": [*sys.path], "filters": [*warnings.filters], "threads": threading.active_count(),
        "run": under_way(), "thread hook": threading.excepthook, "arguments": [*sys.argv],
    }  # fmt: skip


@pytest.mark.parametrize("name", UPDATES)
def test_a_run_leaves_no_trace(mdp: MDP, name: str) -> None:
    import torch

    update, error = UPDATES[name]
    all_of(looping(step), mdp)  # what is imported by the first run stays
    random.seed(7)
    np.random.seed(7)  # noqa: NPY002
    torch.manual_seed(7)
    before, modules, present = settings(), dict(sys.modules), attributes()
    if error is None:
        all_of(looping(update), mdp)
    else:
        with pytest.raises(error):
            all_of(looping(update), mdp)
    after = attributes()
    assert settings() == before
    assert before["hooks"] == {}
    assert {key: after.get(key) for key, value in present.items() if after.get(key) is not value} == {}
    assert {key for key in after if key not in present and sys.modules.get(key[0]) in modules.values()} == set()
    assert all(sys.modules[name] is module for name, module in modules.items())


def test_a_name_that_was_imported_is_replaced_in_a_run_alone(mdp: MDP) -> None:
    seen: list[object] = []
    before = imported_by_its_name

    def update(env: Any, policy: Any) -> None:
        seen.append(imported_by_its_name)
        step(env, policy)

    all_of(looping(update), mdp)
    assert before not in seen
    assert imported_by_its_name is before
