import inspect
import itertools
import json
import math
from pathlib import Path

import numpy as np
import pytest

import pgcheck
from pgcheck import Batch, EstimatorError, exact_gradient, verify
from pgcheck.estimators.catalogue import ESTIMATORS
from pgcheck.estimators.contract import Contract, contract_of
from pgcheck.estimators.mistakes import MISTAKES, REFERENCE, Mistake
from pgcheck.external.calling import LocalFunction
from pgcheck.trajectories.paths import listed
from pgcheck.verification.battery import BATTERY, battery
from pgcheck.verification.exhaustive import number_of_batches, over_batches
from pgcheck.verification.impulses import chain, correct_weights, impulses
from tests.conftest import Run
from tests.plain import Problem
from tests.verification import zoo


@pytest.mark.parametrize("name", sorted(zoo.RIGHT))
def test_a_right_estimator_passes(name: str) -> None:
    found = verify(zoo.RIGHT[name])
    assert found.verdict == "pass"
    assert not found.diagnosis


@pytest.mark.parametrize("name", sorted(zoo.WRONG))
def test_a_wrong_estimator_fails_and_is_told_why(name: str) -> None:
    estimate, ids, twin = zoo.WRONG[name]
    assert twin in zoo.RIGHT
    found = verify(estimate)
    assert found.verdict == "fail"
    assert {one.id for one in found.diagnosis} == ids
    assert all(one.text for one in found.diagnosis)


def test_the_zoo_is_large_enough() -> None:
    assert len(zoo.WRONG) >= 30
    named = set().union(*(ids for _, ids, _ in zoo.WRONG.values()))
    assert named >= {
        "dropped-gamma", "undiscounted", "sign", "scale", "length-normalised", "immediate-reward", "off-by-one",
        "last-step-missing", "last-reward-missing", "action-dependent-baseline", "nonlinear", "bootstrap",
        "batch-coupled", "regulariser", "zero-mean", "other",
    }  # fmt: skip


@pytest.mark.parametrize("some", ESTIMATORS, ids=lambda some: str(some.name))
def test_every_built_in_through_a_users_file(run: Run, tmp_path: Path, some: pgcheck.Estimator) -> None:
    (tmp_path / "mine.py").write_text(f"from pgcheck import estimator\n\nestimate = estimator({some.name!r})\n")
    done = run("verify", "mine.py:estimate", "two_state", "random_walk", "--horizon", "3", "--format", "json")
    if some.off_policy:  # on rollouts of the policy itself the ratios are 1, and these are right too
        assert json.loads(done.stdout)["verdict"] == "pass"
        return
    told = json.loads(done.stdout)
    expected = "fail" if some.bias == "wrong" else "pass"
    assert (told["verdict"], done.returncode) == (expected, 0 if expected == "pass" else 1)
    by_name = run("verify", some.name, "two_state", "random_walk", "--horizon", "3", "--format", "json")
    assert json.loads(by_name.stdout)["models"] == told["models"]


def test_no_two_known_mistakes_are_parallel_on_the_battery() -> None:
    """Nor is one parallel to the truth: what is told apart there is told apart by one factor for all models."""
    vectors = []
    for candidate in (REFERENCE, *MISTAKES):
        parts = [candidate.mean(*listed(mdp, policy)).ravel() for mdp, policy in battery()]
        name = f"{candidate.cause} {candidate.notes}" if isinstance(candidate, Mistake) else "the gradient"
        vectors.append((name, np.concatenate(parts)))
    for (one, a), (other, b) in itertools.combinations(vectors, 2):
        cosine = abs(float(a @ b)) / float(np.linalg.norm(a) * np.linalg.norm(b))
        assert cosine < 1 - 1e-6, f"{one} / {other}"


def test_the_battery_has_what_mistakes_need_to_show() -> None:
    models = battery()
    lengths = [set(listed(mdp, policy)[0].lengths.tolist()) for mdp, policy in models]
    assert max(map(len, lengths)) >= 3
    assert any(1 in some for some in lengths)
    assert any(0 < mdp.gamma < 1 for mdp, _ in models)
    assert any(mdp.gamma == 1 for mdp, _ in models)
    assert any(len(mdp.observations) < mdp.num_states for mdp, _ in models)
    for mdp, policy in models:
        ended = listed(mdp, policy)[0].terminated
        assert ended.any()
        assert not ended.all()
    visits = [np.diff(np.sort(b.states, axis=1), axis=1) == 0 for b in (listed(*model)[0] for model in models)]
    assert any(again.any() for again in visits)


