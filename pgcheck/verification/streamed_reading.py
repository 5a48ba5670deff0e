"""Gradients that a program printed, beside what `pgcheck trajectories` listed: the k-th line answers the k-th."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import islice
from typing import BinaryIO

import numpy as np

from pgcheck.arrays import Floats, Ints
from pgcheck.errors import EstimatorError
from pgcheck.external.answered_lines import Expected, GradientLines
from pgcheck.trajectories.batch import Batch
from pgcheck.trajectories.batches import check_number, distinct_batches, list_batches
from pgcheck.trajectories.paths import enumerate_trajectories, sample_trajectories
from pgcheck.verification.drawn import Draw
from pgcheck.verification.setting import Setting

READ_TOGETHER = 4096  # lines, at most
NUMBERS_TOGETHER = 2**20  # on these lines, about


@dataclass(frozen=True, eq=False)
class Listed:
    """Some of the trajectories or batches that were listed, m of them, in order.

    Attributes:
      measure: the probability of each, or how often it was drawn `[m]`.
      batch: the episodes, where they were drawn.
      members: the numbers of the episodes of each batch `[m, B]`; None where each line is about one episode.
    """

    measure: Floats
    batch: Batch | None = None
    members: Ints | None = None

    def part(self, rows: slice) -> "Listed":
        """Returns some of them."""
        if self.batch is None:
            return Listed(self.measure[rows])
        if self.members is None:
            return Listed(self.measure[rows], self.batch.part(rows))
        return Listed(self.measure[rows], self.batch, self.members[rows])

    def draw(self) -> Draw:
        """Returns the episodes that were drawn, those of each line together."""
        assert self.batch is not None
        if self.members is None:
            return Draw(self.batch, np.arange(len(self.batch))[:, None])
        return Draw(self.batch.part(self.members.ravel()), np.arange(self.members.size).reshape(self.members.shape))


def example_of(setting: Setting) -> Batch:
    """Returns a batch of no episodes, which knows the shape of theta."""
    return Batch.from_paths(setting.mdp, setting.policy, np.zeros((1, 0), dtype=np.int64), setting.behavior)


def lines_of(stream: BinaryIO, setting: Setting) -> GradientLines:
    """Returns the gradients of a model on a stream."""
    mdp, shape = setting.mdp, example_of(setting).theta.shape
    expected = Expected(mdp.name, len(setting.policy.theta), shape, (mdp.num_states, mdp.num_actions))
    return GradientLines(stream, expected)


def all_listed(setting: Setting, size: int | None) -> Iterator[Listed]:
    """Yields all trajectories, or all batches of `size`, as `trajectories` lists them.

    Raises:
      TooLargeError: there are too many batches.
    """
    if size is None:
        for _, prob in enumerate_trajectories(setting.mdp, setting.actor):
            yield Listed(prob)
        return
    listing = list_batches(setting.mdp, setting.actor, size, same_start=setting.same_start)
    while lot := [batch.measure for batch in islice(listing.batches, READ_TOGETHER)]:
        yield Listed(np.array(lot, dtype=np.float64))


def drawn_listed(setting: Setting, size: int | None, n: int, rng: np.random.Generator) -> Iterator[Listed]:
    """Yields what was drawn among n trajectories, or n batches of `size`, as `trajectories --n` lists it.

    Raises:
      TooLargeError: there are too many episodes, or they are too long to remember.
    """
    mdp, actor = setting.mdp, setting.actor
    if size is None:
        for batch, count in sample_trajectories(mdp, actor, n, rng):
            yield Listed(count.astype(np.float64), _of(batch, setting))
        return
    check_number(n, size)
    batch, members, counts = distinct_batches(mdp, actor, size, n, rng, same_start=setting.same_start)
    yield Listed(counts.astype(np.float64), _of(batch, setting), members)


def in_parts(listed: Iterator[Listed], setting: Setting) -> Iterator[Listed]:
    """Yields the same in parts whose gradients are read together."""
    together = max(1, min(READ_TOGETHER, NUMBERS_TOGETHER // example_of(setting).theta.size))
    for block in listed:
        for lo in range(0, len(block.measure), together):
            yield block.part(slice(lo, lo + together))


def answered(
    lines: GradientLines, parts: Iterator[Listed], setting: Setting, size: int | None
) -> Iterator[tuple[Listed, Floats]]:
    """Yields parts of what was listed with their gradients `[m, d]`, or `[m, k]` where lines hold theta's k.

    Raises:
      EstimatorError: a line is no gradient, or there are too few or too many.
    """
    each = f"one for each {'trajectory' if size is None else f'batch of {size}'} of {setting.mdp.name}"
    count = 0
    for part in parts:
        gradients = lines.take(len(part.measure))
        there = count + len(gradients)
        count += len(part.measure)
        if there < count:
            number = count + sum(len(rest.measure) for rest in parts)
            raise EstimatorError(
                f"standard input: expected {number:,} gradients, {each}; there {'was' if there == 1 else 'were'} "
                f"{f'{there:,}' if there else 'none'}: did the program end early? Was `trajectories` run with the "
                "same options?"
            )
        yield part, gradients
    if (further := lines.further()) is not None:
        raise EstimatorError(
            f"standard input, line {lines.number:,}: {further}: expected no more than {count:,} gradients, {each}: "
            "does the program answer the header too? Was `trajectories` run with the same options?"
        )


def shaped(mean: Floats, setting: Setting) -> Floats:
    """Returns the mean of what lines held, `[d]` or theta's `[k]`, in the shape of theta."""
    example = example_of(setting)
    return example.shaped(mean) if len(mean) == len(setting.policy.theta) else mean.reshape(example.theta.shape)


def in_order(gradients: Floats, setting: Setting) -> Floats:
    """Returns what lines held, `[m, d]` or theta's `[m, k]`, in the order of the parameters `[m, d]`."""
    if gradients.shape[1] == len(setting.policy.theta):
        return gradients
    example = example_of(setting)
    return example.flattened(gradients.reshape(-1, *example.theta.shape))


def _of(batch: Batch, setting: Setting) -> Batch:
    """Episodes as those of the policy of which ∇J is the gradient, whoever drew them."""
    return replace(batch, policy=setting.policy, behavior=setting.behavior)
