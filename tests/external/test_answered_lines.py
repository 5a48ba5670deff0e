"""Lines that a program printed → gradients, or an error that names the line."""

import io
import json

import numpy as np
import pytest

from pgcheck.errors import EstimatorError
from pgcheck.external.answered_lines import BYTES_A_NUMBER, Expected, GradientLines
from tests.oracles import Floats

EXPECTED = Expected("maze", 4, (3, 2), (3, 2))  # two states act, one is terminal
FLAT = Expected("maze", 5, (5,), (3, 2))  # an action is missing


def read(text: bytes, expected: Expected = EXPECTED, together: int = 3) -> tuple[Floats, GradientLines]:
    lines = GradientLines(io.BytesIO(text), expected)
    blocks = [lines.take(together)]
    while len(blocks[-1]):
        blocks.append(lines.take(together))
    return np.concatenate(blocks), lines


def refused(text: bytes, expected: Expected = EXPECTED) -> str:
    with pytest.raises(EstimatorError) as caught:
        read(text, expected)
    return str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        b"[1, 2.5, -3, 4e-2]\n[0, 1, 2, 3]\n",
        b"[1,2.5,-3,4e-2]\n[0,1,2,3]",
        b"1,2.5,-3,0.04\n0,1,2,3\n",
        b"1 , 2.5,-3.0,  4E-2\r\n 0,1,2,3\r\n",
        b"\xef\xbb\xbf[1,2.5,-3,0.04]\n[0,1,2,3]\n\n \n\r\n",
        b"+1,2.5,-3.,.04\n0,1,02,3\n",  # no JSON, but numbers
    ],
)
def test_every_way_to_write_it_is_one_thing(text: bytes) -> None:
    values, lines = read(text)
    assert values.tolist() == [[1, 2.5, -3, 0.04], [0, 1, 2, 3]]
    assert (lines.further(), lines.take(9).shape) == (None, (0, 4))


def test_lines_in_the_shape_of_theta() -> None:
    table = [[1.0, 2.0], [3.0, 4.0], [0.0, 0.0]]
    flat = [1.0, 2.0, 3.0, 4.0, 0.0, 0.0]
    for row in (json.dumps(table), json.dumps(flat), ",".join(map(str, flat))):
        assert read(f"{row}\n{row}\n".encode())[0].tolist() == [flat, flat]
    one = Expected("arm", 1, (1,), (1, 1))
    assert read(b"0.5\n-1e-3\n", one)[0].tolist() == [[0.5], [-0.001]]


def test_numbers_come_back_bit_by_bit() -> None:
    table = np.random.default_rng(0).normal(size=(50, 4)) * 10.0 ** np.arange(-200, 200, 100)
    for lot in (1, 7, 50):
        text = "\n".join(json.dumps(row) for row in table.tolist()).encode()
        assert np.array_equal(read(text, together=lot)[0], table)
        text = "\n".join(",".join(map(repr, row)) for row in table.tolist()).encode()
        assert np.array_equal(read(text, together=lot)[0], table)


def test_no_more_is_read_than_is_asked_for() -> None:
    lines = GradientLines(io.BytesIO(b"1,2,3,4\n" * 5 + b"rubbish\n"), EXPECTED)
    assert (len(lines.take(5)), lines.number) == (5, 5)
    assert lines.further() == "'rubbish'"


