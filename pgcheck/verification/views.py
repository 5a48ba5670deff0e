"""What is known of an estimator, looked at in several ways; each way is called once."""

from collections.abc import Sequence

from pgcheck.arrays import norm_of
from pgcheck.verification.alterations import next_states_moved
from pgcheck.verification.findings import Finding
from pgcheck.verification.impulses import WeightMatrix
from pgcheck.verification.probing import Prober, View


class Views:
    """The expectations of an estimator as it is, and as each view of it would have them.

    Attributes:
      prober: calls the estimator.
      findings: its expectations; the episodes of all can be altered.
      matrix: its impulses, of an estimator of single episodes.
    """

    def __init__(self, prober: Prober, findings: Sequence[Finding], matrix: WeightMatrix | None) -> None:
        self.prober = prober
        self.findings = findings
        self.matrix = matrix
        self._follows_next_states: bool | None = None
        self._seen: dict[View, list[Finding] | None] = {View(): list(findings)}

    def seen(self, view: View) -> list[Finding] | None:
        """Returns the findings of a view; None where the estimator cannot be called like that."""
        if view not in self._seen:
            self._seen[view] = self.prober.seen(self.findings, view)
        return self._seen[view]

    def follows_next_states(self) -> bool:
        """Whether weights depend on the next states."""
        if self._follows_next_states is None:
            moved = self.seen(View((next_states_moved,)))
            is_moved = moved is not None and self.differ(moved)
            self._follows_next_states = is_moved or self.prober.follows_next_states()
        return self._follows_next_states

    def differ(self, seen: Sequence[Finding]) -> bool:
        """Whether the expectations of a view are not those of the estimator as it is."""
        return any(
            norm_of(altered.expectation.mean - finding.expectation.mean) > self.limit(finding)
            for altered, finding in zip(seen, self.findings, strict=True)
        )

    def limit(self, finding: Finding) -> float:
        """Returns what is within rounding of a finding's expectation and gradient."""
        return self.prober.tolerance * finding.size
