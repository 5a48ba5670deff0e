"""Whatever happens to a model file, loading it ends soon: in a model, or in errors that say where they are.

`PGCHECK_FUZZ_EXAMPLES=50000 pytest tests/formats/test_fuzz.py` searches longer, and not the same way each time.
"""

import os
import random
import re
import resource
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pgcheck import ModelError
from pgcheck.formats import problems, sources
from pgcheck.formats.loading import load
from tests.conftest import HANG
from tests.limits import limited

ROOT = Path(__file__).resolve().parents[2]
VALID, FAULTY = (
    [path.read_bytes() for folder in folders for path in sorted(folder.glob("*.yaml")) if path.stat().st_size < 5000]
    for folders in (
        [sources.bundled_directory(), ROOT / "tests/formats/models/unusual"],
        [ROOT / "tests/formats/models/faulty"],
    )
)
CALLS = 2_000_000  # for a file of some thousand bytes; nearly all take less than 20,000
EXAMPLES = int(os.environ.get("PGCHECK_FUZZ_EXAMPLES", "0"))

ODD = (
    "\t", "\0", "\x1b", "\x85", "\u2028", "\u202e", "\ufeff", "\uffff", "é", "🙂", "\r", "\r\n", "\n", "\n\n", "  ",
    "", "&a ", "*a", "!!str ", "! ", "<<: ", "---\n", "...\n", "%TAG ! x\n", "%YAML 1.1\n", "[", "]", "{", "}", ",",
    ":", ": ", "- ", "? ", "# ", "|\n", ">-\n", "'", '"', "\\", "@", "`", "[[]]", "{}",
    "columns: [state, action, to]", "rows: [[]]", "done: true",
)  # fmt: skip
WORDS = (
    "~", "null", "true", "1/0", "1/3", "0", "-1", "2", "0.5", "1e999", "1e-999", "1e15", "1e16", "nan", ".inf", "0x1",
    "1_0", "1:2", "9" * 500, "1000000", "columns", "rows", "softmax", "start", "states", "p", "to", "terminal", "no",
    "linear", "weights", "features", "w1", "reference", "objective", "entropy", "kl",
)  # fmt: skip
JUNK = (
    b"\xff",
    b"\xc3",
    b"\xed\xa0\x80",
    b"\0",
    b"\xef\xbb\xbf",
    b"\xff\xfe",
    b"\xfe\xff",
    b"\x80",
    b"\xf4\x90\x80\x80",
)

Words = list[str]
Change = Callable[[Words, random.Random], None]


def delete(words: Words, rng: random.Random) -> None:
    at = rng.randrange(len(words))
    del words[at : at + rng.randint(1, 4)]


def duplicate(words: Words, rng: random.Random) -> None:
    at = rng.randrange(len(words))
    words[at:at] = words[at : at + rng.randint(1, 6)] * rng.choice((1, 1, 1, 40))


def swap(words: Words, rng: random.Random) -> None:
    a, b = rng.randrange(len(words)), rng.randrange(len(words))
    words[a], words[b] = words[b], words[a]


def insert(words: Words, rng: random.Random) -> None:
    words.insert(rng.randrange(len(words) + 1), rng.choice(ODD))


def replace(words: Words, rng: random.Random) -> None:
    words[rng.randrange(len(words))] = rng.choice((rng.choice(ODD), rng.choice(words)))


def reword(words: Words, rng: random.Random) -> None:
    places = [at for at, word in enumerate(words) if re.fullmatch(r"[\w./+-]+", word)]
    if places:
        words[rng.choice(places)] = rng.choice((rng.choice(WORDS), words[rng.choice(places)]))


CHANGES: tuple[Change, ...] = (delete, duplicate, swap, insert, replace, reword, reword, reword)
# What is changed: lines, words, or single characters.
CUTS = (r"[^\n]*\n|[^\n]+", r"[\w./+-]+|\s+|[^\w\s]", r"[\s\S]")


def mutate(data: bytes, rng: random.Random) -> bytes:
    """A few random changes to a model file."""
    text = data.decode(errors="replace")
    for _ in range(rng.choice((1, 1, 1, 2, 3, 8))):
        words = re.findall(rng.choice(CUTS), text) or [""]
        rng.choice(CHANGES)(words, rng)
        text = "".join(words)
    data = text.encode()
    if rng.random() < 0.05:
        data = data.decode().encode("utf-16")
    if rng.random() < 0.1:
        at = rng.randint(0, len(data))
        data = data[:at] + rng.choice(JUNK) + data[at + rng.randint(0, 1) :]
    return data


def check(path: str) -> None:
    """The file is read, or refused in the proper form, with little work."""
    try:
        with limited(calls=CALLS):
            load(path)
    except ModelError as error:
        message = str(error)
        lines = message.split("\n")
        # "\n" alone ends a line of the message: nothing from the file may.
        assert all(problems.hidden(line) is None for line in lines)
        count = len(re.findall(rf"^{re.escape(path)}:\d+:\d+: error: \S", message, re.MULTILINE))
        assert 1 <= count <= 20
        assert len(lines) <= 3 * count + 1
        assert max(map(len, lines)) < 1500


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(tmp_path_factory.mktemp("fuzz") / "m.yaml")


@given(st.sampled_from(VALID) | st.sampled_from(FAULTY), st.randoms(use_true_random=False))
@settings(max_examples=EXAMPLES or 400, deadline=None, derandomize=not EXAMPLES, database=None)
def test_a_changed_file_is_read_or_refused(file: str, data: bytes, rng: random.Random) -> None:
    Path(file).write_bytes(mutate(data, rng))
    check(file)


@given(st.text(max_size=200) | st.text(alphabet="[]{},:-?#&*!|>'\"%@ \nab01", max_size=200))
@settings(max_examples=EXAMPLES or 300, deadline=None, derandomize=not EXAMPLES, database=None)
def test_any_text_is_read_or_refused(file: str, text: str) -> None:
    Path(file).write_bytes(text.encode(errors="surrogatepass"))
    check(file)


@given(st.binary(max_size=100))
@settings(max_examples=EXAMPLES or 100, deadline=None, derandomize=not EXAMPLES, database=None)
def test_any_bytes_are_read_or_refused(file: str, data: bytes) -> None:
    Path(file).write_bytes(data)
    check(file)


def batch(seed: int, many: int) -> None:
    """Loads many changed files; prints the greatest memory in MB."""
    rng = random.Random(seed)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "m.yaml"
        for _ in range(many):
            path.write_bytes(mutate(rng.choice(rng.choice((VALID, VALID, FAULTY))), rng))
            check(str(path))
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10))


def test_changed_files_take_little_memory() -> None:
    code = f"from tests.formats.test_fuzz import batch; batch(0, {EXAMPLES or 500})"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=HANG + EXAMPLES, check=False
    )
    assert done.returncode == 0, done.stderr
    assert float(done.stdout) < 1000
