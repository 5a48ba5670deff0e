"""An estimator in two parts: what follows the rewards, and what is there without any of them.

The first is the gradient of J of the plain rewards, or a known mistake; the second a term of another kind, or the
entropy and KL of an objective.
"""

from collections.abc import Sequence
from dataclasses import replace

from pgcheck.arrays import Floats, norm_of
from pgcheck.verification.alterations import mean_length, no_rewards
from pgcheck.verification.causes import Diagnosis, Figure
from pgcheck.verification.decay import match_decay
from pgcheck.verification.explanation import THE_GRADIENT, Explanation
from pgcheck.verification.findings import Finding
from pgcheck.verification.matching import match_mistakes
from pgcheck.verification.objective_terms import OWN_WAYS, Way
from pgcheck.verification.objective_texts import Lead
from pgcheck.verification.objectives import Followed, Objectives
from pgcheck.verification.probing import CHAIN_STEPS, View
from pgcheck.verification.terms import Term, fitting_term
from pgcheck.verification.views import Views


class Splitter:
    """Names the two parts of an estimator.

    Attributes:
      prober: calls the estimator.
      is_asked: whether the objective has an entropy bonus or a KL penalty.
    """

    def __init__(self, views: Views, terms: Sequence[tuple[Term, list[Floats]]]) -> None:
        self._views = views
        self._terms = terms
        self._objectives = Objectives(views.findings)
        self.prober = views.prober
        self.is_asked = self._objectives.is_asked

    def split(self, findings: Sequence[Finding], view: View, *, only_known: bool = False) -> Explanation | None:
        """Returns what is wrong with the part that follows the rewards, and with the one that is there without them.

        The first is compared with J of the plain rewards. With `only_known`, both have to be known.
        """
        prober, unrewarded = self.prober, self._views.seen(view.then(no_rewards))
        if unrewarded is None:
            return None
        means = [finding.expectation.mean for finding in unrewarded]
        sizes = [finding.size for finding in findings]
        rewarded = self._rewarded(findings, means)
        is_there = self._is_there(findings, view)
        named: Explanation | None = Explanation((), True, field=THE_GRADIENT)
        if not all(finding.is_right(prober.tolerance) for finding in rewarded):
            named = match_decay(prober, rewarded, has_critic=self._views.follows_next_states())
            if named is not None and named.diagnoses[0].cause == "bootstrap/lambda":
                if only_known:
                    return None
                if is_there:
                    beside_it = self._entropy_beside_critic(view)
                    return Explanation((*named.diagnoses, *beside_it))  # the values of a critic are not known
                return named
            named = named or match_mistakes(prober, rewarded, self._views.matrix)
        if named is None or (not is_there and not self.is_asked):
            return named
        if not self.is_asked and (regularised := self._with_term(named, means, sizes, view)):
            return regularised
        own = self._own_ways(view, means) if named.diagnoses else []
        scale = _scale_of(rewarded, named.diagnoses, prober.tolerance) if named.diagnoses else None
        objective = self._objectives.explain(
            means, sizes, prober.tolerance, own=own, factors=scale, besides=bool(named.diagnoses)
        )
        if objective is not None:
            return self._followed(objective, named)
        if only_known:
            return None
        unknown = self._unknown_term()
        # What is missing from a part that is known may stand in one that is not.
        if named.diagnoses:
            return Explanation(tuple(replace(it, certain=False) for it in (unknown, *named.diagnoses)))
        return Explanation((unknown,) if self.is_asked else beside(unknown, ()))

    def _with_term(
        self, named: Explanation, means: Sequence[Floats], sizes: Sequence[float], view: View
    ) -> Explanation | None:
        """What is named of the part that follows the rewards, with a known term for the other; None without one."""
        term = fitting_term(means, sizes, self._terms, self.prober.tolerance)
        if term is not None:
            assert named.field is not None
            field = replace(named.field, terms=((term.term, term.coefficient),))
            return Explanation(beside(term.diagnosis, named.diagnoses), True, field=field)
        over_batch = self._over_batch_length(view) if view.length is None else None
        return None if over_batch is None else Explanation(beside(over_batch, named.diagnoses), True)

    def objective(self, findings: Sequence[Finding], view: View) -> Explanation | None:
        """Returns how the objective differs, where all else is right; None where that is not all.

        What is left of the expectations without ∇J is an entropy or a KL term then, also beside an exact critic, and
        for episodes that another policy drew.
        """
        if not self.is_asked and not self._is_there(findings, view):
            return None
        plain = self._objectives.plain(findings)
        rest = [finding.expectation.mean - finding.gradient for finding in plain]
        named = self._objectives.explain(rest, [finding.size for finding in findings], self.prober.tolerance)
        right = Explanation((), True, field=THE_GRADIENT)
        return self._followed(named, right) if named is not None and named.diagnoses else None

    def _followed(self, objective: Followed, named: Explanation) -> Explanation:
        """The objective that is followed, and what is wrong with the part that follows the rewards."""
        field = None
        if named.field is not None and objective.added is not None:
            field = replace(named.field, added=objective.added, plain=True)
        return Explanation((*objective.diagnoses, *named.diagnoses), True, field=field, credit=named.field)

    def _is_there(self, findings: Sequence[Finding], view: View) -> bool:
        """Whether something is there without any reward."""
        unrewarded = self._views.seen(view.then(no_rewards)) or ()
        return any(
            norm_of(bare.expectation.mean) > self.prober.tolerance * finding.size
            for bare, finding in zip(unrewarded, findings, strict=False)
        )

    def _rewarded(self, findings: Sequence[Finding], unrewarded: Sequence[Floats]) -> list[Finding]:
        """What follows the rewards: what is left without the expectations that are there without any, beside ∇J."""
        return [
            replace(finding, expectation=replace(finding.expectation, mean=finding.expectation.mean - mean))
            for finding, mean in zip(self._objectives.plain(findings), unrewarded, strict=True)
        ]

    def _own_ways(self, view: View, means: Sequence[Floats]) -> list[tuple[Way, list[Floats]]]:
        """Entropy and KL in the reward, as an estimator that has other faults credits its rewards."""
        own = []
        has_reference = any(finding.mdp.reference is not None for finding in self._views.findings)
        for way, change in OWN_WAYS if has_reference else OWN_WAYS[:1]:
            seen = self._views.seen(view.then(change))
            if seen is not None:
                fields = [finding.expectation.mean - mean for finding, mean in zip(seen, means, strict=True)]
                own.append((way, fields))
        return own

    def _over_batch_length(self, view: View) -> Diagnosis | None:
        """A term that is divided by the number of steps in the batch although the rest is not."""
        seen = self._views.seen(replace(view.then(no_rewards), length=mean_length))
        if seen is None:
            return None
        means = [finding.expectation.mean for finding in seen]
        term = fitting_term(means, [finding.size for finding in seen], self._terms, self.prober.tolerance)
        if term is None or term.diagnosis.cause != "regulariser/entropy":
            return None
        return replace(term.diagnosis, cause="regulariser/entropy-mean")

    def _unknown_term(self) -> Diagnosis:
        """What a term without any reward depends on."""
        if self._views.follows_next_states():
            return Diagnosis("bootstrap", "bootstrap/next-states")
        if self.is_asked:
            return Diagnosis("objective", "objective/unknown")
        if self.prober.weights_follow_actions(0.0):
            if self.prober.weights_follow_policy():
                return Diagnosis("regulariser", "regulariser/policy")
            return Diagnosis("action-dependent-baseline", "action-dependent-baseline/no-reward")
        return Diagnosis("regulariser", "regulariser/unknown")

    def _entropy_beside_critic(self, view: View) -> list[Diagnosis]:
        """An entropy bonus beside the values of a critic, which only chains tell apart."""
        coefficient = self.prober.entropy_coefficient()
        if coefficient is None:
            return []
        if view.length is not None:
            coefficient *= CHAIN_STEPS
        if self.is_asked:
            figures: tuple[tuple[str, Figure], ...] = (
                ("lead", Lead("entropy", 1)), ("coefficient", coefficient), ("sum", "sum")
            )  # fmt: skip
            return [Diagnosis("objective", "objective/entropy-present", figures)]
        return [Diagnosis("regulariser", "regulariser/entropy", (("coefficient", coefficient),))]


def beside(term: Diagnosis, others: Sequence[Diagnosis]) -> tuple[Diagnosis, ...]:
    """Returns a term, and what is wrong besides."""
    return (term, *others) if others else (replace(term, notes=("right-without-it",)),)


def _scale_of(rewarded: Sequence[Finding], named: Sequence[Diagnosis], tolerance: float) -> list[float] | None:
    """What all of an estimator seems to be multiplied by, one a finding; None where that is not known.

    A baseline with the episode's own return multiplies what follows the rewards alone.
    """
    if any(diagnosis.cause == "scale/batch-baseline" for diagnosis in named):
        return None
    scales = [1.0 if finding.scale is None else finding.scale for finding in rewarded]
    if all(finding.is_right(tolerance, scale) for finding, scale in zip(rewarded, scales, strict=True)):
        return scales
    return [-1.0] * len(scales) if any(diagnosis.id == "sign" for diagnosis in named) else None
