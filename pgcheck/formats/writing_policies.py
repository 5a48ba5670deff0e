"""A policy → the lines of a model file that hold its numbers."""

import itertools
from collections.abc import Iterator

import numpy as np

from pgcheck.errors import UsageError
from pgcheck.formats.words import key_of_block, mapping_in_line, number_text
from pgcheck.model.linear import Linear
from pgcheck.model.mdp import MDP
from pgcheck.model.policy import Policy
from pgcheck.model.softmax import TabularSoftmax


def policy_lines(key: str, policy: Policy, mdp: MDP) -> Iterator[str]:
    """Yields the lines of a policy, which stands at this key of the file.

    Raises:
      UsageError: the policy is a network, which no file can hold.
    """
    if isinstance(policy, TabularSoftmax):
        yield f"{key}:"
        yield from _softmax(policy)
    elif isinstance(policy, Linear):
        yield f"{key}:"
        yield "  linear:"
        weights = [(str(name), number_text(x)) for (name,), x in zip(policy.parameters, policy.theta, strict=True)]
        yield f"    weights: {mapping_in_line(weights)}"
        yield from _features(policy, mdp)
    else:
        raise UsageError(not_written(key))


def not_written(key: str) -> str:
    """Returns the message about a policy that a file cannot hold."""
    return f"{key}: a network is not written to a file, which holds preferences or a linear policy; leave it out"


def _softmax(policy: TabularSoftmax) -> Iterator[str]:
    """All preferences, a line for each observation."""
    if not len(policy.theta):
        yield "  softmax: {}"
        return
    yield "  softmax:"
    listed = zip(policy.parameters, policy.theta.tolist(), strict=True)
    for sight, row in itertools.groupby(listed, key=lambda entry: entry[0][0]):
        numbers = mapping_in_line((action, number_text(x)) for (_, action), x in row)
        yield f"{key_of_block(sight, '    ')} {numbers}"


def _features(policy: Linear, mdp: MDP) -> Iterator[str]:
    """The features that are not 0, a line for each action of an observation."""
    if not np.any(policy.features):
        yield "    features: {}"
        return
    yield "    features:"
    names = [name for (name,) in policy.parameters]
    _, first = np.unique(np.where(policy.offered.any(axis=1), mdp.observation, -1), return_index=True)
    for state in np.sort(first[policy.offered[first].any(axis=1)]).tolist():
        if not np.any(policy.features[state]):
            continue
        yield key_of_block(mdp.observations[mdp.observation[state]], "      ")
        for action in np.flatnonzero(np.any(policy.features[state], axis=1)).tolist():
            row = zip(names, policy.features[state, action].tolist(), strict=True)
            numbers = mapping_in_line((name, number_text(x)) for name, x in row if x)
            yield f"{key_of_block(mdp.actions[action], '        ')} {numbers}"
