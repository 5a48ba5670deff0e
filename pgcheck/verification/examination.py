"""What kind of function an estimator is on each model, found out by calling it with a few episodes."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pgcheck.errors import EstimatorError, TooLargeError
from pgcheck.estimators.base import Estimator, Gradients, gradients
from pgcheck.estimators.contract import (
    EXAMPLES,
    Contract,
    UnrepeatableError,
    check_again,
    contract_of,
    random_contract,
    representative,
)
from pgcheck.model.softmax import TabularSoftmax
from pgcheck.trajectories.batch import Batch
from pgcheck.trajectories.draws import by_start
from pgcheck.verification.limits import Skipped
from pgcheck.verification.setting import Setting

MAX_GROUPS = 8  # first states whose batches tell what kind of function an estimator is


@dataclass(frozen=True, eq=False)
class Examined:
    """What calling an estimator with a few episodes of each model has shown.

    Attributes:
      contract: what kind of function the estimator is, on all models; None where no model could be looked at.
      models: those on which it can be called, each with the episodes that it was called with.
      skipped: the others.
      answers: some batches with the estimator's first answer.
    """

    contract: Contract | None
    models: tuple[tuple[Setting, Batch], ...]
    skipped: tuple[Skipped, ...]
    answers: tuple[tuple[Batch, Gradients], ...]

    def check_again(self, estimator: Estimator) -> None:
        """Raises UnrepeatableError where the estimator no longer gives its first answers."""
        for batch, answer in self.answers:
            check_again(estimator, batch, answer)


def examine(
    estimator: Estimator, settings: Sequence[Setting], *, skip_unsuitable: bool = False, is_random: bool = False
) -> Examined:
    """Returns what kind of function an estimator is.

    Args:
      estimator: is called with a few episodes of each model.
      settings: the models.
      skip_unsuitable: leave out models whose theta is no table, where the estimator cannot be called on them.
      is_random: whether it is known to give different numbers for the same batch.

    Raises:
      EstimatorError: the estimator cannot be called, or returns no gradient.
      UnrepeatableError: it gives different numbers for the same batch, which was not known.
    """
    contract: Contract | None = None
    models: list[tuple[Setting, Batch]] = []
    skipped: list[Skipped] = []
    answers: list[tuple[Batch, Gradients]] = []
    for setting in settings:
        name = setting.mdp.name
        try:
            examples = setting.examples(EXAMPLES)
        except TooLargeError as error:
            skipped.append(Skipped(name, str(error).partition("\n")[0]))
            continue
        batch = representative(_together(examples, setting)[0])
        try:
            answer = gradients(estimator, batch)
            following = random_contract(answer) if is_random else _contract(estimator, examples, setting)
        except Exception as error:  # whatever a user's function raises
            is_serious = isinstance(error, UnrepeatableError) or (
                isinstance(error, EstimatorError) and error.not_finite
            )
            is_table = examples.theta.ndim > 1 or not isinstance(setting.policy, TabularSoftmax)
            if is_serious or not skip_unsuitable or is_table:
                raise
            skipped.append(Skipped(name, _unsuitable(error), unsuitable=True))
            continue
        models.append((setting, examples))
        contract = _combined(contract, following)
        answers.append((batch, answer))
    return Examined(contract, tuple(models), tuple(skipped), () if is_random else tuple(answers))


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
    """What kind of function an estimator is on one model.

    Where rewards are rare, it is looked at with others too: gradients that are all 0 tell nothing.
    """
    contract: Contract | None = None
    for group in _together(examples, setting):
        contract = _combined(contract, contract_of(estimator, group))
        if np.count_nonzero(np.any(group.rewards != 0, axis=1)) < len(group) / 2:
            others = 1.0 + np.cos(np.arange(group.rewards.size)).reshape(group.rewards.shape)
            contract = _combined(contract, contract_of(estimator, group.altered(rewards=others * group.mask)))
    assert contract is not None
    return contract


def _combined(contract: Contract | None, following: Contract) -> Contract:
    """The contract that holds on both of two models."""
    return following if contract is None else contract.combined(following)
