"""The gradient beside an expectation, and the variances of the estimators that it is compared with."""

import math
from weakref import WeakKeyDictionary

import numpy as np

from pgcheck.estimators.moments import predict
from pgcheck.estimators.off_policy import IMPORTANCE_SAMPLING, PER_DECISION
from pgcheck.estimators.on_policy import REINFORCE, REWARD_TO_GO
from pgcheck.exact.gradient import exact_gradient
from pgcheck.model.mdp import MDP
from pgcheck.model.policy import Policy
from pgcheck.trajectories.batch import Batch
from pgcheck.verification.exhaustive import Expectation
from pgcheck.verification.findings import Enumeration, Finding
from pgcheck.verification.setting import Setting

Traces = tuple[float | None, float | None]

# By model, policy and actor: batches of two and of three need the same.
_TRACES: WeakKeyDictionary[MDP, WeakKeyDictionary[Policy, WeakKeyDictionary[Policy, Traces]]] = WeakKeyDictionary()


def finding_of(
    setting: Setting,
    examples: Batch,
    expectation: Expectation,
    enumeration: Enumeration | None,
    max_rounding: float = math.inf,
) -> Finding:
    """Returns an expectation beside the gradient of the policy, whoever drew the episodes.

    Args:
      setting: the model.
      examples: some of its episodes, which know the shape of theta.
      expectation: what was found.
      enumeration: the model's episodes, where they are few.
      max_rounding: the part of ∇J that may be lost to rounding.

    Raises:
      PrecisionError: more than that may be lost.
    """
    mdp, policy = setting.mdp, setting.policy
    truth = exact_gradient(mdp, policy, method="backward-induction", max_relative_rounding=max_rounding)
    gradient = examples.shaped(np.zeros(len(policy.theta)) if truth.is_zero else truth.gradient)
    return Finding(setting, expectation, gradient, *_traces(setting), enumeration)


def _traces(setting: Setting) -> Traces:
    """tr Σ of two right estimators, found once for a policy of a model and an actor; None where not known exactly.

    On-policy these are `reinforce` and `reward-to-go`, off-policy `importance-sampling` and `per-decision`.
    """
    of_policy = _TRACES.setdefault(setting.mdp, WeakKeyDictionary())
    of_actor = of_policy.setdefault(setting.policy, WeakKeyDictionary())
    if setting.actor not in of_actor:
        rng = np.random.default_rng(0)  # for traces from samples, which are not exact and are left out
        traces: list[float | None] = []
        references = (IMPORTANCE_SAMPLING, PER_DECISION) if setting.off_policy else (REINFORCE, REWARD_TO_GO)
        for reference in references:
            moments = predict(setting.mdp, setting.policy, reference, rng, behavior=setting.behavior)(None)
            exact = moments is not None and moments.evidence != "sample"
            traces.append(moments.trace if moments is not None and exact else None)
        of_actor[setting.actor] = traces[0], traces[1]
    return of_actor[setting.actor]
