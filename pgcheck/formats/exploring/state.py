"""The whole state of an environment: what its observations may hide, and what tells two states apart."""

from dataclasses import dataclass
from typing import Any

from pgcheck.formats.exploring.attributes import attributes
from pgcheck.formats.exploring.writing import SEEDS, Writer, hashed


@dataclass(frozen=True)
class Snapshot:
    """The state of an environment at one moment.

    Attributes:
      key: equal for equal states.
      parts: what the key is made of: for each attribute by name, a digest of its value.
      generators: the random generators in it, which are no part of the key.
    """

    key: bytes
    parts: dict[str, bytes]
    generators: tuple[Any, ...]

    def differing(self, other: "Snapshot") -> list[str]:
        """Returns the names of the attributes in which two states differ."""
        names = sorted(self.parts.keys() | other.parts.keys())
        return [name for name in names if self.parts.get(name) != other.parts.get(name)]


def layers(environment: Any) -> list[Any]:
    """Returns the environment and what it wraps, the outermost first."""
    stack = [environment]
    while (innermost := getattr(stack[-1], "unwrapped", stack[-1])) is not stack[-1]:
        stack.append(getattr(stack[-1], "env", innermost))
    return stack


def snapshot(environment: Any, mask: bytes | None = None) -> Snapshot:
    """Returns the state of an environment with its wrappers; `mask`, the actions that it offers, is part of it.

    Raises:
      UnreadableError: an attribute cannot be read; the text names it.
      RecursionError: objects hang on each other thousands deep.
    """
    stack, writer = layers(environment), Writer()
    for number, layer in enumerate(stack):
        writer.know(layer, "layer", number)
    parts = {} if mask is None else {"action_mask": mask}
    for number, layer in enumerate(stack):
        prefix = "" if layer is stack[-1] else f"{type(layer).__name__}."
        for name, value in attributes(layer):
            if layer is not stack[-1] and name == "env":
                continue
            if name in SEEDS and writer.gathers(value):
                continue
            place = prefix + name
            place += f" of wrapper {number}" if place in parts else ""  # two wrappers of one class
            parts[place] = writer.digest(value, place)
    together = b"".join(b"%d:%s=%s" % (len(name), name.encode(), part) for name, part in parts.items())
    return Snapshot(hashed(together), parts, tuple(writer.generators))


def digest(value: Any) -> bytes:
    """Returns what is equal for equal values, such as observations."""
    return Writer().digest(value, "value")
