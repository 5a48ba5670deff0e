"""How much single trajectories add to the exact gradient.

∇J = Σ_τ P(τ) R(τ) Ψ(τ), Ψ(τ) = Σ_t ∇log π(a_t|s_t). The share of τ is the part of its term along ∇J,

    share(τ) = P(τ) R(τ) Ψ(τ) · ∇J / ‖∇J‖²

The shares of all trajectories sum to 1; single ones may be negative, or greater than 1.
"""

from dataclasses import dataclass

import numpy as np

from pgcheck.exact.gradient import ExactGradient
from pgcheck.model.mdp import MDP
from pgcheck.model.objective import credited
from pgcheck.model.policy import Policy
from pgcheck.trajectories.likely import Trajectory, most_likely


@dataclass(frozen=True, eq=False)
class Contribution:
    """What one trajectory adds to ∇J.

    Attributes:
      trajectory: its path, P(τ) and R(τ).
      share: P(τ) R(τ) Ψ(τ) · ∇J / ‖∇J‖²; None where ∇J = 0.
    """

    trajectory: Trajectory
    share: float | None


def contributions(mdp: MDP, policy: Policy, exact: ExactGradient, k: int) -> tuple[Contribution, ...]:
    """Returns the k most likely trajectories with their shares of ∇J, the likeliest first; fewer if there are fewer.

    Args:
      mdp, policy: the problem.
      exact: its gradient.
      k: how many; 0 gives none.

    Raises:
      TooLargeError: horizon x states is beyond 40 million.
    """
    if not k:
        return ()
    mdp = credited(mdp, policy)
    return tuple(
        Contribution(trajectory, share_of(mdp, policy, exact, trajectory))
        for trajectory in most_likely(mdp, policy, k)
    )


def share_of(mdp: MDP, policy: Policy, exact: ExactGradient, trajectory: Trajectory) -> float | None:
    """Returns the share of one trajectory; None where ∇J = 0."""
    if exact.norm == 0:
        return None
    outcomes = trajectory.path[1:]
    visits = np.zeros((mdp.num_states, mdp.num_actions))
    np.add.at(visits, (mdp.state[outcomes], mdp.action[outcomes]), trajectory.probability * trajectory.value)
    unit = exact.gradient / exact.norm  # dividing twice by ‖∇J‖ does not underflow where its square would
    return float(policy.pullback(visits) @ unit / exact.norm)
