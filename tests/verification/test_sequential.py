"""The rule of sampled verdicts: its error rates, on gradients whose law is known."""

import math
import os

import numpy as np
import pytest

from pgcheck.arrays import Floats
from pgcheck.verification.batch_sums import BATCHES, Carried, Sums
from pgcheck.verification.gram import p_of_sum
from pgcheck.verification.sequential import FIRST_LOOK, Look, looked_at, spent

SEEDS = int(os.environ.get("PGCHECK_CALIBRATION_SEEDS", "200"))  # 2000 and more for the long version
LOOKS = 4


def covariance(d: int) -> Floats:
    """The root of a covariance with a few large directions, as gradients have."""
    rng = np.random.default_rng(d)
    return np.asarray(rng.normal(size=(d, d)) * (1 + np.arange(d)) ** -0.5)


def normal_sums(rng: np.random.Generator, bias: Floats, root: Floats, looks: int) -> list[Sums]:
    """The sums at each look, of errors with a normal law: those of a batch have one too."""
    d = len(bias)
    variances = (root**2).sum(axis=1)
    total, all_sums = np.zeros((BATCHES, d)), []
    for k in range(1, looks + 1):
        rollouts = FIRST_LOOK * 2 ** (k - 1)
        new = (rollouts - (rollouts // 2 if k > 1 else 0)) // BATCHES
        total = total + new * bias + math.sqrt(new) * rng.normal(size=(BATCHES, d)) @ root.T
        drawn = total.sum(axis=0) / rollouts  # the squares go with the mean that was drawn
        squares = rollouts * (variances + drawn**2)
        fourths = rollouts * (3 * variances**2 + 6 * variances * drawn**2 + drawn**4)
        carried = Carried(float(squares.sum()), float(fourths.sum()))
        all_sums.append(Sums(total.copy(), np.zeros((BATCHES, d)), squares, fourths, carried, carried, rollouts))
    return all_sums


def decided(sums: list[Sums], gradient: Floats, alpha: float, tolerance: float) -> Look:
    for k, some in enumerate(sums, 1):
        look = looked_at(some, gradient, k, alpha=alpha, tolerance=tolerance, is_due_right=False)
        if look.decision != "inconclusive":
            return look
    return look


def most_failures(probability: float) -> int:
    """Five standard deviations of a binomial above its mean."""
    return int(SEEDS * probability + 5 * math.sqrt(SEEDS * probability)) + 1


@pytest.mark.parametrize("d", [12, 120])
def test_a_right_estimator_fails_at_most_as_often_as_it_is_said(d: int) -> None:
    root, gradient = covariance(d), np.ones(d)
    failed = dict.fromkeys([0.05, 0.01], 0)
    for seed in range(SEEDS):
        sums = normal_sums(np.random.default_rng([seed, d]), np.zeros(d), root, LOOKS)
        for alpha in failed:
            failed[alpha] += decided(sums, gradient, alpha, 1e-9).decision == "fail"
    for alpha, number in failed.items():
        assert number <= most_failures(alpha)


@pytest.mark.parametrize("d", [12, 120])
def test_a_bias_of_exactly_the_tolerance_passes_at_most_as_often_as_it_is_said(d: int) -> None:
    alpha, tolerance = 0.05, 0.05
    root, gradient = 0.3 * covariance(d), np.ones(d)
    direction = np.random.default_rng(1).normal(size=d)
    bias = tolerance * np.linalg.norm(gradient) * direction / np.linalg.norm(direction)
    passed = 0
    for seed in range(SEEDS):
        rng = np.random.default_rng([seed, d])
        passed += decided(normal_sums(rng, bias, root, 6), gradient, alpha, tolerance).decision == "pass"
    assert passed <= most_failures(alpha)


@pytest.mark.parametrize("d", [12, 120])
def test_a_right_estimator_passes_and_a_wrong_one_fails(d: int) -> None:
    root, gradient = 0.1 * covariance(d), np.ones(d)
    rng = np.random.default_rng([d, 1])
    right = decided(normal_sums(rng, np.zeros(d), root, 8), gradient, 0.001, 0.05)
    assert right.decision == "pass"
    assert right.bound <= 0.05
    tilted = 0.3 * np.where(np.arange(d) % 2, 1.0, -1.0)
    wrong = decided(normal_sums(rng, tilted, root, 8), gradient, 0.001, 0.05)
    assert wrong.decision == "fail"
    assert wrong.bias == pytest.approx(0.3, abs=5 * wrong.bias_error)
    assert abs(wrong.scale_error) < 5 * wrong.scale_error_error
    scaled = decided(normal_sums(rng, 0.2 * gradient, root, 8), gradient, 0.001, 0.05)
    assert scaled.decision == "fail"
    assert scaled.scale_error == pytest.approx(0.2, abs=5 * scaled.scale_error_error)


def test_one_component_that_is_off_is_named() -> None:
    d = 120
    root, gradient = covariance(d), 5 * np.ones(d)
    off = np.zeros(d)
    off[77] = 8 * np.linalg.norm(root[77]) / math.sqrt(FIRST_LOOK)
    look = decided(normal_sums(np.random.default_rng(0), off, root, 1), gradient, 0.001, 1e-6)
    assert (look.decision, look.component) == ("fail", 77)


def test_few_rollouts_that_carry_everything_decide_nothing() -> None:
    gradient, sums = np.ones(3), Sums.empty(3)
    gradients = gradient + 1e-3 * np.random.default_rng(0).normal(size=(FIRST_LOOK, 3))
    gradients[5] = 1e4
    sums.add(gradients - gradient, gradients)
    look = looked_at(sums, gradient, 1, alpha=0.001, tolerance=0.05)
    assert look.decision == "inconclusive"
    assert look.effective == pytest.approx(1, abs=0.01)
    assert look.largest == pytest.approx(1, abs=0.01)


def of_alike(error: Floats, gradient: Floats) -> Sums:
    sums = Sums.empty(len(error))
    sums.add(np.tile(error, (FIRST_LOOK, 1)), np.tile(gradient, (FIRST_LOOK, 1)))
    return sums


def test_what_is_needed_is_enough() -> None:
    d = 12
    root, gradient = covariance(d), np.ones(d)
    for seed in range(10):
        sums = normal_sums(np.random.default_rng(seed), np.zeros(d), root, 9)
        first = looked_at(sums[0], gradient, 1, alpha=0.001, tolerance=0.05, is_due_right=False)
        assert first.needed is not None
        assert first.needed <= sums[-1].rollouts
        look = int(math.log2(first.needed / FIRST_LOOK)) + 1
        later = looked_at(sums[look - 1], gradient, look, alpha=0.001, tolerance=0.1, is_due_right=False)
        assert later.decision == "pass"


def test_gradients_without_noise() -> None:
    gradient = np.array([1.0, 2.0])
    for off, decision in ((0.0, "pass"), (0.04, "pass"), (0.06, "fail")):
        look = looked_at(of_alike(off * gradient, (1 + off) * gradient), gradient, 1, alpha=0.001, tolerance=0.05)
        assert look.decision == decision
        unseen = math.log(4 / 0.001) / FIRST_LOOK  # the share of what may not have been drawn
        assert look.bound == pytest.approx(off + unseen)


def test_gradients_that_are_all_0_decide_nothing_unless_a_right_estimator_has_others() -> None:
    gradient, none = np.array([1.0, 2.0]), np.zeros((FIRST_LOOK, 2))
    unseen = looked_at(of_alike(-gradient, 0 * gradient), gradient, 1, alpha=0.001, tolerance=0.05)
    assert unseen.decision == "inconclusive"
    assert not unseen.is_carried
    sums = Sums.empty(2)
    sums.add(-gradient + np.random.default_rng(0).normal(size=none.shape), none)
    assert looked_at(sums, gradient, 1, alpha=0.001, tolerance=0.05).decision == "fail"


def test_where_the_gradient_is_0_noise_is_never_a_pass() -> None:
    rng, none = np.random.default_rng(0), np.zeros(3)
    noise = rng.normal(size=(FIRST_LOOK, 3))
    for errors, decision in ((noise, "inconclusive"), (noise + 0.2, "fail"), (0 * noise, "pass")):
        sums = Sums.empty(3)
        sums.add(errors, errors)
        look = looked_at(sums, none, 1, alpha=0.001, tolerance=0.05)
        assert (look.decision, look.needed) == (decision, None)


@pytest.mark.parametrize(("factor", "decision"), [(3.0, "pass"), (-1.0, "fail"), (0.0, "inconclusive")])
def test_up_to_scale_only_a_positive_factor_passes(factor: float, decision: str) -> None:
    gradient = np.ones(12)
    sums = normal_sums(np.random.default_rng(1), (factor - 1) * gradient, 0.1 * covariance(12), 6)[-1]
    look = looked_at(sums, gradient, 6, alpha=0.001, tolerance=0.05, up_to_scale=True, is_due_right=False)
    assert look.decision == decision
    tilted = np.where(np.arange(12) % 2, 1.0, -1.0)
    sums = normal_sums(np.random.default_rng(1), 2 * gradient + tilted, 0.1 * covariance(12), 6)[-1]
    assert (
        looked_at(sums, gradient, 6, alpha=0.001, tolerance=0.05, up_to_scale=True, is_due_right=False).decision
        == "fail"
    )


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
