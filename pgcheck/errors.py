"""What can go wrong, and the exit status that the command line gives it."""

from enum import IntEnum
from typing import ClassVar


class ExitStatus(IntEnum):
    """The exit statuses of the command line; they stand nowhere else."""

    DONE = 0
    DISAGREES = 1  # a check ran, and the answer is no
    FAULT = 2  # it could not be checked: the command line, the model, the estimator, or too large
    INCONCLUSIVE = 3
    BUG = 70
    UNWRITABLE = 74
    INTERRUPTED = 130
    READER_GONE = 141
    TERMINATED = 143


VERDICT_STATUS = {
    "pass": ExitStatus.DONE, "fail": ExitStatus.DISAGREES, "inconclusive": ExitStatus.INCONCLUSIVE,
}  # fmt: skip


class PgcheckError(Exception):
    """A problem that the user can fix; its text says where, what, what was expected and how."""

    exit_status: ClassVar[ExitStatus] = ExitStatus.FAULT


class UsageError(PgcheckError):
    """An argument is out of range or of the wrong form."""


class ModelError(PgcheckError):
    """The model file, or a model built in code, is not a finite MDP with a policy."""


class PolicyError(PgcheckError):
    """A policy of the user's own could not be loaded or called, or is no policy of the model."""


class TooLargeError(PgcheckError):
    """The answer would take more trajectories, memory or time than allowed."""


class PrecisionError(PgcheckError):
    """Rounding would leave no digit that can be trusted."""


class WorkerError(PgcheckError):
    """A part of a computation was given up, because all workers that did it died.

    Attributes:
      label: what is computed.
      part: the number of the part, from 0.
      parts: how many there are.
      tries: how often it was tried.
    """

    def __init__(self, label: str, part: int, parts: int, tries: int) -> None:
        super().__init__(label, part, parts, tries)  # all of them, so that it can be pickled
        self.label, self.part, self.parts, self.tries = label, part, parts, tries

    def __str__(self) -> str:
        return (
            f"{self.label}: part {self.part + 1:,} of {self.parts:,} was given up: {self.tries} workers died at it.\n"
            "  Were they out of memory? Use fewer --workers, or a smaller problem."
        )


class ClusterError(PgcheckError):
    """A cluster has no workers, or other versions than are here, or is gone."""


class EstimatorError(PgcheckError):
    """A user's estimator could not be loaded or called, or returned something else than gradients.

    Attributes:
      not_finite: whether it returned NaN or infinity.
      ended: whether its process has ended, or was ended because it hung.
    """

    def __init__(self, text: str, *, not_finite: bool = False, ended: bool = False) -> None:
        super().__init__(text)
        self.not_finite, self.ended = not_finite, ended


class OutputError(PgcheckError):
    """A result could not be written."""

    exit_status = ExitStatus.UNWRITABLE


class ReaderGoneError(OutputError):
    """The reader of the pipe went away (`pgcheck ... | head`)."""

    exit_status = ExitStatus.READER_GONE
