"""A function in NumPy, from (parameters, rows) to logits, as the policy of an MDP; differentiated by differences.

    f'(x) ≈ (8 (f(x + h) − f(x − h)) − (f(x + 2h) − f(x − 2h))) / 12 h

The error is of the order of h⁴ and of the rounding 2⁻⁵³/h: about 1e-12 of the logits at h = 1e-3, and nothing but
rounding where the logits are linear in the parameters.
"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from pgcheck.arrays import Floats
from pgcheck.errors import PolicyError
from pgcheck.model.mdp import MDP
from pgcheck.model.parameters import joined, parts
from pgcheck.model.parametric import Array, Network, check_logits

STEP = 1e-3
MAX_PARAMETERS = 10_000


class NumericNetwork(Network):
    """A function in NumPy as the policy of an MDP.

    Attributes:
      apply: the function, from (parameters, rows `[n, ...]`) to logits `[n, A]`.
      params: its parameters: an array, or a dict or list of arrays.

    Raises:
      PolicyError: they are no real numbers, or more than 10,000, or the logits are not those of the states alone.
    """

    def __init__(self, mdp: MDP, apply: Callable[..., Any], params: Any, rows: Array) -> None:
        named = named_arrays(params)
        for name, array in named.items():
            if array.dtype.kind not in "fiu":
                raise PolicyError(f"parameter {name!r} holds {array.dtype}; expected real numbers")
        self.apply, self.params = apply, params
        self.shapes = {name: array.shape for name, array in named.items()}
        self.single = any(array.dtype.kind == "f" and array.dtype.itemsize < 8 for array in named.values())
        self.observations = rows
        theta = self.present_theta()
        if not 0 < len(theta) <= MAX_PARAMETERS:
            raise PolicyError(
                f"{len(theta):,} parameters; expected 1 to {MAX_PARAMETERS:,}: use torch or jax for more"
            )
        name = getattr(apply, "__name__", "the function")
        logits = check_logits(mdp, name, lambda some: self._of(theta, some), rows, double=not self.single)
        self._settle(mdp, theta, logits)

    def present_theta(self) -> Floats:
        """Returns the parameters as they are now `[d]`."""
        return joined([np.asarray(array, dtype=np.float64) for array in named_arrays(self.params).values()])

    def logits_of(self, parameters: Any) -> Any:
        """Returns the function's logits `[S, A]` with these parameters."""
        return self.apply(parameters, self.observations)

    def _of(self, theta: Floats, rows: Array) -> Floats:
        return np.asarray(self.apply(_rebuilt(self.params, parts(theta, self.shapes)), rows), dtype=np.float64)

    def _derivatives(self) -> Floats:
        columns = []
        for k in range(len(self.theta)):
            step = np.zeros(len(self.theta))
            step[k] = STEP * max(1.0, abs(self.theta[k]))
            near, far = (
                self._of(self.theta + c * step, self.observations)
                - self._of(self.theta - c * step, self.observations)
                for c in (1, 2)
            )
            columns.append((8 * near - far) / (12 * step[k]))
        return np.stack(columns, axis=-1)

    def _backward(self, weights: Floats) -> Floats:
        return np.asarray(weights.ravel() @ self._derivative)


def named_arrays(params: Any, name: str = "") -> dict[str, Array]:
    """Returns the arrays of a tree by name, in order; an array alone is called `theta`."""
    if isinstance(params, Mapping):
        branches = [(str(key), value) for key, value in params.items()]
    elif isinstance(params, list | tuple) and any(hasattr(item, "shape") or np.ndim(item) for item in params):
        branches = [(str(k), value) for k, value in enumerate(params)]
    else:
        return {name or "theta": np.asarray(params)}
    return {
        key: array
        for part, value in branches
        for key, array in named_arrays(value, f"{name}/{part}" if name else part).items()
    }


def _rebuilt(params: Any, arrays: dict[str, Floats], name: str = "") -> Any:
    """The tree with other arrays, by name."""
    if isinstance(params, Mapping):
        return {key: _rebuilt(value, arrays, f"{name}/{key}" if name else str(key)) for key, value in params.items()}
    if isinstance(params, list | tuple) and any(hasattr(item, "shape") or np.ndim(item) for item in params):
        rebuilt = [_rebuilt(value, arrays, f"{name}/{k}" if name else str(k)) for k, value in enumerate(params)]
        return type(params)(rebuilt) if type(params) in (list, tuple) else rebuilt
    return arrays[name or "theta"]
