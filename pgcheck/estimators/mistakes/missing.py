"""Explanations: rewards and steps that are left out."""

from pgcheck.estimators.mistakes.explanation import Case, Code, Explanation, Harmless, Thread

_ONE_STEP = Harmless("In episodes of one step nothing is left out.", Case(horizon=1))

MISSING = (
    Explanation(
        "immediate-reward",
        "Each step is weighted only by its own reward, as in a bandit. An action also changes which states and "
        "rewards come later, and these are not credited to it. A cumulative sum that runs forwards where it should "
        "run backwards is named with the same id.",
        ("E[ĝ] − ∇J = −E[Σ_t Σ_{k>t} γ^k r_k ψ_t]",),
        "All later rewards are missing from the weight of each step.",
        Code('''
  import numpy as np


  def gradient(batch):
      discount = batch.gamma ** np.arange(batch.rewards.shape[1])
      discounted = discount * batch.rewards
-     weights = discounted
+     weights = np.cumsum(discounted[:, ::-1], axis=1)[:, ::-1]
      return np.einsum("nt,nt...->n...", weights, batch.score)
'''),
        harmless=(_ONE_STEP,),
        threads=(
            Thread(
                "Need to Improve Discounted Reward", "hunkim/ReinforcementZeroToAll#1",
                "https://github.com/hunkim/ReinforcementZeroToAll/issues/1",
                "The function that discounts multiplied each reward by its power of γ and did not add up later ones.",
            ),
        ),
        see=("off-by-one", "last-step-only"),
    ),
    Explanation(
        "off-by-one",
        "The sum of rewards to go begins one step late: the reward that an action earned at once does not count for "
        "that action. Rewards that are stored one slot too early have a similar effect.",
        ("E[ĝ] − ∇J = −E[Σ_t γ^t r_t ψ_t]",),
        "r_t depends on a_t, so that its product with ψ_t does not vanish in expectation.",
        Code('''
  import numpy as np


  def gradient(batch):
      gradients = np.zeros((len(batch), *batch.theta.shape))
      for i, episode in enumerate(batch):
          rewards = episode.rewards
          for t in range(len(rewards)):
-             later = range(t + 1, len(rewards))
+             later = range(t, len(rewards))
              weight = sum(batch.gamma**k * rewards[k] for k in later)
              gradients[i] += weight * batch.score[i, t]
      return gradients
'''),
        see=("immediate-reward", "last-reward-missing"),
    ),
    Explanation(
        "last-reward-missing",
        "The last reward of the episode never enters a sum. It is lost where a loop ends one step early, or where "
        "the reward of a step is stored only when the next step is taken. Where the goal gives the only reward, "
        "nothing is left.",
        ("E[ĝ] − ∇J = −E[γ^{L−1} r_{L−1} Σ_t ψ_t]",),
        "What is left is the gradient of the return without its last reward.",
        Code('''
  import numpy as np


  def gradient(batch):
      gradients = np.zeros((len(batch), *batch.theta.shape))
      for i, episode in enumerate(batch):
          rewards = episode.rewards
          for t in range(len(rewards)):
-             later = range(t, len(rewards) - 1)
+             later = range(t, len(rewards))
              weight = sum(batch.gamma**k * rewards[k] for k in later)
              gradients[i] += weight * batch.score[i, t]
      return gradients
'''),
        harmless=(Harmless("Where the last reward of every episode is 0."),),
        threads=(
            Thread(
                "Silent bug in ppo implementation - rewards shifted", "openai/spinningup#50",
                "https://github.com/openai/spinningup/issues/50",
                "Each slot of the buffer held the reward before its observation, not the one after it.",
            ),
            Thread(
                "Fix reward shift for policy gradient algorithms", "openai/spinningup#126",
                "https://github.com/openai/spinningup/pull/126",
                "Environments that reward only the last step were broken by it; others were hardly affected.",
            ),
        ),
        see=("last-step-missing", "off-by-one"),
    ),
    Explanation(
        "last-step-missing",
        "The last step of each episode has no weight: its action is never reinforced. A loop that ends one step "
        "early does this, and so does a mask of padding that covers the end-of-sequence token, which the policy "
        "chose as well.",
        ("E[ĝ] − ∇J = −E[γ^{L−1} r_{L−1} ψ_{L−1}]",),
        "Only the last step's own term is missing, but where rewards come at the end it is one of the largest.",
        Code('''
  import numpy as np


  def gradient(batch):
      gradients = np.zeros((len(batch), *batch.theta.shape))
      for i, episode in enumerate(batch):
          rewards = episode.rewards
-         for t in range(len(rewards) - 1):
+         for t in range(len(rewards)):
              later = range(t, len(rewards))
              weight = sum(batch.gamma**k * rewards[k] for k in later)
              gradients[i] += weight * batch.score[i, t]
      return gradients
'''),
        harmless=(Harmless("With rewards to go as weights, where the last reward of every episode is 0."),),
        threads=(
            Thread(
                "Revert change in GRPO from NeMo-Gym Integration", "huggingface/trl#4970",
                "https://github.com/huggingface/trl/pull/4970",
                "A mask that is inferred from the values of tokens often covers the end-of-sequence token by "
                "accident.",
            ),
            Thread(
                "Train RLHF example on sampled completions", "NVIDIA-NeMo/Megatron-Bridge#5959",
                "https://github.com/NVIDIA-NeMo/Megatron-Bridge/pull/5959",
                "Text that was decoded and tokenized again lost sampled end tokens before the update.",
            ),
        ),
        see=("last-reward-missing", "first-step-missing"),
    ),
    Explanation(
        "last-step-only",
        "Only the last step of each episode has a weight. In most cases a line stands outside of the loop that it "
        "belongs to, so that it sees only the variables of the last step.",
        ("E[ĝ] − ∇J = −E[Σ_{t<L−1} γ^t G_t ψ_t]",),
        "The terms of all earlier steps are missing.",
        Code('''
  import numpy as np


  def gradient(batch):
      gradients = np.zeros((len(batch), *batch.theta.shape))
      for i, episode in enumerate(batch):
          rewards = episode.rewards
          for t in range(len(rewards)):
              later = range(t, len(rewards))
              weight = sum(batch.gamma**k * rewards[k] for k in later)
-         gradients[i] += weight * batch.score[i, t]
+             gradients[i] += weight * batch.score[i, t]
      return gradients
'''),
        harmless=(_ONE_STEP,),
        see=("first-step-only", "immediate-reward"),
    ),
    Explanation(
        "first-step-missing",
        "The first step of each episode has no weight: the action in the first state is never reinforced. A loop "
        "that begins at 1, or a mask that is shifted by one place, does this.",
        ("E[ĝ] − ∇J = −E[G_0 ψ_0]",),
        "The missing term is that of the step on which all rewards depend.",
        Code('''
  import numpy as np


  def gradient(batch):
      gradients = np.zeros((len(batch), *batch.theta.shape))
      for i, episode in enumerate(batch):
          rewards = episode.rewards
-         for t in range(1, len(rewards)):
+         for t in range(len(rewards)):
              later = range(t, len(rewards))
              weight = sum(batch.gamma**k * rewards[k] for k in later)
              gradients[i] += weight * batch.score[i, t]
      return gradients
'''),
        see=("score-of-next-step", "last-step-missing"),
    ),
    Explanation(
        "first-step-only",
        "Only the first step of each episode has a weight, as if the first action alone were the policy's. An index "
        "0 where all steps are meant does this, and so does an axis of length 1 that is squeezed away.",
        ("E[ĝ] − ∇J = −E[Σ_{t>0} γ^t G_t ψ_t]",),
        "The terms of all later steps are missing.",
        Code('''
  import numpy as np


  def gradient(batch):
      discount = batch.gamma ** np.arange(batch.rewards.shape[1])
      returns = (discount * batch.rewards).sum(axis=1)
-     scores = batch.score[:, 0]
+     scores = batch.score.sum(axis=1)
      return np.einsum("n,n...->n...", returns, scores)
'''),
        harmless=(_ONE_STEP,),
        see=("last-step-only", "first-step-missing"),
    ),
)  # fmt: skip
