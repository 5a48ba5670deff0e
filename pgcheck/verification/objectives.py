"""Which objective an estimator follows: the entropy bonus and the KL term in what is there without any reward.

What an estimator adds to the gradient of J of the plain rewards is fitted by an entropy bonus and a KL term, either
of which may be absent.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from pgcheck.arrays import Floats
from pgcheck.verification.causes import Diagnosis, Figure
from pgcheck.verification.findings import Finding
from pgcheck.verification.objective_fit import EQUAL, Column, Fit, Models, best_fit, distinct, is_right
from pgcheck.verification.objective_terms import ObjectiveTerm, Way, entropy_terms, kl_terms
from pgcheck.verification.objective_texts import Lead, Objective, Variants
from pgcheck.verification.plain import plain_enumeration, plain_finding


@dataclass(frozen=True, eq=False)
class Followed:
    """Which objective an estimator follows.

    Attributes:
      diagnoses: how it differs from the one asked for.
      added: what its entropy and KL terms add to the expectation on a model; None where that is not known.
    """

    diagnoses: tuple[Diagnosis, ...]
    added: Callable[[Finding], Floats] | None


class Objectives:
    """The objective asked for on some models, and the terms that may stand in its place.

    Attributes:
      asked: α and β of the first model that has any.
      is_asked: whether there is an objective beside the rewards.
    """

    def __init__(self, findings: Sequence[Finding]) -> None:
        self._findings = list(findings)
        alphas = [finding.mdp.entropy for finding in findings]
        betas = [finding.mdp.kl for finding in findings]
        self.asked = Objective(next(filter(None, alphas), 0.0), next(filter(None, betas), 0.0))
        self.is_asked = bool(self.asked.entropy or self.asked.kl)
        # Where models have coefficients of their own, it is multiples of those that are looked for.
        self._differs = {"entropy": len(set(alphas)) > 1, "kl": len(set(betas)) > 1}

    def plain(self, findings: Sequence[Finding]) -> list[Finding]:
        """Returns findings of these models, other expectations maybe, beside the gradient of J of plain rewards."""
        return [
            replace(finding, setting=own.setting, gradient=own.gradient, enumeration=own.enumeration)
            for finding, own in zip(findings, self._plain, strict=True)
        ]

    def explain(
        self,
        means: Sequence[Floats],
        sizes: Sequence[float],
        tolerance: float,
        *,
        own: Sequence[tuple[Way, Sequence[Floats]]] = (),
        factors: Sequence[float] | None = None,
        besides: bool = False,
    ) -> "Followed | None":
        """Returns how the objective differs from the one asked for, by what is there without any reward.

        Without diagnoses where it does not differ; None where no terms explain it.

        Args:
          means: the expectations without any reward, one a finding.
          sizes: what differences are relative to, one a finding.
          tolerance: the relative difference that counts as none.
          own: terms in the reward, as the estimator itself credits them.
          factors: what all of the estimator is multiplied by, one a finding.
          besides: whether it has other faults.
        """
        ones = [1.0] * len(means)
        for scale in [ones] if factors is None else [factors, ones]:
            columns = distinct(
                [self._column(way, fields, sizes, ones) for way, fields in own]
                + [self._column(term.way, fields, sizes, scale, term) for term, fields in self._terms]
            )
            fit = best_fit(_stacked(means, sizes, ones), columns, self._models, self.asked, tolerance)
            if fit is not None:
                added = self._added(fit) if scale is ones else None
                return Followed(tuple(self._diagnoses(fit, besides=besides)), added)
        return None

    def _added(self, fit: Fit) -> Callable[[Finding], Floats] | None:
        """What the terms of a fit add to an expectation on any model; None where that is not known."""
        parts = [(column.term, coefficient) for column, coefficient in fit.parts if column.term is not None]

        def added(finding: Finding) -> Floats:
            return np.asarray(
                sum(
                    coefficient * self._share(finding, term.way.about) * _total(term, finding)
                    for term, coefficient in parts
                )
            )

        return added if len(parts) == len(fit.parts) else None

    def _share(self, finding: Finding, about: str) -> float:
        """The model's own coefficient over the one asked for, where models have coefficients of their own."""
        own: float = getattr(finding.mdp, about)
        return own / getattr(self.asked, about) if self._differs[about] else 1.0

    @cached_property
    def _plain(self) -> list[Finding]:
        return [plain_finding(finding) for finding in self._findings]

    @cached_property
    def _models(self) -> Models:
        distinct_models = {(finding.mdp, finding.policy): finding.freedom for finding in self._findings}
        return Models([finding.gradient.size for finding in self._findings], sum(distinct_models.values()))

    @cached_property
    def _terms(self) -> list[tuple[ObjectiveTerm, list[Floats]]]:
        """The terms with their expectations on each model."""
        models = [finding.enumeration for finding in self._plain if finding.enumeration is not None]
        off_policy = any(model.batch.behavior is not None for model in models)
        terms = entropy_terms(off_policy=off_policy)
        if any(model.mdp.reference is not None for model in models):
            kl = kl_terms(off_policy=off_policy)
            terms = [*kl, *terms] if self.asked.kl and not self.asked.entropy else [*terms, *kl]
        if not self.is_asked:  # a constant times the score is then any baseline without its ratio
            terms = [it for it in terms if it.way.cause != "entropy-sampled" and it.way.variant != "k1-none"]
        return [(term, [term.mean(model) for model in models]) for term in terms]

    def _column(
        self,
        way: Way,
        fields: Sequence[Floats],
        sizes: Sequence[float],
        scale: Sequence[float],
        term: ObjectiveTerm | None = None,
    ) -> Column:
        factors = [self._share(it, way.about) * s for it, s in zip(self._findings, scale, strict=True)]
        return Column(way, _stacked(fields, sizes, factors), (way.variant,) if way.variant else (), term)

    def _diagnoses(self, fit: Fit, *, besides: bool) -> list[Diagnosis]:
        """What is said of a fit, once for all where each part is a true entropy or KL, else of each part."""
        coefficients = {"entropy": 0.0, "kl": 0.0}
        coefficients |= {column.way.about: coefficient for column, coefficient in fit.parts}
        if not fit.wrong:
            return []
        if all(column.way.is_full for column, _ in fit.parts):
            followed = Objective(**coefficients)
            notes: tuple[str, ...] = ()
            for about in ("entropy", "kl"):
                asked, found = getattr(self.asked, about), coefficients[about]
                if asked and not found:
                    notes = (*notes, f"objective/no-{about}")
                elif asked * found < 0:
                    notes = (*notes, f"objective/{about}-negative")
            cause = "objective/followed-besides" if besides else "objective/followed"
            # The two objectives side by side say the rest.
            return [Diagnosis("objective", cause, (("followed", followed), ("asked", self.asked)), notes[:1])]
        diagnoses = [
            self._of_part(column, coefficient, besides=besides or len(fit.parts) > 1)
            for column, coefficient in fit.parts
            if not is_right(column, coefficient, self.asked)
        ]
        present = {column.way.about for column, _ in fit.parts}
        for about in ("entropy", "kl"):
            if about not in present and (wanted := getattr(self.asked, about)):
                figures = (("coefficient", 0.0), ("wanted", wanted))
                notes = (f"objective/no-{about}",)
                diagnoses.append(Diagnosis("objective", f"objective/coefficient-of-{about}", figures, notes))
        return diagnoses

    def _sum(self, discount: str) -> str:
        """How a sum over steps is written, without γ^t where nothing is discounted."""
        is_discounted = any(finding.mdp.gamma != 1 for finding in self._findings)
        return discount if is_discounted else discount.removesuffix(" gamma^t")

    def _of_part(self, column: Column, coefficient: float, *, besides: bool) -> Diagnosis:
        about = column.way.about
        wanted: float = getattr(self.asked, about)
        if column.way.is_full:
            named: tuple[tuple[str, Figure], ...] = (("coefficient", coefficient), ("wanted", wanted))
            return Diagnosis("objective", f"objective/coefficient-of-{about}", named)
        sign = 1 if (coefficient > 0) == (about == "entropy") else -1
        notes: tuple[str, ...] = ()
        if wanted and coefficient < 0:
            notes = ("objective/wrong-sign",)
        elif wanted and abs(coefficient - wanted) > EQUAL * wanted:
            notes = ("objective/other-coefficient",)
        figures: tuple[tuple[str, Figure], ...] = (
            ("lead", Lead(about if besides else "grad J", sign)),
            ("coefficient", abs(coefficient)),
            ("sum", self._sum(column.way.discount)),
            ("variants", Variants(column.variants)),
            ("wanted", wanted),
        )
        return Diagnosis("objective", f"objective/{column.way.cause}", figures, notes)


def _total(term: ObjectiveTerm, finding: Finding) -> Floats:
    """The term's expectation on a finding's model `[*theta.shape]`."""
    return finding.total(lambda enumeration: term.mean(plain_enumeration(enumeration)))


def _stacked(fields: Sequence[Floats], sizes: Sequence[float], factors: Sequence[float]) -> Floats:
    """Expectations one behind the other, each relative to its finding's size, times a factor `[D]`."""
    return np.concatenate(
        [factor * field.ravel() / size for field, size, factor in zip(fields, sizes, factors, strict=True)]
    )
