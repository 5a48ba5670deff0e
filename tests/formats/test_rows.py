"""Long tables of plain rows are read to the nodes that YAML's parser makes of them, or by that parser."""

import random
from dataclasses import astuple

import pytest

from pgcheck import ModelError
from pgcheck.formats import nodes, rows
from pgcheck.formats.modelfile import loads
from pgcheck.formats.rows import parse

HEAD = "horizon: 2\ngamma: 0.9\nstates: 3\nactions: [x, y]\nstart: 0\nterminal: [2]\n"
COLUMNS = "transitions:\n  columns: [state, action, to, p, reward]\n  rows:\n"
WORDS = ("0", "1", "-.5", "1e-3", "1/3", "x", "no", "007", "a-b", "...", "-1", "+2", "1_0")


def table(count: int, rng: random.Random, indent: str = "    ") -> str:
    spaces = ("", " ", "  ")
    return "".join(
        f"{indent}- [{rng.choice(spaces)}"
        + f",{rng.choice(spaces)}".join(rng.choice(WORDS) for _ in range(rng.randint(1, 6)))
        + f"{rng.choice(spaces)}]{rng.choice(spaces)}\n"
        for _ in range(count)
    )


@pytest.fixture(autouse=True)
def few_are_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rows, "MANY", 3)


def outcome(text: str, parser: object) -> object:
    assert callable(parser)
    try:
        return astuple(parser(text, "f"))
    except ModelError as error:
        return str(error)


@pytest.mark.parametrize("seed", range(40))
def test_rows_become_the_same_nodes(seed: int) -> None:
    rng = random.Random(seed)
    text = HEAD + COLUMNS + table(rng.randint(3, 9), rng) + "name: rows0\n"
    assert len(rows._without_rows(text)[1]) == 1
    assert outcome(text, parse) == outcome(text, nodes.parse)


SURROUNDED = (
    "a: |\n{}b: 1\n", "a: >-\n{}", "a: '\n{}'\n", "a: \"x\n{}\"\n", "a: word\n{}", "a: [x,\n{}]\n",
    "a: {{b:\n{}}}\n", "a:\n{}    c\n", "a:\n{}      c: 1\n", "a:\n    - b\n{}    - c\n", "a:\n{}b:\n{}", "{}",
    "a:\n{}\tb\n", "a:\n  - b\n{}", "a: &b\n{}", "a:\n{}---\n", "a:\n{}# rows\n{}", "? a\n:\n{}", "- a\n{}",
    "a:\n    - - b\n{}", "a: 'x\n{}", "a: !!seq\n{}b: *c\n", "a:\n{}    -\n", "a:\n{}    - [1, 2\n",
)  # fmt: skip


@pytest.mark.parametrize("form", SURROUNDED)
def test_whatever_stands_around_them_the_text_means_the_same(form: str) -> None:
    for seed in range(5):
        rng = random.Random(seed)
        text = form.format(*(table(4, rng) for _ in range(form.count("{}"))))
        assert outcome(text, parse) == outcome(text, nodes.parse), text


@pytest.mark.parametrize("seed", range(300))
def test_changed_texts_mean_the_same(seed: int) -> None:
    rng = random.Random(seed)
    text = HEAD + COLUMNS + table(4, rng) + table(4, rng, "      ") + table(5, rng)
    for _ in range(rng.randint(1, 4)):
        at = rng.randrange(len(text))
        put = rng.choice("\n -[],:#'\"&{}|\r\t0a\u2028\x85é?") * rng.choice((0, 1, 1, 2))
        text = text[:at] + put + text[at + rng.randrange(3) :]
    assert outcome(text, parse) == outcome(text, nodes.parse), text


def test_faults_in_rows_have_their_places() -> None:
    text = HEAD + COLUMNS + "    - [0, x, 1, 1, 0]\n" * 5 + "    - [0, x, 7,  -2, 0]\n" + "    - [0, x]\n"
    with pytest.raises(ModelError) as caught:
        loads(text)
    message = str(caught.value)
    assert "<string>:15:14: error: transitions.rows[5].to" in message
    assert "<string>:15:18: error: transitions.rows[5].p" in message
    assert "<string>:16:7: error: transitions.rows[6]: found 2 values" in message


def test_the_word_that_stands_for_rows_is_none_of_the_text() -> None:
    text = "rows0: [rows, rowss0]\na:\n" + "  - [1, 2]\n" * 3
    short, tables = rows._without_rows(text)
    assert list(tables) == ["rowsss0"]
    assert short.count("\n") == text.count("\n")


def test_too_many_values_are_refused_as_before(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (rows, nodes):
        monkeypatch.setattr(module, "MAX_NODES", 20)
    with pytest.raises(ModelError, match="more than 20 values"):
        parse("a:\n" + "  - [1, 2, 3]\n" * 6, "f")
