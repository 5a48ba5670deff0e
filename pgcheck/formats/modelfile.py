"""A model file (format `pgcheck/1`) → an MDP and its policies, or every error in it with its place."""

import contextlib
import gc
import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from pgcheck.arrays import Floats, Ints
from pgcheck.displayed import Plotted
from pgcheck.formats.nodes import Mapping, Node, Scalar
from pgcheck.formats.overrides import ADD_REFERENCE, MAX_COEFFICIENT
from pgcheck.formats.policies import read_policy
from pgcheck.formats.problems import visible
from pgcheck.formats.reader import Reader, kind_of
from pgcheck.formats.sight import Sight
from pgcheck.formats.transitions import PROBABILITY, Outcomes, sum_text
from pgcheck.model.horizon import MAX_HORIZON, horizon_of
from pgcheck.model.mdp import INFINITE_KL, MAX_PAIRS, MDP, PROBABILITY_SLACK
from pgcheck.model.policy import Policy
from pgcheck.model.softmax import TabularSoftmax

HORIZON = "a whole number of steps, 1 to 1e15"
POLICIES = ("policy", "behavior", "reference")
COEFFICIENTS = ("entropy", "kl")

KEYS = (
    "name", "horizon", "gamma", "states", "actions", "start", "terminal", "observations", "transitions",
    *POLICIES, "objective",
)  # fmt: skip
REQUIRED = ("horizon", "states", "actions", "start", "transitions")


@dataclass(frozen=True, eq=False)
class Model(Plotted):
    """The contents of a model file.

    Attributes:
      mdp, policy: the problem and the point θ at which it is differentiated.
      behavior: the policy that drew the data, for off-policy estimators; None if the file has none.
      reference: π_ref of the KL penalty, whose table is `mdp.reference`; None if the file has none.
      notes: what its source does not say and was taken for granted, in sentences.
    """

    mdp: MDP
    policy: Policy
    behavior: Policy | None = None
    reference: Policy | None = None
    notes: tuple[str, ...] = ()


def loads(text: str, file: str = "<string>") -> Model:
    """Returns the model in YAML text; `file` stands in messages, and its stem is the default name.

    Raises:
      ModelError: the text is at fault; the message lists up to 20 errors, each with FILE:LINE:COL.
    """
    with _uncollected():
        return _ModelReader(file, text.removeprefix("\ufeff")).model()


