"""What is wrong in explicit models of PRISM, each fault in its file, at its word."""

import shutil
from pathlib import Path

import pytest

from pgcheck import ModelError, PgcheckError, load
from tests.formats.explicit_models import FOLDER

FAULTS = [
    # file, what is replaced, by what; the place and what the message says.
    ("rover.tra", "5 7 11", "five", "2:1", "found 'five'; expected the number of states, of choices"),
    ("rover.tra", "5 7 11", "mdp", "2:1", "this is Storm's, export it anew: storm --explicit"),
    ("rover.tra", "5 7 11", "S = sparse(5,5);", "2:1", "this is Matlab's"),
    ("rover.tra", "5 7 11", "5 11", "2:1", "2 sizes are those of type DTMC, but the type is 'MDP'"),
    ("rover.tra", "5 7 11", "0 7 11", "2:1", "0 states; expected 1 to 1,000,000"),
    ("rover.tra", "5 7 11", "9999999999 7 11", "2:1", "9,999,999,999 states; expected 1 to 1,000,000"),
    ("rover.tra", "5 7 11", "5 8 11", "2:3", "8 choices; the file has 7"),
    ("rover.tra", "5 7 11", "5 7 12", "2:5", "12 transitions; the file has 11"),
    ("rover.tra", "(MDP)", "(CTMC)", "1:1", "a model with rates (CTMC); expected a DTMC, an MDP or a POMDP"),
    ("rover.tra", "(MDP)", "(LTS)", "1:1", "a model with no probabilities"),
    ("rover.tra", "0 0 0 0.3 go", "0 0 5 0.3 go", "3:5", "no state 5; expected 0 to 4"),
    ("rover.tra", "0 0 0 0.3 go", "7 0 0 0.3 go", "3:1", "no state 7; expected 0 to 4"),
    ("rover.tra", "0 0 0 0.3 go", "0 0 0 0.2 go", "3:1", "state 0, choice 0: probabilities sum to 0.9, not 1"),
    ("rover.tra", "0 0 0 0.3 go", "0 0 0 3 go", "3:7", "probability 3; expected 0 to 1"),
    ("rover.tra", "0 0 0 0.3 go", "0 0 0 -0.3 go", "3:7", "probability -0.3; expected 0 to 1"),
    ("rover.tra", "0 0 0 0.3 go", "0 0 0 x go", "3:7", "found 'x'; expected a probability, like 0.5 or 1/3"),
    ("rover.tra", "0 0 0 0.3 go", "0 0 0 [0.2,0.4] go", "3:7", "found an interval, '[0.2,0.4]'"),
    ("rover.tra", "0 0 0 0.3 go", "0 0 0.3", "3:5", "found '0.3'; expected the number of a state"),
    ("rover.tra", "0 0 0 0.3 go", "0 0 0", "3:6", "the line ends; expected a probability"),
    ("rover.tra", "0 0 0 0.3 go", "0 0 0 0.3 go on", "3:14", "found 'on'; expected the end of the line"),
    ("rover.tra", "0 0 0 0.3 go", "0 0.3:0 0.7:1", "3:3", "as -exportrows writes it; export without it"),
    ("rover.tra", "0 0 0 0.3 go", "0 0 0 0.3 g\u202eo", "3:11", "holds the hidden character U+202E"),
    ("rover.tra", "0 0 1 0.7 go", "0 0 1 0.7 wait", "4:11", "label 'wait'; choice 0 of state 0 has 'go'"),
    ("rover.tra", "0 0 1 0.7 go", "0 0 1 0.7", "4:10", "label 'none'; choice 0 of state 0 has 'go'"),
    ("rover.lab", '0="init"', "0=init", "2:1", "found '0=init'; expected the labels"),
    ("rover.lab", '2="goal"', '2="init"', "2:23", "the number or the label appears twice"),
    ("rover.lab", "# Labels", "#DECLARATION", "1:1", "this is Storm's format"),
    ("rover.lab", "2: 2 3", "5: 2 3", "4:1", "no state 5; expected 0 to 4"),
    ("rover.lab", "2: 2 3", "2: 2 9", "4:6", "no label 9; line 2 has the labels"),
    ("rover.lab", "2: 2 3", "2 goal", "4:1", "found '2 goal'; expected a state and its labels"),
    ("rover.sta", "3:(pit,true)", "3:(base,false)", "6:1", "already the name of the state in line 3"),
    ("rover.sta", "3:(pit,true)", "2:(pit,true)", "6:1", "state 2 appears twice"),
    ("rover.sta", "3:(pit,true)", "8:(pit,true)", "6:1", "no state 8; expected 0 to 4"),
    ("rover.sta", "3:(pit,true)", "", "1:1", "no name of state 3; the transitions have 5 states"),
    ("rover.sta", "3:(pit,true)", "pit", "6:1", "found 'pit'; expected a state and its values"),
    ("rover1.srew", "5 3", "6 3", "3:1", "6 states; the transitions have 5"),
    ("rover1.srew", "5 3", "x", "3:1", "found 'x'; expected the number of states and of rewards"),
    ("rover1.srew", "1 2\n", "1 much\n", "5:3", "expected a state and its reward"),
    ("rover1.srew", "1 2\n", "9 2\n", "5:1", "no state 9; expected 0 to 4"),
    ("rover1.srew", "1 2\n", "1 1e101\n", "5:3", "reward 1e+101 is out of range"),
    ("rover1.srew", "1 2\n", "0 2\n", "5:1", "a reward for the second time; keep one"),
    ("rover1.trew", "1 0 2 3", "1 1 2 3", "5:1", "the model has no such transition"),
    ("rover1.trew", "1 0 2 3", "1 8 2 3", "5:1", "the model has no such transition"),
    ("rover1.trew", "1 0 2 3", "1 2 3", "5:1", "expected a state, a choice, the next state and the reward"),
    ("rover1.trew", '"fuel"', '"time"', "1:20", "the other file of these rewards calls them 'fuel'"),
    ("rover2.trew", '"samples"', '"fuel"', "1:20", "another reward structure is called 'fuel', too"),
    ("maze.tra", "- - 0 - 0\n", "", "1:1", "no line says what is seen in state 0"),
    ("maze.tra", "0 0 2 0.5 3", "0 0 2 0.5 1", "7:9", "observation 3; another line has another for this state"),
    ("maze.tra", "0 0 2 0.5 3", "0 0 2 0.5", "4:10", "the line ends; expected an observation"),
    ("dice.tra", "0 1 0.5", "0 1 200", "3:5", "probability 200; expected 0 to 1; a CTMC, which has"),
    ("dice.tra", "0 1 0.5", "0 1 0.6", "3:1", "state 0: probabilities sum to 1.1, not 1"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "old", "new", "place", "message"), FAULTS)
