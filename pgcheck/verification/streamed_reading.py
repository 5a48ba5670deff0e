"""Gradients that a program printed, beside what `pgcheck trajectories` listed: the k-th line answers the k-th."""

from collections.abc import Iterator
from itertools import islice
from typing import BinaryIO

import numpy as np

from pgcheck.arrays import Floats, Ints
from pgcheck.errors import EstimatorError
from pgcheck.external.answered_lines import Expected, GradientLines
from pgcheck.trajectories.batch import Batch
from pgcheck.trajectories.batches import list_batches
from pgcheck.trajectories.paths import enumerate_trajectories, sample_trajectories
from pgcheck.verification.setting import Setting

READ_TOGETHER = 4096  # lines, at most
NUMBERS_TOGETHER = 2**20  # on these lines, about


def lines_of(stream: BinaryIO, setting: Setting) -> GradientLines:
    """Returns the gradients of a model on a stream."""
    mdp, shape = setting.mdp, example_of(setting).theta.shape
    expected = Expected(mdp.name, len(setting.policy.theta), shape, (mdp.num_states, mdp.num_actions))
    return GradientLines(stream, expected)


def example_of(setting: Setting) -> Batch:
    """Returns a batch of no episodes, which knows the shape of theta."""
    return Batch.from_paths(setting.mdp, setting.policy, np.zeros((1, 0), dtype=np.int64), setting.behavior)


def measures_of(
    setting: Setting, size: int | None, n: int | None = None, rng: np.random.Generator | None = None
) -> Iterator[Floats]:
    """Yields what `trajectories` says of each trajectory, or of each batch of `size`, in the order of its list.

    That is the probability of each of them; or how often it came, of n that `rng` draws.
    """
    mdp, actor = setting.mdp, setting.actor
    if size is None:
        blocks: Iterator[tuple[Batch, Floats | Ints]] = enumerate_trajectories(mdp, actor)
        if n is not None and rng is not None:
            blocks = sample_trajectories(mdp, actor, n, rng)
        for _, measure in blocks:
            yield measure.astype(np.float64)
        return
    listing = list_batches(mdp, actor, size, n, rng, same_start=setting.same_start)
    while lot := [batch.measure for batch in islice(listing.batches, READ_TOGETHER)]:
        yield np.array(lot, dtype=np.float64)


def answered(
    lines: GradientLines, measures: Iterator[Floats], setting: Setting, size: int | None
) -> Iterator[tuple[Floats, Floats]]:
    """Yields the measures `[n]` of what was listed with their gradients `[n, k]`, some at a time.

    Raises:
      EstimatorError: a line is no gradient, or there are too few or too many.
    """
    together = max(1, min(READ_TOGETHER, NUMBERS_TOGETHER // example_of(setting).theta.size))
    listed = "trajectory" if size is None else f"batch of {size}"
    count = 0
    for measure in measures:
        for lo in range(0, len(measure), together):
            part = measure[lo : lo + together]
            gradients = lines.take(len(part))
            count += len(gradients)
            if len(gradients) < len(part):
                number = count - lo - len(gradients) + len(measure) + sum(map(len, measures))
                raise EstimatorError(
                    f"standard input: expected {number:,} gradients, one for each {listed} of {setting.mdp.name}; "
                    f"there {'was' if count == 1 else 'were'} {count or 'none'}: did the program end early? "
                    "Was `trajectories` run with the same options?"
                )
            yield part, gradients
    if (further := lines.further()) is not None:
        what = "trajectories" if size is None else f"batches of {size}"
        raise EstimatorError(
            f"standard input, line {lines.number:,}: {further}: more gradients than the {count:,} {what} of "
            f"{setting.mdp.name}: does the program answer the header too? "
            "Was `trajectories` run with the same options?"
        )


def shaped(mean: Floats, setting: Setting) -> Floats:
    """Returns the mean of what lines held, `[d]` or theta's `[k]`, in the shape of theta."""
    example = example_of(setting)
    return example.shaped(mean) if len(mean) == len(setting.policy.theta) else mean.reshape(example.theta.shape)
