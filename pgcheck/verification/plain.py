"""What stands beside an objective: the same model with its plain rewards, without entropy and KL."""

from dataclasses import replace

import numpy as np

from pgcheck.exact.gradient import exact_gradient
from pgcheck.model.mdp import MDP
from pgcheck.trajectories.batch import Batch
from pgcheck.verification.findings import Enumeration, Finding


def plain_finding(finding: Finding) -> Finding:
    """Returns a finding beside the gradient of J of the plain rewards; itself where that is what it has."""
    mdp, policy = finding.mdp, finding.policy
    if not mdp.entropy and not mdp.kl:
        return finding
    enumeration = None if finding.enumeration is None else plain_enumeration(finding.enumeration)
    bare = _bare(mdp) if enumeration is None else enumeration.mdp
    setting = replace(finding.setting, mdp=bare)
    examples = setting.examples(1) if enumeration is None else enumeration.batch
    truth = exact_gradient(bare, policy, method="backward-induction")
    gradient = examples.shaped(np.zeros(len(policy.theta)) if truth.is_zero else truth.gradient)
    return replace(finding, setting=setting, gradient=gradient, enumeration=enumeration)


def plain_enumeration(enumeration: Enumeration) -> Enumeration:
    """Returns the same episodes of the model with its plain rewards."""
    bare, batch = _bare(enumeration.mdp), enumeration.batch
    plain = Batch(bare, enumeration.policy, batch.starts, batch.outcomes, batch.behavior)
    return replace(enumeration, mdp=bare, batch=plain)


def _bare(mdp: MDP) -> MDP:
    return replace(mdp, entropy=0.0, kl=0.0)
