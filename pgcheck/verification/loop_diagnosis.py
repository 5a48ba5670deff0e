"""What is wrong with a training loop, by name."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from pgcheck.external.agent_source import AgentSource
from pgcheck.verification.causes import Diagnosis
from pgcheck.verification.loop_evidence import LoopFinding


@dataclass(frozen=True, eq=False)
class LoopDiagnosed:
    """What is wrong with an agent.

    Attributes:
      diagnoses: by name; of an agent that is right, warnings.
      is_accepted: whether what is allowed explains all of the bias, on every model.
      scale: the factor that was accepted with `up_to_scale`.
    """

    diagnoses: tuple[Diagnosis, ...]
    is_accepted: bool = False
    scale: float | None = None


def diagnose_loop(
    source: AgentSource,
    findings: Sequence[LoopFinding],
    *,
    failed: bool,
    tolerance: float,
    allow: Collection[str] = (),
    up_to_scale: bool = False,
) -> LoopDiagnosed:
    """Returns what is wrong with an agent, and whether all of that is allowed."""
    return LoopDiagnosed((Diagnosis("other", "other"),) if failed else ())
