"""The gradient that a run of an agent has shown: at a step, in `.grad`, or as it was returned."""

from typing import Any

import numpy as np

from pgcheck.arrays import Floats, detached
from pgcheck.errors import EstimatorError
from pgcheck.external.named import by_parameter
from pgcheck.external.optimizers import Watch
from pgcheck.external.subject import Subject, is_torch
from pgcheck.model.parameters import joined


def gradient_of(watch: Watch, returned: Any, parameters: Any, subject: Subject) -> Floats | None:
    """Returns the estimate of ∇J `[d]`; None where the run has computed none.

    Args:
      watch: what the optimizers of the run did.
      returned: what its update returned.
      parameters: of the agent, as they are now.
      subject: its policy at the start.

    Raises:
      EstimatorError: what there is belongs to other parameters than those of the start, or is of another shape.
    """
    if parameters is None or not is_torch(parameters):
        return _as_returned(returned, subject)
    shapes = subject.policy.shapes
    if watch.from_grad():
        watch.check_by_hand()
        return joined([watch.gradient.get(name, np.zeros(shape)) for name, shape in shapes.items()])
    vector = _as_returned(returned, subject)
    if vector is None:
        watch.check_by_hand()
    return vector


def _as_returned(returned: Any, subject: Subject) -> Floats | None:
    """A gradient that was returned, as a vector `[d]`; None for None, and for what is no array."""
    policy = subject.policy
    if returned is None:
        return None
    named = by_parameter(returned, policy.shapes, 1)
    try:
        vector = np.asarray(detached(returned) if named is None else named, dtype=np.float64).reshape(-1)
    except (TypeError, ValueError):
        return None  # what update() returns besides, as a loss or the algorithm itself
    if vector.shape == policy.theta.shape:
        return vector
    if vector.size > 1 and hasattr(returned, "shape"):
        raise EstimatorError(
            f"update() returned an array of shape {list(returned.shape)}; expected a gradient of shape "
            f"{list(policy.theta.shape)}, or arrays in the shapes of the parameters"
        )
    return None
