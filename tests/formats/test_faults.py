"""Each faulty file is refused at its place and in the right words; each unusual one is read for what it is.

A faulty file has one fault. Its first line, a comment, says where the fault is and gives a piece of the message;
`schema` in it says that the schema finds the fault too. Files that cannot have a comment are in `BARE`.
"""

import os
import re
import time
from pathlib import Path

import pytest
import yaml

import pgcheck
from pgcheck import ModelError, UsageError
from pgcheck.exact.gradient import exact_gradient
from pgcheck.formats import nodes, problems, sources
from pgcheck.formats.modelfile import load, load_model, loads
from pgcheck.formats.reader import number
from tests.conftest import Run

MODELS = Path(__file__).resolve().parent / "models"
FAULTY = sorted((MODELS / "faulty").glob("*.yaml"))
UNUSUAL = sorted((MODELS / "unusual").glob("*.yaml"))
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

# Name of the file: states, actions, J, trajectories; all but the first line of arithmetic by hand.
V = 1.25  # two steps from a: ((0 + (0 + 1)/2) + (1 + (2 + 0)/2))/2
READ = {
    "actions_differ_by_state": (2, 3, 2.0, 3),
    "all_states_terminal": (2, 1, 0.0, 2),
    "behavior_beside_the_policy": (1, 2, 0.0, 2),
    "block_style": (2, 2, V, 4),
    "flow_style": (2, 2, V, 4),
    "fractions": (3, 1, 5 / 6, 5),
    "json": (3, 2, V, 4),
    "json_without_spaces": (3, 2, V, 4),
    "keys_in_any_order": (2, 2, V, 4),
    "largest_horizon": (2, 1, None, None),
    "line_ends_of_old": (2, 2, V, 4),
    "line_ends_of_unicode": (2, 2, V, 4),
    "line_ends_of_windows": (2, 2, V, 4),
    "names_of_all_kinds": (10, 4, 0.5, 2),
    "names_that_yaml_takes_for_values": (15, 2, 14.0, 1),
    "number_of_5000_digits": (1, 1, 22 / 3, 1),
    "numbers_in_short": (1, 4, 25000.375, 4),
    "observation_named_as_a_state": (2, 2, 2.0, 4),
    "outcomes_of_probability_0": (2, 1, 2.0, 1),
    "outcomes_that_merge": (2, 1, 3.0, 2),
    "start_in_a_terminal_state": (2, 2, 1.5, 2),
    "states_by_number": (3, 1, 6.0, 1),
    "states_named_columns_and_rows": (2, 2, 3.0, 1),
    "sums_miss_1_by_1e_minus_10": (2, 1, 3.0, 4),
    "table": (2, 2, V, 4),
    "table_of_states_named_columns_and_rows": (2, 2, 3.0, 1),
    "table_of_three_columns": (3, 2, 0.0, 5),
    "table_without_rows": (1, 1, 0.0, 1),
    "tabs_between_words": (2, 2, V, 4),
    "terminal_state_with_an_empty_mapping": (2, 1, 1.0, 1),
    "utf_16_big_endian": (2, 2, V, 4),
    "utf_16_little_endian": (2, 2, V, 4),
    "utf_8_with_mark": (2, 2, V, 4),
}

SMALL = "horizon: 1\nstates: [a]\nactions: [go]\nstart: a\ntransitions: {a: {go: a}}\n"


def expected(path: Path) -> tuple[int, int, str]:
    """Line, column and a piece of the message."""
    if path.stem in BARE:
        return BARE[path.stem]
    header = HEADER.match(path.read_text(encoding="utf-8"))
    assert header, "the first line must say what the fault is"
    return int(header[1]), int(header[2]), header[3]


def refusal(source: Path | str) -> str:
    with pytest.raises(ModelError) as caught:
        load(source)
    return str(caught.value)


def refusal_of(text: str) -> str:
    with pytest.raises(ModelError) as caught:
        loads(text, "m.yaml")
    return str(caught.value)


def test_there_are_enough_files_and_each_is_expected() -> None:
    assert len(FAULTY) >= 85
    assert {path.stem for path in UNUSUAL} == set(READ)
    assert {path.stem for path in FAULTY if path.stem.startswith("bare_")} == set(BARE)


