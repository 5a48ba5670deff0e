"""The trajectories with the greatest shares of ∇J, found by enumeration: a share has no bound to search by.

share(τ) = P(τ) R(τ) Σ_t h(s_t, a_t),   h(s, a) = ∇log π(a|s) · ∇J / ‖∇J‖²

All steps are done with one table h.
"""

import numpy as np

from pgcheck.arrays import Floats
from pgcheck.errors import TooLargeError, UsageError
from pgcheck.exact.contributions import Contribution, share_of
from pgcheck.exact.gradient import ExactGradient
from pgcheck.model.mdp import MDP
from pgcheck.model.objective import credited
from pgcheck.model.policy import Policy, along
from pgcheck.trajectories.counting import count_text, count_trajectories, horizon_that_fits, refuse_endless
from pgcheck.trajectories.likely import Trajectory
from pgcheck.trajectories.paths import enumerated_paths

MAX_ENUMERATED = 1_000_000  # trajectories among which the greatest shares are sought


def greatest_shares(mdp: MDP, policy: Policy, exact: ExactGradient, k: int) -> tuple[Contribution, ...]:
    """Returns the k trajectories with the largest |share| of ∇J, the largest first; fewer if there are fewer.

    Args:
      mdp, policy: the problem.
      exact: its gradient.
      k: how many.

    Raises:
      TooLargeError: there are more than a million trajectories.
      UsageError: ∇J is 0, so that nothing has a share of it.
    """
    if exact.norm == 0:
        raise UsageError("the gradient is 0: no trajectory has a share of it; use --by probability")
    _check_size(mdp)
    mdp = credited(mdp, policy)
    weights = np.append(_along_gradient(mdp, policy, exact), 0.0)  # the last is that of the padding
    kept: list[tuple[float, float, float, tuple[int, ...]]] = []  # −|share|, P, R, path
    for paths in enumerated_paths(mdp, policy):
        shares = np.abs(paths.measure * paths.returns * weights[paths.steps[1:]].sum(axis=0))
        columns = np.argsort(-shares, kind="stable")[:k]
        kept += [
            (-float(shares[c]), float(paths.measure[c]), float(paths.returns[c]), tuple(paths.steps[:, c].tolist()))
            for c in columns.tolist()
            if len(kept) < k or -shares[c] < kept[-1][0]
        ]
        kept = sorted(kept, key=lambda entry: entry[0])[:k]
    trajectories = [
        Trajectory(np.array([step for step in path if step != mdp.padding], dtype=np.int64), probability, value)
        for _, probability, value, path in kept
    ]
    return tuple(Contribution(trajectory, share_of(mdp, policy, exact, trajectory)) for trajectory in trajectories)


def _along_gradient(mdp: MDP, policy: Policy, exact: ExactGradient) -> Floats:
    """h(s, a) of the state and action of each outcome."""
    return np.asarray(along(policy, exact.gradient / exact.norm)[mdp.state, mdp.action] / exact.norm)


def _check_size(mdp: MDP) -> None:
    """Raises TooLargeError where there are too many trajectories to look at each."""
    refuse_endless(mdp)
    try:
        count: int | None = count_trajectories(mdp)
    except TooLargeError:
        count = None
    if count is not None and count <= MAX_ENUMERATED:
        return
    size = (
        "more trajectories than can be counted"
        if count is None
        else f"{count_text(count, large='{mantissa}e{exponent}')} trajectories"
    )
    fits = horizon_that_fits(mdp, MAX_ENUMERATED)
    lower = (
        ""
        if fits is None
        else f"Lower the horizon from {mdp.horizon:,} to {fits[0]:,} ({fits[1]:,} trajectories), or "
    )
    raise TooLargeError(
        f"{size}; the greatest shares are found by enumeration, of at most {MAX_ENUMERATED:,}.\n"
        f"  {lower}{'use' if lower else 'Use'} --by probability."
    )
