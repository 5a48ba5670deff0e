"""An agent whose runs are made once, and shown to each verification that asks for them."""

import functools
import pickle
from dataclasses import fields
from typing import Any

from pgcheck.external.agent_source import AS_IT_IS, Beginning, LocalAgent
from pgcheck.external.agents import AgentFunction
from pgcheck.external.loop import Lot
from pgcheck.external.run import Variation
from pgcheck.model.mdp import MDP
from tests.verification.loops import made


class Remembering(LocalAgent):
    """An agent that makes its runs once for each model and variation, and shows the same to whoever asks again."""

    def __init__(self, function: AgentFunction) -> None:
        super().__init__(function)
        self._shown: dict[bytes, tuple[Beginning, list[Lot]]] = {}
        self._lots: list[Lot] = []
        self._following = 0

    def begin(self, mdp: MDP, variation: Variation = AS_IT_IS) -> Beginning:
        key = pickle.dumps(([getattr(mdp, it.name) for it in fields(mdp)], variation))
        beginning, self._lots = self._shown.get(key, (None, []))
        if beginning is None or not (self._lots and self._lots[-1].done):
            beginning, self._lots = super().begin(mdp, variation), []
            self._shown[key] = beginning, self._lots
        self._following = 0
        return beginning

    def advance(self, seconds: float, most: int) -> Lot:
        if self._following == len(self._lots):
            self._lots.append(super().advance(seconds, most))
        self._following += 1
        return self._lots[self._following - 1]


@functools.cache
def remembered(**options: Any) -> Remembering:
    """The agent of `made`."""
    return Remembering(made(**options))
