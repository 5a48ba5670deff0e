"""Files that list checks: what they say is read, and every fault is told with FILE:LINE:COL."""

import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pgcheck.cli.verify_options import MEANINGS
from pgcheck.errors import ModelError
from pgcheck.formats.checks import Listed, has_checks, read_checks
from tests.conftest import ROOT

ONE = '[[check]]\nestimator = "reinforce"\n'


def read(tmp_path: Path, text: str | bytes, name: str = "checks.toml") -> list[Listed]:
    """The checks that a text lists, as a file of this name."""
    file = tmp_path / name
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    listed, problems = read_checks(str(file), MEANINGS)
    problems.check()
    return listed


def faults(tmp_path: Path, text: str | bytes, name: str = "checks.toml") -> list[str]:
    """What is said of a file, line by line, without the folder."""
    with pytest.raises(ModelError) as error:
        read(tmp_path, text, name)
    return str(error.value).replace(f"{tmp_path}/", "").splitlines()


def test_keys_of_a_check_stand_before_those_of_all(tmp_path: Path) -> None:
    first, second, third = read(
        tmp_path,
        """\
tolerance = 1e-3
models = "two_state"
off-policy = true
[[check]]
estimators = ["reinforce", "losses.py:mine", "reinforce"]
[[check]]
estimator = "cmd:./a.out 'x y'"
models = ["bandit", "mine.yaml"]
tolerance = "5%"
off-policy = false
expect = "fail"
""",
    )
    folder = f"{tmp_path}/"
    assert [it.estimator for it in (first, second, third)] == [
        "reinforce",
        f"{folder}losses.py:mine",
        "cmd:./a.out 'x y'",
    ]
    assert [it.expect for it in (first, second, third)] == ["pass", "pass", "fail"]
    assert first.entries == second.entries
    assert [it.values("tolerance") for it in (first, third)] == [(0.001,), (0.05,)]
    assert [it.values("off-policy") for it in (first, third)] == [(True,), (False,)]
    assert [it.values("models") for it in (first, third)] == [("two_state",), ("bandit", f"{folder}mine.yaml")]
    assert first.values("allow") == ()


def test_one_check_needs_no_table_of_its_own(tmp_path: Path) -> None:
    listed = read(tmp_path, 'estimators = ["reinforce", "reward-to-go"]\nseed = 7\n')
    assert [(it.estimator, it.values("seed")) for it in listed] == [("reinforce", (7,)), ("reward-to-go", (7,))]


@pytest.mark.parametrize("name", ["pyproject.toml", "checks.toml"])
def test_the_table_of_the_project_is_read_alone(tmp_path: Path, name: str) -> None:
    own = '[tool.pgcheck]\nseed = 3\n[[tool.pgcheck.check]]\nestimator = "gae"\n'
    text = f'[project]\nname = "x"\n{own}[tool.ruff]\nfoo = 1\n'
    (listed,) = read(tmp_path, text, name)
    assert (listed.estimator, listed.values("seed")) == ("gae", (3,))
    assert has_checks(str(tmp_path / name))


def test_a_project_without_the_table_lists_nothing(tmp_path: Path) -> None:
    assert faults(tmp_path, '[project]\nname = "x"\n[tool.ruff]\nx = 1\n', "pyproject.toml") == [
        "pyproject.toml:3:1: error: no table [tool.pgcheck]; it lists checks, each as [[tool.pgcheck.check]]",
        "    3 | [tool.ruff]",
        "      | ^",
    ]
    assert not has_checks(str(tmp_path / "pyproject.toml"))
    assert not has_checks(str(tmp_path / "absent.toml"))
    assert not has_checks(str(tmp_path))


