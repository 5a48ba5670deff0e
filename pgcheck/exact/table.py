"""The exact gradient by parameter, and what the likeliest trajectories contribute to it."""

from dataclasses import dataclass
from typing import Literal

from pgcheck.arrays import Floats
from pgcheck.displayed import Plotted
from pgcheck.exact.contributions import Contribution, contributions
from pgcheck.exact.gradient import MAX_TRAJECTORIES, ExactGradient, Method, Progress, exact_gradient
from pgcheck.exact.layers import Layers, layers_of
from pgcheck.model.endless import cut
from pgcheck.model.mdp import MDP
from pgcheck.model.policy import Policy
from pgcheck.model.softmax import TabularSoftmax
from pgcheck.workers.executor import HERE, Executor

Order = Literal["probability", "share"]


@dataclass(frozen=True, eq=False)
class GradientTable(Plotted):
    """∇J and what stands beside it.

    Attributes:
      mdp: the model.
      exact: the gradient.
      probs: π of each parameter's action where its observation is seen `[d]`; None unless parameters are
        preferences.
      contributions: of the trajectories that were asked for.
      order: by what these were chosen.
      layers: the gradient by layer, where the policy is a network.
    """

    mdp: MDP
    exact: ExactGradient
    probs: Floats | None
    contributions: tuple[Contribution, ...]
    order: Order = "probability"
    layers: Layers | None = None


def gradient_table(
    mdp: MDP,
    policy: Policy,
    *,
    method: Method | None = None,
    max_trajectories: int = MAX_TRAJECTORIES,
    top: int | None = None,
    order: Order = "probability",
    progress: Progress | None = None,
    executor: Executor = HERE,
) -> GradientTable:
    """Returns the exact gradient by parameter; arguments and errors are those of `exact_gradient`.

    Args:
      top: how many trajectories are wanted, with what they contribute.
      order: whether these are the most likely ones, or those with the largest |share| of ∇J.
    """
    mdp = cut(mdp, policy)
    exact = exact_gradient(
        mdp, policy, method=method, max_trajectories=max_trajectories, progress=progress, executor=executor
    )
    shown: tuple[Contribution, ...] = ()
    if top is not None and order == "share":
        from pgcheck.exact.shares import greatest_shares  # lists trajectories, which nothing else here needs

        shown = greatest_shares(mdp, policy, exact, top)
    elif top is not None:
        shown = contributions(mdp, policy, exact, top)
    probs = policy.prob_of_parameters() if isinstance(policy, TabularSoftmax) else None
    return GradientTable(mdp, exact, probs, shown, order, layers_of(policy, exact.gradient))
