"""What a user's estimator returned → an array, or an error that says what came and what was expected."""

import types
from typing import Any

import numpy as np

from pgcheck.arrays import Floats, Ints, detached, kind_of
from pgcheck.errors import EstimatorError
from pgcheck.external.named import by_parameter, widened
from pgcheck.model.parametric import Network
from pgcheck.trajectories.batch import Batch

MAX_MAGNITUDE = 1e120  # numbers whose squares still are numbers


def converted(result: object, batch: Batch) -> Floats:
    """Returns an estimator's result as an array: `[N, *theta.shape]` or `[*theta.shape]`.

    Lists, read-only arrays, torch and jax arrays are taken; tensors are detached and copied. Of a policy with named
    parameters, dicts and lists of arrays in their shapes are taken too. Single precision or less becomes float32,
    anything else float64.

    Raises:
      EstimatorError: it is something else.
    """
    shape = batch.theta.shape
    if isinstance(batch.policy, Network):
        array = by_parameter(result, batch.policy.shapes, len(batch))
        array = _array(result, batch) if array is None else array
    else:
        array = _array(result, batch)
    if array.shape not in ((len(batch), *shape), shape):
        raise EstimatorError(f"the estimator returned {_shape(array)}{_hint(array, batch)}; {_expected(batch)}")
    single = array.dtype.itemsize < 8 and array.dtype.kind == "f"
    single = single or (isinstance(batch.policy, Network) and batch.policy.single)
    return array.astype(np.float32 if single else np.float64)


def check_finite(gradients: Floats, lengths: Ints, padded: int = 0) -> None:
    """Raises EstimatorError where a gradient is not finite.

    Args:
      gradients: one a row `[n, *theta.shape]`.
      lengths: of their episodes `[n]` or `[n, B]`.
      padded: to how many steps the episodes were padded.
    """
    flat = gradients.reshape(len(gradients), -1)
    bad = np.flatnonzero(~np.isfinite(flat).all(axis=1))
    if not len(bad):
        greatest = float(np.max(np.abs(flat), initial=0.0))
        if greatest > MAX_MAGNITUDE:
            raise EstimatorError(
                f"the estimator returned numbers of size {greatest:.3g}; expected at most {MAX_MAGNITUDE:g}"
            )
        return
    value = flat[bad[0]][~np.isfinite(flat[bad[0]])][0]
    steps = np.atleast_1d(lengths[bad[0]]).tolist()
    whose = f"an episode of {_steps(steps[0])}" if len(steps) == 1 else f"a batch of episodes of {steps} steps"
    why = ""
    if len(steps) > 1:
        why = "\n  Is something divided by a standard deviation? That of equal numbers is 0."
    elif steps[0] == 1:
        why = "\n  Is something divided by a standard deviation? That of one number is 0, or NaN with ddof=1."
    if padded > steps[0]:
        why += (
            "\n  Beyond its end states and actions are 0, and probs[0, 0] may be 0: mask before a log or a division."
        )
    raise EstimatorError(f"the estimator returned {value} for {whose}; expected finite numbers{why}", not_finite=True)


def _array(result: Any, batch: Batch) -> "np.ndarray[Any, np.dtype[Any]]":
    expected = _expected(batch)
    if result is None:
        raise EstimatorError(f"the estimator returned None; is a return missing? {_expected(batch, 'Expected')}")
    if isinstance(result, types.GeneratorType | types.CoroutineType):
        what = "generator" if isinstance(result, types.GeneratorType) else "coroutine"
        result.close()  # else Python warns, elsewhere, that it was never awaited
        raise EstimatorError(f"the estimator returned a {what}, that has not been computed; {expected}")
    result = [detached(item) for item in result] if isinstance(result, list | tuple) else detached(result)
    if isinstance(result, np.ma.MaskedArray):
        result = np.ma.filled(result.astype(np.float64), np.nan)  # what is masked is no number
    if isinstance(result, str | bytes | dict | set) or callable(result):
        raise EstimatorError(f"the estimator returned {kind_of(result)}; {expected}")
    try:
        array = np.array(result)
    except (ValueError, TypeError) as error:
        raise EstimatorError(
            f"the estimator returned {kind_of(result)} that is not an array ({error}); {expected}"
        ) from None
    array = widened(array)
    if array.dtype.kind not in "fiu":
        kinds = {"O": "objects", "c": "complex numbers", "b": "booleans", "U": "text", "S": "text"}
        what = kinds.get(array.dtype.kind, str(array.dtype))
        raise EstimatorError(
            f"the estimator returned {what}, {_shape(array)}; {_expected(batch, 'expected real numbers:')}"
        )
    return array


def _expected(batch: Batch, start: str = "expected") -> str:
    theta = list(batch.theta.shape)
    return (
        f"{start} one gradient for each of the {len(batch)} episodes of {batch.mdp.name}, {[len(batch), *theta]}, "
        f"or one for the whole batch, {theta}"
    )


def _hint(array: "np.ndarray[Any, np.dtype[Any]]", batch: Batch) -> str:
    """What kind of mistake the shape looks like."""
    n, shape = len(batch), batch.theta.shape
    size = int(np.prod(shape))
    table = (batch.num_states, batch.num_actions)
    if len(shape) == 1 and array.shape in ((n, *table), table):
        return (
            " (a table; but this model's theta is flat, because states look alike or lack actions: use batch.score, "
            "or check on models with a full table, like two_state)"
        )
    if array.ndim == 0:
        return " (a loss is not a gradient; see pgcheck.adapters)"
    if array.shape == (*shape, n) or array.shape == (*shape[::-1], n) or array.shape == (n, *shape[::-1]):
        return " (transposed?)"
    if array.shape == shape[::-1]:
        return " (transposed?)"
    if array.shape in ((n, size), (size,)):
        return " (flattened? reshape it to batch.theta.shape)"
    if array.shape == (n,):
        return " (a number for each episode: losses or returns are not gradients)"
    if array.shape[:2] == batch.states.shape:
        return " (one for each step? sum over the steps of an episode)"
    return ""


def _shape(array: "np.ndarray[Any, np.dtype[Any]]") -> str:
    return "a scalar" if array.ndim == 0 else f"an array of shape {list(array.shape)}"


def _steps(n: int) -> str:
    return f"{n} step{'' if n == 1 else 's'}"
