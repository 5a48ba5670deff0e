"""The catalogue of what can be wrong with an estimator: the text of every diagnosis, by its cause.

A cause is a public id, alone or followed by a slash and what tells it from other causes of that id. Texts are
templates for the figures of the diagnosis.
"""

from dataclasses import dataclass, replace

from pgcheck.verification.loop_causes import LOOP_CAUSES
from pgcheck.verification.objective_texts import NOTES_ON_TERMS, TEXTS, Lead, Objective, Variants
from pgcheck.verification.ratio_causes import RATIO_CAUSES

Figure = float | int | str | tuple[str, ...] | Objective | Lead | Variants  # a tuple holds keys of INPUTS

_GAMMA_T = "gamma^t is left out: the gradient of the discounted return weights step t by gamma^t"
_FLAG = "the result depends on the flag `terminated`: "
_RIGHT_ONCE = _FLAG + "it is right if every episode counts as "
_NO_REWARD = "a reward-independent term is added"
_NONLINEAR = "something is standardised, clipped, ranked or made positive"

CAUSES: dict[str, str] = {
    # Known mistakes (estimators.mistakes.weights).
    "dropped-gamma": _GAMMA_T,
    "undiscounted": "the rewards to go are not discounted: G_t is the sum of gamma^(k-t) r_k",
    "undiscounted/nothing": "neither the rewards nor the steps are discounted",
    "immediate-reward": "each step is weighted by its own reward alone; later rewards are left out",
    "immediate-reward/reversed": (
        "each step is weighted by the rewards up to its own instead of from its own on: is `reversed` or [::-1] "
        "missing? Later rewards are left out"
    ),
    "off-by-one": (
        "each step is weighted by the rewards after its own: the reward r_t that action a_t earned is left out"
    ),
    "last-step-missing": "the last step of the episode has no weight",
    "last-step-missing/return": "the last step of the episode has no weight; the others have the whole return",
    "last-reward-missing": "the last reward of the episode is left out",
    "length-normalised/length": "each episode is divided by its length L; average over episodes only",
    "length-normalised/steps-to-go": "the rewards to go are averaged over the steps to go, L - t, instead of summed",
    "length-normalised/return": "this is the gradient of E[R/L]: each episode's return is divided by its length",
    "length-normalised/mean-reward": (
        "this is the gradient of the mean reward per step, undiscounted: the sum of an episode's rewards over L"
    ),
    "length-normalised/baseline": (
        "each episode is divided by its length L, with a baseline from the returns of the batch: average over "
        "episodes only"
    ),
    "action-dependent-baseline/episode-mean": (
        "the mean of the episode's own returns to go is subtracted: that baseline depends on the action"
    ),
    "first-step-missing": "the first step of the episode has no weight",
    "first-step-missing/two": "the first two steps of the episode have no weight",
    "score-of-next-step": (
        "the return from step t on weights the score of step t + 1: the actions are shifted by one, and the first "
        "step has no weight"
    ),
    "discount-from-the-end": "the discount counts from the end of the episode: r_k has gamma^(L-1-k)",
    "gradient-of-pi": "this is the gradient of pi instead of log pi: each step is multiplied by pi(a_t|s_t)",
    "gradient-of-pi/return": (
        "this is the gradient of pi instead of log pi: each step has the whole return times pi(a_t|s_t)"
    ),
    "last-step-only": "only the last step of each episode has a weight",
    "first-step-only": "only the first step of each episode has a weight",
    "discount-twice": "gamma^t is applied twice",
    # Mistakes of the score (misplaced).
    "score-without-pi": (
        "this is the gradient of the logit of the action, not of log pi: pi(a|s_t) is not subtracted"
    ),
    "score-of-next-step/action": "each step has the score of the next step's action: log pi(a_{{t+1}}|s_t)",
    "score-of-next-step/state": "each step has its action's score in the next state: log pi(a_t|s_{{t+1}})",
    # Discounts read off the impulses (decay).
    "discount-twice/constant": (
        "the weights do not follow batch.gamma; a discount of about {discount:.6g} is written in the code"
    ),
    "bootstrap/lambda": (
        "the reward k steps later is weighted by (gamma lambda)^k, lambda = {lam:.4g}; unless lambda is 1, that is "
        "right only with the exact values of the next states"
    ),
    # Multiples of the gradient, or of a known mistake (matching).
    "sign": "the sign is wrong: this is minus the gradient, as for a loss",
    "sign/besides": "the sign is wrong, as for a loss",
    "scale/gamma": "gamma times the gradient: the discount counts from t = 1",
    "scale/over-gamma": "the gradient divided by gamma",
    "scale/horizon": "T times the gradient, T the horizon",
    "scale/batch-baseline": (
        "exactly (1 - 1/B) times the gradient: the baseline contains the episode's own return; leave that one out, "
        "or divide by B - 1"
    ),
    "scale/batch-sum": "exactly B times the gradient: a sum over the batch instead of the mean",
    "scale/over-batch": (
        "the gradient divided by B once more, besides the mean; or each score is multiplied by the mean of all "
        "advantages: are [N, 1] and [N] multiplied?"
    ),
    "scale/broadcast": (
        "the gradient divided by B where B is the horizon T: are advantages [N] multiplied by scores [N, T]?"
    ),
    "scale/batch-over-others": "exactly B/(B - 1) times the gradient",
    "scale/others": "exactly B - 1 times the gradient",
    "scale/over-others": "exactly 1/(B - 1) times the gradient",
    "scale/factor": "it is {factor:.6g} times the gradient",
    "scale/factor-of-mistake": "there is a factor of {factor:.6g} besides",
    "scale/impulses": "its response to a unit reward is {factor:.6g} times the correct one",
    "length-normalised/horizon": "the gradient divided by the horizon T",
    "length-normalised/mean-length": "the gradient divided by the mean length E[L]",
    "zero-mean": "the expectation is 0: the weights do not depend on the action",
    # What batches show (batching).
    "length-normalised/batch-steps": (
        "the sum is divided by the number of steps in the batch: divide by the number of episodes"
    ),
    "length-normalised/batch-padding": (
        "the sum is divided by the padded length T of the batch: divide by the number of episodes"
    ),
    "action-dependent-baseline/own-return": "an episode's own return is in its baseline: leave that one out",
    "batch-coupled/mean": (
        "the gradient of a batch is not the mean of its episodes' gradients; is an episode's own return in its "
        "baseline, or is the divisor computed from the same batch?"
    ),
    "batch-coupled/subset": (
        "only {used} of the {few} episodes of a batch affect the result, as when a minibatch is drawn inside the "
        "function: divide by the number of episodes that are used"
    ),
    "leaks-between-episodes": (
        "the rewards of one episode are added to the returns of the episode before it in the batch: restart the "
        "sum at each episode"
    ),
    "leaks-between-episodes/cut": (
        "where the time limit cuts an episode off, the rewards of the next episode in the batch are added to its "
        "returns: restart the sum at each episode"
    ),
    "batch-coupled/rows": "an episode's row of the result changes with the other episodes of the batch",
    # What larger batches and longer episodes show (stretch, reach).
    "batch-size/first-episodes": (
        "right for small batches, wrong from B = {size:,} on: only the first {counted} episodes of a batch count, "
        "but the sum is divided by B"
    ),
    "batch-size/factor": (
        "right for small batches, wrong from B = {size:,} on, where it is about {factor:.3g} times the gradient "
        "along its direction: does the code limit the number of episodes?"
    ),
    "batch-size/raised": "it raised an error for a batch of {size:,} episodes; larger batches could not be checked",
    "reach/steps": (
        "right on all models, but not in an episode of {steps} steps: the weight of reward r_{step} is wrong: "
        "does the code limit the number of steps or states?"
    ),
    "reach/rewards": (
        "right on all models, but not for a single reward of {reward:,g}: are rewards clipped or rounded?"
    ),
    # What altered episodes show (perturbations, probing).
    "bootstrap/terminated-right": _RIGHT_ONCE + "terminated; there is no value after the horizon",
    "bootstrap/cut-right": _RIGHT_ONCE + "cut off; the last reward counts too",
    "bootstrap/time-limit": _FLAG
    + "episodes that the time limit cuts off are treated differently from those that terminate",
    "bootstrap/next-states": (
        "the result depends on the next states: is a value V(s') used that is not that of the remaining steps?"
    ),
    "cut-episodes-dropped": "episodes that the time limit cuts off are left out: they are part of the expectation",
    "nonlinear/doubled": f"doubling the rewards does not double the gradient: {_NONLINEAR}",
    "nonlinear/group": (
        "doubling all rewards of a group changes nothing: the advantages are divided by the group's standard "
        "deviation, or ranked; without that division (as in Dr. GRPO) the gradient follows the rewards"
    ),
    "nonlinear/negated": f"negating the rewards does not negate the gradient: {_NONLINEAR}",
    "nonlinear/sum": (
        "the effect of two rewards is not the sum of their effects: is the running sum reset wherever a reward is "
        "not 0, or are only some rewards counted?"
    ),
    "regulariser/entropy": _NO_REWARD + ", such as an entropy bonus of {coefficient:.4g}",
    "regulariser/entropy-discounted": (
        _NO_REWARD + ", such as an entropy bonus of {coefficient:.4g}, discounted by gamma^t"
    ),
    "regulariser/entropy-mean": _NO_REWARD
    + ", such as an entropy bonus of {coefficient:.4g}, averaged over the steps",
    "regulariser/entropy-horizon": (
        _NO_REWARD + ", such as an entropy bonus of {coefficient:.4g}, divided by the horizon T"
    ),
    "regulariser/weight-decay": _NO_REWARD + ", such as weight decay of {coefficient:.4g}",
    "regulariser/constant": _NO_REWARD + ": {coefficient:.4g} in every component",
    "regulariser/policy": _NO_REWARD + ": the weight of an action follows pi(a|s), as in an entropy or a KL term",
    "regulariser/unknown": _NO_REWARD + ", neither entropy nor weight decay",
    "action-dependent-baseline/action": ("the weight of a step depends on its action although all rewards are equal"),
    "action-dependent-baseline/no-reward": (
        "with all rewards 0 the weight of a step depends on its action, as with a baseline b(s, a)"
    ),
    "nan/no-reward": "the result is not finite where every reward is 0",
    "nan/inputs": "the result is not finite for {inputs}",
    **RATIO_CAUSES,
    **LOOP_CAUSES,
    # Another objective than the one asked for (objectives).
    **{f"objective/{key}": text for key, text in TEXTS.items()},
    # What is left.
    "other": "none of the known mistakes",
    "other/not-compared": "known mistakes are not looked for among so many trajectories; lower --horizon for a name",
    "other/matrix": "none of the known mistakes; the matrix shows how each reward weights each step",
}

