"""Places in TOML files: what stands at each of them is what `tomllib` reads there."""

import datetime
import tomllib
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from pgcheck.formats.toml_places import Path, places_in

HARD = '''\
# estimator = "commented.py:out"
tolerance = 1e-3 # models = ["no"]
"quoted key".'x' = [1, [2, "a, b ] # no"], {c = 3, d.e = [4]}]
text = """
models = ["looks like a key"]
[[check]]
""ends with two quotes: \\""""""
raw = \'\'\'
[table] = 'no' ''\'\'\'
when = 1979-05-27 07:32:00   # a date with a space
empty = []
none = {}

[[check]]
estimator = "a.py:f"
models = [
  "two_state",  # "not this"
  'mine.yaml',
]
sub.dotted."key" = true
[check.table]
x = 1
[[check.rows]]
y = 2
[[check.rows]]
y = 3

[[ "check" ]]
estimator = "é\\u00e9 = x"
[check.table]
x = 4
[tool]
[tool . "pgcheck"]
seed = -0
'''


def leaves(value: Any, path: Path = ()) -> list[tuple[Path, Any]]:
    """Every value that is neither a table nor an array of tables, with the elements of arrays."""
    if isinstance(value, dict):
        return [leaf for key, item in value.items() for leaf in leaves(item, (*path, key))]
    here = [] if isinstance(value, list) and value and isinstance(value[0], dict) else [(path, value)]
    items = enumerate(value) if isinstance(value, list) else ()
    return here + [leaf for index, item in items for leaf in leaves(item, (*path, index))]


def assert_places_are_right(text: str, shift: int = 0) -> None:
    """Each value, read again from its place alone, is what `tomllib` has read; so is the last part of its key."""
    places = places_in(text)
    for path, value in leaves(tomllib.loads(text)):
        place = places[path]
        assert read(f"again = {text[place.value + shift : place.end + shift]}\n") == {"again": value}, path
        if isinstance(path[-1], str):
            written = text[place.key : place.value].rstrip().removesuffix("=")
            assert _first_path(read(f"{written} = 1"))[-1] == path[-1], path


def read(text: str) -> dict[str, Any]:
    """What `tomllib` reads; nothing where it is not TOML."""
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return {}


def _first_path(table: dict[str, Any]) -> tuple[str, ...]:
    (key, value), *_ = table.items()
    return (key, *(_first_path(value) if isinstance(value, dict) else ()))


def test_every_value_is_found_where_it_stands() -> None:
    assert len(leaves(tomllib.loads(HARD))) > 20
    assert_places_are_right(HARD)
    assert_places_are_right(HARD.replace("\n", "\r\n"))


def test_a_wrong_place_would_be_seen() -> None:
    with pytest.raises(AssertionError):
        assert_places_are_right(HARD, shift=-1)


@pytest.mark.parametrize(
    ("path", "line"),
    [
        (("tolerance",), 2), (("quoted key",), 3), (("quoted key", "x", 1, 1), 3), (("text",), 4), (("when",), 10),
        (("check",), 14), (("check", 0), 14), (("check", 0, "models", 1), 18), (("check", 0, "sub", "dotted"), 20),
        (("check", 0, "table"), 21), (("check", 0, "table", "x"), 22), (("check", 0, "rows", 1, "y"), 26),
        (("check", 1), 28), (("check", 1, "estimator"), 29), (("check", 1, "table", "x"), 31), (("tool",), 32),
        (("tool", "pgcheck"), 33), (("tool", "pgcheck", "seed"), 34),
    ],
)  # fmt: skip
def test_keys_and_headers_are_on_their_lines(path: Path, line: int) -> None:
    assert HARD.count("\n", 0, places_in(HARD)[path].key) + 1 == line


TEXTS = st.text(st.sampled_from("ab=[]{}#,.\"'\\\n é\t"), max_size=8)
KEYS = st.sampled_from(["check", "models", "a b", "x.y", "é", '"', "[[check]]", "a=1", ""]) | TEXTS
SCALARS = (
    TEXTS | st.booleans() | st.integers(-9, 10**12) | st.floats(allow_nan=False)
    | st.datetimes(min_value=datetime.datetime(1900, 1, 1)) | st.dates(min_value=datetime.date(1900, 1, 1))
)  # fmt: skip
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3), max_leaves=6
)
TABLES = st.dictionaries(KEYS, VALUES, max_size=4)


@st.composite
def documents(draw: st.DrawFn) -> str:
    """TOML in a random style: pairs at the top, tables, and arrays of tables with tables of their own."""
    blank = st.sampled_from(["", " ", "\t", " # [[check]] x = 1\n", "\n"])
    lines = [_pairs(draw, draw(TABLES))]
    for number in range(draw(st.integers(0, 3))):
        name = _key(draw, f"table {number}") if draw(st.booleans()) else "list"
        brackets = "[[]]" if name == "list" else "[]"
        space = draw(st.sampled_from(["", " "]))
        half = len(brackets) // 2
        lines.append(
            f"{brackets[:half]}{space}{name}{space}{brackets[half:]}{draw(blank)}\n" + _pairs(draw, draw(TABLES))
        )
        if draw(st.booleans()):
            lines.append(f"[{name}.'below {number}']\n" + _pairs(draw, draw(TABLES)))
    return "".join(lines)


def _pairs(draw: st.DrawFn, table: dict[str, Any]) -> str:
    end = st.sampled_from(["\n", " # x = 1\n", "\n\n", "\r\n"])
    return "".join(
        f"{_key(draw, key)} ={draw(st.sampled_from(['', ' ']))}{_value(draw, value)}{draw(end)}"
        for key, value in table.items()
    )


def _key(draw: st.DrawFn, key: str) -> str:
    if key.isascii() and key.isalnum() and draw(st.booleans()):
        return key
    if "'" not in key and not _has_controls(key) and draw(st.booleans()):
        return f"'{key}'"
    return _quoted(key)


def _has_controls(text: str) -> bool:
    return any(ord(character) < 32 for character in text)


def _quoted(text: str) -> str:
    return '"' + "".join(f"\\u{ord(c):04x}" if ord(c) < 32 or c in '"\\' else c for c in text) + '"'


def _value(draw: st.DrawFn, value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return _text(draw, value)
    if isinstance(value, datetime.datetime):
        return value.isoformat(draw(st.sampled_from("T ")), timespec="microseconds")
    if isinstance(value, datetime.date):
        return value.isoformat()
    if isinstance(value, list):
        blank = draw(st.sampled_from(["", " ", "\n", " # ] }\n"]))
        items = ",".join(f"{blank}{_value(draw, item)}{blank}" for item in value)
        comma = "," if items and draw(st.booleans()) else ""
        return f"[{items}{comma}{blank}]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_key(draw, key)} = {_value(draw, item)}" for key, item in value.items()) + " }"
    return repr(value)


def _text(draw: st.DrawFn, text: str) -> str:
    style = draw(st.integers(0, 3))
    if style == 1 and "'" not in text and not _has_controls(text):
        return f"'{text}'"
    if style == 2 and "'''" not in text and not text.startswith("\n"):
        return f"'''{text}'''" if not text.endswith("'''") else _quoted(text)
    if style == 3:
        return '"""' + text.replace("\\", "\\\\").replace('"""', '\\"\\"\\"').replace("\t", "\\t") + '"""'
    return _quoted(text)


@settings(max_examples=300, deadline=None)
@given(documents())
def test_any_document_has_its_values_where_they_are_found(text: str) -> None:
    assume(read(text))  # not the same key in two spellings, or the like
    assert_places_are_right(text)
