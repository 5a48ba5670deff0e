"""The entropy bonus and the KL term that explain what is there without any reward, with their coefficients.

Least squares on all models together, for each entropy bonus, each KL term, and each pair of them. What is accepted
has to be exact, and needs more directions of the gradients than it has unknown coefficients.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from pgcheck.arrays import Floats, norm_of
from pgcheck.verification.objective_terms import ObjectiveTerm, Way
from pgcheck.verification.objective_texts import Objective

PARALLEL, EQUAL, FAINT = 1e-9, 1e-6, 1e-10  # columns: 1 - |cosine|, a factor near 1, and the size of nothing
AS_GOOD, EXACT = 10.0, 1e-9  # a fit that is so many times worse than the best, or so near, is as good


@dataclass(frozen=True, eq=False)
class Column:
    """A term's expectations on all models, one behind the other.

    Attributes:
      way: how the term is written.
      values: its expectations, each relative to the size of its finding `[D]`.
      variants: the ways to write KL, also those of later terms with the same expectations.
      term: what its expectations are computed from; None where the estimator itself was called for them.
    """

    way: Way
    values: Floats
    variants: tuple[str, ...]
    term: ObjectiveTerm | None = None


@dataclass(frozen=True, eq=False)
class Fit:
    """Terms that explain everything, with their coefficients.

    Attributes:
      parts: the terms and their coefficients, at most one for the entropy and one for KL.
      residual: the greatest difference on a model, relative to its size.
      unknown: how many coefficients had to be found.
      wrong: how many of entropy and KL are not as asked.
    """

    parts: tuple[tuple[Column, float], ...]
    residual: float
    unknown: int
    wrong: int


@dataclass(frozen=True)
class Models:
    """What a fit has to know of the models.

    Attributes:
      sizes: the number of components of each finding's gradient.
      freedom: how many directions the gradients of all models have together.
    """

    sizes: Sequence[int]
    freedom: int


def best_fit(
    wanted: Floats, columns: Sequence[Column], models: Models, asked: Objective, tolerance: float
) -> Fit | None:
    """Returns the fit with the fewest faults among those about as good as the best; None where none is exact.

    Args:
      wanted: what is to be explained, one model behind the other, each relative to its size `[D]`.
      columns: the terms, in the order in which they are preferred.
      models: the models.
      asked: the objective asked for.
      tolerance: the difference on a model that counts as none.
    """
    entropies = [column for column in columns if column.way.about == "entropy"]
    kls = [column for column in columns if column.way.about == "kl"]
    choices: list[tuple[Column, ...]] = [(), *((column,) for column in columns)]
    choices += [(e, k) for e in entropies for k in kls if not _parallel(e.values, k.values)]
    fits = [_fit(wanted, chosen, models, asked) for chosen in choices]
    fits = [fit for fit in fits if fit.residual <= tolerance and fit.unknown < max(models.freedom, 1)]
    if not fits:
        return None
    limit = max(AS_GOOD * min(fit.residual for fit in fits), EXACT)
    return min((fit for fit in fits if fit.residual <= limit), key=lambda fit: (fit.wrong, len(fit.parts)))


def is_right(column: Column, coefficient: float, asked: Objective) -> bool:
    """Returns whether a term is the gradient of the entropy or of KL, with the coefficient asked for."""
    wanted: float = getattr(asked, column.way.about)
    return column.way.is_full and abs(coefficient - wanted) <= EQUAL * abs(wanted)


def _fit(wanted: Floats, chosen: Sequence[Column], models: Models, asked: Objective) -> Fit:
    """Some terms with the coefficients that come nearest."""
    table = np.array([column.values for column in chosen]).reshape(len(chosen), len(wanted))
    found = np.linalg.solve(table @ table.T, table @ wanted) if chosen else np.zeros(0)
    rest = np.split(wanted - found @ table, np.cumsum(models.sizes)[:-1])
    parts = tuple(zip(chosen, found.tolist(), strict=True))
    unknown = sum(not is_right(column, coefficient, asked) for column, coefficient in parts)
    absent = {"entropy", "kl"} - {column.way.about for column in chosen}
    missing = sum(bool(getattr(asked, about)) for about in absent)
    return Fit(parts, max(map(norm_of, rest)), unknown, unknown + missing)


def _parallel(a: Floats, b: Floats) -> bool:
    return abs(float(a @ b)) >= (1 - PARALLEL) * norm_of(a) * norm_of(b)


def distinct(columns: Sequence[Column]) -> list[Column]:
    """Returns the columns that are neither 0 nor multiples of an earlier one, which learns how else it is written."""
    kept: list[Column] = []
    for column in columns:
        if norm_of(column.values) <= FAINT:
            continue
        alike = [it.way.about == column.way.about and _parallel(it.values, column.values) for it in kept]
        same = alike.index(True) if any(alike) else None
        if same is None:
            kept.append(column)
        elif norm_of(kept[same].values - column.values) <= EQUAL * norm_of(column.values):
            variants = tuple(dict.fromkeys((*kept[same].variants, *column.variants)))
            kept[same] = replace(kept[same], variants=variants)
    return kept
