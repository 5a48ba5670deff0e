"""Words wrapped at spaces, quoted lines cropped around their caret, code left alone."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pgcheck.report.terminal import is_coloured, wrapped


@given(st.lists(st.text("abc,.-/", min_size=1, max_size=18), min_size=1, max_size=60), st.integers(20, 80))
def test_no_word_is_cut_and_no_line_is_longer(words: list[str], width: int) -> None:
    text = wrapped(" ".join(words), width)
    assert text.split() == words
    assert max(map(len, text.splitlines())) <= width


def test_a_line_that_fits_and_code_stay_as_they_are() -> None:
    code = "    " + "estimate = torch_loss(loss)  # " + "x " * 60
    text = f"error: short\n{code}\n  indented"
    assert wrapped(text, 40) == text


def test_a_hint_keeps_its_indentation() -> None:
    text = wrapped("error: a\n  Lower the horizon from 12 to 9, or wait", 24)
    assert text == "error: a\n  Lower the horizon from\n    12 to 9, or wait"


@pytest.mark.parametrize("place", [0, 5, 30, 60, 89])
def test_a_quoted_line_is_cropped_around_its_caret(place: int) -> None:
    line = "".join(chr(33 + i) for i in range(90))
    quote, caret = wrapped(f"    7 | {line}\n      | {' ' * place}^", 60).split("\n")
    assert len(quote) <= 60
    assert quote[caret.index("^")] == line[place]
    assert quote.startswith("    7 | ")
    whole = f"    7 | {line}\n      | {' ' * place}^"
    assert wrapped(whole, 120) == whole


def test_colour_needs_a_terminal_or_is_forced(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("NO_COLOR", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm")
    assert is_coloured(True)
    assert not is_coloured(False)
    monkeypatch.setenv("TERM", "dumb")
    assert not is_coloured(True)
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert is_coloured(False)
    monkeypatch.setenv("NO_COLOR", "1")
    assert not is_coloured(True)