@pytest.mark.parametrize("name", ["gamma^t forgotten", "centred within the episode", "rewards clipped"])
def test_the_expectation_is_that_of_plain_summation(name: str) -> None:
    estimate, _, _ = zoo.WRONG[name]
    mdp, policy = pgcheck.load("early_exit", horizon=3)
    found = verify(estimate, [(mdp, policy)]).findings[0]
    plain = Problem(mdp, policy)
    total, square = np.zeros(len(policy.theta)), 0.0
    for e in plain.all:
        outcomes = []
        for t, (s, a) in enumerate(zip(e.states, e.actions, strict=False)):
            rows = zip(mdp.state, mdp.action, mdp.next_state, mdp.reward, mdp.ends, range(len(mdp.prob)), strict=True)
            last = e.ended and t + 1 == len(e.actions)
            wanted = (s, a, e.states[t + 1], e.rewards[t], last)
            outcomes.append(next(k for *row, k in rows if tuple(row) == wanted))
        batch = Batch(mdp, policy, np.array([e.states[0]]), np.array(outcomes)[:, None])
        g = np.asarray(estimate(batch))[0]
        total += e.prob * g
        square += e.prob * float(g @ g)
    np.testing.assert_allclose(found.expectation.mean, total, atol=1e-12)
    assert found.expectation.trace == pytest.approx(square - float(total @ total))
    truth = exact_gradient(mdp, policy).gradient
    assert found.bias == pytest.approx(float(np.linalg.norm(total - truth)))
    assert found.cosine == pytest.approx(float(total @ truth / np.linalg.norm(total) / np.linalg.norm(truth)))
    assert found.scale == pytest.approx(float(total @ truth / (truth @ truth)))


@pytest.mark.parametrize("name", ["standardised over the batch", "mean over all steps of the batch"])
@pytest.mark.parametrize("size", [2, 3])
def test_batches_are_weighted_as_ordered_tuples(name: str, size: int) -> None:
    """Multisets with multinomial weights give what all ordered tuples give, one by one."""
    estimate, _, _ = zoo.WRONG[name]
    mdp, policy = pgcheck.load("two_state", horizon=2)
    batch, prob = listed(mdp, policy)
    expected = np.zeros(batch.theta.shape)
    for rows in itertools.product(range(len(batch)), repeat=size):
        part = batch.part(np.array(rows))
        short = Batch(mdp, policy, part.starts, part.outcomes[: part.lengths.max()])
        expected += math.prod(prob[list(rows)]) * np.asarray(estimate(short))
    function = LocalFunction(estimate, name)
    for ordered in (False, True):
        kind = Contract(False, False, ordered, False, False)
        found = over_batches(function, batch, prob, size, kind)
        np.testing.assert_allclose(found.mean, expected, atol=1e-12)
    assert number_of_batches(11, 2, Contract(False, False, True, False, False)) == 121
    assert number_of_batches(11, 2, Contract(False, False, False, False, False)) == 66


def test_an_estimate_that_depends_on_the_order_is_given_all_orders() -> None:
    def first_counts_double(batch: Batch) -> object:
        rows = zoo.RIGHT["vectorised"](batch)
        return (rows.sum(axis=0) + rows[0]) / (len(batch) + 1)

    def first_as_baseline(batch: Batch) -> object:
        """Biased in the first episode, right in the others, and in the mean by exactly 1/B."""
        r = zoo.returned(batch)
        return np.einsum("n,nt...->...", r - r[0], batch.score) / len(batch)

    mdp, policy = pgcheck.load("two_state")
    assert contract_of(LocalFunction(first_counts_double, ""), listed(mdp, policy)[0]).ordered
    assert verify(first_counts_double).verdict == "pass"
    found = verify(first_as_baseline, ["two_state"])
    assert found.verdict == "fail"
    assert [one.scale for one in found.findings] == [pytest.approx(1 / 2), pytest.approx(2 / 3)]


def test_one_scale_for_all_models_may_be_accepted() -> None:
    half, _, _ = zoo.WRONG["half"]
    assert verify(half, up_to_scale=True).verdict == "pass"
    assert verify(half, up_to_scale=True).scale == pytest.approx(0.5)
    for name in ("a loss", "divided by the horizon", "gamma^t forgotten"):
        assert verify(zoo.WRONG[name][0], up_to_scale=True).verdict == "fail"


