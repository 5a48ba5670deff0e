"""A model file (format `pgcheck/1`) → an MDP and a policy, or every error in it with its place."""

import math
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from pgcheck import bundled
from pgcheck.errors import UsageError
from pgcheck.mdp import MAX_PAIRS, MDP, PROBABILITY_SLACK, Floats, Ints
from pgcheck.nodes import Mapping, Node, Scalar, decode
from pgcheck.policy import Policy
from pgcheck.reader import Reader, meant, quoted
from pgcheck.transitions import MAX_SIZE, SIZE, Outcomes, sum_text

MAX_HORIZON = 10**15

KEYS = (
    "name", "horizon", "gamma", "states", "actions", "start", "terminal", "observations", "transitions",
    "policy", "behavior",
)  # fmt: skip
REQUIRED = ("horizon", "states", "actions", "start", "transitions")


@dataclass(frozen=True, eq=False)
class Model:
    """What a model file holds.

    Attributes:
      mdp, policy: the problem and the point θ at which it is differentiated.
      behavior: the policy that drew the data, for off-policy estimators; None if the file has none.
    """

    mdp: MDP
    policy: Policy
    behavior: Policy | None


def load(source: str | Path, *, horizon: int | None = None, gamma: float | None = None) -> tuple[MDP, Policy]:
    """Returns the MDP and the policy of a model file.

    Args:
      source: a path, `-` for standard input, or the name of a bundled model.
      horizon, gamma: in place of the file's own.

    Raises:
      ModelError: the file is at fault; the message lists up to 20 errors, each with FILE:LINE:COL.
      UsageError: there is no such file, or horizon or gamma is out of range.
    """
    model = load_model(source, horizon=horizon, gamma=gamma)
    return model.mdp, model.policy


def load_model(source: str | Path, *, horizon: int | None = None, gamma: float | None = None) -> Model:
    """Returns all that a model file holds; arguments and errors are those of `load`."""
    if horizon is not None and not 1 <= horizon <= MAX_HORIZON:
        raise UsageError(f"horizon {horizon:,}; expected 1 to {MAX_HORIZON:,} steps")
    if gamma is not None and not 0 <= gamma <= 1:
        raise UsageError(f"gamma {gamma}; expected 0 to 1")
    file, data = bundled.read(str(source))
    model = loads(decode(data, file), file)
    changes = {k: v for k, v in (("horizon", horizon), ("gamma", gamma)) if v is not None}
    return replace(model, mdp=replace(model.mdp, **changes)) if changes else model  # type: ignore[arg-type]


def loads(text: str, file: str = "<string>") -> Model:
    """Returns the model in YAML text; `file` stands in messages, and its stem is the default name.

    Raises:
      ModelError: the text is at fault; the message lists up to 20 errors, each with FILE:LINE:COL.
    """
    return _ModelReader(file, text).model()


