"""Explanations: what stands in place of ∇log π, and importance ratios."""

from pgcheck.estimators.mistakes.explanation import Case, Code, Explanation, Harmless, Thread

SCORES = (
    Explanation(
        "gradient-of-pi",
        "The gradient of π(a|s) is used in place of the gradient of log π(a|s): each step is multiplied by the "
        "probability of its action once too often. A loss of minus probability times return does this.",
        ("E[ĝ] − ∇J = −E[Σ_t (1 − π(a_t|s_t)) γ^t G_t ψ_t]",),
        "∇π = π ∇log π. Episodes are drawn with probability π already; the second π favours actions that are likely "
        "anyway.",
        Code('''
  import numpy as np


  def gradient(batch):
      discount = batch.gamma ** np.arange(batch.rewards.shape[1])
      discounted = discount * batch.rewards
      weights = np.cumsum(discounted[:, ::-1], axis=1)[:, ::-1]
      pi = batch.probs[batch.states, batch.actions]
-     of_pi = np.einsum("nt,nt...->nt...", pi, batch.score)
-     return np.einsum("nt,nt...->n...", weights, of_pi)
+     of_log_pi = batch.score
+     return np.einsum("nt,nt...->n...", weights, of_log_pi)
'''),
        see=("score-without-pi",),
    ),
    Explanation(
        "score-without-pi",
        "The gradient of the action's logit is used in place of the gradient of log π: the normalisation of the "
        "softmax is left out. A logit that is taken for a log probability does this. With positive returns every "
        "action that is drawn gains, and none loses.",
        ("E[ĝ] − ∇J = E[Σ_t γ^t G_t Σ_a π(a|s_t) ∇logit(s_t, a)]",),
        "log π(a|s) = logit(s, a) − log Σ_b exp logit(s, b); the gradient of the second part is "
        "Σ_a π(a|s) ∇logit(s, a).",
        Code('''
  import numpy as np


  def gradient(batch):
      gradients = np.zeros((len(batch), *batch.theta.shape))
      for i, episode in enumerate(batch):
          to_go = 0.0
          for t in reversed(range(len(episode.rewards))):
              state, action = episode.states[t], episode.actions[t]
              to_go = episode.rewards[t] + batch.gamma * to_go
              weight = batch.gamma**t * to_go
              gradients[i, state, action] += weight
+             gradients[i, state] -= weight * batch.probs[state]
      return gradients
'''),
        see=("gradient-of-pi", "zero-mean"),
    ),
    Explanation(
        "score-of-next-step",
        "Returns and log probabilities are shifted against each other by one step: the return from step t on weights "
        "the action of step t + 1, or the state of another step. In language models the logits at one place are "
        "about the token at the next, and one shift too many or too few is enough.",
        ("E[ĝ] − ∇J = E[Σ_t γ^t G_t (ψ_{t+1} − ψ_t)] = −E[G_0 ψ_0],  ψ_L = 0",),
        "Rewards before step t + 1 do not depend on its action: what is left of the shifted sum is the gradient "
        "without its first step.",
        Code('''
  import numpy as np


  def gradient(batch):
      discount = batch.gamma ** np.arange(batch.rewards.shape[1])
      discounted = discount * batch.rewards
      weights = np.cumsum(discounted[:, ::-1], axis=1)[:, ::-1]
-     weights, score = weights[:, :-1], batch.score[:, 1:]
+     weights, score = weights, batch.score
      return np.einsum("nt,nt...->n...", weights, score)
'''),
        threads=(
            Thread(
                "Is this shift right for the action logits?", "lucidrains/PaLM-rlhf-pytorch#31",
                "https://github.com/lucidrains/PaLM-rlhf-pytorch/issues/31",
                "Whether the logits of the actions are shifted by the right number of places; there was a bug.",
            ),
        ),
        see=("first-step-missing",),
    ),
    Explanation(
        "ratio",
        "Another policy drew the episodes (an older one, or that of an inference engine), and the importance ratios "
        "ρ_t = π(a_t|s_t) / b(a_t|s_t) do not correct for all of it. They are missing, upside down, of the wrong "
        "steps, cut or clipped, or divided by their sum. With only the ratio of each step, as in PPO, the action is "
        "corrected, but neither the states nor the later rewards.",
        ("E_b[ĝ] − ∇J = E_b[Σ_t (ρ_t Σ_{k≥t} γ^k r_k − Σ_{k≥t} γ^k ρ_0…ρ_k r_k) ψ_t]",),
        "Reward r_k has the probability of all actions up to step k, so that it needs the product of their ratios.",
        Code('''
  import numpy as np


  def gradient(batch):
      discount = batch.gamma ** np.arange(batch.rewards.shape[1])
      discounted = discount * batch.rewards
      pi = batch.probs[batch.states, batch.actions]
      b = batch.behavior_probs[batch.states, batch.actions]
      ratio = np.where(batch.mask, pi / b, 1.0)
-     to_go = np.cumsum(discounted[:, ::-1], axis=1)[:, ::-1]
-     weights = ratio * to_go
+     corrected = np.cumprod(ratio, axis=1) * discounted
+     weights = np.cumsum(corrected[:, ::-1], axis=1)[:, ::-1]
      return np.einsum("nt,nt...->n...", weights, batch.score)
'''),
        case=Case(off_policy=True),
        harmless=(
            Harmless("Where the policy itself draws the episodes, all ratios are 1.", Case()),
        ),
        threads=(
            Thread(
                "Vllm_importance_sampling_correction sequence-level mode aggregates per-token log-ratios with sum "
                "instead of mean",
                "huggingface/trl#5814", "https://github.com/huggingface/trl/issues/5814",
                "Takes the product of the tokens' ratios for a bug, and their geometric mean for right. A maintainer "
                "answers that the product is the exact ratio of a sequence; it stayed.",
            ),
            Thread(
                "Clipped ratios should be computed at the token level", "rasbt/reasoning-from-scratch#243",
                "https://github.com/rasbt/reasoning-from-scratch/issues/243",
                "Ratios of sequences and ratios of tokens give different losses.",
            ),
            Thread(
                "Group Sequence Policy Optimization", "Zheng and others, 2025",
                "https://doi.org/10.48550/arXiv.2507.18071",
                "Introduces the geometric mean of the tokens' ratios in place of the ratio of each token.",
            ),
        ),
        see=("nonlinear",),
    ),
)  # fmt: skip
