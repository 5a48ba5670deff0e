"""The evidence on each model: the estimator's exact expectations, or why the model cannot be checked."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from weakref import WeakKeyDictionary

import numpy as np

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
from pgcheck.estimators.moments import predict
from pgcheck.estimators.on_policy import REINFORCE, REWARD_TO_GO
from pgcheck.exact.gradient import exact_gradient
from pgcheck.model.mdp import MDP
from pgcheck.model.policy import Policy
from pgcheck.trajectories.batch import Batch
from pgcheck.trajectories.counting import count_text, count_trajectories
from pgcheck.trajectories.paths import listed
from pgcheck.verification.exhaustive import Expectation, Fraction, number_of_batches, over_batches, over_episodes
from pgcheck.verification.findings import Enumeration, Finding
from pgcheck.verification.limits import Limits, Skipped, batch_limit, trajectory_limit

MAX_ENUMERATED = 20_000  # trajectories of which batches are made, and on which mistakes are looked for
BATCH_SIZES = (2, 3)

_Traces = WeakKeyDictionary[Policy, tuple[float | None, float | None]]

_TRACES: WeakKeyDictionary[MDP, _Traces] = WeakKeyDictionary()  # batches of two and of three need the same

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

    mdp: MDP
    policy: Policy
    examples: Batch


def gather(
    estimator: Estimator,
    models: Sequence[tuple[MDP, Policy]],
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
    for mdp, policy in models:
        try:
            examples, _ = listed(mdp, policy, most=EXAMPLES)
        except TooLargeError as error:
            skipped.append(Skipped(mdp.name, str(error).partition("\n")[0]))
            continue
        batch = representative(examples)
        try:
            following = contract_of(estimator, examples)
            answer = gradients(estimator, batch)
        except Exception as error:  # whatever a user's function raises
            is_serious = isinstance(error, UnrepeatableError) or (
                isinstance(error, EstimatorError) and error.not_finite
            )
            if is_serious or not skip_unsuitable or examples.theta.ndim > 1:
                raise
            skipped.append(Skipped(mdp.name, _unsuitable(error), unsuitable=True))
            continue
        examined.append(_Model(mdp, policy, examples))
        contract = _combined(contract, following)
        answers.append((batch, answer))
    for model in examined:
        assert contract is not None
        of_model, left_out, contract = _findings(estimator, model, contract, limits, progress)
        findings += of_model
        skipped += [left_out] if left_out is not None else []
    return Evidence(contract, tuple(findings), tuple(skipped), tuple(answers))


def finding_of(enumeration: Enumeration, expectation: Expectation) -> Finding:
    """Returns an expectation beside the gradient, on a model whose episodes are known."""
    return _finding(enumeration.mdp, enumeration.policy, enumeration.batch, expectation, enumeration, math.inf)


def _unsuitable(error: Exception) -> str:
    """Why a model whose theta is flat was left out, in a line."""
    line = str(error).partition("\n")[0]
    kind = "" if isinstance(error, EstimatorError) else f"{type(error).__name__}: "
    return f"states look alike or lack actions, so that theta is no table; {kind}{line}"


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
    mdp, policy = model.mdp, model.policy
    count = _count(mdp)
    if count is None or count > limits.max_trajectories:
        trajectories = "more than can be counted" if count is None else f"{count_text(count)} trajectories"
        why = f"{trajectories}; the limit is {limits.max_trajectories:,}"
        limit = trajectory_limit(mdp, count, limits.max_trajectories, "--max-trajectories")
        return [], Skipped(mdp.name, why, limit=limit), contract
    enumeration = Enumeration(mdp, policy, *listed(mdp, policy)) if count <= MAX_ENUMERATED else None

    def report(fraction: float) -> None:
        if progress is not None:
            progress(mdp.name, fraction)

    if contract.by_episode and limits.batch_sizes is None:
        if not contract.rows and count > limits.max_calls:
            why = f"{count:,} trajectories, one call each; the limit is {limits.max_calls:,} (--max-calls)"
            limit = trajectory_limit(mdp, count, limits.max_calls, "--max-calls")
            return [], Skipped(mdp.name, why, limit=limit), contract
        by_episode = over_episodes(estimator, mdp, policy, contract, progress=report)
        if by_episode is not None:
            return (
                [_finding(mdp, policy, model.examples, by_episode, enumeration, limits.max_rounding)],
                None,
                contract,
            )
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
    numbers = {size: number_of_batches(count, size, contract) for size in sizes}
    fitting = [size for size in sizes if enumeration is not None and numbers[size] <= limits.max_calls]
    left_out = None
    if len(fitting) < len(sizes):
        size = next(size for size in sizes if size not in fitting)
        why = f"{count_text(numbers[size])} batches of {size} among {count_text(count)} trajectories; the limit is "
        why += f"{MAX_ENUMERATED:,}" if enumeration is None else f"{limits.max_calls:,} (--max-calls)"
        most = MAX_ENUMERATED if enumeration is None else None
        limit = batch_limit(model.mdp, numbers[size], size, contract, limits.max_calls, most)
        left_out = Skipped(model.mdp.name, why, limit=limit)
    findings = []
    for size in fitting:
        assert enumeration is not None
        expectation = over_batches(estimator, enumeration.batch, enumeration.prob, size, contract, progress=report)
        findings.append(
            _finding(model.mdp, model.policy, model.examples, expectation, enumeration, limits.max_rounding)
        )
    return findings, left_out


def _finding(
    mdp: MDP,
    policy: Policy,
    examples: Batch,
    expectation: Expectation,
    enumeration: Enumeration | None,
    max_rounding: float,
) -> Finding:
    truth = exact_gradient(mdp, policy, method="backward-induction", max_relative_rounding=max_rounding)
    reinforce, reward_to_go = _traces(mdp, policy)
    gradient = examples.shaped(np.zeros(len(policy.theta)) if truth.is_zero else truth.gradient)
    return Finding(mdp, policy, expectation, gradient, reinforce, reward_to_go, enumeration)


def _traces(mdp: MDP, policy: Policy) -> tuple[float | None, float | None]:
    """tr Σ of reinforce and of reward-to-go, found once for a policy of a model; None where not known exactly."""
    of_policy = _TRACES.setdefault(mdp, WeakKeyDictionary())
    if policy not in of_policy:
        rng = np.random.default_rng(0)  # for traces from samples, which are not exact and are left out
        traces: list[float | None] = []
        for reference in (REINFORCE, REWARD_TO_GO):
            moments = predict(mdp, policy, reference, rng)(None)
            exact = moments is not None and moments.evidence != "sample"
            traces.append(moments.trace if moments is not None and exact else None)
        of_policy[policy] = traces[0], traces[1]
    return of_policy[policy]


def _count(mdp: MDP) -> int | None:
    """The number of trajectories; None where there are too many to be counted."""
    try:
        return count_trajectories(mdp)
    except TooLargeError:
        return None
