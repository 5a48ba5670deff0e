"""What a program in any language would print: a gradient on a line, for each trajectory or batch that is listed."""

import io
import json
from collections.abc import Sequence

import numpy as np

from pgcheck import Batch
from pgcheck.trajectories.batches import list_batches
from pgcheck.trajectories.listing import ListedTrajectory, list_trajectories
from pgcheck.verification.models import problems_of
from pgcheck.verification.setting import Setting, setting_of
from pgcheck.verification.streamed import Judging, verify_printed
from pgcheck.verification.streamed_samples import Draws
from pgcheck.verification.verification import Verification
from tests.verification.zoo import Estimate


def setting(name: str, *, off_policy: bool = False, same_start: bool = False, **overrides: float) -> Setting:
    (model,) = problems_of([name], off_policy=off_policy, **overrides)
    return setting_of(model, off_policy=off_policy, same_start=same_start)


class Known:
    """Finds the outcomes of listed episodes by their state, action, next state and reward."""

    def __init__(self, where: Setting) -> None:
        mdp, self.where = where.mdp, where
        columns = mdp.state, mdp.action, mdp.next_state, mdp.reward, mdp.ends
        self.outcome = {key: k for k, key in enumerate(zip(*(column.tolist() for column in columns), strict=True))}

    def batch(self, episodes: Sequence[ListedTrajectory]) -> Batch:
        """The episodes as a batch."""
        mdp, longest = self.where.mdp, max(len(it.actions) for it in episodes)
        paths = np.full((1 + longest, len(episodes)), mdp.padding)
        for column, it in enumerate(episodes):
            paths[0, column] = it.states[0]
            for t, (s, a, r) in enumerate(zip(it.states, it.actions, it.rewards, strict=False)):
                ends = it.terminated and t == len(it.actions) - 1
                paths[1 + t, column] = self.outcome[s, a, it.states[t + 1], r, ends]
        return Batch.from_paths(mdp, self.where.policy, paths, self.where.behavior)


def lines(
    where: Setting, estimate: Estimate, size: int | None = None, draws: Draws | None = None, form: str = "json"
) -> str:
    """One line for each trajectory, or for each batch, of what is listed."""
    known = Known(where)
    n, rng = (None, None) if draws is None else (draws.n, draws.stream(0))
    if size is None:
        listed = list(list_trajectories(where.mdp, where.actor, n, rng).trajectories)
        rows = [estimate(known.batch(listed[lo : lo + 500])) for lo in range(0, len(listed), 500)]
        gradients = np.concatenate([np.asarray(row, dtype=np.float64) for row in rows])
    else:
        batches = list_batches(where.mdp, where.actor, size, n, rng, same_start=where.same_start).batches
        gradients = np.array([estimate(known.batch(it.episodes)) for it in batches])
    if form == "json":
        return "".join(json.dumps(row) + "\n" for row in gradients.tolist())
    return "".join(",".join(form % x for x in row.ravel()) + "\n" for row in gradients)


def stream(text: str) -> io.BytesIO:
    return io.BytesIO(text.encode())


def verdict(where: Setting, estimate: Estimate, judging: Judging | None = None) -> Verification:
    return verify_printed(stream(lines(where, estimate)), where, judging or Judging())
