"""Bad programs: each ends with exit status 2, and an error that says which line was wrong and what was expected."""

import time
from pathlib import Path

import pytest

from tests.conftest import Run
from tests.external.programs import LOOP, RIGHT, answering, program

EXPECTED = "expected a list of 23 gradients of 4 numbers (or 3 rows of 2, like theta), or one gradient"
NO_JSON = "is no list of numbers in JSON"
LATER = "if count < 3: {right}; continue\n    {then}"  # what is done from the third batch on
ROWS = "answer(header, message)"


def later(then: str) -> str:
    return LATER.format(right=RIGHT, then=then)


def changed(change: str) -> str:
    return f"rows = {ROWS}; {change}; print(json.dumps(rows), flush=True)"


# What is done with a batch, and what is said of it.
FAULTS = {
    "ends": ("sys.exit(0)", "ended with status 0 before line 1 of its output"),
    "ends later": (later("sys.exit(0)"), "ended with status 0 before line"),
    "fails": ("sys.exit(3)", "ended with status 3 before line 1 of its output"),
    "killed": (later("os.kill(os.getpid(), 9)"), "was killed by SIGKILL before line"),
    "closes its output": ("os.close(1); time.sleep(100)", "closed its standard output before line 1 of its output"),
    "garbage": ("print('garbage', flush=True)", f"line 1 of its output {NO_JSON}: garbage\n  {EXPECTED}"),
    "garbage later": (later("print('}{', flush=True)"), f"of its output {NO_JSON}: }}{{\n"),
    "an empty line": ("print(flush=True)", f"line 1 of its output is empty: \n  {EXPECTED}"),
    "a number": ("print(3, flush=True)", "line 1 of its output is no list of numbers: 3\n"),
    "an object": ("print('{}', flush=True)", "holds an object, where numbers are expected: {}\n"),
    "two lists": ("print('[1, 2] [3, 4]', flush=True)", "line 1 of its output is no list of numbers: [1, 2] [3, 4]"),
    "words": (changed("rows[0][0] = 'one'"), 'holds a string, where numbers are expected: [["one"'),
    "true": (changed("rows[0][0] = True"), "holds true or false, where numbers are expected: [[true"),
    "too few": (changed("rows.pop()"), "line 1 of its output holds lists of shape 22 x 4: [[0.0, 0.0, "),
    "too long": (changed("rows = [row + [0] for row in rows]"), "holds lists of shape 23 x 5: [["),
    "a number for each": (changed("rows = rows[0] * 6"), "holds 24 numbers: ["),
    "ragged": (changed("rows[5].pop()"), "holds lists of different lengths: [["),
    "nan": (changed("rows[7][1] = float('nan')"), "the estimator returned nan for an episode of"),
    "nan in C": ("print('[-nan, 1, 1, 1]', flush=True)", ", [-nan, 1, 1, 1]\n  the estimator returned nan for"),
    "infinity": ("print('[-Infinity, 1, 1, 1]', flush=True)", "the estimator returned -inf for a batch"),
    "too large for a number": ("print('[1e999, 1, 1, 1]', flush=True)", "the estimator returned inf for a batch"),
    "nan in JavaScript": ("print('[null, 1, 1, 1]', flush=True)", "the estimator returned nan for a batch"),
    "huge": ("print('[1e200, 1, 1, 1]', flush=True)", "the estimator returned numbers of size 1e+200"),
    "not UTF-8": ("os.write(1, b'\\xff\\xfe[1]\\n')", "line 1 of its output is not UTF-8: "),
    "nested": ("print('[' * 100000, flush=True)", f"line 1 of its output {NO_JSON}: [[["),
    "one line too many": (f"{RIGHT}; {RIGHT}", "of its output was not asked for: [["),
    "one line too many, later": (later(f"{RIGHT}; {RIGHT}"), "of its output was not asked for: [["),
    "colours": ("print('\\x1b[31mred', flush=True)", f"of its output {NO_JSON}: \\x1b[31mred"),
}  # fmt: skip


@pytest.mark.parametrize("name", sorted(FAULTS))
def test_a_bad_program_is_no_pass_and_its_line_is_named(run: Run, tmp_path: Path, name: str) -> None:
    body, message = FAULTS[name]
    done = run("verify", answering(tmp_path, body), "two_state", "--timeout", "60", "--format", "json")
    assert (done.returncode, done.stdout) == (2, "")
    assert message in done.stderr
    assert done.stderr.startswith("error: cmd:")
    assert len(max(done.stderr.splitlines(), key=len)) < 400