NOTES: dict[str, str] = {
    "without-gamma-t": f"; and {_GAMMA_T}",
    "without-discount": "; also, nothing is discounted",
    "right-at-gamma-1": " (it is right for gamma = 1)",
    "right-without-it": "; without it the estimator is right",
    "on-small-model": " ({where})",
    "more-may-hide": "; other mistakes may hide behind this one",
    "give-values": "; what is done with it is known, and can be allowed, once Agent(values=...) tells the critic",
    "beyond-the-models": " (right on all models, where no ratio is that far from 1)",
    "bias-proportional-to-1/B": "; the bias is exactly proportional to 1/B",
    "bias-shrinks": "; from B = {few} to {many} the bias shrinks",
    "bias-stays": "; from B = {few} to {many} the bias does not shrink as 1/B",
    **{f"objective/{key}": text for key, text in NOTES_ON_TERMS.items()},
}

INPUTS: dict[str, str] = {
    "one-step": "episodes of one step",
    "zero-rewards": "episodes in which every reward is 0",
    "equal-rewards": "episodes in which all rewards are equal",
}

_CANDIDATE = "possibly: "
_ALLOWED = " (allowed)"


def known_ids() -> tuple[str, ...]:
    """Returns the public ids of all causes, sorted."""
    return tuple(sorted({cause.partition("/")[0] for cause in CAUSES}))


