"""Which objective an estimator follows, with the coefficients, and what is wrong beside it."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from pgcheck import Batch, Diagnosis, verify
from tests.oracles import Floats
from tests.verification.kl import example, models
from tests.verification.slips import entropy_gradient
from tests.verification.zoo import Estimate, discount, to_go, vector

KL = example("kl_terms")
ALPHA, BETA = 0.02, 0.1


def log_pi(batch: Batch) -> Floats:
    return np.asarray(np.log(np.where(batch.mask, batch.probs[batch.states, batch.actions], 1.0)))


def summed(batch: Batch, rewards: Floats, gamma: float | None = None) -> Floats:
    """Σ_{k≥t} γ^{k−t} r_k of other rewards."""
    return to_go(batch.altered(rewards=np.where(batch.mask, rewards, 0.0)), gamma)


def full(alpha: float, gamma_t: bool = True, gamma: float | None = None) -> Estimate:
    """REINFORCE with −α log π added to the rewards."""

    def weights(batch: Batch) -> Floats:
        bonus = summed(batch, -alpha * log_pi(batch), gamma)
        return discount(batch) * to_go(batch) + (discount(batch) if gamma_t else 1.0) * bonus

    return vector(weights)


def right(batch: Batch) -> Floats:
    return np.asarray(vector(lambda b: discount(b) * to_go(b))(batch))


def present(alpha: float, *, gamma_t: bool = True, over: bool = False) -> Estimate:
    """REINFORCE and the entropy of each step's own policy, as a loss with an entropy bonus has it."""

    def estimate(batch: Batch) -> Floats:
        c = np.broadcast_to(discount(batch) if gamma_t else np.ones(1), batch.rewards.shape)
        c = c / np.maximum(batch.lengths, 1)[:, None] if over else c
        return np.asarray(right(batch) + alpha * np.einsum("nt,nt...->n...", c, entropy_gradient(batch)))

    return estimate


def said(estimate: Estimate | Callable[..., Any], entropy: float = 0.0, kl: float = 0.0) -> tuple[Diagnosis, ...]:
    """The diagnosis on three models with this objective; empty of what passes."""
    verification = verify(estimate, models(entropy, kl))
    assert (verification.verdict == "pass") == (not verification.diagnosis)
    return verification.diagnosis


def with_kl(beta: float, *, gamma_t: bool = True, gamma: float | None = None) -> Estimate:
    """REINFORCE with −β log(π/π_ref) added to the rewards."""

    def weights(batch: Batch) -> Floats:
        penalty = summed(batch, -beta * KL.log_ratios(batch, batch.reference_probs), gamma)
        return np.asarray(discount(batch) * to_go(batch) + (discount(batch) if gamma_t else 1.0) * penalty)

    return vector(weights)


