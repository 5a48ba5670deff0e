"""How the faults of a file are shown: in order, at most 20, cropped, with a caret."""

import re

import pytest

from pgcheck import ModelError
from pgcheck.formats.modelfile import loads
from tests.formats.refusals import SMALL, refusal_of


def test_at_most_20_errors_are_shown_and_the_rest_counted() -> None:
    for many, end in ((20, ""), (21, "\n... and 1 more error"), (1500, "\n... and 1,480 more errors")):
        text = SMALL.replace("{a: {go: a}}", "\n" + "".join(f"  b{i}: {{go: a}}\n" for i in range(many)))
        message = refusal_of(text)
        assert message.count(": error: ") == 20
        assert message.endswith(f"^{end}")


def test_faults_all_over_the_file_are_shown_at_once_in_order() -> None:
    message = refusal_of(
        "transitions: {a: {go: [{to: a, p: 0.5}]}}\nterminal: [b]\ngama: 1\nhorizon: x\nstart: {a: 2}\n"
        "states: [a]\nactions: [go]\nobservations: {c: d}\n"
    )
    assert re.findall(r"m\.yaml:(\d+):", message) == ["1", "2", "3", "4", "5", "8"]


def test_states_without_transitions_are_named_one_by_one() -> None:
    """All stand at one place, the key `transitions`: which of them are shown is told by their names."""
    names = [f"s{i}" for i in range(100_000)]
    message = refusal_of(SMALL.replace("[a]", f"[a, {', '.join(names)}]"))
    shown = re.findall(r"error: transitions\.(\w+): no actions; list at least one", message)
    assert shown == names[:20]
    assert message.endswith("... and 99,980 more errors")


def test_an_error_that_stands_before_twenty_others_is_whole() -> None:
    faulty = "".join(f"  b{i}: {{go: a}}\n" for i in range(30))
    message = refusal_of(SMALL.replace("{a: {go: a}}", f"\n  a: {{go: {{to: a, p: 0.5}}}}\n{faulty}"))
    assert "error: transitions.a.go: probabilities sum to 0.5, not 1; add the missing 0.5" in message
    assert message.endswith("... and 11 more errors")


def test_a_faulty_transition_does_not_hide_the_faults_of_the_policy() -> None:
    policy = "policy: {softmax: {a: {go: x}, c: {go: 1}}}\nbehavior: {softmax: {a: {goo: 1}}}\n"
    message = refusal_of(SMALL.replace("{a: {go: a}}", "{a: {go: {to: a, p: 0.5}}}") + policy)
    assert re.findall(r"error: ([\w.]+): ([\w ]+)", message) == [
        ("transitions.a.go", "probabilities sum to 0"),
        ("policy.softmax.a.go", "found "),
        ("policy.softmax", "unknown state or observation "),
        ("behavior.softmax.a", "no action "),
    ]
    # An action that no transition is left for is no fault of the policy.
    right = "policy: {softmax: {a: {go: 1}}}\n"
    message = refusal_of(SMALL.replace("{a: {go: a}}", "{a: {}}") + right)
    assert message.count("error:") == 1


def test_a_long_line_is_cropped_around_the_fault() -> None:
    text = SMALL.replace("[a]", f"[a, {', '.join(f's{i}' for i in range(2000))}, a, {'z' * 500}]")
    first, quote, caret = refusal_of(text).splitlines()
    assert (
        first
        == f"m.yaml:2:{text.splitlines()[1].index(' a, zz') + 2}: error: states: state 'a' appears twice; keep one"
    )
    assert len(quote) < 120
    assert quote[caret.index("^") :].startswith("a, zzz")
    assert quote.count("...") == 2


def test_columns_count_code_points_and_the_caret_counts_cells() -> None:
    text = SMALL.replace("{a: {go: a}}", "{a: {go: [{to: a}, {p: '日本é', to: 🙂}]}}")
    message = [line for line in refusal_of(text).splitlines() if "🙂" in line or "^" in line]
    assert message[-3].startswith("m.yaml:5:48: error: transitions.a.go[1].to: unknown state '🙂'")
    # Two cells for each of 日 and 本, and none for an accent of its own.
    assert message[-1].index("^") == message[-2].index("🙂") + 2


def test_a_name_cannot_reach_the_terminal_as_a_control() -> None:
    text = SMALL.replace("start: a", 'start: "\\e[31m\\u202e\\r\\x9b"')
    assert "unknown state '\ufffd[31m\ufffd\ufffd\ufffd'" in refusal_of(text)
    with pytest.raises(ModelError) as caught:
        loads("x", "\x1b[31m\n.yaml")
    assert str(caught.value).startswith("\ufffd[31m\ufffd.yaml:1:1: error: ")


@pytest.mark.parametrize("text", ["\ud800", "a: \ud83d", "\x00", "horizon: \x1b"])
def test_a_string_with_forbidden_characters_is_refused(text: str) -> None:
    assert "character U+" in refusal_of(text)
