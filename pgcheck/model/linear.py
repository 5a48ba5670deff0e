"""A linear policy: a softmax of logits that are weighted sums of features."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from pgcheck.arrays import Bools, Floats, brief
from pgcheck.errors import ModelError
from pgcheck.model.softmax import centred, softmax


@dataclass(frozen=True, eq=False)
class Linear:
    """π_θ(a|s) = exp(θ · x(s, a)) / Σ_b exp(θ · x(s, b)), over the actions that state s offers.

    States that share an observation have the same features. See Sutton & Barto (2018), section 13.1.

    Attributes:
      theta: the weights θ `[d]`.
      parameters: the name of each weight, as `("w1",)`.
      features: x(s, a) `[S, A, d]`; 0 where s does not offer a.
      offered: whether state s offers action a `[S, A]`.

    Raises:
      ModelError: the shapes do not fit, or a number is not finite.
    """

    theta: Floats
    parameters: tuple[tuple[str], ...]
    features: Floats
    offered: Bools

    def __post_init__(self) -> None:
        wanted = (*self.offered.shape, len(self.theta))
        if self.theta.ndim != 1 or self.features.shape != wanted or len(self.parameters) != len(self.theta):
            raise ModelError(
                f"a linear policy with weights {self.theta.shape}, {len(self.parameters)} names and features "
                f"{self.features.shape}; expected [d] weights, d names and features [S, A, d], here {wanted}"
            )
        if not (np.all(np.isfinite(self.theta)) and np.all(np.isfinite(self.features))):
            raise ModelError("a weight or a feature of a linear policy is not finite; expected finite numbers")
        features = np.where(self.offered[..., None], self.features, 0.0)
        for name, array in (("theta", self.theta.copy()), ("features", features)):
            array.flags.writeable = False
            object.__setattr__(self, name, array)

    def __repr__(self) -> str:
        return f"Linear({len(self.theta)} weights of {len(self.features)} states, theta={brief(self.theta)})"

    def logits(self) -> Floats:
        """Returns θ · x(s, a) `[S, A]`; 0 where s does not offer a."""
        return np.asarray(self.features @ self.theta)

    def probs(self) -> Floats:
        """Returns π(a|s) `[S, A]`; rows of terminal states are 0."""
        return self._probs

    @cached_property
    def _probs(self) -> Floats:
        probs = softmax(self.logits(), self.offered)
        probs.flags.writeable = False
        return probs

    @property
    def steepness(self) -> float:
        """Half of a bound on ‖∇log π(a|s)‖: the greatest distance of features from those of the likeliest action."""
        likeliest = np.argmax(self.probs(), axis=1)[:, None, None]
        apart = self.features - np.take_along_axis(self.features, likeliest, axis=1)
        return float(np.max(np.linalg.norm(apart, axis=2)[self.offered], initial=0.0))

    def pullback(self, weights: Floats) -> Floats:
        """Returns Σ_{s,a} w[s, a] ∇_θ log π(a|s) `[..., d]`, where ∇log π(a|s) = x(s, a) − Σ_b π(b|s) x(s, b).

        Args:
          weights: the weight of each ∇log π(a|s) `[..., S, A]`; ignored where s does not offer a.
        """
        return self.logit_pullback(centred(weights, self.probs(), self.offered))

    def logit_pullback(self, weights: Floats) -> Floats:
        """Returns Σ_{s,a} w[s, a] x(s, a) `[..., d]`: the weight of each logit in place of each ∇log π(a|s).

        Args:
          weights: `[..., S, A]`; ignored where s does not offer a.
        """
        return np.tensordot(np.where(self.offered, weights, 0.0), self.features, axes=2)
