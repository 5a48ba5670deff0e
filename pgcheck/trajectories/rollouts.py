"""Rollouts one by one: many side by side, one uniform number for each step of each rollout."""

import itertools
from dataclasses import dataclass

import numpy as np

from pgcheck.arrays import Floats, Ints
from pgcheck.errors import TooLargeError
from pgcheck.trajectories.tree import Tree

MAX_REMEMBERED_STEPS = 2**27  # steps that may be kept at once: 1 GB


@dataclass(frozen=True, eq=False, slots=True)
class Phase:
    """Consecutive steps of rollouts, as long as the same rollouts go on.

    Attributes:
      rollouts: their numbers `[m]`.
      slots: for each step, the slot of the alias tables that each of them drew `[m]`.
    """

    rollouts: Ints
    slots: list[Ints]


class AliasTables:
    """Draws an outcome of a state, π(a|s) P(outcome|s, a), from one uniform number (Walker's alias method).

    A state with k outcomes has k slots. u·k falls in a slot; its fraction decides between the slot's own
    outcome and its alias. The two outcomes of slot j are entries 2j (alias) and 2j + 1 (own) of the tables.
    One more state, with one slot that leads to itself and has reward 0, holds the rollouts that have ended; its
    outcome is number K.
    See Walker (1977), https://doi.org/10.1145/355744.355749
    """

    def __init__(self, tree: Tree) -> None:
        mdp = tree.mdp
        ended = len(mdp.prob)
        own = np.arange(ended + 1)
        alias = own.copy()
        cut = np.ones(ended + 1)
        joint = tree.probs[mdp.state, mdp.action] * mdp.prob
        offset = mdp.offset.tolist()
        for lo, hi in itertools.pairwise(offset):
            if hi - lo > 1:
                cut[lo:hi], alias[lo:hi] = _alias_table(joint[lo:hi], lo)
        width = np.r_[np.diff(mdp.offset), 1]
        self.mdp = mdp
        self.width = width.astype(np.float64)
        self.offset = mdp.offset
        self.cut = own - np.repeat(mdp.offset, width) + cut
        self.outcome = np.stack([alias, own], axis=1).ravel()
        self.next_state = np.r_[np.where(mdp.ends, mdp.num_states, mdp.next_state), mdp.num_states][self.outcome]
        self.reward = np.r_[mdp.reward, 0.0][self.outcome]

    def roll(self, rng: np.random.Generator, state: Ints, returns: Floats, depth: int) -> tuple[Floats, list[Phase]]:
        """Returns each rollout's return `[n]`, and the steps of all rollouts.

        Args:
          rng: the source of one uniform number for each rollout and step.
          state: the state of each rollout `[n]`.
          returns: its discounted rewards so far `[n]`.
          depth: the number of steps it has taken.

        Raises:
          TooLargeError: the steps take more than 1 GB to remember.
        """
        total = returns.copy()
        so_far = returns
        here = np.arange(len(state))
        phases = [Phase(here, [])]
        steps = 0
        for t in range(depth, self.mdp.horizon):
            u = rng.random(len(state))
            u *= np.take(self.width, state, mode="clip")
            slot = u.astype(np.int64)
            slot += np.take(self.offset, state, mode="clip")
            own = u < np.take(self.cut, slot, mode="clip")
            slot *= 2
            slot += own
            so_far = so_far + self.mdp.gamma**t * np.take(self.reward, slot, mode="clip")
            state = np.take(self.next_state, slot, mode="clip")
            phases[-1].slots.append(slot)
            steps += len(state)
            if steps > MAX_REMEMBERED_STEPS:
                raise TooLargeError(
                    f"{len(total):,} rollouts take {t + 1:,} steps without an end in sight, over 1 GB to "
                    f"remember.\n  Lower the horizon from {self.mdp.horizon:,}."
                )
            going = state != self.mdp.num_states
            if np.count_nonzero(going) < 0.75 * len(going):  # a few ended rollouts cost less than sorting them out
                total[here] = so_far
                kept = np.flatnonzero(going)
                here, state, so_far = here[kept], state[kept], so_far[kept]
                if not len(here):
                    break
                phases.append(Phase(here, []))
        total[here] = so_far
        return total, [phase for phase in phases if phase.slots]


def _alias_table(prob: Floats, lo: int) -> tuple[Floats, Ints]:
    """The share of each slot's own outcome, and the outcome that has the rest: the alias (Vose 1991)."""
    k = len(prob)
    share = (prob * (k / prob.sum())).tolist()
    alias = list(range(lo, lo + k))
    small = [j for j in range(k) if share[j] < 1.0]
    large = [j for j in range(k) if share[j] >= 1.0]
    while small and large:
        j, donor = small.pop(), large[-1]
        alias[j] = lo + donor
        share[donor] -= 1.0 - share[j]
        if share[donor] < 1.0:
            small.append(large.pop())
    for j in small + large:  # these shares are 1 but for rounding
        share[j] = 1.0
    return np.array(share), np.array(alias)
