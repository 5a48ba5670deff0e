"""`file.py:name`, Python code that makes a model → the model, or what it says of one."""

import contextlib
import inspect
from collections.abc import Mapping, Sequence
from typing import Any, cast

import numpy as np

from pgcheck.arrays import kind_of
from pgcheck.errors import UsageError
from pgcheck.formats.environments import places
from pgcheck.formats.environments.environment import given_of, is_environment, reporting
from pgcheck.formats.environments.tables import names_of, table_of
from pgcheck.formats.given import Given, Options, said
from pgcheck.formats.modelfile import Model
from pgcheck.formats.problems import fault, visible
from pgcheck.model.mdp import MDP
from pgcheck.model.policy import Policy
from pgcheck.model.softmax import TabularSoftmax

EXPECTED = (
    "an MDP, an (MDP, policy), a table P[s][a] = [(probability, next state, reward, done), ...] or a Gymnasium "
    "environment, or a function without arguments that returns one"
)
OF_POLICIES = ("theta", "parameters", "probs", "pullback")


def read(spec: str, options: Options) -> Given | Model:
    """Returns the model that `file.py:name` is or makes, or what its table or environment says of one.

    The file runs. A function is called without arguments; what it prints goes to standard error.

    Raises:
      UsageError: there is no such file or name, or an option is not for what is found; or as in `given_of`.
      ModelError: the code raised an error, or made something else; or as in `given_of`.
    """
    with reporting(spec):
        value = places.find(spec, "file.py:name", "name")
        made = _made(value, spec)
    model = _model_of(made, spec)
    if model is not None:
        for name in said(options):
            raise UsageError(f"--{name.replace('_', '-')} is not for {visible(spec)}, which is an MDP already")
        return model
    _, _, name = spec.rpartition(":")
    if is_environment(made):
        return given_of(made, spec, name, options)
    if (
        isinstance(made, Mapping)
        or (isinstance(made, Sequence) and not isinstance(made, str))
        or hasattr(made, "shape")
    ):
        return _of_table(made, spec, name)
    what = "None" if made is None else kind_of(made)
    hint = "\n  Is a return missing?" if made is None and callable(value) else ""
    raise fault(spec, f"it {'returned' if callable(value) else 'is'} {what}; expected {EXPECTED}{hint}")


def _made(value: Any, spec: str) -> Any:
    """What a function or class returns, called without arguments; other things as they are."""
    if not callable(value) or is_environment(value) or isinstance(value, MDP | Model):
        return value
    needed: list[str] = []
    with contextlib.suppress(TypeError, ValueError):  # functions in C may have no signature
        parameters = inspect.signature(value).parameters.values()
        any_number = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
        needed = [p.name for p in parameters if p.default is p.empty and p.kind not in any_number]
    if needed:
        raise fault(spec, f"it needs arguments ({', '.join(needed)}); expected {EXPECTED}")
    return value()


def _model_of(made: Any, spec: str) -> Model | None:
    """The model that something is, with its policy; None if it is none."""
    if isinstance(made, Model):
        return made
    if isinstance(made, MDP):
        return Model(made, TabularSoftmax.of(made), None)
    if not (isinstance(made, tuple) and len(made) == 2 and isinstance(made[0], MDP)):
        return None
    mdp, policy = made
    with reporting(spec):
        if hasattr(policy, "of") and not hasattr(policy, "probs"):  # as torch_policy and jax_policy return
            policy = policy.of(mdp)
        missing = [name for name in OF_POLICIES if not hasattr(policy, name)]
        shape = None if missing else np.shape(policy.probs())
    if missing:
        raise fault(spec, f"{kind_of(policy)} beside the MDP has no {missing[0]}; expected a policy")
    if shape != (mdp.num_states, mdp.num_actions):
        raise fault(
            spec,
            f"the policy has probabilities of shape {list(shape or ())}; expected "
            f"{[mdp.num_states, mdp.num_actions]}, one for each state and action of {mdp.name}",
        )
    return Model(mdp, cast(Policy, policy), None)


def _of_table(made: Any, spec: str, name: str) -> Given:
    """What a table says."""
    with reporting(spec):
        table = table_of(made, spec)
    return Given(
        spec, name, names_of(table.states), names_of(table.actions),
        table.state, table.action, table.next_state, table.prob, table.reward, table.done, table.terminal,
    )  # fmt: skip
