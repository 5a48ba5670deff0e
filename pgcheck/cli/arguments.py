"""What people write on the command line → numbers: `1e6`, `10k`, `10..1e9`."""

import re
from fractions import Fraction

from pgcheck.errors import UsageError

MAX_SEED = 2**53 - 1  # beyond it, readers of JSON round

_COUNT = re.compile(r"\+?(\d[\d_]*\.?\d*|\.\d+)(?:[eE]\+?(\d{1,3}))?([kKMGT]?)", re.ASCII)
_SUFFIX = {"": 1, "k": 10**3, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}


def count(text: str, option: str, hi: int, lo: int = 1) -> int:
    """Returns a whole number from lo to hi, written as `1000`, `1e6`, `10k`, `2M` or `1_000`.

    Raises:
      UsageError: it is something else; the message names `option`.
    """
    match = _COUNT.fullmatch(text.strip())
    if not match or len(text) > 400:
        raise UsageError(f"{option} {_short(text)}: expected a whole number, like 1000, 1e6, 10k or 2M")
    value = Fraction(match[1].replace("_", "")) * 10 ** int(match[2] or 0) * _SUFFIX[match[3]]
    if value.denominator != 1:
        raise UsageError(f"{option} {_short(text)}: not a whole number")
    if not lo <= value <= hi:
        raise UsageError(f"{option} {_short(text)}: expected {lo:,} to {hi:,}")
    return int(value)


def counts(text: str, option: str, hi: int) -> list[int]:
    """Returns the numbers of `10,100,1e4`, or the decades of `10..1e9`, in rising order.

    Raises:
      UsageError: one of them is no count; the message names `option`.
    """
    found: set[int] = set()
    for part in text.split(","):
        first, dots, last = part.partition("..")
        at = count(first, option, hi)
        found.add(at)
        if dots:
            end = count(last, option, hi)
            if end < at:
                raise UsageError(f"{option} {_short(part)}: the range ends before it begins")
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
        raise UsageError(f"{option} {_short(text)}: expected a number from {lo:g} to {hi:g}")
    return value


def share(text: str, option: str) -> float:
    """Returns a positive share, written as `5%`, `0.05` or `1/20`; at most 1.

    Raises:
      UsageError: it is something else; the message names `option`.
    """
    bare = text.strip().removesuffix("%").strip()
    whole = 100.0 if "%" in text else 1.0
    value = number(bare, option, 0, whole) / whole
    if value <= 0:
        raise UsageError(f"{option} {_short(text)}: expected more than 0")
    return value


def _short(text: str) -> str:
    return repr(text if len(text) <= 40 else text[:37] + "...")
