"""Which ratio a KL term is multiplied by, where another policy drew the episodes."""

from collections.abc import Sequence

import numpy as np
import pytest

from pgcheck import MDP, Policy
from pgcheck.exact.gradient import exact_gradient
from pgcheck.trajectories.batch import Batch
from pgcheck.verification.causes import Diagnosis
from pgcheck.verification.exhaustive import Expectation
from pgcheck.verification.findings import Finding
from pgcheck.verification.objectives import Objectives
from pgcheck.verification.setting import Setting
from tests.oracles import Floats
from tests.verification.kl import drawn, models
from tests.verification.test_objectives import KL
from tests.verification.zoo import Estimate, discount


def findings_of(estimate: Estimate, loaded: Sequence[tuple[MDP, Policy]]) -> tuple[list[Finding], list[Floats]]:
    """What an estimator is beside the gradient off-policy, and without any reward."""
    findings, means = [], []
    for mdp, policy in loaded:
        model, _ = drawn(mdp, policy, off_policy=True)
        unrewarded = model.batch.altered(rewards=np.zeros(model.batch.rewards.shape))
        mean, bare = (np.tensordot(model.prob, estimate(batch), axes=1) for batch in (model.batch, unrewarded))
        gradient = model.batch.shaped(exact_gradient(mdp, policy).gradient)
        expectation = Expectation(1, mean, 0.0, single=False)
        findings.append(Finding(Setting(mdp, policy, model.batch.behavior), expectation, gradient, None, None, model))
        means.append(bare)
    return findings, means


def off_policy(estimate: Estimate) -> list[Diagnosis] | None:
    findings, means = findings_of(estimate, models(kl=0.1))
    followed = Objectives(findings).explain(means, [finding.size for finding in findings], 1e-6)
    return None if followed is None else list(followed.diagnoses)


OFF_POLICY = {
    "k1_reward": None, "k1_prefix": None, "k3_prefix": None, "k1_sequence": None, "k3_sequence": None,
    "k2_loss": "without a ratio the actions are those of the behavior, not of pi",
    "k3_loss": "without a ratio the actions are those of the behavior, not of pi",
    "k1_loss": "without a ratio the actions are those of the behavior, not of pi",
    "k1_token": "the token's ratio corrects the action, not the state",
    "k3_token": "the token's ratio corrects the action, not the state",
    "k2_token": "that is not KL",
    "k2_prefix": "that is not KL",
    "k2_sequence": "that is not KL",
    "k3_mean": "it adds the KL of the whole episode, over L, to every step",
    "k2_reward": "only k1 = log(pi/pi_ref) gives the gradient of KL(pi || pi_ref) there",
}  # fmt: skip


@pytest.mark.parametrize("name", sorted(OFF_POLICY))
def test_ratios_are_told_apart_where_another_policy_drew_the_episodes(name: str) -> None:
    diagnosis = off_policy(getattr(KL, name))
    text = OFF_POLICY[name]
    assert diagnosis is not None
    assert [it.id for it in diagnosis] == ([] if text is None else ["objective"])
    if text is not None:
        assert text in diagnosis[0].text
        kind = name[:2]
        assert kind in diagnosis[0].text
        assert {"loss": "as a loss", "token": "times the token's ratio"}.get(name[3:], "") in diagnosis[0].text


def test_a_detached_ratio_is_told_apart_off_policy() -> None:
    def detached(batch: Batch) -> Floats:
        x = KL.log_ratios(batch, batch.reference_probs)
        ratio = np.exp(KL.log_ratios(batch, batch.behavior_probs))
        weights = -batch.kl * discount(batch) * ratio * x
        return np.asarray(KL.of_rewards(batch, batch.rewards) + np.einsum("nt,nt...->n...", weights, batch.score))

    diagnosis = off_policy(detached)
    assert diagnosis is not None
    assert "k2 times the token's ratio, detached" in diagnosis[0].text
