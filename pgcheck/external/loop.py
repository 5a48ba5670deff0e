"""An agent on a model, run for every way in which its draws can come out."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from pgcheck.arrays import Floats
from pgcheck.errors import EstimatorError
from pgcheck.external.agents import AgentFunction
from pgcheck.external.draws.answers import Answers
from pgcheck.external.draws.drawn import DrawnAnswers
from pgcheck.external.draws.installed import plainly
from pgcheck.external.draws.tree import Count, Tree, as_they_are, count_of, equally, other_orders, width_of
from pgcheck.external.run import Outcome, Runner, Variation
from pgcheck.external.sample import Sample, told
from pgcheck.external.subject import Subject
from pgcheck.model.mdp import MDP

SAME, SAME_IN_SINGLE = 1e-9, 1e-5  # by which a run's gradient may differ when it is repeated, of its greatest number

NONE = 1e-9  # the probability of what does not happen
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
      shuffled: whether something was shuffled in one of them, whose order made no difference.
      anew: whether the runs of earlier lots count no more, because orders turned out to matter.
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
    shuffled: bool = False
    anew: bool = False

    def add(self, outcome: Outcome, prob: float) -> None:
        """Takes in one run."""
        self.runs, self.mass = self.runs + 1, self.mass + prob
        self.probs.append(prob)
        self.clipped += prob * bool(outcome.watch.clips)
        self.shuffled = self.shuffled or outcome.answers.shuffles > 0
        answers, gradient = outcome.answers, outcome.gradient
        self.episodes += told(answers)
        if gradient is None:
            self.without += prob
        elif not np.all(np.isfinite(gradient)):
            self.not_finite += prob
        else:
            self.mean += prob * gradient
            self.square += prob * float(gradient @ gradient)

    def followed_by(self, later: "Lot") -> "Lot":
        """Returns what these runs and later ones show together."""
        before = Lot(np.zeros_like(self.mean)) if later.anew else self
        return Lot(
            before.mean + later.mean, before.runs + later.runs, before.mass + later.mass,
            before.square + later.square, before.not_finite + later.not_finite, before.without + later.without,
            before.clipped + later.clipped, before.probs + later.probs, before.episodes + later.episodes,
            later.done, before.shuffled or later.shuffled,
        )  # fmt: skip


class Loop:
    """All runs of an agent; errors are those of `Runner`.

    What is shuffled is left in its order, and each run is repeated with other orders, the first runs with several. At
    the first that changes a gradient, orders are drawn like all else, from the beginning.

    Args:
      function: makes the agent.
      mdp: the model; its rewards are those of the environment.
      variation: how it is run.
    """

    def __init__(self, function: AgentFunction, mdp: MDP, variation: Variation | None = None) -> None:
        self._runner = Runner(function, mdp, variation)
        self._name = function.name
        self._tree = Tree(as_they_are)
        self._held: Lot | None = None  # runs that count once it is sure that orders make no difference
        self._greatest = 0.0  # number in a gradient
        self._shuffled = 0  # runs that were repeated with other orders
        self._repeatable: tuple[float, Outcome] | None = None  # P ‖ĝ‖ of the run that adds most, and the run
        self._without = 0.0  # the probability of runs so far that computed no gradient
        # Gives another order, as long as orders make no difference.
        self._other: Callable[[int], list[int]] | None = other_orders(np.random.default_rng(0))

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
            self._draw_orders()
            runs = self._tried(tries, seconds, Answers(pick=equally(rng)))
        return Rehearsal(watch.steps, watch.decayed, count_of([width_of(run.answers) for run in runs]))

    def _tried(self, tries: int, seconds: float, answers: Answers) -> list[Outcome]:
        """Some runs, each with answers like these that are drawn anew."""
        until = time.monotonic() + seconds
        runs: list[Outcome] = []
        while not runs or (len(runs) < tries and time.monotonic() < until):
            runs.append(self._runner.run(answers.anew()))
        return runs

    @plainly()
    def advance(self, seconds: float, most: int) -> Lot:
        """Returns what further runs show: as many as take about so many seconds, at most so many.

        A lot is empty as long as its runs are held back, until it is sure that orders make no difference.

        Raises:
          EstimatorError: when all of them are done, none has computed a gradient, or one of them has another gradient
            when it is repeated.
        """
        lot, self._held = self._held or self._nothing(), None
        until, is_first = time.monotonic() + seconds, True
        while not self._tree.done and lot.runs < most and (is_first or time.monotonic() < until):
            is_first = False
            outcome = self._runner.run(self._tree.answers())
            if self._depends_on_order(outcome):
                self._draw_orders()
                lot = self._nothing()
                lot.anew = True
                continue
            prob = self._tree.completed(outcome.answers)
            lot.add(outcome, prob)
            weight = prob * float(np.linalg.norm(outcome.gradient)) if outcome.gradient is not None else 0.0
            if not self._repeatable or weight > self._repeatable[0]:
                self._repeatable = (weight, outcome)
        lot.done = self._tree.done
        lot.shuffled = lot.shuffled and self._other is not None
        if lot.done:
            self._check(lot)
        elif lot.shuffled and lot.runs < most:
            self._held, lot = lot, self._nothing()
        self._without += lot.without
        return lot

    def _nothing(self) -> Lot:
        return Lot(np.zeros(len(self.subject.policy.theta)))

    def _draw_orders(self) -> None:
        """Begins anew, and draws the order of what is shuffled."""
        self._tree, self._other, self._repeatable, self._without = Tree(), None, None, 0.0

    def _check(self, last: Lot) -> None:
        """Raises EstimatorError unless some run computed a gradient, which it has again when it is repeated."""
        if self._without + last.without > 1 - NONE:
            raise EstimatorError(
                f"{self._name}: update() computed no gradient in any run: no optimizer of torch that holds a "
                "parameter of the policy made a step, nothing is left in .grad, and no gradient was returned"
            )
        assert self._repeatable is not None
        first = self._repeatable[1]
        if not self._is_same(first, self._runner.run(first.answers.again())):
            raise EstimatorError(
                f"{self._name}: when all draws came out the same again, the gradient was another one\n"
                "  Does the agent remember earlier runs, in a global variable or a file? Or does it draw elsewhere?"
            )

    def _depends_on_order(self, outcome: Outcome) -> bool:
        """Whether a run that left in their order what it shuffles has another gradient with other orders."""
        if self._other is None or not outcome.answers.shuffles:
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
