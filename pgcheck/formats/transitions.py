"""The transitions of a model file, nested or as a table → outcomes in columns."""

from array import array

import numpy as np

from pgcheck.arrays import Bools, Floats, Ints
from pgcheck.formats.nodes import Mapping, Node, Scalar, Sequence
from pgcheck.formats.reader import Reader, Where, enumerated, kind_of, quoted
from pgcheck.model.mdp import PROBABILITY_SLACK

MAX_SIZE = 1e100  # of a reward or preference: sums and squares of returns stay finite
SIZE = "a number up to 1e100 in size"
PROBABILITY = "a probability, 0 to 1"
COLUMNS = ("state", "action", "to", "p", "reward", "done")


class Outcomes:
    """The outcomes of a file, appended as they are read, and the checks that need all of them."""

    def __init__(self, reader: Reader, states: dict[str, int], actions: dict[str, int]) -> None:
        self.reader = reader
        self.states = states
        self.actions = actions
        self.state = array("q")
        self.action = array("q")
        self.next_state = array("q")
        self.prob = array("d")
        self.reward = array("d")
        self.done = array("b")
        self.place: list[Node] = []  # for each outcome, the node at which a wrong sum of its action is shown
        self.keys: dict[int, Node] = {}  # the states' keys, in the nested form
        # Sums are not checked where an outcome is already at fault: that would report the same error twice.
        self.faulty: set[tuple[int, int]] = set()  # such (state, action) pairs, in the nested form
        self.table_at_fault = False  # a row at fault may belong to any (state, action)
        self._names = tuple(states), tuple(actions)

    def arrays(self) -> tuple[Ints, Ints, Ints, Floats, Floats, Bools]:
        """Returns state, action, next_state, prob, reward, done, as an MDP takes them."""
        return (
            np.array(self.state, dtype=np.int64), np.array(self.action, dtype=np.int64),
            np.array(self.next_state, dtype=np.int64), np.array(self.prob, dtype=np.float64),
            np.array(self.reward, dtype=np.float64), np.array(self.done, dtype=np.bool_),
        )  # fmt: skip

    def read(self, node: Node) -> None:
        """Reads the nested form or the table form."""
        if isinstance(node, Mapping) and any(self._is_column_key(key, value) for key, value in node.entries):
            self._table(node)
        else:
            self._nested(node)
        self._check_sums()

    def _is_column_key(self, key: Node, value: Node) -> bool:
        """Whether a key of transitions is that of the table form, and not a state of that name."""
        if not isinstance(key, Scalar) or key.text not in ("columns", "rows"):
            return False
        return isinstance(value, Sequence) or key.text not in self.states

    def _nested(self, node: Node) -> None:
        """Reads the nested form: state → action → outcome, or a list of outcomes."""
        read = self.reader
        for state_key, choices in read.entries(node, ("transitions",), "states with their actions").values():
            state = read.index(state_key, ("transitions",), self.states, "state")
            if state is not None:
                self.keys[state] = state_key
            where = ("transitions", state_key.text)
            for action_key, outcomes in read.entries(choices, where, "actions with their outcomes").values():
                action = read.index(action_key, where, self.actions, "action")
                self._action(outcomes, (*where, action_key.text), state, action)

    def _action(self, node: Node, where: Where, state: int | None, action: int | None) -> None:
        """Reads the outcomes of one action: a next state, a mapping, or a list of these."""
        read = self.reader
        if isinstance(node, Sequence) and not node.items:
            read.fail(node, where, "no outcomes; expected a next state, or a list of {to: ..., p: ...}")
        many = node.items if isinstance(node, Sequence) else [node]
        before = read.problems.count
        for number, outcome in enumerate(many):
            at = (*where, number) if isinstance(node, Sequence) else where
            if isinstance(outcome, Mapping):
                fields = read.entries(outcome, at, "an outcome")
                read.known(fields.values(), COLUMNS[2:], at)
                if "to" in fields:
                    self._outcome({key: value for key, (_, value) in fields.items()}, at, state, action, node)
                else:
                    read.fail(outcome, at, "to is missing; expected the next state, as in {to: ..., p: ...}")
            elif isinstance(outcome, Scalar):
                self._outcome({"to": outcome}, at, state, action, node)
            else:
                read.fail(outcome, at, f"found {kind_of(outcome)}; expected a next state or {{to: ..., p: ...}}")
        if state is not None and action is not None and read.problems.count > before:
            self.faulty.add((state, action))

    def _outcome(
        self, fields: dict[str, Node], where: Where, state: int | None, action: int | None, place: Node
    ) -> None:
        """Appends one outcome; `place` is the node at which a wrong sum of its action is shown."""
        read = self.reader
        p, reward, done = fields.get("p"), fields.get("reward"), fields.get("done")
        to = read.index(fields["to"], where if len(fields) == 1 else (*where, "to"), self.states, "state")
        prob = 1.0 if p is None else read.real(p, (*where, "p"), 0, 1 + PROBABILITY_SLACK, PROBABILITY)
        worth = 0.0 if reward is None else read.real(reward, (*where, "reward"), -MAX_SIZE, MAX_SIZE, SIZE)
        ends = False if done is None else read.truth(done, (*where, "done"))
        if state is None or action is None or to is None or prob is None or worth is None or ends is None:
            return
        self.state.append(state)
        self.action.append(action)
        self.next_state.append(to)
        self.prob.append(prob)
        self.reward.append(worth)
        self.done.append(ends)
        self.place.append(place)

    def _table(self, node: Mapping) -> None:
        """Reads the table form: columns and rows."""
        read = self.reader
        entries = read.entries(node, ("transitions",), "columns and rows")
        read.known(entries.values(), ("columns", "rows"), ("transitions",))
        missing = [key for key in ("columns", "rows") if key not in entries]
        if missing:
            read.fail(node, ("transitions",), f"{missing[0]} is missing; the table form needs columns and rows")
            return
        order = self._header(entries["columns"][1])
        where: Where = ("transitions", "rows")
        table = entries["rows"][1]
        if not isinstance(table, Sequence):
            read.fail(table, where, f"found {kind_of(table)}; expected a list of rows")
        elif order is not None:
            before = read.problems.count
            for number, row in enumerate(table.items):
                self._row(row, (*where, number), order)
            self.table_at_fault = read.problems.count > before

    def _header(self, node: Node) -> list[str] | None:
        """The names of the columns, in order; None if there is a fault."""
        where = ("transitions", "columns")
        known = {column: i for i, column in enumerate(COLUMNS)}
        order = [COLUMNS[i] for i in self.reader.listed(node, where, known, "column", "state, action, to")]
        if not isinstance(node, Sequence) or len(order) < len(node.items):
            return None
        missing = [column for column in COLUMNS[:3] if column not in order]
        if missing:
            self.reader.fail(node, where, f"{missing[0]} is missing; expected at least {', '.join(COLUMNS[:3])}")
        return None if missing else order

    def _row(self, row: Node, where: Where, order: list[str]) -> None:
        if not isinstance(row, Sequence) or len(row.items) != len(order):
            values = f"{len(row.items)} values" if isinstance(row, Sequence) else kind_of(row)
            self.reader.fail(row, where, f"found {values}; expected a list of {len(order)}: {', '.join(order)}")
            return
        fields = dict(zip(order, row.items, strict=True))
        state = self.reader.index(fields.pop("state"), (*where, "state"), self.states, "state")
        action = self.reader.index(fields.pop("action"), (*where, "action"), self.actions, "action")
        self._outcome(fields, where, state, action, row)

    def _check_sums(self) -> None:
        """Notes the (state, action) whose probabilities do not sum to 1."""
        if not self.state or self.table_at_fault:
            return
        pair = np.array(self.state) * len(self.actions) + np.array(self.action)
        pairs, first, which = np.unique(pair, return_index=True, return_inverse=True)
        total = np.bincount(which.ravel(), weights=np.array(self.prob))
        wrong = np.flatnonzero(np.abs(total - 1) > PROBABILITY_SLACK)
        states, actions = self._names
        for row in wrong[np.argsort(first[wrong])].tolist():
            state, action = divmod(int(pairs[row]), len(actions))
            if (state, action) not in self.faulty:
                at = ("transitions", states[state], actions[action])
                self.reader.fail(self.place[int(first[row])], at, sum_text(float(total[row])))

    def check_offered(self, key: Scalar, terminal: Bools, observations: tuple[str, ...], observation: Ints) -> None:
        """Notes terminal states with actions, other states without, and lookalikes whose actions differ.

        A fault of a state that the transitions do not mention is shown at their `key`.
        """
        states, actions = self._names
        offered = np.zeros((len(states), len(actions)), dtype=np.bool_)
        offered[np.array(self.state), np.array(self.action)] = True
        acts = offered.any(axis=1)
        for state in np.flatnonzero(terminal & acts).tolist():
            self._fail(state, key, "the state is terminal and has no actions; remove one or the other")
        for state in np.flatnonzero(~terminal & ~acts).tolist():
            self._fail(state, key, "no actions; list at least one, or add the state to terminal")
        acting = np.flatnonzero(acts & ~terminal)
        _, first, group = np.unique(observation[acting], return_index=True, return_inverse=True)
        twin = acting[first[group.ravel()]]
        for i in np.flatnonzero((offered[acting] != offered[twin]).any(axis=1)).tolist():
            offers, twin_offers = (
                enumerated([actions[a] for a in np.flatnonzero(offered[s]).tolist()]) for s in (acting[i], twin[i])
            )
            self._fail(
                int(acting[i]), key,
                f"offers {offers}, but {quoted(states[twin[i]])}, also seen as "
                f"{quoted(observations[observation[twin[i]]])}, offers {twin_offers}; states that look alike need "
                "the same actions",
            )  # fmt: skip

    def _fail(self, state: int, key: Node, message: str) -> None:
        """Notes an error about a state, at its key or first row."""
        if not self.reader.problems.full:  # the search takes time
            key = self.place[self.state.index(state)] if state in self.state else key
        self.reader.fail(self.keys.get(state, key), ("transitions", self._names[0][state]), message)


def sum_text(total: float) -> str:
    """Returns the message about probabilities that do not sum to 1."""
    missing = 1 - total
    fix = f"add the missing {missing:.6g}" if missing > 0 else f"subtract {-missing:.6g}"
    hint = "; fractions, like 1/3, are exact" if abs(missing) < 0.005 else ""
    return f"probabilities sum to {total:.12g}, not 1; {fix}{hint}"
