"""A verification → its view: verdict, figures, what is wrong, and what a pass claims."""

import textwrap
from collections.abc import Iterator

import numpy as np

from pgcheck.arrays import Floats
from pgcheck.estimators.catalogue import NAMES, estimator
from pgcheck.report.view import Column, Grid, Record, View
from pgcheck.report.words import many, percent
from pgcheck.verification.impulses import drawn
from pgcheck.verification.probing import Finding
from pgcheck.verification.verdict import Verification

EXIT = {"pass": 0, "fail": 1, "inconclusive": 3}
WORST = 3  # components that are named
WIDTH = 79
NEEDLESS = 1.2  # times the variance of reward-to-go that is worth a word


def verification_view(name: str, found: Verification) -> View:
    """The verdict on an estimator in every form."""
    rows = [_row(one) for one in found.findings]
    names = " ".join(one.id for one in found.diagnosis)
    lines: list[Record] = [{"verdict": found.verdict, **row, "diagnosis": names, "why": None} for row in rows]
    for skipped in found.skipped:
        blank: Record = dict.fromkeys(_KEYS)
        lines.append(
            {"verdict": "inconclusive", **blank, "model": skipped.model, "diagnosis": "", "why": skipped.why}
        )

    def record() -> Record:
        return {
            "estimator": name,
            "verdict": found.verdict,
            "evidence": "exact",
            "tolerance": found.tolerance,
            "accepted_scale": found.scale,
            "per_episode": found.contract.by_episode,
            "models": [
                {
                    **row,
                    "parameters": [list(names) for names in one.policy.parameters],
                    "expectation": _flat(one, one.expectation.mean).tolist(),
                    "gradient": _flat(one, one.gradient).tolist(),
                }
                for row, one in zip(rows, found.findings, strict=True)
            ],
            "diagnosis": [{"id": one.id, "text": one.text} for one in found.diagnosis],
            "matrix": None if found.matrix is None else found.matrix.values.tolist(),
            "skipped": [{"model": one.model, "why": one.why} for one in found.skipped],
        }

    blocks: list[str | Grid] = [f"{name}: {found.verdict.upper()}"]
    if found.findings:
        blocks += [
            "",
            _table(found),
            "",
            "variance: B tr Cov of the estimate, over tr Cov of one rollout's reinforce",
        ]
        if any(one.freedom < 2 for one in found.findings):
            blocks.append("no cosine where a gradient has but one direction: it would say nothing")
        blocks.append("")
    checked = {one.mdp.name for one in found.findings}
    for left in found.skipped:
        what = "left out" if left.model in checked else "not checked"
        blocks.append(textwrap.fill(f"{left.model}: {what}: {left.why}", WIDTH))
    blocks += list(_pass_told(name, found) if found.verdict == "pass" else _fail_told(found))
    blocks += list(_variance_told(found))
    return View(record, lines, blocks)


def first_line(found: Verification) -> str:
    """The verdict in one line: which model, by how much, and why."""
    worst = found.worst
    why = "; ".join(_named(found))
    if worst is None or found.verdict == "inconclusive":
        return "inconclusive: " + "; ".join(f"{one.model}: {one.why}" for one in found.skipped)
    size = worst.expectation.batch_size
    batch = "" if size == 1 and found.contract.by_episode else f" with batches of {size}"
    off = (
        f"a relative bias of {percent(worst.relative_bias)}"
        if worst.relative_bias is not None
        else f"a bias of {worst.bias:.3g} where the gradient is 0"
    )
    return f"{worst.mdp.name}: the expectation{batch} has {off}" + (f" ({why})" if why else "")


def _named(found: Verification) -> Iterator[str]:
    """What is wrong, each text once, after the names that it explains."""
    for text in dict.fromkeys(one.text for one in found.diagnosis):
        yield f"{', '.join(one.id for one in found.diagnosis if one.text == text)}: {text}"


def explanation(found: Verification) -> list[str]:
    """What a failure looks like, in lines."""
    return [line for line in "\n".join(_fail_told(found)).splitlines() if line]


