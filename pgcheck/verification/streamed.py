"""The verdict on gradients that a program printed, line by line, of what `pgcheck trajectories` listed.

Of all trajectories or batches they tell the exact expectation Σ P(τ) ĝ(τ); of drawn ones, its mean.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np

from pgcheck.estimators.contract import Contract
from pgcheck.external.answered_lines import GradientLines
from pgcheck.verification.allowance import is_allowed, marked
from pgcheck.verification.evidence import MAX_ENUMERATED_NUMBERS, count_of
from pgcheck.verification.exhaustive import Expectation
from pgcheck.verification.explanation import Explanation
from pgcheck.verification.findings import Enumeration, Finding
from pgcheck.verification.limits import SINGLE_TOLERANCE, TOLERANCE, Skipped, trajectory_limit
from pgcheck.verification.matching import diagnoses_of
from pgcheck.verification.sampled_diagnosis import diagnose_means
from pgcheck.verification.sampled_verdict import Named, named_by_samples
from pgcheck.verification.sampling import CONFIDENCE, Sampling
from pgcheck.verification.sampling import TOLERANCE as SAMPLED_TOLERANCE
from pgcheck.verification.scales import common_scale
from pgcheck.verification.setting import Setting
from pgcheck.verification.streamed_diagnosis import OTHER, explained
from pgcheck.verification.streamed_reading import all_listed, answered, example_of, in_parts, lines_of, shaped
from pgcheck.verification.streamed_samples import Draws, means_of, sampled_lines, too_few
from pgcheck.verification.truth import finding_of
from pgcheck.verification.verification import Printed, Verdict, Verification

ROUNDED = 5.0  # times the last digit of the greatest numbers, relative to their size, may be lost to rounding
MAX_COMPARED = 200_000  # trajectories, among which known mistakes are looked for

Progress = Callable[[float], None]  # is called with the fraction done


@dataclass(frozen=True)
class Judging:
    """How gradients are judged.

    Attributes:
      tolerance: the relative bias that passes; None is 1e-6, or 1e-4 where the numbers have few digits; of drawn
        rollouts it is 5 %.
      up_to_scale: accept one positive factor.
      allow: ids of deviations that are intended.
      max_trajectories: a model with more is not checked.
      confidence: with which the verdict on drawn rollouts is right.
    """

    tolerance: float | None = None
    up_to_scale: bool = False
    allow: tuple[str, ...] = ()
    max_trajectories: int = 2_000_000
    confidence: float = CONFIDENCE


def verify_printed(
    stream: BinaryIO, setting: Setting, judging: Judging, size: int | None = None, progress: Progress | None = None
) -> Verification:
    """Returns the verdict on the gradients of all trajectories, or of all batches, that stand on a stream.

    Args:
      stream: a gradient on each line.
      setting: the model, as it was listed.
      judging: what passes.
      size: B of the batches; None where each trajectory has a gradient.
      progress: called with the fraction done.

    Raises:
      EstimatorError: a line is no gradient, or there are too few or too many.
      TooLargeError: there are too many batches to be listed.
    """
    mdp, count = setting.mdp, count_of(setting.mdp)
    if size is None and (count is None or count > judging.max_trajectories):
        limit = trajectory_limit(mdp, count, judging.max_trajectories, "--max-trajectories")
        number = "more than can be counted" if count is None else f"{count:,} trajectories"
        why = f"{number}; the limit is {judging.max_trajectories:,}, or draw some: --n 1e6 to both commands"
        return unchecked(Skipped(mdp.name, why, limit=limit), setting, judging)
    lines = lines_of(stream, setting)
    total, square = np.zeros(()), 0.0
    done = 0.0
    for listed, gradients in answered(lines, in_parts(all_listed(setting, size), setting), setting, size):
        total = total + listed.measure @ gradients
        square += float(listed.measure @ np.sum(gradients**2, axis=1))
        done += float(listed.measure.sum())
        if progress is not None:
            progress(done)
    mean = shaped(np.asarray(total), setting)
    trace = (size or 1) * max(square - float(np.sum(mean**2)), 0.0)
    few = count is not None and count <= MAX_COMPARED and count * len(setting.policy.theta) <= MAX_ENUMERATED_NUMBERS
    finding = finding_of(
        setting, example_of(setting), Expectation(size or 1, mean, trace, lines.is_imprecise),
        Enumeration.of(setting) if few else None, (judging.tolerance or TOLERANCE) / 10,
    )  # fmt: skip
    return _judged(finding, lines, judging, square, by_episode=size is None)


def verify_drawn(
    stream: BinaryIO,
    setting: Setting,
    judging: Judging,
    draws: Draws,
    progress: Progress | None = None,
) -> Verification:
    """Returns the verdict on the gradients of drawn rollouts, or of drawn batches, that stand on a stream.

    Args:
      stream: a gradient on each line.
      setting: the model, as it was listed.
      judging: what passes; a tolerance of None is 5 %.
      draws: what was drawn.
      progress: called with the fraction done.

    Raises:
      EstimatorError, TooLargeError, PrecisionError: as in `sampled_lines`.
      UsageError: more rollouts than can be dealt out to batches.
    """
    sampling = Sampling(judging.confidence, judging.tolerance or SAMPLED_TOLERANCE, up_to_scale=judging.up_to_scale)
    if skipped := too_few(draws, setting):
        return unchecked(skipped, setting, judging)
    read = sampled_lines(stream, setting, draws, sampling, judging.allow, progress)
    finding, verdict, named, rest = read.finding, read.finding.look.decision, Named(), None
    if verdict == "fail" and read.allowed is not None:
        verdict, rest = "pass", read.allowed.bound
        named = Named(tuple(diagnoses_of(read.allowed.match)))
    elif verdict == "fail":
        named = named_by_samples(diagnose_means([means_of(read, draws)]))
    return Verification(
        verdict, (finding,), _contract(draws.size is None, single=finding.expectation.single), sampling.tolerance,
        1 + finding.look.scale_error if judging.up_to_scale and verdict == "pass" else None,
        marked(named.diagnoses, judging.allow), None, (), off_policy=setting.off_policy,
        same_start=setting.same_start, allowed=judging.allow, printed=Printed(None), sampling=sampling,
        excluded=named.excluded, rest=rest,
    )  # fmt: skip


def _judged(
    finding: Finding, lines: GradientLines, judging: Judging, square: float, *, by_episode: bool
) -> Verification:
    """The verdict on an expectation, and the name of what is wrong; `square` is E[‖ĝ‖²]."""
    scale = common_scale([finding]) if judging.up_to_scale else None

    def is_right(tolerance: float) -> bool:
        return finding.is_right(tolerance, scale or 1.0) and (scale is None or scale > 0)

    def is_meant(explanation: Explanation) -> bool:
        return is_allowed(explanation, judging.allow, [finding], up_to_scale=judging.up_to_scale)

    tolerance = judging.tolerance or TOLERANCE
    loosened = judging.tolerance is None and lines.is_imprecise and not is_right(tolerance)
    tolerance = SINGLE_TOLERANCE if loosened else tolerance
    verdict: Verdict = "pass"
    digits, names, may_be_rounding = lines.few_digits, Explanation().diagnoses, False
    if not is_right(tolerance):
        explanation = explained(finding, tolerance, is_meant if judging.allow else None)
        if explanation.complete and is_meant(explanation):
            scale = explanation.common_factor([finding]) if judging.up_to_scale else None
            names = explanation.without(scale)
        else:
            # What is near the gradient for want of digits is near some multiple of it too.
            is_known = explanation.complete and not any(it.figures for it in explanation.diagnoses)
            lost = 0.0 if digits is None else ROUNDED * 10.0 ** (1 - digits) * math.sqrt(square)
            may_be_rounding = not is_known and finding.bias <= lost
            verdict, names = "fail", explanation.diagnoses
            if may_be_rounding and finding.enumeration is not None:
                names = OTHER.diagnoses
    return Verification(
        verdict, (finding,), _contract(by_episode, single=lines.is_imprecise), tolerance, scale,
        marked(names, judging.allow), None, (), off_policy=finding.setting.off_policy,
        same_start=finding.setting.same_start, allowed=judging.allow,
        printed=Printed(digits, loosened, may_be_rounding),
    )  # fmt: skip


def unchecked(skipped: Skipped, setting: Setting, judging: Judging) -> Verification:
    """Returns the verdict where nothing was read."""
    return Verification(
        "inconclusive", (), _contract(True, single=False), judging.tolerance or TOLERANCE, None, (), None, (skipped,),
        off_policy=setting.off_policy, same_start=setting.same_start, allowed=judging.allow, printed=Printed(None),
    )  # fmt: skip


def _contract(by_episode: bool, *, single: bool) -> Contract:
    """What kind of function the program is, as far as its lines tell."""
    return Contract(by_episode, coupled=False, ordered=not by_episode, plain_mean=by_episode, single=single)
