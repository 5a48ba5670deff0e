"""The transitions of a model file, nested or as a table → outcomes in columns."""

import numpy as np

from pgcheck.mdp import PROBABILITY_SLACK, Bools, Floats, Ints
from pgcheck.nodes import Mapping, Node, Scalar, Sequence
from pgcheck.reader import Reader, kind_of, quoted

MAX_SIZE = 1e100  # of a reward or preference: sums and squares of returns stay finite
SIZE = f"a number up to {MAX_SIZE:g} in size"
COLUMNS = ("state", "action", "to", "p", "reward", "done")


class Outcomes:
    """The outcomes of a file as they are read, and the checks that need all of them."""

    def __init__(self, reader: Reader, states: dict[str, int], actions: dict[str, int]) -> None:
        self.reader = reader
        self.states = states
        self.actions = actions
        self.state: list[int] = []
        self.action: list[int] = []
        self.next_state: list[int] = []
        self.prob: list[float] = []
        self.reward: list[float] = []
        self.done: list[bool] = []
        self.place: list[Node] = []
        self.faulty: set[tuple[int, int]] = set()  # their sums would only repeat the error

    def arrays(self) -> tuple[Ints, Ints, Ints, Floats, Floats, Bools]:
        """Returns state, action, next_state, prob, reward, done, as an MDP takes them."""
        return (
            np.array(self.state, dtype=np.int64), np.array(self.action, dtype=np.int64),
            np.array(self.next_state, dtype=np.int64), np.array(self.prob, dtype=np.float64),
            np.array(self.reward, dtype=np.float64), np.array(self.done, dtype=np.bool_),
        )  # fmt: skip

    def read(self, node: Node) -> None:
        """Reads either form."""
        table = isinstance(node, Mapping) and any(
            isinstance(key, Scalar) and key.text in ("columns", "rows") and key.text not in self.states
            for key, _ in node.entries
        )
        if table:
            self._table(node)
        else:
            self._nested(node)
        self._check_sums()

    def _nested(self, node: Node) -> None:
        """state → action → outcome, or a list of them."""
        read = self.reader
        for state_key, choices in read.entries(node, "transitions", "states with their actions").values():
            state = read.index(state_key, "transitions", self.states, "state")
            where = f"transitions.{state_key.text}"
            offered = read.entries(choices, where, "actions with their outcomes").values()
            if not offered and isinstance(choices, Mapping) and not choices.entries:
                read.fail(choices, where, "no actions; list at least one, or make the state terminal")
            for action_key, outcomes in offered:
                action = read.index(action_key, where, self.actions, "action")
                self._action(outcomes, f"{where}.{action_key.text}", state, action)

    def _action(self, node: Node, where: str, state: int | None, action: int | None) -> None:
        read = self.reader
        if isinstance(node, Sequence) and not node.items:
            read.fail(node, where, "no outcomes; expected a next state, or a list of {to: ..., p: ...}")
        many = node.items if isinstance(node, Sequence) else [node]
        for number, outcome in enumerate(many):
            at = f"{where}[{number}]" if isinstance(node, Sequence) else where
            if isinstance(outcome, Mapping):
                found = read.entries(outcome, at, "an outcome")
                read.known(found.values(), COLUMNS[2:], at)
                if "to" in found:
                    self._outcome({key: value for key, (_, value) in found.items()}, at, state, action, node)
                else:
                    read.fail(outcome, at, "to is missing; expected the next state, as in {to: ..., p: ...}")
            elif isinstance(outcome, Scalar):
                self._outcome({"to": outcome}, at, state, action, node)
            else:
                read.fail(outcome, at, f"found {kind_of(outcome)}; expected a next state or {{to: ..., p: ...}}")

    def _outcome(
        self, fields: dict[str, Node], where: str, state: int | None, action: int | None, place: Node
    ) -> None:
        """One outcome; `place` is where a fault in the sum of its row is shown."""
        read = self.reader
        to = read.index(fields["to"], where if len(fields) == 1 else f"{where}.to", self.states, "state")
        p, reward, done = fields.get("p"), fields.get("reward"), fields.get("done")
        prob = 1.0 if p is None else read.real(p, f"{where}.p", 0, 1 + PROBABILITY_SLACK, "a probability, 0 to 1")
        worth = 0.0 if reward is None else read.real(reward, f"{where}.reward", -MAX_SIZE, MAX_SIZE, SIZE)
        ends = False if done is None else read.truth(done, f"{where}.done")
        if state is None or action is None:
            return
        if to is None or prob is None or worth is None or ends is None:
            self.faulty.add((state, action))
            to, prob, worth, ends = to or 0, prob or 0.0, worth or 0.0, bool(ends)
        self.state.append(state)
        self.action.append(action)
        self.next_state.append(to)
        self.prob.append(prob)
        self.reward.append(worth)
        self.done.append(ends)
        self.place.append(place)

    def _table(self, node: Node) -> None:
        """columns and rows."""
        read = self.reader
        found = read.entries(node, "transitions", "columns and rows")
        read.known(found.values(), ("columns", "rows"), "transitions")
        for key in ("columns", "rows"):
            if key not in found:
                read.fail(node, "transitions", f"{key} is missing; the table form needs columns and rows")
                return
        where = "transitions.columns"
        header = found["columns"][1]
        order = [COLUMNS[i] for i in read.listed(header, where, {c: i for i, c in enumerate(COLUMNS)}, "column")]
        missing = [column for column in COLUMNS[:3] if column not in order]
        if missing:
            read.fail(header, where, f"{missing[0]} is missing; expected at least state, action and to")
            return
        where = "transitions.rows"
        table = found["rows"][1]
        if not isinstance(table, Sequence):
            read.fail(table, where, f"found {kind_of(table)}; expected a list of rows")
            return
        for number, row in enumerate(table.items):
            at = f"{where}[{number}]"
            if not isinstance(row, Sequence) or len(row.items) != len(order):
                values = f"{len(row.items)} values" if isinstance(row, Sequence) else kind_of(row)
                read.fail(row, at, f"found {values}; expected {len(order)}: {', '.join(order)}")
                continue
            fields = dict(zip(order, row.items, strict=True))
            state = read.index(fields.pop("state"), at, self.states, "state")
            action = read.index(fields.pop("action"), at, self.actions, "action")
            self._outcome(fields, at, state, action, row)

    def _check_sums(self) -> None:
        """Notes the (state, action) whose probabilities do not sum to 1."""
        if not self.state:
            return
        pair = np.array(self.state) * len(self.actions) + np.array(self.action)
        pairs, first, which = np.unique(pair, return_index=True, return_inverse=True)
        total = np.bincount(which.ravel(), weights=np.array(self.prob))
        wrong = np.flatnonzero(np.abs(total - 1) > PROBABILITY_SLACK)
        states, actions = list(self.states), list(self.actions)
        for row in wrong[np.argsort(first[wrong])].tolist():
            state, action = divmod(int(pairs[row]), len(actions))
            if (state, action) not in self.faulty:
                at = f"transitions.{states[state]}.{actions[action]}"
                self.reader.fail(self.place[int(first[row])], at, sum_text(float(total[row])))

    def check_offered(
        self,
        transitions: tuple[Scalar, Node],
        terminal: Bools,
        observations: tuple[str, ...],
        observation: Ints,
    ) -> None:
        """Notes terminal states with actions, others without, and lookalikes that offer different ones."""
        read = self.reader
        key, node = transitions
        keys = [k for k, _ in node.entries if isinstance(k, Scalar)] if isinstance(node, Mapping) else []
        place = {k.text: k for k in keys}
        actions = list(self.actions)
        choices: dict[int, set[int]] = {}
        for state, action in zip(self.state, self.action, strict=True):
            choices.setdefault(state, set()).add(action)
        first: dict[int, tuple[int, str]] = {}
        for state, name in enumerate(self.states):
            at = place.get(name, key)
            where = f"transitions.{name}"
            if terminal[state]:
                if state in choices:
                    read.fail(at, where, "the state is terminal and has no actions; remove one or the other")
            elif state not in choices:
                read.fail(at, where, "no actions; list at least one, or add the state to terminal")
            else:
                seen = int(observation[state])
                twin, twin_name = first.setdefault(seen, (state, name))
                if choices[state] != choices[twin]:
                    mine, other = (", ".join(actions[a] for a in sorted(choices[s])) for s in (state, twin))
                    read.fail(
                        at, where,
                        f"offers {mine}, but {quoted(twin_name)}, also seen as {quoted(observations[seen])}, "
                        f"offers {other}; states that look alike need the same actions",
                    )  # fmt: skip


def sum_text(total: float) -> str:
    """Returns the message about probabilities that do not sum to 1."""
    missing = 1 - total
    mend = f"add the missing {missing:.10g}" if missing > 0 else f"take away {-missing:.10g}"
    return f"probabilities sum to {total:.12g}, not 1; {mend}"