# Bad lines: the text, the line that is named, and what is said of it.
BAD = [
    (b"[1,2,3]\n", 1, "a JSON array of 3 numbers; expected a gradient of maze, its 4 parameters in order, or [3, 2]"),
    (b"1,2,3\n", 1, "3 numbers separated by commas; expected a gradient of maze"),
    (b"7\n", 1, "one number; expected a gradient of maze"),
    (b"[]\n", 1, "a JSON array of 0 numbers"),
    (b"[[[1,2,3,4]]]\n", 1, "a JSON array of [1, 1, 4]"),
    (b"[1,2,3,4]\n[1,2,3]\n", 2, "a JSON array of 3 numbers; expected a JSON array of 4 numbers, as on line 1"),
    (b"1,2,3,4\n1,2,3,4\n1,2,3,4\n1,2,3,4\n1,2,3,4,5\n", 5, "5 numbers separated by commas; expected 4 numbers"),
    (b"[1,2,3,4]\n[[1,2],[3,4],[0,0]]\n", 2, "a JSON array of [3, 2]; expected a JSON array of 4 numbers, as on"),
    (b"[1,2,3,4]\n1,2,3,4\n", 2, "4 numbers separated by commas; expected a JSON array of 4 numbers, as on line 1"),
    (b"1,2,3,4\n[1,2,3,4]\n", 2, "a JSON array of 4 numbers; expected 4 numbers separated by commas, as on line 1"),
    (b"[1,2,3,4]\n[1,[2,3,4]\n[1],2,3,4]\n", 2, "not JSON"),
    (b"[1,2],[3,4]\n", 1, "not JSON"),
    (b"[1,2,3,4", 1, "not JSON"),
    (b"[1,2,3,4]\n[1,2,3,4]]\n", 2, "not JSON"),
    (b"[[1,2],[3]]\n", 1, "rows of different lengths"),
    (b"[1,2,3,[4]]\n", 1, "rows of different lengths"),
    (b"[1,2,3,true]\n", 1, "true where a number is expected"),
    (b"[1,2,3,4]\n[1,2,null,4]\n", 2, "null where a number is expected"),
    (b'[1,2,3,"4"]\n', 1, "text where a number is expected"),
    (b"[1,2,3,{}]\n", 1, "{} where a number is expected"),
    (b"1,2,3,4\n1,2,NaN,4\n", 2, "not finite"),
    (b"[1,2,3,4]\n[1,2,-Infinity,4]\n", 2, "not finite"),
    (b"[1,2,3,1e999]\n", 1, "not finite"),
    (b"1,2,3,inf\n", 1, "not finite"),
    (b"1,2,3," + b"9" * 400 + b"\n", 1, "not finite"),
    (b"1,2,3,4\n1,2,3,1e130\n", 2, "a number of size 1e+130, over 1e+120"),
    (b"g0,g1,g2,g3\n1,2,3,4\n", 1, "no numbers: only gradients go to standard output, all else to standard error"),
    (b"loading the model ...\n1,2,3,4\n", 1, "no numbers"),
    (b"1 2 3 4\n", 1, "numbers without commas"),
    (b"1,2,3,\n", 1, "nothing where a number is expected"),
    (b"1,,3,4\n", 1, "nothing where a number is expected"),
    (b"1;2;3;4\n", 1, "no numbers"),
    (b"1_0,2,3,4\n", 1, "no numbers"),
    (b"0x10,2,3,4\n", 1, "no numbers"),
    (b'{"probability": 0.5}\n', 1, "a JSON object (is the program that answers missing in between?)"),
    (b"1,2,3,4\n\xff\xfe\n", 2, "not UTF-8"),
    (b"1,2,3,4\n\x00\n", 2, "no numbers"),
    (b"1,2,3,4\n\n1,2,3,4\n", 2, "empty; expected a gradient on every line"),
    (b"\n1,2,3,4\n", 1, "empty; expected a gradient on every line"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "line", "fault"), BAD, ids=lambda value: repr(value)[:30])
def test_what_is_no_gradient_is_refused_by_its_line(text: bytes, line: int, fault: str) -> None:
    message = refused(text)
    assert message.startswith(f"standard input, line {line}: ")
    assert fault in message


def test_a_message_quotes_the_line_cropped() -> None:
    message = refused(b"[1,2,3,4]\n" + b"spam " * 100 + b"\n")
    assert "'" + "spam " * 11 + "sp...'" in message
    assert len(message) < 250


def test_a_table_where_theta_is_flat_is_said_to_be_one() -> None:
    assert "a JSON array of [3, 2] (a table, but states look alike or lack actions" in refused(
        b"[[1,2],[3,4],[5,6]]\n", FLAT
    )
    assert "6 numbers separated by commas (a table" in refused(b"1,2,3,4,5,6\n", FLAT)
    assert "(a table" not in refused(b"1,2,3,4\n", FLAT)


def test_a_line_without_an_end_is_not_read_for_ever() -> None:
    class Endless(io.RawIOBase):
        asked = 0

        def readline(self, size: int | None = -1) -> bytes:
            assert size is not None
            assert size > 0
            self.asked += 1
            return b"1" * size

    endless = Endless()
    with pytest.raises(EstimatorError, match=r"line 1: '1+\.\.\.': longer than"):
        GradientLines(endless, EXPECTED).take(1)  # type: ignore[arg-type]
    assert endless.asked == 1
    assert len(read(b"[" + b" " * (BYTES_A_NUMBER * 6) + b"1,2,3,4]\n")[0]) == 1


@pytest.mark.parametrize(
    ("text", "digits"),
    [
        ("0,0,0,0", 0), ("1,-2,3,0.5", 1), ("10,0.25,3e7,1", 2), ("0.000123,1,1,1", 3), ("1.50000,1,1,1", 6),
        ("-12.3456e-12345,1,1,0", 6), ("0.123456789,0,0,0", 9), ("0.1234567891,0,0,0", 10),
        ("0.30000000000000004,1,1,1", 10),
    ],
)  # fmt: skip
def test_significant_digits_are_counted(text: str, digits: int) -> None:
    _, lines = read(f"1,1,1,1\n{text}\n1,1,1,1\n".encode(), together=1)
    assert lines.digits == max(digits, 1)
    assert lines.few_digits == (max(digits, 1) if digits <= 9 else None)


def test_single_precision_is_known_by_its_numbers() -> None:
    table = np.random.default_rng(1).normal(size=(20, 4))
    single = table.astype(np.float32).astype(np.float64)
    as_text = ["\n".join(json.dumps(row) for row in rows.tolist()).encode() for rows in (table, single)]
    assert [read(text)[1].is_single for text in as_text] == [False, True]
    assert [read(text)[1].is_imprecise for text in as_text] == [False, True]
    assert read(b"0.1,0.2,0.3,0.4\n")[1].is_imprecise
