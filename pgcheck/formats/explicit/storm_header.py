"""The head of an explicit model of Storm, x.drn: what stands before `@model`."""

import re
from dataclasses import dataclass

from pgcheck.formats.explicit.lines import MAX_STATES, Lines
from pgcheck.formats.reader import quoted

TYPES = ("DTMC", "MDP", "POMDP")
REFUSED = {
    "CTMC": "has rates", "Markov Automaton": "has rates", "MA": "has rates",
    "SMG": "has several players", "S2PG": "has two players",
}  # fmt: skip
SECTIONS = ("@parameters", "@placeholders", "@reward_models", "@nr_states", "@nr_choices")

_SAID = re.compile(r"[ \t]*@(type|value_type):[ \t]*(.*?)[ \t]*")
_PLACEHOLDER = re.compile(r"[ \t]*(\$[^ \t:]+)[ \t]*:[ \t]*(.*?)[ \t]*")


@dataclass(frozen=True, eq=False)
class Header:
    """What the head says.

    Attributes:
      type: DTMC, MDP or POMDP.
      num_states, num_choices: the latter is None where it is not said.
      rewards: the names of the reward structures; as Storm writes them, one without a name is empty.
      placeholders: numbers that have a name, like `$0`.
      states_at, choices_at: the lines of the two numbers.
      end: the line `@model`.
    """

    type: str
    num_states: int
    num_choices: int | None
    rewards: tuple[str, ...]
    placeholders: dict[str, float]
    states_at: int
    choices_at: int
    end: int


def read_header(lines: Lines) -> Header:
    """Returns what the head of a file says.

    Raises:
      ModelError: the head is at fault, or the model is not one of numbers, or of another type.
    """
    said: dict[str, tuple[int, str]] = {}  # each section's line, and the text of it
    placeholders: dict[str, float] = {}
    section, end = "", 0
    for at, text in enumerate(lines.texts, 1):
        bare = text.strip(" \t")
        if bare == "@model":
            end = at
            break
        if bare.startswith("//"):
            continue
        match = _SAID.fullmatch(text)
        if match or bare in SECTIONS:
            section = "" if match else bare
            key, value = (f"@{match[1]}", (at, match[2])) if match else (bare, (at + 1, ""))
            if key in said:
                lines.fail(at, 0, f"{key} appears twice; keep one")
            said[key] = value
        elif section == "@placeholders" and bare:
            _placeholder(lines, at, text, placeholders)
        elif section and section != "@placeholders" and at == said[section][0]:
            said[section] = at, text if section == "@reward_models" else bare
        elif bare:
            lines.fail(at, 0, f"found {quoted(bare)}; expected {', '.join(('@type: MDP', *SECTIONS))} or @model")
    if not end and not lines.problems.count:
        lines.fail(len(lines.texts), 0, "the file ends; expected @model, and the states below it")
    lines.problems.check()
    _check_kind(lines, said, end)
    num_states = _whole(lines, said.get("@nr_states"), end, "@nr_states")
    num_choices = _whole(lines, said["@nr_choices"], end, "@nr_choices") if "@nr_choices" in said else None
    at, text = said.get("@reward_models", (end, ""))
    rewards = tuple(re.split("[ \t]", text.removesuffix(" "))) if text else ()  # Storm writes a blank after each name
    named = [name for name in rewards if name]
    for place, name in enumerate(named):
        if name in named[:place]:
            lines.fail(at, place, f"{quoted(name)} appears twice; keep one")
        lines.is_name(name, at, place, "reward model")
    lines.problems.check()
    return Header(
        said["@type"][1], num_states, num_choices, rewards, placeholders,
        said["@nr_states"][0], said.get("@nr_choices", (end, ""))[0], end,
    )  # fmt: skip


def _check_kind(lines: Lines, said: dict[str, tuple[int, str]], end: int) -> None:
    """Raises ModelError where the model has no numbers, or is of another type."""
    at, kind = said.get("@type", (end, ""))
    if "@type" not in said:
        lines.fail(at, 0, "no @type above; expected `@type: MDP`, or DTMC, or POMDP")
    elif kind not in TYPES:
        why = f", which {REFUSED[kind]}" if kind in REFUSED else ""
        lines.fail(at, 1, f"{quoted(kind)}{why}; expected a DTMC, an MDP or a POMDP")
    at, values = said.get("@value_type", (end, "double"))
    if values not in ("double", "rational"):
        lines.fail(at, 1, f"values are {quoted(values)}; expected numbers: double or rational")
    at, parameters = said.get("@parameters", (end, ""))
    if parameters:
        lines.fail(at, 0, f"parameters: {quoted(parameters)}; expected a model without them: give them values first")
    lines.problems.check()


def _placeholder(lines: Lines, at: int, text: str, placeholders: dict[str, float]) -> None:
    """Reads a line like `$0 : 0.5`."""
    match = _PLACEHOLDER.fullmatch(text)
    value = lines.number(match[2]) if match else None
    if match is None or value is None:
        lines.fail(at, 0, f"found {quoted(text.strip())}; expected a name and its number, like `$0 : 0.5`")
    elif match[1] in placeholders:
        lines.fail(at, 0, f"{quoted(match[1])} appears twice; keep one")
    else:
        placeholders[match[1]] = value


def _whole(lines: Lines, said: tuple[int, str] | None, end: int, name: str) -> int:
    """The number of states or choices."""
    at, text = said or (end, "")
    if re.fullmatch("[0-9]{1,18}", text) and (name == "@nr_choices" or 1 <= int(text) <= MAX_STATES):
        return int(text)
    limit = "" if name == "@nr_choices" else f", 1 to {MAX_STATES:,}"
    lines.fail(at, 0, f"found {quoted(text)} for {name}; expected a whole number{limit}")
    return 1
