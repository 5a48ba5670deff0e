"""A finite MDP as a Gymnasium environment, whose draws are answered while a run is under way.

gymnasium is imported here: what can do without it imports this file where it is needed.
"""

from bisect import bisect_right
from typing import Any

import numpy as np

from pgcheck.arrays import Bools, Floats
from pgcheck.errors import EstimatorError, ModelError, UsageError
from pgcheck.external.choices import Choice, OutcomeTable, number_of, outcome_table
from pgcheck.external.draws.answers import Answers, under_way
from pgcheck.external.observations import Observations, masks_of, observations_of
from pgcheck.model.mdp import MDP

try:
    import gymnasium
    from gymnasium import spaces
except ModuleNotFoundError as error:
    if error.name != "gymnasium":
        raise
    raise UsageError("an environment needs gymnasium: pip install 'pgcheck[gymnasium]'") from None

TIME_LIMITS = ("truncated", "terminated")
RENDER_MODES = ("ansi",)


class Environment(gymnasium.Env[Any, Any]):
    """Episodes of an MDP, one step at a time; made by `environment_of`.

    While a run is under way, its answers say how draws come out, and its record has each episode: s_0, and the number
    of each step's outcome. Idle steps (`pad`) are not recorded: an episode of the record whose last outcome is one of
    `mdp.ends` is over, whether the environment idled afterwards or not. Outside of runs `np_random` draws.

    Attributes:
      mdp: rewards are those of its outcomes; `gamma` is for those who ask for it.
      observation_rows: what each state shows `[S, ...]`.
      masks: which actions each observation offers, by its number `[O, A]`.
      state_names, action_names: the names of the model.
      state_observations: the name of what each state shows.
    """

    metadata: dict[str, Any] = {"render_modes": [*RENDER_MODES], "render_fps": 4}  # noqa: RUF012 - as gymnasium declares it

    def __init__(
        self,
        mdp: MDP,
        observations: Observations,
        *,
        time_limit: str,
        pad: bool,
        render_mode: str | None,
    ) -> None:
        self.mdp, self.gamma, self.horizon = mdp, mdp.gamma, mdp.horizon
        self.state_names, self.action_names = mdp.states, mdp.actions
        self.state_observations = tuple(mdp.observations[seen] for seen in mdp.observation.tolist())
        self.observation_rows, low, high = observations
        self.masks = masks_of(mdp)
        self.observation_space = (
            spaces.Discrete(len(mdp.observations))
            if self.observation_rows.ndim == 1
            else spaces.Box(low, high, self.observation_rows.shape[1:], np.float32)
        )
        self.action_space = spaces.Discrete(mdp.num_actions)
        self.render_mode = render_mode
        self._pad, self._limit_terminates = pad, time_limit == "terminated"
        self._starts = np.flatnonzero(mdp.start)
        self._start = Choice.of(0, mdp.start[self._starts])
        self._choices: dict[tuple[int, int], Choice] = {}
        self._answers: Answers | None = None  # of the run in which the present episode began
        self._number = 0  # of this environment in that run
        self._episode: list[int] | None = None
        self._state, self._steps = -1, 0
        self._active = False  # a step may be taken
        self._idle = False

    def __repr__(self) -> str:
        return f"Environment({self.mdp!r})"

    def __getstate__(self) -> dict[str, Any]:
        """A copy leaves the run and its record behind: they are not its own."""
        return {**self.__dict__, "_answers": None, "_episode": None}

    @property
    def P(self) -> OutcomeTable:  # noqa: N802 - as in Gymnasium
        """Its table, `P[s][a] = [(p, s', r, done), ...]`."""
        return outcome_table(self.mdp)

    @property
    def s(self) -> int:
        """The number of the present state; -1 before the first reset."""
        return self._state

    @property
    def initial_state_distrib(self) -> Floats:
        """The probability of each state to be the first `[S]`."""
        return self.mdp.start.copy()

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Draws s_0 and returns what it shows, and in `info["action_mask"]` what it offers; there are no options."""
        super().reset(seed=seed)
        answers = under_way()
        if answers is not self._answers:
            self._answers = answers
            self._number = 0 if answers is None else answers.new_environment()
        self._active = False
        self._state = int(self._starts[self._drawn(self._start, answers)])
        self._episode = None if answers is None else answers.new_episode(self._number, self._state)
        self._steps, self._active, self._idle = 0, True, bool(self.mdp.terminal[self._state])
        return self._shown(), self._info()

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """Takes an action, and returns what the next state shows, r_t, terminated, truncated and info.

        Raises:
          EstimatorError: no episode is under way, or it began in another run; or the state does not offer the action.
        """
        answers = under_way()
        if not self._active or answers is not self._answers:
            self._refuse(answers)
        reward, ended = 0.0, False
        if not self._idle:
            choice = self._offered(action)
            outcome = choice.first + self._drawn(choice, answers)
            if self._episode is not None and answers is not None:
                answers.act(self._state, int(self.mdp.action[outcome]))
                self._episode.append(outcome)
            self._state = int(self.mdp.next_state[outcome])
            reward, ended = float(self.mdp.reward[outcome]), bool(self.mdp.ends[outcome])
        self._steps += 1
        if self._pad:
            self._idle, ended = self._idle or ended, False
        cut = self._steps == self.horizon and not ended
        self._active = not (ended or cut)
        return (
            self._shown(), reward, ended or (cut and self._limit_terminates), cut and not self._limit_terminates,
            self._info(),
        )  # fmt: skip

    def action_masks(self) -> Bools:
        """Returns which actions the present state offers `[A]`; all, where the action makes no difference."""
        if self._state < 0 or self._idle or self.mdp.terminal[self._state]:
            return np.ones(self.mdp.num_actions, dtype=np.bool_)
        return np.array(self.masks[self.mdp.observation[self._state]])

    def render(self) -> str | None:
        """Returns the name of the present state, with `render_mode="ansi"`."""
        if self.render_mode is None:
            return None
        if self._state < 0:
            raise EstimatorError(f"{self.mdp.name}: render before the first reset; call env.reset() first")
        return self.mdp.states[self._state]

    def _shown(self) -> Any:
        """What the present state shows: a new object each time, which may be kept and changed."""
        return self.observation_rows[self._state].copy()

    def _info(self) -> dict[str, Any]:
        return {"action_mask": self.action_masks().astype(np.int8)}

    def _drawn(self, choice: Choice, answers: Answers | None) -> int:
        if answers is not None:
            return answers.of_model(choice.probs)
        if len(choice.probs) == 1:
            return 0
        return bisect_right(choice.sums, self.np_random.random() * choice.sums[-1])

    def _offered(self, action: Any) -> Choice:
        """The outcomes of an action in the present state."""
        mdp, state, number = self.mdp, self._state, number_of(action)
        if number is None or not 0 <= number < mdp.num_actions:
            raise EstimatorError(f"{mdp.name}: action {action!r}; expected a number from 0 to {mdp.num_actions - 1}")
        choice = self._choices.get((state, number))
        if choice is None:
            begin, end = mdp.offset[state], mdp.offset[state + 1]
            first, last = begin + np.searchsorted(mdp.action[begin:end], [number, number + 1])
            if first == last:
                names = ", ".join(f"{mdp.actions[a]} ({a})" for a in np.flatnonzero(mdp.available[state])[:10])
                raise EstimatorError(
                    f"{mdp.name}: state {mdp.states[state]} does not offer action {mdp.actions[number]} ({number}); "
                    f"it offers {names}.\n  Mask the logits: env.action_masks() and info['action_mask'] say which "
                    "actions a state offers."
                )
            choice = self._choices[state, number] = Choice.of(int(first), mdp.prob[first:last])
        return choice

    def _refuse(self, answers: Answers | None) -> None:
        """Raises the error of a step that belongs to no episode."""
        name = self.mdp.name
        if self._state < 0:
            raise EstimatorError(f"{name}: step before the first reset; call env.reset() first")
        if not self._active:
            raise EstimatorError(
                f"{name}: step after the end of an episode, which ended after step {self._steps} in state "
                f"{self.mdp.states[self._state]}; call env.reset() where terminated or truncated is True"
            )
        if answers is None:
            raise EstimatorError(
                f"{name}: the episode under way is part of a run that is over; call env.reset() first"
            )
        answers.refuse(
            f"{name}: a step of an episode that began outside of this run; call env.reset() at the start of each run"
        )


def environment_of(
    mdp: MDP,
    *,
    observation: str = "index",
    time_limit: str = "truncated",
    pad: bool = False,
    features: Floats | None = None,
    render_mode: str | None = None,
) -> Environment:
    """Returns the environment of an MDP.

    Args:
      mdp: the model.
      observation, features: what it shows of a state, as `observations_of` has it.
      time_limit: the flag by which an episode ends that the horizon cuts off.
      pad: whether all episodes take `horizon` steps, and end by the time limit's flag: an episode that is over idles
        with reward 0, shows what it showed last, and takes any action.
      render_mode: "ansi" or None.

    Raises:
      UsageError: an argument is none of the known words, or the model has no such observations.
      ModelError: an episode may start in a terminal state, and `pad` is False.
      TooLargeError: the rows of all states would not fit in memory.
    """
    if time_limit not in TIME_LIMITS:
        raise UsageError(f"time_limit {time_limit!r}; expected {' or '.join(TIME_LIMITS)}")
    if render_mode is not None and render_mode not in RENDER_MODES:
        raise UsageError(f"render_mode {render_mode!r}; expected None or {' or '.join(RENDER_MODES)}")
    over = np.flatnonzero((mdp.start > 0) & mdp.terminal)
    if len(over) and not pad:
        raise ModelError(
            f"{mdp.name}: an episode may start in the terminal state {mdp.states[over[0]]}, and has no step then; an "
            "environment has no such episodes.\n  With pad=True it idles there; or choose another start."
        )
    seen = observations_of(mdp, observation, features)
    return Environment(mdp, seen, time_limit=time_limit, pad=pad, render_mode=render_mode)