class _ModelReader(Reader):
    """One model file."""

    def model(self) -> Model:
        found = self.entries(self.root, "", f"a mapping with the keys {', '.join(REQUIRED)}")
        self.known(found.values(), KEYS, "")
        if isinstance(self.root, Mapping):
            for key in REQUIRED:
                if key not in found:
                    self.fail(self.root, "", f"{key} is missing; a model needs {', '.join(REQUIRED)}")
        self.problems.check()
        value = {key: node for key, (_, node) in found.items()}
        title = self.name(value["name"], "name", "a name") if "name" in value else Path(self.file).stem
        horizon = self.whole(value["horizon"], "horizon", MAX_HORIZON, "a whole number of steps, at least 1")
        gamma = self.real(value["gamma"], "gamma", 0, 1, "a number from 0 to 1") if "gamma" in value else 1.0
        states = self.names(value["states"], "states", "state")
        actions = self.names(value["actions"], "actions", "action")
        # Everything else is about these names.
        self.problems.check()
        if len(states) * len(actions) > MAX_PAIRS:
            self.fail(value["actions"], "actions", f"{len(states):,} states x {len(actions):,} actions; "
                      f"at most {MAX_PAIRS:,} pairs")  # fmt: skip
            self.problems.check()
        terminal = np.zeros(len(states), dtype=np.bool_)
        if "terminal" in value:
            terminal[self.listed(value["terminal"], "terminal", states, "state")] = True
        start = self.start(value["start"], states)
        observations, observation = self.observations(value.get("observations"), states)
        outcomes = Outcomes(self, states, actions)
        outcomes.read(value["transitions"])
        self.problems.check()
        outcomes.check_offered(found["transitions"], terminal, observations, observation)
        self.problems.check()
        if title is None or horizon is None or gamma is None:
            raise AssertionError  # each of them would have been a problem
        mdp = MDP(
            title, tuple(states), tuple(actions), horizon, gamma, start, terminal, observations, observation,
            *outcomes.arrays(),
        )  # fmt: skip
        policies = [self.policy(value[k], k, mdp) if k in value else None for k in ("policy", "behavior")]
        self.problems.check()
        return Model(mdp, policies[0] or Policy.softmax(mdp), policies[1])

    def start(self, node: Node, states: dict[str, int]) -> Floats:
        start = np.zeros(len(states))
        if isinstance(node, Scalar):
            index = self.index(node, "start", states, "state")
            start[index or 0] = 1.0
            return start
        for key, value in self.entries(node, "start", "a state, or states with their probabilities").values():
            index = self.index(key, "start", states, "state")
            p = self.real(value, f"start.{key.text}", 0, 1, "a probability")
            if index is None or p is None:
                return start
            start[index] = p
        if isinstance(node, Mapping) and abs(math.fsum(start) - 1) > PROBABILITY_SLACK:
            self.fail(node, "start", sum_text(math.fsum(start)))
        return start

    def observations(self, node: Node | None, states: dict[str, int]) -> tuple[tuple[str, ...], Ints]:
        seen = list(states)
        if node is not None:
            for key, value in self.entries(node, "observations", "states with what the policy sees").values():
                index = self.index(key, "observations", states, "state")
                name = self.name(value, f"observations.{key.text}", "a name")
                if index is not None and name is not None:
                    seen[index] = name
        number = {name: i for i, name in enumerate(dict.fromkeys(seen))}
        return tuple(number), np.array([number[name] for name in seen], dtype=np.int64)

    def policy(self, node: Node, where: str, mdp: MDP) -> Policy | None:
        found = self.entries(node, where, "softmax with its preferences")
        self.known(found.values(), ("softmax",), where)
        if "softmax" not in found:
            if isinstance(node, Mapping):
                self.fail(node, where, "softmax is missing; expected softmax: {state: {action: preference}}")
            return None
        plain = Policy.softmax(mdp)
        rows: dict[str, dict[str, int]] = {}
        for row, action in plain.parameters:
            rows.setdefault(row, {})[action] = len(rows)
        where = f"{where}.softmax"
        given: dict[tuple[str, str], float] = {}
        for key, choices in self.entries(found["softmax"][1], where, "states with their preferences").values():
            if key.text not in rows:
                self.fail(key, where, _no_row(key.text, mdp, rows))
                continue
            at = f"{where}.{key.text}"
            for action_key, value in self.entries(choices, at, "actions with their preferences").values():
                preference = self.real(value, f"{at}.{action_key.text}", -MAX_SIZE, MAX_SIZE, SIZE)
                if action_key.text not in rows[key.text]:
                    offers = ", ".join(rows[key.text])
                    self.fail(
                        action_key,
                        at,
                        f"{quoted(key.text)} does not offer {quoted(action_key.text)}; it offers {offers}",
                    )
                elif preference is not None:
                    given[key.text, action_key.text] = preference
        return Policy.softmax(mdp, given)


def _no_row(name: str, mdp: MDP, rows: dict[str, dict[str, int]]) -> str:
    """Why a policy cannot have preferences for `name`."""
    if name in mdp.states:
        state = mdp.states.index(name)
        if mdp.terminal[state]:
            return f"{quoted(name)} is terminal and has no actions; remove it"
        return f"the policy sees {quoted(name)} as {quoted(mdp.observations[mdp.observation[state]])}; use that name"
    return f"unknown state or observation {quoted(name)}{meant(name, rows)}"
