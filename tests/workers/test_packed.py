"""Arrays as bytes and back: every bit is kept, and nothing but numbers can come out."""

import json
import pickle

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from pgcheck.workers.executor import Arrays
from pgcheck.workers.packed import packed, unpacked

TYPES = st.sampled_from(["<f8", "<f4", "<f2", ">f8", "<i8", "<i4", ">i2", "|u1", "|b1", "<c16", "<u8"])


@st.composite
def arrays(draw: st.DrawFn) -> "np.ndarray[tuple[int, ...], np.dtype[np.generic]]":
    """Arrays of any bits, shapes and orders, with 0 to 4 axes, some of them slices of others."""
    dtype = np.dtype(draw(TYPES))
    shape = draw(hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=4))
    size = int(np.prod(shape)) * dtype.itemsize
    data = draw(st.binary(min_size=size, max_size=size))
    if dtype.kind == "b":
        data = bytes(byte & 1 for byte in data)
    array = np.frombuffer(data, dtype).reshape(shape) if size else np.empty(shape, dtype)
    order = draw(st.sampled_from(["C", "F", "T", "slice"]))
    if order == "slice":
        return array[..., ::-2] if array.ndim else array
    return array.T if order == "T" else np.array(array, order="C" if order == "C" else "F")


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(arrays(), max_size=4).map(tuple))
def test_every_bit_comes_back(before: Arrays) -> None:
    after = unpacked(*packed(before))
    assert len(after) == len(before)
    for old, new in zip(before, after, strict=True):
        assert (new.dtype, new.shape, new.tobytes()) == (old.dtype, old.shape, old.tobytes())
        assert new.flags.fnc == old.flags.fnc
        assert new.flags.aligned
        assert new.flags.writeable
        assert new.flags.contiguous or new.flags.f_contiguous


def test_special_numbers_come_back_with_their_bits() -> None:
    bits = np.array([0x7FF8DEADBEEF0001, 0xFFF0000000000001, 0x8000000000000000, 1], dtype=np.uint64)
    (after,) = unpacked(*packed((bits.view(np.float64),)))
    assert after.view(np.uint64).tolist() == bits.tolist()


@pytest.mark.parametrize(
    "array", [np.array([{}]), np.array(["a"]), np.zeros(2, "f8,i4"), np.array(["2001-01-01"], "datetime64[D]")]
)
def test_what_holds_no_numbers_is_not_packed(array: "np.ndarray[tuple[int], np.dtype[np.generic]]") -> None:
    with pytest.raises(TypeError, match="only arrays of numbers can be kept"):
        packed((array,))


class Harmful:
    ran = False

    def __reduce__(self) -> tuple[object, ...]:
        return _run, ()


def _run() -> None:
    Harmful.ran = True


@pytest.mark.parametrize("dtype", ["|O", "O8", "<U1", "V8"])
def test_objects_are_not_made_of_bytes(dtype: str) -> None:
    data = pickle.dumps(Harmful())
    with pytest.raises((ValueError, TypeError)):
        unpacked(json.dumps([[dtype, [1], "C"]]), data)
    assert not Harmful.ran
    pickle.loads(data)  # which runs what the bytes say
    assert Harmful.ran
    Harmful.ran = False


@pytest.mark.parametrize(
    ("text", "size"),
    [('[["<f8", [2], "C"]]', 15), ('[["<f8", [2], "C"]]', 17), ("[]", 1)],
)
def test_bytes_that_are_not_as_described_are_refused(text: str, size: int) -> None:
    with pytest.raises((ValueError, TypeError)):
        unpacked(text, bytes(size))
