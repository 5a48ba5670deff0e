"""How runs end before their time."""

from pgcheck.errors import EstimatorError


class UnanswerableError(EstimatorError):
    """A draw whose outcomes cannot be listed, or that is made where nobody can answer it."""


class ChangedError(EstimatorError):
    """When all draws came out the same again, the run asked for others."""


class Stopped(BaseException):
    """The run has shown its gradient, and is over."""
