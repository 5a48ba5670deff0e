"""What is wrong in explicit models of Storm, each fault at its word."""

from pathlib import Path

import pytest

from pgcheck import ModelError, load
from tests.formats.explicit_models import FOLDER

FAULTS = [
    # what is replaced, by what; the place and what the message says.
    ("@type: MDP", "@type: CTMC", "2:8", "'CTMC', which has rates; expected a DTMC, an MDP or a POMDP"),
    ("@type: MDP", "@type: Markov Automaton", "2:8", "'Markov Automaton', which has rates"),
    ("@type: MDP", "@type: SMG", "2:8", "'SMG', which has several players"),
    ("@type: MDP\n", "", "13:1", "no @type above; expected `@type: MDP`, or DTMC, or POMDP"),
    ("@type: MDP\n", "@type: MDP\n@type: MDP\n", "3:1", "@type appears twice; keep one"),
    ("@type: MDP", "@typ: MDP", "2:1", "found '@typ: MDP'; expected @type: MDP, @parameters"),
    ("rational", "parametric", "3:14", "values are 'parametric'; expected numbers: double or rational"),
    ("rational", "double-interval", "3:14", "values are 'double-interval'"),
    ("@parameters\n", "@parameters\np q", "5:1", "parameters: 'p q'; expected a model without them"),
    ("$0 : 0.25", "$0 : p+1", "7:1", "expected a name and its number, like `$0 : 0.5`"),
    ("$0 : 0.25", "$0 : 1\n$0 : 1", "8:1", "'$0' appears twice; keep one"),
    ("fuel samples", "fuel fuel", "9:6", "'fuel' appears twice; keep one"),
    ("@nr_states\n5", "@nr_states\nfive", "11:1", "for @nr_states; expected a whole number, 1 to 1,000,000"),
    ("@nr_states\n5", "@nr_states\n6", "11:1", "6 states; the file has 5"),
    ("@nr_choices\n7", "@nr_choices\n8", "13:1", "8 choices; the file has 7"),
    ("@model\n", "", "14:1", "found 'state 0 [0.5, 0] init'; expected @type: MDP, @parameters"),
    ("0 : 0.3", "0 : 0.2", "18:3", "state 0, choice 0: probabilities sum to 0.9, not 1"),
    ("0 : 0.3", "0 : [0.2, 0.3]", "18:7", "found an interval, '[0.2, 0.3]'; expected a probability"),
    ("0 : 0.3", "0 : [0.2,0.3]", "18:7", "found an interval, '[0.2,0.3]'; expected a probability"),
    ("0 : 0.3", "0 : p", "18:7", "found 'p'; expected a probability, like 0.5 or 1/3"),
    ("0 : 0.3", "0 : 1.5", "18:7", "probability 1.5; expected 0 to 1"),
    ("0 : 0.3", "9 : 0.3", "18:3", "no state 9; expected 0 to 4"),
    ("0 : 0.3", "zero", "18:3", "found 'zero'; expected `state 3`, `action go` or a transition `7 : 0.5`"),
    ("1 : $0", "1 : $1", "25:7", "found an unknown placeholder, '$1'"),
    ("\t\t3 : 1\n\taction back", "\taction back", "28:2", "a choice without transitions"),
    ("state 1 ", "state 2 ", "23:7", "state 2; expected state 1, the next in order"),
    ("state 1 [2, 0]", "state 1 {5} [2, 0]", "23:9", "expected none in a model of type MDP after the number"),
    ("state 1 [2, 0]", "state 1 seen [2, 0]", "23:9", "found '[2,' among the labels"),
    ("state 1 [2, 0]", "state one", "23:1", "found 'state one'; expected a state, its rewards and labels"),
    ("action go [3]", "action go [x]", "24:12", "found 'x'; expected a reward"),
    ("action go [3]", "action go [1e101]", "24:12", "found '1e101'; expected a reward, a number up to 1e100"),
    ("action go [3]", "action", "24:2", "found 'action'; expected a choice and its rewards: `action go [0]`"),
    ("action go [3]", "action g\u202eo [3]", "24:9", "holds the hidden character U+202E"),
    ("state 0 [0.5, 0] init\n", "\taction go\n", "15:2", "a choice and its rewards: `action go [0]`, below a state"),
    ("state 0 [0.5, 0] init\n", "0 : 1\nstate 0\n", "15:1", "a transition; expected `state 0` before it"),
]  # fmt: skip


def refusal(path: Path) -> str:
    with pytest.raises(ModelError) as caught:
        load(path, rewards="fuel", horizon=2)
    return str(caught.value).split("\n")[0]


@pytest.mark.parametrize(("old", "new", "place", "message"), FAULTS)
def test_faults_stand_at_their_word(tmp_path: Path, old: str, new: str, place: str, message: str) -> None:
    path = tmp_path / "x.drn"
    text = (FOLDER / "rover.drn").read_text()
    assert old in text
    path.write_text(text)
    load(path, rewards="fuel", horizon=2)  # without the fault it is read
    path.write_text(text.replace(old, new, 1))
    line = refusal(path)
    assert line.startswith(f"{path}:{place}: error: ")
    assert message in line


def test_a_partially_observed_state_says_what_is_seen(tmp_path: Path) -> None:
    path = tmp_path / "x.drn"
    path.write_text((FOLDER / "maze.drn").read_text().replace("state 1 {3} ", "state 1 "))
    assert refusal(path) == f"{path}:13:9: error: state 1: expected what is seen, like {{5}}, after the number"


@pytest.mark.parametrize("text", ["", "@type: MDP\n", "// nothing"])
def test_a_file_without_states_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "x.drn"
    path.write_text(text)
    assert "the file ends; expected @model" in refusal(path)
