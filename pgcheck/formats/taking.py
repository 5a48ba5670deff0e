"""What a source says of policies → the policies of a model."""

from dataclasses import replace

import numpy as np

from pgcheck.formats.features import MAX_FEATURE, MAX_FEATURES
from pgcheck.formats.given import Given, GivenPolicy
from pgcheck.formats.modelfile import Model
from pgcheck.formats.overrides import ADD_REFERENCE
from pgcheck.formats.problems import Problems, hidden
from pgcheck.formats.reader import MAX_NAME, quoted
from pgcheck.formats.transitions import MAX_SIZE, SIZE
from pgcheck.model.linear import Linear
from pgcheck.model.mdp import INFINITE_KL, MDP
from pgcheck.model.policy import Policy
from pgcheck.model.softmax import TabularSoftmax


def with_policies(model: Model, given: Given, problems: Problems) -> Model:
    """Returns a model with the policies and the objective that its source gives.

    Raises:
      ModelError: a policy is none of this model, or kl has no reference.
    """
    plain = TabularSoftmax.of(model.mdp) if given.policies else None
    made: dict[str, Policy] = {}
    for name, policy in given.policies.items():
        assert plain is not None
        taken = _taken(policy, model.mdp, plain, name, problems)
        if taken is not None:
            made[name] = taken
    if given.kl and "reference" not in given.policies:
        problems.add(0, 0, f"kl needs a reference policy; {ADD_REFERENCE}, or remove kl")
    problems.check()
    mdp, reference = model.mdp, made.get("reference")
    if reference is not None:
        probs = reference.probs()
        if given.kl and not np.all(probs[mdp.state, mdp.action]):
            problems.add(0, 0, f"reference: {INFINITE_KL}")
            problems.check()
        mdp = replace(mdp, entropy=given.entropy, kl=given.kl, reference=probs)
    elif given.entropy:
        mdp = replace(mdp, entropy=given.entropy)
    return replace(
        model, mdp=mdp, policy=made.get("policy", model.policy), behavior=made.get("behavior"), reference=reference
    )


def _taken(given: GivenPolicy, mdp: MDP, plain: TabularSoftmax, name: str, problems: Problems) -> Policy | None:
    """The policy; None where a fault is noted."""
    before = problems.count
    states, actions = np.nonzero(mdp.available)
    values, number = given.table[states, actions], plain.numbers(states, actions)
    _, first = np.unique(number, return_index=True)
    limit = MAX_SIZE if given.weights is None else MAX_FEATURE
    what, size = ("preference", SIZE) if given.weights is None else ("feature", "a number up to 1e50 in size")
    rows = values.reshape(len(values), -1)
    wrong = ~np.all(np.abs(rows) <= limit, axis=1)
    for k in problems.first(np.flatnonzero(wrong)):
        shown = rows[k][~(np.abs(rows[k]) <= limit)][0]
        problems.add(0, 0, f"{name}: {_place(mdp, states[k], actions[k])}: {what} {shown:.12g}; expected {size}")
    differs = np.any(rows != rows[first][number], axis=1) & ~wrong
    for k in problems.first(np.flatnonzero(differs)):
        seen = quoted(mdp.observations[mdp.observation[states[k]]])
        at = _place(mdp, states[k], actions[k])
        problems.add(0, 0, f"{name}: {at}: another {what} than in a state that is also seen as {seen}")
    if given.weights is None:
        return None if problems.count > before else replace(plain, theta=_fixed(values[first]))
    _check_weights(given, name, problems)
    if problems.count > before:
        return None
    features = np.zeros((*mdp.available.shape, len(given.weights)))
    features[states, actions] = values
    return Linear(given.weights, tuple((weight,) for weight in given.names), features, mdp.available)


def _check_weights(given: GivenPolicy, name: str, problems: Problems) -> None:
    """Notes weights that are no numbers, have no good names, or are too many."""
    assert given.weights is not None
    if not len(given.weights) or not np.all(np.abs(given.weights) <= MAX_SIZE):
        problems.add(0, 0, f"{name}: weights {given.weights.tolist()[:6]}; expected at least one, each {SIZE}")
    if given.table.size > MAX_FEATURES:
        problems.add(0, 0, f"{name}: {given.table.size:,} features; expected at most {MAX_FEATURES:,}")
    if len(set(given.names)) < len(given.names):
        problems.add(0, 0, f"{name}: two weights have one name; expected different names")
    for weight in [text for text in given.names if not text or len(text) > MAX_NAME or hidden(text)][:1]:
        problems.add(0, 0, f"{name}: weight {quoted(weight)}: expected a name of 1 to {MAX_NAME} visible characters")


def _place(mdp: MDP, state: int, action: int) -> str:
    return f"state {quoted(mdp.states[state])}, action {quoted(mdp.actions[action])}"


def _fixed(theta: np.ndarray) -> np.ndarray:
    theta = theta + 0.0  # -0 is 0, as in model files
    theta.flags.writeable = False
    return theta
