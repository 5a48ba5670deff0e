"""Networks as policies: a torch module, or a jax function with its parameters.

torch and jax are imported here and in `adapters`, where they are needed. All is evaluated in double precision, if the
network can work in it, whatever the precision of θ; its gradient then has no noise in the last digits. The user's own
network is left as it is.
"""

import contextlib
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from pgcheck.arrays import Floats, kind_of
from pgcheck.errors import PolicyError
from pgcheck.model.mdp import MDP
from pgcheck.model.parameters import joined
from pgcheck.model.parametric import Array, Network, check_logits, first_that_works, not_sent, rows_of_states


@dataclass(frozen=True, eq=False)
class _Pass:
    """A forward pass in torch: the logits, the parameters that they were computed from, and all else by name."""

    logits: Any
    leaves: dict[str, Any]
    constants: dict[str, Any]


class TorchNetwork(Network):
    """A torch module as the policy of an MDP; parameters of it that require no gradient are constants.

    Attributes:
      module: the user's module.
      trained: its parameters that require a gradient, by name: those that live in it.

    Raises:
      PolicyError: torch is not installed, or the module is no policy: it has nothing to train, cannot be called with
        the rows, or its logits are not those of the states alone.
    """

    __reduce__ = not_sent

    def __init__(self, mdp: MDP, module: Any, observations: Any = None) -> None:
        torch = imported_torch()
        if not isinstance(module, torch.nn.Module):
            raise PolicyError(f"torch_policy got {kind_of(module)}; expected a torch.nn.Module")
        self.module, self._calls = module, 0
        self.trained = {name: p for name, p in module.named_parameters() if p.requires_grad and p.numel()}
        if not self.trained:
            frozen = sum(1 for _ in module.parameters())
            why = f"all {frozen} of its parameters have requires_grad=False" if frozen else "it has none"
            raise PolicyError(f"{kind_of(module)} has no parameters to train: {why}")
        self.single = any(p.dtype != torch.float64 for p in self.trained.values())
        own = next(iter(self.trained.values())).dtype
        tries = [
            (rows, dtype)
            for rows in rows_of_states(mdp, observations)
            for dtype in dict.fromkeys((torch.float64, own))
        ]
        self.observations, self._dtype = first_that_works(self._forward, tries, kind_of(module))
        logits = check_logits(
            mdp, kind_of(module), lambda rows: numbers(self._forward(rows, self._dtype).logits), self.observations,
            double=self._dtype == torch.float64,
        )  # fmt: skip
        self._last = self._forward(self.observations, self._dtype)
        if not self._last.logits.requires_grad:
            raise PolicyError(f"the logits of {kind_of(module)} do not depend on its parameters; are they detached?")
        self.shapes = {name: tuple(p.shape) for name, p in self.trained.items()}
        self._settle(mdp, self.present_theta(), logits)

    def present_theta(self) -> Floats:
        """Returns the parameters that the module has now `[d]`."""
        return joined([numbers(p) for p in self.trained.values()])

    def logits_of(self, parameters: Any) -> Any:
        """Returns the module's logits `[S, A]` with these parameters, by name, in their own precision."""
        dtype = next(iter(self.trained.values())).dtype
        return imported_torch().func.functional_call(
            self.module, parameters, (self._tensor(self.observations, dtype),)
        )

    def _forward(self, rows: Array, dtype: Any) -> _Pass:
        torch = imported_torch()
        # On copies: a layer that counts its calls, or averages over them, does so outside of the user's module.
        named = (*self.module.named_parameters(), *self.module.named_buffers())
        state = {name: _cast(value.detach().clone(), dtype) for name, value in named}
        leaves = {name: state.pop(name).requires_grad_() for name in self.trained}
        with torch.enable_grad(), torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(self._calls)  # another one each time, so that dropout shows
            self._calls += 1
            logits = torch.func.functional_call(self.module, {**state, **leaves}, (self._tensor(rows, dtype),))
        if not isinstance(logits, torch.Tensor):
            raise PolicyError(
                f"{kind_of(self.module)} returned {kind_of(logits)}; expected a tensor of logits [S, A]"
            )
        return _Pass(logits, leaves, state)

    def _tensor(self, rows: Array, dtype: Any) -> Any:
        device = next(iter(self.trained.values())).device
        return _cast(imported_torch().as_tensor(rows).to(device), dtype)

    def _backward(self, weights: Floats) -> Floats:
        torch = imported_torch()
        leaves = list(self._last.leaves.values())
        gradients = torch.autograd.grad(
            self._last.logits, leaves, grad_outputs=torch.as_tensor(weights).to(self._last.logits),
            retain_graph=True, allow_unused=True,
        )  # fmt: skip
        known = [torch.zeros_like(leaf) if g is None else g for g, leaf in zip(gradients, leaves, strict=True)]
        return joined([numbers(g) for g in known])

    def _derivatives(self) -> Floats:
        func, constants = imported_torch().func, self._last.constants

        def of_row(leaves: Any, row: Any) -> Any:
            return func.functional_call(self.module, {**constants, **leaves}, (row[None],))[0]

        leaves = {name: leaf.detach() for name, leaf in self._last.leaves.items()}
        rows = self._tensor(self.observations, self._dtype)
        with warnings.catch_warnings():  # these are about speed
            warnings.simplefilter("ignore")
            by_name = func.vmap(func.jacrev(of_row), in_dims=(None, 0))(leaves, rows)
        return joined([numbers(by_name[name]) for name in self.shapes], leading=2)


