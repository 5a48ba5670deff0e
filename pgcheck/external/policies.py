"""A user's function of the MDP → a policy. Its place is kept, so that an estimator's process can make it too."""

import contextlib
import copyreg
import inspect
import io
import sys
import weakref
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any, cast
from weakref import WeakKeyDictionary

import numpy as np

from pgcheck.arrays import Floats, kind_of
from pgcheck.errors import EstimatorError, PgcheckError, PolicyError
from pgcheck.external.loading import find
from pgcheck.formats.environments.failures import failure_text
from pgcheck.formats.modelfile import Model
from pgcheck.model.endless import cut
from pgcheck.model.mdp import MDP
from pgcheck.model.parametric import Network
from pgcheck.model.policy import Policy

Factory = Callable[[MDP], object]

SAME_PROBS = 1e-9  # by which π may differ between two processes
NEEDED = ("theta", "parameters", "probs", "pullback")  # of a policy


@dataclass(frozen=True, eq=False)
class _Origin:
    """The place of the function that made a policy, and what it was made for."""

    spec: str
    mdp: MDP


_ORIGINS: WeakKeyDictionary[Policy, _Origin] = WeakKeyDictionary()


@dataclass(frozen=True, eq=False)
class Named:
    """A policy as it is sent to another process: the place of the function that makes it, and what it must be there.

    Attributes:
      spec: the place of the function.
      theta, probs: θ `[d]` and π(a|s) `[S, A]`.
    """

    spec: str
    theta: Floats
    probs: Floats

    def made(self, mdp: MDP) -> Policy:
        """Returns the policy that the function makes in this process.

        Raises:
          PolicyError: the function cannot be called, or makes another policy than before.
        """
        policy = named_policy(self.spec, mdp)
        is_same = np.array_equal(policy.theta, self.theta)
        if not is_same or np.max(np.abs(policy.probs() - self.probs), initial=0.0) > SAME_PROBS:
            what = "other parameters" if not is_same else "other probabilities"
            raise PolicyError(
                f"{self.spec} made {what} for {mdp.name} in the process of the estimator than before\n"
                "  Let it make the same policy each time: seed it, as by torch.manual_seed(0) in its first line"
            )
        return policy


def sendable(policy: Policy) -> Policy | Named:
    """Returns a policy as it can be sent to another process.

    Raises:
      EstimatorError: it is a network that was not made by a function with a place.
    """
    origin = _ORIGINS.get(policy)
    if origin is not None:
        return Named(origin.spec, policy.theta, policy.probs())
    if isinstance(policy, Network):
        raise EstimatorError(
            "a network is not sent to the process in which an estimator that is named by its place runs\n"
            "  Pass the estimator as a function, or name the policy by its place: --policy file.py:function"
        )
    return policy


def made_here(policy: Policy | Named, mdp: MDP) -> Policy:
    """Returns a policy that was sent to this process: made here, where it is named.

    Raises:
      PolicyError: the function cannot be called, or makes another policy than before.
    """
    return policy.made(mdp) if isinstance(policy, Named) else policy


def named_policy(spec: str, mdp: MDP) -> Policy:
    """Returns the policy that a function, named by its place, makes for an MDP; the code of its module runs.

    What the function prints goes to standard error.

    Raises:
      PolicyError: there is no such function, it raised an error, or it returned no policy of the MDP.
    """
    with _reporting(spec):
        try:
            function = find(spec)
        except EstimatorError as error:
            raise PolicyError(str(error)) from None
        first = _made(function, mdp, spec)
        with contextlib.redirect_stdout(io.StringIO()):  # said already
            policy = _made(function, mdp, spec)  # the one that the user's module made last, as a loss may use it
    if not np.array_equal(policy.theta, first.theta) or not np.array_equal(policy.probs(), first.probs()):
        raise PolicyError(
            f"{spec} made other parameters for {mdp.name} when it was called again; "
            "seed it, as by torch.manual_seed(0)"
        )
    _ORIGINS[policy] = _Origin(spec, mdp)
    copyreg.pickle(type(policy), _travelling)
    return policy


def _travelling(policy: Policy) -> str | tuple[Any, ...]:
    """How a policy of a class whose policies are named by their place is pickled: by that place, if it has one."""
    origin = _ORIGINS.get(policy)
    return policy.__reduce_ex__(4) if origin is None else (made_here, (sendable(policy), origin.mdp))


