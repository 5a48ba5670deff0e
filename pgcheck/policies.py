"""Policies of one's own: a network in torch or jax in place of a table of preferences.

    import torch
    from pgcheck.policies import torch_policy

    def policy(mdp):                    # pgcheck exact MODEL --policy net.py:policy
        torch.manual_seed(0)            # the same weights every time it is called
        return torch_policy(torch.nn.Linear(mdp.num_states, mdp.num_actions))

θ is then the network's parameters, in its own order. The function is called once for each model; what it returns is
bound to that model: π(a|s) is the softmax of the network's logits over the actions that the state offers.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pgcheck.external.policies import policy_of as policy_of
from pgcheck.model.mdp import MDP
from pgcheck.model.network import JaxNetwork, TorchNetwork


@dataclass(frozen=True, eq=False)
class TorchPolicy:
    """A torch module, before it is known of which MDP it is the policy; `of` tells it."""

    module: Any
    observations: Any = None

    def of(self, mdp: MDP) -> TorchNetwork:
        """Returns the policy of an MDP; errors are those of `TorchNetwork`."""
        return TorchNetwork(mdp, self.module, self.observations)


@dataclass(frozen=True, eq=False)
class JaxPolicy:
    """A function in jax with its parameters, before it is known of which MDP it is the policy; `of` tells it."""

    apply: Callable[..., Any]
    params: Any
    observations: Any = None

    def of(self, mdp: MDP) -> JaxNetwork:
        """Returns the policy of an MDP; errors are those of `JaxNetwork`."""
        return JaxNetwork(mdp, self.apply, self.params, self.observations)


def torch_policy(module: Any, observations: Any = None) -> TorchPolicy:
    """Returns a policy whose logits are those of a torch module; return it from a function of the MDP.

    Args:
      module: from rows of observations `[n, ...]` to logits `[n, A]`; without dropout, or in evaluation mode. Its
        parameters that require a gradient are θ. It is not changed.
      observations: the row that the module sees for each state `[S, ...]`, as an array or tensor; integers stay
        integers. By default one-hot: a column for each state, or for each observation if the module takes only that.
        States that share an observation then show the same row.
    """
    return TorchPolicy(module, observations)


def jax_policy(apply: Callable[..., Any], params: Any, observations: Any = None) -> JaxPolicy:
    """Returns a policy whose logits are those of a function in jax; return it from a function of the MDP.

    Args:
      apply: from (params, rows of observations `[n, ...]`) to logits `[n, A]`.
      params: a tree of arrays: dicts, lists, tuples. They are θ, in the order of `jax.tree_util.tree_leaves`, with
        names like `layer/w[0,1]`.
      observations: as in `torch_policy`.
    """
    return JaxPolicy(apply, params, observations)
