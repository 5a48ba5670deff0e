"""A policy of one's own, a small network in torch, and a loss that is checked with it.

pip install 'pgcheck[torch]'
pgcheck exact --policy examples/torch_policy.py:policy
pgcheck verify examples/torch_policy.py:estimate --policy examples/torch_policy.py:policy
"""

import torch

from pgcheck.adapters import log_probs, torch_loss
from pgcheck.policies import torch_policy


def policy(mdp):
    """A network with one hidden layer, for any model; the seed makes it the same one each time."""
    torch.manual_seed(0)
    net = torch.nn.Sequential(
        torch.nn.Linear(mdp.num_states, 8), torch.nn.Tanh(), torch.nn.Linear(8, mdp.num_actions)
    )
    return torch_policy(net.double())


def reinforce(theta, batch):
    """−Σ_t γ^t G_t log π(a_t|s_t) of each episode; theta holds the network's live parameters, by name."""
    return -(discounted_returns(batch) * log_probs(theta, batch)).sum(dim=1)


def without_the_discount(theta, batch):
    """The same, as most libraries have it: γ^t is left out."""
    weights = discounted_returns(batch) / discount(batch)
    return -(weights * log_probs(theta, batch)).sum(dim=1)


def discounted_returns(batch):
    """γ^t G_t = Σ_{k≥t} γ^k r_k of each step [N, T]."""
    discounted = torch.tensor(batch.rewards) * discount(batch)
    return discounted.flip(1).cumsum(1).flip(1)


def discount(batch):
    """γ^t of each step [T]."""
    return batch.gamma ** torch.arange(batch.rewards.shape[1], dtype=torch.float64)


estimate = torch_loss(reinforce)
undiscounted = torch_loss(without_the_discount)
