"""The evidence on an agent on each model: exact where all runs can be listed, else by sampled runs."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from pgcheck.estimators.contract import Contract
from pgcheck.external.agent_source import AgentSource
from pgcheck.external.draws.endings import UnanswerableError
from pgcheck.external.subject import UnsuitableError
from pgcheck.formats.modelfile import Model
from pgcheck.trajectories.counting import count_text
from pgcheck.verification.evidence import ModelProgress
from pgcheck.verification.limits import Limit, Skipped, round_up
from pgcheck.verification.loop_evidence import LoopFinding, TooManyRunsError, loop_finding
from pgcheck.verification.loop_sampled import SampledLoopFinding, sampled_loop_finding
from pgcheck.verification.sampled_evidence import Announce, Announcement
from pgcheck.verification.sampling import SECONDS, Sampling
from pgcheck.workers.executor import HERE, Executor


@dataclass(frozen=True, eq=False)
class Unlisted:
    """A model whose runs cannot be listed.

    Attributes:
      model: the model.
      skipped: why.
    """

    model: Model
    skipped: Skipped


@dataclass(frozen=True, eq=False)
class LoopEvidence:
    """What listing all runs of an agent has shown.

    Attributes:
      findings: one for each model.
      unlisted: models on which they cannot be listed.
      unsuitable: models that the agent is not made for.
    """

    findings: tuple[LoopFinding, ...]
    unlisted: tuple[Unlisted, ...]
    unsuitable: tuple[Skipped, ...]


def gather_runs(
    source: AgentSource,
    models: Sequence[Model],
    max_runs: int,
    progress: ModelProgress | None = None,
    *,
    skip_unsuitable: bool = False,
    max_rounding: float = math.inf,
    raises: bool = True,
    executor: Executor = HERE,
) -> LoopEvidence:
    """Returns the expectations of an agent on each model that has few enough runs.

    Args:
      source: the agent.
      models: the models.
      max_runs: the most runs on one model.
      progress: is called with a model's name and the fraction done.
      skip_unsuitable: leave out models that the agent is not made for.
      max_rounding: the part of ∇J that may be lost to rounding.
      raises: whether a draw that cannot be answered is an error.
      executor: does the runs.

    Raises:
      EstimatorError: the agent cannot be made or run, or it does not begin alike.
      UnanswerableError: its draws cannot be answered.
    """
    findings: list[LoopFinding] = []
    unlisted: list[Unlisted] = []
    unsuitable: list[Skipped] = []
    for model in models:
        mdp = model.mdp
        try:
            findings.append(
                loop_finding(source, model, max_runs, progress, max_rounding=max_rounding, executor=executor)
            )
        except TooManyRunsError as error:
            number = round_up(int(error.number))
            why = f"about {count_text(number).removeprefix('about ')} runs; the limit is {max_runs:,} (--max-calls)"
            unlisted.append(Unlisted(model, Skipped(mdp.name, why, limit=Limit("--max-calls", number, None))))
        except UnanswerableError as error:
            if raises:
                raise
            unlisted.append(Unlisted(model, Skipped(mdp.name, str(error).partition("\n")[0])))
        except UnsuitableError as error:
            if not skip_unsuitable:
                raise
            unsuitable.append(Skipped(mdp.name, str(error).partition("\n")[0], unsuitable=True))
    return LoopEvidence(tuple(findings), tuple(unlisted), tuple(unsuitable))


def sample_runs(
    source: AgentSource,
    unlisted: Sequence[Unlisted],
    sampling: Sampling,
    seed: int,
    *,
    skip_unsuitable: bool = False,
    progress: ModelProgress | None = None,
    announce: Announce | None = None,
    executor: Executor = HERE,
) -> tuple[list[SampledLoopFinding], list[Skipped]]:
    """Returns what sampled runs show on each model, and the models that the agent is not made for.

    All findings together are as certain as it is asked for, and take about a minute unless it is said how many runs
    there may be.

    Raises:
      EstimatorError: the agent cannot be made or run, or it does not begin alike.
      PrecisionError: too much of ∇J is lost to rounding.
    """
    findings: list[SampledLoopFinding] = []
    unsuitable: list[Skipped] = []
    each = SECONDS / len(unlisted) if len(unlisted) > 1 else None
    for it in unlisted:
        name, why = it.model.mdp.name, it.skipped.why

        def reach(runs: int, seconds: float, name: str = name, why: str = why) -> None:
            if announce is not None:
                announce(Announcement(name, why, runs, 1, seconds, of_agent=True))

        def told(words: str, fraction: float, name: str = name) -> None:
            if progress is not None:
                progress(f"{name}: {words}", fraction)

        try:
            findings.append(
                sampled_loop_finding(
                    source, it.model, sampling.shared(len(unlisted)), why, seed=seed, seconds=each,
                    max_rounding=sampling.tolerance / 10, reach=reach, told=told, executor=executor,
                )
            )  # fmt: skip
        except UnsuitableError as error:
            if not skip_unsuitable:
                raise
            unsuitable.append(Skipped(name, str(error).partition("\n")[0], unsuitable=True))
    return findings, unsuitable


def contract_of(findings: Sequence[LoopFinding]) -> Contract:
    """Returns what kind of estimator an agent is."""
    single = any(finding.expectation.single for finding in findings)
    return Contract(rows=False, coupled=False, ordered=True, plain_mean=False, single=single)
