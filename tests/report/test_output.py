"""Pipes, files, terminals and signals, with real ones."""

import json
import os
import pty
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.conftest import HANG, ROOT, Run, pgcheck_command
from tests.report.terminals import lines_of, seen_on_terminal

COMMAND = " ".join(pgcheck_command())
ENV = {k: v for k, v in os.environ.items() if k not in ("PYTHONUNBUFFERED", "NO_COLOR", "FORCE_COLOR")}
both_ways = pytest.mark.parametrize("unbuffered", [False, True], ids=["buffered", "unbuffered"])


def shell(script: str, *, unbuffered: bool = False, **env: str) -> "subprocess.CompletedProcess[bytes]":
    environment = ENV | ({"PYTHONUNBUFFERED": "1"} if unbuffered else {}) | env
    return subprocess.run(
        ["bash", "-c", script], capture_output=True, env=environment, cwd=ROOT, timeout=HANG, check=False
    )


@both_ways
def test_a_reader_that_goes_away_is_no_error(unbuffered: bool) -> None:
    done = shell(f"{COMMAND} trajectories frozen_lake | head -1; echo ${{PIPESTATUS[0]}}", unbuffered=unbuffered)
    line, status = done.stdout.decode().splitlines()
    assert json.loads(line)["terminated"] in (True, False)
    assert (status, done.stderr) == ("141", b"")


@pytest.mark.parametrize(
    ("command", "unbuffered"),
    [
        ("exact", False),
        ("exact", True),
        ("converge", False),
        ("sample --format json", False),
        ("sample --format json", True),
        ("--help", False),
        ("--version", True),
    ],
)
def test_a_full_disk_exits_74(command: str, unbuffered: bool) -> None:
    done = shell(f"{COMMAND} {command} > /dev/full; echo $?", unbuffered=unbuffered)
    assert done.stdout == b"74\n"
    assert done.stderr.startswith(b"error: standard output: cannot be written: No space left on device")
    assert done.stderr.count(b"\n") == 1


@both_ways
def test_a_closed_stdout_exits_74(unbuffered: bool) -> None:
    done = shell(f"{COMMAND} exact >&-; echo $?", unbuffered=unbuffered)
    assert done.stdout == b"74\n"
    assert b"standard output is closed" in done.stderr


def test_a_closed_stderr_does_no_harm() -> None:
    assert shell(f"{COMMAND} exact frozen_lake 2>&- | head -1").stdout.startswith(b"frozen-lake")


@pytest.mark.parametrize(
    ("words", "status", "unbuffered"),
    [
        ("exact frozen_lake", 0, False),
        ("exact frozen_lake", 0, True),
        ("exact nope", 2, False),
        ("exact --nope", 2, True),
        ("nope", 2, False),
        ("verify dropped-gamma bandit", 0, True),
    ],
)
def test_a_full_disk_behind_stderr_leaves_the_status(words: str, status: int, unbuffered: bool) -> None:
    done = shell(f"{COMMAND} {words} 2> /dev/full; echo status $?", unbuffered=unbuffered)
    assert done.stdout.endswith(f"status {status}\n".encode())


