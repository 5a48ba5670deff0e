"""A network's gradient for people: the largest components, and the norm of each layer's part."""

from collections.abc import Iterable

from pgcheck.exact.layers import Layers
from pgcheck.report.view import Block, Column, Grid, Record


def shown(components: Iterable[Record], layers: Layers | None) -> Iterable[Record]:
    """Returns the components that people are shown: all, or of a network the largest, largest first."""
    if layers is None:
        return components
    every = list(components)
    return [every[k] for k in layers.largest.tolist()]


def layer_blocks(layers: Layers | None) -> list[Block]:
    """Returns what stands below a network's components: how many are missing, and the norms by layer."""
    if layers is None:
        return []
    count = len(layers.largest)
    columns = Column("layer", right=False), Column("shape", right=False), Column("norm of gradient")
    rows = [(layer.name, _shape(layer.shape), f"{layer.norm:.6g}") for layer in layers.layers]
    more = f"the largest {count} of {layers.size:,} components; --format json shows all"
    return [*([more] if count < layers.size else []), "", Grid(columns, rows)]


def layers_record(layers: Layers | None) -> Record:
    """Returns the norms by layer as a key of JSON; nothing where the policy is no network."""
    if layers is None:
        return {}
    return {"layers": [{"name": x.name, "shape": list(x.shape), "norm": x.norm} for x in layers.layers]}


def _shape(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape)) or "scalar"
