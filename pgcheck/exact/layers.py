"""A gradient by layer: the part of it that belongs to each array of a network's parameters."""

from dataclasses import dataclass

import numpy as np

from pgcheck.arrays import Floats, Ints, norm_of
from pgcheck.model.parameters import parts
from pgcheck.model.parametric import Network
from pgcheck.model.policy import Policy

SHOWN = 20  # components of a network's gradient that people are shown


@dataclass(frozen=True)
class Layer:
    """An array of parameters: its name, its shape, and the norm ‖∇J‖₂ of its part of the gradient."""

    name: str
    shape: tuple[int, ...]
    norm: float


@dataclass(frozen=True, eq=False)
class Layers:
    """A network's gradient by layer.

    Attributes:
      layers: in the order of θ.
      largest: the numbers of the components that are largest in size, largest first; at most 20.
      size: the number of components d.
    """

    layers: tuple[Layer, ...]
    largest: Ints
    size: int


def layers_of(policy: Policy, gradient: Floats) -> Layers | None:
    """Returns a gradient `[d]` by layer; None where the policy is no network."""
    if not isinstance(policy, Network):
        return None
    norms = {name: norm_of(part) for name, part in parts(gradient, policy.shapes).items()}
    layers = tuple(Layer(name, shape, norms[name]) for name, shape in policy.shapes.items())
    return Layers(layers, np.argsort(-np.abs(gradient), kind="stable")[:SHOWN], len(gradient))
