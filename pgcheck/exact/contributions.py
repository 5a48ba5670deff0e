"""tmp"""

from dataclasses import dataclass

import numpy as np

from pgcheck.trajectories.paths import Trajectory, most_likely


@dataclass(frozen=True)
class Contribution:
    trajectory: Trajectory
    share: float | None


def contributions(mdp, policy, exact, k):
    def share(t):
        if exact.norm == 0:
            return None
        o = t.path[1:]
        v = np.zeros((mdp.num_states, mdp.num_actions))
        np.add.at(v, (mdp.state[o], mdp.action[o]), t.probability * t.value)
        return float(policy.pullback(v) @ (exact.gradient / exact.norm) / exact.norm)

    return tuple(Contribution(t, share(t)) for t in most_likely(mdp, policy, k))
