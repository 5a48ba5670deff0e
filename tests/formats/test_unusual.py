"""Each unusual file is read for what it is."""

import math
from pathlib import Path

import pytest

from pgcheck import Linear
from pgcheck.exact.gradient import exact_gradient
from pgcheck.formats.loading import load, load_model
from tests.formats.refusals import MODELS

UNUSUAL = sorted((MODELS / "unusual").glob("*.yaml"))

# Name of the file: states, actions, J, trajectories; all but the first line of arithmetic by hand.
V = 1.25  # two steps from a: ((0 + (0 + 1)/2) + (1 + (2 + 0)/2))/2
# Of 1/2 and 1/2 from σ(1) and 1 - σ(1), and α log 2.
KL_AND_ENTROPY = 0.1 * math.log(2) - 0.5 * (-math.log(2) - (math.log(1 / (1 + math.e)) + 0.5))
READ = {
    "actions_differ_by_state": (2, 3, 2.0, 3),
    "all_states_terminal": (2, 1, 0.0, 2),
    "behavior_beside_the_policy": (1, 2, 0.0, 2),
    "block_style": (2, 2, V, 4),
    "flow_style": (2, 2, V, 4),
    "fractions": (3, 1, 5 / 6, 5),
    "json": (3, 2, V, 4),
    "json_without_spaces": (3, 2, V, 4),
    "keys_in_any_order": (2, 2, V, 4),
    "kl_of_0_without_reference": (1, 2, 0.0, 2),
    "largest_horizon": (2, 1, None, None),
    "line_ends_of_old": (2, 2, V, 4),
    "line_ends_of_unicode": (2, 2, V, 4),
    "line_ends_of_windows": (2, 2, V, 4),
    "linear_policy": (2, 2, 0.75, 4),  # the logits are 0.3 and 0.1 + 0.2
    "names_of_all_kinds": (10, 4, 0.5, 2),
    "names_that_yaml_takes_for_values": (15, 2, 14.0, 1),
    "number_of_5000_digits": (1, 1, 22 / 3, 1),
    "numbers_in_short": (1, 4, 25000.375, 4),
    "objective_beside_a_reference": (1, 2, KL_AND_ENTROPY, 2),
    "objective_empty": (1, 2, 0.0, 2),
    "observation_named_as_a_state": (2, 2, 2.0, 4),
    "outcomes_of_probability_0": (2, 1, 2.0, 1),
    "outcomes_that_merge": (2, 1, 3.0, 2),
    "start_in_a_terminal_state": (2, 2, 1.5, 2),
    "states_by_number": (3, 1, 6.0, 1),
    "states_named_columns_and_rows": (2, 2, 3.0, 1),
    "sums_miss_1_by_1e_minus_10": (2, 1, 3.0, 4),
    "table": (2, 2, V, 4),
    "table_of_states_named_columns_and_rows": (2, 2, 3.0, 1),
    "table_of_three_columns": (3, 2, 0.0, 5),
    "table_without_rows": (1, 1, 0.0, 1),
    "tabs_between_words": (2, 2, V, 4),
    "terminal_state_with_an_empty_mapping": (2, 1, 1.0, 1),
    "utf_16_big_endian": (2, 2, V, 4),
    "utf_16_little_endian": (2, 2, V, 4),
    "utf_8_with_mark": (2, 2, V, 4),
}


def test_each_file_is_expected() -> None:
    assert {path.stem for path in UNUSUAL} == set(READ)


@pytest.mark.parametrize("path", UNUSUAL, ids=lambda path: str(path.stem))
def test_an_unusual_file_is_read(path: Path) -> None:
    num_states, num_actions, value, trajectories = READ[path.stem]
    mdp, policy = load(path)
    assert (mdp.num_states, mdp.num_actions) == (num_states, num_actions)
    if value is not None:
        exact = exact_gradient(mdp, policy)
        assert exact.value == pytest.approx(value, abs=2e-9)
        assert exact.trajectories == trajectories