@pytest.mark.parametrize("name", ["too few", "too long", "ragged"])
def test_a_wrong_shape_says_what_was_expected(run: Run, tmp_path: Path, name: str) -> None:
    assert EXPECTED in run("verify", answering(tmp_path, FAULTS[name][0]), "two_state").stderr


def test_a_table_on_a_model_with_a_flat_theta_is_pointed_out(run: Run, tmp_path: Path) -> None:
    tables = "print(json.dumps([table(header, episode) for episode in message['episodes']]), flush=True)"
    done = run("verify", answering(tmp_path, tables), "early_exit")
    assert done.returncode == 2
    assert "holds lists of shape 23 x 4 x 3" in done.stderr
    assert "\n  expected a list of 23 gradients of 6 numbers, or one gradient\n" in done.stderr
    assert "A table of 4 states and 3 actions? This model's theta is flat" in done.stderr


def test_a_banner_is_a_wrong_line(run: Run, tmp_path: Path) -> None:
    banner = "print('Welcome to my program', flush=True)\n"
    done = run("verify", program(tmp_path, banner + LOOP.replace("BODY", RIGHT)), "two_state")
    assert (done.returncode, done.stdout) == (2, "")
    # It may come before or after the first batch was sent.
    faults = (
        f"{NO_JSON}: Welcome to my program\n  expected a list",
        "was not asked for: Welcome to my program\n  expected",
    )
    assert any(f"line 1 of its output {fault}" in done.stderr for fault in faults)


def test_an_answer_that_comes_one_batch_late_is_an_error(run: Run, tmp_path: Path) -> None:
    """It answers the header too, by which all its answers are one line late."""
    late = "print(json.dumps([0, 0, 0, 0]), flush=True)\n"
    done = run("verify", program(tmp_path, late + LOOP.replace("BODY", RIGHT)), "two_state")
    assert (done.returncode, done.stdout) == (2, "")
    assert "of its output was not asked for: [" in done.stderr


ONE = "[sum(column) / len(message['episodes']) for column in zip(*answer(header, message))]"


def test_answers_to_the_batch_before_are_an_error(run: Run, tmp_path: Path) -> None:
    """Each has the right form, and there are as many as batches."""
    source = "waiting = [[0, 0, 0, 0]]\n" + LOOP.replace(
        "BODY", f"waiting.append({ONE}); print(json.dumps(waiting.pop(0)), flush=True)"
    )
    done = run("verify", program(tmp_path, source), "two_state")
    assert (done.returncode, done.stdout) == (2, "")
    assert "of its output is the answer to the batch before\n  expected one line for each batch" in done.stderr


def test_answers_in_another_order_are_an_error(run: Run, tmp_path: Path) -> None:
    """The last of the batches that it finds waiting has its answer first."""
    source = """
import select
lines, answers, rest = [], [], b""
while data := os.read(0, 10**6):
    *lines, rest = (rest + data).split(b"\\n")
    answers = []
    for message in map(json.loads, lines):
        if "pgcheck" in message:
            header = message
        else:
            answers.append(json.dumps(ONE) + "\\n")
    os.write(1, "".join(reversed(answers)).encode())
"""
    done = run("verify", program(tmp_path, source.replace("ONE", ONE)), "two_state")
    assert (done.returncode, done.stdout) == (2, "")
    assert "of its output is not the answer that its batch has when it is sent alone\n  expected one" in done.stderr


@pytest.mark.parametrize(
    "body",
    ["time.sleep(1000)", "print(json.dumps(answer(header, message)))", "print(' ' * 100, end='', flush=True)"],
    ids=["sleeps", "does not flush", "no end of a line"],
)  # fmt: skip
def test_silence_ends_with_the_timeout(run: Run, tmp_path: Path, body: str) -> None:
    since = time.monotonic()
    done = run("verify", answering(tmp_path, body), "two_state", "--timeout", "0.5")
    assert (done.returncode, done.stdout) == (2, "")
    assert "did not answer within 0.5 seconds: line 1 of its output is missing" in done.stderr
    assert "flush its output after each answer" in done.stderr
    assert time.monotonic() - since < 60


