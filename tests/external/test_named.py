"""Gradients that come as one array for each parameter of a network."""

from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_array_equal

import pgcheck
from pgcheck import EstimatorError
from pgcheck.arrays import Floats
from pgcheck.external.named import by_parameter
from pgcheck.external.results import converted
from pgcheck.trajectories.batch import Batch
from pgcheck.trajectories.paths import listed
from tests import networks


def batch_of(most: int = 5) -> Batch:
    mdp, _ = pgcheck.load("two_state")
    policy = networks.PlainNetwork(mdp, networks.random_theta(mdp, 0))
    return listed(mdp, policy)[0].part(slice(0, most))


def by_name(batch: Batch, values: Floats) -> dict[str, Floats]:
    """Gradients `[..., d]` in the shapes of the parameters."""
    ends = np.cumsum([int(np.prod(shape)) for shape in networks.shapes(batch.mdp).values()])
    parts = np.split(values, ends[:-1], axis=-1)
    shapes = networks.shapes(batch.mdp)
    return {n: x.reshape(*values.shape[:-1], *shapes[n]) for n, x in zip(shapes, parts, strict=True)}


@pytest.mark.parametrize("rows", [True, False])
def test_dicts_and_lists_are_taken_in_the_order_of_theta(rows: bool) -> None:
    batch = batch_of()
    flat = np.random.default_rng(0).normal(size=((5, len(batch.theta)) if rows else len(batch.theta)))
    named = by_name(batch, flat)
    backwards = dict(reversed(named.items()))
    nested = [named["0.weight"], (named["0.bias"], {"x": named["2.weight"]}), named["2.bias"]]
    for result in (flat, flat.tolist(), named, backwards, list(named.values()), tuple(named.values()), nested):
        assert_array_equal(converted(result, batch), flat)
    if rows:
        assert_array_equal(converted([by_name(batch, row) for row in flat], batch), flat)
        assert_array_equal(converted(list(flat), batch), flat)
    assert converted({n: x.astype(np.float32) for n, x in named.items()}, batch).dtype == np.float32


def test_as_many_episodes_as_parameters_are_told_apart_by_their_shapes() -> None:
    batch = batch_of(4)
    flat = np.random.default_rng(0).normal(size=(4, len(batch.theta)))
    assert_array_equal(converted(list(flat), batch), flat)
    assert_array_equal(converted(list(by_name(batch, flat).values()), batch), flat)


def test_rows_are_not_taken_for_parameters_that_have_numbers_for_names() -> None:
    shapes = {"0": (3, 2), "1": (2,)}  # of a jax tree [W, b]
    rows = [np.zeros(8), np.ones(8)]
    assert by_parameter(rows, shapes, 2) is None
    joined = by_parameter([np.ones((3, 2)), np.zeros(2)], shapes, 2)
    assert joined is not None
    assert_array_equal(joined, [1, 1, 1, 1, 1, 1, 0, 0])


def wrong(change: str) -> Any:
    batch = batch_of()
    named: dict[str, Any] = by_name(batch, np.zeros(len(batch.theta)))
    match change:
        case "missing":
            del named["0.bias"]
        case "unknown":
            named["0.biass"] = named.pop("0.bias")
        case "none":
            named["2.bias"] = None
        case "shape":
            named["0.weight"] = named["0.weight"].T[:2]
        case "mixed":
            named["2.bias"] = np.zeros((5, 2))
        case "objects":
            named["2.bias"] = np.array([object(), object()])
        case "list with none":
            return [*list(named.values())[:-1], None]
        case "empty":
            return {}
    return named


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("missing", r"no gradient of '0\.bias'; expected those of 0\.weight, 0\.bias, 2\.weight, 2\.bias"),
        ("unknown", r"a gradient of '0\.biass'; did you mean 0\.bias\?"),
        ("none", r"None as the gradient of '2\.bias'; does the loss not depend on it\? Return zeros"),
        ("shape", r"'0\.weight' of shape \[2, 3\]; expected \[3, 3\] or \[5, 3, 3\]"),
        ("mixed", r"'2\.bias' of shape \[5, 2\]; expected \[2\]"),
        ("objects", r"object as the gradient of '2\.bias'; expected an array of real numbers"),
        ("list with none", r"None as the gradient of '2\.bias'"),
        ("empty", r"no gradient of '0\.weight'"),
    ],
)
def test_what_is_no_gradient_by_parameter_is_refused(change: str, message: str) -> None:
    with pytest.raises(EstimatorError, match=message):
        converted(wrong(change), batch_of())


def test_a_table_of_preferences_has_no_names() -> None:
    mdp, policy = pgcheck.load("two_state")
    with pytest.raises(EstimatorError, match="the estimator returned a dict"):
        converted({"0.weight": np.zeros((3, 2))}, listed(mdp, policy)[0])


@pytest.mark.parametrize("mistake", [False, True])
def test_verify_takes_them_and_still_finds_the_mistake(mistake: bool) -> None:
    mdp, _ = pgcheck.load("two_state")
    model = mdp, networks.PlainNetwork(mdp, networks.random_theta(mdp, 1))

    def estimate(batch: Batch) -> dict[str, Floats]:
        discount = batch.gamma ** np.arange(batch.rewards.shape[1])
        later = np.cumsum((batch.rewards * discount)[:, ::-1], axis=1)[:, ::-1]
        weights = later / discount if mistake else later
        return by_name(batch, np.einsum("nt,ntd->nd", weights, batch.score))

    found = pgcheck.verify(estimate, [model])
    assert found.verdict == ("fail" if mistake else "pass")
    assert [d.id for d in found.diagnosis] == (["dropped-gamma"] if mistake else [])
