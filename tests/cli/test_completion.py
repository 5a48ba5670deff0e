"""What shells offer after TAB: in a real bash, and word by word."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from pgcheck.cli.completion import answer, offer_for
from pgcheck.estimators import catalogue, names
from pgcheck.formats.sources import bundled_names
from pgcheck.verification.causes import known_ids
from tests.cli.shells import TAB, Bash, environment_of
from tests.conftest import HANG, ROOT

MINE = """
import sys
sys.exit("it ran")
WIDTHS = [1, 2]
def estimate(batch): return 0
def _hidden(batch): return 0
def needs_two(batch, more): return 0
def world(): return {}
def main(): estimate(world())
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with files to be offered, and others that must not be."""
    here = tmp_path / "here"
    (here / "sub dir").mkdir(parents=True)
    (here / "__pycache__").mkdir()
    (here / "my file.py").write_text(MINE)
    (here / "sub dir" / "deep.py").write_text("def only(batch): return 0\n")
    (here / "broken.py").write_text("def estimate(batch:\n")
    (here / "empty.py").write_text("import sys\n")
    (here / "gone.py").symlink_to("nowhere.py")
    (here / "mine.yaml").write_text((ROOT / "mdps" / "two_state.yaml").read_text())
    (here / "mkdocs.yml").write_text("site_name: none\n")
    (here / "old.npz").write_bytes(b"")
    (here / ".hidden.yaml").write_text("transitions: {}\n")
    (here / "checks.toml").write_text("")
    return here


@pytest.fixture
def offered(folder: Path, monkeypatch: pytest.MonkeyPatch) -> "Offered":
    monkeypatch.chdir(folder)
    return Offered()


class Offered:
    """The texts that are offered in place of the last word."""

    def __call__(self, *words: str) -> list[str]:
        return [candidate.text for candidate in offer_for(words).candidates]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home folder, in which `--install-completion` was run from bash."""
    home = tmp_path_factory.mktemp("home")
    done = subprocess.run(
        ["bash", "-c", "pgcheck --install-completion; exit $?"], env=environment_of(home), capture_output=True,
        text=True, timeout=HANG, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    assert str(home / ".bash_completions" / "pgcheck.sh") in done.stdout
    return home


@pytest.fixture
def bash(folder: Path, home: Path) -> Iterator[Bash]:
    shell = Bash(folder, home)
    yield shell
    shell.close()


@pytest.mark.parametrize(
    ("typed", "line"),
    [
        ("pgcheck conv", "pgcheck conver"),  # converge or convert
        ("pgcheck trajec", "pgcheck trajectories "),
        ("pgcheck exact two", "pgcheck exact two_state "),
        ("pgcheck verify reward", "pgcheck verify reward-to-go "),
        ("pgcheck verify my", r"pgcheck verify my\ file.py:estimate "),
        (r"pgcheck verify my\ file.py:e", r"pgcheck verify my\ file.py:estimate "),
        ("pgcheck verify 'my f", "pgcheck verify 'my file.py:estimate' "),
        ("pgcheck exact my", r"pgcheck exact my\ file.py:world "),
        ("pgcheck verify sub", r"pgcheck verify sub\ dir/deep.py:only "),
        ("pgcheck verify gae --allow sign,off", "pgcheck verify gae --allow sign,off-by-one "),
        ("pgcheck compare --estimator=gae,rein", "pgcheck compare --estimator=gae,reinforce "),
        ("pgcheck exact --method b", "pgcheck exact --method backward-induction "),
        ("pgcheck verify broken.py:", "pgcheck verify broken.py:"),
        ("pgcheck nothing two", "pgcheck nothing two"),
    ],
)
def test_a_real_bash_completes(bash: Bash, typed: str, line: str) -> None:
    assert bash.line_after(typed + TAB) == line
    assert "Traceback" not in bash.seen
    assert "error" not in bash.seen


def test_a_real_bash_lists_all_there_is(bash: Bash) -> None:
    models = {*bundled_names(), "mine.yaml", "old.npz", "my file.py:", "sub dir/"}
    assert set(bash.candidates("pgcheck exact ")) == {"pgcheck", "exact", *models}


def test_without_the_script_a_real_bash_completes_files_alone(folder: Path, tmp_path: Path) -> None:
    (tmp_path / ".bashrc").write_text("")
    shell = Bash(folder, tmp_path)
    try:
        assert shell.line_after("pgcheck exact two" + TAB) == "pgcheck exact two"
        assert shell.line_after("pgcheck exact mk" + TAB) == "pgcheck exact mkdocs.yml "
    finally:
        shell.close()


def test_commands_and_options_are_offered_by_their_beginning(offered: Offered) -> None:
    assert offered("conv") == ["converge", "convert"]
    assert offered("--ver") == ["--version"]
    assert offered("exact", "--ma") == ["--max-trajectories", "--max-states"]
    assert offered("exact", "--gamma", "1", "--gam") == []  # it counts once
    assert offered("verify", "reinforce", "--allow", "scale", "--all") == ["--allow"]  # this one may come again
    assert "--trajectories" not in offered("exact", "--")  # an old name
    assert offered("conver", "") == offered("schema", "two") == offered("exact", "bandit", "two") == []


def test_a_model_is_bundled_or_a_file_in_the_folder_or_made_by_one(offered: Offered) -> None:
    assert offered("exact", "two") == ["two_state"]
    assert offered("exact", "--quiet", "m") == ["mine.yaml", "my file.py:"]  # mkdocs.yml has no transitions
    assert offered("show", "my") == ["my file.py:world"]
    assert offered("exact", "o") == ["old.npz"]
    assert offered("exact", ".h") == [".hidden.yaml"]
    assert not {"mkdocs.yml", ".hidden.yaml", "__pycache__/"} & set(offered("exact", ""))


def test_an_estimator_is_built_in_or_a_function_of_one_argument(offered: Offered) -> None:
    every = offered("verify", "")
    assert [word for word in every if word in names.NAMES] == list(catalogue.NAMES)
    assert set(every) - set(names.NAMES) == {"my file.py:", "sub dir/"}
    assert offered("verify", "my file.py:") == ["my file.py:estimate"]
    assert offered("verify", "broken.py:") == offered("verify", "none.py:") == offered("verify", "empty.py:") == []
    assert offered("sample", "--estimator", "my") == ["my file.py:estimate"]
    assert offered("sample", "--estimator", "gae,rew") == ["gae,reward-to-go"]
    assert offered("sample", "--estimator", "gae,ga") == []  # it is there


def test_after_an_estimator_comes_another_or_a_model_and_after_a_model_no_estimator(offered: Offered) -> None:
    assert {"gae", "two_state", "my file.py:"} <= set(offered("verify", "reinforce", ""))
    assert "reinforce" not in offered("verify", "reinforce", "")
    after = offered("verify", "reinforce", "my file.py:estimate", "bandit", "")
    assert "two_state" in after
    assert not {*names.NAMES} & {*after}
    assert not {*names.NAMES} & {*offered("verify", "reinforce", "my file.py:world", "")}


def test_ids_are_offered_also_after_a_comma(offered: Offered) -> None:
    assert offered("verify", "x.py:f", "--allow", "") == list(known_ids())
    assert offered("verify", "x.py:f", "--allow", "sign,undis") == ["sign,undiscounted"]
    assert offered("verify", "x.py:f", "--allow=sign,undis") == ["--allow=sign,undiscounted"]
    assert offered("verify", "x.py:f", "--allow", "sign,sig") == []


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["exact", "--format", ""], ["table", "json", "jsonl", "csv"]),
        (["exact", "--format=js"], ["--format=json", "--format=jsonl"]),
        (["exact", "--method", ""], ["enumeration", "backward-induction"]),
        (["exact", "--by", ""], ["probability", "share"]),
        (["exact", "--workers", ""], ["auto"]),
        (["exact", "--axes", "s"], ["sat", "sta"]),
        (["exact", "--rewards-on", ""], ["leave", "enter"]),
        (["exact", "--observe", ""], ["state", "observation", "memoryless"]),
        (["exact", "--policy", ""], ["my file.py:", "sub dir/"]),
        (["verify", "r", "--evidence", ""], ["auto", "exact", "sampled"]),
        (["verify", "--config", "ch"], ["checks.toml"]),
        (["exact", "--gamma", ""], []),
        (["exact", "--output", "m"], []),  # any file: the shell's own matter
    ],
)
def test_options_offer_what_they_take(offered: Offered, words: list[str], expected: list[str]) -> None:
    assert offered(*words) == expected


