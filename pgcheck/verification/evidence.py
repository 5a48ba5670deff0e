"""The evidence on each model: the estimator's exact expectations, or what cannot be listed, and why."""

from collections.abc import Callable
from dataclasses import dataclass

from pgcheck.errors import TooLargeError
from pgcheck.estimators.base import Estimator
from pgcheck.estimators.contract import Contract
from pgcheck.model.mdp import MDP
from pgcheck.trajectories.batch import Batch
from pgcheck.trajectories.counting import count_text, count_trajectories
from pgcheck.verification.examination import Examined
from pgcheck.verification.exhaustive import Fraction, number_of_batches, over_batches, over_episodes
from pgcheck.verification.findings import Enumeration, Finding
from pgcheck.verification.limits import Limits, Skipped, batch_limit, trajectory_limit
from pgcheck.verification.setting import Setting
from pgcheck.verification.truth import finding_of
from pgcheck.workers.executor import HERE, Executor

MAX_ENUMERATED = 20_000  # trajectories of which batches are made, and on which mistakes are looked for
MAX_ENUMERATED_NUMBERS = 2**26  # in the gradients of these: 512 MB
BATCH_SIZES = (2, 3)
RANDOM = "two calls with the same batch gave different numbers"

ModelProgress = Callable[[str, float], None]  # is called with a model's name and the fraction done


@dataclass(frozen=True, eq=False)
class Unlisted:
    """A model, or some batch sizes of it, that cannot be listed.

    Attributes:
      setting, examples: the model, and some of its episodes.
      sizes: B of each; None is for each episode by itself. Empty where other sizes were listed and these were not
        asked for.
      skipped: why.
    """

    setting: Setting
    examples: Batch
    sizes: tuple[int | None, ...]
    skipped: Skipped


@dataclass(frozen=True, eq=False)
class Evidence:
    """The exact expectations of an estimator.

    Attributes:
      contract: what kind of function it is, as it turned out to be.
      findings: one for each model and batch size.
      unlisted: what cannot be listed.
    """

    contract: Contract | None
    findings: tuple[Finding, ...]
    unlisted: tuple[Unlisted, ...]


def gather(
    estimator: Estimator,
    examined: Examined,
    limits: Limits,
    progress: ModelProgress | None = None,
    executor: Executor = HERE,
) -> Evidence:
    """Returns the expectations of an estimator on each model that is small enough, by the work of `executor`.

    Raises:
      EstimatorError: the estimator cannot be called, or returns no gradient.
    """
    contract, findings, unlisted = examined.contract, list[Finding](), list[Unlisted]()
    for setting, examples in examined.models:
        assert contract is not None
        if contract.is_random:
            why = Skipped(setting.mdp.name, RANDOM)
            unlisted.append(Unlisted(setting, examples, sizes_of(contract, limits), why))
            continue
        of_model, left_out, contract = _findings(estimator, setting, examples, contract, limits, progress, executor)
        findings += of_model
        unlisted += [left_out] if left_out is not None else []
    return Evidence(contract, tuple(findings), tuple(unlisted))


def none_listed(examined: Examined, limits: Limits, why: str) -> Evidence:
    """Returns the evidence where nothing is to be listed."""
    unlisted = [
        Unlisted(setting, examples, sizes_of(examined.contract, limits), Skipped(setting.mdp.name, why))
        for setting, examples in examined.models
        if examined.contract is not None
    ]
    return Evidence(examined.contract, (), tuple(unlisted))


def sizes_of(contract: Contract, limits: Limits) -> tuple[int | None, ...]:
    """Returns the batch sizes with which an estimator is called; None is for each episode by itself."""
    if contract.by_episode and limits.batch_sizes is None:
        return (None,)
    return limits.batch_sizes or BATCH_SIZES


