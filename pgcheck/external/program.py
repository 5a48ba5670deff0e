"""An estimator that is a program in any language: it is sent episodes, and answers with gradients, as JSON lines."""

import json
import time
from collections.abc import Callable, Sequence
from types import TracebackType

import numpy as np

from pgcheck.arrays import Floats, Ints
from pgcheck.errors import EstimatorError
from pgcheck.external import requests
from pgcheck.external.estimator import External
from pgcheck.external.estimator_process import LOT_GROWTH, LOT_SECONDS
from pgcheck.external.header import header_of
from pgcheck.external.prints import Tally, tell
from pgcheck.external.process import TIMEOUT, working_directory
from pgcheck.external.program_answers import Answers, NoNumbersError, Reader, Shapes
from pgcheck.external.program_lines import batch_line, episode_texts
from pgcheck.external.program_order import order_fault
from pgcheck.external.program_process import (
    ProgramEndedError,
    ProgramProcess,
    ProgramSilentError,
    more_than_asked,
    words_of,
)
from pgcheck.external.program_trial import other_model
from pgcheck.model.parametric import Network
from pgcheck.trajectories.batch import Batch

LOT_BYTES = 2**20  # of the batches that are sent together, as far as more than one is
NUMBER_BYTES, LINE_BYTES = 64, 2**22  # a line may have this many a number, and these besides


Read = Callable[[Batch, Answers], Floats]