@pytest.mark.parametrize(
    ("given", "placed"),
    [
        ("a.py:f", "ci/a.py:f"), ("../a.py:f", "ci/../a.py:f"), ("/x/a.py:f", "/x/a.py:f"), ("a.py", "ci/a.py"),
        ("package.module:f", "package.module:f"), ("gae", "gae"), ("cmd:python a.py:f", "cmd:python a.py:f"),
    ],
)  # fmt: skip
def test_estimators_are_relative_to_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given: str, placed: str
) -> None:
    (tmp_path / "ci").mkdir()
    (tmp_path / "ci" / "checks.toml").write_text(f"estimator = '{given}'\npolicy = '{given}'\n")
    monkeypatch.chdir(tmp_path)
    (listed,), _ = read_checks("ci/checks.toml", MEANINGS)
    assert listed.estimator == placed
    assert listed.values("policy") == (placed if given != "a.py" else "ci/a.py",)


@pytest.mark.parametrize(
    ("given", "placed"),
    [
        ("mine.yaml", "ci/mine.yaml"), ("two_state", "two_state"), ("two-state", "two-state"),
        ("./two_state", "ci/./two_state"),
        ("two_stat", "ci/two_stat"), ("m.npz", "ci/m.npz"), ("gym:CliffWalking-v1", "gym:CliffWalking-v1"),
        ("/x/m.POMDP", "/x/m.POMDP"), ("env.py:table", "ci/env.py:table"),
    ],
)  # fmt: skip
def test_models_are_relative_to_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given: str, placed: str
) -> None:
    (tmp_path / "ci").mkdir()
    (tmp_path / "ci" / "checks.toml").write_text(f"estimator = 'gae'\nmodels = ['{given}']\n")
    monkeypatch.chdir(tmp_path)
    (listed,), _ = read_checks("ci/checks.toml", MEANINGS)
    assert listed.values("models") == (placed,)


