"""Explanations: batches, episodes within them, and what small models do not show."""

from pgcheck.estimators.mistakes.explanation import Case, Code, Explanation, Harmless, Thread

BATCHES = (
    Explanation(
        "batch-coupled",
        "The gradient of a batch is not the mean of its episodes' gradients, and none of the other names fits. Here "
        "the baseline of a time step is the mean over the episodes that are still running: it contains the episode's "
        "own return, and the fewer episodes are left, the more of it.",
        ("E[ĝ] − ∇J = −E[Σ_t γ^t G_t ψ_t / n_t]",),
        "n_t is the number of episodes of the batch that have a step t. A share of 1/n_t of the baseline is the "
        "episode's own; with one episode left the two cancel.",
        Code('''
  import numpy as np


  def gradient(batch):
      size = len(batch)
      discount = batch.gamma ** np.arange(batch.rewards.shape[1])
      discounted = discount * batch.rewards
      to_go = np.cumsum(discounted[:, ::-1], axis=1)[:, ::-1]
-     running = np.maximum(batch.mask.sum(axis=0), 1)
-     baseline = to_go.sum(axis=0) / running
+     baseline = (to_go.sum(axis=0) - to_go) / (size - 1)
      weights = to_go - baseline
      return np.einsum("nt,nt...->...", weights, batch.score) / size
'''),
        harmless=(
            Harmless(
                "Where all episodes are equally long it takes away a fixed share of 1/B: a matter of the learning "
                "rate.",
                Case(models=("deep_sea",), horizon=4, up_to_scale=True), here_only=True,
            ),
        ),
        threads=(
            Thread(
                "Possible errors in 04_PG.ipynb ?", "alessiodm/drl-zh#5",
                "https://github.com/alessiodm/drl-zh/issues/5",
                "Proposes means over several trajectories at each time step as a baseline.",
            ),
        ),
        see=("scale", "action-dependent-baseline"),
    ),
    Explanation(
        "batch-size",
        "Right for the small batches that can be listed, wrong for larger ones, up to 1,000 episodes. Here only the "
        "first 16 episodes count, but the sum is divided by the size of the whole batch; a minibatch, a cache or a "
        "buffer of fixed size has this effect.",
        ("E[ĝ] − ∇J = −(1 − 16/B) ∇J  for B > 16",),
        "On the battery, with batches of 2 and 3, there is no bias. It shows in drawn batches of 64 and 1,000 "
        "episodes: their gradients are not those that follow from the small batches.",
        Code('''
  import numpy as np


  def gradient(batch):
      size = len(batch)
      discount = batch.gamma ** np.arange(batch.rewards.shape[1])
      returns = (discount * batch.rewards).sum(axis=1)
-     returns[16:] = 0.0  # a minibatch
      return np.einsum("n,nt...->...", returns, batch.score) / size
'''),
        harmless=(Harmless("In batches that are no larger than the limit."),),
        see=("reach", "batch-coupled"),
    ),
    Explanation(
        "cut-episodes-dropped",
        "Episodes that the time limit cuts off, or that are under way when a run ends, are left out. Which ones "
        "these are depends on the actions: long episodes are dropped more often, and their rewards count for "
        "nothing.",
        ("E[ĝ] − ∇J = −E[1{cut off} Σ_t γ^t G_t ψ_t]",),
        "Episodes that are cut off are part of the expectation like all others.",
        Code('''
  import numpy as np


  def gradient(batch):
      gradients = np.zeros((len(batch), *batch.theta.shape))
      for i, episode in enumerate(batch):
-         if not episode.terminated:
-             continue
          to_go = 0.0
          for t in reversed(range(len(episode.rewards))):
              to_go = episode.rewards[t] + batch.gamma * to_go
              gradients[i] += batch.gamma**t * to_go * batch.score[i, t]
      return gradients
'''),
        harmless=(
            Harmless(
                "Where every episode ends by itself, before the time limit and before the run does.",
                Case(models=("token_tree",)),
            ),
        ),
        threads=(
            Thread(
                "Fix early-termination bias in trajectory rollouts", "HumanCompatibleAI/imitation#183",
                "https://github.com/HumanCompatibleAI/imitation/pull/183",
                "Long episodes are more likely to be interrupted and thrown away, and so are sampled less often.",
            ),
            Thread(
                "Overlong-filtering for GRPO", "huggingface/trl#3248",
                "https://github.com/huggingface/trl/pull/3248",
                "Adds an option that masks completions which the length limit has cut off.",
            ),
            Thread(
                "drop episodes with 0 advantages or truncated", "meta-pytorch/torchforge#580",
                "https://github.com/meta-pytorch/torchforge/pull/580",
                "Truncated episodes are dropped for better batches.",
            ),
        ),
        see=("window", "bootstrap"),
    ),
    Explanation(
        "leaks-between-episodes",
        "The running sum of rewards is not set back between episodes: the rewards of one episode are added to the "
        "returns of the one before it in the batch or in the buffer. Where only a terminal state sets it back, this "
        "happens at every time limit.",
        ("E[ĝ] − ∇J = J/2 · E[γ^L Σ_t ψ_t]  for B = 2",),
        "What leaks in is independent of the actions, but its weight γ^L is not: it depends on the length of the "
        "episode.",
        Code('''
  import numpy as np


  def gradient(batch):
      gradient = np.zeros(batch.theta.shape)
-     to_go = 0.0
      for i, episode in reversed(list(enumerate(batch))):
+         to_go = 0.0
          for t in reversed(range(len(episode.rewards))):
              to_go = episode.rewards[t] + batch.gamma * to_go
              gradient += batch.gamma**t * to_go * batch.score[i, t]
      return gradient / len(batch)
'''),
        harmless=(
            Harmless(
                "With γ = 1, where the sum is never set back: the rewards of the other episode are then only noise.",
                Case(models=("two_state",), gamma=1.0),
            ),
            Harmless("The same holds where all episodes are equally long.", Case(models=("deep_sea",), horizon=4)),
        ),
        threads=(
            Thread(
                "compute_gae offers no correct time-limit (truncation) bootstrapping for fixed-length episodes",
                "Toni-SM/skrl#449", "https://github.com/Toni-SM/skrl/issues/449",
                "With one of two settings, advantages run on across the ends of truncated episodes.",
            ),
            Thread(
                "PPO advantage calculation", "datawhalechina/easy-rl#114",
                "https://github.com/datawhalechina/easy-rl/issues/114",
                "The sum over a memory of several episodes has to stop at the end of each.",
            ),
        ),
        see=("window", "bootstrap"),
    ),
    Explanation(
        "reach",
        "Right on all models, wrong beyond them: in an episode of 64 steps, for a reward of 0.001 or of 10,000. Here "
        "the code looks at 32 steps at most; arrays of a fixed size and bounds on rewards have the same effect.",
        ("E[ĝ] − ∇J = −E[Σ_{t≥32} γ^t G_t ψ_t]",),
        "No episode of the battery is that long, so that there is no bias on it. It shows in how single rewards "
        "weight the steps of one long episode.",
        Code('''
  import numpy as np


  def gradient(batch):
      gradients = np.zeros((len(batch), *batch.theta.shape))
      for i, episode in enumerate(batch):
          rewards = episode.rewards
-         for t in range(min(len(rewards), 32)):
+         for t in range(len(rewards)):
              later = range(t, len(rewards))
              weight = sum(batch.gamma**k * rewards[k] for k in later)
              gradients[i] += weight * batch.score[i, t]
      return gradients
'''),
        harmless=(Harmless("In tasks whose episodes and rewards stay within the limits."),),
        see=("batch-size", "nonlinear"),
    ),
    Explanation(
        "other",
        "The expectation is not the gradient, and none of the known mistakes explains it. Then the matrix shows how "
        "each reward weights each step, and the components that are off most say where to look. Here the weights are "
        "collected from the last step to the first and used in that order.",
        ("E[ĝ] − ∇J = E[Σ_t (w_{L−1−t} − w_t) ψ_t],  w_t = γ^t G_t",),
        "Each step has the weight of the step that is as far from the other end.",
        Code('''
  import numpy as np


  def gradient(batch):
      gradients = np.zeros((len(batch), *batch.theta.shape))
      for i, episode in enumerate(batch):
          weights, to_go = [], 0.0
          for t in reversed(range(len(episode.rewards))):
              to_go = episode.rewards[t] + batch.gamma * to_go
-             weights.append(batch.gamma**t * to_go)
+             weights.insert(0, batch.gamma**t * to_go)
          for t, weight in enumerate(weights):
              gradients[i] += weight * batch.score[i, t]
      return gradients
'''),
        harmless=(Harmless("In episodes of one step there is only one order.", Case(horizon=1)),),
        threads=(
            Thread(
                "Move reverse outside for loop?", "PacktPublishing/Tensorflow-2-Reinforcement-Learning-Cookbook#27",
                "https://github.com/PacktPublishing/Tensorflow-2-Reinforcement-Learning-Cookbook/issues/27",
                "The list of returns was reversed inside of the loop that fills it, not after it.",
            ),
            Thread(
                "Bad REINFORCE implementation for Mujoco Tutorial", "Farama-Foundation/Gymnasium#1336",
                "https://github.com/Farama-Foundation/Gymnasium/issues/1336",
                "The mean of the log probabilities was multiplied by the returns, not each by its own.",
            ),
        ),
        see=("discount-from-the-end", "immediate-reward"),
    ),
)  # fmt: skip
