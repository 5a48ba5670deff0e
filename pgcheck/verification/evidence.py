"""The evidence on each model: the estimator's exact expectations, or why the model cannot be checked."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from pgcheck.errors import EstimatorError, TooLargeError
from pgcheck.estimators.base import Estimator, Gradients, gradients
from pgcheck.estimators.contract import (
    EXAMPLES,
    Contract,
    UnrepeatableError,
    check_again,
    contract_of,
    representative,
)
from pgcheck.model.mdp import MDP
from pgcheck.model.softmax import TabularSoftmax
from pgcheck.trajectories.batch import Batch
from pgcheck.trajectories.counting import count_text, count_trajectories
from pgcheck.trajectories.draws import by_start
from pgcheck.verification.exhaustive import Fraction, number_of_batches, over_batches, over_episodes
from pgcheck.verification.findings import Enumeration, Finding
from pgcheck.verification.limits import Limits, Skipped, batch_limit, trajectory_limit
from pgcheck.verification.setting import Setting
from pgcheck.verification.truth import finding_of

MAX_ENUMERATED = 20_000  # trajectories of which batches are made, and on which mistakes are looked for
MAX_GROUPS = 8  # first states whose batches tell what kind of function an estimator is
MAX_ENUMERATED_NUMBERS = 2**26  # in the gradients of these: 512 MB
BATCH_SIZES = (2, 3)

ModelProgress = Callable[[str, float], None]  # is called with a model's name and the fraction done


@dataclass(frozen=True, eq=False)
class Evidence:
    """What calling an estimator has shown.

    Attributes:
      contract: what kind of function the estimator is, on all models; None where no model could be looked at.
      findings: one for each model and batch size.
      skipped: what was left out: too large, or not what the estimator is made for.
      answers: some batches with the estimator's first answer.
    """

    contract: Contract | None
    findings: tuple[Finding, ...]
    skipped: tuple[Skipped, ...]
    answers: tuple[tuple[Batch, Gradients], ...]

    def check_again(self, estimator: Estimator) -> None:
        """Raises EstimatorError where the estimator no longer gives its first answers."""
        for batch, answer in self.answers:
            check_again(estimator, batch, answer)


@dataclass(frozen=True, eq=False)
class _Model:
    """A model with the episodes from which the contract is inferred."""

    setting: Setting
    examples: Batch


def gather(
    estimator: Estimator,
    settings: Sequence[Setting],
    limits: Limits,
    progress: ModelProgress | None = None,
    *,
    skip_unsuitable: bool = False,
) -> Evidence:
    """Returns the expectations of an estimator on each model that is small enough.

    With `skip_unsuitable`, models whose theta is no table are left out where the estimator cannot be called on them.

    Raises:
      EstimatorError: the estimator cannot be called, or returns no gradient.
    """
    contract: Contract | None = None
    findings: list[Finding] = []
    skipped: list[Skipped] = []
    answers: list[tuple[Batch, Gradients]] = []
    examined: list[_Model] = []
    for setting in settings:
        name = setting.mdp.name
        try:
            examples, _ = setting.listed(EXAMPLES)
        except TooLargeError as error:
            skipped.append(Skipped(name, str(error).partition("\n")[0]))
            continue
        batch = representative(_together(examples, setting)[0])
        try:
            following = _contract(estimator, examples, setting)
            answer = gradients(estimator, batch)
        except Exception as error:  # whatever a user's function raises
            is_serious = isinstance(error, UnrepeatableError) or (
                isinstance(error, EstimatorError) and error.not_finite
            )
            is_table = examples.theta.ndim > 1 or not isinstance(setting.policy, TabularSoftmax)
            if is_serious or not skip_unsuitable or is_table:
                raise
            skipped.append(Skipped(name, _unsuitable(error), unsuitable=True))
            continue
        examined.append(_Model(setting, examples))
        contract = _combined(contract, following)
        answers.append((batch, answer))
    for model in examined:
        assert contract is not None
        of_model, left_out, contract = _findings(estimator, model, contract, limits, progress)
        findings += of_model
        skipped += [left_out] if left_out is not None else []
    return Evidence(contract, tuple(findings), tuple(skipped), tuple(answers))


def _unsuitable(error: Exception) -> str:
    """Why a model whose theta is flat was left out, in a line."""
    line = str(error).partition("\n")[0]
    kind = "" if isinstance(error, EstimatorError) else f"{type(error).__name__}: "
    return f"states look alike or lack actions, so that theta is no table; {kind}{line}"


def _together(examples: Batch, setting: Setting) -> list[Batch]:
    """The episodes that may stand in a batch together; of many first states, those with the most episodes."""
    if not setting.same_start:
        return [examples]
    groups = sorted(by_start(examples), key=len, reverse=True)
    return [examples.part(numbers) for numbers in groups[:MAX_GROUPS]]


def _contract(estimator: Estimator, examples: Batch, setting: Setting) -> Contract:
    """What kind of function an estimator is on one model."""
    contract: Contract | None = None
    for group in _together(examples, setting):
        contract = _combined(contract, contract_of(estimator, group))
    assert contract is not None
    return contract


def _combined(contract: Contract | None, following: Contract) -> Contract:
    """The contract that holds on both of two models."""
    if contract is None:
        return following
    return Contract(
        rows=contract.rows and following.rows,
        coupled=contract.coupled or following.coupled,
        ordered=contract.ordered or following.ordered,
        plain_mean=contract.plain_mean and following.plain_mean,
        single=contract.single or following.single,
        mean_of_few=contract.mean_of_few and following.mean_of_few,
    )


def _findings(
    estimator: Estimator, model: _Model, contract: Contract, limits: Limits, progress: ModelProgress | None
) -> tuple[list[Finding], Skipped | None, Contract]:
    """The findings on one model, what is missing, and the contract as it turned out to be."""
    setting, mdp = model.setting, model.setting.mdp
    count = count_of(mdp)
    if count is None or count > limits.max_trajectories:
        trajectories = "more than can be counted" if count is None else f"{count_text(count)} trajectories"
        why = f"{trajectories}; the limit is {limits.max_trajectories:,}"
        limit = trajectory_limit(mdp, count, limits.max_trajectories, "--max-trajectories")
        return [], Skipped(mdp.name, why, limit=limit), contract
    few = count <= MAX_ENUMERATED and count * len(setting.policy.theta) <= MAX_ENUMERATED_NUMBERS
    enumeration = Enumeration.of(setting) if few else None

    def report(fraction: float) -> None:
        if progress is not None:
            progress(mdp.name, fraction)

    if contract.by_episode and limits.batch_sizes is None:
        if not contract.rows and count > limits.max_calls:
            why = f"{count:,} trajectories, one call each; the limit is {limits.max_calls:,} (--max-calls)"
            limit = trajectory_limit(mdp, count, limits.max_calls, "--max-calls")
            return [], Skipped(mdp.name, why, limit=limit), contract
        by_episode = over_episodes(estimator, setting, contract, progress=report)
        if by_episode is not None:
            finding = finding_of(setting, model.examples, by_episode, enumeration, limits.max_rounding)
            return [finding], None, contract
        contract = Contract(rows=True, coupled=True, ordered=True, plain_mean=False, single=contract.single)
    findings, left_out = _batch_findings(estimator, model, enumeration, count, contract, limits, report)
    return findings, left_out, contract


def _batch_findings(
    estimator: Estimator,
    model: _Model,
    enumeration: Enumeration | None,
    count: int,
    contract: Contract,
    limits: Limits,
    report: Fraction,
) -> tuple[list[Finding], Skipped | None]:
    """The findings for each batch size that is not too large, and why others are missing."""
    sizes = limits.batch_sizes or BATCH_SIZES
    mdp = model.setting.mdp
    numbers = {
        size: number_of_batches(count, size, contract)
        if enumeration is None
        else enumeration.number_of_batches(size, contract)
        for size in sizes
    }
    fitting = [size for size in sizes if enumeration is not None and numbers[size] <= limits.max_calls]
    left_out = None
    if len(fitting) < len(sizes):
        size = next(size for size in sizes if size not in fitting)
        why = f"{count_text(numbers[size])} batches of {size} among {count_text(count)} trajectories; the limit is "
        why += f"{MAX_ENUMERATED:,}" if enumeration is None else f"{limits.max_calls:,} (--max-calls)"
        most = MAX_ENUMERATED if enumeration is None else None
        limit = batch_limit(mdp, numbers[size], size, contract, limits.max_calls, most)
        left_out = Skipped(mdp.name, why, limit=limit)
    findings = []
    for size in fitting:
        assert enumeration is not None
        expectation = over_batches(
            estimator, enumeration.batch, enumeration.prob, size, contract,
            same_start=enumeration.same_start, progress=report,
        )  # fmt: skip
        findings.append(finding_of(model.setting, model.examples, expectation, enumeration, limits.max_rounding))
    return findings, left_out


def count_of(mdp: MDP) -> int | None:
    """Returns the number of trajectories; None where there are too many to be counted."""
    try:
        return count_trajectories(mdp)
    except TooLargeError:
        return None
