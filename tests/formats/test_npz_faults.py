"""What is wrong in a .npz file: each fault is refused in its words, and before memory is taken or code is run."""

import io
import os
import resource
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pgcheck import ModelError, PgcheckError, UsageError
from pgcheck.formats.loading import load_model
from tests.conftest import Run
from tests.formats.refusals import refusal, usage

RNG = np.random.default_rng(0)
GOOD: dict[str, Any] = {
    "P": RNG.dirichlet(np.ones(3), size=(3, 2)), "R": RNG.normal(size=(3, 2)), "start": 0, "gamma": 0.9, "horizon": 4,
}  # fmt: skip
HALVES = np.full((3, 3, 3), 0.5)
LISTED: dict[str, Any] = {
    "state": [0, 0, 1], "action": [0, 1, 0], "next_state": [1, 2, 2], "prob": [1.0, 1, 1], "reward": [0.0, 1, 2],
    "done": [False, False, True], "terminal": [2], "start": 0, "gamma": 0.9, "horizon": 4,
}  # fmt: skip


def at(name: str, place: Any, value: Any) -> dict[str, Any]:
    """One entry of a good array, replaced."""
    array = np.array(GOOD[name], dtype=float)
    array[place] = value
    return {name: array}


FAULTS: list[tuple[dict[str, Any], str]] = [
    # what replaces arrays of a good model (None: is left out), and what the message says
    (at("P", (1, 0), GOOD["P"][1, 0] * 1.01), "state '1', action '0': probabilities sum to 1.01, not 1; subtract"),
    (
        at("P", (2, 1), GOOD["P"][2, 1] * 0.998),
        "state '2', action '1': probabilities sum to 0.998, not 1; add the mi",
    ),
    (at("P", (1, 1, 2), np.nan), "state '1', action '1': probability nan; expected 0 to 1"),
    (at("P", (1, 1), [1.5, -0.5, 0]), "state '1', action '1': probability -0.5; expected 0 to 1"),
    (at("R", (0, 1), np.nan), "state '0', action '1': reward nan; expected a number up to 1e100 in size"),
    (at("R", 0, -np.inf), "state '0': no actions; expected an outcome, or a terminal state"),
    ({"P": GOOD["P"] + 0j}, "P: holds complex numbers; expected numbers"),
    ({"R": GOOD["R"].astype(str)}, "R: holds texts; expected numbers"),
    ({"R": GOOD["R"].astype("M8[s]")}, "R: holds dates; expected numbers"),
    ({"R": np.zeros((3, 2), dtype="f8,i4")}, "R: holds records; expected numbers"),
    ({"P": GOOD["P"][:, :, :2]}, "R: shape (3, 2); expected [S] (2,), [S, A] (2, 3), that of P (3, 2, 2)"),
    ({"P": GOOD["P"][0]}, "P: shape (2, 3); expected (A, S, S), (S, A, S) or (S, S, A)"),
    ({"R": np.zeros((2, 3))}, "R: shape (2, 3); expected [S] (3,), [S, A] (3, 2), that of P (3, 2, 3)"),
    ({"P": HALVES, "R": np.zeros((3, 3))}, "P: in no order of its axes do the probabilities of each action sum to 1"),
    ({"P": HALVES, "R": np.zeros((3, 3))}, "P[state 0, action 2]: probabilities sum to 1.5, not 1; subtract 0.5"),
    ({"R": None}, "R missing; it has P, start, gamma, horizon"),
    ({"P": None, "R": None}, "expected P and R, or the columns state, action, next_state, prob, reward, done"),
    ({"prob": [1.0]}, "both tables (P, R) and columns (prob); keep one form"),
    ({"start": 3}, "start: 3; expected numbers of states, 0 to 2"),
    ({"start": 1.5}, "start: 1.5; expected whole numbers"),
    ({"start": [0.5, 0.5]}, "start: shape (2,); expected the number or name of a state, or 3 probabilities"),
    ({"start": [0.5, 0.5, 0.5]}, "start: probabilities sum to 1.5, not 1"),
    ({"start": [0.5, np.nan, 0.5]}, "start: probabilities"),
    ({"start": "goal"}, "start: unknown state 'goal'; expected states, like 0"),
    ({"gamma": 1.5}, "gamma: 1.5; expected a number from 0 to 1"),
    ({"gamma": np.nan}, "gamma: nan; expected a number from 0 to 1"),
    ({"gamma": [0.5, 0.9]}, "gamma: shape (2,); expected a number from 0 to 1"),
    ({"gamma": "high"}, "gamma: holds texts; expected numbers"),
    ({"horizon": 2.5}, "horizon: 2.5; expected a whole number of steps, 1 to 1e15, or inf"),
    ({"terminal": [0, 1, 1]}, "terminal: states are listed twice; save truth values as bool"),
    ({"terminal": [5]}, "terminal: 5; expected numbers of states, 0 to 2"),
    ({"terminal": [[1]]}, "terminal: shape (1, 1); expected numbers or names of states, or 3 truth values"),
    ({"states": ["a", "b"]}, "states: shape (2,); expected 3 names"),
    ({"states": ["a", "b", "b"]}, "two states are called 'b'; expected different names"),
    ({"actions": ["go", "g\x1bo"]}, "action 'g\ufffdo': expected a name of 1 to 1000 visible characters"),
    ({"observations": ["x", "y"]}, "observations: shape (2,); expected one for each of 3 states"),
    ({"policy_softmax": np.zeros((2, 3))}, "policy_softmax: shape (2, 3); expected (3, 2)"),
]

