"""What can go wrong, each kind with the exit status that the command line gives it."""

from typing import ClassVar

VERDICT_STATUS = {"pass": 0, "fail": 1, "inconclusive": 3}  # of a check that ran


class PgcheckError(Exception):
    """A problem that the user can mend; its text says where, what, what was expected and how."""

    exit_status: ClassVar[int] = 2


class UsageError(PgcheckError):
    """An argument is out of range or of the wrong form."""


class ModelError(PgcheckError):
    """The model file, or a model built in code, is not a finite MDP with a policy."""


class TooLargeError(PgcheckError):
    """The answer would take more trajectories, memory or time than allowed."""


class PrecisionError(PgcheckError):
    """Rounding would leave no digit that can be trusted."""


class EstimatorError(PgcheckError):
    """Somebody's estimator could not be loaded or called, or returned what is no gradient.

    Attributes:
      not_finite: whether it returned NaN or infinity.
    """

    def __init__(self, text: str, *, not_finite: bool = False) -> None:
        super().__init__(text)
        self.not_finite = not_finite


class OutputError(PgcheckError):
    """A result could not be written."""

    exit_status = 74


class ReaderGoneError(OutputError):
    """Whoever read the pipe went away (`pgcheck ... | head`)."""

    exit_status = 141
