"""The public id of everything that can be wrong with an estimator or a loop, and its title; light to import."""

TITLES: dict[str, str] = {
    # Discounting.
    "dropped-gamma": "gamma^t is left out",
    "undiscounted": "the rewards to go are not discounted",
    "discount-twice": "gamma^t is applied twice, or another gamma is written in the code",
    "discount-from-the-end": "the discount counts from the end of the episode",
    "other-gamma": "the loop discounts by its own gamma",
    # Rewards and steps that are left out.
    "immediate-reward": "each step has only its own reward",
    "off-by-one": "the reward that an action earned is left out",
    "last-reward-missing": "the last reward of the episode is left out",
    "last-step-missing": "the last step of the episode has no weight",
    "last-step-only": "only the last step of the episode has a weight",
    "first-step-missing": "the first step of the episode has no weight",
    "first-step-only": "only the first step of the episode has a weight",
    # Multiples of the gradient.
    "sign": "the sign is wrong",
    "scale": "the gradient times a factor",
    "length-normalised": "divided by the length of the episode or of the batch",
    "zero-mean": "the expectation is 0",
    # Scores and ratios.
    "gradient-of-pi": "grad pi in place of grad log pi",
    "score-without-pi": "the gradient of a logit in place of grad log pi",
    "score-of-next-step": "the score of another step",
    "ratio": "importance ratios are missing, of the wrong steps, or cut",
    # Baselines, values and rewards that are altered.
    "action-dependent-baseline": "the baseline depends on the action",
    "bootstrap": "a value stands where rewards belong",
    "nonlinear": "rewards are standardised, clipped or ranked",
    "regulariser": "a term without rewards is added",
    "objective": "the gradient of another objective",
    "nan": "the result is not finite",
    # Batches and episodes.
    "batch-coupled": "a batch is not the mean of its episodes",
    "batch-size": "right only for small batches",
    "cut-episodes-dropped": "episodes that are cut off are left out",
    "leaks-between-episodes": "rewards run on into another episode",
    "reach": "right only on small models",
    # Training loops.
    "window": "the buffer ends in the middle of episodes",
    "clipped-norm": "the norm of the gradient is clipped",
    "value-loss": "the value loss moves the policy",
    # What is left.
    "other": "none of the known mistakes",
}

IDS = tuple(sorted(TITLES))
