"""Where a model comes from: a file, a bundled name, standard input."""

import os
from pathlib import Path

import pytest

import pgcheck
from pgcheck import UsageError
from pgcheck.formats import problems, sources
from pgcheck.formats.loading import load
from pgcheck.formats.modelfile import loads
from tests.conftest import Run
from tests.formats.refusals import SMALL, usage


def test_a_string_may_begin_with_a_byte_order_mark() -> None:
    assert loads("\ufeff" + SMALL).mdp.num_states == 1


def test_the_name_is_that_of_the_file_unless_it_gives_one(tmp_path: Path) -> None:
    path = tmp_path / "my model.v2.yaml"
    path.write_text(SMALL)
    assert load(path)[0].name == "my model.v2"
    path.write_text("name: ours\n" + SMALL)
    assert load(str(path))[0].name == "ours"


def test_horizon_and_gamma_may_be_given_and_must_be_in_range() -> None:
    mdp, _ = load("two_state", horizon=7, gamma=0.25)
    assert (mdp.horizon, mdp.gamma) == (7, 0.25)
    for horizon in (0, -1, 10**15 + 1):
        with pytest.raises(UsageError, match=r"horizon .*; expected 1 to 1,000,000,000,000,000 steps"):
            load("two_state", horizon=horizon)
    for gamma in (-0.1, 1.1, float("nan"), float("inf")):
        with pytest.raises(UsageError, match=r"gamma .*; expected 0 to 1"):
            load("two_state", gamma=gamma)


def test_what_is_no_regular_file_is_refused(tmp_path: Path) -> None:
    assert usage(str(tmp_path)) == f"{tmp_path}: a directory; expected a model file, or - to read standard input"
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe")
        assert "pipe: not a regular file; expected a model file" in usage(str(tmp_path / "pipe"))
        assert "/dev/zero: not a regular file" in usage("/dev/zero")


def test_a_file_over_64_mb_is_refused_unread(tmp_path: Path) -> None:
    path = tmp_path / "big.yaml"
    with open(path, "wb") as file:
        file.truncate(64 * 2**20 + 1)
    assert usage(str(path)) == f"{path}: 67,108,865 bytes; a model file has at most 67,108,864"


def test_an_unknown_model_is_refused_with_the_nearest_one(tmp_path: Path) -> None:
    assert usage("two_sate") == "two_sate: no such file or bundled model; did you mean the bundled model two_state?"
    assert "random_walk" in usage("zzz")
    assert usage("").startswith("an empty name: no such file or bundled model; bundled models: two_state, ")
    for source in ("a\0b.yaml", "\ud800.yaml", "a\x1b.yaml"):
        assert problems.hidden(usage(source)) is None
    (tmp_path / "file").write_text("")
    assert "file/m.yaml: cannot be read: " in usage(str(tmp_path / "file" / "m.yaml"))
    assert "cannot be read: " in usage("x" * 5000 + ".yaml")


def test_a_bundled_name_may_have_hyphens() -> None:
    assert load("two-state")[0].name == load("two_state")[0].name == "two-state"


def test_standard_input_is_read_and_named(run: Run) -> None:
    assert run("exact", "-", stdin=SMALL).returncode == 0
    done = run("exact", "-", stdin="horizon: 1\n")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(
        "<stdin>:1:1: error: states, actions, start, transitions are missing; a model needs"
    )


def test_standard_input_that_cannot_be_read_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    closed = open(os.devnull)  # noqa: SIM115
    closed.close()
    monkeypatch.setattr("sys.stdin", closed)
    assert usage("-") == "standard input: cannot be read: it is closed"
    monkeypatch.setattr("sys.stdin", None)
    assert usage("-") == "standard input is closed; expected a model on it, because MODEL is -"


def test_every_bundled_model_is_found_by_its_name() -> None:
    assert {pgcheck.load(name)[0].name.replace("-", "_") for name in sources.bundled_names()} == set(
        sources.bundled_names()
    )
