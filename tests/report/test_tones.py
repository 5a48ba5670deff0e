"""What stands out in colour: verdicts, ids, wrong numbers and weights; and that words or marks tell all of it too."""

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pgcheck.report.matrix import matrix_text
from pgcheck.report.terminal import wrapped
from pgcheck.report.view import Filled, Span, Toned
from pgcheck.verification.impulses import WeightMatrix
from tests.conftest import Run

CODE = re.compile(r"\x1b\[([\d;]*)m")
RED, GREEN, YELLOW = "1;31", "1;32", "1;33"
COLOURED = {"FORCE_COLOR": "1"}


def toned(text: str, code: str) -> list[str]:
    """The words that are shown with a code."""
    return re.findall(rf"\x1b\[{code}m(.*?)\x1b\[0m", text)


def marked(text: str) -> list[tuple[int, int]]:
    """The t and k of the weights with a mark in a matrix."""
    rows = re.findall(r"^  t=(\d)(.*)$", CODE.sub("", text), re.MULTILINE)
    return [(int(t), k) for t, row in rows for k, cell in enumerate(row.split()) if cell.endswith("*")]


def test_a_failure_shows_its_verdict_ids_rows_components_and_weights_in_red(run: Run) -> None:
    text = run("verify", "immediate-reward", "two_state", "bandit", env=COLOURED).stdout
    red = toned(text, RED)
    assert red[:2] == ["FAIL", "immediate-reward"]
    row = next(line for line in text.splitlines() if "two-state   " in line)
    assert toned(row, RED) == [re.findall(r"[\d.]+ %", row)[0]]
    assert (
        toned(next(line for line in text.splitlines() if line.startswith(" bandit")), RED) == []
    )  # it is right there
    components = re.findall(r": (?:\x1b\[1;31m)?([-\d.e]+)(?:\x1b\[0m)? where the gradient", text)
    assert len(components) == 3
    assert set(components) < set(red)
    assert red.count("    0*") == 6  # all later rewards of four steps
    assert toned(text, GREEN) == []


def test_a_pass_is_green_and_nothing_of_it_is_red(run: Run) -> None:
    text = run("verify", "reward-to-go", "two_state", env=COLOURED).stdout
    assert toned(text, GREEN) == ["PASS"]
    assert toned(text, RED) == []


def test_inconclusive_is_yellow(run: Run) -> None:
    words = "verify", "reinforce", "two_state", "--max-trajectories", "1", "--evidence", "exact"
    assert toned(run(*words, env=COLOURED).stdout, YELLOW)[0] == "INCONCLUSIVE"


def test_several_verdicts_stand_out_each_in_its_colour(run: Run) -> None:
    done = run("verify", "dropped-gamma", "reward-to-go", "none.py:f", "two_state", env=COLOURED)
    assert toned(done.stdout, RED) == ["1 of 3 PASS", "FAIL", "dropped-gamma", "ERROR"]
    assert toned(done.stdout, GREEN) == ["PASS"]


@pytest.mark.parametrize(
    "words",
    [
        ["verify", "dropped-gamma", "two_state", "early_exit"],
        ["verify", "dropped-gamma", "reinforce", "two_state"],
        ["verify", "normalised-returns", "two_state", "--evidence", "sampled", "--max-rollouts", "4096"],
        ["verify", "dropped-gamma", "two_state", "--allow", "dropped-gamma"],
        ["exact", "--top", "3"],
    ],
)
def test_colour_adds_nothing_but_colour_and_only_the_sixteen(run: Run, words: list[str]) -> None:
    plain, coloured = run(*words), run(*words, env=COLOURED)
    assert "\x1b" not in plain.stdout
    assert [line.rstrip() for line in CODE.sub("", coloured.stdout).splitlines()] == plain.stdout.splitlines()
    codes = {code for codes in CODE.findall(coloured.stdout) for code in codes.split(";")}
    assert codes <= {"0", "1", "2", "31", "32", "33"}  # of the terminal's own palette: no 38;5 or 38;2
    assert run(*words, env={**COLOURED, "NO_COLOR": "1"}).stdout == plain.stdout


def test_wrong_weights_have_a_mark_and_right_ones_and_those_of_past_rewards_none(run: Run) -> None:
    later = [(t, k) for t in range(4) for k in range(t + 1, 4)]
    assert marked(run("verify", "immediate-reward", "two_state").stdout) == later
    late = [(t, k) for t in range(1, 4) for k in range(t, 4)]
    text = run("verify", "dropped-gamma", "two_state").stdout
    assert marked(text) == late
    assert "(* marks a wrong one)" in text
    past = run("verify", "normalised-returns", "two_state").stdout
    assert "  t=3  -0." in past  # a reward before the step has a weight: that is no mistake
    assert all(k >= t for t, k in marked(past))


def test_a_right_matrix_has_no_marks_and_says_nothing_of_them() -> None:
    right = np.triu(np.broadcast_to(0.9 ** np.arange(3), (3, 3)))
    text = matrix_text(WeightMatrix(right, 0.9, True, 1e-12))
    assert "*" not in text
    assert {span.tone for span in text.spans} == {"plain"}
    right[0, 2] = 0.9
    text = matrix_text(WeightMatrix(right, 0.9, False, 1e-12))
    assert marked(text) == [(0, 2)]
    assert [span.text for span in text.spans if span.tone == "bad"] == ["  0.9*"]


WORDS = st.lists(st.tuples(st.text("abc-,.", min_size=1, max_size=12), st.sampled_from(["plain", "bad"])), min_size=1)


@settings(deadline=None)
@given(WORDS, st.integers(20, 60))
def test_words_keep_their_tone_wherever_lines_are_broken(words: list[tuple[str, str]], width: int) -> None:
    text = Toned(*(Span(f"{word} ", tone) for word, tone in words))  # type: ignore[arg-type]
    expected = [(letter, tone) for word, tone in words for letter in word]
    for broken in (text.broken_as(wrapped(text, width)), Filled(text, "  ").lines(width)):
        assert isinstance(broken, Toned)
        assert [(letter, span.tone) for span in broken.spans for letter in span.text if letter.strip()] == expected


def test_other_words_have_no_tone() -> None:
    text = Toned(Span("red", "bad"), " plain")
    assert text == "red plain"
    assert {span.tone for span in text.broken_as("re... plain").spans} == {"plain"}
    assert text.broken_as("red\nplain").spans == (Span("red", "bad"), Span("\nplain"))
