"""What an environment shows of each state: a number, a one-hot row, or the features of a linear policy."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pgcheck.arrays import Bools, Floats
from pgcheck.errors import TooLargeError, UsageError
from pgcheck.model.mdp import MDP

OBSERVATIONS = ("index", "one-hot", "features")
MAX_NUMBERS = 20_000_000  # in the rows of all states: 80 MB


class Observations(NamedTuple):
    """What all states show.

    Attributes:
      rows: numbers of observations `[S]`, or rows in single precision `[S, width]`; read-only.
      low, high: no number of the rows is less, or more.
    """

    rows: NDArray[Any]
    low: float
    high: float


def observations_of(mdp: MDP, observation: str, features: Floats | None = None) -> Observations:
    """Returns what the states of an MDP show; those that share an observation show the same.

    Args:
      mdp: the model.
      observation: "index" shows the observation's number, "one-hot" a row of it, "features" the features of all
        actions side by side `[A d]`, 0 for those that are not offered.
      features: x(s, a) `[S, A, d]`, for "features".

    Raises:
      UsageError: `observation` is none of these words, or the model has no features, or they are too large.
      TooLargeError: the rows would not fit in memory.
    """
    if observation not in OBSERVATIONS:
        raise UsageError(f"observation {observation!r}; expected one of {', '.join(OBSERVATIONS)}")
    if observation == "index":
        return Observations(mdp.observation, 0, len(mdp.observations) - 1)
    if observation == "one-hot":
        _check_size(mdp, len(mdp.observations))
        return _read_only(np.eye(len(mdp.observations), dtype=np.float32)[mdp.observation], 0.0, 1.0)
    if features is None:
        raise UsageError(
            f"{mdp.name}: the model has no features, because its policy is not linear; expected observation 'index' "
            "or 'one-hot'"
        )
    _check_size(mdp, features[0].size)
    bound = float(np.abs(features).max(initial=0.0)) or 1.0
    if bound > float(np.finfo(np.float32).max):
        raise UsageError(f"{mdp.name}: a feature of {bound:g} in size is too large for single precision")
    shows = np.zeros(len(mdp.observations), dtype=np.int64)  # the state whose features an observation shows
    for kind in (mdp.terminal, ~mdp.terminal):  # a terminal state has none
        shows[mdp.observation[kind]] = np.flatnonzero(kind)
    rows = features.reshape(mdp.num_states, features[0].size)[shows[mdp.observation]]
    return _read_only(rows.astype(np.float32), -bound, bound)


def masks_of(mdp: MDP) -> Bools:
    """Returns which actions each observation offers, by its number `[O, A]`; all, where no step is made from it."""
    masks = np.zeros((len(mdp.observations), mdp.num_actions), dtype=np.bool_)
    np.logical_or.at(masks, mdp.observation, mdp.available)
    masks[~masks.any(axis=1)] = True
    return masks


def _check_size(mdp: MDP, width: int) -> None:
    if mdp.num_states * width > MAX_NUMBERS:
        raise TooLargeError(
            f"{mdp.name}: rows of {width:,} numbers for {mdp.num_states:,} states; the limit is {MAX_NUMBERS:,} "
            "numbers. Take observation='index'."
        )


def _read_only(rows: NDArray[Any], low: float, high: float) -> Observations:
    rows.flags.writeable = False
    return Observations(rows, low, high)
