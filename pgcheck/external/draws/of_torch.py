"""The draws of torch: the functions that all of its distributions over finite sets go through."""

import sys
from collections.abc import Callable
from typing import Any

from pgcheck.external.draws.answers import Answers, under_way
from pgcheck.external.draws.finite import one_of
from pgcheck.external.draws.patches import Patch
from pgcheck.external.draws.torch_generators import state_of

Functions = dict[str, Callable[..., Any]]


def patches() -> list[Patch]:
    """Returns what answers the draws of torch during a run; nothing where torch has not been imported.

    `Categorical`, `OneHotCategorical` and `Multinomial` draw by `torch.multinomial`, `Bernoulli` by
    `torch.bernoulli`, `Binomial` by `torch.binomial`, data loaders by `torch.randperm`.
    """
    torch = sys.modules.get("torch")
    if torch is None or not hasattr(torch, "multinomial"):  # it is just being imported
        return []
    functions: Functions = {
        "multinomial": _multinomial, "bernoulli": _bernoulli, "binomial": _binomial, "randint": _randint,
        "randint_like": _randint_like, "randperm": _randperm,
    }  # fmt: skip
    methods: Functions = {"multinomial": _multinomial, "bernoulli": _bernoulli, "bernoulli_": _bernoulli_in_place}
    return [
        *(Patch(torch, name, _for(torch, getattr(torch, name), function)) for name, function in functions.items()),
        *(
            Patch(torch.Tensor, name, _for(torch, getattr(torch.Tensor, name), function))
            for name, function in methods.items()
        ),
    ]


def generators() -> list[tuple[str, Callable[[], object]]]:
    """Returns torch's own generator, with a function that gives what changes whenever it draws."""
    torch = sys.modules.get("torch")
    if torch is None or not hasattr(torch, "default_generator"):
        return []
    return [("torch", lambda: state_of(torch.default_generator))]


def _for(torch: Any, original: Callable[..., Any], function: Callable[..., Any]) -> Callable[..., Any]:
    """What stands in for a function of torch during a run."""

    def replacement(*args: Any, **kwargs: Any) -> Any:
        answers = under_way()
        return original(*args, **kwargs) if answers is None else function(torch, answers, *args, **kwargs)

    return replacement


def _multinomial(
    torch: Any, answers: Answers, input: Any, num_samples: int, replacement: bool = False, *, generator: Any = None,
    out: Any = None,
) -> Any:  # fmt: skip
    rows = input.tolist()
    of_rows = rows if input.ndim > 1 else [rows]
    drawn = [_of_row(answers, row, num_samples, replacement) for row in of_rows]
    result = torch.tensor(drawn if input.ndim > 1 else drawn[0], dtype=torch.int64, device=input.device)
    return result if out is None else out.resize_(result.shape).copy_(result)


def _of_row(answers: Answers, weights: list[float], number: int, replacement: bool) -> list[int]:
    """Which numbers are drawn; without replacement one after the other, by the weights of those that are left."""
    if not replacement and sum(weight > 0 for weight in weights) < number:
        answers.refuse(f"torch.multinomial: {number} draws without replacement from {weights}")
    drawn = []
    for _ in range(number):
        drawn.append(answers.choose(weights))
        if not replacement:
            weights = [0.0 if k == drawn[-1] else weight for k, weight in enumerate(weights)]
    return drawn


def _bernoulli(
    torch: Any, answers: Answers, input: Any, p: Any = None, *, generator: Any = None, out: Any = None
) -> Any:
    probs = input if p is None else torch.as_tensor(p).expand(input.shape)
    drawn = [answers.choose((1 - prob, prob)) for prob in probs.flatten().tolist()]
    result = torch.tensor(drawn, device=input.device).reshape(input.shape).to(input.dtype)
    return result if out is None else out.resize_(result.shape).copy_(result)


def _bernoulli_in_place(torch: Any, answers: Answers, input: Any, p: Any = 0.5, *, generator: Any = None) -> Any:
    return input.copy_(_bernoulli(torch, answers, input, p))


def _binomial(torch: Any, answers: Answers, count: Any, prob: Any, generator: Any = None) -> Any:
    counts, probs = torch.broadcast_tensors(count, prob)
    drawn = [
        sum(answers.choose((1 - p, p)) for _ in range(int(n)))
        for n, p in zip(counts.flatten().tolist(), probs.flatten().tolist(), strict=True)
    ]
    return torch.tensor(drawn, device=prob.device).reshape(counts.shape).to(prob.dtype)


def _randint(torch: Any, answers: Answers, *args: Any, **kwargs: Any) -> Any:
    """`randint(high, size)` or `randint(low, high, size)`."""
    named: dict[str, Any] = {name: kwargs.pop(name) for name in ("low", "high", "size") if name in kwargs}
    places = [name for name in ("low", "high", "size") if name not in named][-len(args) :] if args else []
    if len(args) == 1 and places == ["size"] and "high" not in named:
        places = ["high"]
    values: dict[str, Any] = {"low": 0, **dict(zip(places, args, strict=True)), **named}
    low, high, size = int(values["low"]), int(values["high"]), values["size"]
    kwargs.pop("generator", None)
    out = kwargs.pop("out", None)
    empty = torch.empty(size, **{"dtype": torch.int64, **kwargs})
    drawn = [low + one_of(high - low, "torch.randint") for _ in range(empty.numel())]
    result = empty.copy_(torch.tensor(drawn).reshape(empty.shape))
    return result if out is None else out.resize_(result.shape).copy_(result)


def _randint_like(torch: Any, answers: Answers, input: Any, *bounds: int, **kwargs: Any) -> Any:
    """`randint_like(input, high)` or `randint_like(input, low, high)`."""
    low, high = kwargs.pop("low", None), kwargs.pop("high", None)
    if len(bounds) == 1:
        low, high = (low, bounds[0]) if high is None else (bounds[0], high)
    elif bounds:
        low, high = bounds
    low = 0 if low is None else low
    empty = torch.empty_like(input, **kwargs)
    drawn = [int(low) + one_of(int(high) - int(low), "torch.randint_like") for _ in range(empty.numel())]
    return empty.copy_(torch.tensor(drawn).reshape(empty.shape))


def _randperm(torch: Any, answers: Answers, n: int, *, generator: Any = None, out: Any = None, **kwargs: Any) -> Any:
    result = torch.tensor(answers.permutation(n), **{"dtype": torch.int64, **kwargs})
    return result if out is None else out.resize_(n).copy_(result)
