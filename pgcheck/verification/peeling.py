"""Naming several faults at once: one is taken away at a time, until what is left is right or a known mistake.

What is taken away is a length that divides, the flag `terminated`, and what is there without any reward. Only what
explains all of the bias is returned.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from pgcheck.arrays import norm_of
from pgcheck.estimators.mistakes import REFERENCE, Mistake, public_id
from pgcheck.verification.alterations import (
    all_cut_off,
    all_terminated,
    mean_length,
    next_states_moved,
    no_rewards,
    padded_length,
)
from pgcheck.verification.causes import Diagnosis
from pgcheck.verification.decay import match_decay
from pgcheck.verification.explanation import THE_GRADIENT, Explanation, Field
from pgcheck.verification.findings import Finding
from pgcheck.verification.impulses import WeightMatrix
from pgcheck.verification.matching import CANDIDATES, match_mistakes, means_of
from pgcheck.verification.probing import CHAIN_STEPS, Length, Prober, View
from pgcheck.verification.scales import Scale, known_scales
from pgcheck.verification.terms import fitting_term, term_means

MIN_FREEDOM = 4  # directions of all gradients together, below which a mistake and a term together could fit by chance


@dataclass(frozen=True)
class Layer:
    """Something that is taken away, and its names."""

    view: View
    diagnoses: tuple[Diagnosis, ...]


class Peeler:
    """Takes away what is known of an estimator, and names what is left.

    Attributes:
      prober: calls the estimator.
      findings: its expectations; the episodes of all can be altered.
      matrix: its impulses, of an estimator of single episodes.
    """

    def __init__(self, prober: Prober, findings: Sequence[Finding], matrix: WeightMatrix | None) -> None:
        self.prober = prober
        self.findings = findings
        self.matrix = matrix
        self._terms = term_means(findings)
        self._follows_next_states: bool | None = None
        self._seen: dict[View, list[Finding] | None] = {View(): list(findings)}

    def named(self, within: View | None = None) -> Explanation | None:
        """Returns what explains all of the bias, the fewest faults first; None where nothing does.

        Without a diagnosis where the view itself is right.
        """
        layers = list(self._layers(within or View()))
        for rest_of in (self._known, self._split):
            for layer in layers:
                findings = self.seen(layer.view)
                rest = None if findings is None else rest_of(findings, layer.view)
                if rest is not None:
                    return replace(rest.after(*layer.diagnoses), view=layer.view)
        return None

    def seen(self, view: View) -> list[Finding] | None:
        """Returns the findings of a view; None where the estimator cannot be called like that."""
        if view not in self._seen:
            self._seen[view] = self.prober.seen(self.findings, view)
        return self._seen[view]

    def follows_next_states(self) -> bool:
        """Whether weights depend on the next states."""
        if self._follows_next_states is None:
            moved = self.seen(View((next_states_moved,)))
            is_moved = moved is not None and self._differ(moved)
            self._follows_next_states = is_moved or self.prober.follows_next_states()
        return self._follows_next_states

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
        if not any(self._differ(seen) for _, _, seen in layers):
            return []
        cut = next((seen for change, _, seen in layers if change is all_cut_off), None)
        drops = cut is not None and all(
            norm_of(altered.expectation.mean) <= self._limit(finding)
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
        return match_mistakes(self.prober, findings, self.matrix) or self._with_term(findings)

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
                named = _beside(term.diagnosis, [*mistakes, *(() if scale is None else scale.diagnoses)])
                return Explanation(named, True, field=field)
        return None

    def _split(self, findings: Sequence[Finding], view: View) -> Explanation | None:
        """What is wrong with the part that follows the rewards, and with the one that is there without them."""
        prober, unrewarded = self.prober, self.seen(view.then(no_rewards))
        if unrewarded is None:
            return None
        means = [finding.expectation.mean for finding in unrewarded]
        sizes = [finding.size for finding in findings]
        rewarded = [
            replace(finding, expectation=replace(finding.expectation, mean=finding.expectation.mean - mean))
            for finding, mean in zip(findings, means, strict=True)
        ]
        is_there = any(norm_of(mean) > prober.tolerance * size for mean, size in zip(means, sizes, strict=True))
        if all(finding.is_right(prober.tolerance) for finding in rewarded):
            named: Explanation | None = Explanation((), True, field=THE_GRADIENT)
        else:
            named = match_decay(prober, rewarded, has_critic=self.follows_next_states())
            if named is not None and named.diagnoses[0].cause == "bootstrap/lambda" and is_there:
                beside = self._entropy_beside_critic(view)
                return Explanation((*named.diagnoses, *beside))  # the values of a critic are not known
            named = named or match_mistakes(prober, rewarded, self.matrix)
        if named is None or not is_there:
            return named
        term = fitting_term(means, sizes, self._terms, prober.tolerance)
        if term is not None:
            assert named.field is not None
            field = replace(named.field, terms=((term.term, term.coefficient),))
            return Explanation(_beside(term.diagnosis, named.diagnoses), True, field=field)
        over_batch = self._over_batch_length(view) if view.length is None else None
        if over_batch is not None:
            return Explanation(_beside(over_batch, named.diagnoses), True)
        unknown = self._unknown_term()
        # What is missing from a part that is known may stand in one that is not.
        if named.diagnoses:
            return Explanation(tuple(replace(it, certain=False) for it in (unknown, *named.diagnoses)))
        return Explanation(_beside(unknown, ()))

    def _over_batch_length(self, view: View) -> Diagnosis | None:
        """A term that is divided by the number of steps in the batch although the rest is not."""
        seen = self.seen(replace(view.then(no_rewards), length=mean_length))
        if seen is None:
            return None
        means = [finding.expectation.mean for finding in seen]
        term = fitting_term(means, [finding.size for finding in seen], self._terms, self.prober.tolerance)
        if term is None or term.diagnosis.cause != "regulariser/entropy":
            return None
        return replace(term.diagnosis, cause="regulariser/entropy-mean")

    def _unknown_term(self) -> Diagnosis:
        """What a term without any reward depends on."""
        if self.follows_next_states():
            return Diagnosis("bootstrap", "bootstrap/next-states")
        if self.prober.weights_follow_actions(0.0):
            return Diagnosis("action-dependent-baseline", "action-dependent-baseline/no-reward")
        return Diagnosis("regulariser", "regulariser/unknown")

    def _entropy_beside_critic(self, view: View) -> list[Diagnosis]:
        """An entropy bonus beside the values of a critic, which only chains tell apart."""
        coefficient = self.prober.entropy_coefficient()
        if coefficient is None:
            return []
        if view.length is not None:
            coefficient *= CHAIN_STEPS
        return [Diagnosis("regulariser", "regulariser/entropy", (("coefficient", coefficient),))]

    def _differ(self, seen: Sequence[Finding]) -> bool:
        return any(
            norm_of(altered.expectation.mean - finding.expectation.mean) > self._limit(finding)
            for altered, finding in zip(seen, self.findings, strict=True)
        )

    def _limit(self, finding: Finding) -> float:
        """What is within rounding of a finding's expectation and gradient."""
        return self.prober.tolerance * finding.size


def _beside(term: Diagnosis, others: Sequence[Diagnosis]) -> tuple[Diagnosis, ...]:
    """A term, and what is wrong besides."""
    return (term, *others) if others else (replace(term, notes=("right-without-it",)),)
