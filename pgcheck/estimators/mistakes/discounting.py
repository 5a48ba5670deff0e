"""Explanations: how rewards and steps are discounted."""

from pgcheck.estimators.mistakes.explanation import Case, Code, Explanation, Harmless, Thread

_AT_GAMMA_1 = Harmless("With γ = 1 nothing is discounted.", Case(gamma=1.0))
_TWICE_AT_GAMMA_1 = Harmless(
    "With γ = 1, where the discount is batch.gamma and no number in the code.", Case(gamma=1.0)
)
_ONE_STEP = Harmless("In episodes of one step there is only t = 0.", Case(horizon=1))

DISCOUNTING = (
    Explanation(
        "dropped-gamma",
        "Each step is weighted by its discounted rewards to go, G_t, but not by γ^t. The discount in G_t counts from "
        "step t; the γ^t in front says how much the discounted return values step t itself, seen from the start. "
        "Without it, late steps weigh too much, and the result is in general not the gradient of any function.",
        ("E[ĝ] − ∇J = E[Σ_t (1 − γ^t) G_t ψ_t]",),
        "The term of step 0 is right, and each later one is too large by the factor γ^−t. γ^t G_t = Σ_{k≥t} γ^k r_k "
        "does not discount twice: each reward has its discount once.",
        Code('''
  import numpy as np


  def gradient(batch):
      gradients = np.zeros((len(batch), *batch.theta.shape))
      for i, episode in enumerate(batch):
          to_go = 0.0
          for t in reversed(range(len(episode.rewards))):
              to_go = episode.rewards[t] + batch.gamma * to_go
-             gradients[i] += to_go * batch.score[i, t]
+             gradients[i] += batch.gamma**t * to_go * batch.score[i, t]
      return gradients
'''),
        harmless=(_AT_GAMMA_1, _ONE_STEP),
        threads=(
            Thread(
                "REINFORCE actor update missing discount factor", "facebookresearch/Pearl#46",
                "https://github.com/facebookresearch/Pearl/issues/46",
                "Left out on purpose: in theory the factor belongs there, in practice it is commonly ignored.",
            ),
            Thread(
                "Actor critic example not using discount rate properly", "pytorch/examples#744",
                "https://github.com/pytorch/examples/issues/744",
                "The box in Sutton and Barto's book has γ^t; the recursion for G_t does not supply it.",
            ),
            Thread(
                "Understanding the Double Discounting in the REINFORCE and VPG Algorithms", "mimoralea/gdrl#9",
                "https://github.com/mimoralea/gdrl/issues/9",
                "The reverse: code that has γ^t was taken to discount twice.",
            ),
            Thread(
                "Is the Policy Gradient a Gradient?", "Nota and Thomas, 2020",
                "https://doi.org/10.48550/arXiv.1906.07073",
                "The update without γ^t is not the gradient of any function.",
            ),
        ),
        see=("undiscounted", "discount-twice"),
    ),
    Explanation(
        "undiscounted",
        "The rewards to go are added up without discount, while the objective discounts them. Rewards that are far "
        "ahead count too much. Often γ^t is missing as well; then this is the gradient of the undiscounted return, "
        "and both ids are named.",
        ("E[ĝ] − ∇J = E[Σ_t γ^t Σ_{k≥t} (1 − γ^{k−t}) r_k ψ_t]",),
        "A reward k − t steps ahead is too large by the factor γ^−(k−t); the reward of the step itself is right.",
        Code('''
  import numpy as np


  def gradient(batch):
      gradients = np.zeros((len(batch), *batch.theta.shape))
      for i, episode in enumerate(batch):
          to_go = 0.0
          for t in reversed(range(len(episode.rewards))):
-             to_go = episode.rewards[t] + to_go
+             to_go = episode.rewards[t] + batch.gamma * to_go
              gradients[i] += batch.gamma**t * to_go * batch.score[i, t]
      return gradients
'''),
        harmless=(_AT_GAMMA_1, _ONE_STEP),
        see=("dropped-gamma", "other-gamma"),
    ),
    Explanation(
        "discount-twice",
        "The discount enters once too often: the rewards are discounted from the start of the episode, and the sum "
        "from step t on is multiplied by γ^t again. The same id is given where a discount is written in the code as "
        "a number, so that it does not follow batch.gamma.",
        ("E[ĝ] − ∇J = −E[Σ_t (1 − γ^t) γ^t G_t ψ_t]",),
        "Σ_{k≥t} γ^k r_k is γ^t G_t already. γ^t times the rewards discounted from step t on is right; γ^t times the "
        "rewards discounted from the start is not.",
        Code('''
  import numpy as np


  def gradient(batch):
      discount = batch.gamma ** np.arange(batch.rewards.shape[1])
      discounted = discount * batch.rewards  # from the start of the episode
      to_go = np.cumsum(discounted[:, ::-1], axis=1)[:, ::-1]
-     weights = discount * to_go
+     weights = to_go
      return np.einsum("nt,nt...->n...", weights, batch.score)
'''),
        harmless=(_TWICE_AT_GAMMA_1, _ONE_STEP),
        see=("dropped-gamma", "other-gamma"),
    ),
    Explanation(
        "discount-from-the-end",
        "The powers of γ run the wrong way: the last reward of an episode is not discounted, and the first one most. "
        "This happens where a list is reversed once too often, or not at all, before it is discounted.",
        ("E[ĝ] − ∇J = E[Σ_t Σ_{k≥t} (γ^{L−1−k} − γ^k) r_k ψ_t]",),
        "The reward of step k has γ^{L−1−k} in place of γ^k. The length L depends on the actions, so that this is "
        "not the gradient of another fixed discount either.",
        Code('''
  import numpy as np


  def gradient(batch):
      gradients = np.zeros((len(batch), *batch.theta.shape))
      for i, episode in enumerate(batch):
          steps = np.arange(len(episode.rewards))
-         discounted = batch.gamma ** steps[::-1] * episode.rewards
+         discounted = batch.gamma**steps * episode.rewards
          for t in steps:
              gradients[i] += discounted[t:].sum() * batch.score[i, t]
      return gradients
'''),
        harmless=(_AT_GAMMA_1, _ONE_STEP),
        see=("dropped-gamma", "other"),
    ),
)  # fmt: skip