class JaxNetwork(Network):
    """A function in jax, from (parameters, rows) to logits, as the policy of an MDP.

    Attributes:
      apply: the function.
      params: its parameters, any tree of arrays: dicts, lists, tuples.

    Raises:
      PolicyError: as of `TorchNetwork`, with jax.
    """

    __reduce__ = not_sent

    def __init__(self, mdp: MDP, apply: Callable[..., Any], params: Any, observations: Any = None) -> None:
        jax = imported_jax()
        if not callable(apply):
            raise PolicyError(f"jax_policy got {kind_of(apply)} in place of a function of (params, observations)")
        self.apply, self.params, self._name = apply, params, getattr(apply, "__name__", kind_of(apply))
        leaves, self._tree = jax.tree_util.tree_flatten_with_path(params)
        named = {"/".join(map(_key, path)): np.asarray(leaf) for path, leaf in leaves}
        for name, leaf in named.items():
            if not np.issubdtype(leaf.dtype, np.floating) and leaf.dtype.name != "bfloat16":
                raise PolicyError(f"parameter {name!r} of {self._name} holds {leaf.dtype}; expected real numbers")
        self.shapes = {name: leaf.shape for name, leaf in named.items()}
        if not any(leaf.size for leaf in named.values()):
            raise PolicyError(f"{self._name} has no parameters to train: {kind_of(params)} holds no numbers")
        self._own = next(iter(named.values())).dtype if jax.config.jax_enable_x64 else np.dtype(np.float32)
        self.single = any(dtype != np.float64 for dtype in (self._own, *(leaf.dtype for leaf in named.values())))
        tries = [(rows, double) for rows in rows_of_states(mdp, observations) for double in (True, False)]
        self.observations, self._double = first_that_works(self._called, tries, self._name)
        double = self._double
        logits = check_logits(
            mdp, self._name, lambda rows: self._called(rows, double), self.observations, double=double
        )
        self._settle(mdp, self.present_theta(), logits)
        with self._precision():
            self._output, self._vjp = jax.vjp(lambda p: apply(p, self._array(self.observations)), self._leaves())

    def present_theta(self) -> Floats:
        """Returns the parameters as they are now `[d]`."""
        return _flat(self.params)

    def logits_of(self, parameters: Any) -> Any:
        """Returns the function's logits `[S, A]` with these parameters."""
        return self.apply(parameters, imported_jax().numpy.asarray(self.observations))

    def _called(self, rows: Array, double: bool) -> Floats:
        self._double = double
        with self._precision():
            logits = self.apply(self._leaves(), self._array(rows))
            if not hasattr(logits, "shape"):
                raise PolicyError(f"{self._name} returned {kind_of(logits)}; expected an array of logits [S, A]")
            return np.asarray(logits, dtype=np.float64)

    def _backward(self, weights: Floats) -> Floats:
        with self._precision():
            (tree,) = self._vjp(imported_jax().numpy.asarray(weights, dtype=self._output.dtype))
            return _flat(tree)

    def _derivatives(self) -> Floats:
        jax = imported_jax()
        with self._precision():
            of_row = jax.jacrev(lambda p, row: self.apply(p, row[None])[0])
            tree = jax.vmap(of_row, in_axes=(None, 0))(self._leaves(), self._array(self.observations))
            return _flat(tree, leading=2)

    def _leaves(self) -> Any:
        """The parameters, in double precision where that is asked for."""
        jnp, double = imported_jax().numpy, self._double
        return imported_jax().tree_util.tree_map(
            lambda leaf: jnp.asarray(leaf, dtype=np.float64 if double else None), self.params
        )

    def _array(self, rows: Array) -> Any:
        floating = np.issubdtype(rows.dtype, np.floating)
        dtype = np.float64 if self._double else self._own
        return imported_jax().numpy.asarray(rows, dtype=dtype if floating else None)

    @contextlib.contextmanager
    def _precision(self) -> Iterator[None]:
        """Double precision, which jax has to be asked for, or what is in force."""
        jax = imported_jax()
        switch = jax if hasattr(jax, "enable_x64") else jax.experimental
        with switch.enable_x64(True) if self._double else contextlib.nullcontext():
            yield


def imported_torch() -> Any:
    """Returns torch; raises PolicyError where it is not installed."""
    try:
        import torch
    except ImportError:
        raise PolicyError("torch_policy needs torch: pip install 'pgcheck[torch]'") from None
    return torch


def imported_jax() -> Any:
    """Returns jax; raises PolicyError where it is not installed."""
    try:
        import jax
    except ImportError:
        raise PolicyError("jax_policy needs jax: pip install 'pgcheck[jax]'") from None
    return jax


def numbers(tensor: Any) -> Floats:
    """Returns a tensor as an array in double precision."""
    return np.asarray(tensor.detach().cpu().double().numpy())


def _cast(tensor: Any, dtype: Any) -> Any:
    return tensor.to(dtype) if tensor.is_floating_point() else tensor


def _flat(tree: Any, leading: int = 0) -> Floats:
    leaves = imported_jax().tree_util.tree_leaves(tree)
    return joined([np.asarray(leaf, dtype=np.float64) for leaf in leaves], leading)


def _key(entry: Any) -> str:
    """The name of a step from a tree to a branch of it."""
    return str(next((getattr(entry, name) for name in ("key", "idx", "name") if hasattr(entry, name)), entry))
