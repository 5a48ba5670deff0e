"""Explanations: multiples of the gradient, and divisors that depend on lengths."""

from pgcheck.estimators.mistakes.explanation import Case, Code, Explanation, Harmless, Thread

MULTIPLES = (
    Explanation(
        "sign",
        "The result is minus the gradient. A loss is minimised, an objective is maximised; pgcheck asks for the "
        "gradient of the objective. An optimizer descends, so that it needs the gradient of a loss: with a minus too "
        "many or too few it makes the policy worse.",
        ("E[ĝ] − ∇J = −2 ∇J",),
        "The relative bias is 200 % on every model, and the cosine is −1.",
        Code('''
  import numpy as np


  def gradient(batch):
      discount = batch.gamma ** np.arange(batch.rewards.shape[1])
      returns = (discount * batch.rewards).sum(axis=1)
-     return -np.einsum("n,nt...->n...", returns, batch.score)
+     return np.einsum("n,nt...->n...", returns, batch.score)
'''),
        threads=(
            Thread(
                "A missing sign in the loss function of PPO", "natolambert/rlhf-book#125",
                "https://github.com/natolambert/rlhf-book/issues/125",
                "A formula that was introduced as a loss had the sign of an objective.",
            ),
            Thread(
                "Why is there a minus sign in the loss function of simplest policy gradient in part 3?",
                "openai/spinningup#436", "https://github.com/openai/spinningup/issues/436",
                "Optimizers descend; a loss is minus what is to grow.",
            ),
        ),
        see=("scale",),
    ),
    Explanation(
        "scale",
        "The expectation points along the gradient but has another length. The most frequent reason is a baseline "
        "that contains the episode's own return, such as the mean return of the batch: it takes away exactly 1/B of "
        "the gradient. Others are a sum over the batch in place of the mean, one γ too many, or a product of [N, 1] "
        "and [N] that becomes [N, N].",
        ("E[ĝ] − ∇J = −∇J / B",),
        "The mean of all B returns has a share of 1/B of the episode's own return, and only that share has an "
        "expectation. Without it (leave one out), or with B/(B − 1) in front, the estimate is right.",
        Code('''
  import numpy as np


  def gradient(batch):
      size = len(batch)
      discount = batch.gamma ** np.arange(batch.rewards.shape[1])
      returns = (discount * batch.rewards).sum(axis=1)
-     baseline = returns.mean()
+     baseline = (returns.sum() - returns) / (size - 1)
      weights = returns - baseline
      return np.einsum("n,nt...->...", weights, batch.score) / size
'''),
        harmless=(
            Harmless(
                "In batches of one fixed size it is a constant factor, a matter of the learning rate. With the mean "
                "return as a baseline it is 1 − 1/B, close to 1 in large batches."
            ),
        ),
        threads=(
            Thread(
                "Why is `sample_log_prob` of shape `td.shape` unlike the other keys which are `[*td.shape, 1]`?",
                "pytorch/rl#1243", "https://github.com/pytorch/rl/issues/1243",
                "A product of the shapes [n] and [n, 1] has the shape [n, n], and its mean is not what is expected.",
            ),
            Thread(
                "Back to Basics: Revisiting REINFORCE Style Optimization for Learning from Human Feedback in LLMs",
                "Ahmadian and others, 2024", "https://doi.org/10.48550/arXiv.2402.14740",
                "The baseline of a sample is the mean reward of the other samples of its group (leave one out).",
            ),
        ),
        see=("sign", "batch-coupled", "action-dependent-baseline"),
    ),
    Explanation(
        "length-normalised",
        "Something is divided by a length: by the number of steps of the episode, of the batch, or by the horizon. "
        "`loss.mean()` over all steps of a batch does that without saying so. The length depends on the actions, so "
        "that the division is not a constant factor: with a positive return shorter episodes gain, with a negative "
        "one longer ones.",
        ("E[ĝ] − ∇J = E[Σ_i (1/n − 1/B) R_i Σ_t ψ_{i,t}],  n = Σ_i L_i",),
        "n contains the episode's own length, which is correlated with its return and its scores.",
        Code('''
  import numpy as np


  def gradient(batch):
      discount = batch.gamma ** np.arange(batch.rewards.shape[1])
      returns = (discount * batch.rewards).sum(axis=1)
      total = np.einsum("n,nt...->...", returns, batch.score)
-     return total / batch.mask.sum()  # the mean over all steps
+     return total / len(batch)  # the mean over episodes
'''),
        harmless=(
            Harmless(
                "Where all episodes are equally long, the length is a constant factor.",
                Case(models=("deep_sea",), horizon=4, up_to_scale=True), here_only=True,
            ),
        ),
        threads=(
            Thread(
                "Understanding R1-Zero-Like Training: A Critical Perspective", "Liu and others, 2025",
                "https://doi.org/10.48550/arXiv.2503.20783",
                "The division by the length of each response is a bias, which Dr. GRPO leaves out.",
            ),
            Thread(
                "Question about Response-level length bias", "sail-sg/understand-r1-zero#10",
                "https://github.com/sail-sg/understand-r1-zero/issues/10",
                "Why 1/|o| makes the gradient a biased one.",
            ),
            Thread(
                "Dr. GRPO loss", "huggingface/trl#3256", "https://github.com/huggingface/trl/pull/3256",
                "Adds the loss with a constant in place of the number of tokens, beside the others.",
            ),
            Thread(
                "Mean instead of sum when computing the `expected_reward` by episode",
                "KaiyangZhou/pytorch-vsumm-reinforce#48",
                "https://github.com/KaiyangZhou/pytorch-vsumm-reinforce/issues/48",
                "The log probabilities of an episode are to be summed; only episodes are averaged.",
            ),
        ),
        see=("window", "scale"),
    ),
    Explanation(
        "zero-mean",
        "The expectation is 0 everywhere: the weights depend neither on the actions nor on what follows from them, "
        "and Σ_a π(a|s) ∇log π(a|s) = 0. What is left is noise. A reward that was lost on the way does this, or an "
        "advantage that was cancelled by a baseline equal to it. It is not the same as a loss whose value is 0: that "
        "one can have the right gradient.",
        ("E[ĝ] − ∇J = −∇J",),
        "E[Σ_t γ^t ψ_t] = 0, as for every baseline.",
        Code('''
  import numpy as np


  def gradient(batch):
      discount = batch.gamma ** np.arange(batch.rewards.shape[1])
-     weights = discount * batch.mask  # where are the rewards?
+     discounted = discount * batch.rewards
+     weights = np.cumsum(discounted[:, ::-1], axis=1)[:, ::-1]
      return np.einsum("nt,nt...->n...", weights, batch.score)
'''),
        threads=(
            Thread(
                "GRPO: Why does loss start at 0 for first K steps and then increase over time?",
                "huggingface/trl#2703", "https://github.com/huggingface/trl/issues/2703",
                "The other case: the value of the loss is 0, its gradient is not.",
            ),
        ),
        see=("scale",),
    ),
)  # fmt: skip
