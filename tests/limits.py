"""Bounds on work that do not depend on how fast or how busy a machine is."""

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

import pytest

PROCESSOR_SECONDS = 30.0  # a hundred times what the slowest of the bounded blocks takes


@contextmanager
def limited(*, calls: int) -> Iterator[None]:
    """Fails where the block makes more calls than this, of functions in Python or in C.

    What is slow inside one call in C (a parser, a regular expression) makes no calls. Once it returns, a limit on
    processor time reports it. That limit is no measurement: it is far beyond what the block takes, so that only work
    that grows as a square reaches it.
    """
    count = 0

    def profile(_: FrameType, event: str, __: Any) -> None:
        nonlocal count
        count += event in ("call", "c_call")
        if count > calls:
            sys.setprofile(None)
            pytest.fail(f"more than {calls:,} calls")

    def out_of_time(*_: object) -> None:
        pytest.fail(f"more than {PROCESSOR_SECONDS:g} seconds of processor time")

    handler = signal.signal(signal.SIGPROF, out_of_time)
    signal.setitimer(signal.ITIMER_PROF, PROCESSOR_SECONDS)
    sys.setprofile(profile)
    try:
        yield
    finally:
        sys.setprofile(None)
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, handler)