@pytest.mark.parametrize("path", FAULTY, ids=lambda path: str(path.stem))
def test_a_faulty_file_is_refused_at_its_place(path: Path) -> None:
    line, column, piece = expected(path)
    message = refusal(path)
    assert message.startswith(f"{path}:{line}:{column}: error: ")
    assert piece in message.splitlines()[0]
    assert re.search(r"; .|\?$", message.splitlines()[0]), "how to mend it is missing"
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


@pytest.mark.parametrize("path", FAULTY, ids=lambda path: str(path.stem))
def test_the_parser_in_pure_python_refuses_it_there_too(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    line, _, _ = expected(path)
    monkeypatch.setattr(nodes, "_LOADER", yaml.SafeLoader)
    assert refusal(path).startswith(f"{path}:{line}:")


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


@pytest.mark.parametrize("path", UNUSUAL, ids=lambda path: str(path.stem))
def test_an_unusual_file_is_read(path: Path) -> None:
    num_states, num_actions, value, trajectories = READ[path.stem]
    mdp, policy = load(path)
    assert (mdp.num_states, mdp.num_actions) == (num_states, num_actions)
    if value is not None:
        exact = exact_gradient(mdp, policy)
        assert exact.value == pytest.approx(value, abs=2e-9)
        assert exact.trajectories == trajectories


def test_names_are_the_raw_text() -> None:
    mdp, _ = load(MODELS / "unusual" / "names_that_yaml_takes_for_values.yaml")
    assert mdp.states[:9] == ("no", "on", "1_2", "007", "7", "1:2", "~", "null", "true")
    assert mdp.states[9:] == ("2024-01-01", "0x1F", ".inf", "=", "1e3", "-")
    mdp, policy = load(MODELS / "unusual" / "names_of_all_kinds.yaml")
    assert mdp.name == "[bold]rooms[/] :smile: 'x' \"y\""
    assert mdp.states[6:8] == ("\u00e9", "e\u0301"), "names that look alike and are spelt differently are two"
    assert policy.parameters[0] == ("two words", "[/]")


def test_the_forms_of_a_file_change_nothing_but_its_name() -> None:
    mdp, _ = load(MODELS / "unusual" / "flow_style.yaml")
    for name, (_, _, value, _) in READ.items():
        if value == V and not name.startswith("json"):
            other, _ = load(MODELS / "unusual" / f"{name}.yaml")
            for column in ("states", "actions", "horizon", "gamma"):
                assert getattr(mdp, column) == getattr(other, column)
            for column in ("state", "action", "next_state", "prob", "reward", "done", "start", "terminal"):
                assert getattr(mdp, column).tolist() == getattr(other, column).tolist()


def test_outcomes_of_probability_0_go_and_equal_ones_merge() -> None:
    assert load(MODELS / "unusual" / "outcomes_of_probability_0.yaml")[0].prob.tolist() == [1, 1]
    assert load(MODELS / "unusual" / "outcomes_that_merge.yaml")[0].prob.tolist() == [0.75, 0.25, 1]


def test_a_row_that_nearly_sums_to_1_is_normalised() -> None:
    mdp, _ = load(MODELS / "unusual" / "sums_miss_1_by_1e_minus_10.yaml")
    assert mdp.prob[:3].tolist() == pytest.approx([1 / 3] * 3, abs=1e-15)
    assert mdp.prob[3] == 1
    assert mdp.start.sum() == pytest.approx(1, abs=1e-15)


def test_the_behavior_is_a_second_policy() -> None:
    model = load_model(MODELS / "unusual" / "behavior_beside_the_policy.yaml")
    assert model.policy.theta.tolist() == [0, 0]
    assert model.behavior is not None
    assert model.behavior.theta.tolist() == [0.5, 0]
    assert load_model(MODELS / "unusual" / "flow_style.yaml").behavior is None


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
    begin = time.perf_counter()
    assert number(junk) is None
    assert time.perf_counter() - begin < 0.1


def test_at_most_20_errors_are_shown_and_the_rest_counted() -> None:
    for many, end in ((20, ""), (21, "\n... and 1 more error"), (1500, "\n... and 1,480 more errors")):
        text = SMALL.replace("{a: {go: a}}", "\n" + "".join(f"  b{i}: {{go: a}}\n" for i in range(many)))
        message = refusal_of(text)
        assert message.count(": error: ") == 20
        assert message.endswith(f"^{end}")


def test_faults_all_over_the_file_are_shown_at_once_in_order() -> None:
    message = refusal_of(
        "transitions: {a: {go: [{to: a, p: 0.5}]}}\nterminal: [b]\ngama: 1\nhorizon: x\nstart: {a: 2}\n"
        "states: [a]\nactions: [go]\nobservations: {c: d}\n"
    )
    assert re.findall(r"m\.yaml:(\d+):", message) == ["1", "2", "3", "4", "5", "8"]


def test_an_error_in_a_row_does_not_make_its_sum_an_error() -> None:
    nested = SMALL.replace("go: a", "go: [{to: a, p: 0.5}, {to: b, p: 0.5}]")
    assert refusal_of(nested).count(": error: ") == 1
    table = SMALL.replace(
        "{a: {go: a}}", "{columns: [state, action, to, p], rows: [[a, go, a, 0.5], [a, goo, a, 0.5]]}"
    )
    assert refusal_of(table).count(": error: ") == 1


def test_a_long_line_is_cropped_around_the_fault() -> None:
    text = SMALL.replace("[a]", f"[a, {', '.join(f's{i}' for i in range(2000))}, a, {'z' * 500}]")
    first, quote, caret = refusal_of(text).splitlines()
    assert (
        first
        == f"m.yaml:2:{text.splitlines()[1].index(' a, zz') + 2}: error: states: state 'a' stands twice; keep one"
    )
    assert len(quote) < 120
    assert quote[caret.index("^") :].startswith("a, zzz")
    assert quote.count("...") == 2


def test_columns_count_code_points_and_the_caret_counts_cells() -> None:
    text = SMALL.replace("{a: {go: a}}", "{a: {go: [{to: a}, {p: '日本é', to: 🙂}]}}")
    message = [line for line in refusal_of(text).splitlines() if "🙂" in line or "^" in line]
    assert message[-3].startswith("m.yaml:5:48: error: transitions.a.go[1].to: unknown state '🙂'")
    # Two cells for each of 日 and 本, and none for an accent of its own.
    assert message[-1].index("^") == message[-2].index("🙂") + 2


def test_a_name_cannot_reach_the_terminal_as_a_control() -> None:
    text = SMALL.replace("start: a", 'start: "\\e[31m\\u202e\\r\\x9b"')
    assert "unknown state '\ufffd[31m\ufffd\ufffd\ufffd'" in refusal_of(text)
    with pytest.raises(ModelError) as caught:
        loads("x", "\x1b[31m\n.yaml")
    assert str(caught.value).startswith("\ufffd[31m\ufffd.yaml:1:1: error: ")


@pytest.mark.parametrize("text", ["\ud800", "a: \ud83d", "\x00", "horizon: \x1b"])
def test_a_string_with_forbidden_characters_is_refused(text: str) -> None:
    assert "character U+" in refusal_of(text)


def test_a_string_may_begin_with_a_byte_order_mark() -> None:
    assert loads("\ufeff" + SMALL).mdp.num_states == 1


def test_the_name_is_that_of_the_file_unless_it_gives_one(tmp_path: Path) -> None:
    path = tmp_path / "my model.v2.yaml"
    path.write_text(SMALL)
    assert load(path)[0].name == "my model.v2"
    path.write_text("name: ours\n" + SMALL)
    assert load(str(path))[0].name == "ours"


def test_horizon_and_gamma_may_be_given_and_must_be_in_range() -> None:
    mdp, _ = load("two_state", horizon=7, gamma=0.25)
    assert (mdp.horizon, mdp.gamma) == (7, 0.25)
    for horizon in (0, -1, 10**15 + 1):
        with pytest.raises(UsageError, match=r"horizon .*; expected 1 to 1,000,000,000,000,000 steps"):
            load("two_state", horizon=horizon)
    for gamma in (-0.1, 1.1, float("nan"), float("inf")):
        with pytest.raises(UsageError, match=r"gamma .*; expected 0 to 1"):
            load("two_state", gamma=gamma)


def usage(source: str) -> str:
    with pytest.raises(UsageError) as caught:
        load(source)
    return str(caught.value)


def test_what_is_no_regular_file_is_refused(tmp_path: Path) -> None:
    assert usage(str(tmp_path)) == f"{tmp_path}: a directory; expected a model file, or - to read standard input"
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe")
        assert "pipe: not a regular file; expected a model file" in usage(str(tmp_path / "pipe"))
        assert "/dev/zero: not a regular file" in usage("/dev/zero")


def test_a_file_over_64_mb_is_refused_unread(tmp_path: Path) -> None:
    path = tmp_path / "big.yaml"
    with open(path, "wb") as file:
        file.truncate(64 * 2**20 + 1)
    assert usage(str(path)) == f"{path}: 67,108,865 bytes; a model file has at most 67,108,864"


def test_an_unknown_model_is_refused_with_the_nearest_one(tmp_path: Path) -> None:
    assert usage("two_sate") == "two_sate: no such file or bundled model; did you mean the bundled model two_state?"
    assert "random_walk" in usage("zzz")
    assert usage("").startswith("an empty name: no such file or bundled model; bundled models: two_state, ")
    for source in ("a\0b.yaml", "\ud800.yaml", "a\x1b.yaml"):
        assert problems.hidden(usage(source)) is None
    (tmp_path / "file").write_text("")
    assert "file/m.yaml: cannot be read: " in usage(str(tmp_path / "file" / "m.yaml"))
    assert "cannot be read: " in usage("x" * 5000 + ".yaml")


def test_a_bundled_name_may_have_hyphens() -> None:
    assert load("two-state")[0].name == load("two_state")[0].name == "two-state"


def test_standard_input_is_read_and_named(run: Run) -> None:
    assert run("exact", "-", stdin=SMALL).returncode == 0
    done = run("exact", "-", stdin="horizon: 1\n")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(
        "<stdin>:1:1: error: states, actions, start, transitions are missing; a model needs"
    )


def test_standard_input_that_cannot_be_read_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    closed = open(os.devnull)  # noqa: SIM115
    closed.close()
    monkeypatch.setattr("sys.stdin", closed)
    assert usage("-") == "standard input: cannot be read: it is closed"
    monkeypatch.setattr("sys.stdin", None)
    assert usage("-") == "standard input is closed; expected a model on it, because MODEL is -"


N = 1_000_000


@pytest.mark.parametrize(
    ("text", "piece"),
    [
        ("[" * N, "nested deeper than 32"),
        ("{a: " * N, "nested deeper than 32"),
        ("- " * N, "nested deeper than 32"),
        ("a: " * N, "not YAML"),
        ("a: \n" * 50_000, "key 'a' stands twice, first in line 1; keep one"),
        ("z: [1]\n" + "a: \n" * 50_000, "key 'a' stands twice, first in line 2"),
        ("[" + "1," * N + "]", "found a list"),
        ("x" * N, "found 'xxx"),
        ('"' + "x" * N, "close the quote"),
        ("horizon: " + "1" * N, "of at most 10,000 characters"),
        ("horizon: " + "1" * N + "x", "of at most 10,000 characters"),
        ("horizon: " + "1/" * N, "of at most 10,000 characters"),
        ("name: " + "x" * N, "a name of 1,000,000 characters; expected at most 1,000"),
        ("%TAG !a! b\n" * 50_000 + "---\na: 1", "directive %TAG; remove it"),
        ("--- 1\n" * 50_000, "a second document"),
        ("&a " * N, "anchor &a"),
        ("\n" * N + "\0", "control character"),
        ("\n" * N, "the file is empty"),
    ],
    ids=range(18),
)
def test_a_bomb_is_refused_at_once(text: str, piece: str) -> None:
    begin = time.perf_counter()
    assert piece in refusal_of(text)
    assert time.perf_counter() - begin < 3


def test_thousands_of_unknown_names_are_refused_at_once() -> None:
    names = [f"{i:06d}{'n' * 50}" for i in range(1000)]
    wrong = "".join(f"  {name[::-1]}x: {{go: {names[0]}}}\n" for name in names)
    text = f"horizon: 1\nstates: [{', '.join(names)}]\nactions: [go]\nstart: {names[0]}\ntransitions:\n{wrong}"
    begin = time.perf_counter()
    assert "... and 980 more errors" in refusal_of(text)
    assert time.perf_counter() - begin < 5


def test_every_bundled_model_is_found_by_its_name() -> None:
    names = sources.bundled_names()
    assert {pgcheck.load(name)[0].name.replace("-", "_") for name in names} == set(names)
