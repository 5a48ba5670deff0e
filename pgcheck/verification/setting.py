"""What an estimator is checked on: a model, who draws its episodes, and which of them stand in a batch together."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from pgcheck.arrays import Floats, Ints
from pgcheck.errors import UsageError
from pgcheck.estimators.weights import outcome_ratios
from pgcheck.external.policies import made_here, sendable
from pgcheck.formats.modelfile import Model
from pgcheck.model.mdp import MDP
from pgcheck.model.policy import Policy
from pgcheck.trajectories.batch import Batch
from pgcheck.trajectories.draws import drawn_batches, examples
from pgcheck.trajectories.paths import listed


@dataclass(frozen=True, eq=False)
class Setting:
    """A model, and how its episodes come into a batch.

    Attributes:
      mdp, policy: the model, and the point θ at which the gradient is taken.
      behavior: draws the episodes; None where the policy itself does.
      same_start: whether the episodes of a batch share s_0, as the completions of one prompt do.
    """

    mdp: MDP
    policy: Policy
    behavior: Policy | None = None
    same_start: bool = False

    def __getstate__(self) -> dict[str, object]:
        """Returns what is sent to another process: networks by the place of the function that makes them.

        Raises:
          EstimatorError: a network has no such place.
        """
        policy = sendable(self.policy)
        behavior = policy if self.behavior is self.policy else self.behavior and sendable(self.behavior)
        return {"mdp": self.mdp, "policy": policy, "behavior": behavior, "same_start": self.same_start}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Makes, in the other process, the policies that are named; those of one name are one."""
        mdp, policy, behavior = state["mdp"], state["policy"], state["behavior"]
        made = None if behavior is None or behavior is policy else made_here(behavior, mdp)
        own = made_here(policy, mdp)  # made last: what its function leaves behind is that of the policy
        self.__dict__.update(state, policy=own, behavior=own if behavior is policy else made)

    @property
    def actor(self) -> Policy:
        """The policy that draws the actions."""
        return self.policy if self.behavior is None else self.behavior

    @property
    def off_policy(self) -> bool:
        """Whether another policy draws the episodes."""
        return self.behavior is not None

    def listed(self) -> tuple[Batch, Floats]:
        """Returns all episodes with the probabilities by which they are drawn `[N]`."""
        return listed(self.mdp, self.policy, None, self.behavior)

    def examples(self, most: int) -> Batch:
        """Returns about so many different episodes, the same each time; see `trajectories.draws.examples`."""
        return examples(self.mdp, self.policy, most, self.behavior)

    def drawn(self, size: int, n: int, rng: np.random.Generator) -> tuple[Batch, Ints]:
        """Returns n batches of rollouts: the distinct episodes, and their numbers `[n, size]`."""
        return drawn_batches(
            self.mdp, self.policy, size, n, rng, behavior=self.behavior, same_start=self.same_start
        )  # fmt: skip


def setting_of(model: Model, *, off_policy: bool = False, same_start: bool = False) -> Setting:
    """Returns how a model is checked.

    Args:
      model: with a behavior, where `off_policy` is asked for.
      off_policy: whether the behavior draws the episodes.
      same_start: whether the episodes of a batch share s_0.

    Raises:
      UsageError: the model has no behavior, or one that is not of this model, or one that never takes an action
        which the policy takes.
    """
    mdp, behavior = model.mdp, model.behavior
    if not off_policy:
        return Setting(mdp, model.policy, None, same_start)
    if behavior is None:
        raise UsageError(
            f"{mdp.name} has no behavior: off-policy episodes need a second policy, which draws them.\n"
            "  Add `behavior: {softmax: {}}` to the model (preferences left out are 0)."
        )
    shape = behavior.probs().shape
    if shape != (mdp.num_states, mdp.num_actions):
        raise UsageError(f"{mdp.name}: the behavior has probabilities {shape}, the model {mdp.available.shape}")
    outcome_ratios(mdp, model.policy, behavior)
    return Setting(mdp, model.policy, behavior, same_start)
