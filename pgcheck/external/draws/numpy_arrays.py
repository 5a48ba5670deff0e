"""Arrays that NumPy's generators would return, with their draws answered.

A generator that nobody else uses is asked first: it raises NumPy's own errors, and what it returns has the right
type, shape and dtype. Its numbers are then replaced by the answers.
"""

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from pgcheck.external.draws.answers import asked
from pgcheck.external.draws.drawn import DrawnAnswers
from pgcheck.external.draws.finite import (
    binomial,
    multinomial_counts,
    one_of,
    place,
    shuffle_by_swaps,
    without_replacement,
)

SPARE, SPARE_LEGACY = np.random.Generator(np.random.PCG64(0)), np.random.RandomState(0)
_INTEGERS, _LEAST = (int, np.integer), -(2**31)


def each(result: Any, draw: Callable[..., int], *parameters: Any) -> Any:
    """Returns a result of NumPy's in which each element is one draw, with the parameters of its place.

    Args:
      result: an array of its own, or one number.
      draw: of one element.
      parameters: numbers, or arrays that are broadcast to the result.
    """
    if not isinstance(result, np.ndarray):
        return type(result)(draw(*(parameter if np.ndim(parameter) == 0 else np.asarray(parameter).item()
                                   for parameter in parameters)))  # fmt: skip
    spread = [np.broadcast_to(np.asarray(parameter, dtype=object), result.shape).flat for parameter in parameters]
    for place_of, values in enumerate(zip(*spread, strict=True)):
        result.flat[place_of] = draw(*values)
    return result


def one_number(low: Any, high: Any, dtype: Any, endpoint: int) -> Any:
    """Returns one integer of a dtype; None where NumPy has to look at the arguments first."""
    is_plain = isinstance(low, _INTEGERS) and isinstance(high, _INTEGERS) and (dtype is int or dtype is np.int64)
    if not is_plain:
        return None
    n = int(high) + endpoint - int(low)
    return dtype(int(low) + one_of(n, "a generator of numpy")) if 0 < n <= -_LEAST and int(low) >= _LEAST else None


def one_integer(low: Any, high: Any, endpoint: int) -> int:
    """Returns an integer from low to high, that one itself only with endpoint 1."""
    return int(low) + one_of(int(high) + endpoint - int(low), "a generator of numpy")


def one_binomial(n: Any, p: Any) -> int:
    """Returns a number of successes in n tries."""
    return binomial(int(n), float(p), "numpy's binomial")


def one_hypergeometric(good: Any, bad: Any, size: Any) -> int:
    """Returns how many of `size` that are drawn without replacement are good ones."""
    good, bad, size = int(good), int(bad), int(size)
    answers = asked()
    if isinstance(answers, DrawnAnswers):
        return answers.by(lambda rng: int(rng.hypergeometric(good, bad, size)))
    if size > 1000:
        answers.refuse(f"{place()}: numpy's hypergeometric draws {size:,}; at most 1,000 can be listed")
    ways = [math.comb(good, k) * math.comb(bad, size - k) for k in range(size + 1)]
    return answers.choose([way / sum(ways) for way in ways])


def rows(result: Any, n: Any, probs: Any) -> Any:
    """Returns a result of NumPy's whose rows are counts of a multinomial distribution."""
    probs = np.broadcast_to(np.asarray(probs, dtype=float), result.shape)
    tries = np.broadcast_to(np.asarray(n), result.shape[:-1])
    for row in np.ndindex(*result.shape[:-1]):
        result[row] = multinomial_counts(int(tries[row]), probs[row].tolist(), "numpy's multinomial")
    return result