def test_a_program_that_reads_nothing_does_not_hang(run: Run, tmp_path: Path) -> None:
    """The batch does not fit into the pipe."""
    done = run(
        "sample", "--estimator", program(tmp_path, "time.sleep(1000)"), "two_state", "--horizon", "9", "--n", "1e5",
        "--timeout", "0.5",
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (2, "")
    assert "did not answer within 0.5 seconds" in done.stderr


def test_a_line_without_an_end_is_cut_off(run: Run, tmp_path: Path) -> None:
    done = run("verify", answering(tmp_path, "while True: os.write(1, b'[' * 2**16)"), "two_state")
    assert (done.returncode, done.stdout) == (2, "")
    assert "line 1 of its output has more than 4,2" in done.stderr
    assert "bytes and no end: [[[" in done.stderr


def test_a_flood_of_lines_is_an_error(run: Run, tmp_path: Path) -> None:
    flood = f"{RIGHT}\n    while True: os.write(1, b'[0, 0, 0, 0]\\n' * 1000)"
    done = run("verify", answering(tmp_path, flood), "two_state")
    assert (done.returncode, done.stdout) == (2, "")
    assert "of its output was not asked for: [0, 0, 0, 0]" in done.stderr


def test_a_process_that_has_left_the_group_and_holds_the_pipes_does_not_hang(run: Run, tmp_path: Path) -> None:
    leaves = "import subprocess; subprocess.Popen(['sleep', '20'], start_new_session=True)\n    "
    done = run("verify", answering(tmp_path, leaves + "time.sleep(1000)"), "two_state", "--timeout", "0.5")
    assert done.returncode == 2
    assert "did not answer within 0.5 seconds" in done.stderr


# What does no harm; each is right, or wrong, as it is without.
HARMLESS = {
    "CRLF": "out = json.dumps(answer(header, message, WRONG)); os.write(1, out.encode() + b'\\r\\n')",
    "spaces": "out = json.dumps(answer(header, message, WRONG)); print('  ', out, '\\t', flush=True)",
    "a byte order mark": "out = json.dumps(answer(header, message, WRONG)).encode() + b'\\n'; "
    "os.write(1, (b'\\xef\\xbb\\xbf' if count == 1 else b'') + out)",
    "a megabyte": "print(json.dumps(answer(header, message, WRONG)) + ' ' * 10**6, flush=True)",
    "byte by byte": "out = json.dumps(answer(header, message, WRONG)).encode()\n    "
    "for k in range(0, len(out), 50): os.write(1, out[k:k + 50])\n    os.write(1, b'\\n')",
    "integers": "rows = answer(header, message, WRONG); "
    "rows = [[int(x) if x == int(x) else x for x in row] for row in rows]; print(json.dumps(rows), flush=True)",
    "a process besides": "import subprocess; subprocess.Popen(['sleep', '30']) if count == 1 else 0; "
    "print(json.dumps(answer(header, message, WRONG)), flush=True)",
}


@pytest.mark.parametrize("name", sorted(HARMLESS))
def test_what_does_no_harm(run: Run, tmp_path: Path, name: str) -> None:
    for wrong, status in (("False", 0), ("True", 1)):
        done = run("verify", answering(tmp_path, HARMLESS[name].replace("WRONG", wrong)), "two_state")
        assert done.returncode == status, done.stderr


def test_last_words_that_are_no_answer_do_no_harm(run: Run, tmp_path: Path) -> None:
    source = LOOP.replace("BODY", RIGHT)
    assert run("verify", program(tmp_path, source + "print('bye')\n"), "two_state").returncode == 0
    done = run("verify", program(tmp_path, source + "print([0, 0, 0, 0])\n"), "two_state")
    assert done.returncode == 2
    assert "was not asked for: [0, 0, 0, 0]" in done.stderr


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("cmd:", "cmd:: which program?"),
        ("cmd:'mine", "No closing quotation"),
        ("cmd:no-such-program-anywhere", "no program is called no-such-program-anywhere"),
        ("cmd:./absent", "no program is called ./absent"),
        ("cmd:closed.sh", "no program is called closed.sh; did you mean ./closed.sh?"),
        ("cmd:./closed.sh", "./closed.sh may not be run: chmod +x ./closed.sh"),
        ("cmd:./folder", "./folder may not be run: it is a folder"),
        ("cmd:./plain.txt", "./plain.txt cannot be run: Exec format error"),
        ("cmd:./missing.sh", "./missing.sh cannot be run: the interpreter that its first line names is missing"),
    ],
)
def test_a_program_that_cannot_be_started(run: Run, tmp_path: Path, spec: str, message: str) -> None:
    (tmp_path / "closed.sh").write_text("#!/bin/sh\n")
    (tmp_path / "folder").mkdir()
    for name, text in (("plain.txt", "text\n"), ("missing.sh", "#!/no/such/interpreter\n")):
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o755)
    for command in (["verify", spec, "bandit"], ["sample", "bandit", "--estimator", spec]):
        done = run(*command)
        assert (done.returncode, done.stdout) == (2, "")
        assert done.stderr.startswith("error: cmd:")
        assert message in done.stderr
