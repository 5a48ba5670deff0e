"""The search for what is wrong with a loop by sampled runs: known mistakes on the very episodes of these runs.

The mean of a few runs is not an expectation, but the mean of what a known mistake makes of the same episodes has the
same chance in it. A loop that makes this mistake, and adds nothing that is random, has that mean to rounding. What a
loop subtracts, as a baseline does, is random, but does not follow the rewards: runs without rewards, whose draws come
out the same, have it too.
"""

from collections.abc import Sequence
from dataclasses import replace

from pgcheck.arrays import Floats, norm_of
from pgcheck.errors import EstimatorError
from pgcheck.external.run import Variation
from pgcheck.verification.causes import Diagnosis
from pgcheck.verification.gram import p_of_mean
from pgcheck.verification.loop_evidence import Runs
from pgcheck.verification.loop_frame import Seen
from pgcheck.verification.loop_kinds import Kind, linear_kinds
from pgcheck.verification.loop_matching import LoopMatch, Matcher
from pgcheck.verification.loop_sampled import SampledLoopFinding, SampledRuns, varied_sample
from pgcheck.verification.loop_search import Search

LEFT = 1e-6  # the probability that chance makes so much be left without rewards, below which something is


class SampledSearch(Search):
    """Names what is wrong with an agent by sampled runs; arguments are those of `Search`.

    Attributes:
      excluded: how many ways to weight steps do not fit.
    """

    excluded: int = 0

    def _of(self, seen: list[Seen]) -> LoopMatch | None:
        """What is wrong with runs as they are seen."""
        kinds = linear_kinds(seen)
        if match := self._best(seen, kinds):
            return match
        without = self._without_rewards(seen)
        if without is None:
            return None
        is_left = any(_is_left(it.runs) for it in without)
        if is_left and (match := self._fewest(Matcher([*seen, *without], self._tolerance).with_terms(kinds))):
            return match
        rest = [
            Seen(a.finding, replace(a.runs, mean=a.runs.mean - z.runs.mean), a.size)
            for a, z in zip(seen, without, strict=True)
        ]
        if match := self._best(rest, linear_kinds(rest, hidden_critic=True)):
            if not is_left:
                return match
            cause = "regulariser/unknown" if all(it.values is not None for it in seen) else "regulariser/values"
            return replace(match.after(Diagnosis("regulariser", cause, certain=False)), complete=False)
        return None if self._is_linear(seen, without) else self._of_nonlinear(seen)

    def _best(self, seen: list[Seen], kinds: Sequence[Kind]) -> LoopMatch | None:
        """The match of the fewest words, with a factor that has a meaning, or else with any."""
        if all(norm_of(it.runs.mean) <= self._tolerance * it.finding.norm for it in seen):
            return None
        matcher = Matcher(seen, self._tolerance)
        matches = matcher.exact(kinds)
        self.excluded = max(0, len(kinds) - len(matches))
        return self._fewest(matches) or self._fewest(matcher.times_factor(kinds))

    def _runs(self, variation: Variation, rewards: Sequence[Floats] | None = None) -> list[Runs] | None:
        """What the agent does on each model when it is run in another way; None where it cannot."""
        runs: list[Runs] = []
        try:
            for k, it in enumerate(self._findings):
                assert isinstance(it, SampledLoopFinding)
                mdp = None if rewards is None else it.mdp.with_rewards(rewards[k])
                runs.append(varied_sample(self._source, it, variation, mdp))
        except EstimatorError:
            return None
        return runs


def _is_left(runs: Runs) -> bool:
    """Whether it is certain that the expectation is not 0."""
    return isinstance(runs, SampledRuns) and p_of_mean(runs.batches) <= LEFT
