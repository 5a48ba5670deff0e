"""Answers that are drawn at random, by their probabilities: for code that makes draws which cannot be listed."""

import os
from collections.abc import Callable
from typing import TypeVar

import numpy as np

from pgcheck.external.draws.answers import Answers, Stopped
from pgcheck.external.draws.noise import Noise

Drawn = TypeVar("Drawn")

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
    """

    noise: Noise

    def __init__(self, seed: int, number: int) -> None:
        super().__init__()
        self.noise = Noise(seed, number)
        self._of = seed, number
        self._bits = _TYPES[1](self.noise.derived(b"answers"))
        self._numbers: list[int] = []

    def anew(self) -> "DrawnAnswers":
        """Returns the answers of the same run, of which no draw has been asked for."""
        return DrawnAnswers(*self._of)

    def uniform(self, n: int) -> int:
        """Returns one of the numbers 0 to n − 1, however many they are."""
        self._note()
        number = 0
        for _ in range(1 + n.bit_length() // 48):  # what is left over is less than 2^−16 of 2^−48
            number = number << 64 | self._raw()
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
