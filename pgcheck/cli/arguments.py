"""What people write on the command line → numbers: `1e6`, `10k`, `1,000`, `10..1e9`."""

import contextlib
import re
from collections.abc import Sequence
from fractions import Fraction

from pgcheck.errors import UsageError

MAX_SEED = 2**53 - 1  # beyond it, readers of JSON round

_COUNT = re.compile(r"(-?)\+?(\d[\d_]*\.?\d*|\.\d+)(?:[eE]\+?(\d{1,3}))?([kKMGT]?)", re.ASCII)
_GROUPED = re.compile(r"[-+]?\d{1,3}(?:(?:,\d{3})+|(?:[ \xa0\u202f]\d{3})+)", re.ASCII)  # as tables write it: 1,000
_LEADING_ZERO = re.compile(r" *0\d+.*", re.ASCII)
_SUFFIX = {"": 1, "k": 10**3, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}


def count(text: str, option: str, hi: int, lo: int = 1, other: str = "") -> int:
    """Returns a whole number from lo to hi, written as `1000`, `1,000`, `1 000`, `1_000`, `1e6`, `10k` or `2M`.

    Raises:
      UsageError: it is something else; the message names `option`, and what else it takes: `other`.
    """
    bare = text.strip()
    if _GROUPED.fullmatch(bare):
        bare = re.sub(r"[^-+\d]", "", bare)
    match = _COUNT.fullmatch(bare)
    if not match or len(text) > 400:
        examples = "like 1000, 1,000, 1e6, 10k or 2M"
        raise UsageError(f"{option} {shortened(text)}: expected a whole number, {examples}{other}")
    value = Fraction(match[2].replace("_", "")) * 10 ** int(match[3] or 0) * _SUFFIX[match[4]]
    if value.denominator != 1:
        raise UsageError(f"{option} {shortened(text)}: not a whole number")
    value = -value if match[1] else value
    if not lo <= value <= hi:
        raise UsageError(f"{option} {shortened(text)}: expected {lo:,} to {hi:,}{other}")
    return int(value)


def counts(text: str, option: str, hi: int) -> list[int]:
    """Returns the numbers of `10,100,1e4`, or the decades of `10..1e9`, in rising order.

    Commas separate the numbers; within one, thousands are written as `1 000` or `1_000`.

    Raises:
      UsageError: one of them is no count; the message names `option`.
    """
    found: set[int] = set()
    parts = text.split(",")
    if any(map(_LEADING_ZERO.fullmatch, parts[1:])):
        raise UsageError(f"{option} {shortened(text)}: a comma separates the numbers of a list; write 1000 or 1_000")
    for part in parts:
        first, dots, last = part.partition("..")
        at = count(first, option, hi)
        found.add(at)
        if dots:
            end = count(last, option, hi)
            if end < at:
                raise UsageError(f"{option} {shortened(part)}: the range ends before it begins")
            found.add(end)
            while (at := at * 10) <= end:
                found.add(at)
    return sorted(found)


def number(text: str, option: str, lo: float, hi: float) -> float:
    """Returns a number from lo to hi.

    Raises:
      UsageError: it is something else; the message names `option`.
    """
    try:
        value = float(Fraction(text)) if re.fullmatch(r"[\d.eE+/-]{1,40}", text, re.ASCII) else None
    except (ValueError, ZeroDivisionError, OverflowError):
        value = None
    if value is None or not lo <= value <= hi:
        raise UsageError(f"{option} {shortened(text)}: expected a number from {lo:g} to {hi:g}")
    return value


def share(text: str, option: str) -> float:
    """Returns a positive share, written as `5%`, `0.05` or `1/20`; at most 1.

    Raises:
      UsageError: it is something else; the message names `option`.
    """
    bare = text.strip().removesuffix("%").strip()
    whole = 100.0 if "%" in text else 1.0
    with contextlib.suppress(UsageError):
        value = number(bare, option, 0, whole) / whole
        if value > 0:
            return value
    raise UsageError(f"{option} {shortened(text)}: expected more than 0 and at most 100 %, like 5%, 0.05 or 1/20")


def choice(text: str, option: str, known: Sequence[str]) -> str:
    """Returns one of the words that an option takes.

    Raises:
      UsageError: it is another word; the message names `option` and lists the words.
    """
    if text in known:
        return text
    raise UsageError(f"{option} {shortened(text)}: expected {', '.join(known[:-1])} or {known[-1]}")


def shortened(text: str) -> str:
    """Returns a user's text for a message, cropped and in quotes."""
    return repr(text if len(text) <= 40 else text[:37] + "...")
