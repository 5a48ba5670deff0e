"""Texts that would take long to read, or fill the memory, are refused at once."""

import pytest

from tests.formats.refusals import refusal_of
from tests.limits import limited

N = 1_000_000


@pytest.mark.parametrize(
    ("text", "piece"),
    [
        ("[" * N, "nested deeper than 32"),
        ("{a: " * N, "nested deeper than 32"),
        ("- " * N, "nested deeper than 32"),
        ("a: " * N, "not YAML"),
        ("a: \n" * 400_000, "key 'a' appears twice, first in line 1; keep one"),
        ("z: [1]\n" + "a: \n" * 400_000, "key 'a' appears twice, first in line 2"),
        ("[" + "1," * N + "]", "found a list"),
        ("x" * N, "found 'xxx"),
        ('"' + "x" * N, "close the quote"),
        ("horizon: " + "1" * N, "of at most 10,000 characters"),
        ("horizon: " + "1" * N + "x", "of at most 10,000 characters"),
        ("horizon: " + "1/" * N, "of at most 10,000 characters"),
        ("name: " + "x" * N, "a name of 1,000,000 characters; expected at most 1,000"),
        ("".join(f"%TAG !{i}! b\n" for i in range(100_000)) + "---\na: 1", "directive %TAG; remove it"),
        ("--- 1\n" * 400_000, "a second document"),
        ("&a " * N, "anchor &a"),
        ("\n" * N + "\0", "control character"),
        ("\n" * N, "the file is empty"),
    ],
    ids=range(18),
)
def test_a_bomb_is_refused_at_once(text: str, piece: str) -> None:
    # At most a call for each character, and no call in C that takes long: at these lengths, whatever grows as the
    # square of the length needs minutes.
    with limited(calls=len(text) + 50_000):
        assert piece in refusal_of(text)


def test_thousands_of_unknown_names_are_refused_at_once() -> None:
    names = [f"{i:06d}{'n' * 10}" for i in range(1000)]
    wrong = "".join(f"  {name[::-1]}x: {{go: {names[0]}}}\n" for name in names)
    text = f"horizon: 1\nstates: [{', '.join(names)}]\nactions: [go]\nstart: {names[0]}\ntransitions:\n{wrong}"
    # The nearest name is looked for in 20 errors and among 250 names: 20 times 250 searches, not 1000 times 1000.
    with limited(calls=2_000_000):
        assert "... and 980 more errors" in refusal_of(text)
