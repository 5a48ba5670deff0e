"""KL penalties as losses have them: k1, k2 or k3, in the reward or in the loss, times one ratio or another.

With x_t = log(pi(a_t|s_t) / pi_ref(a_t|s_t)), k1 = x, k2 = x^2 / 2 and k3 = exp(-x) - 1 + x are all used for the KL
of pi from pi_ref. What counts is the gradient, and that depends on where k stands and on what it is multiplied by.

pgcheck verify examples/kl_terms.py:k3_loss token_tree --kl 0.1
pgcheck verify examples/kl_terms.py:k3_token token_tree --kl 0.1 --off-policy
python examples/kl_terms.py     # the table of all of them
"""

import dataclasses

import numpy as np


def k1(x):
    return x, np.ones_like(x)  # the value and its derivative


def k2(x):
    return x**2 / 2, x


def k3(x):
    return np.expm1(-x) + x, -np.expm1(-x)


# M: the ratio of step t is exp(sum over j of M[t, j] log(pi(a_j|s_j) / behavior(a_j|s_j))).
def none(steps, length):
    return np.zeros((steps, steps))


def token(steps, length):
    return np.eye(steps)


def prefix(steps, length):
    return np.tri(steps)


def sequence(steps, length):
    return np.ones((steps, steps))


def sequence_mean(steps, length):
    return np.ones((steps, steps)) / length


def in_the_reward(k):
    """-beta k is a reward: all steps before it are credited, and it is not differentiated itself."""

    def gradients(batch):
        return of_rewards(batch, batch.rewards - batch.kl * k(log_ratios(batch, batch.reference_probs))[0])

    return gradients


def in_the_loss(k, ratio):
    """-beta times the sum of gamma^t ratio_t k_t is added to the objective, and differentiated, the ratio too."""

    def gradients(batch):
        value, slope = k(log_ratios(batch, batch.reference_probs))
        log_rho = log_ratios(batch, batch.behavior_probs)
        matrix = np.array([ratio(log_rho.shape[1], length) for length in np.maximum(batch.lengths, 1)])
        weight = discounts(batch) * batch.mask * np.exp(np.einsum("ntj,nj->nt", matrix, log_rho))
        slopes = weight * slope + np.einsum("nt,ntj->nj", weight * value, matrix)
        return of_rewards(batch, batch.rewards) - batch.kl * np.einsum("nt,nt...->n...", slopes, batch.score)

    return gradients


k1_reward, k2_reward, k3_reward = in_the_reward(k1), in_the_reward(k2), in_the_reward(k3)
k1_loss, k2_loss, k3_loss = in_the_loss(k1, none), in_the_loss(k2, none), in_the_loss(k3, none)
k1_token, k2_token, k3_token = in_the_loss(k1, token), in_the_loss(k2, token), in_the_loss(k3, token)
k1_prefix, k2_prefix, k3_prefix = in_the_loss(k1, prefix), in_the_loss(k2, prefix), in_the_loss(k3, prefix)
k1_sequence, k2_sequence = in_the_loss(k1, sequence), in_the_loss(k2, sequence)
k3_sequence = in_the_loss(k3, sequence)
k1_mean, k2_mean = in_the_loss(k1, sequence_mean), in_the_loss(k2, sequence_mean)
k3_mean = in_the_loss(k3, sequence_mean)


def of_rewards(batch, rewards):
    """The gradient of the rewards, right for episodes of pi and of the behavior: ratios up to the reward's step."""
    rho = np.exp(np.cumsum(log_ratios(batch, batch.behavior_probs), axis=1))
    weighted = discounts(batch) * rho * rewards
    to_go = np.cumsum(weighted[:, ::-1], axis=1)[:, ::-1]
    return np.einsum("nt,nt...->n...", to_go * batch.mask, batch.score)


def log_ratios(batch, others):
    """log(pi(a_t|s_t) / others(a_t|s_t)), 0 beyond an episode's end."""
    taken = batch.states, batch.actions
    return np.log(np.where(batch.mask, batch.probs[taken] / np.where(batch.mask, others[taken], 1), 1))


def discounts(batch):
    return batch.gamma ** np.arange(batch.rewards.shape[1])


PLACES = {
    "reward": "in the reward",
    "loss": "as a loss",
    "token": "times the token's ratio",
    "prefix": "times the prefix's ratio",
    "sequence": "times the sequence's ratio",
    "mean": "times the sequence mean's ratio",
}


def table(model="token_tree", beta=0.1):
    """How far each KL term is from the gradient of -beta KL(pi || pi_ref), on-policy and off-policy.

    Without rewards the KL term is all that there is.
    """
    import pgcheck

    problem = pgcheck.load_model(model, kl=beta)
    mdp = dataclasses.replace(problem.mdp, reward=np.zeros_like(problem.mdp.reward))
    models = [(mdp, problem.policy, problem.behavior)]
    print(f"{'KL term':<36} {'on-policy':>10} {'off-policy':>11}")
    for place, words in PLACES.items():
        for kind in ("k1", "k2", "k3"):
            estimate = globals()[f"{kind}_{place}"]
            cells = []
            for off_policy in (False, True):
                verification = pgcheck.verify(estimate, models, off_policy=off_policy)
                is_right = verification.verdict == "pass"
                cells.append("right" if is_right else f"{100 * verification.findings[0].relative_bias:.1f} %")
            print(f"{kind + ' ' + words:<36} {cells[0]:>10} {cells[1]:>11}")


if __name__ == "__main__":
    table()
