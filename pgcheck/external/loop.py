"""An agent on a model, run for every way in which its draws can come out."""

import time
from dataclasses import dataclass, field

import numpy as np

from pgcheck.arrays import Floats
from pgcheck.errors import EstimatorError
from pgcheck.external.agents import AgentFunction
from pgcheck.external.draws.answers import Answers, Draw, Orders
from pgcheck.external.draws.tree import Count, Tree, count_of, equally, width_of
from pgcheck.external.run import Outcome, Runner, Variation
from pgcheck.external.subject import Subject
from pgcheck.model.mdp import MDP

SAME, SAME_IN_SINGLE = 1e-9, 1e-5  # by which a run's gradient may differ when it is repeated, of its greatest number

NONE = 1e-9  # the probability of what does not happen


@dataclass(frozen=True)
class Rehearsal:
    """What is known of a loop before all of its runs.

    Attributes:
      steps: how many steps the policy's optimizers make in a run that is not stopped; 0 where none was seen.
      decayed: the greatest weight decay that an optimizer applies besides the gradient.
      count: how many runs there are, as far as a few tries tell.
    """

    steps: int
    decayed: float
    count: Count


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
      holds: whether a run in it kept the order of something.
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
    holds: bool = False

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

    Libraries shuffle a buffer even where they use the whole of it at once. Orders are therefore kept at first, and
    each run is made a second time with all of them reversed: none of its minibatches is then what it was. Only if
    that changes a gradient, orders are drawn like all else, from the beginning.

    Args:
      function: makes the agent.
      mdp: the model; its rewards are those of the environment.
      variation: how it is run.
    """

    def __init__(self, function: AgentFunction, mdp: MDP, variation: Variation | None = None) -> None:
        self._runner = Runner(function, mdp, variation)
        self._name = function.name
        self._tree = Tree()
        self._repeatable: tuple[float, list[Draw], Outcome] | None = None  # the run that adds most, P ‖ĝ‖
        self._without = 0.0  # the probability of runs so far that computed no gradient
        self._orders: Orders = "kept"
        self._held: Lot | None = None  # runs that count once it is sure that orders make no difference
        self._greatest = 0.0  # number in a gradient

    @property
    def subject(self) -> Subject:
        """The policy at the start of each run."""
        return self._runner.subject

    def rehearse(self, tries: int, seconds: float, rng: np.random.Generator) -> Rehearsal:
        """Returns what a run that is not stopped shows, and how many runs there are, by random tries.

        Args:
          tries: how many, at most; at least one.
          seconds: after which no other try begins.
          rng: draws them.
        """
        until = time.monotonic() + seconds
        watch = self._runner.run(Answers(), goes_on=True).watch
        widths: list[float] = []
        while not widths or (len(widths) < tries and time.monotonic() < until):
            outcome = self._runner.run(Answers(pick=equally(rng), orders=self._orders))
            if self._orders == "kept" and self._depends_on_orders(outcome):
                self._orders, widths = "drawn", []
                continue
            widths.append(width_of(outcome.answers))
        return Rehearsal(watch.steps, watch.decayed, count_of(widths))

    def advance(self, seconds: float, most: int) -> Lot:
        """Returns what further runs show: as many as take about so many seconds, at most so many; none meanwhile,
        where they are held back until it is sure that orders make no difference.

        Raises:
          EstimatorError: when all of them are done, none has computed a gradient, or one of them has another gradient
            when it is repeated.
        """
        lot, self._held = self._held or self._no_runs(), None
        until, is_first = time.monotonic() + seconds, True
        while not self._tree.done and lot.runs < most and (is_first or time.monotonic() < until):
            is_first = False
            outcome = self._runner.run(self._tree.answers(self._orders))
            if self._orders == "kept" and self._depends_on_orders(outcome):
                self._orders, self._tree, self._repeatable, lot = "drawn", Tree(), None, self._no_runs()
                continue
            told, gradient = [*outcome.answers.draws], outcome.gradient
            prob = self._tree.completed(outcome.answers)
            lot.add(outcome, prob)
            lot.holds = lot.holds or outcome.answers.ordered > 0
            weight = prob * float(np.linalg.norm(gradient)) if gradient is not None else 0.0
            if not self._repeatable or weight > self._repeatable[0]:
                self._repeatable = (weight, told, outcome)
        lot.done = self._tree.done
        if lot.holds and not lot.done and lot.runs < most:
            self._held, lot = lot, self._no_runs()
        self._without += lot.without
        if lot.done:
            self._check()
        return lot

    def _no_runs(self) -> Lot:
        return Lot(np.zeros(len(self.subject.policy.theta)))

    def _depends_on_orders(self, outcome: Outcome) -> bool:
        """Whether a run that kept orders has another gradient with all of them reversed."""
        if not outcome.answers.ordered:
            return False
        try:
            other = self._runner.run(Answers(outcome.answers.draws, orders="reversed"))
        except EstimatorError:  # it drew something else
            return True
        return len(other.answers.draws) != len(outcome.answers.draws) or not self._alike(outcome, other)

    def _alike(self, one: Outcome, other: Outcome) -> bool:
        """Whether two runs have the same gradient, up to rounding."""
        a, b = one.gradient, other.gradient
        if a is None or b is None:
            return a is None and b is None
        self._greatest = max(self._greatest, float(np.max(np.abs(a), initial=0.0, where=np.isfinite(a))))
        slack = SAME_IN_SINGLE if self.subject.policy.single else SAME
        return np.allclose(a, b, rtol=0.0, atol=slack * self._greatest, equal_nan=True)

    def _check(self) -> None:
        """Raises EstimatorError unless there is a gradient, and a run that is repeated has the same one."""
        if self._without > 1 - NONE:
            raise EstimatorError(
                f"{self._name}: update() computed no gradient in any run: no optimizer of torch that holds a "
                "parameter of the policy made a step, nothing is left in .grad, and no gradient was returned"
            )
        if self._repeatable is None:
            return
        _, told, before = self._repeatable
        if not self._alike(before, self._runner.run(Answers(told, orders=self._orders))):
            raise EstimatorError(
                f"{self._name}: when all draws came out the same again, the gradient was another one\n"
                "  Does the agent remember earlier runs, in a global variable or a file? Or does it draw elsewhere?"
            )
