"""What a policy sees of the states of a model file, and how its numbers are listed: {state: {action: value}}."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

from pgcheck.arrays import Bools, Ints
from pgcheck.formats.nodes import Node
from pgcheck.formats.reader import Reader, Where, quoted

Rows = Mapping[str, dict[str, int]]  # the number of each action of an observation, counted through all observations


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


def choices(
    reader: Reader, node: Node, where: Where, sight: Sight, rows: Rows, noun: str
) -> Iterator[tuple[int | None, Node, Where]]:
    """Yields the number of each action that a policy lists, and its value with its place.

    Args:
      reader: of the file; names that are not known are noted there.
      node, where: of the mapping from observations to actions to values.
      sight: what the policy sees.
      rows: what each observation offers; the number of any other action is None.
      noun: what the values are, for messages.
    """
    for key, row in reader.entries(node, where, f"states with their {noun}").values():
        if key.text not in rows:
            reader.fail(key, where, _no_row(reader, key.text, sight, rows))
            continue
        at, numbers = (*where, key.text), rows[key.text]
        for action, value in reader.entries(row, at, f"actions with their {noun}").values():
            yield numbers.get(action.text), value, (*at, action.text)
            if action.text not in numbers:
                reader.fail(action, at, f"no action {quoted(action.text)} here{reader.meant(action.text, numbers)}")


def _no_row(reader: Reader, name: str, sight: Sight, rows: Collection[str]) -> str:
    """The message for values of `name`, which the policy does not see."""
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