def test_words_that_are_offered_are_taken(offered: Offered) -> None:
    from pgcheck.verification.verdict import EVIDENCE

    assert tuple(offered("verify", "r", "--evidence", "")) == EVIDENCE
    assert names.NAMES == catalogue.NAMES == tuple(estimator.name for estimator in catalogue.ESTIMATORS)


def told(shell: str, capsys: pytest.CaptureFixture[str], **variables: str) -> tuple[int, str]:
    status = answer(shell, variables)
    return status, capsys.readouterr().out


def test_zsh_gets_code_that_describes_and_files_only_where_they_belong(
    offered: Offered, capsys: pytest.CaptureFixture[str]
) -> None:
    line = "_TYPER_COMPLETE_ARGS"
    assert told("zsh", capsys, **{line: "pgcheck verify my\\ f"}) == (
        0,
        "local -a offered; offered=('my file.py\\:estimate'); _describe '' offered\n",
    )
    assert (
        "'my file.py\\:' 'sub dir/'); _describe '' offered -S ''"
        in told("zsh", capsys, **{line: "pgcheck exact "})[1]
    )
    assert told("zsh", capsys, **{line: "pgcheck exact --output "}) == (0, "_files\n")
    assert told("zsh", capsys, **{line: "pgcheck exact --gamma "}) == (0, "")


