"""The catalogue of texts, and the figures that diagnoses and verifications hold."""

import ast
import re
from pathlib import Path

import numpy as np
import pytest

import pgcheck
from pgcheck import Diagnosis, exact_gradient, verify
from pgcheck.arrays import Floats
from pgcheck.estimators.mistakes import weights as mistakes
from pgcheck.estimators.mistakes.weights import MISTAKES, Candidate, Mistake, public_id
from pgcheck.trajectories.paths import listed
from pgcheck.verification.battery import BATTERY, battery
from pgcheck.verification.causes import CAUSES, INPUTS, NOTES
from pgcheck.verification.matching import CANDIDATES
from tests.verification import groups, libraries, slips, zoo

PACKAGE = Path(pgcheck.__file__).parent


@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda mistake: f"{mistake.cause}{''.join(mistake.notes)}")
def test_every_known_mistake_has_a_text(mistake: Mistake) -> None:
    assert public_id(mistake.cause) in mistake.ids
    assert Diagnosis(mistake.ids[0], mistake.cause, notes=mistake.notes).text


def test_every_text_belongs_to_a_cause_that_is_looked_for() -> None:
    """As a word of the code that is not the public id of a diagnosis or of a mistake."""
    files = [Path(mistakes.__file__), *(PACKAGE / "verification").glob("*.py")]
    words: set[object] = set()
    for path in files:
        if not path.name.endswith("causes.py"):
            tree = ast.parse(path.read_text())
            calls = [
                node for node in ast.walk(tree) if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
            ]
            ids = {id(call.args[0]) for call in calls if getattr(call.func, "id", "") == "Diagnosis"}
            for call in calls:
                if getattr(call.func, "id", "") == "Mistake":
                    ids |= {id(node) for node in ast.walk(call.args[1])}
            constants = [node for node in ast.walk(tree) if isinstance(node, ast.Constant)]
            words |= {node.value for node in constants if id(node) not in ids}
    unused = {key for key in (*CAUSES, *NOTES, *INPUTS) if key not in words and not key.startswith("objective/")}
    assert not unused  # test_objectives has those of objectives


def test_the_figures_stand_in_the_text() -> None:
    intended = Diagnosis("scale", "scale/gamma", allowed=True)
    assert intended.text == "gamma times the gradient: the discount counts from t = 1 (allowed)"
    assert Diagnosis("scale", "scale/over-gamma").text == "the gradient divided by gamma"
    trend = Diagnosis("nonlinear", "nonlinear/doubled", (("few", 2), ("many", 3)), ("bias-shrinks",))
    assert trend.text.endswith("; from B = 2 to 3 the bias shrinks")
    warning = Diagnosis("nan", "nan/inputs", (("inputs", ("one-step", "zero-rewards")),))
    assert warning.text.endswith("for episodes of one step, episodes in which every reward is 0")


@pytest.mark.parametrize(
    ("name", "cause", "notes"),
    [
        ("gamma^t forgotten", "dropped-gamma", ("right-at-gamma-1",)),
        ("not discounted at all", "undiscounted/nothing", ("right-at-gamma-1",)),
        ("own reward only, no gamma", "immediate-reward", ("without-gamma-t",)),
        ("a loss", "sign", ()),
        ("reversed forgotten", "immediate-reward/reversed", ()),
        ("batch mean as baseline", "scale/batch-baseline", ()),
        ("loss.mean() of a tutorial", "length-normalised/batch-steps", ()),
        ("an entropy bonus", "regulariser/entropy", ("right-without-it",)),
        ("standardised over the batch", "nonlinear/doubled", ("bias-shrinks",)),
        ("a value at the time limit", "bootstrap/terminated-right", ()),
    ],
)
def test_a_diagnosis_says_its_cause_and_what_else_holds(name: str, cause: str, notes: tuple[str, ...]) -> None:
    diagnosis = verify(zoo.WRONG[name][0], ["two_state"]).diagnosis[0]
    assert (diagnosis.cause, diagnosis.notes) == (cause, notes)


def test_a_diagnosis_holds_its_figures() -> None:
    (entropy,) = verify(zoo.WRONG["an entropy bonus"][0], ["two_state"]).diagnosis
    assert dict(entropy.figures) == {"coefficient": pytest.approx(0.1)}
    (half,) = verify(zoo.WRONG["half"][0]).diagnosis
    assert half.cause == "scale/factor"
    assert dict(half.figures) == {"factor": pytest.approx(0.5)}
    (discount,) = verify(zoo.WRONG["a discount written in the code"][0]).diagnosis
    assert dict(discount.figures) == {"discount": pytest.approx(0.99)}


