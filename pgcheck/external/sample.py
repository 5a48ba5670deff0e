"""What some runs of an agent show whose draws came out at random."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pgcheck.arrays import Bools, Floats
from pgcheck.external.draws.answers import Answers
from pgcheck.external.draws.drawn import DrawnAnswers
from pgcheck.external.run import Outcome
from pgcheck.model.policy import Policy


@dataclass(frozen=True, eq=False)
class Sample:
    """m runs, one after the other.

    Attributes:
      gradients: the estimate of ∇J of each `[m, d]`; NaN where it is not finite, 0 where the run computed none.
      without: whether a run computed none `[m]`.
      clipped: whether a gradient was clipped in it `[m]`.
      by_policy: whether it is known that all actions were drawn by the policy `[m]`; where they were drawn by what
        cannot be answered, it is not.
      episodes: those of each run, as numbers that `pgcheck.external.episodes.decoded` reads.
    """

    gradients: Floats
    without: Bools
    clipped: Bools
    by_policy: Bools
    episodes: list[int]

    @classmethod
    def of(cls, runs: Sequence[Outcome], policy: Policy) -> "Sample":
        """Returns what runs show, of an agent with this policy."""
        gradients, probs = np.zeros((len(runs), len(policy.theta))), policy.probs()
        for row, run in zip(gradients, runs, strict=True):
            if run.gradient is not None:
                row[:] = run.gradient if np.all(np.isfinite(run.gradient)) else np.nan
        return cls(
            gradients,
            np.array([run.gradient is None for run in runs]),
            np.array([bool(run.watch.clips) for run in runs]),
            np.array([isinstance(run.answers, DrawnAnswers) and run.answers.follows(probs) for run in runs]),
            [number for run in runs for number in told(run.answers)],
        )

    def __len__(self) -> int:
        return len(self.gradients)

    @classmethod
    def joined(cls, samples: "Sequence[Sample]") -> "Sample":
        """Returns several samples as one, in their order."""
        gradients, without, clipped, by_policy = (
            np.concatenate([getattr(it, name) for it in samples])
            for name in ("gradients", "without", "clipped", "by_policy")
        )
        return cls(gradients, without, clipped, by_policy, [number for it in samples for number in it.episodes])

    @property
    def arrays(self) -> tuple[np.ndarray[Any, Any], ...]:
        """All of it, as arrays that `of_arrays` reads."""
        return self.gradients, self.without, self.clipped, self.by_policy, np.array(self.episodes, np.int64)

    @classmethod
    def of_arrays(cls, arrays: tuple[np.ndarray[Any, Any], ...]) -> "Sample":
        """Returns the sample of such arrays."""
        gradients, without, clipped, by_policy, episodes = arrays
        return cls(gradients, without, clipped, by_policy, episodes.tolist())


def told(answers: Answers) -> list[int]:
    """Returns the episodes of a run, as numbers that `pgcheck.external.episodes.decoded` reads."""
    numbers = [len(answers.episodes)]
    for environment, (start, *outcomes) in zip(answers.environment, answers.episodes, strict=True):
        numbers += [environment, start, len(outcomes), *outcomes]
    return numbers