def _findings(
    estimator: Estimator,
    setting: Setting,
    examples: Batch,
    contract: Contract,
    limits: Limits,
    progress: ModelProgress | None,
    executor: Executor,
) -> tuple[list[Finding], Unlisted | None, Contract]:
    """The findings on one model, what is missing, and the contract as it turned out to be."""
    mdp = setting.mdp
    count = count_of(mdp)
    sizes = sizes_of(contract, limits)
    if count is None or count > limits.max_trajectories:
        trajectories = "more than can be counted" if count is None else f"{count_text(count)} trajectories"
        why = f"{trajectories}; the limit is {limits.max_trajectories:,}"
        limit = trajectory_limit(mdp, count, limits.max_trajectories, "--max-trajectories")
        return [], Unlisted(setting, examples, sizes, Skipped(mdp.name, why, limit=limit)), contract
    few = count <= MAX_ENUMERATED and count * len(setting.policy.theta) <= MAX_ENUMERATED_NUMBERS
    enumeration = Enumeration.of(setting) if few else None

    def report(fraction: float) -> None:
        if progress is not None:
            progress(mdp.name, fraction)

    if sizes == (None,):
        if not contract.rows and count > limits.max_calls:
            why = f"{count:,} trajectories, one call each; the limit is {limits.max_calls:,} (--max-calls)"
            limit = trajectory_limit(mdp, count, limits.max_calls, "--max-calls")
            return [], Unlisted(setting, examples, sizes, Skipped(mdp.name, why, limit=limit)), contract
        by_episode = over_episodes(estimator, setting, contract, progress=report, executor=executor)
        if by_episode is not None:
            finding = finding_of(setting, examples, by_episode, enumeration, limits.max_rounding)
            return [finding], None, contract
        contract = contract.coupled_rows()
    findings, left_out = _batch_findings(
        estimator, setting, examples, enumeration, count, contract, limits, report, executor
    )
    return findings, left_out, contract


def _batch_findings(
    estimator: Estimator,
    setting: Setting,
    examples: Batch,
    enumeration: Enumeration | None,
    count: int,
    contract: Contract,
    limits: Limits,
    report: Fraction,
    executor: Executor,
) -> tuple[list[Finding], Unlisted | None]:
    """The findings for each batch size that is not too large, and why others are missing."""
    sizes = limits.batch_sizes or BATCH_SIZES
    mdp = setting.mdp
    numbers = {
        size: number_of_batches(count, size, contract)
        if enumeration is None
        else enumeration.number_of_batches(size, contract)
        for size in sizes
    }
    fitting = [size for size in sizes if enumeration is not None and numbers[size] <= limits.max_calls]
    unlisted = None
    if len(fitting) < len(sizes):
        left = tuple(size for size in sizes if size not in fitting)
        why = f"{count_text(numbers[left[0]])} batches of {left[0]} among {count_text(count)} trajectories; "
        why += "the limit is "
        why += f"{MAX_ENUMERATED:,}" if enumeration is None else f"{limits.max_calls:,} (--max-calls)"
        most = MAX_ENUMERATED if enumeration is None else None
        limit = batch_limit(mdp, numbers[left[0]], left[0], contract, limits.max_calls, most)
        are_drawn = limits.batch_sizes is not None or not fitting
        skipped = Skipped(mdp.name, why, limit=limit)
        unlisted = Unlisted(setting, examples, left if are_drawn else (), skipped)
    findings = []
    for size in fitting:
        assert enumeration is not None
        expectation = over_batches(
            estimator, enumeration.batch, enumeration.prob, size, contract,
            same_start=enumeration.same_start, progress=report, executor=executor,
        )  # fmt: skip
        findings.append(finding_of(setting, examples, expectation, enumeration, limits.max_rounding))
    return findings, unlisted


def count_of(mdp: MDP) -> int | None:
    """Returns the number of trajectories; None where there are too many to be counted."""
    try:
        return count_trajectories(mdp)
    except TooLargeError:
        return None