def with_policy(model: Model, spec: str | None) -> Model:
    """Returns a model with the policy that a function, named by its place, makes of its MDP; None leaves its own.

    Raises:
      PolicyError: as `named_policy` does.
    """
    if spec is None:
        return model
    policy = named_policy(spec, model.mdp)
    return replace(model, mdp=cut(model.mdp, policy), policy=policy)


def policy_of(function: Factory, mdp: MDP) -> Policy:
    """Returns the policy that a function makes for an MDP.

    Args:
      function: from the MDP to what `torch_policy` or `jax_policy` returns, or to a policy.
      mdp: the model.

    Raises:
      PolicyError: the function raised an error, or returned no policy of the MDP.
    """
    name = getattr(function, "__name__", "the function")
    with _reporting(name):
        return _made(function, mdp, name)


@contextlib.contextmanager
def _reporting(name: str) -> Iterator[None]:
    """Lets what is printed go to standard error, and turns whatever a user's code raises into a PolicyError."""
    try:
        with contextlib.redirect_stdout(sys.stderr):
            yield
    except PolicyError as error:
        raise error if str(error).startswith(name) else PolicyError(f"{name}: {error}") from error.__cause__
    except PgcheckError:
        raise
    except (Exception, SystemExit) as error:
        if isinstance(error, ModuleNotFoundError) and error.name in ("torch", "jax"):
            raise PolicyError(f"{name} needs {error.name}: pip install 'pgcheck[{error.name}]'") from None
        raise PolicyError(failure_text(error, name)) from None


def _made(function: object, mdp: MDP, name: str) -> Policy:
    if not callable(function) or inspect.isclass(function):
        raise PolicyError(f"{name} is {'a class' if callable(function) else kind_of(function)}; {_EXPECTED}")
    with contextlib.suppress(ValueError):  # functions in C may have no signature
        signature = inspect.signature(function)
        try:
            signature.bind(mdp)
        except TypeError:
            raise PolicyError(f"{name}{signature} cannot be called with the MDP alone; {_EXPECTED}") from None
    made: Any = function(mdp)
    policy = made.of(mdp) if hasattr(made, "of") and not hasattr(made, "probs") else made
    if not all(hasattr(policy, attribute) for attribute in NEEDED):
        hint = "; is a return missing?" if made is None else f"; {_EXPECTED}"
        wrap = "\n  Return torch_policy(module)" if hasattr(made, "named_parameters") else ""
        raise PolicyError(f"{name} returned {'None' if made is None else kind_of(made)}{hint}{wrap}")
    _check(policy, mdp, name)
    return cast(Policy, policy)


def _check(policy: Any, mdp: MDP, name: str) -> None:
    """Raises PolicyError where a policy's numbers are not those of a policy of the MDP."""
    probs, theta = np.asarray(policy.probs()), policy.theta
    shape = probs.shape
    if shape != mdp.available.shape:
        raise PolicyError(
            f"{name} returned a policy with probabilities {list(shape)}; expected {list(mdp.available.shape)}, "
            f"one for each state and action of {mdp.name}"
        )
    total = np.where(mdp.available.any(axis=1), 1.0, 0.0)
    if not np.all(np.isfinite(probs)) or np.any(probs < 0) or np.any(probs[~mdp.available] != 0):
        raise PolicyError(
            f"{name}: probs() holds numbers below 0, not finite, or of actions that a state does not offer"
        )
    if np.max(np.abs(probs.sum(axis=1) - total)) > 1e-9:
        raise PolicyError(f"{name}: a row of probs() does not sum to 1; rows of terminal states are 0")
    if not isinstance(theta, np.ndarray) or theta.ndim != 1 or theta.dtype != np.float64:
        raise PolicyError(f"{name}: theta is {kind_of(theta)}; expected a vector of double precision [d]")
    if len(policy.parameters) != len(theta):
        raise PolicyError(f"{name}: {len(policy.parameters)} parameters are named, and theta has {len(theta)}")
    if np.shape(pulled := policy.pullback(np.zeros(shape))) != theta.shape:
        raise PolicyError(f"{name}: pullback returned shape {list(np.shape(pulled))}; expected {list(theta.shape)}")
    try:
        weakref.ref(policy)
        hash(policy)
    except TypeError as error:
        raise PolicyError(f"{name}: {error}; of a dataclass, use @dataclass(frozen=True, eq=False)") from None


_EXPECTED = (
    "expected a function of the MDP that returns pgcheck.policies.torch_policy(module) or jax_policy(apply, params)"
)
