"""Copies of environments that lack, lose or share something, or cannot be made, are refused."""

import copy
import re
import threading
from typing import Any

import numpy as np
from numpy.testing import assert_allclose

from pgcheck.formats.exploring.search import explored
from tests.formats.explorable import DRAWS, Corridor, Drawing, Keys, Step, outcomes, refusal, value, value_by_walking


class Copied(Keys):
    """Has a way of its own to be copied."""

    def __init__(self, drops: tuple[str, ...] = (), shares: tuple[str, ...] = ()) -> None:
        super().__init__()
        self.notes: list[int] = []
        self.drops, self.shares = drops, shares

    def restart(self) -> None:
        super().restart()
        self.notes = []

    def step(self, action: Any) -> Step:
        self.notes.append(int(action))
        del self.notes[:-1]
        return super().step(action)

    def __deepcopy__(self, memo: Any) -> "Copied":
        twin = type(self)(self.drops, self.shares)
        names = {"cell", "carrying", "steps", "notes", "np_random"} - set(self.drops)
        for name in names:
            kept = getattr(self, name)
            setattr(twin, name, kept if name in self.shares else copy.deepcopy(kept))
        return twin


def test_copies_that_lack_or_share_something_are_refused() -> None:
    assert_allclose(value(explored(Copied(), source="env"), 5, 0.9), value_by_walking(Keys, 5, 0.9), rtol=1e-12)
    text = refusal(Copied(drops=("carrying",)))
    assert text.startswith("after reset(seed=0) and take: a copy of it is not the same (carrying); exploring needs")
    assert refusal(Copied(shares=("notes",))).startswith(
        "reset(seed=0): a step of a copy of it changed it (notes); exploring needs copies that lack nothing"
    )


def test_a_generator_that_copies_share_is_seen() -> None:
    class Sharing(Drawing):
        def __deepcopy__(self, memo: Any) -> Any:
            twin = type(self)(self.draw, self.slip)
            twin.np_random, twin.cell = self.np_random, self.cell
            return twin

    assert "a step does not always do the same" in refusal(Sharing(DRAWS["np_random"]))


class Views(Corridor):
    """What is paid is written to one array, and read from another: a view of the first, unless it is copied."""

    def __init__(self, link: bool) -> None:
        super().__init__()
        self.all = np.zeros(2)
        self.link, self.some = link, self.all[:1]

    def restart(self) -> None:
        self.all[:] = 0

    def pay(self, action: int) -> float:
        self.all[0] += self.cell == 2
        return float(self.some[0] if self.link else self.all[0])


def test_copies_that_lose_a_view_are_held_against_the_environment_itself() -> None:
    text = refusal(Views(True))
    assert re.search(
        r"1: in the environment itself, a random walk parts .*: reward 1 instead of 0; do copies lose", text
    )
    assert outcomes(explored(Views(False), source="env")) == outcomes(explored(Corridor(), source="env"))


def test_what_a_function_keeps_is_state_that_copies_share() -> None:
    class Closing(Corridor):
        def __init__(self, counts: bool) -> None:
            super().__init__()
            kept = [0]

            def count() -> int:
                kept[0] += counts
                return kept[0]

            self.count = count

        def pay(self, action: int) -> float:
            return super().pay(action) + 0 * self.count()

    assert "count" in refusal(Closing(True))
    assert outcomes(explored(Closing(False), source="env")) == outcomes(explored(Corridor(), source="env"))


def test_what_cannot_be_copied_is_named() -> None:
    environment = Corridor()
    environment.inner = type("Simulator", (), {})()  # type: ignore[attr-defined]
    environment.inner.lock = threading.Lock()  # type: ignore[attr-defined]
    text = refusal(environment)
    assert text.startswith("reset(seed=0): attribute inner.lock cannot be copied: TypeError: cannot pickle")
