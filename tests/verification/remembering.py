"""An agent whose runs are made once, and shown to each verification that asks for them."""

import functools
import pickle
from collections.abc import Callable
from dataclasses import fields
from typing import Any

from pgcheck.external.agent_source import AS_IT_IS, Beginning, LocalAgent, Told
from pgcheck.external.agents import AgentFunction
from pgcheck.external.draws.tree import Branch
from pgcheck.external.lot import Before, Cut, Lot
from pgcheck.external.run import Variation
from pgcheck.model.linearised import Linearised
from pgcheck.model.mdp import MDP
from tests.verification.loops import made


class Remembering(LocalAgent):
    """An agent that makes its runs once for each model and variation, and shows the same to whoever asks again."""

    def __init__(self, function: AgentFunction) -> None:
        super().__init__(function)
        self._begun: dict[bytes, Beginning] = {}
        self._made: dict[bytes, Any] = {}
        self._key = b""

    def begin(self, mdp: MDP, variation: Variation = AS_IT_IS, *, rehearses: bool = True) -> Beginning:
        self._key = pickle.dumps(([getattr(mdp, it.name) for it in fields(mdp)], variation))
        if self._key not in self._begun:
            self._begun[self._key] = super().begin(mdp, variation, rehearses=rehearses)
        self._there = mdp, variation
        return self._begun[self._key]

    def at(self, mdp: MDP, variation: Variation) -> Linearised:
        assert self._there == (mdp, variation)
        return self._begun[self._key].subject.policy

    def cut(self, most: int, *, drawn: bool = False, told: Told | None = None) -> Cut:
        cut: Cut = self._once(("cut", most, drawn), lambda: super(Remembering, self).cut(most, drawn=drawn))
        return cut

    def walk(self, branch: Branch, number: int, before: Before, most: int) -> Lot:
        arguments = branch, number, before, most
        lot: Lot = self._once(("walk", *arguments), lambda: super(Remembering, self).walk(*arguments))
        return lot

    def _once(self, asked: Any, make: Callable[[], Any]) -> Any:
        key = self._key + pickle.dumps(asked)
        if key not in self._made:
            super().at(*self._there)
            self._made[key] = make()
        return self._made[key]


@functools.cache
def remembered(**options: Any) -> Remembering:
    """The agent of `made`."""
    return Remembering(made(**options))
