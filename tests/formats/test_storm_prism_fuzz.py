"""Whatever happens to an explicit model or to a file beside it, loading it ends soon: in a model, or in errors.

`PGCHECK_FUZZ_EXAMPLES=50000 pytest tests/formats/test_storm_prism_fuzz.py` searches longer, and otherwise.
"""

import os
import random
import re
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pgcheck import ModelError, TooLargeError, UsageError
from pgcheck.formats import problems
from pgcheck.formats.given import Options
from pgcheck.formats.loading import load
from tests.conftest import HANG
from tests.formats.explicit_models import FOLDER
from tests.formats.test_fuzz import CALLS, CHANGES, JUNK, ROOT, WORDS, Words
from tests.limits import limited

FILES = {path.name: path.read_bytes() for path in sorted(FOLDER.iterdir())}
MODELS = [name for name in FILES if name.endswith((".tra", ".drn"))]
EXAMPLES = int(os.environ.get("PGCHECK_FUZZ_EXAMPLES", "0"))
OPTIONS: tuple[Options, ...] = (
    {}, {"rewards": "fuel"}, {"rewards": "fuel", "terminal": "over"}, {"rewards": "samples", "start": "uniform"},
    {"rewards": "rew0"}, {"start": "0"}, {"terminal": "goal"}, {"start": "(base,false)", "rewards": "fuel"},
)  # fmt: skip

TOKENS = (
    "999999", "1000000", "999999999", "9999999999999999999", "-1", "0.5", "1e-3", "2/3", "[0,1]", "[1, 2]", "[]", "[",
    "]", "{3}", "# Transitions (DTMC)\n", "# Transitions (POMDP)\n", '# Reward structure "x"\n', "- - 0 - 0\n",
    "state 0\n", "state 5\n", "\taction a\n", "@nr_states\n", "@model\n", "@placeholders\n", "@reward_models\n", "$0",
    "// x\n", '0="init"', '"', "0: 0\n", "0:(x)\n", "0 0 1\n", "0 0 0 1\n", "0 0 0 0 1 a\n", "__NOLABEL__", " ", "\t",
    "\n", "\r", "\x85",
)  # fmt: skip
CUTS = (r"[^\n]*\n|[^\n]+", r"[\w./+-]+|\s+|[^\w\s]", r"[\s\S]")


def put(words: Words, rng: random.Random) -> None:
    """Puts a word of these formats in the place of another, or between two."""
    at = rng.randrange(len(words))
    words[at : at + rng.randint(0, 1)] = [rng.choice((rng.choice(TOKENS), rng.choice(WORDS)))]


def mutate(data: bytes, rng: random.Random) -> bytes:
    """A few random changes to a file."""
    text = data.decode(errors="replace")
    for _ in range(rng.choice((1, 1, 1, 2, 3, 8))):
        words = re.findall(rng.choice(CUTS), text) or [""]
        rng.choice((*CHANGES, put, put, put))(words, rng)
        text = "".join(words)
    data = text.encode(errors="replace")
    if rng.random() < 0.05:
        at = rng.randint(0, len(data))
        data = data[:at] + rng.choice(JUNK) + data[at:]
    return data


def write(folder: Path, rng: random.Random) -> Path:
    """A model, of whose files some are changed, and some missing."""
    name = rng.choice(MODELS)
    stem, ending = name.split(".")
    beside = [other for other in FILES if other.startswith(stem) and ending == "tra" and not other.endswith("drn")]
    changed = {name, rng.choice(beside or [name])} if rng.random() < 0.3 else {rng.choice(beside or [name])}
    for old in folder.iterdir():
        old.unlink()
    for other in beside or [name]:
        if other == name or rng.random() < 0.9:
            data = FILES[other]
            (folder / other).write_bytes(mutate(data, rng) if other in changed else data)
    return folder / name


def check(path: Path, options: Options) -> None:
    """The model is read, or refused in the proper form, with little work."""
    folder = re.escape(str(path.parent))
    try:
        with limited(calls=CALLS):
            load(path, horizon=5, **options)
    except ModelError as error:
        lines = str(error).split("\n")
        assert all(problems.hidden(line) is None for line in lines)
        count = len(re.findall(rf"^{folder}/\w+\.\w+:(\d+:\d+:)? error: \S", str(error), re.MULTILINE))
        assert 1 <= count <= 20
        assert len(lines) <= 3 * count + 1
        assert max(map(len, lines)) < 1500
    except (UsageError, TooLargeError) as error:
        lines = str(error).split("\n")
        assert all(problems.hidden(line) is None for line in lines)
        assert len(lines) <= 2
        assert max(map(len, lines)) < 1500


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("explicit")


@given(st.randoms(use_true_random=False))
@settings(max_examples=EXAMPLES or 400, deadline=None, derandomize=not EXAMPLES, database=None)
def test_a_changed_model_is_read_or_refused(folder: Path, rng: random.Random) -> None:
    check(write(folder, rng), rng.choice(OPTIONS))


@given(
    st.text(max_size=200) | st.text(alphabet="0123456789 .\n:[]{}@#-atcoin", max_size=200), st.sampled_from(MODELS)
)
@settings(max_examples=EXAMPLES or 200, deadline=None, derandomize=not EXAMPLES, database=None)
def test_any_text_is_read_or_refused(folder: Path, text: str, name: str) -> None:
    for old in folder.iterdir():
        old.unlink()
    (folder / name).write_bytes(text.encode(errors="surrogatepass"))
    check(folder / name, {})


def batch(seed: int, many: int) -> None:
    """Loads many changed models; prints the greatest memory in MB."""
    rng = random.Random(seed)
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(many):
            check(write(Path(folder), rng), rng.choice(OPTIONS))
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10))


def test_changed_models_take_little_memory() -> None:
    code = f"from tests.formats.test_storm_prism_fuzz import batch; batch(0, {EXAMPLES or 300})"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=HANG + EXAMPLES, check=False
    )
    assert done.returncode == 0, done.stderr
    assert float(done.stdout) < 1000
