"""Messages between the parent and the child: requests arrive, and only answers to them are taken."""

import json
import os
import pickle
import struct
from collections.abc import Iterator
from multiprocessing.connection import Connection, Pipe

import numpy as np
import pytest

from pgcheck import MDP, Policy
from pgcheck.estimators.base import Gradients
from pgcheck.external import requests, wire
from pgcheck.external.contents import answer_of, gradients_of, nothing
from pgcheck.trajectories.paths import listed

NUMBER = 17
SHAPES = {True: (3, 2), False: (1, 2)}
HEADER = {"number": NUMBER, "shape": [3, 2], "per_episode": True}


class Malicious:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, ("made_by_a_pickle",)


@pytest.fixture
def ends() -> Iterator[tuple[Connection, Connection]]:
    """The parent's end and the child's end."""
    parent, child = Pipe()
    with parent, child:
        yield parent, child


def header(**changes: object) -> bytes:
    return json.dumps({**HEADER, **changes}).encode()


def test_a_request_arrives_with_its_number(
    ends: tuple[Connection, Connection], two_state: tuple[MDP, Policy]
) -> None:
    batch, _ = listed(*two_state)
    wire.send_request(ends[0], NUMBER, requests.Call(batch.starts, batch.outcomes, {}, None))
    number, request = wire.receive_request(ends[1])
    assert number == NUMBER
    assert isinstance(request, requests.Call)
    assert np.array_equal(request.outcomes, batch.outcomes)


@pytest.mark.parametrize("per_episode", [True, False])
def test_gradients_arrive_as_they_are(ends: tuple[Connection, Connection], per_episode: bool) -> None:
    values = np.random.default_rng(0).normal(size=SHAPES[per_episode])
    wire.send_answer(ends[1], NUMBER, answer_of(Gradients(values, per_episode, True)))
    answer = wire.receive_answer(ends[0], NUMBER, gradients_of(SHAPES))
    assert isinstance(answer, Gradients)
    assert np.array_equal(answer.values, values)
    assert (answer.per_episode, answer.single) == (per_episode, True)


def test_gradients_of_no_batches_arrive(ends: tuple[Connection, Connection]) -> None:
    wire.send_answer(ends[1], NUMBER, answer_of(Gradients(np.empty((0, 2)), False, False)))
    answer = wire.receive_answer(ends[0], NUMBER, gradients_of({True: (0, 2), False: (0, 2)}))
    assert isinstance(answer, Gradients)
    assert answer.values.shape == (0, 2)


def test_an_error_arrives(ends: tuple[Connection, Connection]) -> None:
    wire.send_answer(ends[1], NUMBER, wire.Failure("it returned nan", True))
    assert wire.receive_answer(ends[0], NUMBER, gradients_of(SHAPES)) == wire.Failure("it returned nan", True)


def test_done_arrives(ends: tuple[Connection, Connection]) -> None:
    wire.send_answer(ends[1], NUMBER, answer_of(None))
    wire.receive_answer(ends[0], NUMBER, nothing)


@pytest.mark.parametrize(
    "messages",
    [
        [b""],
        [b"{"],
        [b"\xff"],
        [b"[1, 2]"],
        [b"[" * 10**5],
        [b"1" * 10**5],
        [pickle.dumps(Malicious())],
        [header(number=NUMBER + 1), bytes(48)],
        [header(number=None), bytes(48)],
        [header(shape=[3, 3]), bytes(72)],
        [header(shape=None), bytes(48)],
        [header(shape=[2**60, 2**60]), bytes(48)],
        [header(per_episode=False), bytes(48)],
        [header(), bytes(40)],
        [header(), bytes(56)],
        [header(), b""],
        [header(), np.full((3, 2), np.nan).tobytes()],
        [header(), np.full((3, 2), np.inf).tobytes()],
        [json.dumps({"number": NUMBER}).encode()],
    ],
    ids=lambda messages: repr(messages[0][:40]),
)
def test_only_an_answer_is_taken(ends: tuple[Connection, Connection], messages: list[bytes]) -> None:
    for message in messages:
        ends[1].send_bytes(message)
    with pytest.raises(wire.MalformedAnswerError):
        wire.receive_answer(ends[0], NUMBER, gradients_of(SHAPES))
    assert not os.path.exists("made_by_a_pickle")


@pytest.mark.parametrize(
    "raw",
    [
        struct.pack("!i", wire.MOST_HEADER_BYTES + 1),
        struct.pack("!iQ", -1, 2**60),
        struct.pack("!i", -5),
        b"GET / HTTP/1.1\r\n\r\n",
    ],
)
def test_bytes_that_are_no_message_are_refused(ends: tuple[Connection, Connection], raw: bytes) -> None:
    os.write(ends[1].fileno(), raw)
    with pytest.raises(wire.MalformedAnswerError):
        wire.receive_answer(ends[0], NUMBER, gradients_of(SHAPES))


@pytest.mark.parametrize("raw", [b"", b"\0", struct.pack("!i", 100) + b"{"])
def test_a_closed_pipe_is_another_matter(ends: tuple[Connection, Connection], raw: bytes) -> None:
    os.write(ends[1].fileno(), raw)
    ends[1].close()
    with pytest.raises((EOFError, OSError)):
        wire.receive_answer(ends[0], NUMBER, gradients_of(SHAPES))
