"""The rule of sampled verdicts: its error rates, on gradients whose law is known."""

import math
import os

import numpy as np
import pytest

from pgcheck.arrays import Floats
from pgcheck.verification.sequential import BATCHES, FIRST_LOOK, Look, Sums, looked_at, p_of_sum, spent

SEEDS = int(os.environ.get("PGCHECK_CALIBRATION_SEEDS", "300"))  # 2000 and more for the long version
LOOKS = 4


def covariance(d: int) -> Floats:
    """The root of a covariance with a few large directions, as gradients have."""
    rng = np.random.default_rng(d)
    return np.asarray(rng.normal(size=(d, d)) * (1 + np.arange(d)) ** -0.5)


def normal_sums(rng: np.random.Generator, mean: Floats, root: Floats, looks: int) -> list[Sums]:
    """The sums at each look, of rollouts with a normal law: those of a batch have one too."""
    d = len(mean)
    variances = (root**2).sum(axis=1)
    total, all_sums = np.zeros((BATCHES, d)), []
    for k in range(1, looks + 1):
        rollouts = FIRST_LOOK * 2 ** (k - 1)
        new = (rollouts - (rollouts // 2 if k > 1 else 0)) // BATCHES
        total = total + new * mean + math.sqrt(new) * rng.normal(size=(BATCHES, d)) @ root.T
        drawn = total.sum(axis=0) / rollouts  # the squares go with the mean that was drawn
        squares = rollouts * (variances + drawn**2)
        fourths = rollouts * (3 * variances**2 + 6 * variances * drawn**2 + drawn**4)
        norm, norms = float(squares.sum()), float(fourths.sum())
        all_sums.append(Sums(total.copy(), squares, fourths, norm, norms, 0.0, rollouts))
    return all_sums


def decided(sums: list[Sums], gradient: Floats, alpha: float, tolerance: float) -> Look:
    for k, some in enumerate(sums, 1):
        look = looked_at(some, gradient, k, alpha=alpha, tolerance=tolerance)
        if look.decision != "inconclusive":
            return look
    return look


def most_failures(probability: float) -> int:
    """Five standard deviations of a binomial above its mean."""
    return int(SEEDS * probability + 5 * math.sqrt(SEEDS * probability)) + 1


@pytest.mark.parametrize("d", [12, 120])
@pytest.mark.parametrize("alpha", [0.05, 0.01])
def test_a_right_estimator_fails_at_most_as_often_as_it_is_said(d: int, alpha: float) -> None:
    root, gradient = covariance(d), np.ones(d)
    failed = 0
    for seed in range(SEEDS):
        rng = np.random.default_rng([seed, d])
        failed += decided(normal_sums(rng, gradient, root, LOOKS), gradient, alpha, 1e-9).decision == "fail"
    assert failed <= most_failures(alpha)


@pytest.mark.parametrize("d", [12, 120])
def test_a_bias_of_exactly_the_tolerance_passes_at_most_as_often_as_it_is_said(d: int) -> None:
    alpha, tolerance = 0.05, 0.05
    root, gradient = 0.3 * covariance(d), np.ones(d)
    direction = np.random.default_rng(1).normal(size=d)
    biased = gradient + tolerance * np.linalg.norm(gradient) * direction / np.linalg.norm(direction)
    passed = 0
    for seed in range(SEEDS):
        rng = np.random.default_rng([seed, d])
        passed += decided(normal_sums(rng, biased, root, 6), gradient, alpha, tolerance).decision == "pass"
    assert passed <= most_failures(alpha)


@pytest.mark.parametrize("d", [12, 120])
def test_a_right_estimator_passes_and_a_wrong_one_fails(d: int) -> None:
    root, gradient = 0.1 * covariance(d), np.ones(d)
    rng = np.random.default_rng([d, 1])
    right = decided(normal_sums(rng, gradient, root, 8), gradient, 0.001, 0.05)
    assert right.decision == "pass"
    assert right.bound <= 0.05
    tilted = gradient + 0.3 * np.where(np.arange(d) % 2, 1, -1)
    wrong = decided(normal_sums(rng, tilted, root, 8), gradient, 0.001, 0.05)
    assert wrong.decision == "fail"
    assert wrong.bias == pytest.approx(0.3, abs=5 * wrong.bias_error)
    assert abs(wrong.scale_error) < 5 * wrong.scale_error_error
    scaled = decided(normal_sums(rng, 1.2 * gradient, root, 8), gradient, 0.001, 0.05)
    assert scaled.decision == "fail"
    assert scaled.scale_error == pytest.approx(0.2, abs=5 * scaled.scale_error_error)


def test_one_component_that_is_off_is_named() -> None:
    d = 120
    root, gradient = covariance(d), 5 * np.ones(d)
    off = gradient.copy()
    off[77] += 8 * np.linalg.norm(root[77]) / math.sqrt(FIRST_LOOK)
    look = decided(normal_sums(np.random.default_rng(0), off, root, 1), gradient, 0.001, 1e-6)
    assert (look.decision, look.component) == ("fail", 77)


def test_few_rollouts_that_carry_everything_decide_nothing() -> None:
    rng = np.random.default_rng(0)
    sums, gradient = Sums.empty(3), np.ones(3)
    for b in range(BATCHES):
        sums.add(b, rng.normal(size=(FIRST_LOOK // BATCHES, 3)) * 1e-3, np.ones(FIRST_LOOK // BATCHES))
    sums.batches[5] += 1e4
    sums.norm, sums.norm_squared, sums.greatest = 1e8, 1e16, 1e8
    look = looked_at(sums, gradient, 1, alpha=0.001, tolerance=0.05)
    assert look.decision == "inconclusive"
    assert look.effective == pytest.approx(1)
    assert look.largest == pytest.approx(1)


def test_what_is_needed_is_enough() -> None:
    d = 12
    root, gradient = covariance(d), np.ones(d)
    for seed in range(10):
        sums = normal_sums(np.random.default_rng(seed), gradient, root, 9)
        first = looked_at(sums[0], gradient, 1, alpha=0.001, tolerance=0.05)
        assert first.needed is not None
        assert first.needed <= sums[-1].rollouts
        look = int(math.log2(first.needed / FIRST_LOOK)) + 1
        later = looked_at(sums[look - 1], gradient, look, alpha=0.001, tolerance=0.1)
        assert later.decision == "pass"


def test_gradients_without_noise() -> None:
    sums, gradient = Sums.empty(2), np.array([1.0, 2.0])
    for b in range(BATCHES):
        sums.add(b, np.array([[1.0, 2.0]]), np.array([64.0]))
    assert looked_at(sums, gradient, 1, alpha=0.001, tolerance=0.05).decision == "pass"
    wrong = looked_at(sums, 1.5 * gradient, 1, alpha=0.001, tolerance=0.05)
    assert wrong.decision != "pass"
    assert wrong.bound == pytest.approx(1 / 3)


def test_sums_of_counted_gradients_are_those_of_repeated_ones() -> None:
    rng = np.random.default_rng(0)
    distinct, counts = rng.normal(size=(5, 3)), np.array([1.0, 0, 4, 2, 7])
    one, other = Sums.empty(3), Sums.empty(3)
    one.add(2, distinct, counts)
    repeated = np.repeat(distinct, counts.astype(int), axis=0)
    other.add(2, repeated, np.ones(len(repeated)))
    for name in ("batches", "squares", "fourths", "norm", "norm_squared", "rollouts"):
        np.testing.assert_allclose(getattr(one, name), getattr(other, name))


def test_all_looks_together_spend_alpha() -> None:
    assert math.fsum(spent(k, 0.01) for k in range(1, 100_000)) == pytest.approx(0.01, rel=1e-4)


def test_the_normal_law_alone_would_be_wrong() -> None:
    """The negative twin of the first test: with one large direction, ΣO is far from normal."""
    rng = np.random.default_rng(0)
    by_rule = by_normal = 0
    trials, alpha = 4000, 0.001
    for _ in range(trials):
        off = rng.normal(size=(BATCHES, 1))
        gram = off @ off.T
        outside = gram - np.diag(np.diag(gram))
        by_rule += p_of_sum(outside) <= alpha
        by_normal += outside.sum() / math.sqrt(2 * np.sum(outside**2)) > 3.0902
    assert by_rule <= trials * alpha + 5 * math.sqrt(trials * alpha)
    assert by_normal > 3 * trials * alpha
