"""Naming what a loop computes by its expectation: weights, times a factor, over a divisor, and added terms.

What fits has to fit on every model at once, and to leave more equations than numbers that were fitted.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from pgcheck.arrays import Floats, norm_of
from pgcheck.verification.causes import Diagnosis
from pgcheck.verification.loop_divisors import DIVISORS, WHOLE, Divisor, of_fixed_number, usable
from pgcheck.verification.loop_frame import Seen
from pgcheck.verification.loop_kinds import Kind, Known
from pgcheck.verification.loop_terms import LoopTerm, decay_term, entropy_term, value_loss_term

SPARE = 2  # equations beyond those that fitted numbers use up, for a name to be certain
BARE_SPARE = 1  # the same of a mere multiple of the gradient
CHANCE = 1e-3  # beyond which it may be chance that one of so many candidates fits so few equations


@dataclass(frozen=True, eq=False)
class LoopMatch:
    """An explanation of the expectations on all models.

    Attributes:
      diagnoses: the names, without those of a factor.
      of_factor: the names of the factor.
      factor: the factor itself where it is the same always; else None.
      complete: whether the names explain all of the expectations.
    """

    diagnoses: tuple[Diagnosis, ...]
    of_factor: tuple[Diagnosis, ...] = ()
    factor: float | None = 1.0
    complete: bool = True

    @property
    def names(self) -> tuple[Diagnosis, ...]:
        """All names."""
        return (*self.diagnoses, *self.of_factor)

    def left(self, *, up_to_scale: bool) -> tuple[Diagnosis, ...]:
        """Returns the names that have to be allowed."""
        return self.diagnoses if up_to_scale and self.factor is not None and self.factor > 0 else self.names

    def after(self, *diagnoses: Diagnosis) -> "LoopMatch":
        """Returns the match with more names before its own."""
        return replace(self, diagnoses=(*diagnoses, *self.diagnoses))

    def doubtful(self) -> "LoopMatch":
        """Returns the match as a mere possibility."""
        names, factors = (
            tuple(replace(it, certain=False) for it in part) for part in (self.diagnoses, self.of_factor)
        )
        return replace(self, diagnoses=names, of_factor=factors)


@dataclass(frozen=True, eq=False)
class _Scale:
    """A factor with a meaning, on each model."""

    diagnoses: tuple[Diagnosis, ...]
    factors: tuple[float, ...]

    @property
    def constant(self) -> float | None:
        return self.factors[0] if np.ptp(self.factors) <= 1e-9 * abs(self.factors[0]) else None


Fields = list[tuple[Kind, Divisor, list[Floats]]]


class Matcher:
    """Compares expectations with what is known.

    Args:
      seen: the expectations, one for each model, or for each model and way to run it.
      tolerance: the relative difference that counts as none.
    """

    def __init__(self, seen: Sequence[Seen], tolerance: float) -> None:
        self.seen = tuple(seen)
        self.tolerance = tolerance
        self._records = [it.recorded for it in seen]
        self._divisors = usable(self._records)
        self._fields: dict[int, Fields] = {}
        own_rewards = all(it.mdp is it.finding.mdp and it.finding.enumeration is not None for it in seen)
        self._is_whole = own_rewards and not of_fixed_number(self._records)

    @property
    def equations(self) -> int:
        """How many numbers the expectations are: directions in which a policy gradient can be, on each model."""
        return sum(it.freedom for it in self.seen if norm_of(it.mean) > self.tolerance * it.size)

    def exact(self, kinds: Sequence[Kind]) -> list[LoopMatch]:
        """Returns what fits with a factor that has a meaning; as a possibility where it may do so by chance."""
        matches, words = [], []
        for kind, divisor, expected in self._all(kinds):
            for scale in self._scales():
                match = self._match(kind, divisor, scale)
                words.append(len(match.names))
                if self._fits([c * field for c, field in zip(scale.factors, expected, strict=True)]):
                    matches.append(match)
        # Each equation holds by chance with about twice the tolerance; what takes fewer words has been tried before.
        by_chance = (2 * self.tolerance) ** max(self.equations, 1)
        tried = np.cumsum(np.bincount(words, minlength=1))
        return [it if by_chance * tried[len(it.names)] <= CHANCE else it.doubtful() for it in matches]

    def times_factor(self, kinds: Sequence[Kind]) -> list[LoopMatch]:
        """Returns what fits with any one factor."""
        if self.equations < 1 + BARE_SPARE:
            return []
        y = self._stacked([it.mean for it in self.seen])
        matches = []
        for kind, divisor, expected in self._all(kinds):
            x = self._stacked(expected)
            below = float(x @ x)
            factor = float(x @ y) / below if below > 0 else 0.0
            if factor and self._fits([factor * field for field in expected]):
                is_bare = (
                    isinstance(kind, Known) and divisor in (WHOLE, DIVISORS[0]) and not kind.diagnoses(self.seen)
                )
                match = self._match(kind, divisor, None)
                cause = "scale/factor" if is_bare else "scale/factor-of-mistake"
                sign = (Diagnosis("sign", "sign/besides"),) if factor < 0 else ()
                names = (*sign, Diagnosis("scale", cause, (("factor", abs(factor)),)))
                match = replace(match, of_factor=names, factor=factor)
                matches.append(match if is_bare or self.equations >= 1 + SPARE else match.doubtful())
        return matches

    def with_terms(self, kinds: Sequence[Kind]) -> list[LoopMatch]:
        """Returns what fits with terms beside it, whose coefficients are fitted; the factor is 1."""
        y = self._stacked([it.mean for it in self.seen])
        shared = {divisor: entropy_term(self.seen, divisor) for divisor in self._divisors}
        discounted = {divisor: entropy_term(self.seen, divisor, discounted=True) for divisor in self._divisors}
        decay = decay_term(self.seen)
        matches = []
        for kind, divisor, expected in self._all(kinds):
            if divisor is WHOLE:
                continue
            value_loss = value_loss_term(self.seen, kind, divisor)
            others = [decay, *([] if value_loss is None else [value_loss])]
            rest = y - self._stacked(expected)
            for entropies in (
                shared[divisor],
                discounted[divisor],
                *(it for d, it in shared.items() if d is not divisor),
            ):
                named = self._fitted(rest, [entropies, *others])
                if named:
                    match = self._match(kind, divisor, None)
                    matches.append(replace(match, diagnoses=(*match.diagnoses, *named)))
                    break
        return matches

    def _fitted(self, rest: Floats, terms: list[LoopTerm]) -> tuple[Diagnosis, ...]:
        """The terms of which a rest is made, with their coefficients; empty where it is not, or is not told."""
        slack = self.tolerance
        columns = [self._stacked(term.means) for term in terms]
        while columns:
            coefficients, *_ = np.linalg.lstsq(np.array(columns).T, rest, rcond=1e-9)
            left = rest - coefficients @ np.array(columns)
            if not self._is_small(left):
                return ()
            sizes = [abs(c) * norm_of(column) for c, column in zip(coefficients, columns, strict=True)]
            if min(sizes) > 10 * slack:
                break
            least = int(np.argmin(sizes))
            del columns[least], terms[least]
        if not terms:
            return ()
        names = [term.diagnosis(float(c)) for term, c in zip(terms, coefficients, strict=True)]
        beyond = sum(min(3, it.directions.shape[1] - it.freedom) for it in self.seen)
        equations = self.equations + (
            beyond if any(not term.cause.startswith("regulariser/ent") for term in terms) else 0
        )
        if any(it is None for it in names) or equations < len(terms) + BARE_SPARE:
            return ()
        certain = equations >= len(terms) + SPARE
        return tuple(replace(it, certain=certain) for it in names if it is not None)

    def _match(self, kind: Kind, divisor: Divisor, scale: _Scale | None) -> LoopMatch:
        names = divisor.diagnoses(self._records, bootstrapped=kind.bootstrapped)
        of_divisor = tuple(
            it for it in names if divisor.cause is not None and it.id in ("scale", "length-normalised")
        )
        others = tuple(it for it in names if it not in of_divisor)
        factor, own = divisor.factor(self._records), (1.0 if scale is None else scale.constant)
        total = None if factor is None or own is None else factor * own
        if total is None:
            others, of_divisor = (*others, *of_divisor), ()
        of_scale = () if scale is None else scale.diagnoses
        return LoopMatch((*kind.diagnoses(self.seen), *others), (*of_divisor, *of_scale), total)

    def _all(self, kinds: Sequence[Kind]) -> Iterator[tuple[Kind, Divisor, list[Floats]]]:
        for kind in kinds:
            key = id(kind)
            if key not in self._fields:
                prepared = [kind.expected(it) for it in self.seen]
                divisors = [WHOLE, *self._divisors] if self._is_whole and isinstance(kind, Known) else self._divisors
                self._fields[key] = [(kind, d, [expected(d) for expected in prepared]) for d in divisors]
            yield from self._fields[key]

    def _scales(self) -> list[_Scale]:
        """Factors with a meaning; 1 is the first."""
        gammas = tuple(it.mdp.gamma for it in self.seen)
        scales = [_Scale((), (1.0,) * len(gammas))]
        if any(gamma < 1 for gamma in gammas) and all(gamma > 0 for gamma in gammas):
            scales.append(_Scale((Diagnosis("scale", "scale/gamma"),), gammas))
            scales.append(_Scale((Diagnosis("scale", "scale/over-gamma"),), tuple(1 / gamma for gamma in gammas)))
        numbers = np.unique(np.concatenate([it.episodes for it in self._records]))
        if len(numbers) == 1 and numbers[0] > 1:
            share = float(1 - 1 / numbers[0])
            scales.append(_Scale((Diagnosis("scale", "scale/batch-baseline"),), (share,) * len(gammas)))
        minus = Diagnosis("sign", "sign")
        return [
            *scales,
            *(_Scale((replace(minus, cause="sign/besides") if it.diagnoses else minus, *it.diagnoses),
                     tuple(-c for c in it.factors)) for it in scales),
        ]  # fmt: skip

    def _fits(self, expected: Sequence[Floats]) -> bool:
        return all(
            norm_of(it.mean - field) <= self.tolerance * it.size and it.beyond <= self.tolerance * it.size
            for it, field in zip(self.seen, expected, strict=True)
        )

    def _is_small(self, left: Floats) -> bool:
        """Whether what is left of all stacked expectations is nothing, on each model."""
        at = 0
        for it in self.seen:
            size = len(it.mean)
            if norm_of(left[at : at + size]) > self.tolerance or it.beyond > self.tolerance * it.size:
                return False
            at += size
        return True

    def _stacked(self, means: Sequence[Floats]) -> Floats:
        return np.concatenate([mean / it.size for mean, it in zip(means, self.seen, strict=True)])


def fewest(matches: Sequence[LoopMatch], preferred: Callable[[LoopMatch], bool]) -> LoopMatch | None:
    """Returns the match that is preferred, else that of the fewest words; of several the first."""
    return min(matches, key=lambda it: (not preferred(it), len(it.names)), default=None)
