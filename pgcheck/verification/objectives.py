"""Which objective an estimator follows: the entropy bonus and the KL term in what is there without any reward.

What an estimator adds to the gradient of J of the plain rewards is fitted by an entropy bonus and a KL term, either
of which may be absent.
"""

from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property

import numpy as np

from pgcheck.arrays import Floats
from pgcheck.exact.gradient import exact_gradient
from pgcheck.trajectories.batch import Batch
from pgcheck.verification.causes import Diagnosis, Figure
from pgcheck.verification.findings import Finding
from pgcheck.verification.objective_fit import EQUAL, Column, Fit, Models, best_fit, distinct, is_right
from pgcheck.verification.objective_terms import ObjectiveTerm, Way, entropy_terms, kl_terms
from pgcheck.verification.objective_texts import Lead, Objective, Variants


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
        self._shares = {
            "entropy": [a / self.asked.entropy if len(set(alphas)) > 1 else 1.0 for a in alphas],
            "kl": [b / self.asked.kl if len(set(betas)) > 1 else 1.0 for b in betas],
        }

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
    ) -> list[Diagnosis] | None:
        """Returns how the objective differs from the one asked for, by what is there without any reward.

        Empty where it does not differ; None where no terms explain it.

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
                + [self._column(term.way, fields, sizes, scale) for term, fields in self._terms]
            )
            fit = best_fit(_stacked(means, sizes, ones), columns, self._models, self.asked, tolerance)
            if fit is not None:
                return self._diagnoses(fit, besides=besides)
        return None

    @cached_property
    def _plain(self) -> list[Finding]:
        return [_plain(finding) for finding in self._findings]

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

    def _column(self, way: Way, fields: Sequence[Floats], sizes: Sequence[float], scale: Sequence[float]) -> Column:
        factors = [share * s for share, s in zip(self._shares[way.about], scale, strict=True)]
        return Column(way, _stacked(fields, sizes, factors), (way.variant,) if way.variant else ())

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


def _plain(finding: Finding) -> Finding:
    """A finding beside the gradient of J of the plain rewards; itself where that is what it has."""
    mdp, policy, enumeration = finding.mdp, finding.policy, finding.enumeration
    if not mdp.entropy and not mdp.kl:
        return finding
    assert enumeration is not None
    bare = replace(mdp, entropy=0.0, kl=0.0)
    of_all = enumeration.batch
    batch = Batch(bare, policy, of_all.starts, of_all.outcomes, of_all.behavior)
    truth = exact_gradient(bare, policy, method="backward-induction")
    gradient = batch.shaped(np.zeros(len(policy.theta)) if truth.is_zero else truth.gradient)
    setting = replace(finding.setting, mdp=bare)
    return replace(
        finding, setting=setting, gradient=gradient, enumeration=replace(enumeration, mdp=bare, batch=batch)
    )


def _stacked(fields: Sequence[Floats], sizes: Sequence[float], factors: Sequence[float]) -> Floats:
    """Expectations one behind the other, each relative to its finding's size, times a factor `[D]`."""
    return np.concatenate(
        [factor * field.ravel() / size for field, size, factor in zip(fields, sizes, factors, strict=True)]
    )
