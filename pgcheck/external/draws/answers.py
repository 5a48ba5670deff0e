"""The answers to the random draws of one run.

While a run is under way, whatever draws from a finite set asks here which member of it was drawn, and says how likely
each of them is. The run's probability is the product of the probabilities of what was answered.
"""

import contextlib
import importlib
import math
import os
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import FrameType
from typing import Any

from pgcheck.errors import EstimatorError
from pgcheck.external.draws.endings import ChangedError, Stopped, UnanswerableError
from pgcheck.external.draws.noise import Noise

SAME = 1e-6  # by which a probability may differ when the same draw is asked for again: networks in single precision


@dataclass
class Draw:
    """A draw that could come out in several ways.

    Attributes:
      probs: the probability of each answer; their sum is 1.
      answer: the answer that was given.
    """

    probs: tuple[float, ...]
    answer: int

    def following(self) -> int | None:
        """Returns the next answer that is possible; None after the last one."""
        return next((k for k in range(self.answer + 1, len(self.probs)) if self.probs[k] > 0), None)

    @property
    def width(self) -> int:
        """How many answers are possible."""
        return sum(prob > 0 for prob in self.probs)


class Answers:
    """Answers the draws of one run: first as it is told to, then as `pick` says.

    Attributes:
      draws: the draws so far that could come out in several ways.
      episodes: what each environment of the run went through, in the order in which the episodes began: s_0, then
        the number of each outcome in the MDP's arrays.
      environment: the number of the environment of each episode.
      asked: how many draws were asked for, also those with one possible answer.
      shuffles: how many orders were asked for, of two things or more.
      is_making: whether the agent is still being made: what it draws from a key is then a part of it.
      fault: why the run does not count: an error that may not have come through the code that asked.
      noise: the seeds of what may draw for itself; None where all draws have to be answered.
    """

    noise: Noise | None = None

    def __init__(
        self,
        told: Sequence[Draw] = (),
        pick: Callable[[tuple[float, ...]], int] | None = None,
        order: Callable[[int], list[int]] | None = None,
    ) -> None:
        """`pick` answers draws beyond those told; without it, by the first possible answer.

        `order` gives the order of so many things; without it, each order is one of the answers.
        """
        self.draws: list[Draw] = []
        self.episodes: list[list[int]] = []
        self.environment: list[int] = []
        self.asked = self.shuffles = 0
        self.is_making = False
        self.fault: EstimatorError | None = None
        self._told, self._pick, self._order = told, pick or _first_possible, order
        self._thread = os.getpid(), threading.get_ident()
        self._environments = 0
        self._over = False

    def anew(self) -> "Answers":
        """Returns answers of which no draw has been asked for, told the same as these were."""
        return Answers(self._told, self._pick, self._order)

    def again(self) -> "Answers":
        """Returns the answers that have been given, for the same run once more."""
        return Answers(self.draws, self._pick, self._order)

    def ordered_by(self, order: Callable[[int], list[int]]) -> "Answers":
        """Returns the answers of the same run, but with other orders of what it shuffles."""
        return Answers(self.draws, self._pick, order)

    def end(self) -> None:
        """Takes in nothing more, should the code go on that was stopped; draws that it makes raise `Stopped`."""
        self.episodes = [[*episode] for episode in self.episodes]  # environments hold the others
        self._over = True

    @property
    def probability(self) -> float:
        """The product of the probabilities of the answers."""
        return math.prod(draw.probs[draw.answer] for draw in self.draws)

    def choose(self, weights: Sequence[float]) -> int:
        """Returns one of the numbers 0 to n - 1.

        Args:
          weights: of each number, at least 0; probabilities once they are divided by their sum.

        Raises:
          UnanswerableError: they are no weights, another thread asks, or a run is repeated and asks for other draws.
        """
        total = math.fsum(weights)
        if not 0 < total < math.inf or min(weights) < 0:
            self.refuse(f"a draw has the probabilities {_shown(weights)}; expected numbers of at least 0")
        return self._answered(tuple(float(weight) / total for weight in weights))

    def of_model(self, probs: Sequence[float]) -> int:
        """Returns the same as `choose`, for an environment."""
        return self.choose(probs)

    def act(self, state: int, action: int) -> None:
        """Notes that an environment has taken an action."""

    def uniform(self, n: int) -> int:
        """Returns one of the numbers 0 to n - 1, which are equally likely."""
        return self._answered((1.0 / n,) * n)

    def permutation(self, n: int) -> list[int]:
        """Returns the numbers 0 to n - 1 in an order, all of which are equally likely."""
        self.shuffles += n > 1
        if self._order is not None:
            return self._order(n)
        left = list(range(n))
        return [left.pop(self.uniform(len(left))) for _ in range(n)]

    def subset(self, n: int, size: int) -> list[int]:
        """Returns `size` of the numbers 0 to n - 1 in an order; none of them twice, all equally likely."""
        left = list(range(n))
        return [left.pop(self.uniform(len(left))) for _ in range(size)]

    def refuse(self, message: str) -> None:
        """Raises UnanswerableError, and keeps it: the code that asked may catch it."""
        if self._over:
            raise Stopped
        self.fault = self.fault or UnanswerableError(message)
        raise self.fault

    def new_environment(self) -> int:
        """Returns the number of one more environment."""
        self._environments += 1
        return self._environments - 1

    def new_episode(self, environment: int, start: int) -> list[int]:
        """Returns the list to which an environment adds the numbers of the outcomes of an episode."""
        episode = [start]
        if not self._over:
            self.episodes.append(episode)
            self.environment.append(environment)
        return episode

    def _answered(self, probs: tuple[float, ...]) -> int:
        if self._over:
            raise Stopped
        if (os.getpid(), threading.get_ident()) != self._thread:
            self.refuse("a draw was made in another thread or process: in which order these draw is not repeatable")
        self.asked += 1
        if sum(prob > 0 for prob in probs) == 1:
            return next(k for k, prob in enumerate(probs) if prob > 0)
        place = len(self.draws)
        if place < len(self._told):
            told = self._told[place]
            is_same = len(probs) == len(told.probs) and all(
                abs(prob - before) <= SAME for prob, before in zip(probs, told.probs, strict=True)
            )
            if not is_same:
                self.fault = self.fault or ChangedError(
                    f"draw {place + 1} had the probabilities {_shown(told.probs)}, and when all draws before it came "
                    f"out the same again, {_shown(probs)}: does the agent remember earlier runs?"
                )
                raise self.fault
            self.draws.append(Draw(told.probs, told.answer))
        else:
            self.draws.append(Draw(probs, self._pick(probs)))
        return self.draws[-1].answer