@contextlib.contextmanager
def _uncollected() -> Iterator[None]:
    """Pauses the garbage collector: nodes form no cycles, and looking for cycles would take half of the time."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


class _ModelReader(Reader):
    """Reads one model file."""

    def model(self) -> Model:
        """The model; raises ModelError if there are errors."""
        entries = self.entries(self.root, (), f"a mapping with the keys {', '.join(REQUIRED)}")
        self.known(entries.values(), KEYS, ())
        missing = [key for key in REQUIRED if key not in entries]
        if missing and isinstance(self.root, Mapping):
            are = "is" if len(missing) == 1 else "are"
            self.fail(self.root, (), f"{', '.join(missing)} {are} missing; a model needs {', '.join(REQUIRED)}")
        value = {key: node for key, (_, node) in entries.items()}
        title = self.name(value["name"], ("name",), "a name") if "name" in value else visible(Path(self.file).stem)
        horizon = self.horizon(value["horizon"]) if "horizon" in value else 1
        gamma = self.real(value["gamma"], ("gamma",), 0, 1, "a number from 0 to 1") if "gamma" in value else 1.0
        entropy, kl = self.objective(value)
        states, actions = self.sizes(value)
        before = self.problems.count
        terminal = np.zeros(len(states), dtype=np.bool_)
        if "terminal" in value:
            terminal[self.listed(value["terminal"], ("terminal",), states, "state", next(iter(states)))] = True
        observations, observation = self.observations(value.get("observations"), states)
        sight = None if self.problems.count > before else Sight(tuple(states), terminal, observations, observation)
        start = self.start(value.get("start"), states)
        outcomes = Outcomes(self, states, actions)
        if "transitions" in value:
            outcomes.read(value["transitions"])
        if not self.problems.count:
            outcomes.check_offered(entries["transitions"][0], terminal, observations, observation)
        if self.problems.count and sight is not None:  # a fault elsewhere must not hide those of the policies
            choices = sight.rows_of_all(actions)
            for key in POLICIES:
                if key in value:
                    read_policy(self, value[key], (key,), sight, choices)
        self.problems.check()
        if title is None or horizon is None or gamma is None or sight is None:
            raise AssertionError  # a missing value was reported above
        mdp = MDP(
            title, tuple(states), tuple(actions), horizon, gamma, start, terminal, observations, observation,
            *outcomes.arrays(),
        )  # fmt: skip
        plain = TabularSoftmax.of(mdp)
        rows: dict[str, dict[str, int]] = {}
        for number, (row, action) in enumerate(plain.parameters):
            rows.setdefault(row, {})[action] = number
        policy, behavior, reference = (
            read_policy(self, value[key], (key,), sight, rows, plain) if key in value else None for key in POLICIES
        )
        if kl and reference is not None and not np.all(reference.probs()[mdp.state, mdp.action]):
            self.fail(value["reference"], ("reference",), INFINITE_KL)
        self.problems.check()
        if reference is not None:
            mdp = replace(mdp, entropy=entropy, kl=kl, reference=reference.probs())
        elif entropy:
            mdp = replace(mdp, entropy=entropy)
        return Model(mdp, policy or plain, behavior, reference)

    def horizon(self, node: Node) -> int | None:
        """The greatest number of steps; None if there is a fault."""
        if isinstance(node, Scalar) and node.text == "inf":
            return horizon_of(math.inf)
        if isinstance(node, Scalar) and node.text.lstrip("+.").lower() in ("inf", "infinity"):
            self.fail(node, ("horizon",), f"found {kind_of(node)}; without a horizon write inf")
            return None
        return self.whole(node, ("horizon",), MAX_HORIZON, HORIZON, "10 or inf")

    def sizes(self, value: dict[str, Node]) -> tuple[dict[str, int], dict[str, int]]:
        """The names of the states and actions, each with its number; without them nothing else can be read."""
        states, actions = (
            self.names(value[key], (key,), noun) if key in value else {}
            for key, noun in (("states", "state"), ("actions", "action"))
        )
        if len(states) * len(actions) > MAX_PAIRS:
            many = f"{len(states):,} states x {len(actions):,} actions"
            self.fail(value["actions"], ("actions",), f"{many}; expected at most {MAX_PAIRS:,} pairs")
            self.problems.check()
        if not states or not actions:
            self.problems.check()
        return states, actions

    def start(self, node: Node | None, states: dict[str, int]) -> Floats:
        """The probability of each state to be s_0 `[S]`."""
        start = np.zeros(len(states))
        if node is None:
            return start
        if isinstance(node, Scalar) and node.text:
            index = self.index(node, ("start",), states, "state")
            start[index or 0] = 1.0
            return start
        before = self.problems.count
        for key, value in self.entries(node, ("start",), "a state, or states with their probabilities").values():
            index = self.index(key, ("start",), states, "state")
            if index is not None:
                start[index] = self.real(value, ("start", key.text), 0, 1 + PROBABILITY_SLACK, PROBABILITY) or 0.0
        if self.problems.count == before and abs(math.fsum(start) - 1) > PROBABILITY_SLACK:
            self.fail(node, ("start",), sum_text(math.fsum(start)))
        return start

    def observations(self, node: Node | None, states: dict[str, int]) -> tuple[tuple[str, ...], Ints]:
        """The names of the observations in order of first appearance, and each state's `[S]`."""
        seen = list(states)
        if node is not None:
            for key, value in self.entries(node, ("observations",), "states with what the policy sees").values():
                index = self.index(key, ("observations",), states, "state")
                name = self.name(value, ("observations", key.text), "a name")
                if index is not None and name is not None:
                    seen[index] = name
        number = {name: i for i, name in enumerate(dict.fromkeys(seen))}
        return tuple(number), np.array([number[name] for name in seen], dtype=np.int64)

    def objective(self, value: dict[str, Node]) -> tuple[float, float]:
        """α and β of the objective; 0 where they are left out."""
        if "objective" not in value:
            return 0.0, 0.0
        where = ("objective",)
        entries = self.entries(value["objective"], where, "entropy and kl, like {entropy: 0.01, kl: 0.1}")
        self.known(entries.values(), COEFFICIENTS, where)
        expected = f"a number from 0 to {MAX_COEFFICIENT:g}".replace("e+", "e")
        numbers = {
            key: self.real(entries[key][1], (*where, key), 0, MAX_COEFFICIENT, expected) or 0.0
            for key in COEFFICIENTS
            if key in entries
        }
        if numbers.get("kl") and "reference" not in value:
            self.fail(entries["kl"][1], (*where, "kl"), f"kl needs a reference policy; {ADD_REFERENCE}, or remove kl")
        return numbers.get("entropy", 0.0), numbers.get("kl", 0.0)
