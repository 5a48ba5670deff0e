"""The models and the impulses by which mistakes are told apart."""

import itertools

import numpy as np

import pgcheck
from pgcheck.estimators.mistakes.weights import MISTAKES, REFERENCE, Mistake
from pgcheck.trajectories.paths import listed
from pgcheck.verification.battery import battery
from pgcheck.verification.impulses import chain, correct_weights, impulses


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


def test_the_battery_reaches_far() -> None:
    models = [mdp for mdp, _ in battery()]
    batches = [listed(mdp, policy)[0] for mdp, policy in battery()]
    assert max(int(batch.lengths.max()) for batch in batches) >= 24
    visited = [len(np.unique(batch.states[batch.mask])) for batch in batches]
    assert max(visited) >= 40
    rewards = [np.abs(mdp.reward[mdp.reward != 0]) for mdp in models]
    assert max(float(r.max()) for r in rewards) >= 1000
    assert min(float(r.max()) for r in rewards) < 0.1  # a model of small rewards only: beside large ones none show
    assert sum(batch.theta.ndim == 2 for batch in batches) >= 3


def test_impulses_show_how_steps_are_weighed() -> None:
    for gamma in (0.5, 1.0):
        np.testing.assert_allclose(impulses(REFERENCE.each, 4, gamma), np.triu(correct_weights(4, gamma)), atol=1e-12)
        total = impulses(pgcheck.estimator("reinforce"), 3, gamma)
        np.testing.assert_allclose(total, correct_weights(3, gamma), atol=1e-12)
    for terminated in (True, False):
        mdp, _ = chain(3, 0.9, terminated=terminated)
        assert mdp.terminal[-1] == terminated
        assert mdp.horizon == 3