def test_the_tolerance_is_what_passes() -> None:
    def nearly(batch: Batch) -> object:
        return (1 + 1e-5) * zoo.RIGHT["vectorised"](batch)

    assert verify(nearly).verdict == "fail"
    assert verify(nearly, tolerance=1e-4).verdict == "pass"
    single = verify(zoo.RIGHT["single precision"])
    assert single.tolerance == 1e-4
    assert single.contract.single
    assert verify(zoo.RIGHT["single precision"], tolerance=1e-12).verdict == "fail"


def test_one_direction_has_no_cosine_and_is_judged_by_impulses() -> None:
    found = verify(zoo.WRONG["gamma^t forgotten"][0], [pgcheck.load("random_walk", horizon=4, gamma=0.9)])
    assert found.findings[0].cosine is None
    assert found.findings[0].freedom == 1
    assert [one.id for one in found.diagnosis] == ["dropped-gamma"]
    unknown = verify(zoo.WRONG["in the wrong order"][0], [pgcheck.load("random_walk", horizon=4, gamma=0.9)])
    assert [one.id for one in unknown.diagnosis] == ["other"]


def test_texts_that_tell_causes_apart() -> None:
    def text(name: str) -> str:
        return " ".join(one.text for one in verify(zoo.WRONG[name][0]).diagnosis)

    assert "a discount of about 0.99 is written in the code" in text("a discount written in the code")
    assert "is `reversed` or [::-1] forgotten?" in text("reversed forgotten")
    assert "reversed" not in text("own reward only")
    assert "as of an entropy bonus of 0.1; without it the estimator is right" in text("an entropy bonus")
    assert "divide by the number of episodes" in text("loss.mean() of a tutorial")
    assert "the matrix shows how each step is weighed" in text("in the wrong order")
    assert "exactly proportional to 1/B" not in text("standardised over the batch")


def test_the_order_of_few_episodes_is_seen_too() -> None:
    """Where a model has so few that batches of them could all look alike."""
    for horizon in (3, 4, 5):
        found = verify(zoo.RIGHT["the neighbour as baseline"], [pgcheck.load("random_walk", horizon=horizon)])
        assert found.contract.ordered
        assert found.verdict == "pass"


def test_a_large_model_is_diagnosed_with_the_help_of_a_small_one() -> None:
    """All pairs of 468 episodes are too many to be altered again and again; what is wrong is found all the same."""
    found = verify(zoo.WRONG["standardised over the batch"][0], ["early_exit"], batch_sizes=[2])
    assert {one.mdp.name for one in found.findings} == {"early-exit"}
    assert [one.id for one in found.diagnosis] == ["nonlinear"]
    found = verify(zoo.WRONG["loss.mean() of a tutorial"][0], ["early_exit"], batch_sizes=[2])
    assert {one.id for one in found.diagnosis} == {"length-normalised", "dropped-gamma", "sign"}


def test_right_for_gamma_1_is_said() -> None:
    forgotten = zoo.WRONG["gamma^t forgotten"][0]
    assert "(it is right for gamma = 1)" in verify(forgotten).diagnosis[0].text
    assert verify(forgotten, [pgcheck.load("two_state", gamma=1.0)]).verdict == "pass"
    assert "gamma = 1" not in verify(zoo.WRONG["own reward only"][0]).diagnosis[0].text


def test_impulses_show_how_steps_are_weighed() -> None:
    for gamma in (0.5, 1.0):
        np.testing.assert_allclose(impulses(REFERENCE.each, 4, gamma), np.triu(correct_weights(4, gamma)), atol=1e-12)
        total = impulses(pgcheck.estimator("reinforce"), 3, gamma)
        np.testing.assert_allclose(total, correct_weights(3, gamma), atol=1e-12)
    for terminated in (True, False):
        mdp, _ = chain(3, 0.9, terminated=terminated)
        assert mdp.terminal[-1] == terminated
        assert mdp.horizon == 3


