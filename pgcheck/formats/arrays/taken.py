"""The arrays of a .npz file, a zip of .npy files: what each is, is known before memory is taken for it.

Pickled data is never loaded. A file is judged by the sizes that its zip states and by the headers of its arrays; both
have to agree, and together the arrays have at most `MAX_BYTES`.
"""

import contextlib
import io
import math
import os
import stat
import warnings
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from pgcheck.arrays import Bools, Floats, Ints
from pgcheck.errors import ModelError, UsageError
from pgcheck.formats.problems import Problems, visible

MAX_BYTES = 2**30  # of all arrays that are read, in double precision
MAX_MEMBERS = 1000
MAX_HEADER = 2**14
PIECE = 2**24  # bytes that are read at once
KINDS = {
    "b": "truth values", "i": "whole numbers", "u": "whole numbers", "f": "numbers", "c": "complex numbers",
    "U": "texts", "S": "texts", "O": "objects", "M": "dates", "m": "durations", "V": "records",
}  # fmt: skip
NUMBERS = "biuf"
DAMAGED = (zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError, NotImplementedError, RuntimeError)


@dataclass(frozen=True)
class Header:
    """What a .npy file says of its array, and the number of bytes before the array's own."""

    shape: tuple[int, ...]
    fortran_order: bool
    dtype: "np.dtype[Any]"
    length: int

    @property
    def size(self) -> int:
        """The number of entries."""
        return math.prod(self.shape)


class Arrays:
    """The arrays of a file by name. What is asked for is read; a fault is noted, and zeros returned.

    Attributes:
      problems, file: of the file, and its name for messages.
      names: of all its members, without .npy.
    """

    def __init__(self, path: str, archive: zipfile.ZipFile, wanted: Sequence[str]) -> None:
        """Reads the headers of the wanted arrays.

        Raises:
          ModelError: one of them cannot be read, or they are too large.
        """
        self.problems = Problems(path)
        self.file = self.problems.file
        self._archive = archive
        members = archive.infolist()
        if len(members) > MAX_MEMBERS:
            self.problems.add(0, 0, f"{len(members):,} arrays; expected at most {MAX_MEMBERS:,}")
            self.problems.check()
        self.names = tuple(member.filename.removesuffix(".npy") for member in members)
        self._members = dict(zip(self.names, members, strict=True))
        self._headers: dict[str, Header] = {}
        for name in wanted:
            if self.names.count(name) > 1:
                self.problems.add(0, 0, f"two arrays are called {name}; keep one")
            elif name in self._members and (header := self._header(name)) is not None:
                self._headers[name] = header
        self.problems.check()
        sizes = {name: header.size * max(8, header.dtype.itemsize) for name, header in self._headers.items()}
        if sum(sizes.values()) > MAX_BYTES:
            largest = max(sizes, key=lambda name: sizes[name])
            self.problems.add(
                0, 0,
                f"{largest}: shape {shape_text(self.shape(largest))}; all arrays together take "
                f"{sum(sizes.values()):,} bytes in memory, and the limit is {MAX_BYTES:,}; columns of outcomes take "
                "less than tables",
            )  # fmt: skip
            self.problems.check()

    def __contains__(self, name: str) -> bool:
        return name in self._headers

    def shape(self, name: str) -> tuple[int, ...]:
        """The shape of an array that is there."""
        return self._headers[name].shape

    def kind(self, name: str) -> str:
        """What an array that is there holds, a letter of `KINDS`."""
        return self._headers[name].dtype.kind

    def floats(self, name: str) -> Floats:
        """Numbers in double precision."""
        return np.asarray(self._values(name, NUMBERS, "numbers"), dtype=np.float64)

    def whole(self, name: str) -> Ints:
        """Whole numbers, of which none is too large for 64 bits."""
        values = self._values(name, NUMBERS, "whole numbers")
        if values.dtype.kind in "uf":
            numbers = np.asarray(values, dtype=np.float64)
            wrong = np.flatnonzero(~((np.abs(numbers) < 2.0**63) & (np.floor(numbers) == numbers)))
            if len(wrong):
                at = f"[{wrong[0]}]" if values.ndim == 1 else ""
                self.problems.add(0, 0, f"{name}{at}: {numbers.flat[wrong[0]]:.12g}; expected whole numbers")
                return np.zeros(values.shape, dtype=np.int64)
        return values.astype(np.int64)

    def truths(self, name: str) -> Bools:
        """Truth values, or the numbers 0 and 1."""
        values = self._values(name, NUMBERS, "truth values, or 0 and 1")
        wrong = values[(values != 0) & (values != 1)]
        if wrong.size:
            self.problems.add(0, 0, f"{name}: {float(wrong[0]):.12g}; expected truth values, or 0 and 1")
        return np.asarray(values == 1)

    def texts(self, name: str) -> list[str]:
        """The texts of a vector, or of a single text."""
        try:
            texts = self._values(name, "US", "texts").ravel().tolist()
            return [text.decode() if isinstance(text, bytes) else str(text) for text in texts]
        except ValueError as error:
            self.problems.add(0, 0, f"{name}: not texts in Unicode: {error}")
            return []

    def holds(self, name: str, kinds: str = NUMBERS, what: str = "numbers") -> bool:
        """Whether an array that is there holds what is wanted, letters of `KINDS`; if not, that is noted."""
        dtype = self._headers[name].dtype
        if dtype.kind not in kinds:
            reason = ", which are never loaded, because they are pickled" if dtype.hasobject else ""
            self.problems.add(0, 0, f"{name}: holds {KINDS.get(dtype.kind, 'values')}{reason}; expected {what}")
        return dtype.kind in kinds

    def _header(self, name: str) -> Header | None:
        """What an array says of itself; notes the reason where it cannot be read."""
        member = self._members[name]
        if member.flag_bits & 1 or member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            how = (
                "encrypted" if member.flag_bits & 1 else f"compressed in a way ({member.compress_type}) that is rare"
            )
            self.problems.add(0, 0, f"{name}: {how}; save it with numpy.savez or savez_compressed")
            return None
        try:
            with self._archive.open(member) as stream:
                begin = io.BytesIO(stream.read(MAX_HEADER))
            header = _parsed(begin)
        except DAMAGED as error:
            self.problems.add(0, 0, f"{name}: not an array of NumPy: {visible(str(error))[:200]}; save it anew")
            return None
        bytes_stated = member.file_size - header.length
        if not header.dtype.hasobject and header.size * header.dtype.itemsize != bytes_stated:
            shape = shape_text(header.shape)
            self.problems.add(0, 0, f"{name}: damaged: {bytes_stated:,} bytes for shape {shape} of {header.dtype}")
            return None
        return header

    def _values(self, name: str, kinds: str, what: str) -> "NDArray[Any]":
        """The array, if it holds what is wanted; raises ModelError where its data is damaged."""
        header = self._headers[name]
        if not self.holds(name, kinds, what):
            return np.zeros(header.shape)
        data = np.empty(header.size * header.dtype.itemsize, dtype=np.uint8)
        try:
            with self._archive.open(self._members[name]) as stream:
                stream.read(header.length)
                done = 0
                while piece := stream.read(PIECE):
                    data[done : done + len(piece)] = np.frombuffer(piece, dtype=np.uint8)
                    done += len(piece)
            if done < len(data):
                raise EOFError("it ends too early")
        except DAMAGED as error:
            self.problems.add(0, 0, f"{name}: damaged: {visible(str(error))[:200]}; save it anew")
            self.problems.check()
        return data.view(header.dtype).reshape(header.shape, order="F" if header.fortran_order else "C")