def test_fish_gets_lines_and_is_told_where_files_belong(offered: Offered, capsys: pytest.CaptureFixture[str]) -> None:
    for words, is_args, lines in (
        ("verify 'my f", 0, "my file.py:estimate\n"),
        ("exact --gamma ", 0, ""),
        ("exact --output ", 1, ""),
        ("verify broken.py:", 0, ""),
    ):
        line = {"_TYPER_COMPLETE_ARGS": f"pgcheck {words}"}
        assert told("fish", capsys, **line, _TYPER_COMPLETE_FISH_ACTION="is-args") == (is_args, "")
        assert told("fish", capsys, **line, _TYPER_COMPLETE_FISH_ACTION="get-args")[1] == lines


@pytest.mark.parametrize("variables", [{}, {"COMP_WORDS": "pgcheck", "COMP_CWORD": "x"}, {"COMP_WORDS": "pgcheck"}])
def test_nothing_is_printed_where_the_line_cannot_be_read(
    capsys: pytest.CaptureFixture[str], variables: dict[str, str]
) -> None:
    status, text = told("bash", capsys, **variables)
    assert text == ""
    assert capsys.readouterr().err == ""
    assert status in (0, 1)


def test_a_shell_is_answered_without_numpy_and_without_a_parser() -> None:
    script = (
        "import os, sys\n"
        "os.environ |= {'_PGCHECK_COMPLETE': 'complete_bash', 'COMP_CWORD': '2'}\n"
        "os.environ['COMP_WORDS'] = 'pgcheck\\nverify\\nr'\n"
        "from pgcheck.cli.main import run\nassert run([]) == 0\nprint('loaded', *sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=HANG)
    *lines, loaded = done.stdout.splitlines()
    assert lines == ["reinforce", "reward-to-go"]
    assert not {"numpy", "yaml", "pydantic", "pgcheck.report.printer"} & set(loaded.split())
    assert "pgcheck.cli.completion" in loaded.split()
