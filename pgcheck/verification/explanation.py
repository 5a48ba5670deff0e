"""What an estimator would have for an expectation if what is named were all that is wrong with it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from pgcheck.arrays import Floats
from pgcheck.estimators.mistakes.weights import REFERENCE, Candidate
from pgcheck.verification.causes import Diagnosis
from pgcheck.verification.findings import Circumstances, Enumeration, Finding
from pgcheck.verification.impulses import correct_weights, impulses
from pgcheck.verification.plain import plain_finding
from pgcheck.verification.probing import AS_IT_IS, View
from pgcheck.verification.scales import Scale
from pgcheck.verification.terms import Term


@dataclass(frozen=True, eq=False)
class Field:
    """An expectation that is known on every model: factor · E[candidate] + Σ coefficient · E[term].

    Attributes:
      candidate: a known mistake, or the gradient; None is 0.
      scale: the factor; None is 1.
      terms: terms without any reward, with their coefficients.
      added: what else is added on a finding.
      plain: whether the candidate is that of the plain rewards, without the objective that is asked for.
      on_policy: whether it is that of episodes which the policy itself draws, whoever drew those of the finding.
    """

    candidate: Candidate | None = REFERENCE
    scale: Scale | None = None
    terms: tuple[tuple[Term, float], ...] = ()
    added: Callable[[Finding], Floats] | None = None
    on_policy: bool = False
    plain: bool = False

    def mean(self, finding: Finding) -> Floats:
        """Returns the expectation on a finding's model, for its batch size `[*theta.shape]`."""
        if self.on_policy and finding.setting.off_policy:
            return replace(self, on_policy=False).mean(moved_on_policy(finding))
        factor = 1.0 if self.scale is None else self.scale.factor(finding.circumstances)
        mean = np.zeros(finding.gradient.shape)
        if self.candidate is not None:
            mean = mean + factor * mean_of(self.candidate, plain_finding(finding) if self.plain else finding)
        for term, coefficient in self.terms:
            mean = mean + coefficient * finding.total(term.mean)
        return mean if self.added is None else mean + self.added(finding)

    def weights(self, steps: int, gamma: float, size: int) -> Floats:
        """Returns how steps of a chain are weighted by rewards `[T, T]`, in batches of `size`."""
        if self.candidate is None:
            return np.zeros((steps, steps))
        factor = 1.0 if self.scale is None else self.scale.factor(Circumstances(gamma, steps, float(steps), size))
        if self.candidate is REFERENCE:
            return np.asarray(factor * correct_weights(steps, gamma))
        return np.asarray(factor * impulses(self.candidate.each, steps, gamma))


THE_GRADIENT = Field()


@dataclass(frozen=True, eq=False)
class Explanation:
    """What is wrong with an estimator, by name.

    Attributes:
      diagnoses: the names.
      complete: whether they explain all of the bias on the findings that were looked at.
      view: how the estimator is looked at: without what divides it, for instance.
      field: what the view's expectation is then on every model; None where it is not known beyond those findings.
      credit: the same of what follows the rewards alone, where only that is known.
    """

    diagnoses: tuple[Diagnosis, ...] = ()
    complete: bool = False
    view: View = AS_IT_IS
    field: Field | None = None
    credit: Field | None = None

    def after(self, *diagnoses: Diagnosis) -> "Explanation":
        """Returns the explanation with more names, before its own."""
        return replace(self, diagnoses=(*diagnoses, *self.diagnoses))

    def without(self, factor: float | None) -> tuple[Diagnosis, ...]:
        """Returns the names that are left where a positive factor is accepted, if the field has it everywhere."""
        scale = None if self.field is None else self.field.scale
        if scale is None or factor is None or factor <= 0:
            return self.diagnoses
        accepted = {(diagnosis.id, diagnosis.cause) for diagnosis in scale.diagnoses}
        return tuple(it for it in self.diagnoses if (it.id, it.cause) not in accepted)

    def common_factor(self, findings: Sequence[Finding]) -> float | None:
        """Returns the factor of the field where it is the same on all findings; None where there is none."""
        scale = None if self.field is None else self.field.scale
        return None if scale is None else scale.constant(findings)


def moved_on_policy(finding: Finding) -> Finding:
    """Returns a finding on the episodes that the policy itself draws; its expectation is left as it is."""
    setting = replace(finding.setting, behavior=None)
    enumeration = None if finding.enumeration is None else Enumeration.of(setting)
    return replace(finding, setting=setting, enumeration=enumeration)


def mean_of(candidate: Candidate, finding: Finding) -> Floats:
    """Returns the expectation of a candidate on a finding's model."""
    if candidate is REFERENCE:
        return finding.gradient
    return finding.total(lambda it: candidate.mean(it.batch, it.prob))
