"""What a program in any language is told of a model before it sees episodes: one JSON object."""

import numpy as np

from pgcheck.model.mdp import MDP
from pgcheck.model.policy import Policy
from pgcheck.trajectories.batch import Batch

PROTOCOL = 1  # the version of the messages


def header_of(mdp: MDP, policy: Policy, behavior: Policy | None = None) -> dict[str, object]:
    """Returns the first line for a program, with what every `Batch` of the model's episodes has.

    Args:
      mdp: the model.
      policy: of which the gradient is asked.
      behavior: draws the actions, where that is not `policy`.
    """
    batch = Batch.from_paths(mdp, policy, np.zeros((1, 0), dtype=np.int64), behavior)
    return {
        "pgcheck": PROTOCOL,
        "model": mdp.name,
        "num_states": mdp.num_states,
        "num_actions": mdp.num_actions,
        "gamma": batch.gamma,
        "horizon": batch.horizon,
        "entropy": batch.entropy,
        "kl": batch.kl,
        "theta": batch.theta.tolist(),
        "probs": batch.probs.tolist(),
        "behavior_probs": batch.behavior_probs.tolist(),
        "reference_probs": batch.reference_probs.tolist(),
        "parameters": [list(names) for names in policy.parameters],
    }
