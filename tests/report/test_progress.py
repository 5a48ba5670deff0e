"""Progress bars on terminals of any width: one line that fits, with all of its figure."""

import os
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pgcheck.report.progress import LEAST_BAR, MOST_BAR, PERCENT, fitted
from tests.report.terminals import lines_of, seen_on_terminal

LABEL = "frozen-lake: 8,192 rollouts, bias below 12 %"
LEFT = ", 40 s left"
DRAWN_TWICE = f"""
from pgcheck.report.progress import ProgressBar, progress_bar
ProgressBar.SHOWN_AFTER = ProgressBar.DRAWN_EVERY = 0
with progress_bar("calling", quiet=False) as bar:
    bar._began -= 40 * 0.4 / 0.6  # seconds ago
    bar.named({LABEL!r}, 0.4)
    bar.named("two-state", 1)
print("done")
"""
BAR = "━"


def drawn(columns: int) -> list[str]:
    return lines_of(
        seen_on_terminal(
            [sys.executable, "-c", DRAWN_TWICE], columns, os.environ | {"NO_COLOR": "1", "COLUMNS": "200"}
        )
    )


@pytest.mark.parametrize(
    ("columns", "label"),
    [
        (100, LABEL + LEFT),
        (60, "frozen-lake: 8,192 rollouts, bias below 12 %, 40 s..."),
        (30, "frozen-lake: 8,192..."),
        (20, "frozen-lake..."),
        (8, ""),
    ],
)
def test_a_bar_is_one_line_that_fits(columns: int, label: str) -> None:
    lines = drawn(columns)
    assert lines[-1] == "done"
    assert max(map(len, lines)) <= columns
    assert not any("…" in line for line in lines)
    first = [line for line in lines if line.endswith(" 40 %")]
    assert {line.partition(BAR)[0].removesuffix("40 %").strip() for line in first} == {label}
    assert any(BAR in line for line in first) == (columns == 100)
    second = [line for line in lines if line.endswith(" 100 %")]
    assert second
    assert all((BAR in line) == (columns >= 30) for line in second)  # a short label leaves room


@given(st.text("ab, :日", max_size=80), st.integers(1, 120))
def test_a_line_is_never_wider_than_its_terminal(label: str, columns: int) -> None:
    shown, bar = fitted(label, columns)
    width = sum(2 if letter == "日" else 1 for letter in shown) + PERCENT
    assert width + bar + (bar > 0) <= max(columns, PERCENT)
    assert bar == 0 or LEAST_BAR <= bar <= MOST_BAR
    assert shown == label or not bar
    assert label.startswith(shown.removesuffix("..."))
