"""What is wrong with a training loop, by name."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np

from pgcheck.arrays import norm_of
from pgcheck.external.agent_source import AgentSource
from pgcheck.verification.causes import Diagnosis
from pgcheck.verification.limits import SINGLE_TOLERANCE, TOLERANCE
from pgcheck.verification.loop_evidence import LoopFinding
from pgcheck.verification.loop_matching import LoopMatch
from pgcheck.verification.loop_sampled import SampledLoopFinding
from pgcheck.verification.loop_sampled_search import SampledSearch
from pgcheck.verification.loop_search import Search
from pgcheck.verification.loop_shown import not_finite, other_draws, other_sampled_draws


@dataclass(frozen=True, eq=False)
class LoopDiagnosed:
    """What is wrong with an agent.

    Attributes:
      diagnoses: by name; of an agent that is right, warnings.
      is_accepted: whether what is allowed explains all of the bias, on every model.
      scale: the factor that was accepted with `up_to_scale`.
      excluded: how many known mistakes sampled runs exclude.
    """

    diagnoses: tuple[Diagnosis, ...]
    is_accepted: bool = False
    scale: float | None = None
    excluded: int = 0


def diagnose_loop(
    source: AgentSource,
    findings: Sequence[LoopFinding],
    *,
    failed: bool,
    tolerance: float,
    allow: Collection[str] = (),
    up_to_scale: bool = False,
) -> LoopDiagnosed:
    """Returns what is wrong with an agent, and whether all of that is allowed.

    Where its runs do not tell, the agent is run again in other ways: unclipped, without rewards, with others.
    """
    if not findings:
        return LoopDiagnosed(())
    if (nan := not_finite(findings)) is not None:
        return LoopDiagnosed((nan,))
    draws = other_draws(findings)
    shown = () if draws is None else (draws,)
    if not failed:
        return LoopDiagnosed(shown)

    def is_meant(match: LoopMatch) -> bool:
        left = (*shown, *match.left(up_to_scale=up_to_scale))
        return bool(left or match.names) and all(it.certain and it.id in allow for it in left)

    match = Search(source, findings, tolerance, is_meant).named()
    if match is None:
        return LoopDiagnosed((*shown, *_unknown(findings, tolerance)))
    is_accepted = match.complete and is_meant(match)
    names = match.left(up_to_scale=up_to_scale) if is_accepted else match.names
    if not match.complete and all(it.id == "clipped-norm" for it in names):
        names = (*names, *_unknown(findings, tolerance))
    return LoopDiagnosed((*shown, *names), is_accepted, match.factor if is_accepted and up_to_scale else None)


def diagnose_sampled_loop(
    source: AgentSource, findings: Sequence[SampledLoopFinding], *, allow: Collection[str], up_to_scale: bool
) -> LoopDiagnosed:
    """Returns what is wrong with an agent that sampled runs have failed; arguments as in `diagnose_loop`."""
    if not findings:
        return LoopDiagnosed(())
    if (nan := not_finite(findings)) is not None:
        return LoopDiagnosed((nan,))
    draws = other_sampled_draws(findings)
    shown = () if draws is None else (draws,)
    single = any(finding.expectation.single for finding in findings)
    tolerance = SINGLE_TOLERANCE if single else TOLERANCE

    def is_meant(match: LoopMatch) -> bool:
        left = (*shown, *match.left(up_to_scale=up_to_scale))
        return bool(left) and all(it.certain and it.id in allow for it in left)

    search = SampledSearch(source, findings, tolerance, is_meant)
    match = search.named()
    if match is None:
        return LoopDiagnosed((*shown, *_unknown(findings, tolerance)))
    is_accepted = match.complete and is_meant(match)
    names = match.left(up_to_scale=up_to_scale) if is_accepted else match.names
    if not (*shown, *names):  # the estimate is right for episodes that the policy has drawn
        names = _unknown(findings, tolerance)
    return LoopDiagnosed((*shown, *names), is_accepted, None, search.excluded)


def _unknown(findings: Sequence[LoopFinding], tolerance: float) -> tuple[Diagnosis, ...]:
    """The figures of what has no name, on the model where it is worst."""
    worst = max(findings, key=lambda it: it.severity)
    off = worst.expectation_vector - worst.gradient_vector
    shapes = getattr(worst.policy, "shapes", {})
    parts, at = {}, 0
    for name, shape in shapes.items():
        size = int(np.prod(shape))
        own = norm_of(worst.gradient_vector[at : at + size])
        parts[str(name)] = norm_of(off[at : at + size]) / max(own, 1e-9 * worst.size)
        at += size
    scale, cosine = worst.scale, worst.cosine
    figures = (
        ("scale", "no multiple" if scale is None else f"{scale:.4g}"),
        ("cosine", "unknown" if cosine is None else f"{cosine:.4f}"),
        ("parameter", max(parts, key=lambda name: parts[name], default="theta")),
    )
    cause = "other/sampled-loop" if isinstance(worst, SampledLoopFinding) else "other/loop"
    names = [Diagnosis("other", cause, figures)]
    outside = max(finding.outside for finding in findings)
    if outside > tolerance:
        names.append(Diagnosis("value-loss", "value-loss/possibly", (("outside", outside),), certain=False))
    return tuple(names)
