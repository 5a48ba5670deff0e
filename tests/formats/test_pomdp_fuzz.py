"""Whatever happens to a .POMDP file, loading it ends soon: in a model, or in errors that say where they are.

`PGCHECK_FUZZ_EXAMPLES=50000 pytest tests/formats/test_pomdp_fuzz.py` searches longer.
"""

import os
import random
import re
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

from pgcheck.errors import ModelError, PgcheckError
from pgcheck.formats import problems
from pgcheck.formats.assembling import assembled
from pgcheck.formats.cassandra import pomdp
from pgcheck.formats.given import Options
from tests.conftest import HANG
from tests.formats.test_fuzz import mutate
from tests.limits import limited

ROOT = Path(__file__).resolve().parents[2]
VALID = [path.read_bytes() for path in sorted((ROOT / "tests/formats/pomdp").iterdir())]
WORDS = (
    b"T:", b"O:", b"R:", b"start:", b"start include:", b"start exclude:", b"states:", b"actions:", b"observations:",
    b"discount:", b"values: cost", b"uniform", b"identity", b"reset", b"*", b":", b"#", b"0", b"1", b"-1", b"0.5",
    b"1e-999", b"1e999", b"T: * uniform\n", b"T: * : * : * 0.1\n", b"O: * identity\n", b"R: * : * : * : * 1e100\n",
    b"nan", b"40", b"999",
)  # fmt: skip
CALLS = 2_000_000
EXAMPLES = int(os.environ.get("PGCHECK_FUZZ_EXAMPLES", "0"))
WAYS: tuple[Options, ...] = (
    {},
    {"observe": "state"},
    {"observe": "observation"},
    {"observe": "memoryless"},
    {"start": "0"},
)


def changed(data: bytes, rng: random.Random) -> bytes:
    """A few random changes, of any text, and of this format."""
    if rng.random() < 0.7:
        data = mutate(data, rng)
    for _ in range(rng.choice((0, 1, 1, 2, 5))):
        places = [match.start() for match in re.finditer(rb"\S+", data)] or [0]
        at = rng.choice(places)
        end = at + len(re.match(rb"\S*", data[at:])[0]) if rng.random() < 0.7 else at  # type: ignore[index]
        data = data[:at] + rng.choice(WORDS) + b" " + data[end:]
    return data


def check(path: str, options: Options, *, counted: bool) -> bool:
    """Whether the file is read; if not it is refused in the proper form, with little work."""
    try:
        if not counted:
            assembled(pomdp.read(path, options), start=options.get("start"))
        else:
            with limited(calls=CALLS):
                assembled(pomdp.read(path, options), start=options.get("start"))
    except PgcheckError as error:
        message = str(error)
        lines = message.split("\n")
        assert all(problems.hidden(line) is None for line in lines)
        assert max(map(len, lines)) < 1500
        if isinstance(error, ModelError):
            count = len(re.findall(rf"^{re.escape(path)}:(\d+:\d+:)? error: \S", message, re.MULTILINE))
            assert 1 <= count <= 20
            assert len(lines) <= 3 * count + 1
        return False
    return True


def batch(seed: int, many: int, counted: bool) -> None:
    """Loads many changed files; prints how many are read, and the greatest memory in MB."""
    rng = random.Random(seed)
    good = 0
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "m.POMDP"
        for _ in range(many):
            data = changed(rng.choice(VALID), rng)
            path.write_bytes(data)
            try:
                good += check(str(path), rng.choice(WAYS), counted=counted)
            except BaseException:
                print(repr(data), file=sys.stderr)
                raise
    unit = 2**20 if sys.platform == "darwin" else 2**10
    print(good, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit)


def test_changed_files_are_read_or_refused_in_little_memory() -> None:
    many = EXAMPLES or 400
    code = f"from tests.formats.test_pomdp_fuzz import batch; batch(0, {many}, {not EXAMPLES})"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=HANG + EXAMPLES, check=False
    )
    assert done.returncode == 0, done.stderr
    good, memory = map(float, done.stdout.split())
    assert 0.05 * many < good < 0.95 * many
    assert memory < 1000
