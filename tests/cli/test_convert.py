"""`convert` as people use it: where it writes, what it refuses, and that what it wrote is the same model."""

from pathlib import Path

import numpy as np
import pytest

from pgcheck import load
from pgcheck.formats.loading import load_model
from tests.conftest import Run
from tests.formats.explicit_models import FOLDER
from tests.formats.test_convert import same

EXACT = ("--format", "json")


def test_yaml_goes_to_standard_output_with_its_source(run: Run) -> None:
    done = run("convert", "two_state")
    assert done.returncode == 0
    assert done.stdout.startswith("# Written by pgcheck convert from two_state\nname: two-state\nhorizon: 3\n")
    assert not done.stderr
    again = run("convert", "-", stdin=done.stdout)
    assert again.stdout.partition("\n")[2] == done.stdout.partition("\n")[2]


@pytest.mark.parametrize("first", ["m.yaml", "m.yml", "m.npz", "M.NPZ"])
@pytest.mark.parametrize("second", ["n.yaml", "n.npz"])
def test_the_model_stays_the_same_through_two_conversions(first: str, second: str, tmp_path: Path, run: Run) -> None:
    for source, file in (("early_exit", first), (first, second)):
        done = run("convert", source, "-o", file)
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    same(load_model(tmp_path / second), load_model("early_exit"))
    assert run("exact", second, *EXACT).stdout == run("exact", "early_exit", *EXACT).stdout


@pytest.mark.parametrize("file", ["m.yaml", "m.npz"])
def test_what_other_sources_take_for_granted_is_settled_in_the_file(file: str, tmp_path: Path, run: Run) -> None:
    source = str(FOLDER / "rover.tra")
    words = ("--rewards", "fuel", "--horizon", "7", "--gamma", "0.9", "--terminal", "goal")
    done = run("convert", source, *words, "-o", file)
    assert done.returncode == 0
    taken = load_model(source, rewards="fuel", horizon=7, gamma=0.9, terminal="goal")
    assert done.stderr == "".join(f"note: {note}\n" for note in taken.notes)
    same(load_model(tmp_path / file), taken)
    assert not run("exact", file, *EXACT).stderr.startswith("note: m.")  # nothing is left to be taken for granted
    if file.endswith("yaml"):
        comments = [line for line in (tmp_path / file).read_text().splitlines() if line.startswith("#")]
        assert comments == [f"# Written by pgcheck convert from {source}", *(f"# {note}" for note in taken.notes)]


@pytest.mark.parametrize("file", ["m.yaml", "m.npz"])
def test_a_policy_is_written_with_it(file: str, tmp_path: Path, run: Run) -> None:
    found = {}
    for word in ("uniform", "random:3", "random:4"):
        assert run("convert", "two_state", "--policy", word, "-o", file).returncode == 0
        found[word] = load(tmp_path / file)[1].theta
    assert found["uniform"].tolist() == [0, 0, 0, 0]
    np.testing.assert_array_equal(found["random:3"], np.random.default_rng(3).normal(size=4))
    assert np.all(found["random:3"] != found["random:4"])
    assert run("convert", "two_state", "-o", file).returncode == 0
    assert load(tmp_path / file)[1].theta.tolist() == load("two_state")[1].theta.tolist() != [0, 0, 0, 0]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--policy", "random"), "--policy random: expected a seed, like random:0, or uniform, or file.py:function"),
        (("--policy", "random:x"), "--policy random:SEED 'x': expected a whole number"),
        (("--policy", "random:-1"), "--policy random:SEED '-1': expected 0 to"),
        (("-o", "m.txt"), "--output 'm.txt': expected a name that ends in .yaml or .npz"),
        (("-o", "m"), "--output 'm': expected a name that ends in .yaml or .npz"),
        (("--axes", "sat"), "--axes is not for a model file, which two_state is"),
    ],
)
def test_what_cannot_be_meant_is_refused(words: tuple[str, ...], message: str, tmp_path: Path, run: Run) -> None:
    done = run("convert", "two_state", *words)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"error: {message}")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("file", ["m.yaml", "m.npz"])
def test_a_file_is_replaced_whole_or_not_at_all(file: str, tmp_path: Path, run: Run) -> None:
    path = tmp_path / file
    path.write_text("before")
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text("horizon: 0\n")
    assert run("convert", "wrong.yaml", "-o", file).returncode == 2
    assert path.read_text() == "before"
    assert sorted(tmp_path.iterdir()) == sorted([path, wrong])
    assert run("convert", "two_state", "-o", file).returncode == 0
    assert run("convert", file, "-o", file).returncode == 0  # also in its own place
    same(load_model(path), load_model("two_state"))


def test_what_cannot_be_written_is_exit_status_74(tmp_path: Path, run: Run) -> None:
    (tmp_path / "folder.npz").mkdir()
    for place, reason in (
        ("/dev/full", "No space left on device"),
        ("nowhere/m.yaml", "No such file or directory"),
        ("folder.npz", "Is a directory"),
    ):
        done = run("convert", "two_state", "-o", place)
        assert (done.returncode, done.stderr) == (74, f"error: {place}: cannot be written: {reason}\n")
    assert run("convert", "two_state", "-o", "/dev/null").returncode == 0


@pytest.mark.gymnasium
@pytest.mark.parametrize("file", ["m.yaml", "m.npz"])
def test_an_environment_becomes_a_file(file: str, tmp_path: Path, run: Run) -> None:
    assert run("convert", "gym:FrozenLake-v1?map_name=4x4", "--gamma", "0.99", "-o", file).returncode == 0
    same(load_model(tmp_path / file), load_model("gym:FrozenLake-v1?map_name=4x4", gamma=0.99))


def test_a_model_that_never_ends_is_written_as_it_stands(run: Run, tmp_path: Path) -> None:
    (tmp_path / "never.yaml").write_text(
        "horizon: inf\nstates: [a]\nactions: [x]\nstart: a\ntransitions: {a: {x: {to: a, reward: 1}}}\n"
    )
    done = run("convert", "never.yaml")
    assert (done.returncode, "horizon: inf\ngamma: 1\n" in done.stdout) == (0, True)
    assert run("convert", "never.yaml", "-o", "never.npz").returncode == 0
    assert run("exact", "never.npz").returncode == 2  # its J is infinite
    assert run("exact", "never.npz", "--gamma", "0.9").returncode == 0
