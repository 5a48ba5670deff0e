"""Messages between the process that checks an estimator or an agent and the child process that runs it.

A request is a pickle, because the child trusts its parent. An answer is JSON, followed by the bytes of its arrays,
because the parent trusts nothing that the child sends. The parent says how long each message may be. Each answer
repeats the random number of its request, so that no answer can be written before its request is known.
"""

import json
import math
import os
import pickle
import socket
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, Pipe
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from pgcheck.arrays import Floats
from pgcheck.external import requests

if TYPE_CHECKING:
    pass

if sys.platform == "win32":
    import msvcrt
    from multiprocessing.connection import PipeConnection
    from multiprocessing.reduction import duplicate

MOST_HEADER_BYTES = 2**20  # of an answer's JSON, and so of an error's text

FLAGS = ("not_finite", "unsuitable", "unanswerable")  # of a failure

Take = Callable[[tuple[int, ...]], Floats]  # the answer's next array, which must be of this shape
Result = TypeVar("Result")
Read = Callable[[Mapping[str, Any], Take], Result]  # what an answer's fields and arrays are made into


class MalformedAnswerError(Exception):
    """What came from the child is no answer to the request."""


@dataclass(frozen=True)
class Failure:
    """Why a request has no result.

    Attributes:
      text: the error as users read it.
      not_finite: whether the estimator returned NaN or infinity.
      unsuitable: whether the model is not one that the agent is made for.
      unanswerable: whether the agent makes a draw that cannot be answered.
    """

    text: str
    not_finite: bool = False
    unsuitable: bool = False
    unanswerable: bool = False


def pipe() -> tuple[Connection, int]:
    """Returns the parent's end of a new pipe, and the child's end as a file descriptor that the caller closes."""
    parents_end, childs_end = Pipe()
    with childs_end:
        if sys.platform == "win32":
            return parents_end, msvcrt.open_osfhandle(duplicate(childs_end.fileno()), os.O_RDWR)
        return parents_end, os.dup(childs_end.fileno())


def taken_from_standard_input() -> Connection:
    """Returns the child's end of the pipe, which is standard input; what reads that afterwards finds nothing."""
    descriptor = os.dup(0)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    if sys.platform == "win32":
        return PipeConnection(msvcrt.get_osfhandle(descriptor))
    return Connection(descriptor)


def cut(connection: Connection) -> None:
    """Ends the sending or receiving that another thread waits in, even if some process holds the other end.

    On Windows nothing is done: only the child holds the other end, so to kill the child is enough.
    """
    if sys.platform != "win32":
        with socket.socket(fileno=os.dup(connection.fileno())) as copy:
            copy.shutdown(socket.SHUT_RDWR)


def send_request(connection: Connection, number: int, request: requests.Request) -> None:
    """Sends a request to the child.

    Raises:
      OSError: the child does not hold its end any more.
    """
    connection.send_bytes(pickle.dumps((number, request), protocol=pickle.HIGHEST_PROTOCOL))


def receive_request(connection: Connection) -> tuple[int, requests.Request]:
    """Returns the next request and its number.

    Raises:
      EOFError: the parent has closed its end.
      OSError: this process has closed its own.
    """
    number, request = pickle.loads(connection.recv_bytes())
    return number, request


@dataclass(frozen=True, eq=False)
class Answer:
    """What answers a request.

    Attributes:
      fields: what JSON can hold.
      arrays: what the reader knows the shapes of, by the fields.
    """

    fields: Mapping[str, Any]
    arrays: Sequence[Floats] = ()


def send_answer(connection: Connection, number: int, answer: Answer | Failure) -> None:
    """Sends the answer to the request of this number.

    Raises:
      OSError: the pipe is closed.
    """
    if isinstance(answer, Failure):
        answer = Answer({"error": answer.text, **{name: getattr(answer, name) for name in FLAGS}})
    connection.send_bytes(json.dumps({**answer.fields, "number": number}).encode())
    for array in answer.arrays:
        if array.size:
            values = np.ascontiguousarray(array, dtype=np.float64)
            connection.send_bytes(values.reshape(-1).view(np.uint8).data)


def receive_answer(connection: Connection, number: int, read: Read[Result]) -> Result | Failure:
    """Returns the answer to the request of this number.

    Args:
      connection: the parent's end.
      number: that of the request.
      read: makes of the answer's fields, and of the arrays that it takes one after the other, what is returned; it
        raises MalformedAnswerError where they are not what is due.

    Raises:
      MalformedAnswerError: something else has come.
      EOFError, OSError: the other end is closed.
    """
    header = _header(_received(connection, MOST_HEADER_BYTES))
    if header.get("number") != number:
        raise MalformedAnswerError
    if "error" in header:
        return Failure(str(header["error"]), **{name: bool(header.get(name)) for name in FLAGS})

    def take(shape: tuple[int, ...]) -> Floats:
        size = 8 * math.prod(shape)
        body = _received(connection, size) if size else b""
        if len(body) != size:
            raise MalformedAnswerError
        return np.frombuffer(body, dtype=np.float64).reshape(shape)

    return read(header, take)


def _received(connection: Connection, most: int) -> bytes:
    """The next message; one that says it is longer than `most` bytes is not read."""
    try:
        return connection.recv_bytes(most)
    except OSError:
        if not connection.readable:  # how a Connection marks that a message is too long
            raise MalformedAnswerError from None
        raise


def _header(text: bytes) -> dict[str, Any]:
    try:
        header = json.loads(text)
    except (ValueError, RecursionError):
        raise MalformedAnswerError from None
    if not isinstance(header, dict):
        raise MalformedAnswerError
    return header
