"""What kind of function an estimator is, found out by calling it."""

from dataclasses import dataclass

import numpy as np

from pgcheck.arrays import Floats, Ints
from pgcheck.errors import EstimatorError
from pgcheck.estimators.base import Estimator, Gradients, gradients
from pgcheck.trajectories.batch import Batch

EXAMPLES = 2_000  # episodes of a model, among which those are chosen on which it is found out
EPISODES = 23  # of these


class UnrepeatableError(EstimatorError):
    """An estimator returned different values for the same batch."""


@dataclass(frozen=True)
class Contract:
    """What kind of function an estimator is, found out by calling it.

    Attributes:
      rows: it returns one gradient for each episode.
      coupled: it returns rows, but a row changes when the batch around it does.
      ordered: the gradient of a batch depends on the order of its episodes.
      plain_mean: the gradient of a batch is the mean of those of its episodes alone.
      single: its numbers come in single precision.
      mean_of_few: the gradient of a batch of three is that mean, whatever larger batches give.
      is_random: it gives different numbers for the same batch; what rows have to do with each other is not known.
    """

    rows: bool
    coupled: bool
    ordered: bool
    plain_mean: bool
    single: bool
    mean_of_few: bool = False
    is_random: bool = False

    @property
    def by_episode(self) -> bool:
        """Whether batches of one episode tell everything."""
        return self.plain_mean if not self.rows else not self.coupled

    def combined(self, other: "Contract") -> "Contract":
        """Returns what holds on both of two models."""
        return Contract(
            rows=self.rows and other.rows,
            coupled=self.coupled or other.coupled,
            ordered=self.ordered or other.ordered,
            plain_mean=self.plain_mean and other.plain_mean,
            single=self.single or other.single,
            mean_of_few=self.mean_of_few and other.mean_of_few,
            is_random=self.is_random or other.is_random,
        )

    def coupled_rows(self) -> "Contract":
        """Returns the contract of a function whose rows turned out to depend on their batch."""
        return Contract(rows=True, coupled=True, ordered=True, plain_mean=False, single=self.single)


def random_contract(answer: Gradients) -> Contract:
    """Returns the contract of a function that gives different numbers for the same batch, from one answer."""
    return Contract(
        rows=answer.per_episode, coupled=True, ordered=True, plain_mean=False, single=answer.single, is_random=True
    )


def check_again(estimator: Estimator, batch: Batch, first: Gradients) -> None:
    """Raises EstimatorError where an estimator returns different values for the same batch.

    In single precision the values may differ by 1e-4 of the greatest: sums in another order do.
    """
    again = gradients(estimator, batch)
    if first.values.shape != again.values.shape or differ(first.values, again.values, first.single):
        raise UnrepeatableError(
            f"{estimator.name} returned different values for the same batch; a check needs a function of the batch "
            "alone, without random numbers or memory"
        )


def representative(batch: Batch) -> Batch:
    """Returns a few episodes of a batch, short and long, so many that a transposed result shows."""
    order = np.argsort(batch.lengths, kind="stable")
    chosen = order[np.unique(np.linspace(0, len(order) - 1, EPISODES).astype(np.int64))]
    if len(chosen) in batch.theta.shape:
        chosen = np.append(chosen, chosen[-1])
    return batch.part(chosen)


def contract_of(estimator: Estimator, batch: Batch) -> Contract:
    """Returns what kind of function an estimator is, from a few episodes of `batch`.

    Raises:
      EstimatorError: it returns different values for the same batch, or can be called on no batch.
    """
    episodes = representative(batch)
    first = gradients(estimator, episodes)
    check_again(estimator, episodes, first)
    if first.per_episode:
        backwards = gradients(estimator, episodes.part(np.arange(len(episodes))[::-1]))
        coupled = differ(first.values, backwards.values[::-1], first.single)
        if not coupled:
            coupled = rows_change(estimator, episodes, first)
        return Contract(True, coupled, coupled, not coupled, first.single, not coupled)
    n = len(episodes)
    rng = np.random.default_rng(0)  # of no consequence but for which batches are looked at
    triples = np.array([rng.permutation(np.arange(max(n, 3)) % n)[:3] for _ in range(EPISODES)])
    triples[0] = triples[0, 0]  # three alike
    triples[1::4, 1] = triples[1::4, 0]  # two alike
    means = estimator.of_batches(episodes, triples)
    ordered = any(
        differ(means, estimator.of_batches(episodes, triples[:, order]), first.single)
        for order in ([1, 0, 2], [0, 2, 1], [2, 0, 1])
    )
    try:
        alone = estimator.of_batches(episodes, np.arange(n)[:, None])
    except Exception as error:  # not finite, or refused: it is not made for batches of one
        if isinstance(error, EstimatorError) and error.ended:
            raise
        mean_of_few = plain_mean = False
    else:
        mean_of_few = not differ(means, alone[triples].mean(axis=1), first.single)
        plain_mean = mean_of_few and not differ(first.values[0], alone.mean(axis=0), first.single)
    return Contract(False, False, ordered, plain_mean, first.single, mean_of_few)


def rows_change(estimator: Estimator, batch: Batch, answer: Gradients, rows: Ints | None = None) -> bool:
    """Whether some rows of an answer change when their episode is called for in a batch by itself.

    Raises:
      EstimatorError: the estimator's process has ended.
    """
    rows = np.arange(len(batch)) if rows is None else rows
    try:
        alone = estimator.of_batches(batch, rows[:, None])
    except Exception as error:  # not finite, or refused
        if isinstance(error, EstimatorError) and error.ended:
            raise
        return True
    return differ(answer.values[rows], alone, answer.single)


def differ(values: Floats, others: Floats, single: bool) -> bool:
    """Whether numbers differ by more than rounding in another order of summation can explain."""
    scale = float(np.max(np.abs(values), initial=0.0))
    return float(np.max(np.abs(values - others), initial=0.0)) > (1e-4 if single else 1e-9) * scale