class Program(External):
    """Asks a program for gradients; it lives as long as the `with` block, together with what it has started.

    It gets a header for each model. One that does not take a second header is started again for each model.

    Args:
      spec: `cmd:PROGRAM ARGS`.
      timeout: seconds that an exchange may take.
      directory: its working directory; None is that of this process as it is now.
      heard: whether what it writes to standard error is passed on.

    Raises (from every method):
      EstimatorError: the program cannot be started, ends, is silent, or writes something else than gradients.
      UsageError: `spec` names no program.
    """

    def __init__(
        self, spec: str, *, timeout: float = TIMEOUT, directory: str | None = None, heard: bool = True
    ) -> None:
        super().__init__(spec)
        self._words, self._timeout, self._heard = words_of(spec), timeout, heard
        self._directory = working_directory() if directory is None else directory
        self._tally = Tally(spec, heard=heard)
        self._process: ProgramProcess | None = None
        self._fault: EstimatorError | None = None  # after which nothing is asked any more
        self._model: requests.Model | None = None
        self._header = ""  # its line
        self._sent = ""  # the last header that the process was sent
        self._shapes: Shapes | None = None  # of answers to it
        self._takes_headers: bool | None = None  # more than one; None: not known yet
        self._noted: set[str] = set()
        self._reader = Reader(spec)
        self._is_in_order = False  # as far as is known
        self._lot_size, self._batch_size = 1, 0  # small batches of the next lot, and the episodes of each

    def __enter__(self) -> "Program":
        self._process = self._started()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # An answer to another batch looks right, or has a wrong shape. Lines that were not asked for explain it.
        is_of_another = kind is None or (issubclass(kind, EstimatorError) and not issubclass(kind, NoNumbersError))
        try:
            self._end(at_once=self._fault is not None or not is_of_another)
        finally:
            self._tally.close()

    def __call__(self, batch: Batch, /) -> Floats:
        """Returns the gradients of a batch: one for each episode, or one for all.

        Where the program prints a few digits of its numbers, they are in single precision.
        """
        if not len(batch):
            return np.zeros((0, *batch.theta.shape))
        line = batch_line(episode_texts(batch, np.arange(len(batch))))
        gradients = self._asked(batch, [line], np.arange(len(batch))[None], self._reader.gradients)
        if self._reader.digits is not None:
            self._note(
                f"prints numbers of {self._reader.digits} digits: it is judged as in single precision; print 17 "
                "digits (%.17g) for more"
            )
            return gradients.astype(np.float32)
        return gradients.astype(np.float32) if _is_single(batch) else gradients

    def of_batches(self, batch: Batch, index: Ints) -> Floats:
        """Returns the gradients of M batches of B episodes, whose numbers in `batch` are `index` `[M, B]`.

        As many lines are sent together as take about half a second, so that a slow program does not run into the
        timeout, and progress is seen. Another model or batch size begins with one line.
        """
        gradients = np.empty((len(index), *batch.theta.shape))
        if index.shape[1] != self._batch_size or not self._has(batch):
            self._batch_size, self._lot_size = index.shape[1], 1
        rows, numbers = np.unique(index, return_inverse=True)
        numbers = numbers.reshape(index.shape)
        texts = episode_texts(batch, rows)
        others = np.flatnonzero((numbers != numbers[:1]).any(axis=1))
        if len(others) and not self._is_in_order:
            pair = [0, others[0]]
            self._check_order(
                batch, [batch_line([texts[k] for k in row]) for row in numbers[pair].tolist()], index[pair]
            )
        ends = np.cumsum(np.array([len(text) for text in texts])[numbers].sum(axis=1))
        done = 0
        while done < len(index):
            since = time.monotonic()
            fitting = int(np.searchsorted(ends, LOT_BYTES + (ends[done - 1] if done else 0)))
            end = min(done + self._lot_size, max(fitting, done + 1))
            lines = [batch_line([texts[k] for k in members]) for members in numbers[done:end].tolist()]
            gradients[done:end] = self._asked(batch, lines, index[done:end], self._reader.of_batches)
            seconds = max(time.monotonic() - since, 1e-6) / len(lines)
            affordable = int(min(LOT_SECONDS, self._timeout / 4) / seconds)
            self._lot_size = max(1, min(LOT_GROWTH * self._lot_size, affordable))
            done = end
        return gradients

    def _check_order(self, batch: Batch, lines: list[str], index: Ints) -> None:
        """Raises EstimatorError where the answers to two batches do not come in the order of these."""

        def ask(numbers: Sequence[int]) -> Floats:
            return self._asked(batch, [lines[k] for k in numbers], index[list(numbers)], self._reader.of_batches)

        if fault := order_fault(ask):
            back, text = fault
            assert self._process is not None
            where = f"{self.name}: line {self._process.answered - back:,} of its output"
            raise EstimatorError(f"{where} {text}\n  expected one line for each batch, in their order")
        self._is_in_order = True

    def _has(self, batch: Batch) -> bool:
        """Whether the process has the model of a batch."""
        return self._model is not None and self._model.is_of(batch)

    def _asked(self, batch: Batch, lines: list[str], index: Ints, read: Read) -> Floats:
        """What `read` makes of the answers to lines, each a batch of episodes `index` `[M, B]`.

        The header goes first, if it is due.
        """
        if self._fault is not None:
            raise self._fault
        if not self._has(batch):
            self._model = requests.Model(batch.mdp, batch.policy, batch.behavior)
            self._header = _header_of(batch)
        if self._sent and self._sent != self._header:
            if self._takes_headers is None:
                self._takes_headers = self._takes_another()
            if not self._takes_headers:
                self._end()
        if self._sent != self._header:
            lines = [self._header + lines[0], *lines[1:]]
            self._sent, self._shapes = self._header, Shapes.of(batch, 1)
        gradients = read(batch, self._exchange(batch, lines, index))
        if self._takes_headers is False:
            self._note("reads one model only: it is started again for each")
        return gradients

    def _takes_another(self) -> bool:
        """Whether a process goes on with another model after its first; one that does not is ended.

        What it writes to standard error then is of no interest.
        """
        assert self._shapes is not None
        batch = other_model(self._shapes)
        every = np.arange(len(batch))
        self._tally.hold()
        try:
            line = _header_of(batch) + batch_line(episode_texts(batch, every))
            self._reader.gradients(batch, self._exchange(batch, [line], every[None]))
        except ProgramSilentError:
            raise
        except EstimatorError:
            self._fault = None
            self._end(at_once=True)
            self._tally.forget()
            return False
        finally:
            self._tally.release()
        return True

    def _exchange(self, batch: Batch, lines: list[str], index: Ints) -> Answers:
        """Sends lines, and returns the answer to each."""
        if self._process is None:
            self._process = self._started()
        shapes = Shapes.of(batch, index.shape[1])
        most = LINE_BYTES + NUMBER_BYTES * shapes.most_numbers
        first = self._process.answered + 1
        try:
            answers = self._process.ask("".join(lines).encode(), len(lines), most)
        except ProgramEndedError as error:
            self._end(at_once=True)
            if not error.failed:  # as an exception in Python, an end with a status may have its batch to blame
                self._fault = error
            raise
        except EstimatorError as error:
            self._end(at_once=True)
            error.ended, self._fault = True, error
            raise
        return Answers(answers, first, shapes, batch.lengths[index])

    def _note(self, text: str) -> None:
        """Says something of the program on standard error, once."""
        if self._heard and text not in self._noted:
            self._noted.add(text)
            tell(f"note: {self.name} {text}\n")

    def _started(self) -> ProgramProcess:
        return ProgramProcess(self._words, self.name, self._timeout, self._tally, self._directory)

    def _end(self, *, at_once: bool = False) -> None:
        """Ends the process. Lines that look like answers, and were not asked for, are an error."""
        process, self._process, self._sent = self._process, None, ""
        if process is None:
            return
        left = process.close(at_once=at_once)
        answers = [line for line in left if line.lstrip()[:1] == b"["]
        if answers and not at_once:
            self._fault = EstimatorError(more_than_asked(self.name, process.answered, answers[0]))
            raise self._fault


def _header_of(batch: Batch) -> str:
    return json.dumps(header_of(batch.mdp, batch.policy, batch.behavior), allow_nan=False) + "\n"


def _is_single(batch: Batch) -> bool:
    return isinstance(batch.policy, Network) and batch.policy.single
