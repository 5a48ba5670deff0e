"""What words stand for, and which faults follow from which."""

import pytest

from pgcheck.formats.reader import number
from tests.formats.refusals import SMALL, refusal_of
from tests.limits import limited


@pytest.mark.parametrize(
    ("text", "value"),
    [("3", 3.0), ("0.5", 0.5), ("-.5", -0.5), ("5.", 5.0), ("+2", 2.0), ("1e-3", 0.001), ("1E5", 1e5),
     ("1/3", 1 / 3), ("-2/4", -0.5), ("007", 7.0), ("0e999", 0.0), ("1e308", 1e308), ("5e-324", 5e-324),
     (f"{10**399}/{3 * 10**399}", 1 / 3)],
)  # fmt: skip
def test_a_number_is_read(text: str, value: float) -> None:
    assert number(text) == value


@pytest.mark.parametrize(
    "text",
    ["", "0x1F", "1_000", "1:30", "nan", ".nan", "inf", "-.inf", "1e", "e5", ".", "-", "1e5.0", "1 000", "1,5", "½",
     "1/2/3", "1/-2", "1/0", "0/0", "1/.5", "1e400", "1e-400", f"1/{10**400}", "٣", "1" * 10_001, "3 ", "3\n", "3j",
     "--1", "true", "1e+-5", "0o7", "0b1"],
)  # fmt: skip
def test_what_is_no_number_is_not_read(text: str) -> None:
    assert number(text) is None


@pytest.mark.parametrize("junk", ["1" * 9_999 + "x", "1" * 300 + "/" * 9_000, "1." * 5_000, "1e" * 5_000])
def test_junk_is_told_from_a_number_quickly(junk: str) -> None:
    # A search that starts anew at each character takes a hundred seconds for so many calls; this takes a tenth.
    with limited(calls=20_000):
        for _ in range(300):
            assert number(junk) is None


def test_an_error_in_a_row_does_not_make_its_sum_an_error() -> None:
    nested = SMALL.replace("go: a", "go: [{to: a, p: 0.5}, {to: b, p: 0.5}]")
    assert refusal_of(nested).count(": error: ") == 1
    table = SMALL.replace(
        "{a: {go: a}}", "{columns: [state, action, to, p], rows: [[a, go, a, 0.5], [a, goo, a, 0.5]]}"
    )
    assert refusal_of(table).count(": error: ") == 1
