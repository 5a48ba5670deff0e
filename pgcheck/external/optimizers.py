"""Watching the optimizers of torch: the gradient that the first step of the policy's optimizer is about to use.

A global hook, which torch calls before each step of any optimizer, reads it; nobody's code is changed.
"""

import contextlib
import importlib
import math
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from pgcheck.arrays import Floats
from pgcheck.errors import EstimatorError
from pgcheck.external.draws.endings import Stopped
from pgcheck.model.network import numbers

MOST_STEPS = 1_000  # that are counted in a run which goes on after its first step
MOST_SECONDS = 2.0  # that it goes on
PARALLEL = 0.99  # cosine of a step by hand and of its gradient, in single precision
DECOUPLED = ("Adafactor", "Muon")  # decay weights besides the gradient, and their settings do not say so


@dataclass(eq=False)
class Watch:
    """What the optimizer steps of one run show.

    Attributes:
      parameters: returns the policy's parameters by name; None as long as there are none.
      start: their values at the start of the run by name; None where they are made by the update.
      goes_on: whether the run goes on after it has shown its gradient, so that its steps are counted.
      ended: is called when the run is stopped.
      gradient: what is added to θ, minus the loss's gradient, by name.
      steps: how many steps optimizers of the policy have made.
      decayed: the greatest weight decay that an optimizer applies besides the gradient, as AdamW does.
      clips: how often a norm or a value was clipped.
      computed: whether a gradient of the policy had been computed before a step.
      complete: whether the gradient is known.
      moved: whether a gradient was computed when the parameters were no longer those of the start.
      looks: whether it is just asking for the parameters.
      fault: why the run does not count: an error that may not have come through the code which steps.
    """

    parameters: Callable[[], Mapping[str, Any] | None]
    start: Mapping[str, Floats] | None
    goes_on: bool
    ended: Callable[[], None]
    gradient: dict[str, Floats] = field(default_factory=dict)
    steps: int = 0
    decayed: float = 0.0
    clips: int = 0
    computed: bool = False
    complete: bool = False
    moved: bool = False
    looks: bool = False
    fault: EstimatorError | None = None
    until: float = math.inf

    def before_step(self, optimizer: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Reads the gradients of the policy's parameters that an optimizer holds, before its step.

        Raises:
          Stopped: all that is to be known is known.
          EstimatorError: the parameters are no longer what they were at the start of the run.
        """
        parameters = self.parameters()
        groups = {id(p): group for group in optimizer.param_groups for p in group["params"]}
        held = [name for name, p in (parameters or {}).items() if id(p) in groups]
        if not held or parameters is None:
            return
        self.steps += 1
        if self.complete:
            if not self.goes_on or self.steps >= MOST_STEPS or time.monotonic() >= self.until:
                self._stop()
            return
        if any(name in self.gradient for name in held):
            self._finish()
            return
        self._check_unchanged(parameters)
        for own_hook in [*getattr(optimizer, "_optimizer_step_pre_hooks", {}).values()]:
            own_hook(optimizer, args, kwargs)  # torch would call it after this one
        for closure in (*args, *kwargs.values()):
            if callable(closure):  # it computes the gradient, as that of LBFGS does
                with sys.modules["torch"].enable_grad():
                    closure()
        self.computed = self.computed or any(parameters[name].grad is not None for name in held)
        for name in held:
            self.gradient[name] = self._used(parameters[name], groups[id(parameters[name])], optimizer)
        if len(self.gradient) == len(parameters):
            self._finish()
            return
        for name in held:
            parameters[name].grad = None  # this step leaves them as they are: others are still to be read

    def before_backward(self) -> None:
        """Notes whether the parameters are still those of the start when a gradient is computed."""
        if self.complete or self.moved or self.looks:
            return
        self.looks = True  # parameters that are made by the update are differentiated when they are first seen
        try:
            self.moved = self._changed(self.parameters() or {}) is not None
        finally:
            self.looks = False

    def from_grad(self) -> bool:
        """Reads what is left in `.grad` where no step has shown a gradient; whether there was anything.

        Raises:
          EstimatorError: what is left is no gradient at the start of the run.
        """
        if self.gradient:
            return self.computed
        parameters = self.parameters() or {}
        self.gradient = {name: -_dense(p.grad) for name, p in parameters.items() if p.grad is not None}
        if self.moved and self.gradient:
            raise EstimatorError(
                "the agent's parameters were changed before its last gradient was computed, and not by an optimizer "
                "of torch: what is left in .grad belongs to other parameters than those of the start\n"
                "  Let `update` return the gradient of its first step, in the shapes of the parameters"
            )
        return bool(self.gradient)

    def check_by_hand(self) -> None:
        """Takes a step by hand for what it is: along the gradient that is left, or against it.

        Raises:
          EstimatorError: the parameters were changed, and no gradient is left that says why.
        """
        parameters = self.parameters() or {}
        name = self._changed(parameters)
        if self.complete or name is None or self.steps:
            return
        signs: set[float] = set()
        for key, against in self.gradient.items():
            change = numbers(parameters[key]) - (self.start or {})[key]
            size = float(np.linalg.norm(change) * np.linalg.norm(against))
            cosine = float(np.sum(change * against)) / size if size > 0 else 0.0
            is_step = abs(cosine) > PARALLEL
            if is_step or np.any(change):
                signs.add(float(np.sign(cosine)) if is_step else 0.0)
        if len(signs) != 1 or 0.0 in signs:
            raise EstimatorError(
                f"the agent's parameter {name!r} was changed without an optimizer of torch, and what is left in "
                ".grad does not say by what, or nothing is left in .grad\n  Let `update` return the gradient of its "
                "first step, in the shapes of the parameters, or end before .grad is cleared"
            )
        if signs == {-1.0}:  # the step goes along .grad, which is that of an objective, not of a loss
            self.gradient = {key: -against for key, against in self.gradient.items()}

    def _finish(self) -> None:
        self.complete = True
        self.until = time.monotonic() + MOST_SECONDS
        if not self.goes_on:
            self._stop()

    def _stop(self) -> None:
        self.ended()
        raise Stopped

    def _check_unchanged(self, parameters: Mapping[str, Any]) -> None:
        name = self._changed(parameters)
        if name is not None:
            self.fault = EstimatorError(
                f"the agent's parameter {name!r} was changed before the first step of its optimizer: the gradient "
                "belongs to other parameters than those of the start\n"
                "  Let the agent's function do what changes them, or `update` begin after it"
            )
            raise self.fault

    def _changed(self, parameters: Mapping[str, Any]) -> str | None:
        """The name of a parameter that is no longer what it was at the start."""
        for name, values in (self.start or {}).items():
            if name in parameters and not np.array_equal(numbers(parameters[name]), values):
                return name
        return None

    def _used(self, p: Any, group: Mapping[str, Any], optimizer: Any) -> Floats:
        """What a step follows: the gradient, and weight decay where it is added to that."""
        gradient = np.zeros(tuple(p.shape)) if p.grad is None else _dense(p.grad)
        if group.get("maximize"):
            gradient = -gradient
        decay = float(group.get("weight_decay") or 0.0)
        if group.get("decoupled_weight_decay") or type(optimizer).__name__ in DECOUPLED:
            self.decayed = max(self.decayed, decay)
        elif decay and p.grad is not None:
            gradient = gradient + decay * numbers(p)
        return -gradient


def _dense(gradient: Any) -> Floats:
    return numbers(gradient.to_dense() if gradient.is_sparse else gradient)


@contextlib.contextmanager
def watched(watch: Watch) -> Iterator[None]:
    """Lets the watch see each optimizer step within the block; nothing where torch has not been imported."""
    if "torch" not in sys.modules:
        yield
        return
    module = importlib.import_module("torch.optim.optimizer")  # its package hides its name
    handle = module.register_optimizer_step_pre_hook(watch.before_step)
    try:
        yield
    finally:
        handle.remove()
