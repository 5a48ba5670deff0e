"""Naming several faults at once: one is taken away at a time, until what is left is right or a known mistake.

What is taken away is a length that divides, the flag `terminated`, and what is there without any reward. Only what
explains all of the bias is returned.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from pgcheck.arrays import norm_of
from pgcheck.estimators.mistakes.weights import REFERENCE, Mistake, public_id
from pgcheck.verification.alterations import (
    all_cut_off,
    all_terminated,
    mean_length,
    padded_length,
)
from pgcheck.verification.causes import Diagnosis
from pgcheck.verification.explanation import THE_GRADIENT, Explanation, Field
from pgcheck.verification.findings import Finding
from pgcheck.verification.impulses import WeightMatrix
from pgcheck.verification.matching import CANDIDATES, match_mistakes, means_of
from pgcheck.verification.probing import Length, Prober, View
from pgcheck.verification.scales import Scale, known_scales
from pgcheck.verification.splitting import Splitter, beside
from pgcheck.verification.terms import fitting_term, term_means
from pgcheck.verification.views import Views

MIN_FREEDOM = 4  # directions of all gradients together, below which a mistake and a term together could fit by chance


@dataclass(frozen=True)
class Layer:
    """Something that is taken away, and its names."""

    view: View
    diagnoses: tuple[Diagnosis, ...]


class Peeler(Views):
    """Takes away what is known of an estimator, and names what is left."""

    def __init__(self, prober: Prober, findings: Sequence[Finding], matrix: WeightMatrix | None) -> None:
        super().__init__(prober, findings, matrix)
        self._terms = term_means(findings)
        self._splitter = Splitter(self, self._terms)

    def named(self, within: View | None = None) -> Explanation | None:
        """Returns what explains all of the bias, the fewest faults first; None where nothing does.

        Without a diagnosis where the view itself is right.
        """
        layers = list(self._layers(within or View()))
        for rest_of in (self._known, self._splitter.split):
            for layer in layers:
                findings = self.seen(layer.view)
                rest = None if findings is None else rest_of(findings, layer.view)
                if rest is not None:
                    return replace(rest.after(*layer.diagnoses), view=layer.view)
        return None

    def of_parts(self) -> Explanation | None:
        """Returns what is wrong with the part that is there without rewards, where all else is known; else None."""
        return self._parts(self.findings, View())

    def flags(self) -> list[Layer]:
        """Returns the two values of the flag `terminated` as layers; empty where the flag makes no difference."""
        layers = []
        for change, cause in (
            (all_terminated, "bootstrap/terminated-right"),
            (all_cut_off, "bootstrap/cut-right"),
        ):
            seen = self.seen(View((change,)))
            if seen is not None:
                layers.append((change, cause, seen))
        if not any(self.differ(seen) for _, _, seen in layers):
            return []
        cut = next((seen for change, _, seen in layers if change is all_cut_off), None)
        drops = cut is not None and all(
            norm_of(altered.expectation.mean) <= self.limit(finding)
            for altered, finding in zip(cut, self.findings, strict=True)
        )
        names = {"bootstrap/terminated-right": "cut-episodes-dropped"} if drops else {}
        causes = [(change, names.get(cause, cause)) for change, cause, _ in layers]
        return [Layer(View((change,)), (Diagnosis(public_id(cause), cause),)) for change, cause in causes]

    def _layers(self, view: View) -> Iterator[Layer]:
        """What may be taken away: nothing, a length, the flag, both."""
        lengths: list[tuple[Length | None, tuple[Diagnosis, ...]]] = [(None, ())]
        if self.prober.contract.by_episode or view.alone:
            own = Diagnosis("length-normalised", "length-normalised/length")
            if view.alone:
                own = Diagnosis("length-normalised", "length-normalised/batch-steps")
            lengths.append((mean_length, (own,)))
        else:
            lengths.append((mean_length, (Diagnosis("length-normalised", "length-normalised/batch-steps"),)))
            lengths.append((padded_length, (Diagnosis("length-normalised", "length-normalised/batch-padding"),)))
        if view.length is not None:
            lengths = [(view.length, ())]
        for length, diagnoses in lengths:
            yield Layer(replace(view, length=length), diagnoses)
        for flag in self.flags():
            for length, diagnoses in lengths:
                changed = replace(view.then(*flag.view.changes), length=length)
                yield Layer(changed, (*diagnoses, *flag.diagnoses))

    def _known(self, findings: Sequence[Finding], view: View) -> Explanation | None:
        """Nothing, a known mistake, or one with a term, if that is all that is wrong with a view; else None."""
        if all(finding.is_right(self.prober.tolerance) for finding in findings):
            return Explanation((), True, field=THE_GRADIENT)
        if named := match_mistakes(self.prober, findings, self.matrix):
            return named
        return self._parts(findings, view)

    def _parts(self, findings: Sequence[Finding], view: View) -> Explanation | None:
        """Another objective, or a term without any reward, beside what follows the rewards as it is known to."""
        splitter = self._splitter
        if not splitter.is_asked:
            return self._with_term(findings) or splitter.objective(findings, view)
        named = splitter.objective(findings, view) or splitter.split(findings, view, only_known=True)
        if named is None and (named := self._with_term(findings)) is not None:  # without it the objective is missing
            named = replace(named, diagnoses=tuple(it.without_notes("right-without-it") for it in named.diagnoses))
        return named

    def _with_term(self, findings: Sequence[Finding]) -> Explanation | None:
        """A known mistake, or none, and a term without any reward: what is left of one is a multiple of the other."""
        freedom = sum(finding.freedom for finding in findings)
        if freedom < 2:
            return None
        candidates = (REFERENCE, *CANDIDATES) if freedom >= MIN_FREEDOM else (REFERENCE,)
        scales: list[Scale | None] = [None]
        scales += known_scales(findings, products=False) if freedom >= MIN_FREEDOM else ()
        sizes = [finding.size for finding in findings]
        means = [(candidate, means_of(candidate, findings)) for candidate in candidates]
        for scale in scales:
            factors = (1.0,) * len(findings) if scale is None else scale.factors(findings)
            for candidate, expected in means:
                rest = [
                    finding.expectation.mean - factor * mean
                    for finding, factor, mean in zip(findings, factors, expected, strict=True)
                ]
                term = fitting_term(rest, sizes, self._terms, self.prober.tolerance)
                if term is None:
                    continue
                field = Field(candidate, scale, ((term.term, term.coefficient),))
                mistakes = (
                    [Diagnosis(name, candidate.cause, notes=candidate.notes) for name in candidate.ids]
                    if isinstance(candidate, Mistake)
                    else []
                )
                named = beside(term.diagnosis, [*mistakes, *(() if scale is None else scale.diagnoses)])
                return Explanation(named, True, field=field)
        return None
