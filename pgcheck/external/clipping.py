"""What stands in for torch's functions that compute or clip gradients: they tell the watch of the run."""

import math
import sys
from collections.abc import Callable, Sequence
from typing import Any

from pgcheck.external.draws.patches import Patch
from pgcheck.external.optimizers import Watch


def watching_patches(watch: Callable[[], Watch | None], *, unclipped: bool) -> list[Patch]:
    """Returns what tells the watch of the run that is under way of each gradient, and of each that is clipped.

    Args:
      watch: returns it.
      unclipped: whether the policy's gradients are left as they are where they would be clipped.
    """
    torch = sys.modules.get("torch")
    if torch is None or not hasattr(torch.nn, "utils"):
        return []
    utils, own = torch.nn.utils, torch.nn.utils.clip_grad
    of_norm, of_value = own.clip_grad_norm_, own.clip_grad_value_

    def clip_norm(parameters: Any, max_norm: float, *args: Any, **kwargs: Any) -> Any:
        tensors, present = _listed(parameters), watch()
        is_ours = _holds_policy(present, tensors)
        total = of_norm(tensors, math.inf if unclipped and is_ours else max_norm, *args, **kwargs)
        _count(present, is_ours and bool(total > max_norm))
        return total

    def clip_value(parameters: Any, clip_value: float, *args: Any, **kwargs: Any) -> Any:
        tensors, present = _listed(parameters), watch()
        is_ours = _holds_policy(present, tensors)
        greatest = [float(p.grad.abs().max()) for p in tensors if p.grad is not None and p.grad.numel()]
        _count(present, is_ours and max(greatest, default=0.0) > clip_value)
        return None if unclipped and is_ours else of_value(tensors, clip_value, *args, **kwargs)

    def telling(original: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            present = watch()
            if present is not None:
                present.before_backward()
            return original(*args, **kwargs)

        return call

    return [
        *(Patch(torch.autograd, name, telling(getattr(torch.autograd, name))) for name in ("backward", "grad")),
        *(Patch(owner, "clip_grad_norm_", clip_norm) for owner in (utils, own)),
        *(Patch(owner, "clip_grad_value_", clip_value) for owner in (utils, own)),
    ]


def _listed(parameters: Any) -> list[Any]:
    """The tensors, which may come one by one and only once."""
    return [parameters] if hasattr(parameters, "grad") else list(parameters)


def _holds_policy(watch: Watch | None, tensors: Sequence[Any]) -> bool:
    """Whether one of the tensors is a parameter of the policy."""
    parameters = None if watch is None else watch.parameters()
    ours = {id(p) for p in (parameters or {}).values()}
    return any(id(tensor) in ours for tensor in tensors)


def _count(watch: Watch | None, clips: bool) -> None:
    if watch is not None and clips and not watch.complete:
        watch.clips += 1
