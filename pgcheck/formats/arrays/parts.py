"""What a .npz file says beside its outcomes: names, start, terminal states, observations, single numbers."""

import math
from pathlib import Path

import numpy as np

from pgcheck.arrays import Bools, Floats
from pgcheck.errors import UsageError
from pgcheck.formats.arrays.taken import Arrays, shape_text
from pgcheck.formats.problems import hidden, visible
from pgcheck.formats.reader import MAX_NAME, cropped, enumerated, quoted
from pgcheck.model.mdp import MAX_PAIRS


def count_of(arrays: Arrays, name: str) -> int | None:
    """How many names there are, where an array says so."""
    if name not in arrays:
        return None
    if arrays.kind(name) in "US":
        return arrays.shape(name)[0] if len(arrays.shape(name)) == 1 else None
    number = number_of(arrays, name, 1, MAX_PAIRS, "names, or how many there are")
    return None if number is None else int(number)


def names_of(arrays: Arrays, name: str, size: int) -> tuple[str, ...]:
    """The names of the states or actions, of which there are so many."""
    if name in arrays and arrays.kind(name) in "US":
        texts = arrays.texts(name)
        if arrays.shape(name) != (size,):
            arrays.problems.add(0, 0, f"{name}: shape {shape_text(arrays.shape(name))}; expected {size:,} names")
        return tuple(texts)
    count = count_of(arrays, name)
    if count is not None and count != size:
        arrays.problems.add(0, 0, f"{name}: {count:,}; expected {size:,}, as P has")
    return tuple(map(str, range(size)))


def name_of(arrays: Arrays, spec: str) -> str:
    """The name of the model, by default that of the file."""
    if "name" not in arrays:
        return visible(Path(spec).stem)
    texts = arrays.texts("name") or [""]
    if len(texts) != 1 or not 0 < len(texts[0]) <= MAX_NAME or hidden(texts[0]):
        arrays.problems.add(0, 0, f"name: {quoted(texts[0])}; expected a text of 1 to {MAX_NAME} visible characters")
    return texts[0]


def number_of(arrays: Arrays, name: str, lo: float, hi: float, expected: str) -> float | None:
    """A single number in this range, None where the file has none or a fault is noted.

    A horizon is whole, or inf; how many there are is whole.
    """
    if name not in arrays:
        return None
    if math.prod(arrays.shape(name)) != 1:
        arrays.problems.add(0, 0, f"{name}: shape {shape_text(arrays.shape(name))}; expected {expected}")
        return None
    if not arrays.holds(name):
        return None
    number = float(arrays.floats(name).ravel()[0])
    if name == "horizon" and number == math.inf:
        return number
    whole = name in ("horizon", "states", "actions")
    if not lo <= number <= hi or (whole and number != int(number)):
        arrays.problems.add(0, 0, f"{name}: {number:.12g}; expected {expected}")
        return None
    return int(number) if whole else number


def start_of(arrays: Arrays, names: tuple[str, ...]) -> Floats | None:
    """The probability of each state to be the first `[S]`; None where the file does not say, or a fault is noted."""
    size = len(names)
    if "start" not in arrays:
        return None
    shape, kind = arrays.shape("start"), arrays.kind("start")
    if shape == (size,) and kind in "biuf" and (size > 1 or kind == "f"):
        return arrays.floats("start")
    if math.prod(shape) != 1:
        expected = f"the number or name of a state, or {size:,} probabilities"
        arrays.problems.add(0, 0, f"start: shape {shape_text(shape)}; expected {expected}")
        return None
    number = _states(arrays, "start", names)
    if len(number) != 1:
        return None
    first = np.zeros(size)
    first[number] = 1.0
    return first


def _states(arrays: Arrays, name: str, names: tuple[str, ...]) -> list[int]:
    """The numbers of states that an array lists by number or by name."""
    if arrays.kind(name) in "US":
        texts = arrays.texts(name)
        place = {state: number for number, state in enumerate(names)}
        for text in [text for text in texts if text not in place][:1]:
            arrays.problems.add(
                0, 0, f"{name}: unknown state {quoted(text)}; expected states, like {cropped(names[0])}"
            )
        return [place[text] for text in texts if text in place]
    listed = arrays.whole(name).ravel().tolist()
    for number in [number for number in listed if not 0 <= number < len(names)][:1]:
        arrays.problems.add(0, 0, f"{name}: {number}; expected numbers of states, 0 to {len(names) - 1:,}")
        return []
    return listed


def terminal_of(arrays: Arrays, names: tuple[str, ...], label: str | None) -> Bools:
    """The states on whose entry an episode ends `[S]`: those of the array `terminal`, or of the one that is given."""
    size, name = len(names), "terminal" if label is None else label
    terminal = np.zeros(size, dtype=np.bool_)
    if name not in arrays:
        if label in names:
            terminal[names.index(label)] = True
        elif label is not None:
            has = enumerated(arrays.names)
            raise UsageError(f"--terminal {visible(label)}: {arrays.file} has no such array or state; it has {has}")
        return terminal
    shape = arrays.shape(name)
    if arrays.kind(name) == "b" and shape == (size,):
        return arrays.truths(name)
    if len(shape) > 1 or arrays.kind(name) == "b":
        expected = f"numbers or names of states, or {size:,} truth values"
        arrays.problems.add(0, 0, f"{name}: shape {shape_text(shape)}; expected {expected}")
        return terminal
    listed = _states(arrays, name, names)
    if len(set(listed)) < len(listed) or (size > 1 and len(listed) == size and max(listed) <= 1):
        hint = "states are listed twice" if len(set(listed)) < len(listed) else "numbers of states, or truth values?"
        arrays.problems.add(0, 0, f"{name}: {hint}; save truth values as bool, and each number once")
    terminal[listed] = True
    return terminal


def observations_of(arrays: Arrays, size: int) -> tuple[str, ...] | None:
    """What the policy sees in each state; None where the file does not say, or a fault is noted."""
    if "observations" not in arrays:
        return None
    if arrays.shape("observations") != (size,):
        shape = shape_text(arrays.shape("observations"))
        arrays.problems.add(0, 0, f"observations: shape {shape}; expected one for each of {size:,} states")
        return None
    if arrays.kind("observations") in "US":
        seen = arrays.texts("observations")
    else:
        seen = [str(number) for number in arrays.whole("observations").tolist()]
    faulty = [name for name in set(seen) if not name or len(name) > MAX_NAME or hidden(name)]
    if faulty:
        expected = f"names of 1 to {MAX_NAME} visible characters"
        arrays.problems.add(0, 0, f"observations: {quoted(faulty[0])}; expected {expected}")
    return tuple(seen) or None