COLUMN_FAULTS: list[tuple[dict[str, Any], str]] = [
    ({"prob": [0.5, 1.0, 1.0]}, "state '0', action '0': probabilities sum to 0.5, not 1; add the missing 0.5"),
    ({"next_state": [1, 2]}, "next_state: shape (2,); expected a vector as long as state (3,)"),
    ({"state": [[0, 0, 1]]}, "expected a vector as long as state (1, 3)"),
    ({"state": [0, 0, -1]}, "state[2]: -1; expected 0 to 2"),
    ({"action": [0, 0.5, 0]}, "action[1]: 0.5; expected whole numbers"),
    ({"next_state": [1, 2, 1e300]}, "next_state[2]: 1e+300; expected whole numbers"),
    ({"states": 2}, "next_state[1]: 2; expected 0 to 1"),
    ({"done": [0, 2, 0]}, "done: 2; expected truth values, or 0 and 1"),
    ({"terminal": None, "done": None}, "state '2': no actions; expected an outcome, or a terminal state"),
    ({"next_state": None}, "next_state missing; it has state, action"),
]


@pytest.mark.parametrize(
    ("good", "change", "message"),
    [(good, *fault) for good, faults in ((GOOD, FAULTS), (LISTED, COLUMN_FAULTS)) for fault in faults],
)
def test_each_fault_is_refused_in_its_words(
    good: dict[str, Any], change: dict[str, Any], message: str, tmp_path: Path, run: Run
) -> None:
    path = tmp_path / "m.npz"
    np.savez(path, **good)
    load_model(path)  # without the fault it is read
    np.savez(path, **{name: array for name, array in (good | change).items() if array is not None})
    done = run("exact", "m.npz")
    assert done.returncode == 2
    assert done.stderr.startswith("m.npz: error: ")
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert not done.stdout


def test_twenty_faults_are_shown_and_the_rest_counted(tmp_path: Path) -> None:
    path = tmp_path / "m.npz"
    np.savez(path, **GOOD | {"P": np.full((30, 1, 30), 0.02), "R": np.zeros((30, 1))})
    shown = refusal(path)
    assert shown.count(": probabilities sum to 0.6, not 1") == 20
    assert shown.endswith("... and 10 more errors")


class Writes:
    """Unpickling it makes a file."""

    def __init__(self, path: Path) -> None:
        self.path = str(path)

    def __reduce__(self) -> tuple[Callable[..., object], tuple[str, int]]:
        return os.open, (self.path, os.O_CREAT)


@pytest.mark.parametrize("name", ["P", "R", "start", "name", "terminal", "policy_softmax", "elsewhere"])
def test_objects_are_refused_and_never_unpickled(name: str, tmp_path: Path) -> None:
    path, trace = tmp_path / "m.npz", tmp_path / "trace"
    np.savez(path, **GOOD | {name: np.array([Writes(trace)], dtype=object)})
    if name == "elsewhere":
        assert "not read: elsewhere" in load_model(path).notes[0]
    else:
        assert f"{name}: " in refusal(path)
    assert not trace.exists()
    with np.load(path, allow_pickle=True) as arrays:
        arrays[name]  # the trap works: whoever unpickles springs it
    assert trace.exists()


def member(shape: str, data: bytes = b"", *, dtype: str = "<f8") -> bytes:
    """A .npy file whose header claims this shape."""
    header = f"{{'descr': '{dtype}', 'fortran_order': False, 'shape': {shape}, }}".encode()
    header += b" " * (-(len(header) + 11) % 64) + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + data


