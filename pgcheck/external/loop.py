"""An agent on a model, run for every way in which its draws can come out."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from pgcheck.arrays import Floats
from pgcheck.errors import EstimatorError
from pgcheck.external.agents import AgentFunction
from pgcheck.external.draws.answers import Answers, UnanswerableError
from pgcheck.external.draws.tree import Count, Tree, as_they_are, count_of, equally, reversed_or_drawn, width_of
from pgcheck.external.run import Outcome, Runner, Variation
from pgcheck.external.subject import Subject
from pgcheck.model.mdp import MDP

SAME, SAME_IN_SINGLE = 1e-9, 1e-5  # by which a run's gradient may differ when it is repeated, of its greatest number
CHECKED = 8  # one of so many runs is repeated with other orders, where these are taken not to matter


@dataclass(frozen=True)
class Rehearsal:
    """What is known of a loop before all of its runs.

    Attributes:
      steps: how many steps the policy's optimizers make in a run that is not stopped; 0 where none was seen.
      decayed: the greatest weight decay that an optimizer applies besides the gradient.
      count: how many runs there are, as far as a few tries tell.
      shuffles: in how many tries another order of what is shuffled made no difference; orders are then not listed. 0
        where nothing is shuffled, or where orders matter.
    """

    steps: int
    decayed: float
    count: Count
    shuffles: int = 0


@dataclass(eq=False)
class Lot:
    """What some runs have shown together.

    Attributes:
      mean: Σ P ĝ `[d]`; runs whose gradient is not finite, or which computed none, count as 0.
      runs: how many.
      mass: the sum of their probabilities.
      square: Σ P ‖ĝ‖².
      not_finite, without: the probability of runs whose gradient is not finite, and of those that computed none.
      clipped: the probability of runs in which a gradient was clipped.
      probs: the probability of each run.
      episodes: those of each run, as numbers that `pgcheck.external.episodes.decoded` reads.
      done: whether there are no more runs.
    """

    mean: Floats
    runs: int = 0
    mass: float = 0.0
    square: float = 0.0
    not_finite: float = 0.0
    without: float = 0.0
    clipped: float = 0.0
    probs: list[float] = field(default_factory=list)
    episodes: list[int] = field(default_factory=list)
    done: bool = False

    def add(self, outcome: Outcome, prob: float) -> None:
        """Takes in one run."""
        self.runs, self.mass = self.runs + 1, self.mass + prob
        self.probs.append(prob)
        self.clipped += prob * bool(outcome.watch.clips)
        answers, gradient = outcome.answers, outcome.gradient
        self.episodes.append(len(answers.episodes))
        for environment, (start, *outcomes) in zip(answers.environment, answers.episodes, strict=True):
            self.episodes += [environment, start, len(outcomes), *outcomes]
        if gradient is None:
            self.without += prob
        elif not np.all(np.isfinite(gradient)):
            self.not_finite += prob
        else:
            self.mean += prob * gradient
            self.square += prob * float(gradient @ gradient)


class Loop:
    """All runs of an agent; errors are those of `Runner`.

    Args:
      function: makes the agent.
      mdp: the model; its rewards are those of the environment.
      variation: how it is run.
    """

    def __init__(self, function: AgentFunction, mdp: MDP, variation: Variation | None = None) -> None:
        self._runner = Runner(function, mdp, variation)
        self._name = function.name
        self._tree = Tree()
        self._first: Outcome | None = None
        self._other: Callable[[int], list[int]] | None = None  # gives another order, where orders do not matter

    @property
    def subject(self) -> Subject:
        """The policy at the start of each run."""
        return self._runner.subject

    def rehearse(self, tries: int, seconds: float, rng: np.random.Generator) -> Rehearsal:
        """Returns what a run that is not stopped shows, and how many runs there are, by random tries.

        Where another order of what is shuffled makes no difference in any of them, orders are not listed.

        Args:
          tries: how many, at most; at least one.
          seconds: after which no other try begins.
          rng: draws them.
        """
        watch = self._runner.run(Answers(), goes_on=True).watch
        runs = self._tried(tries, seconds, Answers(pick=equally(rng), order=as_they_are))
        shuffling = [run for run in runs if run.answers.shuffles]
        other = reversed_or_drawn(rng)
        if all(self._is_same(run, self._runner.run(run.answers.ordered_by(other))) for run in shuffling):
            self._tree, self._other = Tree(as_they_are), other
        else:
            runs, shuffling = self._tried(tries, seconds, Answers(pick=equally(rng))), []
        count = count_of([width_of(it.answers) for it in runs])
        return Rehearsal(watch.steps, watch.decayed, count, len(shuffling))

    def _tried(self, tries: int, seconds: float, answers: Answers) -> list[Outcome]:
        """Some runs, each with answers like these that are drawn anew."""
        until = time.monotonic() + seconds
        runs: list[Outcome] = []
        while not runs or (len(runs) < tries and time.monotonic() < until):
            runs.append(self._runner.run(answers.again()))
        return runs

    def advance(self, seconds: float, most: int) -> Lot:
        """Returns what further runs show: as many as take about so many seconds, at least one, at most so many.

        Raises:
          EstimatorError: when all of them are done, the first of them has another gradient than it had.
        """
        lot = Lot(np.zeros(len(self.subject.policy.theta)))
        until = time.monotonic() + seconds
        while not self._tree.done and lot.runs < most and (lot.runs == 0 or time.monotonic() < until):
            outcome = self._runner.run(self._tree.answers())
            self._first = self._first or outcome
            if self._other is not None and outcome.answers.shuffles and self._tree.runs % CHECKED == 0:
                self._check_order(outcome)
            lot.add(outcome, self._tree.completed(outcome.answers))
        lot.done = self._tree.done
        if lot.done and self._first is not None:
            self._check_again(self._first)
        return lot

    def _check_again(self, first: Outcome) -> None:
        if not self._is_same(first, self._runner.run(first.answers.again())):
            raise EstimatorError(
                f"{self._name}: when all draws came out the same again, the gradient was another one\n"
                "  Does the agent remember earlier runs, in a global variable or a file? Or does it draw elsewhere?"
            )

    def _check_order(self, outcome: Outcome) -> None:
        """Raises EstimatorError where an order matters after all."""
        assert self._other is not None
        if not self._is_same(outcome, self._runner.run(outcome.answers.ordered_by(self._other))):
            raise UnanswerableError(
                f"{self._name} shuffles, and the order makes a difference in a few of its runs alone: "
                "these cannot be listed without all orders of all others"
            )

    def _is_same(self, one: Outcome, other: Outcome) -> bool:
        """Whether two runs have the same gradient, but for rounding."""
        before, again = one.gradient, other.gradient
        if again is None or before is None:
            return again is before
        slack = SAME_IN_SINGLE if self.subject.policy.single else SAME
        allowed = slack * float(np.max(np.abs(before), initial=0.0))
        return bool(np.allclose(again, before, rtol=0.0, atol=allowed, equal_nan=True))
