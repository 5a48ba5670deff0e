"""Generators of torch that agents make for themselves: whether one of them has drawn."""

import sys
from types import ModuleType
from typing import Any

from pgcheck.external.draws.answers import under_way
from pgcheck.external.draws.noise import Noise, reseed
from pgcheck.external.draws.patches import Patch

NAME = "a torch.Generator"


class Generators:
    """The generators of torch that are made in a run."""

    def __init__(self) -> None:
        self._made: list[tuple[Any, list[bytes]]] = []  # with the states that they have to keep
        self._noted = False  # whether one had drawn when it was seeded anew

    def forget(self) -> None:
        """Begins a run."""
        self._made.clear()
        self._noted = False

    def changed(self) -> list[str]:
        """Returns a name for each generator made in this run that has drawn since it was seeded."""
        drawn = [NAME for generator, kept in self._made if kept != [state_of(generator)]]
        return drawn or [NAME] * self._noted

    def settle(self) -> None:
        """Takes the states that the generators have now for those that they have to keep."""
        for generator, kept in self._made:
            kept[:] = [state_of(generator)]
        self._noted = False

    def reseed(self, noise: Noise) -> None:
        """Lets the generators that a sampled run has made so far draw other numbers."""
        for generator, _ in self._made:
            reseed(generator, noise)

    def patches(self) -> list[Patch]:
        """Returns what notes the generators that are made; and lets data loaders do without seeds of their own."""
        torch: Any = sys.modules.get("torch")
        if not hasattr(torch, "Generator"):
            return []
        original, made, fill, watching = torch.Generator, self._made, torch.Tensor.random_, self

        class Kind(type(original)):  # type: ignore[misc]
            def __instancecheck__(cls, instance: object) -> bool:
                return isinstance(instance, original)

        class Generator(original, metaclass=Kind):  # type: ignore[misc, valid-type]
            def __init__(self, device: Any = "cpu") -> None:
                _reseed(self)
                made.append((self, [state_of(self)]))

            def _seeded(self, name: str, *args: Any) -> Any:
                own = [kept for generator, kept in made if generator is self]
                watching._noted = watching._noted or any(kept != [state_of(self)] for kept in own)
                result = getattr(original, name)(self, *args)
                if name == "manual_seed":
                    _reseed(self)
                for kept in own:
                    kept[:] = [state_of(self)]
                return result

            def manual_seed(self, seed: int) -> Any:
                return self._seeded("manual_seed", seed)

            def set_state(self, state: Any) -> Any:
                return self._seeded("set_state", state)

        def random_(tensor: Any, *args: Any, **kwargs: Any) -> Any:
            # Loaders seed generators with it, which shuffle: those draws are answered, whatever the seed.
            if sys._getframe(1).f_globals.get("__name__", "").startswith("torch.utils.data") and tensor.ndim == 0:
                return tensor.zero_()
            return fill(tensor, *args, **kwargs)

        return [Patch(torch, "Generator", Generator), Patch(torch.Tensor, "random_", random_)]


def _reseed(generator: Any) -> None:
    """Lets a generator draw other numbers in each sampled run, once the agent has been made."""
    answers = under_way()
    if answers is not None and answers.noise is not None and not answers.is_making:
        reseed(generator, answers.noise)


def in_modules() -> list[Any]:
    """Returns the generators, besides torch's own ones, that are global names of modules."""
    torch: Any = sys.modules.get("torch")
    if not hasattr(torch, "Generator"):
        return []
    found = {
        id(value): value
        for module in [*sys.modules.values()]
        if isinstance(module, ModuleType)
        for value in [*vars(module).values()]
        if type(value) is torch.Generator and value is not torch.default_generator
    }
    return [*found.values()]


def state_of(generator: Any) -> bytes:
    """Returns what changes whenever a generator of torch draws."""
    return bytes(generator.get_state().numpy())
