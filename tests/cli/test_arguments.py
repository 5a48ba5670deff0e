import pytest

from pgcheck import UsageError
from pgcheck.cli import arguments


@pytest.mark.parametrize(
    ("text", "expected"),
    [("1000", 1000), ("1e6", 10**6), ("10k", 10**4), ("2M", 2 * 10**6), ("1_000", 1000), ("1.5e3", 1500),
     ("2.5k", 2500), ("1E3", 1000), ("1e15", 10**15), ("+7", 7), ("1G", 10**9), ("0.5M", 500_000), ("1e+3", 1000),
     ("1,000", 1000), ("1 000", 1000), ("12,345,678", 12_345_678), ("1\xa0000", 1000), ("1\u202f000 000", 10**6)],
)  # fmt: skip
def test_a_count_can_be_written_in_many_ways(text: str, expected: int) -> None:
    assert arguments.count(text, "--n", 10**15) == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        "0",
        "-1",
        "x",
        "1.5",
        "1e-3",
        "nan",
        "inf",
        "1e400",
        "1e16",
        "10 k",
        "1,00",
        "1,0000",
        "1,000 000",
        "1,000.5",
        ",000",
        "-1,000",
        "0x10",
        "1e",
        "k",
        "_",
        "1e9999",
        "９",
    ],
)
def test_what_is_no_count_is_refused_with_the_option_named(text: str) -> None:
    with pytest.raises(UsageError, match=r"^--n "):
        arguments.count(text, "--n", 10**15)


def test_lists_and_decades_come_in_rising_order_once() -> None:
    assert arguments.counts("10,100,1e4", "--n", 10**15) == [10, 100, 10_000]
    assert arguments.counts("10..1e4", "--n", 10**15) == [10, 100, 1000, 10_000]
    assert arguments.counts("1e3,10,10", "--n", 10**15) == [10, 1000]
    assert arguments.counts("20..500,7", "--n", 10**15) == [7, 20, 200, 500]


def test_in_a_list_a_comma_separates_and_a_space_groups() -> None:
    assert arguments.counts("10,100,1000", "--n", 10**15) == [10, 100, 1000]
    assert arguments.counts("1 000,10 000", "--n", 10**15) == [1000, 10_000]
    assert arguments.counts("1 000..10_000", "--n", 10**15) == [1000, 10_000]
    for text in ("1,000", "10,000,000", "2,050", "10,1,000"):
        with pytest.raises(UsageError, match="a comma separates the numbers of a list; write 1000 or 1_000"):
            arguments.counts(text, "--n", 10**15)


@pytest.mark.parametrize("text", ["", "10,", "10..", "..10", "100..10", "10;20", "10...100", "1,2,x"])
def test_a_faulty_list_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match=r"^--n "):
        arguments.counts(text, "--n", 10**15)


def test_a_number_may_be_a_fraction() -> None:
    assert arguments.number("1/4", "--gamma", 0, 1) == 0.25
    assert arguments.number("1e-3", "--gamma", 0, 1) == 0.001
    for text in ("1.5", "-0.1", "1/0", "x", "", "nan", "1e999", "inf"):
        with pytest.raises(UsageError, match=r"^--gamma .* expected a number from 0 to 1"):
            arguments.number(text, "--gamma", 0, 1)


@pytest.mark.parametrize("text", ["500%", "101%", "0", "0%", "-5%", "1.5", "x", "5%%", ""])
def test_a_share_is_refused_as_it_was_written(text: str) -> None:
    with pytest.raises(UsageError) as refusal:
        arguments.share(text, "--accuracy")
    assert str(refusal.value) == f"--accuracy {text!r}: expected more than 0 and at most 100 %, like 5%, 0.05 or 1/20"


def test_a_share_is_percent_decimal_or_fraction() -> None:
    assert [arguments.share(text, "--accuracy") for text in ("5%", "0.05", "1/20", "100%")] == [0.05, 0.05, 0.05, 1.0]