def test_faults_stand_in_their_file_at_their_word(
    tmp_path: Path, name: str, old: str, new: str, place: str, message: str
) -> None:
    stem = name.partition(".")[0].rstrip("12")
    for path in FOLDER.glob(f"{stem}*"):
        shutil.copy(path, tmp_path)
    file, model = tmp_path / name, tmp_path / f"{stem}.tra"
    options = {"rewards": "fuel"} if stem == "rover" else {}
    load(model, horizon=2, **options)  # type: ignore[arg-type]  # without the fault it is read
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new, 1))
    with pytest.raises(ModelError) as caught:
        load(model, horizon=2, **options)  # type: ignore[arg-type]
    first, *quote = str(caught.value).split("\n")
    assert first.startswith(f"{file}:{place}: error: ")
    assert message in first
    assert len(quote) >= 2 or not file.read_text().split("\n")[int(place.split(":")[0]) - 1]


def test_twenty_faults_are_shown_and_the_rest_counted(tmp_path: Path) -> None:
    path = tmp_path / "x.tra"
    path.write_text("2 40\n" + "0 9 0.025\n" * 40)
    with pytest.raises(ModelError) as caught:
        load(path)
    assert str(caught.value).count("error: no state 9") == 20
    assert str(caught.value).endswith("... and 20 more errors")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "expected the number of states"),
        ("\n\n# nothing\n", "expected the number of states"),
        ("1000000 1\n0 0 1\n0 1 x\n", "x.tra:3:5: error: found 'x'"),
        ("\x00", "x.tra:1:1: error"),
    ],
)
def test_files_that_say_little_are_refused(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "x.tra"
    path.write_text(text)
    with pytest.raises(PgcheckError, match=message):
        load(path)


def test_too_many_actions_are_too_many(tmp_path: Path) -> None:
    path = tmp_path / "x.tra"
    size = 5000
    path.write_text(f"{size} {size} {size}\n" + "".join(f"{s} 0 {(s + 1) % size} 1 act{s}\n" for s in range(size)))
    with pytest.raises(PgcheckError, match="5,000 states x 5,000 actions; the limit is 20,000,000 pairs"):
        load(path)


def test_a_file_of_another_kind_is_not_read_to_its_end(tmp_path: Path) -> None:
    path = tmp_path / "x.tra"
    path.write_text("2 4\n" + "x\n" * 5000)
    with pytest.raises(ModelError) as caught:
        load(path)
    assert str(caught.value).endswith("... and 980 more errors")  # of 1000, at which reading stops
