"""An agent on a model, run for every way in which its draws can come out."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from pgcheck.errors import EstimatorError
from pgcheck.external.agents import AgentFunction
from pgcheck.external.draws.answers import Answers
from pgcheck.external.draws.branches import Cutting
from pgcheck.external.draws.drawn import DrawnAnswers
from pgcheck.external.draws.installed import plainly
from pgcheck.external.draws.tree import (
    Branch,
    Count,
    Tree,
    as_they_are,
    count_of,
    equally,
    other_orders,
    width_of,
)  # fmt: skip
from pgcheck.external.lot import Before, Cut, Lot
from pgcheck.external.run import Outcome, Runner, Variation
from pgcheck.external.sample import Sample
from pgcheck.external.subject import Subject
from pgcheck.model.mdp import MDP

SAME, SAME_IN_SINGLE = 1e-9, 1e-5  # by which a run's gradient may differ when it is repeated, of its greatest number

SEVERAL = 6  # other orders that are tried in so many runs; one in each of the others


@dataclass(frozen=True)
class Rehearsal:
    """What is known of a loop before all of its runs.

    Attributes:
      steps: how many steps the policy's optimizers make in a run that is not stopped; 0 where none was seen.
      decayed: the greatest weight decay that an optimizer applies besides the gradient.
      count: how many runs there are, as far as a few tries tell; None where they are sampled.
    """

    steps: int
    decayed: float
    count: Count | None


@dataclass(eq=False)
class _Walk:
    """Runs that are under way.

    Attributes:
      tree: which run is next.
      most: how many there may be.
      lot: what they show.
      weight: P ‖ĝ‖ of the run that adds most, or of one before them.
      heaviest: this run, if it is one of them.
    """

    tree: Tree | Cutting
    most: int
    lot: Lot
    weight: float
    heaviest: Outcome | None = None

    @property
    def is_over(self) -> bool:
        """Whether no other run is due."""
        return self.tree.done or self.lot.runs >= self.most

    def take(self, outcome: Outcome) -> None:
        """Takes in a run."""
        prob = self.tree.completed(outcome.answers)
        self.lot.add(outcome, prob)
        weight = prob * float(np.linalg.norm(outcome.gradient)) if outcome.gradient is not None else 0.0
        weight = weight if math.isfinite(weight) else 0.0
        is_first = isinstance(self.tree, Cutting) and self.heaviest is None
        if is_first or weight > self.weight:
            self.weight, self.heaviest = weight, outcome


class Loop:
    """All runs of an agent; errors are those of `Runner`.

    Some runs cut the tree of all of them into branches, whose runs may be made elsewhere. What is shuffled is left in
    its order, and each run is repeated with other orders, the first runs with several. At the first that changes a
    gradient, orders are drawn like all else, from the beginning.

    Args:
      function: makes the agent.
      mdp: the model; its rewards are those of the environment.
      variation: how it is run.
    """

    def __init__(self, function: AgentFunction, mdp: MDP, variation: Variation | None = None) -> None:
        self._runner = Runner(function, mdp, variation)
        self._name = function.name
        self._drawn = False  # whether orders are drawn
        self._walk: _Walk | None = None
        self._greatest = 0.0  # number in a gradient
        self._shuffled = 0  # runs that were repeated with other orders
        self._other = other_orders(np.random.default_rng(0))  # gives another order

    @property
    def subject(self) -> Subject:
        """The policy at the start of each run."""
        return self._runner.subject

    def rehearse_sampled(self) -> Rehearsal:
        """Returns what a sampled run shows that is not stopped."""
        watch = self._runner.run(DrawnAnswers(0, 0), goes_on=True).watch
        return Rehearsal(watch.steps, watch.decayed, None)

    @plainly()
    def sample(self, seed: int, first: int, count: int, seconds: float) -> Sample:
        """Returns what runs show whose draws come out at random: as many as take about so many seconds.

        Args:
          seed: of all runs.
          first, count: the number of the first, and how many at most; a run follows from seed and number alone.
          seconds: after which no other run begins.
        """
        until = time.monotonic() + seconds
        runs: list[Outcome] = []
        while not runs or (len(runs) < count and time.monotonic() < until):
            runs.append(self._runner.run(DrawnAnswers(seed, first + len(runs))))
        return Sample.of(runs, self.subject.policy)

    def rehearse(self, tries: int, seconds: float, rng: np.random.Generator) -> Rehearsal:
        """Returns what a run that is not stopped shows, and how many runs there are, by random tries.

        Args:
          tries: how many, at most; at least one.
          seconds: after which no other try begins.
          rng: draws them.
        """
        watch = self._runner.run(Answers(), goes_on=True).watch
        runs = self._tried(tries, seconds, Answers(pick=equally(rng), order=as_they_are))
        if any(self._depends_on_order(run) for run in runs):
            self._drawn = True
            runs = self._tried(tries, seconds, Answers(pick=equally(rng)))
        return Rehearsal(watch.steps, watch.decayed, count_of([width_of(run.answers) for run in runs]))

    def _tried(self, tries: int, seconds: float, answers: Answers) -> list[Outcome]:
        """Some runs, each with answers like these that are drawn anew."""
        until = time.monotonic() + seconds
        runs: list[Outcome] = []
        while not runs or (len(runs) < tries and time.monotonic() < until):
            runs.append(self._runner.run(answers.anew()))
        return runs

    def cut(self, most: int, *, drawn: bool = False) -> None:
        """Begins with the runs that cut the tree: at most so many; with `drawn`, orders are known to matter."""
        self._drawn = self._drawn or drawn
        self._begin(Cutting(self._order), Before(self._drawn), most, 0)

    def walk(self, branch: Branch, number: int, before: Before, most: int) -> None:
        """Begins with the runs of a branch, which is the one of this number, from 0: at most so many."""
        self._drawn = before.drawn
        self._begin(Tree(branch, self._order), before, most, 1 + number)

    @plainly()
    def advance(self, seconds: float) -> Cut | None:
        """Makes runs for about so many seconds, and at least one that is due.

        Returns:
          What all runs show that were asked for; None as long as some are due. There are branches only if the tree
          was to be cut.

        Raises:
          EstimatorError: the run that adds most has another gradient when it is repeated.
        """
        assert self._walk is not None
        until, is_first = time.monotonic() + seconds, True
        while not self._walk.is_over:
            if not is_first and time.monotonic() >= until:
                return None
            is_first = False
            outcome = self._runner.run(self._walk.tree.answers())
            if self._depends_on_order(outcome):
                if isinstance(self._walk.tree, Tree):
                    return Cut(Lot(np.zeros_like(self._walk.lot.mean), anew=True), (), Before(drawn=True))
                self.cut(self._walk.most, drawn=True)
                continue
            self._walk.take(outcome)
        walk = self._walk
        walk.lot.done = walk.tree.done
        walk.lot.shuffled = walk.lot.shuffled and not self._drawn
        if walk.lot.done and walk.heaviest is not None:
            self._check(walk.heaviest)
        branches = walk.tree.branches() if isinstance(walk.tree, Cutting) else ()
        return Cut(walk.lot, branches, Before(self._drawn, self._greatest, self._shuffled, walk.weight))

    @property
    def progress(self) -> tuple[int, float]:
        """How many runs have been made of those that were asked for, and their probability."""
        return (0, 0.0) if self._walk is None else (self._walk.lot.runs, self._walk.lot.mass)

    @property
    def _order(self) -> Callable[[int], list[int]] | None:
        return None if self._drawn else as_they_are

    def _begin(self, tree: Tree | Cutting, before: Before, most: int, number: int) -> None:
        """All that the runs depend on is set here: they are the same, whatever runs were made before."""
        lot = Lot(np.zeros(len(self.subject.policy.theta)))
        self._walk = _Walk(tree, most, lot, before.heaviest)
        self._greatest, self._shuffled = before.greatest, before.shuffled
        self._other = other_orders(np.random.default_rng((0, number)))

    def _check(self, first: Outcome) -> None:
        """Raises EstimatorError unless a run has the same gradient again when it is repeated."""
        if not self._is_same(first, self._runner.run(first.answers.again())):
            raise EstimatorError(
                f"{self._name}: when all draws came out the same again, the gradient was another one\n"
                "  Does the agent remember earlier runs, in a global variable or a file? Or does it draw elsewhere?"
            )

    def _depends_on_order(self, outcome: Outcome) -> bool:
        """Whether a run that left in their order what it shuffles has another gradient with other orders."""
        if self._drawn or not outcome.answers.shuffles:
            return False
        self._shuffled += 1
        for _ in range(SEVERAL if self._shuffled <= SEVERAL else 1):
            try:
                other = self._runner.run(outcome.answers.ordered_by(self._other))
            except EstimatorError:  # it drew something else
                return True
            if len(other.answers.draws) != len(outcome.answers.draws) or not self._is_same(outcome, other):
                return True
        return False

    def _is_same(self, one: Outcome, other: Outcome) -> bool:
        """Whether two runs have the same gradient, but for rounding."""
        before, again = one.gradient, other.gradient
        if again is None or before is None:
            return again is before
        finite = np.abs(before[np.isfinite(before)])
        self._greatest = max(self._greatest, float(finite.max(initial=0.0)))
        slack = SAME_IN_SINGLE if self.subject.policy.single else SAME
        return bool(np.allclose(again, before, rtol=0.0, atol=slack * self._greatest, equal_nan=True))
