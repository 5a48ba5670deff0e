"""Explanations: what only a training loop can do, which samples for itself."""

from pgcheck.estimators.mistakes.explanation import Case, Code, Explanation, Harmless, Thread

GYMNASIUM, TORCH = ("gymnasium",), ("gymnasium", "torch")

LOOPS = (
    Explanation(
        "other-gamma",
        "The loop has a γ of its own, which is not that of the task. Both are called the discount, but J is defined "
        "by the task's: pgcheck tells a loop its γ as env.unwrapped.gamma.",
        ("E[ĝ] − ∇J = E[Σ_k (g^k − γ^k) r_k Σ_{t≤k} ψ_t],  here g = 0.99",),
        "This is the gradient of the return with another discount.",
        Code('''
  import numpy as np
  from pgcheck.agents import Agent, agent


  @agent
  def gradient(env):
      shape = (env.observation_space.n, env.action_space.n)
      theta = np.linspace(-1.0, 1.0, shape[0] * shape[1]).reshape(shape)
      pi = np.exp(theta) / np.exp(theta).sum(axis=1, keepdims=True)
      rng = np.random.default_rng(0)
-     gamma = 0.99
+     gamma = env.unwrapped.gamma

      def update():
          gradient, score = np.zeros(shape), np.zeros(shape)
          state, done, discount = env.reset()[0], False, 1.0
          while not done:
              action = rng.choice(shape[1], p=pi[state])
              score[state] -= pi[state]  # the sum up to this step
              score[state, action] += 1
              state, reward, terminated, truncated, _ = env.step(action)
              gradient += discount * reward * score
              discount *= gamma
              done = terminated or truncated
          return gradient

      return Agent(lambda theta, states: theta[states], theta, update)
'''),
        needs=GYMNASIUM,
        harmless=(Harmless("Where the task has the same γ.", Case(gamma=0.99)),),
        threads=(
            Thread(
                "Reward discount factor defined in environment compared to defined in environment",
                "tensorflow/agents#503", "https://github.com/tensorflow/agents/issues/503",
                "The discount of the environment and that of the agent are multiplied.",
            ),
        ),
        see=("undiscounted", "dropped-gamma"),
    ),
    Explanation(
        "window",
        "The loop fills a buffer of a fixed number of steps, which ends in the middle of an episode. The rewards "
        "after its end are missing, the first steps of episodes count more often than the last ones, and how many "
        "episodes fit depends on how long they are. A critic's value at the end of the buffer stands for the "
        "missing rewards; it is right only if it is exact.",
        ("E[ĝ] = E[(1/N) Σ_i Σ_{k<K_i} γ^k r_{i,k} Σ_{t≤k} ψ_{i,t}]",),
        "N is how many episodes the buffer begins and K_i ≤ L_i how many steps of each it holds; both depend on the "
        "actions. With whole episodes, a fixed number of them, K_i = L_i and N is a constant.",
        Code('''
  import numpy as np
  from pgcheck.agents import Agent, agent


  @agent
  def gradient(env):
      shape = (env.observation_space.n, env.action_space.n)
      theta = np.linspace(-1.0, 1.0, shape[0] * shape[1]).reshape(shape)
      pi = np.exp(theta) / np.exp(theta).sum(axis=1, keepdims=True)
      rng = np.random.default_rng(0)

      def update():
          gradient, episodes, done = np.zeros(shape), 0, True
-         for _ in range(4):  # the steps of the buffer
+         while episodes < 2 or not done:  # whole episodes
              if done:
                  state, score, discount = env.reset()[0], np.zeros(shape), 1.0
                  episodes += 1
              action = rng.choice(shape[1], p=pi[state])
              score[state] -= pi[state]  # the sum up to this step
              score[state, action] += 1
              state, reward, terminated, truncated, _ = env.step(action)
              gradient += discount * reward * score
              discount *= env.unwrapped.gamma
              done = terminated or truncated
          return gradient / episodes

      return Agent(lambda theta, states: theta[states], theta, update)
'''),
        needs=GYMNASIUM,
        harmless=(
            Harmless("Where the buffer always ends with an episode.", Case(models=("deep_sea",), horizon=4)),
        ),
        threads=(
            Thread(
                "An option to collect rollout for n_episoded instead of n_steps", "DLR-RM/stable-baselines3#1059",
                "https://github.com/DLR-RM/stable-baselines3/issues/1059",
                "A rollout that is shorter than an episode may not hold its final reward; the critic stands for it.",
            ),
            Thread(
                "PPO's n_steps might not contain a complete episode", "DLR-RM/stable-baselines3#668",
                "https://github.com/DLR-RM/stable-baselines3/issues/668",
                "What happens to advantages where the buffer ends before the episode does.",
            ),
            Thread(
                "Added an option for PPO to train on incomplete episodes.", "tensorflow/agents#36",
                "https://github.com/tensorflow/agents/pull/36",
                "Without the option, the rewards of episodes that are not complete are discarded. It was merged "
                "later, as #306.",
            ),
        ),
        see=("bootstrap", "cut-episodes-dropped", "length-normalised"),
    ),
    Explanation(
        "clipped-norm",
        "The gradient of a run is shortened to a largest norm before the optimizer uses it. It keeps its direction "
        "in each run, but not in expectation: runs with large gradients count less than they should.",
        ("E[ĝ] − ∇J = E[(min(1, c/‖ĝ‖) − 1) ĝ],  here c = 0.5",),
        "The factor depends on the run. The mean of shortened vectors is not the shortened mean.",
        Code('''
  import torch
  from pgcheck.agents import Agent, agent


  @agent(observation="one-hot")
  def gradient(env):
      torch.manual_seed(0)
      width, actions = env.observation_space.shape[0], env.action_space.n
      policy = torch.nn.Linear(width, int(actions))
      optimizer = torch.optim.Adam(policy.parameters())

      def update():
          log_pi, objective, discount = 0.0, 0.0, 1.0
          state, done = env.reset()[0], False
          while not done:
              logits = policy(torch.as_tensor(state))
              distribution = torch.distributions.Categorical(logits=logits)
              action = distribution.sample()
              log_pi = log_pi + distribution.log_prob(action)
              following = env.step(action.item())
              state, reward, terminated, truncated, _ = following
              objective = objective + discount * reward * log_pi
              discount *= env.unwrapped.gamma
              done = terminated or truncated
          (-objective).backward()
-         torch.nn.utils.clip_grad_norm_(policy.parameters(), 0.5)
          optimizer.step()

      return Agent(policy, policy.parameters(), update)
'''),
        needs=TORCH,
        harmless=(
            Harmless("Where no gradient is longer than the bound.", Case(models=("deep_sea",), horizon=4)),
        ),
        threads=(
            Thread(
                "max_grad_norm and use_clipped_value_loss", "ikostrikov/pytorch-a2c-ppo-acktr-gail#160",
                "https://github.com/ikostrikov/pytorch-a2c-ppo-acktr-gail/issues/160",
                "Where the clipping comes from: other code, not the paper.",
            ),
        ),
        see=("nonlinear",),
    ),
    Explanation(
        "value-loss",
        "Policy and critic share a trunk, and the value loss moves it. Its gradient is added to that of the policy, "
        "with a coefficient that is usually 0.5. That may help to learn features, but the sum is not the gradient of "
        "J.",
        ("E[ĝ] − ∇J = c E[Σ_t (G_t − V(s_t)) ∇_θ V(s_t)]",),
        "c is twice the coefficient of (G_t − V(s_t))². The term is 0 where V does not depend on θ, and where θ is a "
        "stationary point of the value loss, as with an exact V.",
        Code('''
  import torch
  from torch.distributions import Categorical
  from pgcheck.agents import Agent, agent


  @agent(observation="one-hot")
  def gradient(env):
      torch.manual_seed(0)
      width, actions = env.observation_space.shape[0], env.action_space.n
      trunk, critic = torch.nn.Linear(width, 4), torch.nn.Linear(4, 1)
      actor = torch.nn.Linear(4, int(actions))
      of_policy = [*trunk.parameters(), *actor.parameters()]
      optimizer = torch.optim.Adam([*of_policy, *critic.parameters()])
      gamma = env.unwrapped.gamma

      def update():
          steps, loss, to_go = [], 0.0, 0.0
          state, done = env.reset()[0], False
          while not done:
              hidden = trunk(torch.as_tensor(state))
              distribution = Categorical(logits=actor(hidden))
              action = distribution.sample()
-             value = critic(hidden).squeeze()
+             value = critic(hidden.detach()).squeeze()
              following = env.step(action.item())
              state, reward, terminated, truncated, _ = following
              steps.append((distribution.log_prob(action), value, reward))
              done = terminated or truncated
          for t, (log_pi, value, reward) in reversed(list(enumerate(steps))):
              to_go = reward + gamma * to_go
              advantage = to_go - value.detach()
              loss = loss - gamma**t * advantage * log_pi
              loss = loss + 0.5 * (to_go - value) ** 2
          loss.backward()
          optimizer.step()

      return Agent(
          logits=lambda states: actor(trunk(states)),
          parameters=of_policy,
          update=update,
          values=lambda states: critic(trunk(states)),
      )
'''),
        needs=TORCH,
        harmless=(Harmless("Where the critic's values are exact: then the term is 0 in expectation."),),
        threads=(
            Thread(
                "Shared parameters for NN action_layer and NN value_layer", "nikhilbarhate99/PPO-PyTorch#19",
                "https://github.com/nikhilbarhate99/PPO-PyTorch/issues/19",
                "With shared layers the gradients of both losses flow through them.",
            ),
            Thread(
                "In SB3's PPO, how does the critic network update its weights when using separate actor and critic "
                "networks?",
                "DLR-RM/stable-baselines3#1533", "https://github.com/DLR-RM/stable-baselines3/issues/1533",
                "A value loss that is much larger than the policy's dominates their sum.",
            ),
            Thread(
                "Possible issue of gradients calculation in actor_critic_cartpole example", "keras-team/keras-io#194",
                "https://github.com/keras-team/keras-io/issues/194",
                "A related mistake: the value inside of the advantage was differentiated too.",
            ),
        ),
        see=("regulariser",),
    ),
    Explanation(
        "nan",
        "The result is not finite in some runs: a standard deviation of one number, a division by a sum of rewards "
        "that is 0, the logarithm of a probability that is 0. One such run makes the whole expectation not a number. "
        "A function of batches that returns NaN is refused at once; of one that does so only where no model goes, a "
        "warning is given.",
        ("std(G_0) = √(0 / 0)  for an episode of one step, with ddof=1",),
        "With ddof=1 the sum of squares is divided by L − 1. Beside that, the division makes the estimate nonlinear "
        "in the rewards, so that it is better left out than guarded.",
        Code('''
  import numpy as np
  from pgcheck.agents import Agent, agent


  @agent
  def gradient(env):
      shape = (env.observation_space.n, env.action_space.n)
      theta = np.linspace(-1.0, 1.0, shape[0] * shape[1]).reshape(shape)
      pi = np.exp(theta) / np.exp(theta).sum(axis=1, keepdims=True)
      rng = np.random.default_rng(0)

      def update():
          gradient, steps = np.zeros(shape), []
          state, done = env.reset()[0], False
          while not done:
              action = rng.choice(shape[1], p=pi[state])
              after, reward, terminated, truncated, _ = env.step(action)
              steps.append((state, action, reward))
              state, done = after, terminated or truncated
          discount = env.unwrapped.gamma ** np.arange(len(steps))
          discounted = discount * [reward for _, _, reward in steps]
          weights = np.cumsum(discounted[::-1])[::-1]
-         weights = weights / np.std(weights, ddof=1)
          for (state, action, _), weight in zip(steps, weights):
              gradient[state] -= weight * pi[state]
              gradient[state, action] += weight
          return gradient

      return Agent(lambda theta, states: theta[states], theta, update)
'''),
        needs=GYMNASIUM,
        threads=(
            Thread(
                "Policy gradient implementation gives NaNs when rewards are all 0.", "ray-project/ray#846",
                "https://github.com/ray-project/ray/issues/846",
                "A division by the standard deviation of rewards that are all 0.",
            ),
            Thread(
                "关于learn过程中Nan问题", "MorvanZhou/Reinforcement-learning-with-tensorflow#99",
                "https://github.com/MorvanZhou/Reinforcement-learning-with-tensorflow/issues/99",
                "NaN came from the division of each episode's returns by their standard deviation.",
            ),
        ),
        see=("nonlinear",),
    ),
)  # fmt: skip
