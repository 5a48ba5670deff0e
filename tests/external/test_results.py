"""What an estimator may return, and what is said of anything else."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import pgcheck
from pgcheck import Batch, EstimatorError, verify
from pgcheck.external.calling import LocalFunction, call, call_on_batches
from pgcheck.external.opening import opened, opened_on
from pgcheck.external.results import converted
from pgcheck.trajectories.paths import listed
from tests.oracles import Floats
from tests.verification import zoo


def rows(batch: Batch) -> Floats:
    return np.asarray(zoo.RIGHT["vectorised"](batch))


def readonly(array: Floats) -> Floats:
    array.flags.writeable = False
    return array


class Tensor:
    """As torch's: it must be detached before NumPy may see it."""

    def __init__(self, array: Floats, attached: bool = True) -> None:
        self.array = array
        self.attached = attached

    def detach(self) -> "Tensor":
        return Tensor(self.array, False)

    def cpu(self) -> "Tensor":
        return self

    def __array__(self, dtype: Any = None, copy: Any = None) -> Floats:
        assert not self.attached
        return self.array


TAKEN: dict[str, Callable[[Batch], Any]] = {
    "array": rows,
    "nested lists": lambda b: rows(b).tolist(),
    "list of arrays": lambda b: list(rows(b)),
    "tuple": lambda b: tuple(rows(b)),
    "read-only": lambda b: readonly(rows(b)),
    "Fortran order": lambda b: np.asfortranarray(rows(b)),
    "reversed strides": lambda b: rows(b)[::-1].copy()[::-1],
    "big-endian": lambda b: rows(b).astype(">f8"),
    "tensor": lambda b: Tensor(rows(b)),
    "list of tensors": lambda b: [Tensor(row) for row in rows(b)],
    "longdouble": lambda b: rows(b).astype(np.longdouble),
    "the mean": lambda b: rows(b).mean(axis=0),
}

REFUSED: dict[str, tuple[Callable[[Batch], Any], str]] = {
    "none": (lambda b: None, "returned None; is a return missing?"),
    "scalar": (lambda b: float(rows(b).sum()), r"returned a scalar \(a loss is not a gradient"),
    "one a episode": (lambda b: rows(b).sum(axis=(1, 2)), r"\[\d+\] \(a number for each episode"),
    "transposed": (lambda b: np.moveaxis(rows(b), 0, -1), r"\(transposed\?\)"),
    "transposed table": (lambda b: rows(b).mean(axis=0).T, r"\[2, 3\] \(transposed\?\)"),
    "flattened": (lambda b: rows(b).reshape(len(b), -1), r"\(flattened\? reshape it to batch.theta.shape\)"),
    "by step": (lambda b: b.score, r"\(one for each step\?"),
    "one too few": (lambda b: rows(b)[:-1], "expected one gradient for each of the"),
    "objects": (lambda b: rows(b).astype(object), "returned objects"),
    "complex": (lambda b: rows(b) + 0j, "returned complex numbers"),
    "bool": (lambda b: rows(b) > 0, "returned booleans"),
    "text": (lambda b: "gradient", "returned a str"),
    "dict": (lambda b: {"gradient": rows(b)}, "returned a dict"),
    "function": (lambda b: rows, "returned a function"),
    "generator": (lambda b: (row for row in rows(b)), "returned a generator, that has not been computed"),
    "ragged": (lambda b: [[1.0], [1.0, 2.0]], "returned a list that is not an array"),
    "nan": (lambda b: rows(b) * np.nan, r"returned nan for an episode of \d step"),
    "inf in one": (
        lambda b: np.where(b.lengths[:, None, None] == 2, np.inf, rows(b)),
        "returned inf for an episode of 2 steps",
    ),
}


@pytest.mark.parametrize("name", sorted(TAKEN))
def test_what_is_taken(name: str) -> None:
    assert verify(TAKEN[name], ["two_state"]).verdict == "pass"


@pytest.mark.parametrize("name", sorted(REFUSED))
def test_what_is_refused(name: str) -> None:
    estimate, message = REFUSED[name]
    with pytest.raises(EstimatorError) as caught:
        verify(estimate, ["two_state"])
    assert re.search(message, str(caught.value)), caught.value
    assert "expected" in str(caught.value).lower()


def test_half_precision_is_single_or_less() -> None:
    batch, _ = listed(*pgcheck.load("two_state"))
    for dtype in (np.float16, np.float32):
        assert converted(rows(batch).astype(dtype), batch).dtype == np.float32
    assert converted(rows(batch), batch).dtype == np.float64
    assert converted(np.zeros(batch.theta.shape, dtype=np.int64), batch).dtype == np.float64


