"""The search for what is wrong with a loop: what its runs tell first, then those that are made otherwise."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from pgcheck.arrays import Floats, norm_of
from pgcheck.errors import EstimatorError
from pgcheck.external.agent_source import AS_IT_IS, AgentSource
from pgcheck.external.agents import TimeLimit
from pgcheck.external.run import Variation
from pgcheck.verification.causes import Diagnosis
from pgcheck.verification.findings import NOTHING
from pgcheck.verification.loop_evidence import LoopFinding, Runs, TooManyRunsError, varied
from pgcheck.verification.loop_frame import Seen
from pgcheck.verification.loop_kinds import Kind, linear_kinds, standardised_kinds
from pgcheck.verification.loop_matching import LoopMatch, Matcher, fewest

LIMITS: tuple[tuple[TimeLimit, str], ...] = (
    ("terminated", "bootstrap/terminated-right"),
    ("truncated", "bootstrap/cut-right"),
)
OTHER = 0.3  # of the greatest reward: by how much rewards differ where more equations are needed


class Search:
    """Names what is wrong with an agent.

    Args:
      source: runs it again.
      findings: its expectations; all are finite.
      tolerance: the relative difference that counts as none.
      preferred: which of several explanations to return; else that of the fewest words.
    """

    def __init__(
        self,
        source: AgentSource,
        findings: Sequence[LoopFinding],
        tolerance: float,
        preferred: Callable[[LoopMatch], bool],
    ) -> None:
        self._source, self._findings, self._tolerance = source, tuple(findings), tolerance
        self._preferred = preferred
        self._variation = AS_IT_IS
        self._clipped: tuple[Diagnosis, ...] = ()

    def named(self) -> LoopMatch | None:
        """Returns what is wrong; None where nothing fits."""
        runs: list[Runs] | None = [finding.runs for finding in self._findings]
        prob = max(finding.runs.clipped for finding in self._findings)
        if prob > 0:
            self._variation = Variation(unclipped=True)
            runs = self._runs(self._variation)
            if runs is None or self._differ(runs):
                self._clipped = (Diagnosis("clipped-norm", "clipped-norm", (("prob", prob),)),)
        if runs is None:
            return LoopMatch(self._clipped, complete=False)
        seen = self._seen(runs)
        if self._clipped and self._is_right(seen):
            return LoopMatch(self._clipped)
        match = self._of(seen)
        if match is None:
            return LoopMatch(self._clipped, complete=False) if self._clipped else None
        return match.after(*self._clipped)

    def _of(self, seen: list[Seen]) -> LoopMatch | None:
        """What is wrong with runs as they are seen."""
        if all(norm_of(it.runs.mean) <= self._tolerance * it.finding.norm for it in seen):
            return LoopMatch((Diagnosis("zero-mean", "zero-mean"),))
        matcher, kinds = Matcher(seen, self._tolerance), linear_kinds(seen)
        if match := self._sure(matcher.exact(kinds), seen, lambda it: it.exact(kinds)):
            return match
        without = self._without_rewards(seen)
        has_rest = without is not None and any(norm_of(it.runs.mean) > self._tolerance * it.size for it in without)
        if not has_rest and (
            match := self._sure(matcher.times_factor(kinds), seen, lambda it: it.times_factor(kinds))
        ):
            return match
        if without is not None:
            if match := self._fewest(Matcher([*seen, *without], self._tolerance).with_terms(kinds)):
                return match
            if not self._is_linear(seen, without):
                return self._of_nonlinear(seen)
        return self._with_time_limit(seen, kinds) or (None if without is None else self._of_rewards(seen, without))

    def _sure(
        self, matches: Sequence[LoopMatch], seen: list[Seen], match: Callable[[Matcher], Sequence[LoopMatch]]
    ) -> LoopMatch | None:
        """The match of the fewest words; with more equations, by other rewards, where it may fit by chance."""
        found = self._fewest(matches)
        if found is None or all(it.certain for it in found.names):
            return found
        rewards = [it.mdp.reward for it in self._findings]
        others = [reward + OTHER * max(1.0, float(np.abs(reward).max(initial=0.0))) * np.cos(
            1.0 + np.arange(len(reward))
        ) for reward in rewards]  # fmt: skip
        more = self._rewarded(seen, others)
        return found if more is None else self._fewest(match(Matcher([*seen, *more], self._tolerance)))

    def _of_rewards(self, seen: list[Seen], without: list[Seen]) -> LoopMatch | None:
        """The name of what follows the rewards, where what is left without them has none."""
        if all(norm_of(it.runs.mean) <= self._tolerance * it.size for it in without):
            return None
        rest = [
            Seen(a.finding, replace(a.runs, mean=a.runs.mean - z.runs.mean), a.size)
            for a, z in zip(seen, without, strict=True)
        ]
        match = self._fewest(Matcher(rest, self._tolerance).exact(linear_kinds(rest, hidden_critic=True)))
        if match is None:
            return None
        # Whether a value stands for the rewards that are missing is not known.
        names = (replace(it, cause="window/value") if it.id == "window" else it for it in match.diagnoses)
        match = replace(match, diagnoses=tuple(names))
        has_values = all(it.values is not None for it in seen)
        cause = "regulariser/unknown" if has_values else "regulariser/values"
        return replace(match.after(Diagnosis("regulariser", cause, certain=has_values)), complete=False)

    def _of_nonlinear(self, seen: list[Seen]) -> LoopMatch:
        """The name of what does not follow the rewards."""
        match = self._fewest(Matcher(seen, self._tolerance).exact(standardised_kinds(seen)))
        return match or LoopMatch((Diagnosis("nonlinear", "nonlinear/doubled"),), complete=False)

    def _with_time_limit(self, seen: list[Seen], kinds: Sequence[Kind]) -> LoopMatch | None:
        """What is wrong once the time limit ends episodes with the other flag; None if that makes no difference.

        Where the critic's values are known they have been tried.
        """
        if all(it.values is not None for it in seen) or not any(
            np.any(it.recorded.ended & ~it.recorded.batch.terminated) for it in seen
        ):
            return None
        for flag, cause in LIMITS:
            runs = self._runs(replace(self._variation, time_limit=flag))
            if runs is None:
                continue
            other = self._seen(runs)
            if all(
                norm_of(a.runs.mean - b.runs.mean) <= self._tolerance * b.size
                for a, b in zip(other, seen, strict=True)
            ):
                continue
            # That the other flag makes it right says that the flag matters, not what is done with it.
            named = Diagnosis("bootstrap", cause, notes=("give-values",))
            if self._is_right(other):
                return LoopMatch((named,), complete=False)
            match = self._fewest(Matcher(other, self._tolerance).exact(kinds))
            if match is not None:
                return replace(match.after(replace(named, cause="bootstrap/time-limit")), complete=False)
        return None

    def _without_rewards(self, seen: list[Seen]) -> list[Seen] | None:
        """The same agents where every reward is 0; None where they cannot be run so, or the objective has a bonus."""
        return self._scaled(seen, 0.0)

    def _is_linear(self, seen: list[Seen], without: list[Seen]) -> bool:
        """Whether twice the rewards have twice the effect."""
        twice = self._scaled(seen, 2.0)
        return twice is None or all(
            norm_of((b.runs.mean - z.runs.mean) - 2 * (a.runs.mean - z.runs.mean)) <= 4 * self._tolerance * a.size
            for a, b, z in zip(seen, twice, without, strict=True)
        )

    def _scaled(self, seen: list[Seen], factor: float) -> list[Seen] | None:
        return self._rewarded(seen, [factor * it.mdp.reward for it in self._findings])

    def _rewarded(self, seen: list[Seen], rewards: Sequence[Floats]) -> list[Seen] | None:
        """The same agents with other rewards; None where they cannot be run so, or the objective has a bonus."""
        if any(it.mdp.entropy or it.mdp.kl for it in seen):
            return None
        runs = self._runs(self._variation, rewards)
        if runs is None or any(it.not_finite > 0 for it in runs):
            return None
        return [Seen(it.finding, own, it.size) for it, own in zip(seen, runs, strict=True)]

    def _runs(self, variation: Variation, rewards: Sequence[Floats] | None = None) -> list[Runs] | None:
        """What the agent does on each model when it is run in another way; None where it cannot."""
        try:
            return [
                varied(self._source, it, variation, None if rewards is None else it.mdp.with_rewards(rewards[k]))
                for k, it in enumerate(self._findings)
            ]
        except (EstimatorError, TooManyRunsError):
            return None

    def _seen(self, runs: Sequence[Runs]) -> list[Seen]:
        seen = []
        for finding, own in zip(self._findings, runs, strict=True):
            size = norm_of(own.mean)
            if size <= self._tolerance * finding.norm:
                size = finding.norm
            seen.append(Seen(finding, own, max(size, NOTHING)))
        return seen

    def _differ(self, runs: Sequence[Runs]) -> bool:
        """Whether other runs have another expectation on some model."""
        return any(
            norm_of(own.mean - finding.runs.mean) > self._tolerance * max(norm_of(finding.runs.mean), NOTHING)
            for own, finding in zip(runs, self._findings, strict=True)
        )

    def _is_right(self, seen: Sequence[Seen]) -> bool:
        return all(
            norm_of(it.runs.mean - it.finding.gradient) <= self._tolerance * max(it.finding.norm, NOTHING)
            for it in seen
        )

    def _fewest(self, matches: Sequence[LoopMatch]) -> LoopMatch | None:
        return fewest(matches, self._preferred)
