"""The texts of what can be wrong with importance ratios; a part of `causes.CAUSES`.

π is the policy that is differentiated, b the behavior that drew the episodes, ρ_t = π(a_t|s_t) / b(a_t|s_t).
"""

_RATIOS = "importance ratios"
_HOW_OFTEN = ", on up to {share:.3g} % of a model's steps"

RATIO_CAUSES: dict[str, str] = {
    "ratio/missing": "the behavior drew the episodes, but no importance ratio pi/b corrects for that",
    "ratio/single-step": (
        "each step has its own ratio rho_t alone, as in PPO's surrogate: the state needs the product rho_0 ... rho_t "
        "instead, and a later reward the ratios up to its own step"
    ),
    "ratio/future": (
        "the ratios rho_0 ... rho_t weight all rewards to go, although the behavior chose the later actions too: "
        "reward r_k needs rho_0 ... rho_k"
    ),
    "ratio/past": (
        "the ratios begin at step t: without rho_0 ... rho_{{t-1}} the states are those that the behavior visits"
    ),
    "ratio/past-and-own": "only the actions after step t have ratios: rho_0 ... rho_t is missing",
    "ratio/one-short": (
        "the product of ratios ends one step early: reward r_k has rho_0 ... rho_{{k-1}}, without the ratio of the "
        "action that earned it"
    ),
    "ratio/next-step": "each step has the ratio of the step after it, rho_{{t+1}}",
    "ratio/previous-step": "each step has the ratio of the step before it, rho_{{t-1}}",
    "ratio/geometric-mean": (
        "an episode's ratio is the geometric mean of its steps' ratios, as in GSPO: its probability goes with their "
        "product"
    ),
    "ratio/arithmetic-mean": (
        "an episode's ratio is the mean of its steps' ratios: its probability goes with their product"
    ),
    "ratio/inverted": "the ratio is upside down: b/pi in place of pi/b",
    "ratio/twice": "the ratio enters twice, as with the advantage and again with the loss",
    "ratio/cut-above": f"{_RATIOS} above {{high:.4g}} are cut to that{_HOW_OFTEN}",
    "ratio/cut-below": f"{_RATIOS} below {{low:.4g}} are raised to that{_HOW_OFTEN}",
    "ratio/cut-outside": f"{_RATIOS} outside {{low:.4g}} to {{high:.4g}} are cut to these bounds{_HOW_OFTEN}",
    "ratio/masked-above": f"{_RATIOS} above {{high:.4g}} have no weight{_HOW_OFTEN}",
    "ratio/masked-below": f"{_RATIOS} below {{low:.4g}} have no weight{_HOW_OFTEN}",
    "ratio/masked-outside": f"{_RATIOS} outside {{low:.4g}} to {{high:.4g}} have no weight{_HOW_OFTEN}",
    "ratio/cut-by-sign": (
        "as in PPO's clipped surrogate, a gain has no weight where its ratio is above {high:.4g}, a loss where it is "
        "below {low:.4g}; up to {share:.3g} % of a model's steps have such a ratio"
    ),
    "ratio/self-normalised": (
        "the weights are divided by the sum of the ratios in the batch (self-normalised): biased for every B, and "
        "the bias vanishes as 1/B"
    ),
    "ratio/unknown": (
        "right where the policy itself draws the episodes, wrong where the behavior does: the importance ratios pi/b "
        "are not those of the steps"
    ),
    "ratio/perhaps": (
        "the expectation changes with the policy that draws the episodes: are the importance ratios pi/b those of "
        "the steps?"
    ),
}
