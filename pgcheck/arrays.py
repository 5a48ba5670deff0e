"""The types of arrays, a norm, and the short texts of arrays and of results that hold them."""

import dataclasses
import math
import reprlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

ONE_LINE = 100  # characters of a result's text that stay on one line


def norm_of(values: Floats) -> float:
    """Returns ‖values‖₂ over all entries; intermediate results neither overflow nor underflow."""
    return math.hypot(*values.ravel().tolist())


def kind_of(value: object) -> str:
    """Returns what kind of thing a value is."""
    name = type(value).__name__
    return f"{'an' if name[0].lower() in 'aeiou' else 'a'} {name}"


def detached(value: Any) -> Any:
    """Returns a torch tensor as one that NumPy takes; anything else as it is."""
    if not (hasattr(value, "detach") and hasattr(value, "cpu")):
        return value
    tensor = value.detach().cpu()
    tensor = tensor.float() if "bfloat16" in str(getattr(tensor, "dtype", "")) else tensor
    return tensor.numpy() if hasattr(tensor, "numpy") else tensor


class _Brief(reprlib.Repr):
    """Reprs of a few words: of a long array its shape alone."""

    def __init__(self) -> None:
        super().__init__()
        self.maxtuple, self.maxstring, self.maxother = 4, 80, 160

    def repr_ndarray(self, values: NDArray[np.generic], _level: int) -> str:
        """The numbers of a short vector; else the shape."""
        if values.ndim == 1 and values.size <= 8:
            return np.array2string(values, precision=6, separator=", ", max_line_width=1000)
        return f"array{list(values.shape)}"


brief = _Brief().repr


def fields_alone(value: Any) -> dict[str, object]:
    """Returns a dataclass's fields, without what it has worked out from them: `__getstate__` of what travels."""
    return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}


def brief_fields(result: object) -> str:
    """Returns a dataclass's repr, with its arrays and tuples shortened: `__repr__` of results."""
    assert dataclasses.is_dataclass(result)
    fields = [f"{field.name}={brief(getattr(result, field.name))}" for field in dataclasses.fields(result)]
    name, text = type(result).__name__, ", ".join(fields)
    if len(name) + len(text) <= ONE_LINE:
        return f"{name}({text})"
    return f"{name}(\n  " + ",\n  ".join(fields) + ",\n)"
