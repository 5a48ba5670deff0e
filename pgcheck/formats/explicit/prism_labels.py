"""What stands beside the transitions of an explicit model of PRISM: labels of states (.lab), their names (.sta)."""

import re
from array import array

import numpy as np

from pgcheck.arrays import Ints
from pgcheck.formats.explicit.lines import INDEX, Lines, is_comment
from pgcheck.formats.reader import quoted

_DECLARED = re.compile(r'([0-9]{1,9})="([^"]*)"')
_LABELLED = re.compile(rf"[ \t]*{INDEX}[ \t]*:((?:[ \t]+[0-9]{{1,9}})*)[ \t]*")
_NAMED = re.compile(rf"[ \t]*{INDEX}[ \t]*:(.*)")
OF_STORM = "#DECLARATION"


def read_labels(lines: Lines, num_states: int) -> dict[str, Ints]:
    """Returns the states that have each label: `0="init" 1="goal"`, then lines like `3: 0 1`.

    Raises:
      ModelError: the file is at fault.
    """
    at, names = _declared(lines)
    states = {number: array("q") for number in names}
    for line, text in enumerate(lines.texts[at:], at + 1):
        if lines.is_hopeless:
            break
        match = _LABELLED.fullmatch(text)
        if match:
            state = int(match[1])
            if state >= num_states:
                lines.fail(line, 0, f"no state {state}; expected 0 to {num_states - 1}")
            for place, word in enumerate(match[2].split(), 1):
                if int(word) in states:
                    states[int(word)].append(state)
                else:
                    lines.fail(line, place, f"no label {word}; line {at} has the labels")
        elif not is_comment(text):
            lines.fail(line, 0, f"found {quoted(text.strip())}; expected a state and its labels, like `3: 0 1`")
    lines.problems.check()
    return {name: np.unique(np.array(states[number], dtype=np.int64)) for number, name in names.items()}


def read_states(lines: Lines, num_states: int) -> tuple[str, ...]:
    """Returns the names of all states: `(x,y)`, then lines like `3:(0,2)`, whose state is called `(0,2)`.

    Raises:
      ModelError: the file is at fault.
    """
    names: dict[int, str] = {}
    lines_of: dict[str, int] = {}
    first = lines.first()
    for line, text in enumerate(lines.texts, 1):
        if lines.is_hopeless:
            break
        match = _NAMED.fullmatch(text)
        if not match:
            if not is_comment(text) and not (line == first and text.lstrip(" \t").startswith("(")):
                lines.fail(line, 0, f"found {quoted(text.strip())}; expected a state and its values, like `3:(0,2)`")
            continue
        state, name = int(match[1]), match[2].strip(" \t")
        if state >= num_states:
            lines.fail(line, 0, f"no state {state}; expected 0 to {num_states - 1}")
        elif state in names:
            lines.fail(line, 0, f"state {state} appears twice; keep one")
        elif name in lines_of:
            lines.fail(line, 0, f"{quoted(name)} is already the name of the state in line {lines_of[name]}")
        elif lines.is_name(name, line, 0, "the name"):
            names[state], lines_of[name] = name, line
    if not lines.problems.count and len(names) != num_states:
        missing = next(s for s in range(num_states) if s not in names)
        lines.fail(1, 0, f"no name of state {missing}; the transitions have {num_states:,} states")
    lines.problems.check()
    return tuple(names[s] for s in range(num_states))


def _declared(lines: Lines) -> tuple[int, dict[int, str]]:
    """The line that declares the labels, and the label of each number."""
    at = lines.texts.index(OF_STORM) + 1 if OF_STORM in lines.texts else lines.first()
    text = lines.texts[at - 1]
    names: dict[int, str] = {}
    for place, word in enumerate(re.findall(r'[0-9]+="[^"]*"|[^ \t]+', text)):
        match = _DECLARED.fullmatch(word)
        if not match:
            hint = "; this is Storm's format" if word == OF_STORM else ""
            lines.fail(at, place, f'found {quoted(word)}; expected the labels, like 0="init" 1="goal"{hint}')
        elif int(match[1]) in names or match[2] in names.values():
            lines.fail(at, place, f"{quoted(word)}: the number or the label appears twice; keep one")
        else:
            names[int(match[1])] = match[2]
    if is_comment(text):
        lines.fail(at, 0, 'no labels; expected 0="init" 1="goal" in the first line')
    lines.problems.check()
    return at, names
