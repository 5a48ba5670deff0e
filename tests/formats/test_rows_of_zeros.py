"""Rows of probabilities that are all 0: refused where outcomes are listed, noted where a table has room for them."""

from pathlib import Path

import numpy as np
import pytest

from pgcheck import ModelError
from pgcheck.formats.loading import load_model


def saved(folder: Path, **arrays: object) -> Path:
    path = folder / "model.npz"
    np.savez(path, start=0, gamma=0.9, horizon=3, **arrays)  # type: ignore[arg-type]
    return path


def test_outcomes_that_are_listed_without_probability_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "zeros.py"
    file.write_text("T = {0: {0: [(0.0, 1, 0.0, True)], 1: [(1.0, 1, 1.0, True)]}}\n")
    with pytest.raises(ModelError, match="state '0', action '0': probabilities sum to 0, not 1"):
        load_model(f"{file}:T", start="0")
    path = saved(
        tmp_path, state=[0, 0], action=[0, 1], next_state=[1, 1], prob=[0, 1], done=[True, True], terminal=[1]
    )
    with pytest.raises(ModelError, match="state '0', action '0': probabilities sum to 0, not 1"):
        load_model(path)


def test_a_row_of_zeros_in_a_table_is_an_action_that_is_not_offered_and_a_note_says_so(tmp_path: Path) -> None:
    prob, reward = np.zeros((2, 3, 2)), np.zeros((2, 3))
    prob[0, 0, 0] = prob[1, :, 1] = 1
    reward[1] = 1
    model = load_model(saved(tmp_path, P=prob, R=reward, terminal=[1]))
    assert model.mdp.available.tolist() == [[True, False, False], [False] * 3]
    assert "2 actions with a row of zeros in P are not offered" in model.notes[0]
    reward[0, 2] = -np.inf  # R says so itself
    assert "1 action with a row of zeros in P is not" in load_model(saved(tmp_path, P=prob, R=reward)).notes[0]
