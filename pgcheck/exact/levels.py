"""Values by the number of steps to go, relative to those of one state, with a bound on their errors.

V_n = r + γ P V_{n−1}, V_0 = 0, is kept as h_n = V_n − C_n, where C_n is the value of the reference:

    w = r + γ P h_{n−1},   h_n = w − w(reference),   C_n = γ C_{n−1} + w(reference)

C_n is what all states have in common, whatever rounding has made of w(reference); so the error of h_n is at most

    e_n = γ P e_{n−1} + the rounding of w + u |h_n|,   e_0 = 0
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from pgcheck.arrays import Floats
from pgcheck.errors import TooLargeError
from pgcheck.exact.chain import ROUNDOFF, Chain
from pgcheck.model.mdp import MDP

MAX_VALUES = 40_000_000  # values V_n(s) that may be kept, with their errors: 1 GB
MAX_UPDATES = 20_000_000_000  # outcomes x horizon: some minutes
STEADY_WITHIN = 5_000  # steps in which values may become steady before a horizon is called too long
BLOCK_WORK = 2**18  # products in the multiplication that handles a block of steps at once

Progress = Callable[[float], None]


@dataclass(frozen=True, eq=False)
class Levels:
    """Values by the number of steps to go, 0 to n; the last ones hold for all beyond.

    Attributes:
      h: V less that of the reference `[n + 1, S + 1]`.
      error: e, the bound on h's error `[n + 1, S + 1]`.
      constant: C, what h lacks of V `[n + 1]`.
      constant_error: a bound on the error of the last constant.
    """

    h: Floats
    error: Floats
    constant: Floats
    constant_error: float


def block_size(chain: Chain) -> int:
    """Returns how many steps are handled at once."""
    return max(1, min(512, BLOCK_WORK // max(chain.layout.pairs.work, chain.layout.states.work)))


def values_by_level(mdp: MDP, chain: Chain, reference: int, progress: Progress | None) -> Levels:
    """Returns the values by the number of steps to go, up to the horizon or to where they no longer change.

    Args:
      mdp, chain: the problem.
      reference: the state relative to whose value the others are kept; S, the end, for the values themselves.
      progress: called with the fraction done, 0 to 1/2, from time to time.

    Raises:
      TooLargeError: values do not become steady, and the horizon is too long to keep them.
    """
    size = mdp.num_states + 1
    h, error, constant = [np.zeros((1, size))], [np.zeros((1, size))], [np.zeros(1)]
    constant_error, done = 0.0, 0
    while done < mdp.horizon:
        steps = min(block_size(chain), mdp.horizon - done)
        rows, shifts = _relative_values(chain, h[-1][-1], steps, reference)
        bounds = _error_bounds(chain, error[-1][-1], rows, reference)
        constants = np.empty(steps + 1)
        constants[0] = total = float(constant[-1][-1])
        for n, shift in enumerate(shifts, 1):
            constants[n] = total = mdp.gamma * total + shift
            constant_error = mdp.gamma * constant_error + 2 * ROUNDOFF * abs(total)
        for kept, block in ((h, rows), (error, bounds), (constant, constants)):
            kept.append(block[1:])
        done += steps
        if all(np.array_equal(block[-1], block[-2]) for block in (rows, bounds, constants)):
            break  # every further step would give the same
        if done >= STEADY_WITHIN or done == mdp.horizon or done * mdp.num_states > MAX_VALUES:
            _refuse_too_long(mdp)
        if progress is not None:
            progress(0.5 * done / mdp.horizon)
    if mdp.gamma < 1:  # what it would become if the steps went on for ever
        constant_error = max(constant_error, 2 * ROUNDOFF * abs(float(constant[-1][-1])) / (1 - mdp.gamma))
    return Levels(np.concatenate(h), np.concatenate(error), np.concatenate(constant), constant_error)


def _relative_values(chain: Chain, h: Floats, steps: int, reference: int) -> tuple[Floats, list[float]]:
    """h of the next so many steps after this one `[steps + 1, S + 1]`, and w(reference) of each step."""
    rows, shifts = np.empty((steps + 1, len(h))), [0.0] * steps
    rows[0] = h
    for n in range(steps):
        np.add(chain.step.back(rows[n]), chain.reward, out=rows[n + 1])
        if reference < len(h) - 1:  # the value of the end is 0
            shifts[n] = float(rows[n + 1, reference])
            rows[n + 1] -= shifts[n]
    return rows, shifts


def _error_bounds(chain: Chain, error: Floats, rows: Floats, reference: int) -> Floats:
    """e of the same steps `[steps + 1, S + 1]`."""
    bounds, noise = np.empty_like(rows), chain.noise(rows[:-1])
    if reference < len(error) - 1:
        noise += ROUNDOFF * np.abs(rows[1:])
    bounds[0] = error
    for n in range(len(noise)):
        np.add(chain.step.back(bounds[n]), noise[n], out=bounds[n + 1])
    return bounds


def _refuse_too_long(mdp: MDP) -> None:
    """Raises TooLargeError where the values of so many steps cannot be kept: they have not become steady."""
    if mdp.horizon * mdp.num_states > MAX_VALUES or mdp.horizon * len(mdp.prob) > MAX_UPDATES:
        fits = min(MAX_VALUES // mdp.num_states, MAX_UPDATES // max(1, len(mdp.prob)))
        raise TooLargeError(
            f"horizon {mdp.horizon:,} with {mdp.num_states:,} states and {len(mdp.prob):,} outcomes is too long "
            f"for backward induction.\n  Lower the horizon to {fits:,}."
        )
