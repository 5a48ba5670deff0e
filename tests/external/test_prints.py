"""What an estimator prints, as it comes through the pipe in pieces."""

import os
import time

import pytest

from pgcheck.external.prints import MOST_LINES, Prints, Tally

TEN = b"".join(b"%d\n" % number for number in range(MOST_LINES))


@pytest.mark.parametrize(
    ("pieces", "more"),
    [
        ([TEN], 0),
        ([TEN + b"part", b"ial\n"], 1),
        ([TEN, b"no end"], 1),
        ([TEN, b"one\ntwo\nthr", b"ee\n", b"four"], 4),
        ([TEN[:-1], b"\n\n"], 1),
    ],
)
def test_every_line_is_counted_once(pieces: list[bytes], more: int, capsys: pytest.CaptureFixture[str]) -> None:
    tally = Tally("mine.py:f")
    prints = Prints(tally)
    writer = os.dup(prints.entrance)
    prints.started()
    for piece in pieces:
        os.write(writer, piece)
        time.sleep(0.02)  # so that pieces are read one by one
    os.close(writer)
    prints.close()
    tally.close()
    lines = capsys.readouterr().err.splitlines()
    assert lines[:MOST_LINES] == [str(number) for number in range(MOST_LINES)]
    count = f"... and {more} more line{'s' if more != 1 else ''} from mine.py:f"
    assert lines[MOST_LINES:] == ([count] if more else [])