@contextlib.contextmanager
def opened(path: str, wanted: Sequence[str]) -> Iterator[Arrays]:
    """Yields the arrays of a file, with the headers of those that are wanted.

    Raises:
      UsageError: there is no such file, or it cannot be read.
      ModelError: it is not a zip of arrays, an array cannot be read, or they are too large.
    """
    with contextlib.ExitStack() as stack:
        try:
            if not stat.S_ISREG(os.stat(path).st_mode):
                raise UsageError(f"{visible(path)}: not a regular file; expected arrays, as numpy.savez writes them")
            file = stack.enter_context(open(path, "rb"))
            archive = stack.enter_context(_archive(path, file))
        except (FileNotFoundError, ValueError):  # ValueError: names that no file can have
            raise UsageError(f"{visible(path)}: no such file") from None
        except OSError as error:
            raise UsageError(f"{visible(path)}: cannot be read: {error.strerror}") from None
        yield Arrays(path, archive, wanted)


def _archive(path: str, file: BinaryIO) -> zipfile.ZipFile:
    """The zip in a file."""
    if file.read(6) == b"\x93NUMPY":
        raise ModelError(f"{visible(path)}: error: a single array; expected several, as numpy.savez writes them")
    try:
        return zipfile.ZipFile(file)
    except (zipfile.BadZipFile, ValueError, NotImplementedError) as error:
        why = f"not a zip of arrays, or cut short: {visible(str(error))[:200]}"
        raise ModelError(f"{visible(path)}: error: {why}; save it with numpy.savez") from None


def _parsed(begin: io.BytesIO) -> Header:
    """What the header of a .npy file says; raises ValueError for one that cannot be understood."""
    version = np.lib.format.read_magic(begin)
    read = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}.get(version)
    if read is None:
        raise ValueError(f"version {version} of its header")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of headers that Python 2 wrote
            shape, fortran_order, dtype = read(begin)
    except Exception as error:  # whatever NumPy's parser of literals stumbles over
        raise ValueError(str(error).partition("\n")[0]) from None
    if any(length < 0 for length in shape) or not dtype.itemsize:
        raise ValueError(f"shape {shape} of {dtype}")
    return Header(tuple(map(int, shape)), bool(fortran_order), dtype, begin.tell())


def shape_text(shape: tuple[int, ...]) -> str:
    """Returns a shape for a message."""
    return f"({', '.join(f'{length:,}' for length in shape)}{',' if len(shape) == 1 else ''})"
