import math

import pytest

from pgcheck.report.words import known_digits, percent


@pytest.mark.parametrize(
    ("x", "rounding", "text"),
    [
        (-0.320092321, 1e-14, "-0.32009232"),
        (-0.320092321, 2e-5, "-0.3201"),
        (1234.5678, 0.5, "1.23e+03"),
        (123.45678, 0.05, "123"),
        (5e-5, 2e-5, "5e-05"),
        (-2.168404345e-18, 4.1e-14, "0"),
        (8.5e-18, 1e-31, "8.5e-18"),
        (0.25, 0.0, "0.25"),
        (0.0, 0.0, "0"),
        (1e-310, 0.0, f"{1e-310:.8g}"),
        (math.inf, 0.0, "inf"),
    ],
)
def test_a_number_has_the_digits_that_rounding_leaves(x: float, rounding: float, text: str) -> None:
    assert known_digits(x, rounding, 8) == text


@pytest.mark.parametrize("x", [0.123456789, 9.87654321, 55555.55, 1.23456789e-9])
@pytest.mark.parametrize("relative", [3e-3, 7e-6])
def test_the_digits_shown_are_off_by_no_more_than_ten_roundings(x: float, relative: float) -> None:
    shown = float(known_digits(x, relative * x, 15))
    assert abs(shown - x) <= 10 * relative * x
    assert (
        abs(float(known_digits(x, 1000 * relative * x, 15)) - x) > relative * x / 100
    )  # fewer, where fewer are known


@pytest.mark.parametrize(
    ("x", "text"),
    [
        (None, ""), (0.0, "0 %"), (2e-16, "2.0e-14 %"), (5e-4, "5.0e-02 %"), (0.0995, "9.95 %"),
        (-127.328, "-12,732.80 %"),
    ],
)  # fmt: skip
def test_every_share_is_in_percent(x: float | None, text: str) -> None:
    assert percent(x) == text
