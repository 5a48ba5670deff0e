"""All runs of a collector of steps, by plain recursion over an MDP: what tests hold agents against."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from pgcheck import MDP
from pgcheck.arrays import Floats


@dataclass(frozen=True)
class Step:
    """One step of an episode, as a loop sees it."""

    state: int
    action: int
    reward: float
    following: int
    terminated: bool
    truncated: bool

    @property
    def done(self) -> bool:
        return self.terminated or self.truncated


Steps = Sequence[Step]
Field = Callable[[Steps], Floats]  # from a run's steps to the weight of ∇log π of each of them


def outcomes(mdp: MDP, state: int) -> Iterator[tuple[int, float, float, int, bool]]:
    """Yields the action, its outcome's probability, reward and next state, and whether it ends the episode."""
    for k in range(mdp.offset[state], mdp.offset[state + 1]):
        yield int(mdp.action[k]), float(mdp.prob[k]), float(mdp.reward[k]), int(mdp.next_state[k]), bool(mdp.ends[k])


def windows(mdp: MDP, probs: Floats, length: int, *, idles: bool = False) -> Iterator[tuple[float, list[Step]]]:
    """Yields the probability and steps of each run that collects so many of them, over several episodes.

    Args:
      mdp: the model.
      probs: π `[S, A]`.
      length: how many steps.
      idles: whether the first step after an episode is spent on the reset, as Gymnasium's vector environments do.
    """

    def from_state(state: int, time: int, left: int) -> Iterator[tuple[float, list[Step]]]:
        if left == 0:
            yield 1.0, []
            return
        for action, prob, reward, following, ends in outcomes(mdp, state):
            step = Step(state, action, reward, following, ends, not ends and time + 1 == mdp.horizon)
            weight = probs[state, action] * prob
            rest = from_start(left - 1 - idles) if step.done else from_state(following, time + 1, left - 1)
            yield from ((weight * p, [step, *steps]) for p, steps in rest)

    def from_start(left: int) -> Iterator[tuple[float, list[Step]]]:
        if left <= 0:
            yield 1.0, []
            return
        for state in np.flatnonzero(mdp.start):
            yield from ((mdp.start[state] * p, steps) for p, steps in from_state(int(state), 0, left))

    return from_start(length)


def episodes(mdp: MDP, probs: Floats) -> Iterator[tuple[float, list[Step]]]:
    """Yields the probability and steps of each episode."""

    def from_state(state: int, time: int) -> Iterator[tuple[float, list[Step]]]:
        for action, prob, reward, following, ends in outcomes(mdp, state):
            step = Step(state, action, reward, following, ends, not ends and time + 1 == mdp.horizon)
            rest = [(1.0, [])] if step.done else from_state(following, time + 1)
            yield from ((probs[state, action] * prob * p, [step, *steps]) for p, steps in rest)

    for state in np.flatnonzero(mdp.start):
        yield from ((mdp.start[state] * p, steps) for p, steps in from_state(int(state), 0))


def expectation(runs: Iterator[tuple[float, list[Step]]], probs: Floats, field: Field) -> Floats:
    """Returns E[Σ weight_t ∂log π(a_t|s_t)/∂logits] `[S, A]`."""
    total = np.zeros_like(probs)
    mass = 0.0
    for prob, steps in runs:
        mass += prob
        for step, weight in zip(steps, field(steps), strict=True):
            total[step.state] -= prob * weight * probs[step.state]
            total[step.state, step.action] += prob * weight
    assert abs(mass - 1) < 1e-12
    return total


def returns(steps: Steps, gamma: float) -> Floats:
    """Returns the discounted reward from each step of an episode on."""
    return np.array(
        [sum(gamma ** (k - t) * steps[k].reward for k in range(t, len(steps))) for t in range(len(steps))]
    )