def _first_possible(probs: tuple[float, ...]) -> int:
    return next(k for k, prob in enumerate(probs) if prob > 0)


def _shown(probs: Sequence[float]) -> str:
    shown = ", ".join(f"{prob:.6g}" for prob in probs[:6])
    return f"[{shown}{', ...' if len(probs) > 6 else ''}]"


_UNDER_WAY: list[Answers] = []
_IMPORTS: Any = importlib._bootstrap
_LOADING = _IMPORTS._load_unlocked.__code__
_BEING_IMPORTED: Mapping[str, object] = _IMPORTS._module_locks  # empty while nothing is imported


def under_way() -> Answers | None:
    """Returns the answers of the run that is under way; None where code draws for itself.

    So does a module that is being imported: that happens once, in whichever run it is needed first.
    """
    if not _UNDER_WAY or (_BEING_IMPORTED and _is_importing(sys._getframe(1))):
        return None
    return _UNDER_WAY[-1]


def _is_importing(frame: FrameType | None) -> bool:
    """Whether a frame belongs to an import that the run itself has begun."""
    while frame is not None and frame.f_globals.get("__name__") != "pgcheck.external.run":
        if frame.f_code is _LOADING:
            return True
        frame = frame.f_back
    return False


def asked() -> Answers:
    """Returns the answers of the run that is under way, for what is replaced only while one is.

    Raises:
      UnanswerableError: none is: a thread or a reference has outlived its run.
    """
    answers = under_way()
    if answers is None:
        raise UnanswerableError("a draw was made after the end of its run")
    return answers


@contextlib.contextmanager
def answered_by(answers: Answers) -> Iterator[None]:
    """Lets `answers` answer all draws within the block."""
    _UNDER_WAY.append(answers)
    try:
        yield
    finally:
        _UNDER_WAY.remove(answers)
