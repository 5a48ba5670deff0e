"""Policies whose logits are a function of named arrays of parameters, as those of a network are.

    ∇_θ J = (∂logits/∂θ)ᵀ ∇_logits J

One table of weights is pulled back to θ by one backward pass; many of them by ∂logits/∂θ `[S, A, d]`, which is made
once. What computes the logits, and differentiates them, is in `network`.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any, TypeVar

import numpy as np

from pgcheck.arrays import Bools, Floats, brief, detached
from pgcheck.errors import PolicyError
from pgcheck.model.mdp import MDP
from pgcheck.model.parameters import Shapes, element_names, one_hot_rows
from pgcheck.model.softmax import centred, softmax

MAX_DERIVATIVE = 2**26  # numbers in ∂logits/∂θ: 512 MB
FEW_TABLES = 2  # that are pulled back one by one
SAME = 1e-9  # of the greatest logit: by how much logits that are the same may differ
SAME_IN_SINGLE = 1e-4

Way = TypeVar("Way")
Array = np.ndarray[Any, np.dtype[Any]]


def not_sent(policy: "Network") -> str | tuple[Any, ...]:
    """Stands in for `__reduce__` of networks whose code is not told by their numbers.

    Raises:
      PolicyError: always.
    """
    raise PolicyError(
        "a network cannot be sent to other processes, unless it is named by the place of a function\n"
        "  Name it so: --policy file.py:function; or let all be done here: --workers 1"
    )


class Network(ABC):
    """A policy (`Policy`) with π(a|s) ∝ exp logits(s, a), over the actions that state s offers.

    All is computed in double precision, if the network can work in it.

    Attributes:
      theta: the parameters that are trained, one after the other, each flattened in C order `[d]`.
      shapes: the shape of each parameter by its name, in order.
      single: whether the network's own precision is less than double.
      observations: the rows that the network sees, one for each state `[S, ...]`.
      all_logits: what it makes of them `[S, A]`, also of actions that a state does not offer.
    """

    theta: Floats
    shapes: Shapes
    single: bool
    observations: Array
    all_logits: Floats
    _logits: Floats
    _offered: Bools

    def __repr__(self) -> str:
        return f"{type(self).__name__}({len(self.theta)} parameters, theta={brief(self.theta)})"

    @cached_property
    def parameters(self) -> tuple[tuple[str, ...], ...]:
        """One name for each element of θ, like `0.weight[3,17]`."""
        return element_names(self.shapes)

    def logits(self) -> Floats:
        """Returns the logit of each action in each state `[S, A]`; 0 where s does not offer it."""
        return self._logits.copy()

    def probs(self) -> Floats:
        """Returns π(a|s) `[S, A]`; rows of terminal states are 0."""
        return softmax(self._logits, self._offered)

    def pullback(self, weights: Floats) -> Floats:
        """Returns Σ_{s,a} w[s, a] ∇_θ log π(a|s) `[..., d]`, for weights `[..., S, A]`."""
        return self.logit_pullback(centred(weights, self.probs(), self._offered))

    def logit_pullback(self, weights: Floats) -> Floats:
        """Returns Σ_{s,a} w[s, a] ∂logit(s, a)/∂θ `[..., d]`, for weights `[..., S, A]`."""
        tables = np.where(self._offered, weights, 0.0).reshape(-1, *self._offered.shape)
        size = len(self.theta)
        if len(tables) <= FEW_TABLES or self._offered.size * size > MAX_DERIVATIVE:
            flat = np.array([self._backward(table) for table in tables], dtype=np.float64)
        else:
            flat = tables.reshape(len(tables), -1) @ self._derivative
        return flat.reshape(*weights.shape[:-2], size)

    @abstractmethod
    def present_theta(self) -> Floats:
        """Returns the parameters that the user's network has now `[d]`: θ, unless something has changed them."""

    @abstractmethod
    def logits_of(self, parameters: Any) -> Any:
        """Returns the network's own logits `[S, A]`, which can be differentiated with respect to its parameters."""

    @abstractmethod
    def _backward(self, weights: Floats) -> Floats:
        """Σ_{s,a} w[s, a] ∂logit(s, a)/∂θ `[d]` of one table, by one backward pass."""

    @abstractmethod
    def _derivatives(self) -> Floats:
        """∂logit(s, a)/∂θ `[S, A, d]`; any error where it cannot be made at once."""

    @cached_property
    def _derivative(self) -> Floats:
        """∂logits/∂θ `[S A, d]`."""
        try:
            return self._derivatives().reshape(self._offered.size, -1)
        except Exception:  # not all that can be differentiated can be vectorised
            every = np.eye(self._offered.size).reshape(-1, *self._offered.shape)
            return np.array([self._backward(table) for table in every])

    def _settle(self, mdp: MDP, theta: Floats, logits: Floats) -> None:
        """Takes over what the network has shown."""
        self.theta, self._offered, self.all_logits = theta, mdp.available, logits
        self._logits = np.where(mdp.available, logits, 0.0)
        self.theta.flags.writeable = False


