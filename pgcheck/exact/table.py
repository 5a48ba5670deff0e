"""The exact gradient by parameter, and what the likeliest trajectories contribute to it."""

from dataclasses import dataclass

from pgcheck.arrays import Floats
from pgcheck.exact.contributions import Contribution, contributions
from pgcheck.exact.gradient import MAX_TRAJECTORIES, ExactGradient, Method, Progress, exact_gradient
from pgcheck.model.mdp import MDP
from pgcheck.model.policy import Policy


@dataclass(frozen=True, eq=False)
class GradientTable:
    """∇J and what stands beside it.

    Attributes:
      mdp: the model.
      exact: the gradient.
      probs: π of each parameter's action where its observation is seen `[d]`.
      contributions: of the likeliest trajectories, where they were asked for.
    """

    mdp: MDP
    exact: ExactGradient
    probs: Floats
    contributions: tuple[Contribution, ...]


def gradient_table(
    mdp: MDP,
    policy: Policy,
    *,
    method: Method | None = None,
    max_trajectories: int = MAX_TRAJECTORIES,
    top: int | None = None,
    progress: Progress | None = None,
) -> GradientTable:
    """Returns the exact gradient by parameter; arguments and errors are those of `exact_gradient`.

    Args:
      top: how many of the likeliest trajectories are wanted, with what they contribute.
    """
    exact = exact_gradient(mdp, policy, method=method, max_trajectories=max_trajectories, progress=progress)
    likely = () if top is None else contributions(mdp, policy, exact, top)
    return GradientTable(mdp, exact, policy.prob_of_parameters(), likely)
