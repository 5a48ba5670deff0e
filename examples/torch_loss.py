"""A training loop's own loss in torch, checked as it stands: the estimator is minus its gradient.

pip install torch
pgcheck verify examples/torch_loss.py:estimate
"""

import torch

from pgcheck.adapters import log_probs, torch_loss


def loss(theta, batch):
    """−(1/N) Σ_i Σ_t γ^t G_t log π(a_t|s_t)."""
    rewards = torch.tensor(batch.rewards)
    reward_to_go = torch.zeros(len(batch), dtype=torch.float64)
    weights = []
    for t in reversed(range(rewards.shape[1])):
        reward_to_go = rewards[:, t] + batch.gamma * reward_to_go
        weights.append(batch.gamma**t * reward_to_go)
    weights = torch.stack(weights[::-1], dim=1) if weights else rewards
    return -(weights * log_probs(theta, batch)).sum() / len(batch)


def loss_with_normalised_returns(theta, batch):
    """The same, as many tutorials do it: returns standardised over the batch."""
    discount = batch.gamma ** torch.arange(batch.rewards.shape[1], dtype=torch.float64)
    returns = (torch.tensor(batch.rewards) * discount).sum(dim=1)
    returns = (returns - returns.mean()) / (returns.std(unbiased=False) + 1e-8)
    return -(returns[:, None] * log_probs(theta, batch)).sum() / len(batch)


estimate = torch_loss(loss)
normalised = torch_loss(loss_with_normalised_returns)
