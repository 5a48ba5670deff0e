"""Tables P[s][a] as columns, and every fault in them."""

import enum
import re
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from pgcheck import ModelError, UsageError
from pgcheck.formats.environments.tables import names_of, table_of

OUTCOME = r"expected \(probability, next state, reward, done\)"


Rows = dict[int, list[tuple[float, int, float, bool]]]


def test_mappings_and_lists_of_the_same_table_give_the_same_columns() -> None:
    first: Rows = {0: [(0.5, 0, 1, False), (0.5, 1, 2, True)], 1: [(1.0, 1, 0, False)]}
    mapped: dict[int, Rows] = {0: first, 1: {0: [(1, 1, 0.5, True)]}}
    lists = [list(row.values()) for row in mapped.values()]
    backwards = {
        np.int64(1): {np.int64(0): mapped[1][0]},
        np.int64(0): {np.int64(1): first[1], np.int64(0): first[0]},
    }
    for given in (lists, mapped, backwards):
        table = table_of(given, "x")
        assert (table.states, table.actions) == ((0, 1), (0, 1))
        rows = sorted(
            zip(*(getattr(table, n).tolist() for n in ("state", "action", "prob", "next_state", "reward", "done")),
                strict=True)
        )  # fmt: skip
        assert rows == [
            (0, 0, 0.5, 0, 1.0, False), (0, 0, 0.5, 1, 2.0, True), (0, 1, 1.0, 1, 0.0, False),
            (1, 0, 1.0, 1, 0.5, True),
        ]  # fmt: skip
        assert not table.terminal.any()


def test_states_and_actions_may_be_anything_that_can_be_a_key() -> None:
    here, there = (0, 1), (np.int64(1), np.int64(1))
    table = table_of({here: {"up": [(1.0, np.array([1, 1]), 0.0, np.True_)]}, there: {"up": []}}, "x")
    assert table.states == ((0, 1), (1, 1))
    assert names_of(table.states) == ("(0, 1)", "(1, 1)")
    assert table.next_state.tolist() == [1]
    assert names_of(table.actions) == ("up",)


def test_names_are_numbers_where_keys_have_no_names_of_their_own() -> None:
    class Move(enum.Enum):
        LEFT = 0
        RIGHT = 1

    assert names_of(list(Move)) == ("LEFT", "RIGHT")
    assert names_of((1, "1")) == ("0", "1")
    assert names_of(("a\nb", "c")) == ("0", "1")
    assert names_of(("", "c")) == ("0", "1")


def test_a_state_without_a_row_is_terminal_if_all_that_leads_there_ends() -> None:
    table = table_of({"a": {0: [(0.5, "b", 1.0, True), (0.5, "c", 1.0, False)]}}, "x")
    assert table.states == ("a", "b", "c")
    assert_array_equal(table.terminal, [False, True, False])


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({0: {0: [(1.0, 0, 0.0)]}}, rf"x: error: P\[0\]\[0\]: \(1\.0, 0, 0\.0\); {OUTCOME}"),
        ({0: {0: [(1.0, 0, 0.0, "no")]}}, r"P\[0\]\[0\]: done 'no'; expected True or False"),
        ({0: {0: [("p", 0, 0.0, True)]}}, r"P\[0\]\[0\]: probability 'p'; expected a number"),
        ({0: {0: [(1.0, 0, [1.0], True)]}}, r"P\[0\]\[0\]: reward \[1\.0\]; expected a number"),
        ({0: {0: [(1.0, 0, np.ones(1), True)]}}, r"P\[0\]\[0\]: reward array\(\[1\.\]\); expected a number"),
        ({0: {0: [(1.0, {}, 0.0, True)]}}, r"P\[0\]\[0\]: next state \{\}; expected a key of P"),
        ({0: {0: (1.0, 0, 0.0, True)}}, r"P\[0\]\[0\]: \(1\.0, 0, 0\.0, True\); expected a list of"),
        ({0: {"a": "text"}}, r"P\[0\]\['a'\]: 'text'; expected a list of"),
        ({0: 7}, r"P\[0\]: an int; expected a mapping or a list, by actions"),
        (7, "P: an int; expected a mapping or a list, by states"),
        ({}, "P: no state has an action"),
        ({0: {}}, "P: no state has an action"),
        ([[[(1.0, 1, 0.0, True)]]], r"P\[0\]\[0\]: next state 1; expected 0 to 0"),
        ([[[(1.0, -1, 0.0, True)]]], r"P\[0\]\[0\]: next state -1; expected 0 to 0"),
    ],
)  # fmt: skip
def test_each_fault_is_told_with_its_place(given: Any, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        table_of(given, "x")


def test_many_faults_are_told_at_once() -> None:
    with pytest.raises(ModelError) as caught:
        table_of({s: {0: [(1.0, s)]} for s in range(30)}, "x")
    assert len(str(caught.value).splitlines()) == 21
    assert str(caught.value).endswith("... and 10 more errors")


def test_an_array_is_a_table_of_another_kind() -> None:
    with pytest.raises(UsageError, match=re.escape("x: P is an array; expected P[s][a]")):
        table_of(np.ones((2, 2, 2)), "x")
