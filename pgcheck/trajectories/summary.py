"""A model as understood: its policy in tables, and how many trajectories it has."""

from dataclasses import dataclass

from pgcheck.arrays import Floats
from pgcheck.model.mdp import MDP
from pgcheck.model.policy import Policy, logits
from pgcheck.model.softmax import TabularSoftmax
from pgcheck.trajectories.counting import counts_shown


@dataclass(frozen=True, eq=False)
class ModelSummary:
    """What `show` shows of a model.

    Attributes:
      mdp: the model.
      policy: the policy; a softmax of preferences has its parameters in the table of actions.
      logits: the preference, or logit, of each action in each state `[S, A]`; 0 where a state does not offer it.
      probs: π(a|s) `[S, A]`.
      behavior_probs: b(a|s) `[S, A]`; None where the model has no behavior.
      counts: pairs of a horizon and the number of trajectories there.
      counts_cut: whether the numbers beyond the last one take too long to count.
    """

    mdp: MDP
    policy: Policy
    logits: Floats
    probs: Floats
    behavior_probs: Floats | None
    counts: tuple[tuple[int, int], ...]
    counts_cut: bool

    @property
    def is_table(self) -> bool:
        """Whether the parameters are the logits themselves."""
        return isinstance(self.policy, TabularSoftmax)


def summarize(mdp: MDP, policy: Policy, behavior: Policy | None = None) -> ModelSummary:
    """Returns the summary of a model.

    Args:
      mdp, policy: the model.
      behavior: the policy that draws rollouts for off-policy estimators, if the model has one.
    """
    counts, cut = counts_shown(mdp)
    drawn = None if behavior is None else behavior.probs()
    return ModelSummary(mdp, policy, logits(policy), policy.probs(), drawn, tuple(counts), cut)
