"""What a program answers → gradients, or an error that names the line and says what was expected."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from pgcheck.arrays import Floats, Ints
from pgcheck.errors import EstimatorError
from pgcheck.external.program_digits import digits_of
from pgcheck.external.program_lines import WrongLineError, array_of, list_in, quoted
from pgcheck.external.results import MAX_MAGNITUDE, check_finite
from pgcheck.trajectories.batch import Batch


class NoNumbersError(EstimatorError):
    """A line that should answer a batch holds something else than numbers."""


@dataclass(frozen=True)
class Shapes:
    """What the answer to a batch of N episodes may look like.

    Attributes:
      episodes: N.
      parameters: d.
      theta: the shape of theta.
    """

    episodes: int
    parameters: int
    theta: tuple[int, ...]

    @classmethod
    def of(cls, batch: Batch, episodes: int) -> "Shapes":
        """Returns those of batches of so many episodes of the model of `batch`."""
        return cls(episodes, len(batch.policy.theta), batch.theta.shape)

    @cached_property
    def of_gradient(self) -> tuple[tuple[int, ...], ...]:
        """The shapes of a gradient: one number a parameter, in their order; like theta; theta row by row."""
        flat = (self.parameters,)
        return (flat,) if self.theta == flat else (flat, self.theta, (int(np.prod(self.theta)),))

    @property
    def most_numbers(self) -> int:
        """How many numbers an answer has at most."""
        return max(1, self.episodes) * max(int(np.prod(shape)) for shape in self.of_gradient)

    @property
    def expected(self) -> str:
        """What is expected, in words."""
        numbers = f"{self.parameters} number{'' if self.parameters == 1 else 's'}"
        if len(self.theta) == 2:
            numbers += f" (or {self.theta[0]} rows of {self.theta[1]}, like theta)"
        gradients = "gradient" if self.episodes == 1 else "gradients"
        return f"expected a list of {self.episodes:,} {gradients} of {numbers}, or one gradient"

    def per_episode(self, shape: tuple[int, ...]) -> tuple[bool, ...]:
        """Returns whether an answer of this shape holds a gradient for each episode: every reading that it has."""
        readings = []
        if shape[:1] == (self.episodes,) and shape[1:] in self.of_gradient:
            readings.append(True)
        if shape in self.of_gradient:
            readings.append(False)
        return tuple(readings)


@dataclass(frozen=True)
class Answers:
    """Lines of a program's output that answer batches of N episodes.

    Attributes:
      lines: one a batch.
      first: the number of the first of them in the output, from 1.
      shapes: what each may look like.
      lengths: of the episodes of each batch `[M, N]`.
    """

    lines: list[bytes]
    first: int
    shapes: Shapes
    lengths: Ints

    def part(self, k: int) -> "Answers":
        """Returns one of them."""
        return Answers(self.lines[k : k + 1], self.first + k, self.shapes, self.lengths[k : k + 1])


class Reader:
    """Reads answers of a program, and remembers their form.

    A list of N gradients and a table for one gradient look alike where N is the number of states, and a gradient has
    as many parameters as there are actions. Such an answer is read as the last one was that can be read in one way
    only; before any, as N gradients.

    Args:
      name: what errors call the program.

    Attributes:
      digits: how many digits the numbers of the last answer to a single batch were cut to; None: they were not.

    Raises (from every method):
      EstimatorError: an answer holds something else than gradients.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._per_episode = True
        self.digits: int | None = None

    def gradients(self, batch: Batch, answers: Answers) -> Floats:
        """Returns what the only answer holds: gradients `[N, *theta.shape]`, or one `[*theta.shape]`."""
        gradients = self._of_one_shape(batch, answers, self._array(answers, 0)[None])[0]
        self.digits = digits_of(answers.lines[0])
        return np.asarray(gradients)

    def of_batches(self, batch: Batch, answers: Answers) -> Floats:
        """Returns the gradient of each batch `[M, *theta.shape]`: the mean of the gradients of its episodes."""
        number = len(answers.lines)
        try:
            array = array_of([self._list(answers, k) for k in range(number)])
        except WrongLineError:  # their shapes differ, or one has none
            if number > 1:
                return np.concatenate([self.of_batches(batch, answers.part(k)) for k in range(number)])
            array = self._array(answers, 0)[None]
        gradients = self._of_one_shape(batch, answers, array)
        return gradients.mean(axis=1) if gradients.ndim > 1 + batch.theta.ndim else gradients

    def _list(self, answers: Answers, k: int) -> list[Any]:
        try:
            return list_in(answers.lines[k])
        except WrongLineError as fault:
            raise NoNumbersError(self._wrong(answers, k, str(fault))) from None

    def _array(self, answers: Answers, k: int) -> Floats:
        try:
            return array_of(self._list(answers, k))
        except WrongLineError as fault:
            raise EstimatorError(self._wrong(answers, k, str(fault))) from None

    def _of_one_shape(self, batch: Batch, answers: Answers, array: Floats) -> Floats:
        """Answers `[M, ...]` as gradients `[M, N, *theta.shape]` or `[M, *theta.shape]`."""
        shape = array.shape[1:]
        readings = answers.shapes.per_episode(shape)
        if not readings:
            raise EstimatorError(self._wrong(answers, 0, f"holds {_in_words(shape)}") + _hint(batch, shape))
        if len(readings) == 1:
            (self._per_episode,) = readings
        rows = array.reshape(-1, *shape[1:]) if self._per_episode else array
        gradients = _to_theta(batch, rows)
        if not float(np.max(np.abs(rows))) <= MAX_MAGNITUDE:
            self._refuse(answers, gradients)
        return gradients.reshape(*array.shape[: 1 + self._per_episode], *batch.theta.shape)

    def _refuse(self, answers: Answers, gradients: Floats) -> None:
        """Raises the error for gradients of which some are not finite, or far too large."""
        per_line = len(gradients) // len(answers.lines)
        for k, lengths in enumerate(answers.lengths):
            try:
                check_finite(
                    gradients[k * per_line : (k + 1) * per_line], lengths if self._per_episode else lengths[None]
                )
            except EstimatorError as error:
                where = f"{self._name}: line {answers.first + k:,} of its output, {quoted(answers.lines[k])}"
                raise EstimatorError(f"{where}\n  {error}", not_finite=error.not_finite) from None

    def _wrong(self, answers: Answers, k: int, fault: str) -> str:
        """What is said of a wrong answer."""
        where = f"{self._name}: line {answers.first + k:,} of its output"
        return f"{where} {fault}: {quoted(answers.lines[k])}\n  {answers.shapes.expected}"


def _to_theta(batch: Batch, gradients: Floats) -> Floats:
    """Gradients `[n, …]` of any shape that one may have as `[n, *theta.shape]`."""
    shape = batch.theta.shape
    if gradients.shape[1:] == shape:
        return gradients
    if gradients.shape[1:] == (len(batch.policy.theta),):
        return batch.shaped(gradients)
    return gradients.reshape(len(gradients), *shape)


def _hint(batch: Batch, shape: tuple[int, ...]) -> str:
    """What kind of mistake a shape looks like, in a line of its own."""
    table = (batch.num_states, batch.num_actions)
    if batch.theta.ndim == 1 and (shape[-2:] == table or shape[-1:] == (table[0] * table[1],)):
        return (
            f"\n  A table of {table[0]} states and {table[1]} actions? This model's theta is flat, because states "
            "look alike or lack actions, or it is a network's: see parameters in the header"
        )
    return ""


def _in_words(shape: tuple[int, ...]) -> str:
    """The shape of lists, in words."""
    if len(shape) == 1:
        return f"{shape[0]:,} number{'' if shape[0] == 1 else 's'}"
    return f"lists of shape {' x '.join(map(str, shape))}"
