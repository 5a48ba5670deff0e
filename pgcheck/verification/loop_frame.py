"""An agent's expectation on one model, in the few directions that anything known can have.

The directions are those of the logits, of the critic's values, of θ itself and of one constant: R of them, far fewer
than a network's parameters.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from pgcheck.arrays import Floats, Ints, norm_of
from pgcheck.estimators.mistakes.weights import Candidate
from pgcheck.model.linearised import Linearised
from pgcheck.model.mdp import MDP
from pgcheck.verification.findings import NOTHING
from pgcheck.verification.loop_divisors import Divisor
from pgcheck.verification.loop_evidence import LoopFinding, Runs
from pgcheck.verification.loop_streams import Streams
from pgcheck.verification.misplaced import MisplacedScore
from pgcheck.verification.recorded import Recorded

RANK = 1e-10  # of the greatest singular value: what is less is no direction


@dataclass(frozen=True, eq=False)
class Seen:
    """What the runs of an agent show on one model, as they are or run in another way.

    Attributes:
      finding: the model and the agent's policy.
      runs: what they show.
      size: what differences are relative to.
    """

    finding: LoopFinding
    runs: Runs
    size: float

    @property
    def mdp(self) -> MDP:
        """The model, with the rewards of these runs."""
        return self.recorded.batch.mdp

    @property
    def recorded(self) -> Recorded:
        """The episodes of the runs."""
        return self.runs.recorded

    @property
    def policy(self) -> Linearised:
        """The agent's policy."""
        assert isinstance(self.finding.policy, Linearised)
        return self.finding.policy

    @property
    def values(self) -> Floats | None:
        """The critic's value of each state `[S]`, where the agent tells."""
        return self.finding.beginning.subject.values

    @cached_property
    def streams(self) -> Streams:
        """The steps in order."""
        return Streams.of(self.recorded)

    @cached_property
    def directions(self) -> Floats:
        """An orthonormal basis of what is known `[d, R]`."""
        policy = self.policy
        mdp = self.finding.mdp
        every = np.eye(mdp.num_states * mdp.num_actions).reshape(-1, mdp.num_states, mdp.num_actions)
        rows = [policy.logit_pullback(every), policy.theta[None], np.ones((1, len(policy.theta)))]
        of_values = self.finding.beginning.subject.value_derivative
        if of_values is not None:
            rows.append(of_values)
        scaled = [block / max(float(np.abs(block).max(initial=0.0)), NOTHING) for block in rows]
        _, singular, basis = np.linalg.svd(np.concatenate(scaled), full_matrices=False)
        return np.asarray(basis[singular > RANK * singular[0]].T)

    @cached_property
    def mean(self) -> Floats:
        """E[ĝ] in these directions `[R]`."""
        return self.runs.mean @ self.directions

    @cached_property
    def beyond(self) -> float:
        """The length of the part of E[ĝ] that has none of these directions."""
        return norm_of(self.runs.mean - self.directions @ self.mean)

    @cached_property
    def scores(self) -> Floats:
        """∇log π(a|s) of each pair `[S · A, R]`."""
        mdp = self.finding.mdp
        every = np.eye(mdp.num_states * mdp.num_actions).reshape(-1, mdp.num_states, mdp.num_actions)
        return np.asarray(self.policy.pullback(every) @ self.directions)

    @cached_property
    def freedom(self) -> int:
        """How many directions a policy gradient can have."""
        return self.finding.freedom

    @cached_property
    def value_rows(self) -> Floats | None:
        """∂V/∂θ of each state `[S, R]`; None where θ does not move the critic, or the agent does not tell."""
        of_values = self.finding.beginning.subject.value_derivative
        return None if of_values is None or not np.any(of_values) else np.asarray(of_values @ self.directions)

    def share(self, divisor: Divisor) -> Floats:
        """Returns what each episode of the records is multiplied by, without the probability of its run `[E]`."""
        return divisor.share(self.recorded)

    def of_episodes(self, weights: Floats, divisor: Divisor) -> Floats:
        """Returns the expectation of weights of ∇log π that depend on the episode alone `[R]`.

        Args:
          weights: of each step of the distinct episodes `[n, T]`.
          divisor: of the sum over a run.
        """
        batch = self.recorded.batch
        flat = (weights * self.distinct(divisor)[:, None])[batch.mask]
        return np.bincount(self._pairs, flat, minlength=len(self.scores)) @ self.scores

    def of_candidate(self, candidate: Candidate, weights: Floats, divisor: Divisor) -> Floats:
        """Returns the expectation of a known mistake, whose weights `[n, T]` have been computed `[R]`."""
        if not isinstance(candidate, MisplacedScore):
            return self.of_episodes(weights, divisor)
        batch = self.recorded.batch
        return batch.flattened(candidate.mean(batch, self.distinct(divisor))) @ self.directions

    def of_streams(self, weights: Floats, divisor: Divisor) -> Floats:
        """Returns the same of weights of all steps in order `[Q, L]`."""
        streams, batch = self.streams, self.recorded.batch
        mask = streams.mask
        flat = weights[mask] * (self.recorded.probs[streams.run] * self.share(divisor)[streams.episode])[mask]
        pairs = (batch.states * batch.num_actions + batch.actions)[streams.place[0], streams.place[1]][mask]
        return np.bincount(pairs, flat, minlength=len(self.scores)) @ self.scores

    def of_states(self, weights: Floats, divisor: Divisor) -> Floats:
        """Returns the expectation of weights of s_t that depend on the episode alone, summed for each state `[S]`."""
        batch = self.recorded.batch
        flat = (weights * self.distinct(divisor)[:, None])[batch.mask]
        return np.bincount(batch.states[batch.mask], flat, minlength=batch.num_states).astype(np.float64)

    def distinct(self, divisor: Divisor) -> Floats:
        """Returns how much each distinct episode counts `[n]`."""
        if divisor not in self._distinct:
            self._distinct[divisor] = self.recorded.weights(self.share(divisor))
        return self._distinct[divisor]

    @cached_property
    def _distinct(self) -> dict[Divisor, Floats]:
        return {}

    @cached_property
    def _pairs(self) -> Ints:
        batch = self.recorded.batch
        return (batch.states * batch.num_actions + batch.actions)[batch.mask]
