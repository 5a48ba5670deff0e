"""A model in arrays, a .npz file: tables P and R, or columns with an entry for each outcome.

P           probabilities, [S, A, S], [A, S, S] or another order of these axes; a row of zeros: not offered
R           rewards, [S], [S, A], or in the shape of P; -inf: not available
state action next_state prob reward done
            in their place, vectors with an entry for each outcome; the last three may be left out: 1, 0, false
start       the number of the first state, its name, or the probability of each state
gamma horizon
            numbers; a horizon may be inf
terminal    states on whose entry an episode ends: their numbers or names, or a truth value for each state
name        of the model
states actions
            their names, or how many there are
observations
            what the policy sees in each state, texts or whole numbers
entropy kl  weights of the objective
policy_softmax behavior_softmax reference_softmax
            preferences [S, A]
policy_weights policy_names policy_features, and likewise for behavior and reference
            a linear policy: [d], [d], [S, A, d]
"""

from pgcheck.formats.arrays.axes import fitting
from pgcheck.formats.arrays.outcomes import COLUMNS, TABLES, check_forms, check_pairs, columns, tables
from pgcheck.formats.arrays.parts import (
    count_of,
    name_of,
    names_of,
    number_of,
    observations_of,
    start_of,
    terminal_of,
)
from pgcheck.formats.arrays.policies import POLICY_ARRAYS, given_policies
from pgcheck.formats.arrays.taken import Arrays, opened, shape_text
from pgcheck.formats.given import Given, Options
from pgcheck.formats.overrides import MAX_COEFFICIENT
from pgcheck.formats.reader import enumerated
from pgcheck.model.horizon import MAX_HORIZON

OTHERS = ("start", "gamma", "horizon", "terminal", "name", "states", "actions", "observations", "entropy", "kl")
ARRAYS = (*TABLES, *COLUMNS, *OTHERS, *POLICY_ARRAYS)


def read(spec: str, options: Options) -> Given:
    """Returns what the arrays of a file say of a model; the name of each array is one of those above.

    Raises:
      UsageError: there is no such file; or something has to be said that the arrays do not say, such as the axes.
      ModelError: the arrays are at fault.
      TooLargeError: more than 20 million pairs of states and actions.
    """
    label = options.get("terminal")
    with opened(spec, [*ARRAYS, *([label] if label is not None and label not in ARRAYS else [])]) as arrays:
        check_forms(arrays, options)
        found = None
        if "P" in arrays:
            orders, size, choices = fitting(arrays.shape("P"))
            if not orders:
                shape = shape_text(arrays.shape("P"))
                arrays.problems.add(0, 0, f"P: shape {shape}; expected (A, S, S), (S, A, S) or (S, S, A)")
                arrays.problems.check()
            check_pairs(arrays, size, choices)
        else:
            found = columns(arrays, count_of(arrays, "states"), count_of(arrays, "actions"))
            size, choices = found.num_states, found.num_actions
        states, actions = names_of(arrays, "states", size), names_of(arrays, "actions", choices)
        arrays.problems.check()
        terminal = terminal_of(arrays, states, label)
        arrays.problems.check()
        outcomes = tables(arrays, terminal, options) if found is None else found
        given = Given(
            spec, name_of(arrays, spec), states, actions,
            outcomes.state, outcomes.action, outcomes.next_state, outcomes.prob, outcomes.reward, outcomes.done,
            terminal, start=start_of(arrays, states), observations=observations_of(arrays, size),
            horizon=number_of(arrays, "horizon", 1, MAX_HORIZON, "a whole number of steps, 1 to 1e15, or inf"),
            gamma=number_of(arrays, "gamma", 0, 1, "a number from 0 to 1"),
            assumed=(*outcomes.assumed, *_not_read(arrays, label)),
            settled="terminal" in arrays or label is not None,
            policies=given_policies(arrays, size, choices),
            entropy=number_of(arrays, "entropy", 0, MAX_COEFFICIENT, "a number that is at least 0") or 0.0,
            kl=number_of(arrays, "kl", 0, MAX_COEFFICIENT, "a number that is at least 0") or 0.0,
        )  # fmt: skip
        arrays.problems.check()
        return given


def _not_read(arrays: Arrays, label: str | None) -> list[str]:
    """A clause about arrays that mean nothing here."""
    others = [name for name in arrays.names if name not in ARRAYS and name != label]
    return [f"not read: {enumerated(others)}"] if others else []
