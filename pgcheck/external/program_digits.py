"""How many digits a program prints: C's `%g` and `%f`, and awk's `print`, leave six of a number's seventeen."""

import re
from collections import Counter

LOOKED_AT = 2**14  # bytes of an answer
FEWEST_NUMBERS = 12  # different ones, of which it can be told
SHORT = 3  # digits of numbers that may have no more: 0.5, -0.25
MOST_DIGITS = 8  # of single precision, and of what was cut

_NUMBER = re.compile(rb"\d+(?:\.(\d+))?(?:[eE][-+]?\d+)?")


def digits_of(line: bytes) -> int | None:
    """Returns how many digits the numbers of a line have been cut to; None where they seem to have all of theirs.

    Numbers that are cut have equally many digits, most of them, or all have equally many decimals. Those that just
    happen to be short have all lengths.
    """
    numbers = {match[0]: match[1] or b"" for match in _NUMBER.finditer(line, 0, LOOKED_AT)}
    decimals = {len(fraction) for fraction in numbers.values()}
    lengths = [_significant(number) for number in numbers]
    long = Counter(length for length in lengths if length > SHORT)
    if long.total() < FEWEST_NUMBERS or max(long) > MOST_DIGITS:
        return None
    if len(decimals) == 1 and decimals <= set(range(1, MOST_DIGITS + 1)):
        return decimals.pop()
    greatest = max(long)
    return greatest if greatest > SHORT + 1 and 2 * long[greatest] > long.total() else None


def _significant(number: bytes) -> int:
    return len(re.split(rb"[eE]", number)[0].replace(b".", b"").lstrip(b"0"))
