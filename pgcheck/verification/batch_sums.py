"""What is kept of rollouts for a sampled verdict: 2 K d + 2 d numbers and a few, however many rollouts there are."""

from dataclasses import dataclass

import numpy as np

from pgcheck.arrays import Floats
from pgcheck.workers.executor import Arrays

BATCHES = 64  # K
ROUNDING, ROUNDING_IN_SINGLE = 1e-9, 1e-5  # of the greatest number in a gradient: an error that is none


@dataclass(eq=False)
class Carried:
    """How evenly rollouts carry a sum of squares.

    Attributes:
      squares, fourths: Σ ‖x‖² and Σ ‖x‖⁴.
      greatest: the greatest ‖x‖².
    """

    squares: float = 0.0
    fourths: float = 0.0
    greatest: float = 0.0

    def add(self, norms: Floats, counts: Floats | None = None) -> None:
        """Adds some ‖x‖² `[m]`; each as often as it came `[m]`, where that is given."""
        self.squares += float(norms.sum() if counts is None else counts @ norms)
        self.fourths += float(norms @ norms if counts is None else counts @ norms**2)
        seen = norms if counts is None else norms[counts > 0]
        self.greatest = max(self.greatest, float(seen.max(initial=0.0)))

    def merge(self, other: "Carried") -> None:
        """Adds what others carry."""
        self.squares += other.squares
        self.fourths += other.fourths
        self.greatest = max(self.greatest, other.greatest)

    @property
    def effective(self) -> float:
        """How many rollouts carry it: (Σ ‖x‖²)² / Σ ‖x‖⁴; 0 where all are 0."""
        return self.squares**2 / self.fourths if self.fourths > 0 else 0.0


@dataclass(eq=False)
class Sums:
    """Sums over the errors of drawn gradients: each less what was expected of it.

    Attributes:
      batches: Σ error of each batch `[K, d]`.
      due: Σ of what was expected of each batch `[K, d]`.
      squares, fourths: Σ error_j² and Σ error_j⁴ of each component, over all rollouts `[d]`.
      errors, gradients: how evenly the rollouts carry the errors, and the gradients.
      rollouts: how many rollouts.
    """

    batches: Floats
    due: Floats
    squares: Floats
    fourths: Floats
    errors: Carried
    gradients: Carried
    rollouts: int = 0

    @classmethod
    def empty(cls, size: int) -> "Sums":
        """Returns the sums of no rollouts, of gradients `[d]`."""
        by_batch = np.zeros((2, BATCHES, size))
        return cls(by_batch[0], by_batch[1], np.zeros(size), np.zeros(size), Carried(), Carried())

    def add(self, errors: Floats, gradients: Floats) -> None:
        """Adds one rollout to each batch in turn, m times: errors and gradients `[K m, d]`."""
        squared = errors**2
        self.batches += errors.reshape(-1, BATCHES, errors.shape[1]).sum(axis=0)
        self.due += (gradients - errors).reshape(-1, BATCHES, errors.shape[1]).sum(axis=0)
        self.squares += squared.sum(axis=0)
        self.fourths += np.einsum("ij,ij->j", squared, squared)
        self.errors.add(squared.sum(axis=1))
        self.gradients.add(np.einsum("ij,ij->i", gradients, gradients))
        self.rollouts += len(errors)

    def add_counted(self, errors: Floats, gradients: Floats, counts: Floats) -> None:
        """Adds distinct rollouts, errors and gradients `[m, d]`, as often as they came in each batch `[K, m]`."""
        squared, total = errors**2, counts.sum(axis=0)
        self.batches += counts @ errors
        self.due += counts @ (gradients - errors)
        self.squares += total @ squared
        self.fourths += total @ squared**2
        self.errors.add(squared.sum(axis=1), total)
        self.gradients.add(np.einsum("ij,ij->i", gradients, gradients), total)
        self.rollouts += int(total.sum())

    def merge(self, other: "Sums") -> None:
        """Adds the sums over other rollouts."""
        self.batches += other.batches
        self.due += other.due
        self.squares += other.squares
        self.fourths += other.fourths
        self.errors.merge(other.errors)
        self.gradients.merge(other.gradients)
        self.rollouts += other.rollouts

    def arrays(self) -> Arrays:
        """Returns all of it as arrays."""
        carried = [[it.squares, it.fourths, it.greatest] for it in (self.errors, self.gradients)]
        return self.batches, self.due, self.squares, self.fourths, np.array(carried), np.array(self.rollouts)

    @classmethod
    def from_arrays(cls, arrays: Arrays) -> "Sums":
        """Returns the sums that `arrays` returned."""
        batches, due, squares, fourths, carried, rollouts = arrays
        errors, gradients = (Carried(*values) for values in carried.tolist())
        return cls(batches, due, squares, fourths, errors, gradients, int(rollouts))

    @property
    def means(self) -> Floats:
        """The mean error of each batch `[K, d]`."""
        return self.batches / (self.rollouts / BATCHES)

    @property
    def means_due(self) -> Floats:
        """The mean of what was expected of each batch `[K, d]`."""
        return self.due / (self.rollouts / BATCHES)

    @property
    def mean(self) -> Floats:
        """The mean error `[d]`."""
        return np.asarray(self.batches.sum(axis=0) / self.rollouts)

    @property
    def std_error(self) -> Floats:
        """The standard error of each component of the mean `[d]`."""
        n = self.rollouts
        return np.asarray(np.sqrt(np.maximum(self.squares / n - self.mean**2, 0.0) / n))


def errors_of(gradients: Floats, due: Floats, *, single: bool) -> Floats:
    """Returns gradients less what was expected of each `[m, d]`; 0 where the difference is a matter of rounding."""
    errors = gradients - due
    size = np.maximum(np.abs(gradients), np.abs(due)).max(axis=1, initial=0.0)
    errors[np.abs(errors).max(axis=1, initial=0.0) <= (ROUNDING_IN_SINGLE if single else ROUNDING) * size] = 0.0
    return errors
