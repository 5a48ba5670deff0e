import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import pgcheck
from pgcheck import TooLargeError
from pgcheck.trajectories.counting import (
    count_text,
    count_trajectories,
    counts_by_horizon,
    counts_shown,
    horizon_that_fits,
)
from tests import oracles
from tests.problems import random_problem


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 2**32 - 1))
def test_the_number_is_that_of_a_plain_recursion(seed: int) -> None:
    mdp, policy = random_problem(seed)
    assert count_trajectories(mdp) == sum(1 for _ in oracles.trajectories(mdp, policy))


@pytest.mark.parametrize(("model", "horizon"), [("frozen_lake", 100), ("river_swim", 200), ("short_corridor", 1000)])
def test_large_numbers_are_exact_integers(model: str, horizon: int) -> None:
    mdp, _ = pgcheck.load(model, horizon=horizon)
    table = oracles.outcomes(mdp)
    counts = [1] * mdp.num_states
    for _ in range(horizon):
        counts = [
            sum(1 if ends else counts[t] for _, t, _, _, ends in row) if row else 1 for row in table
        ]  # Python's own integers
    assert count_trajectories(mdp) == sum(n for n, p in zip(counts, mdp.start, strict=True) if p > 0)


def test_frozen_lake_has_the_published_counts() -> None:
    mdp, _ = pgcheck.load("frozen_lake")
    counts = list(itertools.islice(counts_by_horizon(mdp), 9))
    assert counts[4:] == [99_481, 940_903, 8_827_417, 82_581_088, 769_549_318]


def test_a_constant_number_is_found_at_any_horizon() -> None:
    mdp, _ = pgcheck.load("bandit", horizon=10**15)
    assert count_trajectories(mdp) == 5
    assert counts_shown(mdp) == ([(1, 5), (2, 5), (10**15, 5)], False)


def test_a_number_too_long_to_count_is_refused() -> None:
    mdp, _ = pgcheck.load("frozen_lake", horizon=10**9)
    with pytest.raises(TooLargeError, match="takes too long to count"):
        count_trajectories(mdp)
    shown, cut = counts_shown(mdp)
    assert cut
    assert shown[7] == (8, 82_581_088)


def test_the_horizon_that_fits_is_the_greatest() -> None:
    mdp, _ = pgcheck.load("frozen_lake")
    assert horizon_that_fits(mdp, 10**8) == (8, 82_581_088)
    assert horizon_that_fits(mdp, 82_581_088) == (8, 82_581_088)
    assert horizon_that_fits(mdp, 82_581_087) == (7, 8_827_417)
    assert horizon_that_fits(mdp, 1) is None


def test_a_number_is_spelled_out_or_sized() -> None:
    assert count_text(55_924_053) == "55,924,053"
    assert count_text(10**15 - 1) == "999,999,999,999,999"
    assert count_text(10**15) == "about 10^15"
    assert count_text(10**15, digits=None) == "1,000,000,000,000,000"
    for digits in (15, None):
        assert count_text(10**5000, digits=digits) == "about 10^5000"
        assert count_text(10**5000 - 1, digits=digits) == "about 10^4999"
    assert count_text(38 * 10**15, large="{mantissa}e{exponent}") == "3.8e16"


@given(st.integers(2, 2000), st.integers(-1, 1))
def test_the_size_of_a_number_is_that_of_its_digits(exponent: int, offset: int) -> None:
    count = 10**exponent + offset
    digits = str(count)
    size = count_text(count, digits=0, large="{mantissa}e{exponent}")
    assert size == f"{digits[0]}.{digits[1]}e{len(digits) - 1}"
