"""What keeps a draw that cannot be answered from passing unseen: the states of all random generators.

A generator that has drawn has another state than before. Seeding, and the initialisation of a network's weights, are
taken for parts of the agent: they come out the same in each run, because each run begins with the same seeds.
"""

import functools
import gc
import random
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from pgcheck.external.draws import of_numpy, of_random, of_torch, torch_generators
from pgcheck.external.draws.noise import Noise
from pgcheck.external.draws.patches import Patch
from pgcheck.external.draws.reseeding import Reseeding

SEED = 0  # of all global generators, at the beginning of each run

Generator = tuple[str, Callable[[], object]]  # its name, and a function that gives what changes whenever it draws

INITIALISING = (
    "uniform_", "normal_", "trunc_normal_", "xavier_uniform_", "xavier_normal_", "kaiming_uniform_",
    "kaiming_normal_", "orthogonal_", "sparse_",
)  # fmt: skip


class Guard:
    """Watches all generators, from `settle` on until `begin`."""

    def __init__(self) -> None:
        things = _existing_things()
        self._existing = [(name, state) for name, _, state in things]
        self._before: dict[str, object] = {}
        self._drawn_before: Counter[str] = Counter()  # generators that were made in the run
        self._noted: list[str] = []  # generators that had drawn when they were seeded anew
        self._seeding = False
        self._of_torch = torch_generators.Generators()
        self._reseeding = Reseeding([thing for _, thing, _ in things], self._of_torch)

    def begin(self) -> None:
        """Begins a run: until `settle` is called, generators may draw."""
        self._before = {}
        self._noted = []
        self._of_torch.forget()
        self._reseeding.end()

    def release(self, noise: Noise) -> None:
        """Lets generators draw in a sampled run, from now on other numbers in each; nothing is watched."""
        self._reseeding.begin(noise)

    def restore(self) -> None:
        """Gives the generators that exist the states that they had before all runs."""
        self._reseeding.restore()

    def settle(self) -> None:
        """Takes the states that the generators have now for those that they have to keep."""
        self._before = self._states()
        self._drawn_before = Counter(_drawn())
        self._of_torch.settle()

    def changed(self) -> list[str]:
        """Returns the names of the generators that have drawn since `settle`."""
        now = self._states()
        drawn = [name for name, state in now.items() if name in self._before and self._before[name] != state]
        made = Counter(_drawn()) - self._drawn_before
        return [*self._noted, *drawn, *made, *self._of_torch.changed()]

    def patches(self) -> list[Patch]:
        """Returns what makes seeding and initialisation settle the guard anew."""
        torch: Any = sys.modules.get("torch")
        owners: list[tuple[Any, str]] = [(np.random, "seed"), (np.random, "set_state")]
        owners += [(random, "seed"), (random, "setstate")]
        if torch is not None and hasattr(torch, "nn") and hasattr(torch.nn, "init"):
            owners += [(torch, "manual_seed"), (torch, "set_rng_state"), (torch.random, "manual_seed")]
            owners += [(torch.nn.init, name) for name in INITIALISING]
        settling = [Patch(owner, name, self._settling(owner, getattr(owner, name))) for owner, name in owners]
        return [*settling, *self._of_torch.patches()]

    def _settling(self, owner: Any, function: Callable[..., Any]) -> Callable[..., Any]:
        is_initialising = getattr(function, "__name__", "") in INITIALISING

        def call(*args: Any, **kwargs: Any) -> Any:
            is_sampled = self._reseeding.is_under_way
            if self._seeding or not (self._before or is_sampled):
                return function(*args, **kwargs)
            if is_initialising and not _is_weight(args[0] if args else kwargs.get("tensor")):
                return function(*args, **kwargs)  # noise, by a function that is made for weights
            if is_sampled:
                return self._sampled(owner if not is_initialising else None, function, *args, **kwargs)
            self._noted = self.changed()  # what has drawn is not forgotten
            self._seeding = True
            try:
                result = function(*args, **kwargs)
                self.settle()
            finally:
                self._seeding = False
            return result

        return call

    def _sampled(self, owner: Any, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Seeds a global generator of its owner, or initialises weights, in a sampled run."""
        self._seeding = True
        try:
            if owner is None:
                return self._reseeding.initialised(function, *args, **kwargs)
            return self._reseeding.called(function, owner, *args, **kwargs)
        finally:
            self._seeding = False

    def _states(self) -> dict[str, object]:
        watched = [*of_numpy.generators(), *of_random.generators(), *of_torch.generators(), *self._existing]
        return {f"{name} ({k})" if k else name: state() for k, (name, state) in _numbered(watched)}


def _is_weight(tensor: Any) -> bool:
    """Whether a tensor is a parameter of a network, or as large as one."""
    return isinstance(tensor, sys.modules["torch"].nn.Parameter) or getattr(tensor, "ndim", 0) > 1


def _drawn() -> list[str]:
    """The generators made in this run that have drawn, by NumPy and by random."""
    return [*("random.Random" for _ in of_random.drawn()), *of_numpy.drawn()]


def _numbered(watched: Sequence[Generator]) -> list[tuple[int, Generator]]:
    """Each generator with how many of the same name stand before it."""
    seen: dict[str, int] = {}
    numbered = []
    for generator in watched:
        seen[generator[0]] = seen.get(generator[0], -1) + 1
        numbered.append((seen[generator[0]], generator))
    return numbered


def existing_generators() -> list[Generator]:
    """Returns the generators that exist, other than the global ones, which `of_numpy` and `of_random` know."""
    return [(name, state) for name, _, state in _existing_things()]


def _existing_things() -> list[tuple[str, Any, Callable[[], object]]]:
    """The name of each, itself, and what gives its state for comparisons."""
    # Names of temporary files are drawn too; nothing depends on them.
    names = getattr(getattr(tempfile, "_name_sequence", None), "_rng", None)
    known = {id(np.random.mtrand._rand), id(getattr(random, "_inst", None)), id(names)}
    for name, module in [*sys.modules.items()]:
        if name.startswith("pgcheck."):
            known |= {id(value) for value in vars(module).values()}
    found: list[tuple[str, Any, Callable[[], object]]] = []
    plain: set[type] = set()  # of hundreds of thousands of objects only a few are generators
    for thing in gc.get_objects():
        kind = type(thing)  # isinstance() would ask the object, and some answer with a warning
        if kind in plain or id(thing) in known:
            continue
        if issubclass(kind, np.random.Generator):
            found.append(("a numpy.random.Generator", thing, functools.partial(_state_of, thing.bit_generator)))
        elif issubclass(kind, np.random.RandomState):
            found.append(("a numpy.random.RandomState", thing, functools.partial(_state_of, thing._bit_generator)))
        elif issubclass(kind, random.Random) and not issubclass(kind, random.SystemRandom):
            found.append(("a random.Random", thing, thing.getstate))
        else:
            plain.add(kind)
    found += [
        (torch_generators.NAME, it, functools.partial(torch_generators.state_of, it))
        for it in torch_generators.in_modules()
    ]
    return found


def _state_of(bit_generator: Any) -> object:
    return _comparable(bit_generator.state)


def _comparable(state: object) -> object:
    """A state with bytes in place of its arrays."""
    if isinstance(state, dict):
        return {name: _comparable(value) for name, value in state.items()}
    return state.tobytes() if isinstance(state, np.ndarray) else state


def seed_all() -> None:
    """Gives all global generators the state with which each run begins."""
    torch: Any = sys.modules.get("torch")
    random.seed(SEED)
    np.random.seed(SEED)  # noqa: NPY002 - users' code draws from it
    if torch is not None and hasattr(torch, "default_generator"):
        torch.default_generator.manual_seed(SEED)


def global_states() -> Callable[[], None]:
    """Returns a function that gives back what runs may leave changed: states of global generators, and settings.

    The settings are torch's precision, whether it records gradients, and what NumPy does with errors.
    """
    torch: Any = sys.modules.get("torch")
    of_python, of_numpy_ = random.getstate(), np.random.get_state()  # noqa: NPY002
    of_torch_ = torch.default_generator.get_state() if hasattr(torch, "default_generator") else None
    settings = None if of_torch_ is None else (torch.get_default_dtype(), torch.is_grad_enabled())
    errors = np.geterr()

    def restore() -> None:
        random.setstate(of_python)
        np.random.set_state(of_numpy_)  # noqa: NPY002
        np.seterr(**errors)
        if settings is not None:
            torch.default_generator.set_state(of_torch_)
            torch.set_default_dtype(settings[0])
            torch.set_grad_enabled(settings[1])

    return restore
