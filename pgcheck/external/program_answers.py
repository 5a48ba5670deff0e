"""What a program answers → gradients, or an error that names the line and says what was expected."""

from dataclasses import dataclass

import numpy as np

from pgcheck.arrays import Floats, Ints
from pgcheck.errors import EstimatorError
from pgcheck.external.program_lines import WrongLineError, array_in, quoted
from pgcheck.external.results import MAX_MAGNITUDE, check_finite
from pgcheck.trajectories.batch import Batch


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

    @property
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
class Answer:
    """A line of a program's output, and its number there, from 1."""

    line: bytes
    number: int


class Reader:
    """Reads answers of a program, and remembers their form.

    A list of N gradients and a table for one gradient look alike where N is the number of states, and a gradient has
    as many parameters as there are actions. Such an answer is read as the last one was that can be read in one way
    only; before any, as N gradients.

    Args:
      name: what errors call the program.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._per_episode = True

    def gradients(self, batch: Batch, answer: Answer, shapes: Shapes, lengths: Ints) -> Floats:
        """Returns the gradients `[N, *theta.shape]`, or the one gradient `[*theta.shape]`, that an answer holds.

        Args:
          batch: of the model.
          answer: the answer.
          shapes: what it may look like.
          lengths: of the episodes that it is about `[N]`.

        Raises:
          EstimatorError: it holds something else.
        """
        try:
            array = array_in(answer.line)
        except WrongLineError as fault:
            raise self._wrong(answer, str(fault), shapes) from None
        readings = shapes.per_episode(array.shape)
        if not readings:
            raise self._wrong(answer, f"holds {_shape(array)}", shapes)
        if len(readings) == 1:
            (self._per_episode,) = readings
        per_episode = self._per_episode
        gradients = _to_theta(batch, array if per_episode else array[None])
        if not float(np.max(np.abs(gradients))) <= MAX_MAGNITUDE:
            try:
                check_finite(gradients, lengths if per_episode else lengths[None])
            except EstimatorError as error:
                text = f"{self._name}: line {answer.number:,} of its output, {quoted(answer.line)}\n  {error}"
                raise EstimatorError(text, not_finite=error.not_finite) from None
        return gradients if per_episode else gradients[0]

    def _wrong(self, answer: Answer, fault: str, shapes: Shapes) -> EstimatorError:
        where = f"{self._name}: line {answer.number:,} of its output"
        return EstimatorError(f"{where} {fault}: {quoted(answer.line)}\n  {shapes.expected}")


def _to_theta(batch: Batch, gradients: Floats) -> Floats:
    """Gradients `[n, …]` of any shape that one may have as `[n, *theta.shape]`."""
    shape = batch.theta.shape
    if gradients.shape[1:] == shape:
        return gradients
    if gradients.shape[1:] == (len(batch.policy.theta),):
        return batch.shaped(gradients)
    return gradients.reshape(len(gradients), *shape)


def _shape(array: Floats) -> str:
    """The shape of lists, in words."""
    if array.ndim == 1:
        return f"{len(array):,} number{'' if len(array) == 1 else 's'}"
    return f"lists of shape {' x '.join(map(str, array.shape))}"
