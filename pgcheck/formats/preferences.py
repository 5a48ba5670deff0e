"""The preferences of a softmax policy in a model file → θ."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from pgcheck.arrays import Bools, Floats, Ints
from pgcheck.formats.nodes import Mapping as MappingNode
from pgcheck.formats.nodes import Node
from pgcheck.formats.reader import Reader, Where, quoted
from pgcheck.formats.transitions import MAX_SIZE, SIZE

SOFTMAX = "softmax: {state: {action: preference}}"

Rows = Mapping[str, dict[str, int]]  # the number in θ of each action, for each observation


@dataclass(frozen=True, eq=False)
class Sight:
    """What a policy sees of the states.

    Attributes:
      states: their names.
      terminal: which of them end an episode `[S]`.
      observations: the names of the observations.
      observation: the number of each state's `[S]`.
    """

    states: tuple[str, ...]
    terminal: Bools
    observations: tuple[str, ...]
    observation: Ints

    def rows_of_all(self, actions: dict[str, int]) -> Rows:
        """Returns rows in which each observation has every action: for files whose transitions are at fault."""
        return {self.observations[number]: actions for number in set(self.observation[~self.terminal].tolist())}


def read_preferences(reader: Reader, node: Node, where: Where, sight: Sight, rows: Rows, theta: Floats) -> None:
    """Puts the preferences of a policy in their places in θ, and notes every fault."""
    entries = reader.entries(node, where, SOFTMAX)
    reader.known(entries.values(), ("softmax",), where)
    if "softmax" not in entries:
        if isinstance(node, MappingNode) and not entries:
            reader.fail(node, where, f"softmax is missing; expected {SOFTMAX}")
        return
    where = (*where, "softmax")
    for key, choices in reader.entries(entries["softmax"][1], where, "states with their preferences").values():
        if key.text in rows:
            _row(reader, choices, (*where, key.text), rows[key.text], theta)
        else:
            reader.fail(key, where, _no_row(reader, key.text, sight, rows))


def _row(reader: Reader, node: Node, where: Where, numbers: dict[str, int], theta: Floats) -> None:
    """The preferences of one observation."""
    for key, value in reader.entries(node, where, "actions with their preferences").values():
        preference = reader.real(value, (*where, key.text), -MAX_SIZE, MAX_SIZE, SIZE)
        if key.text not in numbers:
            reader.fail(key, where, f"no action {quoted(key.text)} here{reader.meant(key.text, numbers)}")
        elif preference is not None:
            theta[numbers[key.text]] = preference


def _no_row(reader: Reader, name: str, sight: Sight, rows: Collection[str]) -> str:
    """The message for preferences of `name`, which the policy does not see."""
    if reader.problems.full:
        return ""
    if name in sight.states:
        state = sight.states.index(name)
        if sight.terminal[state]:
            return f"{quoted(name)} is terminal and has no actions; remove it"
        seen = sight.observations[sight.observation[state]]
        return f"the policy sees {quoted(name)} as {quoted(seen)}; use that name"
    if name in sight.observations:
        return f"only terminal states are seen as {quoted(name)}, and these have no actions; remove it"
    return f"unknown state or observation {quoted(name)}{reader.meant(name, rows)}"