def test_writing_to_the_batch_is_refused() -> None:
    def in_place(batch: Batch) -> object:
        batch.rewards[:] = 0
        return rows(batch)

    def around_the_flag(batch: Batch) -> object:
        result = rows(batch)
        address = batch.rewards.ctypes.data
        import ctypes

        ctypes.memset(address, 0, 8)  # as a tensor that shares the memory could
        return result

    with pytest.raises(ValueError, match="read-only"):
        verify(in_place, ["two_state"])
    with pytest.raises(EstimatorError, match=r"wrote to batch\.rewards; let it work on a copy"):
        verify(around_the_flag, ["early_exit"])


def test_small_batches_are_what_they_would_be_alone() -> None:
    """Cut from a large batch all at once, or made one by one: an estimator sees the same arrays."""
    for model in ("two_state", "early_exit", "aliased_gridworld"):
        mdp, policy = pgcheck.load(model, horizon=3)
        batch, _ = listed(mdp, policy)
        batch = batch.altered(rewards=batch.rewards + 1.0 * batch.mask)
        index = np.random.default_rng(0).integers(0, len(batch), size=(200, 2))
        seen: list[list[Any]] = []

        def look(small: Batch, seen: list[list[Any]] = seen) -> Floats:
            names = ("states", "actions", "next_states", "rewards", "mask", "lengths", "terminated", "score")
            seen.append([getattr(small, name) for name in names] + [small.starts, small.probs, small.theta])
            return np.asarray(small.score.sum(axis=(0, 1)) * small.rewards.sum())

        together = call_on_batches(look, batch, index)
        seen, first = [], seen
        assert len(first) >= 200
        for rows_, value in zip(index, together, strict=True):
            part = batch.part(rows_)
            steps = int(part.lengths.max())
            alone = Batch(mdp, policy, part.starts, part.outcomes[:steps])
            alone = alone.altered(rewards=batch.rewards[rows_][:, :steps])
            assert alone.states.shape == (2, steps)
            np.testing.assert_allclose(value, call(look, alone))
            assert [e.rewards.tolist() for e in part] == [e.rewards.tolist() for e in alone]


def test_places_of_functions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from pgcheck.external.loading import load

    (tmp_path / "neighbour.py").write_text("factor = 1.0\n")
    (tmp_path / "my file.py").write_text(
        "from neighbour import factor\n"
        "def estimate(batch):\n    return batch.score.sum(axis=1) * factor\n"
        "class Agent:\n    def __call__(self, batch):\n        return estimate(batch)\n"
        "agent = Agent()\nnumber = 3\n"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    for spec in (
        "my file.py:estimate",
        "my file.py:agent",
        "my file.py:agent.__call__",
        "pgcheck.estimators.on_policy:REINFORCE",
    ):
        assert callable(load(spec))
    for spec, message in (
        ("nothing.py:estimate", "nothing.py: no such file"),
        ("my file.py:estimat", "no function 'estimat'; did you mean estimate?"),
        ("my file.py:number", "number is an int, not a function"),
        ("no.such.module:f", "no such module"),
        (":f", "expected file.py:function"),
        ("my file.py:", "expected file.py:function"),
    ):
        with pytest.raises(EstimatorError, match=message):
            load(spec)


def test_what_users_name_is_opened_as_an_estimator() -> None:
    model = pgcheck.load("two_state")
    with opened("reward-to-go") as estimator:
        assert estimator is pgcheck.estimator("reward-to-go")
    with opened_on(["gae", "pgcheck.estimators.on_policy:REINFORCE"], *model, lam=0.5) as (gae, in_a_process):
        assert (gae.lam, in_a_process.lam) == (0.5, None)
        assert (gae.aggregation, in_a_process.aggregation) == ("mean", "mean")
        batch, _ = listed(*model)
        np.testing.assert_allclose(in_a_process.each(batch), pgcheck.estimator("reinforce").each(batch), atol=1e-15)
    for spec, lam, message in (
        ("my file.py", None, "^my file.py: no such file$"),
        ("reinforc", None, "did you mean reinforce"),
        ("reinforce", 0.5, "lambda belongs to gae"),
    ):
        with pytest.raises(pgcheck.PgcheckError, match=message), opened(spec, lam=lam):
            pass
    with pytest.raises(pgcheck.UsageError, match="which is not asked for"), opened_on(["advantage"], *model, lam=0.5):
        pass


def test_what_kind_of_function_it_is_must_be_learnt_first() -> None:
    mdp, policy = pgcheck.load("two_state")
    function = LocalFunction(rows, "rows")
    with pytest.raises(pgcheck.UsageError, match="rows: not called yet, so its kind is unknown; call learn"):
        pgcheck.sample_gradient(mdp, policy, 10, np.random.default_rng(0), estimator=function)
    function.learn(mdp, policy)
    sampled = pgcheck.sample_gradient(mdp, policy, 10, np.random.default_rng(0), estimator=function)
    with opened_on([rows], mdp, policy) as (again,):
        other = pgcheck.sample_gradient(mdp, policy, 10, np.random.default_rng(0), estimator=again)
    np.testing.assert_array_equal(sampled.estimate, other.estimate)
