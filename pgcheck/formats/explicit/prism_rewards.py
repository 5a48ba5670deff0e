"""The rewards of an explicit model of PRISM: of states (.srew), of choices and transitions (.trew).

One reward structure stands in x.srew and x.trew, several in x1.srew, x1.trew, x2.srew, ... The first line counts, as
that of the transitions does; each other line is a state, or a transition without its probability, and its reward.
A comment may name the structure: `# Reward structure "time"`.
"""

import os
import re
from array import array
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pgcheck.arrays import Floats, Ints
from pgcheck.formats.explicit.lines import INDEX, WORD, Lines, is_comment
from pgcheck.formats.explicit.prism_transitions import Transitions
from pgcheck.formats.reader import quoted
from pgcheck.formats.sources import read_text

_NAME = re.compile(r'# Reward structure "([^"]+)"[ \t]*')
_VALUE = r"[ \t]+([^ \t]+)[ \t]*"
_SIZES = re.compile(r"[ \t]*([0-9]{1,18})(?:[ \t]+[0-9]{1,18}){1,2}[ \t]*")
_OF_STATE = re.compile(rf"[ \t]*{INDEX}(){_VALUE}")
_OF_CHAIN = re.compile(rf"[ \t]*{INDEX}()[ \t]+{INDEX}{_VALUE}")
_OF_CHOICE = re.compile(rf"[ \t]*{INDEX}[ \t]+{INDEX}[ \t]+{INDEX}{_VALUE}")


@dataclass(frozen=True, eq=False)
class Structure:
    """A reward structure: its name, or its number where it has none; its files of states and of transitions."""

    name: str
    of_states: Lines | None
    of_transitions: Lines | None


def find_rewards(spec: str) -> list[Structure]:
    """Returns the reward structures beside x.tra; x1.srew is not among them where there is a model x1.tra.

    Without names they are called by their numbers. Beside x1.srew a file x.srew, perhaps of an earlier export, is one
    more structure, called x: which of them is meant, has to be said.

    Raises:
      ModelError: two structures have one name, or the two files of a structure have two.
    """
    stem = str(Path(spec).with_suffix(""))
    stems, number = [], 1
    while _files(f"{stem}{number}"):
        stems += [] if os.path.exists(f"{stem}{number}.tra") else [f"{stem}{number}"]
        number += 1
    numbers = list(map(str, range(1, len(stems) + 1)))
    if _files(stem):
        stems, numbers = [stem, *stems], [Path(stem).name if stems else "1", *numbers]
    structures: dict[str, Structure] = {}
    for called, path in zip(numbers, stems, strict=True):
        files = {ending: Lines(*read_text(file)) for ending, file in _files(path).items()}
        name = ""
        for lines in files.values():
            line, own = _name(lines)
            if name and own and own != name:
                lines.fail(line, 3, f"the other file of these rewards calls them {quoted(name)}")
            elif own in structures:
                lines.fail(line, 3, f"another reward structure is called {quoted(own)}, too; rename one")
            lines.problems.check()
            name = name or own
        if files:
            structures[name or called] = Structure(name or called, files.get(".srew"), files.get(".trew"))
    return list(structures.values())


def rewards_of(structure: Structure, model: Transitions) -> tuple[Floats, Floats]:
    """Returns the rewards of states `[S]` and those of the model's transitions `[K]`.

    Raises:
      ModelError: a file is at fault, or has a reward of what is not in the model.
    """
    state_reward, reward = np.zeros(model.num_states), np.zeros(len(model.state))
    if structure.of_states is not None:
        state, _, _, value = _read(structure.of_states, "state", model)
        state_reward[state] = value
    if structure.of_transitions is not None:
        lines = structure.of_transitions
        state, choice, next_state, value = _read(lines, "chain" if model.type == "DTMC" else "choice", model)
        keys, which = np.unique(_key(model.state, model.choice, model.next_state, model), return_inverse=True)
        of_key = np.zeros(len(keys))
        of_key[np.searchsorted(keys, _key(state, choice, next_state, model))] = value
        reward = of_key[which.ravel()]
    return state_reward, reward


