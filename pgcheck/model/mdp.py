"""A finite Markov decision process: names, and its outcomes as sparse arrays."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pgcheck.arrays import Bools, Floats, Ints, fields_alone
from pgcheck.displayed import Displayed, drawn
from pgcheck.errors import ModelError, TooLargeError
from pgcheck.model.dense import columns_of, distribution, numbers_of_states
from pgcheck.model.horizon import Cut, horizon_of

PROBABILITY_SLACK = 1e-9 * (1 + 1e-6)  # by which a sum of probabilities may miss 1
INFINITE_KL = "KL(pi || pi_ref) is infinite, because the reference gives an action no probability; leave kl out"
MAX_PAIRS = 20_000_000  # states x actions; every dense table [S, A] then fits in 160 MB


@dataclass(frozen=True, eq=False)
class MDP(Displayed):
    """A finite MDP; a trajectory is s_0, a_0, r_0, s_1, ….

    A trajectory starts in s_0 ~ `start` and ends after an outcome with `done`, on entering a terminal
    state, or after `horizon` steps. Its return is R = Σ_t γ^t r_t.

    Outcomes of one (state, action) that agree in next state, reward and done become one, outcomes of
    probability 0 are dropped, and the rest are sorted and normalised, so that two files that describe one MDP in
    different forms give equal arrays.

    Attributes:
      name: of the model, in reports.
      states, actions: the names, S and A of them.
      horizon: the greatest number of steps, at least 1; math.inf becomes a `Cut`.
      gamma: the discount, 0 to 1.
      start: probability of s_0 `[S]`.
      terminal: states on whose entry an episode ends `[S]`.
      observations: the names that the policy sees, in order of first appearance.
      observation: index into `observations` for each state `[S]`.
      state, action, next_state: the outcomes' ends `[K]`, sorted by state, then action.
      prob: P(outcome | state, action) `[K]`, positive.
      reward: in units of the return `[K]`.
      done: whether the outcome ends the episode `[K]`.
      entropy, kl: α and β, at least 0, of J = E[Σ_t γ^t (r_t + α H(π(·|s_t)) − β KL(π(·|s_t) ‖ π_ref(·|s_t)))].
      reference: π_ref(a|s) `[S, A]`; None where the model has no reference. β needs one.

    Raises:
      ModelError: the arrays do not describe an MDP.
      TooLargeError: more than 20 million (state, action) pairs.
    """

    name: str
    states: tuple[str, ...]
    actions: tuple[str, ...]
    horizon: int
    gamma: float
    start: Floats
    terminal: Bools
    observations: tuple[str, ...]
    observation: Ints
    state: Ints
    action: Ints
    next_state: Ints
    prob: Floats
    reward: Floats
    done: Bools
    entropy: float = 0.0
    kl: float = 0.0
    reference: Floats | None = None

    def __post_init__(self) -> None:
        if self.num_states * self.num_actions > MAX_PAIRS:
            raise TooLargeError(
                f"{self.num_states:,} states x {self.num_actions:,} actions; the limit is {MAX_PAIRS:,} pairs."
            )
        object.__setattr__(self, "horizon", horizon_of(self.horizon))
        self._check()
        for name, value in self._canonical().items():
            value.flags.writeable = False
            object.__setattr__(self, name, value)

    @classmethod
    def from_arrays(
        cls,
        transitions: ArrayLike,
        rewards: ArrayLike,
        *,
        horizon: float,
        gamma: float = 1.0,
        start: int | ArrayLike = 0,
        terminal: ArrayLike = (),
        axes: str = "sat",
        rewards_on: str = "leave",
        states: Sequence[str] | None = None,
        actions: Sequence[str] | None = None,
        observations: Sequence[str] | None = None,
        name: str = "arrays",
    ) -> "MDP":
        """Returns the MDP of dense tables; `TabularSoftmax.of(mdp)` is a policy for it.

        Args:
          transitions: P(s′|s, a) `[S, A, S]`, or in another order of `axes`. A row of zeros is an action that the
            state does not offer.
          rewards: of each state `[S]`, of each state and action `[S, A]`, or in the shape of `transitions`.
          horizon: the greatest number of steps, at least 1, or math.inf.
          gamma: the discount, 0 to 1.
          start: the number of the first state, or the probability of each `[S]`.
          terminal: numbers of the states on whose entry an episode ends, or a mask `[S]`; their rows are ignored.
          axes: the order of the axes of `transitions`: s is the state, a the action, t the next state.
          rewards_on: whether a reward `[S]` is that of the state that a step leaves (`leave`) or enters (`enter`).
          states, actions: names; by default the numbers.
          observations: what the policy sees in each state; by default the state itself.
          name: of the model, in reports.

        Raises:
          ModelError: the arrays do not describe an MDP.
          UsageError: `axes` or `rewards_on` is none of the known words.
        """
        columns = columns_of(transitions, rewards, axes, rewards_on)
        size = columns.num_states
        first = distribution(start, size, name)
        ending = np.zeros(size, dtype=np.bool_)
        ending[numbers_of_states(terminal, size, name, "terminal")] = True
        columns = columns.without(ending)
        names = tuple(map(str, range(size))) if states is None else tuple(states)
        sights = names if observations is None else tuple(observations)
        seen = tuple(dict.fromkeys(sights))
        place = {sight: number for number, sight in enumerate(seen)}
        sight = np.array([place[sight] for sight in sights], dtype=np.int64)
        return cls(
            name, names, tuple(map(str, range(columns.num_actions))) if actions is None else tuple(actions),
            horizon_of(horizon), gamma, first, ending, seen, sight, columns.state, columns.action, columns.next_state,
            columns.prob, columns.reward, np.zeros(len(columns.prob), dtype=np.bool_),
        )  # fmt: skip

    __getstate__ = fields_alone

    def __repr__(self) -> str:
        return (
            f"MDP({self.name!r}: {self.num_states} states, {self.num_actions} actions, {len(self.prob)} outcomes, "
            f"horizon {'inf' if self.is_endless else self.horizon}, gamma {self.gamma:g})"
        )

    def plot(self, policy: Any = None) -> Any:
        """Returns the model as a graph, with arrows as wide as a `Policy` makes their actions likely.

        By default all actions of a state are alike. Result and errors are those of `displayed.Plotted.plot`.
        """
        return drawn(self, policy)

    @property
    def is_endless(self) -> bool:
        """Whether no horizon ends an episode; `horizon` is then where it is cut."""
        return isinstance(self.horizon, Cut)

    @property
    def num_states(self) -> int:
        """S."""
        return len(self.states)

    @property
    def num_actions(self) -> int:
        """A."""
        return len(self.actions)

    @cached_property
    def available(self) -> Bools:
        """Whether a state offers an action `[S, A]`."""
        available = np.zeros((self.num_states, self.num_actions), dtype=np.bool_)
        available[self.state, self.action] = True
        return available

    @cached_property
    def ends(self) -> Bools:
        """Whether an outcome ends the episode, by `done` or by entering a terminal state `[K]`."""
        return self.done | self.terminal[self.next_state]

    @property
    def padding(self) -> int:
        """K, which is no outcome's number: in lists of outcomes it fills the steps beyond a trajectory's end."""
        return len(self.prob)

    @cached_property
    def offset(self) -> Ints:
        """The first outcome of each state; those of state s are `offset[s]:offset[s + 1]` `[S + 1]`."""
        return np.searchsorted(self.state, np.arange(self.num_states + 1)).astype(np.int64)

    def with_rewards(self, reward: Floats) -> "MDP":
        """Returns the same outcomes with other rewards `[K]`, without entropy and KL; they keep their numbers."""
        other = object.__new__(MDP)
        for field in fields(self):
            object.__setattr__(other, field.name, getattr(self, field.name))
        reward = np.array(reward, dtype=np.float64)
        reward.flags.writeable = False
        for name, value in (("reward", reward), ("entropy", 0.0), ("kl", 0.0)):
            object.__setattr__(other, name, value)
        return other

    def _check(self) -> None:
        """Raises ModelError where the arrays do not describe an MDP."""

        def expect(holds: object, problem: str) -> None:
            if not holds:
                raise ModelError(f"{self.name}: {problem}")

        s, a = self.num_states, self.num_actions
        expect(s >= 1 and a >= 1, "at least one state and one action are needed")
        whole = self.horizon >= 1 and self.horizon % 1 == 0
        expect(whole, f"horizon {self.horizon} is not a whole number of at least 1, or inf")
        expect(0 <= self.gamma <= 1, f"gamma {self.gamma} is not between 0 and 1")
        one_a_state = self.start.shape == self.terminal.shape == self.observation.shape == (s,)
        expect(one_a_state, "start, terminal and observation need one entry a state")
        expect(self.entropy >= 0 and self.kl >= 0, f"entropy {self.entropy} and kl {self.kl} have to be at least 0")
        expect(not self.kl or self.reference is not None, "kl needs a reference policy")
        fits = self.reference is None or self.reference.shape == (s, a)
        expect(fits, "reference needs one entry a state and action")
        shape = self.state.shape
        columns = (self.action, self.next_state, self.prob, self.reward, self.done)
        expect(all(c.shape == shape for c in columns), "the outcome arrays differ in length")
        for column, index, size in (
            ("state", self.state, s),
            ("action", self.action, a),
            ("next_state", self.next_state, s),
            ("observation", self.observation, len(self.observations)),
        ):
            expect(np.all((index >= 0) & (index < size)), f"{column} holds an index outside 0..{size - 1}")
        if self.kl and self.reference is not None:
            expect(np.all(self.reference[self.state, self.action] > 0), INFINITE_KL)
        expect(np.all(np.isfinite(self.reward)), "a reward is not finite")
        expect(np.all(self.prob >= 0) and np.all(self.start >= 0), "a probability is negative")
        expect(abs(self.start.sum() - 1) <= 2 * PROBABILITY_SLACK, "start does not sum to 1")
        expect(not np.any(self.terminal[self.state]), "a terminal state has outcomes")
        acting = np.zeros(s, dtype=np.bool_)
        acting[self.state] = True
        expect(np.all(acting | self.terminal), "a state that is not terminal has no action")

    def _order(self) -> Ints:
        """The outcomes of positive probability, sorted by state, action, next state, reward and done."""
        kept = np.flatnonzero(self.prob > 0)
        ends = ((self.state * self.num_actions + self.action) * self.num_states + self.next_state)[kept]
        if np.all(ends[1:] > ends[:-1]):
            return kept
        order = np.argsort(ends, kind="stable")
        if np.any(ends[order[1:]] == ends[order[:-1]]):  # rewards and done decide between outcomes of equal ends
            order = np.lexsort([self.done[kept], self.reward[kept], ends])
        return np.asarray(kept[order])

    def _canonical(self) -> dict[str, NDArray[np.generic]]:
        """The arrays sorted, merged and normalised."""
        order = self._order()
        state, action, next_state = self.state[order], self.action[order], self.next_state[order]
        prob, reward, done = self.prob[order], self.reward[order] + 0.0, self.done[order]  # -0.0 is 0.0
        if len(prob):
            columns = (state, action, next_state, reward, done)
            first = np.flatnonzero(np.r_[True, np.any([c[1:] != c[:-1] for c in columns], axis=0)])
            prob = np.add.reduceat(prob, first)
            state, action, next_state = state[first], action[first], next_state[first]
            reward, done = reward[first], done[first]
            row = np.flatnonzero(np.r_[True, (state[1:] != state[:-1]) | (action[1:] != action[:-1])])
            total = np.add.reduceat(prob, row)
            # A model file is checked before, with the place of the error; the sums here may differ in the last digit.
            if np.any(np.abs(total - 1) > 2 * PROBABILITY_SLACK):
                raise ModelError(f"{self.name}: the outcomes of an action do not sum to 1")
            # A sum that misses 1 by rounding alone is left as it is: dividing by it would only change last digits.
            total[np.abs(total - 1) < 1e-15] = 1.0
            prob = prob / np.repeat(total, np.diff(np.r_[row, len(prob)]))
        mass = self.start.sum()
        start = self.start.copy() if abs(mass - 1) < 1e-15 else self.start / mass
        return {
            "start": start, "terminal": self.terminal.copy(), "observation": self.observation.copy(),
            "state": state, "action": action, "next_state": next_state, "prob": prob, "reward": reward, "done": done,
            **({} if self.reference is None else {"reference": self.reference.copy()}),
        }  # fmt: skip
