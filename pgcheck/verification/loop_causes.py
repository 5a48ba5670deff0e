"""The texts of what can be wrong with a training loop, beside what can be wrong with an estimator; a part of
`causes.CAUSES`.
"""

_BUFFER = "the buffer ends in the middle of episodes: their first steps count more often than their last"
_VALUE = "the critic's value V(s') stands for the rewards that follow"

LOOP_CAUSES: dict[str, str] = {
    # Which episodes a run holds, and what it divides by (loop_divisors).
    "window/missing": _BUFFER + ", and the rewards after its end are left out",
    "window/value": _BUFFER,
    "window/number": "how many episodes a run holds depends on how long they are, so that they do not count alike",
    "cut-episodes-dropped/under-way": (
        "episodes that are under way when a run ends are left out: those that are short count too often"
    ),
    "scale/buffer-steps": "the sum is divided by the number of steps in the buffer, {steps}",
    "scale/buffer-size": "the sum is divided by the most steps that a run has",
    "scale/run-sum": "it is a sum over the run instead of the mean over its episodes",
    "scale/environments": "the sum is divided by the number of environments instead of the number of episodes",
    # The critic (loop_streams).
    "bootstrap/buffer-end": f"at the end of the buffer {_VALUE}: it is right only if it is exact",
    "bootstrap/limit-value": (
        "where the time limit cuts an episode off, the critic's value V(s') is added to the last reward: there is "
        "none after the horizon"
    ),
    "bootstrap/gae": "GAE with lambda = {lam:.4g}: right only with the exact values of the next states",
    "other-gamma": "the loop discounts by its own gamma, {discount:.6g}, not by the model's",
    "action-dependent-baseline/run-mean": "the mean over all steps of the run is subtracted, the step among them",
    "leaks-between-episodes/buffer": (
        "the rewards of one episode are added to the returns of the episode before it in the buffer: restart the sum "
        "where `terminated or truncated`"
    ),
    "regulariser/values": (
        "something is left where all rewards are 0, neither entropy nor weight decay: a critic's values, at the end "
        "of the buffer or at the time limit? Agent(values=...) tells"
    ),
    "value-loss": (
        "the value loss moves the policy's parameters, with the coefficient {coefficient:.4g} of (R - V)^2: it "
        "shares a trunk with the policy"
    ),
    "value-loss/possibly": (
        "{outside:.3g} of the expectation's length is no change of the logits: does a value loss share a trunk with "
        "the policy? Agent(values=...) tells"
    ),
    # What the runs show.
    "clipped-norm": "the gradient is clipped in runs of probability {prob:.3g}",
    "nan/runs": "the gradient is not finite in runs of probability {prob:.3g}",
    "nan/runs-with": "the gradient is not finite in runs of probability {prob:.3g}: those that hold {inputs}",
    "ratio/other-draws": (
        "actions are drawn by other probabilities than the softmax of the logits: in {state!r}, {action!r} has "
        "{drawn:.6g} instead of {prob:.6g}: exploration, a temperature, or other logits?"
    ),
    "nonlinear/standardised": "the advantages of a run are divided by their standard deviation",
    "nonlinear/standardised-episode": "the returns of an episode are divided by their standard deviation",
    "sign/entropy": "the entropy is subtracted instead of added, with a coefficient of {coefficient:.4g}",
    "other/sampled-loop": (
        "no known mistake equals it on the episodes of the runs; it is {scale} times the gradient along its "
        "direction, cosine {cosine}; {parameter} is off most"
    ),
    "other/loop": (
        "none of the known mistakes; it is {scale} times the gradient along its direction, cosine {cosine}; "
        "{parameter} is off most"
    ),
}  # fmt: skip
