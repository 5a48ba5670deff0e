"""A block that lasts too long is ended, whatever it waits for."""

import os
import struct
import threading
import time
from multiprocessing.connection import Connection, Pipe

import numpy as np
import pytest

from pgcheck.external import requests, wire
from pgcheck.external.contents import nothing
from pgcheck.external.watchdog import Watchdog

LARGE = requests.Call(np.zeros(10**6, dtype=np.int64), np.zeros((1, 1), dtype=np.int64), {}, None)


@pytest.mark.parametrize("waiting_for", ["a reader", "an answer", "the rest of a message", "a message that drips in"])
def test_a_block_ends_although_a_process_holds_the_other_end(waiting_for: str) -> None:
    parent, child = Pipe()
    with parent, child:
        watchdog = Watchdog(0.3, lambda: wire.cut(parent))
        if waiting_for in ("the rest of a message", "a message that drips in"):
            os.write(child.fileno(), struct.pack("!i", 1000))
        if waiting_for == "a message that drips in":
            threading.Thread(target=drip, args=(child.fileno(), watchdog), daemon=True).start()
        with pytest.raises((EOFError, OSError)):
            wait_for(parent, watchdog, a_reader=waiting_for == "a reader")
        assert watchdog.timed_out
        watchdog.stop()


def wait_for(parent: Connection, watchdog: Watchdog, a_reader: bool) -> None:
    with watchdog:
        if a_reader:
            wire.send_request(parent, 1, LARGE)
        wire.receive_answer(parent, 1, nothing)


def drip(descriptor: int, watchdog: Watchdog) -> None:
    while not watchdog.timed_out:
        os.write(descriptor, b" ")
        time.sleep(0.02)


def test_blocks_that_are_short_go_on_longer_than_the_limit_together() -> None:
    alarms: list[bool] = []
    watchdog = Watchdog(5.0, lambda: alarms.append(True))
    for _ in range(14):
        with watchdog:
            time.sleep(0.4)
    watchdog.stop()
    assert not alarms
    assert not watchdog.timed_out


def test_the_time_between_blocks_does_not_count() -> None:
    watchdog = Watchdog(1.0, lambda: None)
    with watchdog:
        pass
    time.sleep(1.5)
    watchdog.stop()
    assert not watchdog.timed_out


def test_nothing_happens_after_stop() -> None:
    alarms: list[bool] = []
    watchdog = Watchdog(1.0, lambda: alarms.append(True))
    with watchdog:
        watchdog.stop()
        time.sleep(1.5)
    assert not alarms