def _row(one: Finding) -> Record:
    trace = one.expectation.trace
    return {
        "model": one.mdp.name,
        "batch_size": one.expectation.batch_size,
        "bias": one.bias,
        "relative_bias": one.relative_bias,
        "cosine": one.cosine,
        "scale": one.scale,
        "variance": trace,
        "variance_reinforce": one.reinforce,
        "variance_reward_to_go": one.reward_to_go,
    }


_KEYS = (
    "model", "batch_size", "bias", "relative_bias", "cosine", "scale", "variance", "variance_reinforce",
    "variance_reward_to_go",
)  # fmt: skip


def _flat(one: Finding, values: Floats) -> Floats:
    """`[*theta.shape]` in the order of the parameters `[d]`."""
    return values if values.ndim == 1 else values[~one.mdp.terminal].ravel()


def _table(found: Verification) -> Grid:
    columns = (
        Column("model", right=False), Column("B"), Column("relative bias"), Column("scale"), Column("cosine"),
        Column("variance"),
    )  # fmt: skip
    rows = []
    for one in found.findings:
        ratio = "" if not one.reinforce else f"{one.expectation.trace / one.reinforce:.3g} x"
        cosine = "" if one.cosine is None else f"{one.cosine:.6f}"
        bias = f"{one.bias:.1e} of 0" if one.relative_bias is None else _share(one.relative_bias)
        scale = "" if one.scale is None else f"{one.scale:.6g}"
        rows.append((one.mdp.name, str(one.expectation.batch_size), bias, scale, cosine, ratio))
    return Grid(columns, rows)


def _share(x: float) -> str:
    return f"{x:.1e}" if x < 1e-5 else percent(x)


def _pass_told(name: str, found: Verification) -> Iterator[str]:
    checked = {one.mdp.name for one in found.findings}
    what = "all trajectories" if found.contract.by_episode else "all batches"
    times = "" if found.scale is None else f"{found.scale:.6g} times "
    yield (
        f"Over {what} of {many(len(checked), 'model')} the exact expectation is {times}the gradient,\n"
        f"within {found.tolerance:g} of its size."
    )
    if all(one.mdp.gamma == 1 for one in found.findings):
        yield "All of these have gamma = 1: nothing is said of discounting; try --gamma 0.9."
    flat = sorted({one.mdp.name for one in found.findings if one.norm == 0})
    if flat:
        yield f"The gradient is 0 on {', '.join(flat)}: sign, scale and discount are not tested there."
    if name in NAMES and estimator(name).off_policy:
        yield "The episodes are the policy's own, so that all ratios are 1: nothing is said of\nanother behavior."
    for one in found.diagnosis:
        yield textwrap.fill(f"Be warned: {one.id}: {one.text}", WIDTH)


def _fail_told(found: Verification) -> Iterator[str]:
    worst = found.worst
    if worst is None or found.verdict == "inconclusive":
        yield "No verdict: what could not be listed could not be checked."
        return
    mean, gradient = (_flat(worst, values) for values in (worst.expectation.mean, worst.gradient))
    off = np.argsort(-np.abs(mean - gradient))[:WORST]
    listed = [
        f"  {' '.join(worst.policy.parameters[k])}: {mean[k]:.6g} where the gradient is {gradient[k]:.6g}"
        for k in off.tolist()
        if mean[k] != gradient[k]
    ]
    if listed:
        yield f"Worst components, on {worst.mdp.name}:\n" + "\n".join(listed)
    yield ""
    for line in _named(found):
        yield textwrap.fill(line, WIDTH, subsequent_indent="  ")
    if found.matrix is not None:
        gamma = found.matrix.gamma
        rows = drawn(found.matrix.values)
        yield (
            f"\nHow a unit reward r_k weighs step t (gamma {gamma:g}); for k >= t right is gamma^k,\n"
            f"{', '.join(f'{gamma**k:.4g}' for k in range(len(rows) - 1))}:\n" + "\n".join(rows)
        )


def _variance_told(found: Verification) -> Iterator[str]:
    """A mean can be right and the variance needlessly large."""
    if found.verdict != "pass":
        return
    ratios = [one.expectation.trace / one.reward_to_go for one in found.findings if one.reward_to_go]
    if ratios and max(ratios) > NEEDLESS:
        yield (
            f"Right, but noisy: up to {max(ratios):.2f} times the variance of reward-to-go, which leaves\n"
            "out the rewards before each step; they have no part in the gradient."
        )
