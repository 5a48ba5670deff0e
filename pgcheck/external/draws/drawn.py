"""Answers that are drawn at random, by their probabilities: for code that makes draws which cannot be listed."""

import collections
import os
from collections.abc import Callable, Sequence
from typing import TypeVar

import numpy as np

from pgcheck.arrays import Floats
from pgcheck.external.draws.answers import SAME, Answers
from pgcheck.external.draws.endings import Stopped
from pgcheck.external.draws.noise import Noise

Drawn = TypeVar("Drawn")

FEW = 1000  # of as many actions as this a draw may choose one
_BLOCK = 64  # numbers that are drawn at once
_UNIT = 2.0**-53
_TYPES = (np.random.Generator, np.random.PCG64)  # in a tuple: names of modules are replaced during a run


class DrawnAnswers(Answers):
    """Answers the draws of one run at random, and lets draw for itself what cannot be answered.

    All that is drawn follows from the seed and the number of the run.

    Args:
      seed: of all runs.
      number: of this one.

    Attributes:
      noise: the seeds of what draws for itself.
      actions: of each step of an environment, the state, the action, and the draw that comes next of those which the
        agent has made: the probabilities and the answer; None where it has made none.
    """

    noise: Noise

    def __init__(self, seed: int, number: int) -> None:
        super().__init__()
        self.noise = Noise(seed, number)
        self._of = seed, number
        self._bits = _TYPES[1](self.noise.derived(b"answers"))
        self._numbers: list[int] = []
        self.actions: list[tuple[int, int, tuple[tuple[float, ...], int] | None]] = []
        self._drawn: collections.deque[tuple[tuple[float, ...], int]] = collections.deque()

    def anew(self) -> "DrawnAnswers":
        """Returns the answers of the same run, of which no draw has been asked for."""
        return DrawnAnswers(*self._of)

    def of_model(self, probs: Sequence[float]) -> int:
        """Returns the same as `choose`, for an environment."""
        self._note()
        return self._picked(probs)

    def act(self, state: int, action: int) -> None:
        """Notes that an environment has taken an action."""
        self.actions.append((state, action, self._drawn.popleft() if self._drawn else None))

    def follows(self, policy: Floats) -> bool:
        """Whether each action is the answer to a draw by the probabilities of a policy `[S, A]`, one for each."""
        return all(
            draw is not None and draw[1] == action and len(draw[0]) == policy.shape[1]
            and bool(np.all(np.abs(policy[state] - draw[0]) <= SAME))
            for state, action, draw in self.actions
        )  # fmt: skip

    def uniform(self, n: int) -> int:
        """Returns one of the numbers 0 to n − 1, however many they are."""
        self._note()
        number = 0
        for _ in range(1 + n.bit_length() // 48):  # what is left over is less than 2^−16 of 2^−48
            number = number << 64 | self._raw()
        self._drawn.append(((1 / n,) * n if n <= FEW else (), number % n))
        return number % n

    def permutation(self, n: int) -> list[int]:
        """Returns the numbers 0 to n − 1 in an order, all of which are equally likely."""
        self._note()
        self.shuffles += n > 1
        keys = [self._raw() for _ in range(n)]
        return sorted(range(n), key=keys.__getitem__)

    def by(self, draw: Callable[[np.random.Generator], Drawn]) -> Drawn:
        """Returns what a generator of the run draws."""
        self._note()
        return draw(_TYPES[0](self._bits))

    def _answered(self, probs: tuple[float, ...]) -> int:
        self._note()
        self._drawn.append((probs, self._picked(probs)))
        return self._drawn[-1][1]

    def _picked(self, probs: Sequence[float]) -> int:
        left = (self._raw() >> 11) * _UNIT
        last = 0
        for k, prob in enumerate(probs):
            if prob > 0:
                left, last = left - prob, k
                if left < 0:
                    break
        return last

    def _note(self) -> None:
        """Counts a draw; several threads may draw, in whatever order, but no other process can."""
        if self._over:
            raise Stopped
        if os.getpid() != self._thread[0]:
            self.refuse("a draw was made in another process: what the environment does there is not seen here")
        self.asked += 1

    def _raw(self) -> int:
        if not self._numbers:
            self._numbers = self._bits.random_raw(_BLOCK).tolist()
        return self._numbers.pop()