def test_names_are_the_raw_text() -> None:
    mdp, _ = load(MODELS / "unusual" / "names_that_yaml_takes_for_values.yaml")
    assert mdp.states[:9] == ("no", "on", "1_2", "007", "7", "1:2", "~", "null", "true")
    assert mdp.states[9:] == ("2024-01-01", "0x1F", ".inf", "=", "1e3", "-")
    mdp, policy = load(MODELS / "unusual" / "names_of_all_kinds.yaml")
    assert mdp.name == "[bold]rooms[/] :smile: 'x' \"y\""
    assert mdp.states[6:8] == ("\u00e9", "e\u0301"), "names that look alike and are spelt differently are two"
    assert policy.parameters[0] == ("two words", "[/]")


def test_the_forms_of_a_file_change_nothing_but_its_name() -> None:
    mdp, _ = load(MODELS / "unusual" / "flow_style.yaml")
    for name, (_, _, value, _) in READ.items():
        if value == V and not name.startswith("json"):
            other, _ = load(MODELS / "unusual" / f"{name}.yaml")
            for column in ("states", "actions", "horizon", "gamma"):
                assert getattr(mdp, column) == getattr(other, column)
            for column in ("state", "action", "next_state", "prob", "reward", "done", "start", "terminal"):
                assert getattr(mdp, column).tolist() == getattr(other, column).tolist()


def test_outcomes_of_probability_0_go_and_equal_ones_merge() -> None:
    assert load(MODELS / "unusual" / "outcomes_of_probability_0.yaml")[0].prob.tolist() == [1, 1]
    assert load(MODELS / "unusual" / "outcomes_that_merge.yaml")[0].prob.tolist() == [0.75, 0.25, 1]


def test_a_row_that_nearly_sums_to_1_is_normalised() -> None:
    mdp, _ = load(MODELS / "unusual" / "sums_miss_1_by_1e_minus_10.yaml")
    assert mdp.prob[:3].tolist() == pytest.approx([1 / 3] * 3, abs=1e-15)
    assert mdp.prob[3] == 1
    assert mdp.start.sum() == pytest.approx(1, abs=1e-15)


def test_the_behavior_is_a_second_policy() -> None:
    model = load_model(MODELS / "unusual" / "behavior_beside_the_policy.yaml")
    assert model.policy.theta.tolist() == [0, 0]
    assert model.behavior is not None
    assert model.behavior.theta.tolist() == [0.5, 0]
    assert load_model(MODELS / "unusual" / "flow_style.yaml").behavior is None


def test_a_linear_policy_has_its_weights_in_file_order() -> None:
    model = load_model(MODELS / "unusual" / "linear_policy.yaml")
    assert isinstance(model.policy, Linear)
    assert model.policy.parameters == (("w1",), ("w0",), ("1/2",))
    assert model.policy.theta.tolist() == [0.3, 7, -1]
    assert model.policy.features[0].tolist() == [[1, 0, 0], [1 / 3, 0, -0.2]]
    assert model.policy.features[1].tolist() == model.policy.features[0].tolist()
    assert model.behavior is not None
    assert model.behavior.probs().tolist() == [[0.5, 0.5]] * 2
    assert model.reference is not None
    assert model.mdp.reference is not None
    assert model.mdp.reference[:, 0].tolist() == pytest.approx([1 / (1 + math.exp(2))] * 2)
    assert (model.mdp.entropy, model.mdp.kl) == (0, 0)


def test_the_objective_is_read() -> None:
    mdp = load_model(MODELS / "unusual" / "objective_beside_a_reference.yaml").mdp
    assert (mdp.entropy, mdp.kl) == (0.1, 0.5)
    flat = load_model(MODELS / "unusual" / "flow_style.yaml")
    assert (flat.mdp.entropy, flat.mdp.kl, flat.mdp.reference, flat.reference) == (0, 0, None, None)
