"""Each faulty file is refused at its place and in the right words.

A faulty file has one fault. Its first line, a comment, says where the fault is and gives a piece of the message;
`schema` in it says that the schema finds the fault too. Files that cannot have a comment are in `BARE`.
"""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from pgcheck.formats import problems
from tests.conftest import HANG, Run
from tests.formats.refusals import MODELS, refusal

FAULTY = sorted((MODELS / "faulty").glob("*.yaml"))
HEADER = re.compile(r"# fault (\d+):(\d+)(?: schema)?: (.+)")

BARE = {
    "bare_empty": (1, 1, "the file is empty; expected horizon, states, actions, start and transitions"),
    "bare_blank": (1, 1, "the file is empty"),
    "bare_mark_alone": (1, 1, "the file is empty"),
    "bare_latin_1": (1, 15, "byte 0xe0 is not UTF-8; save the file as UTF-8"),
    "bare_utf_8_cut_short": (17, 40, "byte 0xc3 is not UTF-8"),
    "bare_utf_8_surrogate": (1, 8, "byte 0xed is not UTF-8"),
    "bare_utf_8_overlong": (1, 8, "byte 0xc0 is not UTF-8"),
    "bare_utf_16_cut_short": (17, 34, "byte 0x0a is not UTF-16; save the file as UTF-8"),
    "bare_utf_16_surrogate": (1, 8, "byte 0x00 is not UTF-16"),
    "bare_utf_16_without_mark": (1, 1, "control character U+0000; save the file as UTF-8"),
    "bare_utf_32": (1, 1, "control character U+0000; save the file as UTF-8"),
    "bare_compressed": (1, 2, "byte 0x8b is not UTF-8"),
    "bare_nul": (1, 9, "control character U+0000"),
    "bare_escape_sequence": (1, 9, "control character U+001B; remove it"),
    "bare_c1_control": (1, 9, "control character U+009B; remove it"),
    "bare_delete": (1, 9, "control character U+007F; remove it"),
    "bare_noncharacter": (1, 9, "forbidden character U+FFFF; remove it"),
    "bare_mark_within": (3, 1, "forbidden character U+FEFF; remove it"),
}
BOMBS = {"alias_bomb", "merge_bomb", "alias_inside_its_anchor"}  # every anchor and alias is an error


def expected(path: Path) -> tuple[int, int, str]:
    """Line, column and a piece of the message."""
    if path.stem in BARE:
        return BARE[path.stem]
    header = HEADER.match(path.read_text(encoding="utf-8"))
    assert header, "the first line must say what the fault is"
    return int(header[1]), int(header[2]), header[3]


def test_there_are_enough_files_and_each_is_expected() -> None:
    assert len(FAULTY) >= 85
    assert {path.stem for path in FAULTY if path.stem.startswith("bare_")} == set(BARE)


@pytest.mark.parametrize("path", FAULTY, ids=lambda path: str(path.stem))
def test_a_faulty_file_is_refused_at_its_place(path: Path) -> None:
    line, column, piece = expected(path)
    message = refusal(path)
    assert message.startswith(f"{path}:{line}:{column}: error: ")
    assert piece in message.splitlines()[0]
    assert re.search(r"; .|\?$", message.splitlines()[0]), "how to fix it is missing"
    if path.stem not in BOMBS:
        assert message.count(": error: ") == 1
    assert max(map(len, message.splitlines())) < 400
    assert all(problems.hidden(line) is None for line in message.split("\n"))


@pytest.mark.parametrize("path", FAULTY, ids=lambda path: str(path.stem))
def test_the_caret_stands_below_the_fault(path: Path) -> None:
    line, column, _ = expected(path)
    message = refusal(path).splitlines()
    if len(message) < 3 or path.stem.startswith("bare_utf_16") or not message[1].isascii():
        return
    whole = re.split("\r\n|[\n\r]", path.read_bytes().decode("utf-8-sig", "replace"))[line - 1].replace("\t", " ")
    quote, caret = message[1].split(" | ", 1)[1], message[2].split(" | ", 1)[1].index("^")
    assert quote.strip(".") in whole
    assert column > len(whole) or quote[caret] == whole[column - 1]


@pytest.fixture(scope="session")
def refusals_by_the_parser_in_python() -> dict[str, str]:
    """What each faulty file is refused with where PyYAML has no parser in C."""
    code = """if True:
        import json, sys, yaml
        vars(yaml).pop("CSafeLoader", None)
        from pgcheck import ModelError, load
        refusals = {}
        for path in sys.argv[1:]:
            try:
                load(path)
            except ModelError as error:
                refusals[path] = str(error)
        print(json.dumps(refusals))
    """
    done = subprocess.run(
        [sys.executable, "-c", code, *map(str, FAULTY)], capture_output=True, text=True, timeout=HANG, check=True
    )
    return {str(path): str(refusal) for path, refusal in json.loads(done.stdout).items()}


@pytest.mark.parametrize("path", FAULTY, ids=lambda path: str(path.stem))
def test_the_parser_in_pure_python_refuses_it_there_too(
    path: Path, refusals_by_the_parser_in_python: dict[str, str]
) -> None:
    line, _, _ = expected(path)
    assert refusals_by_the_parser_in_python[str(path)].startswith(f"{path}:{line}:")


@pytest.mark.parametrize(
    "name",
    ["unclosed_bracket", "tab_indentation", "alias_bomb", "nested_without_end", "key_twice", "sum_too_small",
     "unknown_state_as_next", "number_of_5000_digits", "table_row_too_short", "bare_empty", "bare_compressed"],
)  # fmt: skip
def test_the_command_refuses_it_with_status_2(name: str, run: Run) -> None:
    path = MODELS / "faulty" / f"{name}.yaml"
    line, column, piece = expected(path)
    done = run("exact", str(path))
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"{path}:{line}:{column}: error: ")
    assert piece in done.stderr
    assert "Traceback" not in done.stderr
