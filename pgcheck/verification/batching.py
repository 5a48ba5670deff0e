"""Naming a mistake of an estimator of whole batches by how the bias goes with B."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from pgcheck.arrays import norm_of
from pgcheck.verification.causes import Diagnosis
from pgcheck.verification.findings import Finding
from pgcheck.verification.probing import Prober


def explain_trend(prober: Prober, findings: Sequence[Finding]) -> list[Diagnosis]:
    """Returns what the bias says of an estimator of whole batches; empty without two batch sizes."""
    trend = trend_of(findings, prober.tolerance)
    if prober.contract.by_episode or trend is None:
        return []
    if trend.is_proportional:
        return [trend.noted(Diagnosis("action-dependent-baseline", "action-dependent-baseline/own-return"))]
    return [trend.noted(Diagnosis("batch-coupled", "batch-coupled/mean", certain=False))]


@dataclass(frozen=True)
class Trend:
    """How the bias of an estimator of whole batches goes with B.

    Attributes:
      few, many: two batch sizes.
      is_proportional: whether the bias is exactly proportional to 1/B.
      shrinks: whether it shrinks about as 1/B.
    """

    few: int
    many: int
    is_proportional: bool
    shrinks: bool

    def noted(self, diagnosis: Diagnosis) -> Diagnosis:
        """Returns a diagnosis with the trend in its text."""
        notes = diagnosis.notes
        if self.is_proportional:
            return replace(diagnosis, notes=(*notes, "bias-proportional-to-1/B"))
        note = "bias-shrinks" if self.shrinks else "bias-stays"
        figures = (*diagnosis.figures, ("few", self.few), ("many", self.many))
        return replace(diagnosis, figures=figures, notes=(*notes, note))


def trend_of(findings: Sequence[Finding], tolerance: float) -> Trend | None:
    """Returns how the bias goes with B on all models with two batch sizes; None where there is no such model."""
    by_model: dict[str, list[Finding]] = {}
    for finding in findings:
        by_model.setdefault(finding.mdp.name, []).append(finding)
    pairs = [(group[0], group[1]) for group in by_model.values() if len(group) > 1]
    if not pairs:
        return None
    is_proportional = shrinks = True
    for few, many in pairs:
        b, c = few.batch_size, many.batch_size
        off_few, off_many = (finding.expectation.mean - finding.gradient for finding in (few, many))
        size = max(few.norm, few.bias)
        is_proportional = is_proportional and norm_of(b * off_few - c * off_many) <= 10 * tolerance * size
        shrinks = shrinks and many.bias < few.bias * (1 + b / c) / 2
    return Trend(pairs[0][0].batch_size, pairs[0][1].batch_size, is_proportional, shrinks)