def test_trouble_with_short_episodes_is_a_warning_where_no_model_has_any() -> None:
    def with_ddof(batch: Batch) -> object:
        with np.errstate(all="ignore"):
            bias = 0 * np.array([np.std(e.rewards, ddof=1) for e in batch])
        rows = zoo.RIGHT["vectorised"](batch)
        return rows + bias.reshape(-1, *(1 for _ in batch.theta.shape))

    with pytest.warns(RuntimeWarning):
        found = verify(with_ddof, [pgcheck.load("deep_sea", horizon=4)])
    assert found.verdict == "pass"
    assert [one.id for one in found.diagnosis] == ["nan"]
    assert "episodes of one step" in found.diagnosis[0].text
    with pytest.raises(EstimatorError, match="returned nan for an episode of 1 step"), pytest.warns(RuntimeWarning):
        verify(with_ddof, ["early_exit"])


def test_memory_and_randomness_are_refused() -> None:
    generator = np.random.default_rng(0)
    count = itertools.count()

    def noisy(batch: Batch) -> object:
        return zoo.RIGHT["vectorised"](batch) + generator.normal(size=(len(batch), *batch.theta.shape))

    def counting(batch: Batch) -> object:
        return zoo.RIGHT["vectorised"](batch) * (1 + 1e-3 * next(count))

    for estimate in (noisy, counting):
        with pytest.raises(EstimatorError, match="other numbers when it was called again"):
            verify(estimate)


