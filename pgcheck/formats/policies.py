"""A policy in a model file, a softmax of preferences or linear in features → the policy."""

from dataclasses import replace

import numpy as np

from pgcheck.formats.features import LINEAR, read_linear
from pgcheck.formats.nodes import Mapping, Node
from pgcheck.formats.reader import Reader, Where
from pgcheck.formats.sight import Rows, Sight, choices
from pgcheck.formats.transitions import MAX_SIZE, SIZE
from pgcheck.model.policy import Policy
from pgcheck.model.softmax import TabularSoftmax

POLICY = f"softmax: {{state: {{action: preference}}}}, or {LINEAR}"


def read_policy(
    reader: Reader, node: Node, where: Where, sight: Sight, rows: Rows, plain: TabularSoftmax | None = None
) -> Policy | None:
    """Returns the policy in a file, and notes every fault; None where there is one.

    Args:
      reader: of the file.
      node, where: of the policy.
      sight: what the policy sees of the states.
      rows: the number of each action that an observation offers, counted through all observations.
      plain: the softmax with these numbers whose preferences are all 0; without it faults are noted, no more.
    """
    entries = reader.entries(node, where, POLICY)
    reader.known(entries.values(), _READERS, where)
    kinds = [kind for kind in entries if kind in _READERS]
    if isinstance(node, Mapping) and not entries:
        reader.fail(node, where, f"softmax is missing; expected {POLICY}")
    if len(kinds) > 1:
        reader.fail(entries[kinds[1]][0], where, f"both {kinds[0]} and {kinds[1]} are given; keep one")
    policies = [_READERS[kind](reader, entries[kind][1], (*where, kind), sight, rows, plain) for kind in kinds]
    return policies[0] if policies else None


def _read_softmax(
    reader: Reader, node: Node, where: Where, sight: Sight, rows: Rows, plain: TabularSoftmax | None
) -> TabularSoftmax | None:
    """The softmax with the file's preferences; a preference left out is 0."""
    theta = np.zeros(0 if plain is None else len(plain.theta))
    for number, value, at in choices(reader, node, where, sight, rows, "preferences"):
        preference = reader.real(value, at, -MAX_SIZE, MAX_SIZE, SIZE)
        if plain is not None and number is not None and preference is not None:
            theta[number] = preference
    theta.flags.writeable = False
    return None if plain is None else replace(plain, theta=theta)


_READERS = {"softmax": _read_softmax, "linear": read_linear}
