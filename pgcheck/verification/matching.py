"""Naming a mistake by the known fields: which of them, times which factor, the expectation is on every model."""

from collections.abc import Sequence
from itertools import chain as chained

import numpy as np

from pgcheck.arrays import Floats, norm_of
from pgcheck.estimators.mistakes import FIELDS, RIGHT, Field
from pgcheck.verification import impulses as probes
from pgcheck.verification.probing import STEPS, Bench, Diagnosis, Finding, Matrix, best_factor

Scale = tuple[str, str, list[float]]  # id, text, and the factor on each finding


def _scales(findings: Sequence[Finding]) -> list[Scale]:
    """Factors that have a meaning, where they differ from 1."""
    gamma = [found.mdp.gamma for found in findings]
    horizon = [float(found.mdp.horizon) for found in findings]
    length = [found.case.mean_length if found.case else 1.0 for found in findings]
    size = [float(found.expectation.batch_size) for found in findings]
    known: list[Scale] = [
        ("sign", "the sign is wrong: this is minus the gradient, as of a loss", [-1.0 for _ in findings]),
        ("scale", "gamma times the gradient: the discount counts from t = 1", gamma),
        ("scale", "the gradient divided by gamma", [1 / g if g > 0 else 1.0 for g in gamma]),
        ("length-normalised", "the gradient divided by the horizon T", [1 / t for t in horizon]),
        ("length-normalised", "the gradient divided by the mean length E[L]", [1 / x if x else 1.0 for x in length]),
        ("scale", "T times the gradient, T the horizon", horizon),
        (
            "scale",
            "exactly (1 - 1/B) times the gradient: the baseline contains the episode's own return; leave that "
            "one out, or divide by B - 1",
            [1 - 1 / b for b in size],
        ),
        ("scale", "exactly B times the gradient: a sum over the batch where the mean is meant", size),
        ("scale", "the gradient divided by B, beyond the mean", [1 / b for b in size]),
        ("scale", "exactly B/(B - 1) times the gradient", [b / (b - 1) if b > 1 else 1.0 for b in size]),
        ("scale", "exactly B - 1 times the gradient", [b - 1 if b > 1 else 1.0 for b in size]),
        ("scale", "exactly 1/(B - 1) times the gradient", [1 / (b - 1) if b > 1 else 1.0 for b in size]),
    ]
    minus = [
        ("sign", f"the sign is wrong; besides, {text.replace('the gradient', 'it', 1)}", [-x for x in factors])
        for _, text, factors in known[1:]
    ]
    return [some for some in chained(known, minus) if any(abs(x - 1) > 1e-9 for x in some[2])]


def by_field(
    bench: Bench, findings: Sequence[Finding], gamma: float, matrix: Matrix | None, close: float
) -> list[Diagnosis]:
    """The known field, or multiple of one, that the expectation is on every model."""
    means = [found.expectation.mean for found in findings]
    sizes = [max(norm_of(mean), 1e-300) for mean in means]
    if all(size <= close * found.norm for size, found in zip(sizes, findings, strict=True)):
        return [Diagnosis("zero-mean", "the expectation is 0: what is weighed with does not depend on the action")]

    def fits(fields: Sequence[Floats], factors: Sequence[float]) -> bool:
        return all(
            norm_of(mean - factor * field) <= close * size
            for mean, field, factor, size in zip(means, fields, factors, sizes, strict=True)
        )

    scales = _scales(findings)
    # With one direction and one model everything is a multiple of everything else; so only impulses tell.
    blind = sum(found.freedom for found in findings) < 2
    found: list[tuple[Field, Scale | None]] = []
    for rank in range(3):
        for field in (RIGHT, *FIELDS):
            fields = [_mean(field, one) for one in findings]
            if rank == 0 and field is not RIGHT and fits(fields, [1.0] * len(means)):
                found.append((field, None))
            elif rank == 1:
                found += [(field, scale) for scale in scales if fits(fields, scale[2])]
            elif rank == 2 and not blind:
                factor = best_factor(means, fields)
                if factor is not None and fits(fields, [factor] * len(means)):
                    what = ("sign", "the sign is wrong; besides, it is") if factor < 0 else ("scale", "it is")
                    text = f"{what[1]} {abs(factor):.6g} times {'the gradient' if field is RIGHT else 'that'}"
                    found.append((field, (what[0], text, [factor] * len(means))))
        if found:
            break
    if not found:
        return _by_impulses(matrix, gamma, close) if blind else []
    agreeing = [pair for pair in found if matrix is not None and _agrees(pair, matrix, gamma)]
    if blind and not agreeing:
        return _by_impulses(matrix, gamma, close)
    field, scale = (agreeing or found)[0]
    text = field.text
    if "immediate-reward" in field.ids and matrix is not None and np.any(np.abs(np.tril(matrix.values, -1)) > close):
        text = (
            "each step is weighed by the rewards up to its own instead of from its own on: is `reversed` or [::-1] "
            "forgotten? What follows a step is left out"
        )
    told = [Diagnosis(name, text) for name in field.ids]
    # Leaving out the own reward, one naturally starts to discount at the next.
    if scale is not None and not ("off-by-one" in field.ids and "gamma" in scale[1]):
        told.append(Diagnosis(scale[0], scale[1]))
    return _right_without_discount(bench, told)


def _by_impulses(matrix: Matrix | None, gamma: float, close: float) -> list[Diagnosis]:
    """A factor by the impulses alone, where the expectation has but one direction."""
    if matrix is None or abs(factor := float(matrix.values[0, 0])) < close:
        return []
    if not probes.agree(matrix.values / factor, probes.right(STEPS, gamma), close):
        return []
    text = f"its impulses are {factor:.6g} times what is right"
    return [Diagnosis("sign" if factor < 0 else "scale", text)]


def _mean(field: Field, found: Finding) -> Floats:
    assert found.case is not None
    return field.mean(found.case.batch, found.case.prob)


def _agrees(pair: tuple[Field, Scale | None], matrix: Matrix, gamma: float) -> bool:
    """Whether a field weighs steps by rewards as the estimator does."""
    field, scale = pair
    own = probes.impulses(field.each, STEPS, gamma)
    factors = [1.0] if scale is None else [*scale[2], 1 / STEPS, gamma, 1 / gamma, float(STEPS), -1.0]
    return any(probes.agree(matrix.values, factor * own) for factor in factors)


def _right_without_discount(bench: Bench, told: list[Diagnosis]) -> list[Diagnosis]:
    """Adds, where it is so, that the estimator is right for γ = 1."""
    plain = bench.matrix(1.0)
    if plain is None or not plain.is_right or not told:
        return told
    return [Diagnosis(told[0].id, f"{told[0].text} (it is right for gamma = 1)"), *told[1:]]
