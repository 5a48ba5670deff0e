"""A model → arrays in a .npz file; reading it gives the same arrays. The names are those of `formats.npz`."""

import io
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pgcheck.arrays import Floats
from pgcheck.errors import TooLargeError, UsageError
from pgcheck.formats.arrays.taken import MAX_BYTES
from pgcheck.formats.modelfile import Model
from pgcheck.formats.writing_policies import not_written
from pgcheck.model.linear import Linear
from pgcheck.model.mdp import MDP
from pgcheck.model.policy import Policy
from pgcheck.model.softmax import TabularSoftmax

Arrays = dict[str, "NDArray[Any]"]


def model_arrays(model: Model, *, preferences: bool = False) -> bytes:
    """Returns the .npz file of a model, with a column for each part of its outcomes.

    Args:
      model: with a table of preferences or a linear policy, and likewise for behavior and reference.
      preferences: whether those of the policy are written even where all are 0.

    Raises:
      UsageError: a policy is a network, which a file cannot hold.
      TooLargeError: the arrays would be more than are read.
    """
    mdp = model.mdp
    arrays: Arrays = {
        "name": np.array(mdp.name),
        "horizon": np.array(math.inf if mdp.is_endless else int(mdp.horizon)),
        "gamma": np.array(float(mdp.gamma)),
        "states": _names(mdp.states),
        "actions": _names(mdp.actions),
        "start": mdp.start,
        "terminal": mdp.terminal,
        "state": mdp.state, "action": mdp.action, "next_state": mdp.next_state,
        "prob": mdp.prob, "reward": mdp.reward, "done": mdp.done,
    }  # fmt: skip
    seen = [mdp.observations[o] for o in mdp.observation.tolist()]
    if tuple(seen) != mdp.states:
        arrays["observations"] = _texts(seen)
    arrays |= {name: np.array(float(x)) for name, x in (("entropy", mdp.entropy), ("kl", mdp.kl)) if x}
    if preferences or np.any(model.policy.theta) or not isinstance(model.policy, TabularSoftmax):
        arrays |= _policy("policy", model.policy, mdp)
    for name, policy in (("behavior", model.behavior), ("reference", model.reference)):
        if policy is not None:
            arrays |= _policy(name, policy, mdp)
    size = sum(array.size * max(8, array.itemsize) for array in arrays.values())
    if size > MAX_BYTES:
        raise TooLargeError(f"{mdp.name}: {size:,} bytes of arrays; the limit is {MAX_BYTES:,}")
    file = io.BytesIO()
    np.savez(file, **arrays)  # type: ignore[arg-type] # no array is called allow_pickle
    return file.getvalue()


def _names(names: Sequence[str]) -> "NDArray[Any]":
    """Names, or how many there are where they are the numbers from 0."""
    if all(name == str(number) for number, name in enumerate(names)):
        return np.array(len(names))
    return _texts(names)


def _texts(texts: Sequence[str]) -> "NDArray[Any]":
    """A vector of texts, which all take as much memory as the longest."""
    size = 4 * len(texts) * max(map(len, texts))
    if size > MAX_BYTES:
        raise TooLargeError(f"{size:,} bytes of names; the limit is {MAX_BYTES:,}; shorten the longest names")
    return np.array(texts)


def _policy(key: str, policy: Policy, mdp: MDP) -> Arrays:
    """The arrays of a policy."""
    if isinstance(policy, TabularSoftmax):
        table: Floats = policy.logits()
        return {f"{key}_softmax": table}
    if isinstance(policy, Linear):
        return {
            f"{key}_weights": policy.theta,
            f"{key}_names": _texts([name for (name,) in policy.parameters]),
            f"{key}_features": policy.features,
        }
    raise UsageError(not_written(key))
