"""Gradients in the shapes of a network's parameters, in dicts and lists → flat ones, in the order of θ."""

import difflib
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from pgcheck.arrays import Floats, detached, kind_of
from pgcheck.errors import EstimatorError
from pgcheck.model.parameters import Shapes, joined

Array = np.ndarray[Any, np.dtype[Any]]


def by_parameter(result: object, shapes: Shapes, episodes: int) -> Array | None:
    """Returns gradients `[d]` or `[N, d]` that came as one array for each parameter; None where they did not.

    Args:
      result: a dict by name, a list in the order of the parameters, or trees of these; each array in the shape of its
        parameter, or with the episodes in front of it. Or a list of these, one for each episode.
      shapes: of the parameters.
      episodes: their number N.

    Raises:
      EstimatorError: a parameter is missing, unknown, None, or of another shape.
    """
    if isinstance(result, Mapping):
        return _joined(dict(_leaves(result)), shapes, episodes)
    if not isinstance(result, list | tuple):
        return None
    if len(result) == episodes and result and all(isinstance(item, Mapping) for item in result):
        return np.stack([_joined(dict(_leaves(item)), shapes, None) for item in result])
    leaves = dict(_leaves(result)) if _is_nested(result) else {str(i): item for i, item in enumerate(result)}
    if len(leaves) != len(shapes):
        return None
    by_position = dict(zip(shapes, leaves.values(), strict=True))
    fits = [_shape(by_position[name]) in (shape, (episodes, *shape)) for name, shape in shapes.items()]
    return _joined(by_position, shapes, episodes) if any(fits) else None


def _joined(leaves: Mapping[str, object], shapes: Shapes, episodes: int | None) -> Array:
    """The arrays side by side; for no number of episodes, those of one."""
    names = ", ".join(list(shapes)[:8]) + (", ..." if len(shapes) > 8 else "")
    for name in leaves:
        if name not in shapes:
            near = difflib.get_close_matches(name, shapes, 1)
            hint = f"; did you mean {near[0]}?" if near else ""
            raise EstimatorError(f"the estimator returned a gradient of {name!r}{hint}; expected those of {names}")
    arrays: list[Floats] = []
    is_of_episodes: bool | None = None
    for name, shape in shapes.items():
        if name not in leaves:
            raise EstimatorError(f"the estimator returned no gradient of {name!r}; expected those of {names}")
        array = _plain(leaves[name], name)
        expected = {False: shape} if episodes is None else {False: shape, True: (episodes, *shape)}
        expected = expected if is_of_episodes is None else {is_of_episodes: expected[is_of_episodes]}
        fitting = [is_per_episode for is_per_episode, wanted in expected.items() if array.shape == wanted]
        if not fitting:
            shown = " or ".join(str(list(wanted)) for wanted in expected.values())
            raise EstimatorError(
                f"the estimator returned a gradient of {name!r} of shape {list(array.shape)}; expected {shown}"
            )
        is_of_episodes = fitting[0]
        arrays.append(array)
    return joined(arrays, leading=int(bool(is_of_episodes)))


def _plain(value: Any, name: str) -> Array:
    """The gradient of a parameter as an array of numbers."""
    if value is None:
        raise EstimatorError(
            f"the estimator returned None as the gradient of {name!r}; does the loss not depend on it? Return zeros"
        )
    try:
        array = np.array(detached(value))
    except (ValueError, TypeError) as error:
        raise EstimatorError(
            f"the estimator returned {kind_of(value)} as the gradient of {name!r} ({error}); expected an array"
        ) from None
    array = widened(array)
    if array.dtype.kind not in "fiu":
        raise EstimatorError(
            f"the estimator returned {array.dtype} as the gradient of {name!r}; expected an array of real numbers"
        )
    return array


def widened(array: Array) -> Array:
    """Returns an array, in single precision where it is one of bfloat16, which NumPy does not know."""
    return array.astype(np.float32) if array.dtype.kind == "V" and "bfloat16" in str(array.dtype) else array


def _leaves(tree: object, path: tuple[str, ...] = ()) -> Iterator[tuple[str, object]]:
    """The arrays in nested dicts and lists, with names like `layer/w`."""
    if isinstance(tree, Mapping):
        for key, branch in tree.items():
            yield from _leaves(branch, (*path, str(key)))
    elif isinstance(tree, list | tuple) and _is_nested(tree):
        for i, branch in enumerate(tree):
            yield from _leaves(branch, (*path, str(i)))
    else:
        yield "/".join(path), tree


def _is_nested(branch: "list[Any] | tuple[Any, ...]") -> bool:
    """Whether a list holds arrays, or further branches; if not, it is an array itself, of plain numbers."""
    return any(item is None or hasattr(item, "shape") or isinstance(item, Mapping | list | tuple) for item in branch)


def _shape(value: Any) -> tuple[int, ...] | None:
    return tuple(value.shape) if hasattr(value, "shape") else None
