"""How large a model may be, which ones were left out, and which limit or horizon would allow them."""

from dataclasses import dataclass

from pgcheck.errors import TooLargeError
from pgcheck.estimators.contract import Contract
from pgcheck.model.mdp import MDP
from pgcheck.trajectories.counting import horizon_that_fits
from pgcheck.verification.exhaustive import number_of_batches

TOLERANCE, SINGLE_TOLERANCE = 1e-6, 1e-4  # relative bias that passes, in double and in single precision
MAX_USEFUL = 20_000_000  # trajectories or batches that an estimator is called with within some hours


@dataclass(frozen=True)
class Limit:
    """What would allow a model that is too large.

    Attributes:
      option: the option that sets the limit.
      needed: the smallest round number that would do; None where that is more than is of use.
      horizon: the greatest horizon that fits the limit as it is; None where there is none.
    """

    option: str
    needed: int | None
    horizon: int | None


@dataclass(frozen=True)
class Skipped:
    """A model, or some batch sizes of it, on which an estimator could not be checked exactly, and why.

    Attributes:
      model: the model's name.
      why: the reason, in a line.
      unsuitable: whether the estimator is not made for such a model; if not, the model is too large.
      limit: what would allow more.
    """

    model: str
    why: str
    unsuitable: bool = False
    limit: Limit | None = None


@dataclass(frozen=True)
class Limits:
    """How much work is allowed on one model.

    Attributes:
      batch_sizes: B for estimators of whole batches; None is 2 and 3, and 1 for estimators of single episodes.
      max_trajectories: the most trajectories.
      max_calls: the most batches of one size.
      max_rounding: the part of ∇J that may be lost to rounding: a tenth of the bias that passes.
    """

    batch_sizes: tuple[int, ...] | None
    max_trajectories: int
    max_calls: int
    max_rounding: float = 1e-7


def trajectory_limit(mdp: MDP, count: int | None, limit: int, option: str) -> Limit:
    """Returns what would allow a model of so many trajectories; None is more than can be counted."""
    needed = None if count is None or count > MAX_USEFUL else round_up(count)
    return Limit(option, needed, _horizon(mdp, limit))


def batch_limit(mdp: MDP, number: int, size: int, contract: Contract, limit: int, most: int | None) -> Limit:
    """Returns what would allow so many batches of `size`; with `most`, no more trajectories than that."""
    low, high = 0, (most or limit) + 1  # trajectories of which batches fit, and do not fit
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if number_of_batches(middle, size, contract) <= limit else (low, middle)
    needed = None if most is not None or number > MAX_USEFUL else round_up(number)
    return Limit("--max-calls", needed, _horizon(mdp, low))


def round_up(number: int) -> int:
    """Returns the smallest number of one digit and zeros that is not less; 1 or more."""
    unit = 10 ** (len(str(number)) - 1)
    return int(-(-number // unit) * unit)


def _horizon(mdp: MDP, limit: int) -> int | None:
    """The greatest horizon with at most so many trajectories; None where there is none."""
    try:
        fits = horizon_that_fits(mdp, limit)
    except TooLargeError:
        return None
    return None if fits is None else fits[0]
