"""A model as a graph: its states, an edge for each outcome, and how likely the policy makes it."""

import heapq
from dataclasses import dataclass

import numpy as np

from pgcheck.arrays import Floats
from pgcheck.model.mdp import MDP
from pgcheck.model.policy import Policy


@dataclass(frozen=True)
class Node:
    """A state.

    Attributes:
      name: of the state.
      sight: what the policy sees there; None where it has the state's name.
      start: the probability that an episode starts there.
      is_terminal: whether an episode ends there.
    """

    name: str
    sight: str | None
    start: float
    is_terminal: bool


@dataclass(frozen=True)
class Edge:
    """An outcome of an action.

    Attributes:
      source, target: the numbers of its ends in `ModelGraph.nodes`.
      action: the number of the action in `ModelGraph.actions`.
      prob: P(outcome | state, action).
      reward: of the outcome.
      policy: π(action | state).
      done: whether the episode ends with it, whatever the target is.
    """

    source: int
    target: int
    action: int
    prob: float
    reward: float
    policy: float
    done: bool


@dataclass(frozen=True)
class ModelGraph:
    """A model, or the likeliest part of it, as a graph.

    Attributes:
      name: of the model.
      actions: the names of all actions.
      nodes: the states that are shown, in the order of the model.
      edges: the outcomes between them, in the order of the model.
      states, outcomes: how many the whole model has.
    """

    name: str
    actions: tuple[str, ...]
    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...]
    states: int
    outcomes: int

    @property
    def is_whole(self) -> bool:
        """Whether every state and every outcome is shown."""
        return len(self.nodes) == self.states and len(self.edges) == self.outcomes


def model_graph(mdp: MDP, policy: Policy, *, most_states: int, most_edges: int) -> ModelGraph:
    """Returns a model as a graph.

    Args:
      mdp, policy: the model.
      most_states: of a larger model, only so many states are shown: those with the likeliest way from the start.
      most_edges: of more outcomes between these, only those that are likeliest where they can occur.
    """
    probs = policy.probs()
    shown = range(mdp.num_states) if mdp.num_states <= most_states else _likeliest(mdp, probs, most_states)
    number = {state: k for k, state in enumerate(shown)}
    nodes = [
        Node(name, None if sight == name else sight, float(mdp.start[s]), bool(mdp.terminal[s]))
        for s in shown
        for name, sight in [(mdp.states[s], mdp.observations[mdp.observation[s]])]
    ]
    inside = np.zeros(mdp.num_states, dtype=np.bool_)
    inside[list(shown)] = True
    outcomes = np.flatnonzero(inside[mdp.state] & inside[mdp.next_state])
    likelihood = mdp.prob[outcomes] * probs[mdp.state[outcomes], mdp.action[outcomes]]
    outcomes = np.sort(outcomes[np.argsort(-likelihood, kind="stable")[:most_edges]])
    columns = (mdp.state, mdp.next_state, mdp.action, mdp.prob, mdp.reward, mdp.done)
    edges = [
        Edge(number[s], number[to], a, p, reward, float(probs[s, a]), done)
        for s, to, a, p, reward, done in zip(*(column[outcomes].tolist() for column in columns), strict=True)
    ]
    return ModelGraph(mdp.name, mdp.actions, tuple(nodes), tuple(edges), mdp.num_states, len(mdp.prob))


def _likeliest(mdp: MDP, probs: Floats, most: int) -> list[int]:
    """The states whose likeliest way from the start is likeliest, sorted; states of equal rank by number.

    Dijkstra's algorithm with products of probabilities; it looks at no more states than it returns.
    """
    queue = [(-float(mdp.start[s]), int(s)) for s in np.flatnonzero(mdp.start)]
    heapq.heapify(queue)
    found: set[int] = set()
    while queue and len(found) < most:
        likelihood, state = heapq.heappop(queue)
        if state in found:
            continue
        found.add(state)
        for k in range(mdp.offset[state], mdp.offset[state + 1]):
            to = int(mdp.next_state[k])
            if to not in found:
                step = float(mdp.prob[k] * probs[state, mdp.action[k]])
                heapq.heappush(queue, (likelihood * step, to))
    return sorted(found)
