# REINFORCE in awk, as a program that pgcheck checks.
#
#   pgcheck verify 'cmd:awk -f examples/programs/reinforce.awk'
#   pgcheck verify 'cmd:awk -v undiscounted=1 -f examples/programs/reinforce.awk'   # without gamma^t: it is named
#
# Where awk is mawk, it needs the option -W interactive, so that it reads line by line.
#
# The first line that comes is the header of a model, then each line is a batch of episodes; another header may follow
# at any time. A batch is answered with one line: a list of gradients, one an episode.
#
# For a softmax with a preference for each state and action, d log pi(a|s) / d theta(s, b) is 1{a = b} - pi(b|s). So
# this is right for the models' own policies, unless states look alike to them.

# The number after a key.
function number_of(text, key) {
  return substr(text, index(text, "\"" key "\":") + length(key) + 3) + 0
}

# The numbers of the list after a key, which ends with `end`, from 1 on; returns how many there are.
function list_of(text, key, end, numbers) {
  text = substr(text, index(text, "\"" key "\":") + length(key) + 3)
  text = substr(text, 1, index(text, end) - 1)
  gsub(/[][ ]/, "", text)
  return split(text, numbers, ",")
}

/"pgcheck":/ {
  gamma = number_of($0, "gamma")
  num_actions = number_of($0, "num_actions")
  size = list_of($0, "probs", "]]", probs)
  next
}

{
  count = split($0, episode, "\"terminated\"") - 1
  printf "["
  for (i = 1; i <= count; i++) {
    list_of(episode[i], "states", "]", states)
    steps = list_of(episode[i], "actions", "]", actions)
    list_of(episode[i], "rewards", "]", rewards)
    for (k = 1; k <= size; k++) gradient[k] = 0
    reward_to_go = 0
    for (t = steps; t >= 1; t--) {
      reward_to_go = rewards[t] + gamma * reward_to_go
      weight = undiscounted ? reward_to_go : gamma ^ (t - 1) * reward_to_go
      row = num_actions * states[t] + 1
      for (b = 0; b < num_actions; b++) gradient[row + b] += weight * ((b == actions[t]) - probs[row + b])
    }
    # A parameter stands for each action that a state has: elsewhere the probability is 0.
    separator = i > 1 ? ", [" : "["
    for (k = 1; k <= size; k++) {
      if (probs[k] > 0) {
        printf "%s%.17g", separator, gradient[k]
        separator = ", "
      }
    }
    printf "]"
  }
  print "]"
  fflush()
}