def test_what_cannot_be_listed_is_inconclusive(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    done = run("verify", "reinforce", "frozen_lake", "--format", "json")
    told = json.loads(done.stdout)
    assert (done.returncode, told["verdict"]) == (3, "inconclusive")
    assert "limit is 2,000,000" in told["skipped"][0]["why"]
    done = run("verify", "reinforce", "two_state", "frozen_lake")
    assert done.returncode == 3
    assert "frozen-lake: not checked" in done.stdout
    assert run("verify", "dropped-gamma", "two_state", "frozen_lake").returncode == 1
    monkeypatch.setattr("pgcheck.trajectories.tree.MAX_DEPTH", 1000)
    done = run("verify", "reinforce", "short_corridor", "--horizon", "20000")
    assert done.returncode == 3
    assert "not checked: trajectories of more than 1,000 steps" in done.stdout
    done = run("verify", "uniform-trajectories", "cliff_walk", "--horizon", "8", "--format", "json")
    assert done.returncode == 3
    assert "batches of 2 among 65,302 trajectories" in json.loads(done.stdout)["skipped"][0]["why"]


def test_the_json_has_the_keys_of_the_contract(run: Run) -> None:
    done = run("verify", "dropped-gamma", "two_state", "--format", "json")
    told = json.loads(done.stdout)
    assert (told["schema"], told["verdict"], told["evidence"]) == ("pgcheck/1", "fail", "exact")
    (row,) = told["models"]
    assert (row["model"], row["batch_size"]) == ("two-state", 1)
    exact = exact_gradient(*pgcheck.load("two_state"))
    assert row["gradient"] == pytest.approx(exact.gradient.tolist())
    assert len(row["expectation"]) == len(row["gradient"]) == len(row["parameters"]) == 4
    off = np.array(row["expectation"]) - exact.gradient
    assert row["bias"] == pytest.approx(np.linalg.norm(off))
    assert row["relative_bias"] == pytest.approx(np.linalg.norm(off) / exact.norm)
    assert 0.99 < row["cosine"] < 1
    assert 1 < row["scale"] < 1.2
    assert told["diagnosis"][0].keys() == {"id", "text"}
    assert told["matrix"][0] == pytest.approx([1, 0.9, 0.81, 0.729])
    sizes = json.loads(run("verify", "weighted-importance-sampling", "bandit", "--format", "json").stdout)["models"]
    assert [row["batch_size"] for row in sizes] == [1]  # with ratios of 1 it is a plain mean
    lines = run("verify", "gae", "--format", "jsonl").stdout.splitlines()
    assert [json.loads(line)["model"] for line in lines] == [pgcheck.load(name)[0].name for name, _ in BATTERY]


def test_what_people_read(run: Run) -> None:
    good, bad = run("verify", "reinforce"), run("verify", "dropped-gamma")
    assert (good.returncode, bad.returncode) == (0, 1)
    assert good.stdout.startswith("reinforce: PASS\n")
    assert "exact expectation is the gradient" in good.stdout
    assert "Right, but noisy: up to 1.39 times the variance of reward-to-go" in good.stdout
    assert "no cosine where a gradient has but one direction" in good.stdout
    assert max(map(len, (good.stdout + bad.stdout.split("dropped-gamma: gamma")[0]).splitlines())) <= 80
    assert bad.stdout.startswith("dropped-gamma: FAIL\n")
    assert "Worst components, on " in bad.stdout
    assert "dropped-gamma: gamma^t is left out" in bad.stdout
    assert "t=3      0      0      0      1" in bad.stdout
    assert "nothing is said of discounting" in run("verify", "reinforce", "bandit").stdout


ZERO = """
horizon: 3
gamma: 0.9
states: [a]
actions: [x, y]
start: a
transitions: {a: {x: [{to: a, p: 0.1, reward: 3}, {to: a, p: 0.9}], y: {to: a, reward: 0.3}}}
policy: {softmax: {a: {x: 0.3}}}
"""


def test_a_gradient_that_is_zero_but_for_rounding(run: Run) -> None:
    """Both actions are worth the same: what is left of the gradient is rounding, and must not be compared with."""
    done = run("verify", "reinforce", "-", stdin=ZERO)
    assert done.returncode == 0
    assert "The gradient is 0 on " in done.stdout
    assert run("verify", "normalized-returns", "-", stdin=ZERO).returncode == 1
    assert "the gradient is 0; no accuracy is relative to it" in run("plan", "-", stdin=ZERO).stderr


def test_tiny_rewards_do_not_vanish(run: Run, tmp_path: Path) -> None:
    tiny = ZERO.replace("reward: 3}", "reward: 1e-170}").replace("reward: 0.3", "reward: 0")
    (tmp_path / "m.yaml").write_text(tiny)
    (tmp_path / "mine.py").write_text(
        "def f(b):\n    return -b.score.sum(axis=1) * b.rewards.sum(axis=1)[:, None, None]\n"
    )
    assert run("verify", "reinforce", "m.yaml").returncode == 0
    done = run("verify", "mine.py:f", "m.yaml", "--gamma", "1")
    assert done.returncode == 1
    assert "sign: " in done.stdout


def test_arguments_that_mean_nothing_are_refused() -> None:
    for tolerance in (0.0, -1.0, math.inf, math.nan):
        with pytest.raises(pgcheck.UsageError, match="tolerance"):
            verify("reinforce", ["two_state"], tolerance=tolerance)
    with pytest.raises(pgcheck.UsageError, match="no models"):
        verify("reinforce", [])
    with pytest.raises(pgcheck.UsageError, match="batch sizes"):
        verify("reinforce", batch_sizes=[0])
    assert verify("reinforce", "two_state").verdict == "pass"


def test_ratios_of_one_are_said_to_be_so(run: Run) -> None:
    assert "nothing is said of\nanother behavior" in run("verify", "per-decision", "two_state").stdout


def test_what_is_left_out_is_said(run: Run) -> None:
    done = run("verify", "uniform-trajectories", "two_state", "--max-calls", "300", "--format", "json")
    told = json.loads(done.stdout)
    assert [row["batch_size"] for row in told["models"]] == [2]
    assert told["skipped"][0]["why"] == "2,300 batches of 3 among 23 trajectories; the limit is 300 (--max-calls)"


def test_batch_sizes_may_be_chosen(run: Run, tmp_path: Path) -> None:
    source = "import numpy as np\n" + "".join(
        inspect.getsource(f) for f in (zoo.whole, zoo.each_step, zoo.returned, zoo.discount)
    )
    source = source.replace("-> Estimate", "").replace("-> Floats", "").replace(": Batch", "").replace(": Any", "")
    source += "centred = whole(lambda b: each_step(b, returned(b) - returned(b).mean()))\n"
    (tmp_path / "mine.py").write_text(source)
    done = run("verify", "mine.py:centred", "two_state", "--batch-sizes", "1,2,4", "--format", "json")
    told = json.loads(done.stdout)
    assert [row["batch_size"] for row in told["models"]] == [1, 2, 4]
    assert [row["scale"] for row in told["models"]] == pytest.approx([0, 0.5, 0.75], abs=1e-12)
    text = "exactly (1 - 1/B) times the gradient"
    assert text in told["diagnosis"][0]["text"]


def test_a_second_path_to_the_same_verdict() -> None:
    """The library and the command agree, number by number."""
    found = verify("immediate-reward", ["two_state"])
    again = verify(LocalFunction(pgcheck.estimator("immediate-reward"), "x"), [pgcheck.load("two_state")])
    assert found.findings[0].expectation.mean.tobytes() == again.findings[0].expectation.mean.tobytes()
    assert [one.id for one in found.diagnosis] == [one.id for one in again.diagnosis] == ["immediate-reward"]
