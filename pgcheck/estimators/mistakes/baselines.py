"""Explanations: baselines, values, altered rewards, and terms that are added."""

from pgcheck.estimators.mistakes.explanation import Case, Code, Explanation, Harmless, Thread

_NONE_CUT = Harmless(
    "Where the value stands only at the time limit, and every episode ends by itself before it.",
    Case(models=("token_tree",)),
)

BASELINES = (
    Explanation(
        "action-dependent-baseline",
        "What is subtracted depends on the action: on the action itself, on the episode's own return, or, as here, "
        "on the mean of the returns within one episode. A baseline may depend on the state and on what came before, "
        "but on nothing that the action changes.",
        ("E[ĝ] − ∇J = −E[Σ_t γ^t b ψ_t],  b = (1/L) Σ_k G_k",),
        "E[b ψ_t] = 0 only if b is the same whatever a_t is. The mean over the episode's own steps moves with every "
        "reward that a_t leads to.",
        Code('''
  import numpy as np


  def gradient(batch):
      gradients = np.zeros((len(batch), *batch.theta.shape))
      for i, episode in enumerate(batch):
          to_go = np.append(episode.rewards, 0.0)
          for t in reversed(range(len(episode.rewards))):
              to_go[t] += batch.gamma * to_go[t + 1]
-         baseline = np.mean(to_go[:-1]) if len(to_go) > 1 else 0.0
+         baseline = 0.0  # or a function of the state
          for t in range(len(episode.rewards)):
              weight = batch.gamma**t * (to_go[t] - baseline)
              gradients[i] += weight * batch.score[i, t]
      return gradients
'''),
        threads=(
            Thread(
                "Possible errors in 04_PG.ipynb ?", "alessiodm/drl-zh#5",
                "https://github.com/alessiodm/drl-zh/issues/5",
                "With the mean of the episode as a baseline, late steps always end up negative.",
            ),
            Thread(
                "REINFORCE中对discounted reward的centralize的依据是什么？",
                "MorvanZhou/Reinforcement-learning-with-tensorflow#128",
                "https://github.com/MorvanZhou/Reinforcement-learning-with-tensorflow/issues/128",
                "Asks what justifies centring within an episode: early steps gain and late ones lose, always.",
            ),
        ),
        see=("scale", "batch-coupled", "nonlinear"),
    ),
    Explanation(
        "bootstrap",
        "A critic's value stands where rewards belong: at the time limit, at the end of a buffer, or for λ < 1 in "
        "every step. It is right only if it is the exact value of what follows. Whether there is anything after the "
        "time limit is a question of the task: pgcheck takes J as the return up to the horizon, so that there is "
        "not. In a task that goes on and is only cut for convenience, the value at the cut belongs there.",
        ("E[ĝ] − ∇J = E[1{cut off} γ^L V(s_L) Σ_t ψ_t]",),
        "The value of the last state is credited to all steps of the episodes that the time limit cuts off. V(s_t), "
        "which is subtracted, is a baseline and does no harm.",
        Code('''
  import numpy as np


  def gradient(batch):
      values = 0.1 * np.arange(batch.num_states)  # a critic
      gradients = np.zeros((len(batch), *batch.theta.shape))
      for i, episode in enumerate(batch):
-         cut = len(episode.rewards) > 0 and not episode.terminated
-         to_go = values[episode.next_states[-1]] if cut else 0.0
+         to_go = 0.0  # there is no reward after the horizon
          for t in reversed(range(len(episode.rewards))):
              to_go = episode.rewards[t] + batch.gamma * to_go
              weight = batch.gamma**t * (to_go - values[episode.states[t]])
              gradients[i] += weight * batch.score[i, t]
      return gradients
'''),
        harmless=(_NONE_CUT,),
        threads=(
            Thread(
                "Time Limits in Reinforcement Learning", "Pardo and others, 2018",
                "https://doi.org/10.48550/arXiv.1712.00378",
                "Which tasks need the value at the time limit, and which do not.",
            ),
            Thread(
                "PPO timeout proper handling", "vwxyzjn/cleanrl#198",
                "https://github.com/vwxyzjn/cleanrl/issues/198",
                "For one user, leaving the value out at the time limit led to worse results.",
            ),
            Thread(
                "PPO handle TimeLimit.truncated incorrectly", "DLR-RM/stable-baselines3#1864",
                "https://github.com/DLR-RM/stable-baselines3/issues/1864",
                "Which of the two kinds of ends has the value added to its last reward.",
            ),
        ),
        see=("window", "cut-episodes-dropped"),
    ),
    Explanation(
        "nonlinear",
        "The gradient does not follow the rewards in proportion: returns are divided by their standard deviation, "
        "clipped, ranked, or made positive. Each of these changes what is maximised. Divided by the spread of their "
        "own batch, returns that are almost equal weigh as much as returns that differ widely.",
        ("E[ĝ] − ∇J = E[(1/B) Σ_i (R_i − R̄) / σ Σ_t ψ_{i,t}] − ∇J",),
        "R̄ and σ are the mean and the standard deviation of the batch's returns. σ is computed from the same "
        "returns, so that it is no constant factor: the estimate is a ratio of two random numbers.",
        Code('''
  import numpy as np


  def gradient(batch):
      size = len(batch)
      discount = batch.gamma ** np.arange(batch.rewards.shape[1])
      returns = (discount * batch.rewards).sum(axis=1)
-     centred = returns - returns.mean()
-     weights = centred / (returns.std() + 1e-8)
+     others = (returns.sum() - returns) / (size - 1)
+     weights = returns - others
      return np.einsum("n,nt...->...", weights, batch.score) / size
'''),
        threads=(
            Thread(
                "formula for advantages in GRPO", "thinking-machines-lab/tinker-cookbook#579",
                "https://github.com/thinking-machines-lab/tinker-cookbook/issues/579",
                "Why the documentation centres and does not divide: the division weighs questions by their spread.",
            ),
            Thread(
                "Normalize advantage function", "wojzaremba/trpo#6", "https://github.com/wojzaremba/trpo/issues/6",
                "Taken over from other code: biased, but found sensible.",
            ),
            Thread(
                "Clipping reward in Atari while using invertible transform for reward and value target",
                "opendilab/LightZero#239", "https://github.com/opendilab/LightZero/issues/239",
                "Clipped rewards can change which policy is best.",
            ),
        ),
        see=("nan", "scale", "clipped-norm"),
    ),
    Explanation(
        "regulariser",
        "A term is added that has nothing to do with the rewards: an entropy bonus, weight decay, a constant. It may "
        "well be wanted, but it is not part of ∇J. An entropy that is part of the objective is given to pgcheck with "
        "--entropy, and a regulariser that is intended with --allow regulariser.",
        ("E[ĝ] − ∇J = α E[Σ_t ∇H(π(·|s_t))],  here α = 0.01",),
        "The bias has a fixed size, whatever the rewards are. Where they are small, as on long-chain, it is all "
        "there is.",
        Code('''
  import numpy as np


  def gradient(batch):
      discount = batch.gamma ** np.arange(batch.rewards.shape[1])
      discounted = discount * batch.rewards
      weights = np.cumsum(discounted[:, ::-1], axis=1)[:, ::-1]
      pi = batch.probs[batch.states, batch.actions]
-     weights = weights - 0.01 * np.log(np.where(batch.mask, pi, 1.0))
      return np.einsum("nt,nt...->n...", weights, batch.score)
'''),
        harmless=(
            Harmless("Where the term is wanted. It still moves the optimum; --allow regulariser says that it may."),
        ),
        threads=(
            Thread(
                "What is entropy_regularization in ac policies?", "tensorforce/tensorforce#789",
                "https://github.com/tensorforce/tensorforce/issues/789",
                "A term of the loss, and how it differs from entropy as a part of the reward.",
            ),
        ),
        see=("objective", "value-loss"),
    ),
    Explanation(
        "objective",
        "The gradient is that of another objective than the one asked for: entropy or KL with other coefficients, or "
        "only that of the present step. An objective with entropy at every step rewards actions that lead to states "
        "with more of it later; a bonus that is added to the loss does not. Of k1, k2 and k3 as stand-ins for KL, "
        "only some have the gradient of KL, and that depends on where they stand.",
        ("E[ĝ] − ∇J = −α E[Σ_t ψ_t Σ_{k>t} γ^k H(π(·|s_k))]",),
        "The entropy of later states is not credited to the actions that lead there.",
        Code('''
  import numpy as np


  def gradient(batch):
      discount = batch.gamma ** np.arange(batch.rewards.shape[1])
      pi = batch.probs[batch.states, batch.actions]
      bonus = -batch.entropy * np.log(np.where(batch.mask, pi, 1.0))
-     discounted = discount * batch.rewards
+     discounted = discount * (batch.rewards + bonus)
      weights = np.cumsum(discounted[:, ::-1], axis=1)[:, ::-1]
-     weights = weights + discount * bonus
      return np.einsum("nt,nt...->n...", weights, batch.score)
'''),
        case=Case(entropy=0.1),
        harmless=(
            Harmless("Where only later entropy is missing: in episodes of one step.", Case(horizon=1, entropy=0.1)),
            Harmless("Where the coefficients are those of the objective, and they are 0.", Case()),
        ),
        threads=(
            Thread(
                "tf/NPO: Implement SOA entropy regularization methods and choose a sane default",
                "rlworkgroup/garage#283", "https://github.com/rlworkgroup/garage/issues/283",
                "Entropy in the reward of each step and a bonus on the objective are two different things.",
            ),
            Thread(
                "Incorporating long-term entropy bonus reward in on-policy AC", "HorizonRobotics/alf#139",
                "https://github.com/HorizonRobotics/alf/issues/139",
                "A bonus on the advantage looks one step ahead only.",
            ),
            Thread(
                'Support Unbiased "K1-in-Reward" KL Estimator for GRPO', "huggingface/trl#4967",
                "https://github.com/huggingface/trl/issues/4967",
                "k3 in the loss has a biased gradient, k1 in the reward an unbiased one.",
            ),
            Thread(
                "Rethinking KL Regularization in RLHF: From Value Estimation to Gradient Optimization",
                "Liu and others, 2025", "https://doi.org/10.48550/arXiv.2510.01555",
                "Which of k1, k2 and k3, in the reward or as a loss, has the gradient of KL.",
            ),
        ),
        see=("regulariser",),
    ),
)  # fmt: skip