# What is asked for; the estimator; what is said of it, with "pass" for nothing.
CASES: dict[str, tuple[float, float, Estimate, str]] = {
    "full credit": (ALPHA, 0, full(ALPHA), "pass"),
    "full credit, not asked for": (0, 0, full(0.01), "this is the gradient of J + 0.01 H, not of J"),
    "another alpha": (ALPHA, 0, full(0.01), "this is the gradient of J + 0.01 H, not of J + 0.02 H"),
    "none": (
        ALPHA, 0, right,
        "this is the gradient of J, not of J + 0.02 H: the entropy bonus is missing, or has no effect, as that of "
        "-log pi as a loss",
    ),
    "wrong sign": (
        ALPHA, 0, full(-ALPHA),
        "this is the gradient of J - 0.02 H, not of J + 0.02 H: the entropy bonus has the wrong sign",
    ),
    "present step": (
        ALPHA, 0, present(ALPHA),
        "this is grad J plus 0.02 sum gamma^t grad H(pi(.|s_t)) of the states as visited: later entropy is not "
        "credited",
    ),
    "present step, not discounted": (
        ALPHA, 0, present(ALPHA, gamma_t=False),
        "this is grad J plus 0.02 sum grad H(pi(.|s_t)) of the states as visited: later entropy is not credited",
    ),
    "present step, other alpha": (
        ALPHA, 0, present(0.01),
        "this is grad J plus 0.01 sum gamma^t grad H(pi(.|s_t)) of the states as visited: later entropy is not "
        "credited; its coefficient should be 0.02",
    ),
    "present step, wrong sign": (
        ALPHA, 0, present(-ALPHA),
        "this is grad J minus 0.02 sum gamma^t grad H(pi(.|s_t)) of the states as visited: later entropy is not "
        "credited; its sign is wrong",
    ),
    "averaged over steps": (
        ALPHA, 0, present(ALPHA, gamma_t=False, over=True),
        "this is grad J plus 0.02 (1/L) sum grad H(pi(.|s_t)) of the states as visited: later entropy is not "
        "credited",
    ),
    "without gamma^t": (
        ALPHA, 0, full(ALPHA, gamma_t=False),
        "this is grad J plus 0.02 times the gradient of the entropy, credited to all earlier steps but without "
        "gamma^t",
    ),
    "not discounted": (
        ALPHA, 0, full(ALPHA, gamma_t=False, gamma=1.0),
        "this is grad J plus 0.02 times the gradient of the entropy, credited to all earlier steps but not "
        "discounted",
    ),
    "k1 in the reward": (0, BETA, KL.k1_reward, "pass"),
    "k1 times the prefix's ratio": (0, BETA, KL.k1_prefix, "pass"),
    "k3 times the prefix's ratio": (0, BETA, KL.k3_prefix, "pass"),
    "k1 times the whole sequence's ratio": (0, BETA, KL.k1_sequence, "pass"),
    "k3 times the whole sequence's ratio": (0, BETA, KL.k3_sequence, "pass"),
    "k1 as a loss": (
        0, BETA, KL.k1_loss,
        "this is the gradient of J, not of J - 0.1 KL(pi || pi_ref): the KL term is missing, or has no effect, as k1 "
        "as a loss without a ratio",
    ),
    **{
        f"{name} of the present step": (
            0, BETA, estimate,
            "this is grad J minus 0.1 sum gamma^t grad KL(pi || pi_ref) of the states as visited: "
            "later KL is not credited (k2 as a loss, or k1 or k3 times the token's ratio)",
        )
        for name, estimate in (("k1", KL.k1_token), ("k2", KL.k2_loss), ("k3", KL.k3_token))
    },
    "k3 as a loss": (
        0, BETA, KL.k3_loss,
        "this is grad J minus 0.1 sum gamma^t grad KL(pi_ref || pi) of the states as visited: that is "
        "the other KL (k3 as a loss)",
    ),
    "k2 times the token's ratio": (
        0, BETA, KL.k2_token,
        "this is grad J minus 0.1 sum gamma^t grad E[(log pi/pi_ref)^2 / 2 | s_t] of the states as visited: that is "
        "not KL (k2 times the token's ratio)",
    ),
    "k2 times the prefix's ratio": (
        0, BETA, KL.k2_prefix,
        "this is grad J minus 0.1 grad E[sum gamma^t (log pi/pi_ref)^2 / 2]: that is not KL (k2 times the prefix's "
        "ratio, or k2 times the whole sequence's ratio)",
    ),
    "k2 in the reward": (
        0, BETA, KL.k2_reward,
        "the penalty is 0.1 times k2 in the reward: only k1 = log(pi/pi_ref) gives the gradient of KL(pi || pi_ref) "
        "there",
    ),
    "k3 in the reward": (
        0, BETA, KL.k3_reward,
        "the penalty is 0.1 times k3 in the reward: only k1 = log(pi/pi_ref) gives the gradient of KL(pi || pi_ref) "
        "there",
    ),
    "KL of the wrong sign": (
        0, BETA, with_kl(-BETA),
        "this is the gradient of J + 0.1 KL(pi || pi_ref), not of J - 0.1 KL(pi || pi_ref): the KL term has the "
        "wrong sign",
    ),
    "another beta": (
        0, BETA, with_kl(0.2371),
        "this is the gradient of J - 0.2371 KL(pi || pi_ref), not of J - 0.1 KL(pi || pi_ref)",
    ),
    "KL without gamma^t": (
        0, BETA, with_kl(BETA, gamma_t=False),
        "this is grad J minus 0.1 times the gradient of KL, credited to all earlier steps but without gamma^t",
    ),
    "KL not discounted": (
        0, BETA, with_kl(BETA, gamma_t=False, gamma=1.0),
        "this is grad J minus 0.1 times the gradient of KL, credited to all earlier steps but not discounted",
    ),
    "k3 as a loss, wrong sign": (
        0, BETA, lambda batch: 2 * right(batch) - KL.k3_loss(batch),
        "this is grad J plus 0.1 sum gamma^t grad KL(pi_ref || pi) of the states as visited: that is the other KL "
        "(k3 as a loss); its sign is wrong",
    ),
    "k3 times the sequence mean's ratio": (
        0, BETA, KL.k3_mean,
        "this is grad J minus 0.1 times the gradient of k3 times the sequence mean's ratio: it adds the KL of the "
        "whole episode, over L, to every step",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", sorted(CASES))
def test_it_is_said_which_objective_an_estimator_follows(name: str) -> None:
    entropy, kl, estimate, text = CASES[name]
    diagnosis = said(estimate, entropy, kl)
    assert [(it.id, it.text) for it in diagnosis] == ([] if text == "pass" else [("objective", text)])
    assert all(it.certain for it in diagnosis)
