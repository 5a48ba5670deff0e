"""The gradient of each trajectory that `pgcheck trajectories --header MODEL` prints, a line each.

    pgcheck trajectories --header two_state | python examples/programs/each_line.py | pgcheck verify - two_state

REINFORCE with rewards to go: sum_t gamma^t G_t grad log pi(a_t|s_t). With the argument `undiscounted`, gamma^t is
left out. It is right where each state has preferences of its own, so that the score is 1{a} - pi(a|s).
"""

import json
import sys

header = json.loads(sys.stdin.readline())
gamma, probs = header["gamma"], header["probs"]
pairs = [(s, a) for s, row in enumerate(probs) for a, p in enumerate(row) if p > 0]  # in the order of `parameters`

for line in sys.stdin:
    episode = json.loads(line)
    gradient = [0.0] * len(pairs)
    to_go = 0.0
    for t in reversed(range(len(episode["actions"]))):
        state, action = episode["states"][t], episode["actions"][t]
        to_go = episode["rewards"][t] + gamma * to_go
        weight = to_go if "undiscounted" in sys.argv else gamma**t * to_go
        for k, (s, a) in enumerate(pairs):
            if s == state:
                gradient[k] += weight * ((a == action) - probs[s][a])
    print(json.dumps(gradient))
