"""The numbers of jax's draws from finite sets, answered; by the names and the arguments of jax.random's functions."""

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from pgcheck.external.draws.answers import asked
from pgcheck.external.draws.finite import binomial, multinomial_counts, one_of, without_replacement

Shape = tuple[int, ...]
Arguments = Mapping[str, Any]
Fill = Callable[[Arguments, Shape], Any]


def _categorical(arguments: Arguments, shape: Shape) -> Any:
    logits = np.moveaxis(np.asarray(arguments["logits"], dtype=float), arguments["axis"], -1)
    weights = np.exp(logits - logits.max(axis=-1, keepdims=True))
    if arguments.get("replace", True):
        rows = np.broadcast_to(weights, (*shape, weights.shape[-1]))
        return _each(shape, lambda place: asked().choose(rows[place].tolist()))
    batch = weights.shape[:-1]
    number = math.prod(shape[: len(shape) - len(batch)])
    drawn = np.empty((number, *batch), dtype=int)
    for row in np.ndindex(*batch):
        drawn[:, *row] = without_replacement(weights[row].tolist(), number)
    return drawn.reshape(shape)


def _bernoulli(arguments: Arguments, shape: Shape) -> Any:
    probs = np.broadcast_to(np.clip(np.asarray(arguments["p"], dtype=float), 0, 1), shape)
    return _each(shape, lambda place: asked().choose([1 - float(probs[place]), float(probs[place])]))


def _rademacher(arguments: Arguments, shape: Shape) -> Any:
    del arguments
    return _each(shape, lambda place: 2 * asked().uniform(2) - 1)


def _randint(arguments: Arguments, shape: Shape) -> Any:
    low, high = (np.broadcast_to(np.asarray(arguments[name]), shape) for name in ("minval", "maxval"))

    def number(place: Shape) -> int:
        least = int(low[place])
        return least + one_of(max(int(high[place]) - least, 1), "jax.random.randint")

    return _each(shape, number)


def _binomial(arguments: Arguments, shape: Shape) -> Any:
    tries, probs = (np.broadcast_to(np.asarray(arguments[name], dtype=float), shape) for name in ("n", "p"))
    name = "jax.random.binomial"
    return _each(shape, lambda place: binomial(int(tries[place]), float(probs[place]), name))


def _multinomial(arguments: Arguments, shape: Shape) -> Any:
    probs = np.broadcast_to(np.asarray(arguments["p"], dtype=float), shape)
    probs = probs / probs.sum(axis=-1, keepdims=True)
    tries = np.broadcast_to(np.asarray(arguments["n"]), shape[:-1])
    counts = np.empty(shape)
    for row in np.ndindex(*shape[:-1]):
        counts[row] = multinomial_counts(int(tries[row]), probs[row].tolist(), "jax.random.multinomial")
    return counts


def _choice(arguments: Arguments, shape: Shape) -> Any:
    members, axis, p = np.asarray(arguments["a"]), arguments["axis"], arguments["p"]
    n = int(members) if members.ndim == 0 else members.shape[axis]
    number = math.prod(arguments["shape"])
    weights = None if p is None else np.asarray(p, dtype=float).tolist()
    if arguments["replace"]:
        choose = asked().choose
        drawn = [one_of(n, "jax.random.choice") if weights is None else choose(weights) for _ in range(number)]
    else:
        drawn = asked().subset(n, number) if weights is None else without_replacement(weights, number)
    indices = np.array(drawn, dtype=int)
    return (indices if members.ndim == 0 else members.take(indices, axis)).reshape(shape)


def _permutation(arguments: Arguments, shape: Shape) -> Any:
    x, axis = np.asarray(arguments["x"]), arguments["axis"]
    members = np.arange(int(x)) if x.ndim == 0 else x
    if not arguments["independent"]:
        return members.take(asked().permutation(members.shape[axis]), axis)
    lines = np.moveaxis(members, axis, -1)
    drawn = np.empty_like(lines)
    for line in np.ndindex(*lines.shape[:-1]):
        drawn[line] = lines[line][asked().permutation(lines.shape[-1])]
    return np.moveaxis(drawn, -1, axis)


def _each(shape: Shape, draw: Callable[[Shape], int]) -> Any:
    """Returns an array in which each element is one draw, given its place."""
    drawn = np.empty(shape, dtype=int)
    for place in np.ndindex(*shape):
        drawn[place] = draw(place)
    return drawn


FILLED: dict[str, Fill] = {
    "bernoulli": _bernoulli,
    "binomial": _binomial,
    "categorical": _categorical,
    "choice": _choice,
    "multinomial": _multinomial,
    "permutation": _permutation,
    "rademacher": _rademacher,
    "randint": _randint,
}