def test_an_estimator_that_prints_does_not_see_a_full_disk_behind_stderr(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text("def f(batch):\n    print('hello')\n    return 0 * batch.theta\n")
    done = shell(f"cd {tmp_path}; {COMMAND} verify mine.py:f bandit 2> /dev/full; echo status $?")
    assert done.stdout.endswith(b"status 1\n")


def test_a_piped_table_is_never_cropped(run: Run) -> None:
    for words in (["exact", "--top", "10"], ["sample", "--n", "1e15", "--top", "10"], ["converge"], ["show"]):
        for env in ({"COLUMNS": "20"}, {"FORCE_COLOR": "1", "TERM": "dumb", "COLUMNS": "20"}, {"LINES": "2"}):
            text = run(*words, env=env).stdout
            assert "…" not in text
            assert "left stay > left move > right stay > right" in text or "--top" not in words


def test_a_long_name_is_printed_whole(run: Run, tmp_path: Path) -> None:
    name = "x" * 500
    (tmp_path / "m.yaml").write_text(
        f"{{horizon: 1, states: [{name}], actions: [a, b], start: {name},"
        f" transitions: {{{name}: {{a: {{to: {name}, reward: 1}}, b: {name}}}}}}}"
    )
    assert name in run("exact", "m.yaml").stdout


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
def test_any_encoding_of_the_terminal_will_do(run: Run, tmp_path: Path, encoding: str) -> None:
    (tmp_path / "m.yaml").write_text(
        "{horizon: 1, states: [日本, '[red]', ':smile:'], actions: [é, b], start: 日本,"
        " transitions: {日本: {é: {to: 日本, reward: 1}, b: 日本}, '[red]': {b: 日本}, ':smile:': {b: 日本}}}",
        encoding="utf-8",
    )
    environment = ENV | {"PYTHONIOENCODING": encoding}
    done = subprocess.run(
        [*pgcheck_command(), "exact", "m.yaml"], capture_output=True, cwd=tmp_path, env=environment, check=False
    )
    assert (done.returncode, done.stderr) == (0, b"")
    text = done.stdout.decode(encoding)
    assert "[red]" in text
    assert ":smile:" in text
    assert ("日本" in text) == (encoding == "utf-8")
    assert json.loads(
        subprocess.run(
            [*pgcheck_command(), "exact", "m.yaml", "--format", "json"],
            capture_output=True, cwd=tmp_path, env=environment, check=False,
        ).stdout
    )["parameters"][0] == ["日本", "é"]  # fmt: skip


def test_no_colour_in_a_pipe_unless_forced(run: Run) -> None:
    assert "\x1b" not in run("exact").stdout
    assert "\x1b" in run("exact", env={"FORCE_COLOR": "1"}).stdout
    assert "\x1b" not in run("exact", env={"FORCE_COLOR": "0"}).stdout
    assert "\x1b" not in run("exact", env={"FORCE_COLOR": "1", "NO_COLOR": "1"}).stdout
    assert "\x1b" not in run("exact", "--format", "json", env={"FORCE_COLOR": "1"}).stdout


def test_a_file_is_written_whole_or_not_at_all(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "out.json"
    file.write_text("old")
    file.chmod(0o640)
    assert run("exact", "nothing", "-o", str(file)).returncode == 2
    assert run("exact", "--method", "enumeration", "--max-trajectories", "3", "-o", str(file)).returncode == 2
    assert file.read_text() == "old"
    done = run("exact", "--format", "json", "-o", str(file))
    assert (done.returncode, done.stdout) == (0, "")
    assert json.loads(file.read_text())["trajectories"] == 23
    assert file.stat().st_mode & 0o777 == 0o640
    assert [path.name for path in tmp_path.iterdir()] == ["out.json"]


def test_output_goes_through_links_and_to_devices(run: Run, tmp_path: Path) -> None:
    (tmp_path / "real.txt").write_text("old")
    (tmp_path / "link.txt").symlink_to("real.txt")
    run("exact", "-o", "link.txt")
    assert (tmp_path / "link.txt").is_symlink()
    assert "two-state" in (tmp_path / "real.txt").read_text()
    assert run("exact", "-o", "/dev/null").returncode == 0
    assert Path("/dev/null").is_char_device()
    for target in ("/dev/full", "no/such/folder/x", "."):
        done = run("exact", "-o", target)
        assert done.returncode == 74
        assert done.stderr.startswith(f"error: {target}: cannot be written: ")


def on_terminal(words: list[str], columns: int, **env: str) -> str:
    """What a person sees of the command on a terminal of some width."""
    return seen_on_terminal([*pgcheck_command(), *words], columns, ENV | env)


@pytest.mark.parametrize(
    ("words", "columns"),
    [
        (["exact"], 40),
        (["exact"], 200),
        (["sample"], 40),
        (["converge", "--n", "10,1e12"], 40),
        (["converge", "--n", "10,1e12"], 80),
        (["exact", "--top", "3"], 40),
        (["exact", "--top", "3"], 80),
    ],
)
def test_no_digit_is_lost_on_a_terminal(run: Run, words: list[str], columns: int) -> None:
    piped = run(*words).stdout
    numbers = [word for word in piped.split() if any(c.isdigit() for c in word) and "%" not in word]
    text = on_terminal(words, columns, NO_COLOR="1")
    assert "…" not in text
    assert "\x1b[1m" not in text
    for number in numbers:
        assert number in text


def test_on_a_terminal_of_80_columns_no_line_is_longer() -> None:
    for words in (
        ["exact", "--top", "3"], ["sample", "--top", "3"], ["sample", "--n", "1e15"],
        ["converge", "--n", "10,1e15"], ["show"], ["models"],
    ):  # fmt: skip
        text = on_terminal(words, 80, NO_COLOR="1")
        assert max(len(line) for line in text.splitlines()) <= 80


@pytest.mark.parametrize(
    ("words", "columns"),
    [("verify reinforce", 80), ("verify dropped-gamma", 60), ("verify dropped-gamma", 80), ("nothing", 60),
     ("verify reinforce frozen_lake", 60), ("exact frozen_lake", 60), ("converge --n many", 80),
     ("sample -n 20 --top 2", 60)],
)  # fmt: skip
def test_words_are_wrapped_at_spaces(words: str, columns: int) -> None:
    text = on_terminal(words.split(), columns, NO_COLOR="1")
    assert max(len(line) for line in lines_of(text)) <= columns  # a bar's too, where the machine is slow
    assert "…" not in text


def test_verdicts_errors_and_notes_are_coloured_on_a_terminal_alone() -> None:
    assert "\x1b[1;31merror:\x1b[0m --n 'x'" in on_terminal(["sample", "--n", "x"], 80)
    assert on_terminal(["exact", "frozen_lake"], 80).startswith("\x1b[2mnote: ")
    assert "\x1b[1;32mPASS" in on_terminal(["verify", "reinforce", "bandit"], 80)
    assert "\x1b[1;31mFAIL" in on_terminal(["verify", "uniform-trajectories", "bandit"], 80)
    assert "\x1b[" not in on_terminal(["sample", "--n", "x"], 80, NO_COLOR="1")
    assert "\x1b[" not in on_terminal(["verify", "reinforce", "bandit"], 80, NO_COLOR="1")
    assert b"\x1b[" not in shell(f"{COMMAND} verify reinforce bandit; {COMMAND} nothing").stdout


def test_trajectories_are_a_table_on_a_terminal_and_lines_in_a_pipe() -> None:
    text = on_terminal(["trajectories", "bandit"], 80, NO_COLOR="1")
    assert text.split()[:3] == ["probability", "R", "trajectory"]
    assert "note" not in text  # few of them need no word
    lines = shell(f"{COMMAND} trajectories bandit").stdout.splitlines()
    assert all("probability" in json.loads(line) for line in lines)
    assert on_terminal(["trajectories", "bandit", "--format", "jsonl"], 80).startswith('{"probability"')


def test_endless_trajectories_are_announced() -> None:
    main, other = pty.openpty()
    words = [*pgcheck_command(), "trajectories", "frozen_lake"]
    process = subprocess.Popen(words, stdout=other, stderr=subprocess.PIPE, env=ENV, cwd=ROOT)
    assert process.stderr is not None
    assert process.stderr.readline().startswith(
        b"note: 3.8e96 trajectories: all of them are listed; stop with Ctrl-C"
    )
    process.kill()
    process.communicate()
    os.close(main)
    os.close(other)


@pytest.mark.parametrize(
    ("words", "number", "status"),
    [
        (["converge", "frozen_lake", "--n", "10,100,1e10", "--format", "jsonl"], signal.SIGINT, 130),
        (["converge", "frozen_lake", "--n", "10,100,1e10", "--format", "jsonl"], signal.SIGTERM, 143),
        (["exact", "frozen_lake", "--horizon", "11", "--max-trajectories", "1e12"], signal.SIGINT, 130),
        (["sample", "frozen_lake", "--n", "1e10"], signal.SIGTERM, 143),
    ],
)
def test_an_interruption_ends_at_once_with_its_status(words: list[str], number: signal.Signals, status: int) -> None:
    process = subprocess.Popen(
        [*pgcheck_command(), *words, "--workers", "1"],  # others would take the processor time that is waited for
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=ENV, cwd=ROOT,
    )  # fmt: skip
    # Start-up takes half a second of processor time, the whole work minutes; a signal that is not heeded is seen
    # by the status of what then ends by itself, or by HANG.
    while processor_seconds(process.pid) < 1.2:
        assert process.poll() is None
        time.sleep(0.05)
    process.send_signal(number)
    out, err = process.communicate(timeout=HANG)
    assert process.returncode == status
    assert re.fullmatch(rb"pgcheck: interrupted: (N = 10,000,000,000|enumerating|sampling): [\d.e-]+ % done\n", err)
    for line in out.splitlines():
        assert json.loads(line)["n"] in (10, 100)
    assert out == b"" or out.endswith(b"\n")


def processor_seconds(pid: int) -> float:
    """Seconds of processor time that a process has taken."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def test_rows_are_streamed_as_they_are_done() -> None:
    process = subprocess.Popen(
        [*pgcheck_command(), "converge", "frozen_lake", "--n", "10,1e10", "--format", "jsonl"],
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=ENV, cwd=ROOT,
    )  # fmt: skip
    assert process.stdout is not None
    first = process.stdout.readline()
    assert json.loads(first)["n"] == 10
    assert process.poll() is None
    process.kill()
    process.communicate()


def test_the_module_runs_like_the_command() -> None:
    assert subprocess.run([sys.executable, "-m", "pgcheck", "--version"], capture_output=True, check=True).stdout