@dataclass(frozen=True)
class Diagnosis:
    """One thing that is wrong with an estimator.

    Attributes:
      id: its public name, such as `dropped-gamma`.
      cause: why, a key of `CAUSES`.
      figures: the numbers and inputs in the text, by name.
      notes: what else holds, keys of `NOTES`.
      certain: whether it was shown to be there; if not, it is only a candidate.
      allowed: whether it was declared to be intended.
    """

    id: str
    cause: str
    figures: tuple[tuple[str, Figure], ...] = ()
    notes: tuple[str, ...] = ()
    certain: bool = True
    allowed: bool = False

    def noted(self, *notes: str) -> "Diagnosis":
        """Returns the diagnosis with more notes."""
        return replace(self, notes=(*self.notes, *notes))

    def without_notes(self, *notes: str) -> "Diagnosis":
        """Returns the diagnosis without these notes."""
        return replace(self, notes=tuple(note for note in self.notes if note not in notes))

    @property
    def text(self) -> str:
        """What is wrong, and where it is known, how to fix it."""
        figures = {
            name: ", ".join(INPUTS[key] for key in figure) if isinstance(figure, tuple) else figure
            for name, figure in self.figures
        }
        template = CAUSES[self.cause] + "".join(NOTES[note] for note in self.notes)
        text = template.format(**figures) + (_ALLOWED if self.allowed else "")
        return text if self.certain else _CANDIDATE + text