def choice(real: Callable[..., Any], a: Any, size: Any, replace: Any, p: Any, settings: dict[str, Any]) -> Any:
    """Returns what a generator's choice returns.

    Args:
      real: the method of a generator that nobody else uses.
      a: the numbers below it, or an array.
      size: of the result; None for one member.
      replace: whether a member may come twice.
      p: its probability for each member; None where all are equally likely.
      settings: `axis` and `shuffle`, for those that know them.
    """
    members = np.asarray(a)
    weights = _plain_weights(members, p) if size is None and not settings and members.ndim < 2 else None
    if weights is not None:
        member = asked().choose(weights) if weights else _one(members.size if members.ndim else int(members), p)
        return member if members.ndim == 0 else members[member]
    result = real(a, size, replace, p, **settings)
    axis = settings.get("axis", 0)
    n = int(members) if members.ndim == 0 else members.shape[axis]
    number = 1 if size is None else math.prod(np.atleast_1d(np.asarray(size, dtype=int)).tolist())
    if replace:
        drawn = [_one(n, p) for _ in range(number)]
    elif p is not None:
        drawn = without_replacement(np.asarray(p, dtype=float).tolist(), number)
    elif settings.get("shuffle", True):
        drawn = asked().subset(n, number)
    else:
        drawn = _floyd(n, number)
    if size is None:
        return type(result)(drawn[0]) if members.ndim == 0 else members.take(drawn[0], axis)
    indices = np.array(drawn, dtype=np.int64).reshape(size)
    result[...] = indices if members.ndim == 0 else members.take(indices, axis)
    return result


def _plain_weights(members: Any, p: Any) -> list[float] | None:
    """Returns p, or [] for equal ones, where NumPy would draw one member without complaint; else None.

    To ask NumPy costs more than the draw.
    """
    n = members.item() if members.ndim == 0 else len(members)
    if type(n) is not int or n <= 0 or p is None:
        return [] if type(n) is int and n > 0 else None
    probs = np.asarray(p)
    if probs.shape != (n,) or probs.dtype != float:
        return None
    weights: list[float] = probs.tolist()
    return weights if abs(math.fsum(weights) - 1) < 1e-9 and min(weights) >= 0 else None


def _one(n: int, p: Any) -> int:
    return one_of(n, "numpy's choice") if p is None else asked().choose(np.asarray(p, dtype=float).tolist())


def _floyd(n: int, number: int) -> list[int]:
    """Returns a subset in the order in which NumPy finds it, by R. Floyd's algorithm, when it does not shuffle it."""
    drawn: list[int] = []
    for last in range(n - number, n):
        member = one_of(last + 1, "numpy's choice")
        drawn.append(last if member in drawn else member)
    return drawn


def permutation(result: Any, x: Any, axis: int) -> Any:
    """Returns a result of NumPy's with x in another order along an axis; for an integer the numbers below it."""
    members = np.arange(x) if isinstance(x, int | np.integer) else np.asarray(x)
    result[...] = members.take(asked().permutation(members.shape[axis]), axis)
    return result


def permuted(result: Any, source: Any, axis: int | None) -> Any:
    """Returns a result of NumPy's that holds the source with each line along an axis in an order of its own."""
    if axis is None:
        result[...] = source.ravel()[asked().permutation(source.size)].reshape(source.shape)
        return result
    lines, filled = np.moveaxis(source, axis, -1), np.moveaxis(result, axis, -1)
    for line in np.ndindex(*lines.shape[:-1]):
        filled[line] = lines[line][asked().permutation(lines.shape[-1])]
    return result


def shuffle(real: Callable[..., None], x: Any, axis: int) -> None:
    """Orders x anew, in place, as a generator's shuffle does.

    Args:
      real: the method of a generator that nobody else uses: it raises the errors.
      x: an array, or what can be indexed.
      axis: along which; only arrays have others than 0.
    """
    settings = {} if axis == 0 else {"axis": axis}
    if isinstance(x, np.ndarray):
        real(x[:0] if x.ndim else x, **settings)
        x[...] = x.take(asked().permutation(x.shape[axis]), axis)
        return
    if axis != 0:
        real(x, axis=axis)
    shuffle_by_swaps(x)
