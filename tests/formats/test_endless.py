"""`horizon=math.inf` in Python, and horizons in its place."""

import math

import numpy as np
import pytest

import pgcheck
from pgcheck import MDP, TabularSoftmax
from pgcheck.errors import ModelError, UsageError
from pgcheck.formats.overrides import overridden
from pgcheck.model.horizon import MAX_HORIZON
from tests.endless import decimals, size_of, solved, trapped


def test_python_takes_infinity_where_a_horizon_is_meant() -> None:
    mdp, policy = pgcheck.load("two_state", horizon=math.inf)
    assert mdp.is_endless
    assert "horizon inf" in repr(mdp)
    gradient = solved(mdp, policy)[1]
    assert size_of(decimals(pgcheck.exact_gradient(mdp, policy).gradient) - gradient) < 1e-14
    moves = np.array([[[0.5, 0.5], [0.1, 0.9]], [[0.0, 0.0], [0.0, 0.0]]])
    built = MDP.from_arrays(moves, np.array([[1.0, 0.0], [0.0, 0.0]]), horizon=math.inf, terminal=[1])
    assert built.is_endless
    uniform = TabularSoftmax.of(built)
    assert not trapped(built)
    exact = pgcheck.exact_gradient(built, uniform)
    assert exact.value == pytest.approx(0.5 / 0.7, rel=1e-13)  # J = 1/2 + (0.5 · 0.5 + 0.5 · 0.1) J
    for horizon in (-math.inf, math.nan, 0, 2.5, 2.0 * MAX_HORIZON):
        with pytest.raises(UsageError, match="expected 1 to 1,000,000,000,000,000 steps, or inf"):
            pgcheck.load("two_state", horizon=horizon)
    for horizon in (-math.inf, math.nan, 0, 2.5):
        with pytest.raises(ModelError, match=r"horizon \S+ is not a whole number of at least 1, or inf"):
            MDP.from_arrays(moves, np.zeros((2, 2)), horizon=horizon, terminal=[1])


@pytest.mark.parametrize("horizon", [5, 5.0, MAX_HORIZON, float(MAX_HORIZON)])
def test_a_horizon_ends_what_had_none_and_infinity_what_had_one(horizon: float) -> None:
    ended, policy = pgcheck.load("two_state", horizon=horizon)
    assert (ended.is_endless, ended.horizon, isinstance(ended.horizon, int)) == (False, horizon, True)
    assert overridden(ended, horizon=math.inf).is_endless
    endless = pgcheck.load("two_state", horizon=math.inf)[0]
    assert overridden(endless, horizon=math.inf).is_endless
    assert not overridden(endless, horizon=int(endless.horizon)).is_endless
    assert pgcheck.exact_gradient(ended, policy).value > 0
