"""A verification → its JSON object, and the row of each finding in JSON lines and CSV."""

import dataclasses

from pgcheck.report.loops import loop_record
from pgcheck.report.sampled import sampled_record
from pgcheck.report.view import Record
from pgcheck.verification.findings import Finding
from pgcheck.verification.limits import Skipped
from pgcheck.verification.loop_evidence import LoopFinding
from pgcheck.verification.sampled_finding import SampledFinding
from pgcheck.verification.verification import Verification

NOT_SAMPLED: Record = dict.fromkeys(("rollouts", "bound", "confidence", "p_value", "needed", "decision"))


def verification_record(name: str, verification: Verification) -> Record:
    """Returns the JSON object of a verdict."""
    return {
        "estimator": name,
        "verdict": verification.verdict,
        "evidence": "sampled" if verification.sampled else "exact",
        "allowed": list(verification.allowed),
        "tolerance": verification.tolerance,
        "accepted_scale": verification.scale,
        "off_policy": verification.off_policy,
        "same_start": verification.same_start,
        "per_episode": verification.contract.by_episode,
        "models": [
            {
                **finding_row(finding),
                **(loop_record(finding) if isinstance(finding, LoopFinding) else {}),
                **({"std_error": finding.std_error_vector.tolist()} if isinstance(finding, SampledFinding) else {}),
                "parameters": [list(names) for names in finding.policy.parameters],
                "expectation": finding.expectation_vector.tolist(),
                "gradient": finding.gradient_vector.tolist(),
            }
            for finding in verification.findings
        ],
        "diagnosis": [{"id": diagnosis.id, "text": diagnosis.text} for diagnosis in verification.diagnosis],
        "matrix": None if verification.matrix is None else verification.matrix.values.tolist(),
        "skipped": [_left_out(skipped) for skipped in verification.skipped],
        "stretched": [dataclasses.asdict(result) for result in verification.stretched],
        **_of_sampling(verification),
    }


def _of_sampling(verification: Verification) -> Record:
    """What is known of drawn gradients as a whole."""
    sampling = verification.sampling
    return {
        "confidence": sampling and sampling.confidence,
        "sampled_tolerance": sampling and sampling.tolerance,
        "excluded": verification.excluded if sampling else None,
        "rest": verification.rest,
    }


def _left_out(skipped: Skipped) -> Record:
    """A model, or batch sizes of it, that were left out, and what would allow them."""
    limit = skipped.limit
    return {
        "model": skipped.model,
        "why": skipped.why,
        "unsuitable": skipped.unsuitable,
        "option": limit and limit.option,
        "needed": limit and limit.needed,
        "horizon": limit and limit.horizon,
    }


def finding_row(finding: Finding | None) -> Record:
    """Returns the figures of a finding; all None without one. What variances are compared with goes by who draws."""
    off_policy = finding is not None and finding.setting.off_policy
    on, off = (None, finding) if off_policy else (finding, None)
    return {
        "model": finding and finding.mdp.name,
        "horizon": finding and finding.mdp.horizon,
        "entropy": finding and finding.mdp.entropy,
        "kl": finding and finding.mdp.kl,
        "evidence": finding and ("sampled" if isinstance(finding, SampledFinding) else "exact"),
        "batch_size": None if isinstance(finding, LoopFinding) else finding and finding.batch_size,
        "runs": finding.runs.number if isinstance(finding, LoopFinding) else None,
        "bias": finding and finding.bias,
        "relative_bias": finding and finding.relative_bias,
        "cosine": finding and finding.cosine,
        "scale": finding and finding.scale,
        "variance": finding and finding.expectation.trace,
        "variance_reinforce": on and on.reinforce,
        "variance_reward_to_go": on and on.reward_to_go,
        "variance_importance_sampling": off and off.reinforce,
        "variance_per_decision": off and off.reward_to_go,
        **(sampled_record(finding) if isinstance(finding, SampledFinding) else NOT_SAMPLED),
    }