def zipped(path: Path, members: list[tuple[str, bytes]], method: int = zipfile.ZIP_STORED) -> Path:
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, data in members:
            archive.writestr(f"{name}.npy", data)
    return path


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (member("(1000000, 2, 1000000)"), "P: damaged: 0 bytes for shape (1,000,000, 2, 1,000,000) of float64"),
        (member("(3, 2, 3)", bytes(80)), "P: damaged: 80 bytes for shape (3, 2, 3) of float64"),
        (member("(-3, 2, 3)"), "P: not an array of NumPy"),
        (member("(3, 2, 'x')"), "P: not an array of NumPy"),
        (member("(" * 500), "P: not an array of NumPy"),
        (member("(3, 2, 3)", dtype="<Q9"), "P: not an array of NumPy"),
        (member("(3, 2, 3)")[:20], "P: not an array of NumPy"),
        (b"", "P: not an array of NumPy"),
        (b"\x93NUMPY\x09\x00" + bytes(100), "P: not an array of NumPy"),
        (b"\x93NUMPY\x02\x00\xff\xff\xff\xff" + bytes(100), "P: not an array of NumPy"),
    ],
    ids=range(10),
)
def test_headers_are_judged_before_memory_is_taken(data: bytes, message: str, tmp_path: Path) -> None:
    path = zipped(tmp_path / "m.npz", [("P", data), ("R", member("(3, 2)", bytes(48)))])
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert message in refusal(path)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 20_000  # kilobytes


def test_a_zip_bomb_is_refused_at_once(tmp_path: Path) -> None:
    size = 160_000_000  # times 8, more than a gigabyte in double precision, of a file of 160 kB
    zeros = member(f"({size // 2}, 1, 2)", bytes(size), dtype="|i1")
    path = zipped(tmp_path / "m.npz", [("P", zeros), ("R", member("(2,)", bytes(16)))], zipfile.ZIP_DEFLATED)
    assert path.stat().st_size < 300_000
    assert "P: shape (80,000,000, 1, 2); all arrays together take 1,280,000,016 bytes in memory" in refusal(path)


def test_a_zip_that_lies_about_sizes_is_damaged(tmp_path: Path) -> None:
    good = io.BytesIO()
    np.savez_compressed(good, **GOOD)
    plain = io.BytesIO()
    np.lib.format.write_array(plain, GOOD["P"])
    data = good.getvalue().replace(struct.pack("<I", len(plain.getvalue())), struct.pack("<I", 128 + 10**6))
    path = tmp_path / "m.npz"
    path.write_bytes(data)
    assert "P: damaged: 1,000,000 bytes for shape (3, 2, 3)" in refusal(path)


def test_a_file_that_is_cut_or_changed_anywhere_is_read_or_refused(tmp_path: Path) -> None:
    path = tmp_path / "m.npz"
    np.savez_compressed(path, **GOOD)
    whole, rng, refused = path.read_bytes(), np.random.default_rng(0), 0
    for k in range(600):
        changed = bytearray(whole)
        if k < 200:
            changed = changed[: len(whole) * k // 200]
        else:
            for place in rng.integers(0, len(whole), rng.integers(1, 4)):
                changed[place] = rng.integers(256)
        path.write_bytes(changed)
        try:
            load_model(path)
        except PgcheckError:  # no other error: that would be a traceback
            refused += 1
    assert refused >= 400


@pytest.mark.parametrize(
    ("data", "error", "message"),
    [
        (b"", ModelError, "not a zip of arrays, or cut short"),
        (b"horizon: 3\n", ModelError, "not a zip of arrays, or cut short"),
        (member("(3,)", bytes(24)), ModelError, "a single array; expected several, as numpy.savez writes them"),
        (None, UsageError, "no such file"),
    ],
)
def test_what_is_no_zip_is_refused(data: bytes | None, error: Any, message: str, tmp_path: Path) -> None:
    path = tmp_path / "m.npz"
    if data is not None:
        path.write_bytes(data)
    with pytest.raises(error, match=message):
        load_model(path)


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.npz")
    assert "not a regular file" in usage(str(tmp_path / "pipe.npz"))


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_two_arrays_of_one_name_and_rare_compressions_are_refused(tmp_path: Path) -> None:
    path, data = tmp_path / "m.npz", member("(1, 1, 1)", struct.pack("<d", 1))
    zipped(path, [("P", data), ("R", data)], zipfile.ZIP_BZIP2)
    assert "P: compressed in a way (12) that is rare; save it with numpy.savez" in refusal(path)
    zipped(path, [("P", data), ("P", data)])
    assert "two arrays are called P; keep one" in refusal(path)