def test_a_verification_holds_what_is_printed() -> None:
    noisy = verify("reinforce")
    assert (noisy.exit_status, noisy.is_noisy, noisy.is_undiscounted, noisy.flat) == (0, True, False, ())
    assert noisy.variance_over_reward_to_go == pytest.approx(1.738, abs=1e-3)
    assert not verify("reward-to-go").is_noisy
    assert verify("reinforce", ["bandit"]).is_undiscounted
    ours, theirs = verify("per-decision", ["two_state"]), verify("per-decision", ["two_state"], off_policy=True)
    assert (ours.off_policy, ours.unit_ratios, theirs.off_policy, theirs.unit_ratios) == (False, True, True, False)
    partly = verify("reinforce", ["two_state", "frozen_lake"], evidence="exact")
    assert (partly.exit_status, partly.checked, partly.unchecked) == (3, ("two-state",), ("frozen-lake",))
    wrong = verify("dropped-gamma", ["two_state"])
    assert wrong.exit_status == 1
    assert wrong.worst is not None
    assert wrong.matrix is not None
    off = np.abs(wrong.worst.expectation_vector - wrong.worst.gradient_vector)
    components = wrong.worst.worst_components()
    assert [abs(c.expectation - c.gradient) for c in components] == pytest.approx(sorted(off, reverse=True)[:3])
    assert wrong.matrix.right_weights == pytest.approx([1, 0.9, 0.81, 0.729])
    assert wrong.explanations == ((("dropped-gamma",), wrong.diagnosis[0].text),)


def test_the_battery_takes_another_horizon_and_discount() -> None:
    for mdp, _ in battery(horizon=2, gamma=0.5):
        assert (mdp.horizon, mdp.gamma) == (2, 0.5)
    assert [mdp.horizon for mdp, _ in battery()] == [horizon for _, horizon in BATTERY]


CASES = {**slips.SLIPS, **libraries.LIBRARIES, **groups.GROUPS}


# Each has a like that takes less.
SLOW = (
    "PPO", "A2C", "an entropy averaged over the steps of the batch", "PPO, one episode at a time", "VPG",
    "whitened advantages", "advantages against all scores, a mean over steps", "TD and entropy, other values",
    "a minibatch over the whole batch's size", "a group's mean, each episode over its own length",
)  # fmt: skip


@pytest.mark.parametrize("name", [pytest.param(it, marks=[pytest.mark.slow] * (it in SLOW)) for it in sorted(CASES)])
def test_a_fault_gets_its_name_and_no_other(name: str) -> None:
    wrong, ids, _ = CASES[name]
    verification = verify(wrong, max_calls=3_000)  # as many batches as causes are looked for on
    assert verification.verdict == "fail"
    assert {diagnosis.id for diagnosis in verification.diagnosis} == ids
    assert all(diagnosis.certain for diagnosis in verification.diagnosis)


# The right twin of several is called once, under the name of the first.
TWINS = {twin: name for name, (_, _, twin) in sorted(CASES.items(), reverse=True)}


@pytest.mark.parametrize(
    "twin", [pytest.param(it, marks=[pytest.mark.slow] * (name in SLOW), id=name) for it, name in TWINS.items()]
)
def test_the_right_twin_passes(twin: zoo.Estimate) -> None:
    verification = verify(twin)
    assert (verification.verdict, verification.diagnosis) == ("pass", ())


def test_every_id_stands_on_the_page_of_mistakes() -> None:
    page = (PACKAGE.parent / "docs" / "mistakes" / "index.md").read_text()
    assert {f"`{public_id(cause)}`" for cause in CAUSES} <= set(re.findall("`[a-z-]+`", page))


def test_no_mistake_of_the_score_is_parallel_to_another_mistake() -> None:
    models = [(model, *listed(*model)) for model in battery()]
    norms = [exact_gradient(*model).norm for model, _, _ in models]  # each model counts relative to its own gradient

    def vector_of(mistake: Candidate) -> Floats:
        means = [mistake.mean(batch, prob).ravel() for _, batch, prob in models]
        return np.concatenate([mean / norm for mean, norm in zip(means, norms, strict=True)])

    vectors = [vector_of(mistake) for mistake in CANDIDATES]
    units = np.array([vector / np.linalg.norm(vector) for vector in vectors])
    cosines = np.abs(units @ units.T) - np.eye(len(units))
    assert cosines.max() < 1 - 1e-6


def test_weights_that_are_rounding_alone_are_zero() -> None:
    single = verify(lambda batch: zoo.WRONG["gamma^t forgotten, vectorised"][0](batch).astype(np.float32) + 0)
    assert single.matrix is not None
    shown = single.matrix.without_rounding
    assert not np.tril(shown, -1).any()
    assert np.triu(shown) == pytest.approx(np.triu(single.matrix.values), rel=1e-6)
    assert [diagnosis.id for diagnosis in single.diagnosis] == ["dropped-gamma"]


def test_a_leak_is_found_although_batches_of_one_have_none() -> None:
    wrong, ids, _ = slips.SLIPS["a sum over the border of episodes"]
    assert {diagnosis.id for diagnosis in verify(wrong, batch_sizes=[1, 2]).diagnosis} == ids
