"""Numbers and names as people read them."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from pgcheck.model.mdp import MDP
from pgcheck.report.view import Record
from pgcheck.trajectories.counting import count_text
from pgcheck.trajectories.likely import Trajectory

if TYPE_CHECKING:  # `exact` needs no estimator
    from pgcheck.estimators.base import Estimator

MAX_STEPS = 12  # of a trajectory that are named


def headline(mdp: MDP, trajectories: int | None) -> str:
    """Returns one line that says which model this is."""
    sizes = f"{many(mdp.num_states, 'state')}, {many(mdp.num_actions, 'action')}, {horizon(mdp)}"
    count = "" if trajectories is None else f"; {about(trajectories)}"
    return f"{mdp.name}: {sizes}, gamma {mdp.gamma:.12g}{objective(mdp)}{count}"


def horizon(mdp: MDP) -> str:
    """Returns the horizon, for a headline; where there is none, also where episodes are cut."""
    return f"horizon inf, cut at {mdp.horizon:,}" if mdp.is_endless else f"horizon {mdp.horizon:,}"


def objective(mdp: MDP) -> str:
    """Returns what J has beside rewards, for a headline; nothing where that is nothing."""
    parts = [("entropy", mdp.entropy), ("kl", mdp.kl)]
    return "".join(f", {name} {weight:.12g}" for name, weight in parts if weight)


def named(estimator: "Estimator") -> str:
    """Returns the estimator, for a headline; nothing for the usual one."""
    if estimator.name == "reinforce":
        return ""
    return f"{estimator.name}{'' if estimator.lam is None else f' (lambda {estimator.lam:g})'}; "


def many(n: int, noun: str) -> str:
    """Returns a number of things."""
    return f"{n:,} {noun}{'' if n == 1 else 's'}"


def about(n: int) -> str:
    """Returns a number of trajectories."""
    return f"{sized(n)} trajector{'y' if n == 1 else 'ies'}"


def sized(n: int) -> str:
    """Returns a whole number; beyond 15 digits, its size."""
    return count_text(n, large="{mantissa}e{exponent}")


def percent(x: float | None) -> str:
    """Returns a share in percent; nothing for None."""
    if x is None:
        return ""
    if x == 0:
        return "0 %"
    return f"{100 * x:,.2f} %" if abs(x) >= 1e-3 else f"{100 * x:.1e} %"


def bias_text(bias: float, relative: float | None) -> str:
    """Returns a bias in percent of the gradient; where that is 0, by itself."""
    return f"{bias:.1e} of 0" if relative is None else percent(relative)


def known_digits(x: float, rounding: float, most: int) -> str:
    """Returns a number with the significant digits that rounding leaves, at most so many; `0` where it leaves none.

    Args:
      x: the number.
      rounding: a bound on its error.
      most: the most digits.
    """
    if abs(x) <= rounding:
        return "0"
    known = math.floor(math.log10(abs(x)) - math.log10(rounding)) if rounding > 0 else most
    return f"{x:.{min(max(known, 1), most)}g}"


def if_known(value: float | None, form: str) -> str:
    """Returns a number in a form, or nothing for None."""
    return "" if value is None else format(value, form)


def bias_size(bias: float, relative: float | None) -> str:
    """Returns ‖bias‖, and what part of ‖∇J‖ it is, if that is known."""
    return f"{bias:.2e}" + ("" if relative is None else f" ({percent(relative)} of ||gradient||)")


def in_names(mdp: MDP, trajectory: Trajectory) -> str:
    """Returns a trajectory in names: s0 a0 > s1 a1 > s2."""
    outcomes = trajectory.path[1:]
    steps = [f"{mdp.states[mdp.state[k]]} {mdp.actions[mdp.action[k]]}" for k in outcomes[:MAX_STEPS]]
    if len(outcomes) > MAX_STEPS:
        steps.append(f"... {len(outcomes) - MAX_STEPS} more")
    end = mdp.next_state[outcomes[-1]] if len(outcomes) else trajectory.path[0]
    return " > ".join([*steps, mdp.states[end]])


def parameter_names(mdp: MDP, parameters: Sequence[tuple[str, ...]]) -> tuple[str, ...]:
    """Returns what the parts of a parameter's name are called: two of a preference, else one."""
    if any(len(names) == 1 for names in parameters[:1]):
        return ("parameter",)
    return ("state" if mdp.observations == mdp.states else "observation"), "action"


def model_record(mdp: MDP) -> Record:
    """Returns the keys with which every JSON object about a model begins; `endless`: the horizon is a cut."""
    endless: Record = {"endless": True} if mdp.is_endless else {}
    return {
        "model": mdp.name, "horizon": mdp.horizon, **endless, "gamma": mdp.gamma, "entropy": mdp.entropy,
        "kl": mdp.kl,
    }  # fmt: skip


def estimator_record(estimator: "Estimator") -> Record:
    """Returns the keys of an estimator."""
    return {"estimator": estimator.name, **({} if estimator.lam is None else {"lambda": estimator.lam})}


def trajectory_record(mdp: MDP, trajectory: Trajectory) -> Record:
    """Returns the keys of a trajectory."""
    first, outcomes = trajectory.path[0], trajectory.path[1:]
    return {
        "probability": trajectory.probability,
        "return": trajectory.value,
        "states": [int(first), *mdp.next_state[outcomes].tolist()],
        "actions": mdp.action[outcomes].tolist(),
        "rewards": mdp.reward[outcomes].tolist(),
        "terminated": bool(mdp.ends[outcomes[-1]] if len(outcomes) else mdp.terminal[first]),
    }
