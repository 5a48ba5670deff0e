"""A policy of which the logits and their derivative at θ are known, whatever computes them elsewhere.

    logits(θ') = logits(θ) + ∂logits/∂θ (θ' − θ)

All that a policy gradient needs of a policy is its first order.
"""

from typing import Any

import numpy as np

from pgcheck.arrays import Floats
from pgcheck.errors import PolicyError
from pgcheck.model.mdp import MDP
from pgcheck.model.parameters import Shapes, joined
from pgcheck.model.parametric import MAX_DERIVATIVE, Network


class Linearised(Network):
    """A policy (`Policy`) by its logits and their derivative.

    Args:
      mdp: the model.
      theta: θ `[d]`.
      shapes: of the parameters by name, in order.
      logits: of each action in each state `[S, A]`.
      derivative: ∂logits/∂θ `[S, A, d]`.
      single: whether they were computed in less than double precision.

    Raises:
      PolicyError: they are too large, of other shapes, or not finite where the model has an action.
    """

    def __init__(
        self, mdp: MDP, theta: Floats, shapes: Shapes, logits: Floats, derivative: Floats, *, single: bool
    ) -> None:
        shape = (mdp.num_states, mdp.num_actions)
        if logits.shape != shape or derivative.shape != (*shape, len(theta)):
            raise PolicyError(
                f"logits of shape {list(logits.shape)} and their derivative of shape {list(derivative.shape)}; "
                f"expected {list(shape)} and {[*shape, len(theta)]}"
            )
        if derivative.size > MAX_DERIVATIVE:
            raise PolicyError(
                f"{len(theta):,} parameters x {logits.size:,} pairs of state and action; "
                f"the derivative of the logits may have {MAX_DERIVATIVE:,} numbers"
            )
        for values in (logits, derivative):
            bad = np.argwhere(~np.isfinite(values[mdp.available]).reshape(int(mdp.available.sum()), -1))
            if len(bad):
                s, a = np.argwhere(mdp.available)[bad[0][0]].tolist()
                raise PolicyError(
                    f"the logit of {mdp.actions[a]!r} in {mdp.states[s]!r}, or its derivative, is not finite"
                )
        self.shapes, self.single = shapes, single
        self.observations = np.zeros((mdp.num_states, 0))
        self._derivative = np.where(mdp.available[..., None], derivative, 0.0).reshape(logits.size, -1)
        self._settle(mdp, theta.copy(), logits)

    @property
    def logit_derivative(self) -> Floats:
        """∂logits/∂θ `[S, A, d]`; 0 where a state does not offer an action."""
        return self._derivative.reshape(*self._offered.shape, -1)

    def present_theta(self) -> Floats:
        """Returns θ."""
        return self.theta

    def logits_of(self, parameters: Any) -> Floats:
        """Returns the logits `[S, A]` of other parameters, by name, to first order."""
        change = joined([np.asarray(parameters[name]) for name in self.shapes]) - self.theta
        return np.asarray(self._logits + (self._derivative @ change).reshape(self._logits.shape))

    def outside(self, vector: Floats) -> float:
        """Returns the part of ‖vector‖ that no change of the logits has: 0 to 1; of 0 it is 0."""
        size = float(np.linalg.norm(vector))
        if size == 0:
            return 0.0
        rows = self._derivative[np.any(self._derivative != 0, axis=1)]
        inside = rows.T @ np.linalg.lstsq(rows.T, vector, rcond=None)[0] if len(rows) else np.zeros_like(vector)
        return float(np.linalg.norm(vector - inside)) / size

    def _backward(self, weights: Floats) -> Floats:
        return np.asarray(weights.ravel() @ self._derivative)

    def _derivatives(self) -> Floats:
        return self._derivative
