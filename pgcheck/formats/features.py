"""The weights and features of a linear policy in a model file → the policy."""

import numpy as np

from pgcheck.arrays import Floats
from pgcheck.formats.nodes import Mapping, Node
from pgcheck.formats.reader import Reader, Where, kind_of
from pgcheck.formats.sight import Rows, Sight, choices
from pgcheck.formats.transitions import MAX_SIZE, SIZE
from pgcheck.model.linear import Linear
from pgcheck.model.softmax import TabularSoftmax

LINEAR = "linear: {weights: {w1: 0.3}, features: {state: {action: {w1: 1}}}}"
KEYS = ("weights", "features")
MAX_FEATURE = 1e50  # in size: squares of gradients stay finite where rewards are as large as they may be
MAX_FEATURES = 10_000_000  # states x actions x weights: 80 MB


def read_linear(
    reader: Reader, node: Node, where: Where, sight: Sight, rows: Rows, plain: TabularSoftmax | None
) -> Linear | None:
    """Returns the linear policy with the file's weights and features, where a feature left out is 0.

    Arguments are those of `read_policy`; None where there is a fault, or without `plain`.
    """
    entries = reader.entries(node, where, LINEAR)
    reader.known(entries.values(), KEYS, where)
    missing = [key for key in KEYS if key not in entries]
    if missing and isinstance(node, Mapping):
        are = "is" if len(missing) == 1 else "are"
        reader.fail(node, where, f"{' and '.join(missing)} {are} missing; expected {LINEAR}")
    weights = _weights(reader, entries["weights"][1], (*where, "weights")) if "weights" in entries else {}
    if "weights" not in entries or "features" not in entries or not weights:
        return None
    if plain is not None and plain.probs().size * len(weights) > MAX_FEATURES:
        size = f"{len(weights):,} weights x {plain.probs().size:,} states and actions"
        reader.fail(entries["weights"][1], (*where, "weights"), f"{size}; expected at most {MAX_FEATURES:,} features")
        return None
    table = None if plain is None else np.zeros((len(plain.theta), len(weights)))
    numbers = {name: i for i, name in enumerate(weights)}
    listed = choices(reader, entries["features"][1], (*where, "features"), sight, rows, "features")
    for number, values, at in listed:
        _read_row(reader, values, at, numbers, None if table is None or number is None else table[number])
    if plain is None or table is None or None in weights.values():
        return None
    offered = plain.numbers(*np.indices(plain.probs().shape)) >= 0
    features = np.zeros((*offered.shape, len(weights)))
    features[offered] = table[plain.numbers(*np.nonzero(offered))]
    theta = np.array(list(weights.values()), dtype=np.float64)
    return Linear(theta, tuple((name,) for name in weights), features, offered)


def _weights(reader: Reader, node: Node, where: Where) -> dict[str, float | None]:
    """The weights by name; None is one at fault."""
    weights: dict[str, float | None] = {}
    entries = reader.entries(node, where, "weights with their values, like {w1: 0.3}")
    if isinstance(node, Mapping) and not node.items:
        reader.fail(node, where, f"found {kind_of(node)}; expected at least one weight, like {{w1: 0.3}}")
    for key, value in entries.values():
        name = reader.name(key, where, "the name of a weight")
        weight = reader.real(value, (*where, key.text), -MAX_SIZE, MAX_SIZE, SIZE)
        if name is not None:
            weights[name] = weight
    return weights


def _read_row(reader: Reader, node: Node, where: Where, numbers: dict[str, int], row: Floats | None) -> None:
    """Puts the features of one action in their places in the row `[d]`."""
    size = f"a number up to {MAX_FEATURE:g} in size".replace("e+", "e")
    for key, value in reader.entries(node, where, "weights with their features, like {w1: 1}").values():
        number = reader.index(key, where, numbers, "weight")
        feature = reader.real(value, (*where, key.text), -MAX_FEATURE, MAX_FEATURE, size)
        if row is not None and number is not None and feature is not None:
            row[number] = feature