def _files(stem: str) -> dict[str, str]:
    """The files of rewards that there are."""
    return {ending: stem + ending for ending in (".srew", ".trew") if os.path.exists(stem + ending)}


def _name(lines: Lines) -> tuple[int, str]:
    """The line in which a file names its structure, and the name; empty where it does not."""
    for at, text in enumerate(lines.texts, 1):
        if match := _NAME.fullmatch(text):
            return at, match[1] if lines.is_name(match[1], at, 3, "the name") else ""
        if not text.startswith("#"):
            break
    return 1, ""


def _key(state: Ints, choice: Ints, next_state: Ints, model: Transitions) -> Ints:
    """A number for each transition that no other has."""
    choices = int(model.choice.max(initial=0)) + 1
    return (state * choices + choice) * model.num_states + next_state


_FORMS = {
    "state": (_OF_STATE, "a state and its reward, like `3 0.5`"),
    "chain": (_OF_CHAIN, "two states and the reward between them, like `3 4 0.5`"),
    "choice": (_OF_CHOICE, "a state, a choice, the next state and the reward, like `3 0 4 0.5`"),
}


def _read(lines: Lines, of: str, model: Transitions) -> tuple[Ints, Ints, Ints, Floats]:
    """State, choice, next state and reward of each line; all of them are in the model, and each of them once."""
    pattern, expected = _FORMS[of]
    columns = array("q"), array("q"), array("q"), array("q")
    values, header = array("d"), 0
    for at, text in enumerate(lines.texts, 1):
        if is_comment(text):
            continue
        if not header:
            header = _header(lines, at, text, model)
            continue
        match = pattern.fullmatch(text)
        value = lines.number(match[match.re.groups]) if match else None
        if match is None or value is None:
            word = 0 if match is None else len(WORD.findall(text)) - 1
            lines.fail(at, word, f"found {quoted(text.strip())}; expected {expected}")
            if lines.is_hopeless:
                break
            continue
        numbers = (match[1], match[2], match[3] if of != "state" else "", at)
        for column, number in zip(columns, numbers, strict=True):
            column.append(int(number or 0))
        values.append(value)
    if not header:
        lines.fail(1, 0, "no sizes; expected the number of states and of rewards")
    state, choice, next_state, line = (np.array(column, dtype=np.int64) for column in columns)
    reward = np.array(values)
    lines.expect_states(state, line, 0, model.num_states)
    lines.expect_states(next_state, line, 1 if of == "chain" else 2, model.num_states)
    lines.expect_rewards(reward, line, {"state": 1, "chain": 2, "choice": 3}[of])
    lines.problems.check()
    _expect_known(lines, of, state, choice, next_state, line, model)
    return state, choice, next_state, reward


def _expect_known(
    lines: Lines, of: str, state: Ints, choice: Ints, next_state: Ints, line: Ints, model: Transitions
) -> None:
    """Raises ModelError where a reward is given twice, or to a transition that is not in the model."""
    beyond = choice > model.choice.max(initial=0)
    key = state if of == "state" else _key(state, np.where(beyond, 0, choice), next_state, model)
    if of != "state":
        known = np.isin(key, _key(model.state, model.choice, model.next_state, model)) & ~beyond
        lines.fail_all(~known, line, 0, "the model has no such transition", line)
    again = np.ones(len(key), dtype=np.bool_)
    again[np.unique(key, return_index=True)[1]] = False
    again &= ~beyond
    lines.fail_all(again, line, 0, "a reward for the second time; keep one", line)
    lines.problems.check()


def _header(lines: Lines, at: int, text: str, model: Transitions) -> int:
    """The line with the sizes; notes it where they are not those of the model."""
    match = _SIZES.fullmatch(text)
    if not match:
        lines.fail(at, 0, f"found {quoted(text.strip())}; expected the number of states and of rewards, like `6 2`")
    elif int(match[1]) != model.num_states:
        lines.fail(at, 0, f"{int(match[1]):,} states; the transitions have {model.num_states:,}")
    lines.problems.check()
    return at
