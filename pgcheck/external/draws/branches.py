"""All runs of a piece of code, cut into branches: parts of the tree that can be walked apart from each other.

Where it is cut follows from the tree alone: the branches that share the fewest answers are cut first, until there are
enough of them.
"""

import math
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass

from pgcheck.external.draws.answers import Answers, Draw
from pgcheck.external.draws.tree import Branch, check_told

ENOUGH = 64  # branches
MOST_RUNS = 256  # that show where to cut
MOST_NUMBERS = 2**15  # that say how a branch begins


@dataclass(frozen=True)
class _Open:
    """A branch that may be cut.

    Attributes:
      branch: as it is before its first run.
      draws: those of its first run; None as long as that is due.
      whole: whether it stays as it is.
    """

    branch: Branch
    draws: tuple[Draw, ...] | None = None
    whole: bool = False


class Cutting:
    """Finds out where the branches are; it is used as a `Tree` is, and few runs are walked to their end by it.

    Args:
      order: as of `Tree`.

    Attributes:
      done: whether there are enough branches, or no other run.
    """

    def __init__(self, order: Callable[[int], list[int]] | None = None) -> None:
        self.done = False
        self._order = order
        self._open = [_Open(Branch())]
        self._cut = self._cutting()
        self._told = next(self._cut)

    def answers(self) -> Answers:
        """Returns the answers of the next run."""
        return Answers(self._told, order=self._order)

    def completed(self, answers: Answers) -> float:
        """Takes over what a run has drawn, and returns its probability; errors are those of `Tree`."""
        check_told(self._told, answers)
        try:
            self._told = self._cut.send(tuple(answers.draws))
        except StopIteration:
            self.done = True
        return answers.probability

    def branches(self) -> tuple[Branch, ...]:
        """Returns the branches, in the order of their answers, without the runs that were made."""
        branches = []
        for it in self._open:
            told = it.branch.told if it.draws is None else it.branch.after(it.draws)
            if told is not None:
                branches.append(Branch(told, it.branch.fixed, it.branch.last))
        return tuple(branches)

    def _cutting(self) -> Generator[tuple[Draw, ...], tuple[Draw, ...], None]:
        """Yields what the runs are told, one after the other, and is sent their draws."""
        runs = 0
        while len(self._open) < ENOUGH:
            places = [place for place, it in enumerate(self._open) if not it.whole]
            if not places:
                return
            place = min(places, key=lambda place: self._open[place].branch.fixed)
            branch, draws = self._open[place].branch, self._open[place].draws
            if draws is None:
                if runs == MOST_RUNS:
                    return
                runs += 1
                draws = yield branch.told
                self._open[place] = _Open(branch, draws)
            self._open[place : place + 1] = self._parts(branch, draws)

    def _parts(self, branch: Branch, draws: tuple[Draw, ...]) -> list[_Open]:
        """The branches into which the next draw cuts a branch whose first run is known; none where there is none."""
        place = branch.fixed
        if len(draws) == place:
            return []
        before, draw = draws[:place], draws[place]
        others = [k for k in range(draw.answer + 1, len(draw.probs)) if draw.probs[k] > 0]
        each = max(1, math.ceil(len(others) / ENOUGH))  # many answers are as many branches together
        if sum(len(it.probs) for it in draws[: place + 1]) > MOST_NUMBERS:
            return [_Open(branch, draws, whole=True)]
        parts = [_Open(Branch(draws, place + 1), draws)]
        for k in range(0, len(others), each):
            told, last = (*before, Draw(draw.probs, others[k])), others[min(k + each, len(others)) - 1]
            several = last != others[k]
            parts.append(_Open(Branch(told, place, last) if several else Branch(told, place + 1), whole=several))
        return parts


def numbers_of(branches: Sequence[Branch]) -> list[float]:
    """Returns branches as numbers, which `branches_of` reads."""
    numbers: list[float] = []
    for it in branches:
        numbers += [len(it.told), it.fixed, -1 if it.last is None else it.last]
        for draw in it.told:
            numbers += [draw.answer, len(draw.probs), *draw.probs]
    return numbers


def branches_of(numbers: Sequence[float]) -> tuple[Branch, ...]:
    """Returns the branches that numbers say.

    Raises:
      ValueError: they say none.
    """
    branches, at = [], 0

    def take(least: int = 0) -> int:
        nonlocal at
        at += 1
        number = int(numbers[at - 1])
        if number != numbers[at - 1] or number < least:
            raise ValueError
        return number

    try:
        while at < len(numbers):
            length, fixed, last = take(), take(), take(-1)
            told = []
            for _ in range(length):
                answer, width = take(), take(1)
                probs = tuple(float(prob) for prob in numbers[at : at + width])
                at += width
                if not (at <= len(numbers) and min(probs) >= 0 and probs[answer] > 0):
                    raise ValueError
                told.append(Draw(probs, answer))
            if fixed > length or (last >= 0 and fixed == length):
                raise ValueError
            branches.append(Branch(tuple(told), fixed, None if last < 0 else last))
    except IndexError:
        raise ValueError from None
    return tuple(branches)
