"""Results in words, numbers as people read them, and the names of things."""

import math
from collections.abc import Sequence

from pgcheck.estimators.base import Estimator
from pgcheck.estimators.convergence import Row, Slope
from pgcheck.estimators.moments import Moments
from pgcheck.exact.gradient import Discrepancy, ExactGradient
from pgcheck.model.mdp import MDP
from pgcheck.trajectories.counting import count_text
from pgcheck.trajectories.likely import Trajectory

# Two-sided 99 % points of Student's t by degrees of freedom: with a few rows the scatter itself is uncertain.
STUDENT_99 = {1: 63.7, 2: 9.92, 3: 5.84, 4: 4.60, 5: 4.03, 6: 3.71, 7: 3.50, 8: 3.36}


def headline(mdp: MDP, trajectories: int | None) -> str:
    """One line that says which model this is."""
    sizes = f"{many(mdp.num_states, 'state')}, {many(mdp.num_actions, 'action')}, horizon {grouped(mdp.horizon)}"
    count = "" if trajectories is None else f"; {about(trajectories)}"
    return f"{mdp.name}: {sizes}, gamma {mdp.gamma:.12g}{count}"


def named(estimator: Estimator) -> str:
    """The estimator, where it is not the usual one."""
    if estimator.name == "reinforce":
        return ""
    return f"{estimator.name}{'' if estimator.lam is None else f' (lambda {estimator.lam:g})'}; "


def grouped(n: int) -> str:
    """A whole number with its thousands apart."""
    return f"{n:,}"


def spaced(n: int) -> str:
    """A number of rollouts with its thousands apart."""
    return f"{n:,}".replace(",", " ")


def many(n: int, noun: str) -> str:
    """A number of things."""
    return f"{n:,} {noun}{'' if n == 1 else 's'}"


def about(n: int) -> str:
    """A number of trajectories."""
    return f"{sized(n)} trajector{'y' if n == 1 else 'ies'}"


def sized(n: int) -> str:
    """A whole number; beyond 15 digits, its size."""
    return count_text(n, large="{mantissa}e{exponent}")


def percent(x: float | None) -> str:
    """A share in percent; nothing for None."""
    if x is None:
        return ""
    return f"{100 * x:.2f} %" if abs(x) >= 1e-3 or x == 0 else f"{100 * x:.1e} %"


def in_names(mdp: MDP, trajectory: Trajectory) -> str:
    """A trajectory in names: s0 a0 > s1 a1 > s2."""
    outcomes = trajectory.path[1:]
    steps = [f"{mdp.states[mdp.state[k]]} {mdp.actions[mdp.action[k]]}" for k in outcomes[:12]]
    if len(outcomes) > 12:
        steps.append(f"... {len(outcomes) - 12} more")
    end = mdp.next_state[outcomes[-1]] if len(outcomes) else trajectory.path[0]
    return " > ".join([*steps, mdp.states[end]])


def converge_sentence(
    rows: Sequence[Row], fit: Slope, exact: ExactGradient, estimator: Estimator, limit: Moments | None
) -> str:
    """What the table shows, in words."""
    if limit is not None and rows and (bias := remaining_bias(exact, limit)) > 0:
        stalls = "stalls" if rows[-1].error <= 2 * bias else "will stall"
        return f"error {stalls} at the bias of {estimator.name}, {_relative(exact, bias)}, however large N is"
    if rows and all(row.error == 0 for row in rows):
        return "the error is 0 at every N: here every rollout gives the exact gradient"
    if fit.slope is None:
        return "one N draws no line; give several, as in --n 10..1e6"
    rate = f"error falls as N^{fit.slope:.2f}" if fit.slope < 0 else f"error does not fall: N^{fit.slope:+.2f}"
    if fit.std_err is None:
        return f"{rate}; two N give no uncertainty (Monte Carlo: N^-0.50)"
    rate += f" (+- {fit.std_err:.2f})"
    off = abs(fit.slope + 0.5)
    if off <= max(2 * fit.std_err, 0.005):
        return f"{rate}: the Monte Carlo rate"
    if off <= STUDENT_99.get(len(rows) - 2, 3.2) * fit.std_err:
        return f"{rate}: the Monte Carlo rate N^-0.50 is within the scatter"
    return f"{rate}, away from the Monte Carlo rate N^-0.50; --replicates 16 is steadier"


def error_sentence(off: Discrepancy) -> str:
    """How far the estimate is from the gradient."""
    if off.relative_error is None:
        return f"||error|| = {off.error:.3e}; the gradient is 0, so there is no relative error"
    cosine = "" if off.cosine is None else f", cosine {off.cosine:.6f}"
    return f"||error|| = {off.error:.3e}, {percent(off.relative_error)} of ||gradient||{cosine}"


def remaining_bias(exact: ExactGradient, limit: Moments) -> float:
    """‖bias‖ as N grows; 0 where it is nothing but rounding, or the noise of a sample."""
    bias = math.hypot(*limit.bias(exact.gradient).tolist())
    noise = 1e-9 * exact.norm + exact.rounding
    if limit.evidence == "sample" and limit.rollouts:
        noise = 4 * math.sqrt(limit.trace / limit.rollouts)
    return bias if bias > noise else 0.0


def moments_sentences(exact: ExactGradient, estimator: Estimator, moments: Moments | None, n: int) -> list[str]:
    """What was to be expected of an estimate."""
    if moments is None:
        return [f"the expected error of {estimator.name} cannot be foretold here"]
    how = {
        "recursion": "exact, before any rollout",
        "enumeration": "from all trajectories, before any rollout",
        "sample": f"from a sample of {moments.rollouts} rollouts",
    }[moments.evidence]
    lines = [f"expected error {moments.expected_error(exact.gradient, n):.3e} ({how})"]
    bias = remaining_bias(exact, moments)
    if bias > 0:
        lines.append(f"{estimator.name} is biased by {_relative(exact, bias)}: more rollouts do not help")
    return lines


def _relative(exact: ExactGradient, size: float) -> str:
    return f"{size:.2e}" + (f" ({percent(size / exact.norm)} of ||gradient||)" if exact.norm > 0 else "")


def two_readings_told(off: Discrepancy, wrong: Discrepancy, distinct: int) -> list[str]:
    """Which reading of "the mean over the sampled trajectories" is the gradient."""
    right = "rollouts alike: tau weighs n(tau)/N"
    other = f"{distinct:,} distinct trajectories alike"
    width = max(len(right), len(other))
    return [
        "",
        "P(tau) is in n(tau)/N: how often tau was drawn stands in for its probability.",
        f"  {right:{width}}  error {_size(off)}",
        f"  {other:{width}}  error {_size(wrong)}, a misreading",
    ]


def _size(off: Discrepancy) -> str:
    return f"{off.error:.2e}" + ("" if off.relative_error is None else f" ({percent(off.relative_error)})")