def rows_of_states(mdp: MDP, observations: Any) -> list[Array]:
    """Returns the rows that a network may be meant to see, one for each state `[S, ...]`: those given, or one-hot.

    Raises:
      PolicyError: the rows given are no array with one row for each state.
    """
    if observations is None:
        return [*one_hot_rows(mdp)]
    try:
        rows = np.array(detached(observations))
    except ValueError as error:
        raise PolicyError(f"observations are not an array: {error}") from None
    if rows.dtype.kind not in "fiub":
        raise PolicyError(f"observations hold {rows.dtype}; expected numbers")
    if rows.shape[:1] != (mdp.num_states,):
        raise PolicyError(
            f"observations have shape {list(rows.shape)}; each of the {mdp.num_states} states of "
            f"{mdp.name} needs a row"
        )
    return [rows]


def first_that_works(
    call: Callable[[Array, Way], object], tries: Sequence[tuple[Array, Way]], name: str
) -> tuple[Array, Way]:
    """Returns the first rows, and the first precision, with which a network can be called.

    Raises:
      PolicyError: it can be called with none.
    """
    errors: list[Exception] = []
    for rows, way in tries:
        try:
            call(rows, way)
        except PolicyError:
            raise
        except Exception as error:  # whatever a user's network raises
            errors.append(error)
        else:
            return rows, way
    shapes = " or ".join(dict.fromkeys(str(list(rows.shape)) for rows, _ in tries))
    raise PolicyError(
        f"{name} cannot be called with observations of shape {shapes}: {type(errors[0]).__name__}: {errors[0]}"
    ) from errors[0]


def check_logits(mdp: MDP, name: str, forward: Callable[[Array], Floats], rows: Array, *, double: bool) -> Floats:
    """Returns the logits `[S, A]` of the rows that the states show, once it is sure that they are a policy.

    Args:
      mdp: the model.
      name: of the network, in messages.
      forward: from rows to logits.
      rows: one for each state `[S, ...]`.
      double: whether it works in double precision.

    Raises:
      PolicyError: the logits are of another shape, are not finite, differ when called again, or depend on other rows.
    """
    logits = forward(rows)
    shape = (mdp.num_states, mdp.num_actions)
    if logits.shape != shape:
        raise PolicyError(
            f"{name} returned logits of shape {list(logits.shape)} for observations {list(rows.shape)}; "
            f"expected {list(shape)}: one for each state and action of {mdp.name}"
        )
    bad = np.argwhere(mdp.available & ~np.isfinite(logits))
    if len(bad):
        s, a = bad[0].tolist()
        raise PolicyError(
            f"{name} returned {logits[s, a]} as the logit of {mdp.actions[a]!r} in {mdp.states[s]!r}; "
            "expected finite numbers"
        )
    tolerance = (SAME if double else SAME_IN_SINGLE) * float(np.abs(logits[mdp.available]).max(initial=0.0))
    if not _agree(forward(rows), logits, mdp, tolerance):
        raise PolicyError(f"{name} returned other logits when it was called again; {_EVAL}")
    if not _agree(forward(np.concatenate([rows[:1], rows]))[1:], logits, mdp, tolerance):
        raise PolicyError(f"{name} returned other logits for a state when other rows were beside it; {_EVAL}")
    return logits


_EVAL = "is there dropout or batch normalisation in it? Call model.eval() first"


def _agree(others: Floats, logits: Floats, mdp: MDP, tolerance: float) -> bool:
    return bool(np.all(np.abs(others - logits)[mdp.available] <= tolerance))