@pytest.mark.parametrize(
    ("text", "place", "says"),
    [
        ("toleranse = 1\n" + ONE, "1:1", "unknown key 'toleranse'; did you mean tolerance?"),
        (ONE + "batch_sizes = [2]\n", "3:1", "unknown key 'batch_sizes'; did you mean batch-sizes?"),
        (ONE + '"qqq" . x = 1\n', "3:1", "unknown key 'qqq'; expected estimator, estimators, expect, models,"),
        (ONE + "model = 'bandit'\n", "3:1", "unknown key 'model'; did you mean models?"),
        (ONE + "[check.models]\nx = 1\n", "3:1", "models: expected a list of texts in quotes"),
        ("format = 'json'\n" + ONE, "1:1", "format is of all checks, and of the command line: pgcheck verify"),
        ("workers = 2\n" + ONE, "1:1", "workers is of all checks"),
        (ONE + "tolerance = 2\n", "3:13", "tolerance '2': expected more than 0 and at most 100 %"),
        (ONE + "tolerance = true\n", "3:13", "tolerance: expected a number"),
        (ONE + "tolerance = [0.1]\n", "3:13", "tolerance: expected a number"),
        (ONE + "tolerance = nan\n", "3:13", "tolerance 'nan': expected more than 0"),
        (ONE + "off-policy = 'yes'\n", "3:14", "off-policy: expected true or false"),
        (ONE + "off-policy = 1\n", "3:14", "off-policy: expected true or false"),
        (ONE + "models = []\n", "3:10", "models: the list is empty; expected a list of texts in quotes, or leave"),
        (ONE + "allow = [ ]\n", "3:9", "allow: the list is empty"),
        (ONE + "models = ['bandit',\n  3]\n", "4:3", "models: expected a list of texts in quotes"),
        (ONE + "models = ['-']\n", "3:11", "models '-': standard input is for one check; name a file"),
        (
            ONE + "allow = [\n  'dropped-gamma', # fine\n  'droped-gamma',\n]\n", "5:3",
            "allow 'droped-gamma': not the id of a deviation; did you mean dropped-gamma?",
        ),
        (ONE + "allow = 1979-05-27\n", "3:9", "allow: expected a list of texts in quotes"),
        (ONE + "batch-sizes = [2, 65]\n", "3:19", "batch-sizes '65': expected 1 to 64"),
        (ONE + "batch-sizes = [2, 2.5]\n", "3:19", "batch-sizes '2.5': not a whole number"),
        (ONE + "batch-sizes = [2, [3]]\n", "3:19", "batch-sizes: expected a list of numbers"),
        (ONE + "max-trajectories = 0\n", "3:20", "max-trajectories '0': expected 1 to"),
        (ONE + "max-calls = 1e99\n", "3:13", "max-calls '1e+99': expected 1 to"),
        (ONE + "max-rollouts = 12\n", "3:16", "max-rollouts '12': expected 4,096 to"),
        (ONE + "evidence = 'sure'\n", "3:12", "evidence 'sure': expected auto, exact or sampled"),
        (ONE + "confidence = 0.1\n", "3:14", "confidence '0.1': expected at least 0.5"),
        (ONE + "seed = -1\n", "3:8", "seed '-1': expected 0 to"),
        (ONE + "timeout = 0\n", "3:11", "timeout '0': expected a number from 0.01"),
        (ONE + "horizon = 1.5\n", "3:11", "horizon '1.5': not a whole number"),
        (ONE + "gamma = 1.5\n", "3:9", "gamma '1.5': expected a number from 0 to 1"),
        (ONE + "entropy = -1\n", "3:11", "entropy '-1': expected a number from 0"),
        (ONE + "kl = 'x'\n", "3:6", "kl 'x': expected a number"),
        (ONE + "axes = 'xyz'\n", "3:8", "axes 'xyz': expected ast, sat"),
        (ONE + "rewards-on = 'both'\n", "3:14", "rewards-on 'both': expected leave or enter"),
        (ONE + "observe = 'all'\n", "3:11", "observe 'all': expected state,"),
        (ONE + "max-states = 'many'\nexplore = true\n", "3:14", "max-states 'many': expected a whole number"),
        (ONE + "start = 0\n", "3:9", "start: expected a text in quotes"),
        ("[[check]]\n", "1:1", 'a check needs estimator = "file.py:function", or estimators'),
        (ONE + "estimators = ['gae']\n", "3:14", "give estimator or estimators, not both"),
        ("[[check]]\nestimator = ['gae']\n", "2:13", "estimator: expected a text in quotes"),
        ("[[check]]\nestimators = []\n", "2:14", "estimators: the list is empty"),
        ("[[check]]\nestimator = ''\n", "2:13", "estimator '': a check needs estimator ="),
        ("[[check]]\nestimator = '-'\n", "2:13", "estimator '-': gradients on standard input are checked alone"),
        (ONE + "expect = 'passes'\n", "3:10", "expect: expected 'pass' or 'fail'"),
        (ONE + "expect = ['fail']\n", "3:10", "expect: expected 'pass' or 'fail'"),
        ("[check]\nestimator = 'gae'\n", "1:1", "check: expected tables; begin each with [[check]], in two brackets"),
        ("check = 3\n", "1:9", "check: expected tables"),
        ("check = [{estimator = 'gae'}, 3]\n", "1:9", "check: expected tables"),
        ("check = []\n", "1:1", "no checks; begin each with [[check]]"),
        ("", "1:1", "no checks; begin each with [[check]]"),
        ("# nothing\n", "1:1", "no checks; begin each with [[check]]"),
        ("estimator = 'gae'\n" + ONE, "1:13", "estimator is of one check; move it into one that begins with [["),
        ("expect = 'fail'\n", "1:1", "a check needs estimator ="),
        ("[tool]\npgcheck = 3\n", "2:11", "no table [tool.pgcheck]"),
        ("[tool.pgcheck]\n[[check]]\nestimator = 'gae'\n", "1:1", "no checks; begin each with [[tool.pgcheck.check"),
        ("tool.pgcheck.seed = -1\ntool.pgcheck.check = [{estimator = 'gae'}]\n", "1:21", "seed '-1': expected 0 to"),
        ("check = [{estimator = 'gae', seed = -1}]\n", "1:37", "seed '-1': expected 0 to"),
        ("check = [{estimator = 'gae'}, {models = 'bandit'}]\n", "1:31", "a check needs estimator ="),
        ("seed = 1\nseed = 2\n", "2:9", "not TOML: Cannot overwrite a value"),
        (ONE + "seed = \n", "3:8", "not TOML: Invalid value"),
        (ONE + "models = ['bandit'", "3:18", "not TOML: Unclosed array at the end of the file"),
        ("# \x85 \u2028 no line ends in TOML\r\nseed = 'é' x\r\n", "2:12", "not TOML:"),
        (b"seed = 1\n# \xff\n", "2:3", "byte 0xff is not UTF-8; save the file as UTF-8"),
        ("x = " + "[" * 20_000 + "]" * 20_000, "1:1", "values are nested too deeply"),
    ],
)  # fmt: skip
def test_a_fault_is_told_at_its_place(tmp_path: Path, text: str | bytes, place: str, says: str) -> None:
    first, *_ = faults(tmp_path, text)
    assert first.startswith(f"checks.toml:{place}: error: {says}")


def test_all_faults_are_told_with_their_lines(tmp_path: Path) -> None:
    text = 'seeed = 1\n[[check]]\nestimator = "gae"\nallow = ["x"]\ntolerance = "much"\n'
    told = faults(tmp_path, text)
    assert [line for line in told if line.startswith("checks")] == [
        "checks.toml:1:1: error: unknown key 'seeed'; did you mean seed?",
        "checks.toml:4:10: error: allow 'x': not the id of a deviation",
        "checks.toml:5:13: error: tolerance 'much': expected more than 0 and at most 100 %, like 5%, 0.05 or 1/20",
    ]
    assert told[-2:] == ['    5 | tolerance = "much"', "      |             ^"]


def test_twenty_faults_are_shown_and_the_others_counted(tmp_path: Path) -> None:
    told = faults(tmp_path, ONE + "".join(f"key{number} = 1\n" for number in range(25)))
    assert sum(": error: " in line for line in told) == 20
    assert told[-1] == "... and 5 more errors"


def test_a_wrong_default_is_told_once(tmp_path: Path) -> None:
    told = faults(tmp_path, "seed = -1\n" + ONE * 3)
    assert sum(": error: " in line for line in told) == 1


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("absent.toml", "no such file"),
        ("", "a directory"),
        ("x" * 300, "cannot be read: File name too long"),
        ("a\0b", "no such file"),
    ],
)
def test_a_file_that_cannot_be_read_has_no_lines(tmp_path: Path, name: str, says: str) -> None:
    with pytest.raises(ModelError) as error:
        read_checks(f"{tmp_path}/{name}", MEANINGS)
    assert f": error: {says}" in str(error.value)
    assert "\n" not in str(error.value)


def test_a_file_that_is_too_large_is_refused(tmp_path: Path) -> None:
    assert faults(tmp_path, b"#" * (2**22 + 1)) == [
        "checks.toml: error: more than 4,194,304 bytes; a file that lists checks has at most that many"
    ]
    assert len(read(tmp_path, ONE.encode() + b"#" * (2**22 - len(ONE)))) == 1


def test_a_byte_order_mark_is_no_fault(tmp_path: Path) -> None:
    assert len(read(tmp_path, b"\xef\xbb\xbf" + ONE.encode())) == 1


GOOD = (ROOT / "examples" / "checks.toml").read_text()
PIECES = (
    "",
    "[",
    "[[",
    "]",
    '"',
    '"""',
    "'",
    "=",
    ".",
    "\n",
    "{",
    "#",
    ",",
    "true",
    "nan",
    "models",
    "\x00",
    "\x85",
    "é",
)


@settings(max_examples=200, deadline=None)
@given(at=st.integers(0, len(GOOD)), gone=st.integers(0, 6), piece=st.sampled_from(PIECES))
def test_a_damaged_file_is_read_or_refused_at_a_place(
    tmp_path_factory: pytest.TempPathFactory, at: int, gone: int, piece: str
) -> None:
    folder = tmp_path_factory.getbasetemp()
    text = GOOD[:at] + piece + GOOD[at + gone :]
    try:
        assert read(folder, text, "damaged.toml")
    except ModelError as error:
        match = re.match(r"(.*)/damaged\.toml:(\d+):(\d+): error: .", str(error))
        assert match is not None
        assert 1 <= int(match[2]) <= text.count("\n") + 1
