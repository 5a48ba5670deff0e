"""What the explanations say is left of E[ĝ] − ∇J, worked out by loops on paper, beside the wrong functions."""

import math
from collections.abc import Callable, Iterator

import numpy as np
import pytest
from numpy.testing import assert_allclose

import pgcheck
from pgcheck import MDP, Policy, TabularSoftmax
from pgcheck.estimators.mistakes.catalogue import EXPLANATIONS, explain
from pgcheck.estimators.mistakes.explanation import Code
from pgcheck.external.opening import estimator_of
from pgcheck.formats.loading import load_model
from pgcheck.formats.modelfile import Model
from pgcheck.trajectories.paths import listed
from pgcheck.verification.measuring import function_of, measured
from tests import oracles, plain
from tests.oracles import Floats
from tests.plain import Plain

PAIRS = 2  # the batches of which the formulas are worked out
LARGE = 20  # episodes of a batch that is larger than the limit of `batch-size`
LOOPS = {"other-gamma", "window", "clipped-norm", "value-loss", "nan"}  # no formula of theirs is tried
TABULAR = {"score-without-pi"}  # the code needs states that offer all actions


class Worked:
    """An episode with what the formulas name."""

    def __init__(self, mdp: MDP, policy: Policy, actor: Policy, episode: Plain) -> None:
        self.prob, self.states, self.actions, self.rewards = (
            episode.prob,
            episode.states,
            episode.actions,
            episode.rewards,
        )
        self.gamma, self.length, self.cut = mdp.gamma, len(episode.actions), not episode.ended
        probs = oracles.softmax(policy, [complex(x) for x in policy.theta])
        of_actor = oracles.softmax(actor, [complex(x) for x in actor.theta])
        pairs = list(zip(self.states, self.actions, strict=False))
        self.pi = [probs[pair].real for pair in pairs]
        self.ratios = [(probs[pair] / of_actor[pair]).real for pair in pairs]
        self.choices = [[(a, p.real) for (state, a), p in probs.items() if state == s] for s, _ in pairs]
        self.entropies = [
            -sum(p.real * np.log(p.real) for (state, _), p in probs.items() if state == s) for s in self.states[:-1]
        ]
        self.psi = [oracles.score(policy, s, a) for s, a in pairs]
        self.steps = range(self.length)
        self.policy = policy

    def to_go(self, t: int) -> float:
        return float(sum(self.gamma ** (k - t) * self.rewards[k] for k in self.steps if k >= t))

    def weighted(self, weight: Callable[[int], float]) -> Floats | float:
        return sum((weight(t) * self.psi[t] for t in self.steps), 0.0)

    def mean(self, t: int, vector: Callable[[int, int, float], Floats]) -> Floats:
        """Σ_a π(a|s_t) v(t, a, π(a|s_t))."""
        return np.asarray(sum(p * vector(t, a, p) for a, p in self.choices[t]))

    def logit_gradient(self, t: int, a: int, _: float) -> Floats:
        """∇logit(s_t, a) of a tabular policy."""
        gradient = np.zeros(len(self.policy.theta))
        at = int(oracles.index_of(self.policy)[self.states[t], a])
        gradient[at] = at >= 0
        return gradient


def last(e: Worked, t: int) -> bool:
    return t == e.length - 1


def later(e: Worked, t: int, factor: Callable[[int], float]) -> float:
    return sum(factor(k) * e.rewards[k] for k in e.steps if k >= t)


BY_EPISODE: dict[str, Callable[[Worked, int], float]] = {
    "dropped-gamma": lambda e, t: (1 - e.gamma**t) * e.to_go(t),
    "undiscounted": lambda e, t: e.gamma**t * later(e, t, lambda k: 1 - e.gamma ** (k - t)),
    "discount-twice": lambda e, t: -(1 - e.gamma**t) * e.gamma**t * e.to_go(t),
    "discount-from-the-end": lambda e, t: later(e, t, lambda k: e.gamma ** (e.length - 1 - k) - e.gamma**k),
    "immediate-reward": lambda e, t: -later(e, t + 1, lambda k: e.gamma**k),
    "off-by-one": lambda e, t: -(e.gamma**t) * e.rewards[t],
    "last-reward-missing": lambda e, t: -(e.gamma ** (e.length - 1)) * e.rewards[-1],
    "last-step-missing": lambda e, t: -(e.gamma**t) * e.rewards[-1] * last(e, t),
    "last-step-only": lambda e, t: -(e.gamma**t) * e.to_go(t) * (not last(e, t)),
    "first-step-missing": lambda e, t: -e.to_go(0) * (t == 0),
    "first-step-only": lambda e, t: -(e.gamma**t) * e.to_go(t) * (t > 0),
    "sign": lambda e, t: -2 * e.gamma**t * e.to_go(t),
    "zero-mean": lambda e, t: -(e.gamma**t) * e.to_go(t),
    "gradient-of-pi": lambda e, t: -(1 - e.pi[t]) * e.gamma**t * e.to_go(t),
    "score-of-next-step": lambda e, t: -e.to_go(0) * (t == 0),
    "action-dependent-baseline": lambda e, t: -(e.gamma**t) * sum(map(e.to_go, e.steps)) / e.length,
    "bootstrap": lambda e, t: e.cut * e.gamma**e.length * 0.1 * e.states[-1],
    "objective": lambda e, t: -0.1 * sum(e.gamma**k * e.entropies[k] for k in e.steps if k > t),
    "ratio": lambda e, t: later(e, t, lambda k: e.gamma**k * (e.ratios[t] - math.prod(e.ratios[: k + 1]))),
    "cut-episodes-dropped": lambda e, t: -e.cut * e.gamma**t * e.to_go(t),
    "other": lambda e, t: (
        e.gamma ** (e.length - 1 - t) * e.to_go(e.length - 1 - t) - e.gamma**t * e.to_go(t)
    ),
}  # fmt: skip

OF_STATES: dict[str, Callable[[Worked, int], Floats]] = {  # a vector for each step
    "score-without-pi": lambda e, t: e.gamma**t * e.to_go(t) * e.mean(t, e.logit_gradient),
    "regulariser": lambda e, t: (
        -0.01 * e.mean(t, lambda t, a, p: np.log(p) * oracles.score(e.policy, e.states[t], a))
    ),
}

BEYOND: dict[str, Callable[[Worked, int], float]] = {  # of what the battery does not have
    "reach": lambda e, t: -(e.gamma**t) * e.to_go(t) * (t >= 32),
    "batch-size": lambda e, t: -(1 - 16 / LARGE) * e.gamma**t * e.to_go(t),
}

BY_PAIR: dict[str, Callable[[Worked, Worked, int], float]] = {  # of the first of two episodes, in a sum over both
    "scale": lambda e, other, t: -(e.gamma**t) * e.to_go(t) / 4,
    "length-normalised": lambda e, other, t: (1 / (e.length + other.length) - 1 / 2) * e.to_go(0),
    "batch-coupled": lambda e, other, t: -(e.gamma**t) * e.to_go(t) / (1 + (other.length > t)) / 2,
    "leaks-between-episodes": lambda e, other, t: e.gamma**e.length * other.to_go(0) / 4,
    "nonlinear": lambda e, other, t: standardised(e.to_go(0), other.to_go(0)) / 2 - e.to_go(0) / 2,
}


def standardised(one: float, other: float) -> float:
    """(R − R̄) / σ for the first of two returns, guarded like the code."""
    return float((one - other) / 2 / (abs(one - other) / 2 + 1e-8))


def bias_by_formula(name: str, model: Model) -> Floats:
    """E[ĝ] − ∇J as the explanation has it."""
    mdp, policy = model.mdp, model.policy
    actor = model.behavior if explain(name).case.off_policy else policy
    assert actor is not None
    every = [Worked(mdp, policy, actor, episode) for episode in plain.episodes(mdp, actor)]
    if name in OF_STATES:
        vector = OF_STATES[name]
        terms: Iterator[Floats | float] = (e.prob * vector(e, t) for e in every for t in e.steps)
    elif name in BY_EPISODE or name in BEYOND:
        weight = BY_EPISODE.get(name) or BEYOND[name]
        terms = (e.prob * e.weighted(lambda t, e=e: weight(e, t)) for e in every)  # type: ignore[misc]
    else:
        of_pair = BY_PAIR[name]
        terms = (
            e.prob * other.prob * e.weighted(lambda t, e=e, other=other: 2 * of_pair(e, other, t))  # type: ignore[misc]
            for e in every
            for other in every
        )
    return np.asarray(sum(terms, np.zeros(len(policy.theta))))


NAMES = (*BY_EPISODE, *OF_STATES, *BY_PAIR)
TRIED = [(name, model) for name in NAMES for model in ("two_state", *(["early_exit"] if name not in TABULAR else []))]


@pytest.mark.parametrize(("name", "model"), TRIED)
def test_the_formula_is_what_is_left(name: str, model: str) -> None:
    steps = 2 if name in BY_PAIR else 3
    tried = load_model(model, horizon=steps, entropy=explain(name).case.entropy)
    left = what_is_left(name, tried)
    assert_allclose(left, bias_by_formula(name, tried), rtol=1e-9, atol=1e-12)
    assert np.linalg.norm(left) > 1e-6


def what_is_left(name: str, model: Model) -> Floats:
    """E[ĝ] − ∇J of the wrong function, for batches of one episode or of a pair."""
    (finding,) = [it for it in measured(explain(name), [model]).findings if it.batch_size in (1, PAIRS)]
    return np.asarray(finding.expectation_vector - oracles.complex_step(model.mdp, model.policy))


def test_another_formula_would_be_seen() -> None:
    model = load_model("two_state", horizon=3)
    formulas = {name: bias_by_formula(name, model) for name in (*BY_EPISODE, *OF_STATES) if name != "objective"}
    for name, bias in formulas.items():
        alike = {other for other, its in formulas.items() if np.allclose(bias, its, rtol=1e-6)}
        assert alike <= {name, "first-step-missing", "score-of-next-step"}


def test_every_formula_is_tried_but_those_of_loops() -> None:
    assert {name for name, it in EXPLANATIONS.items() if it.is_loop} == LOOPS
    assert {*NAMES, *BEYOND} | LOOPS == set(EXPLANATIONS)


@pytest.mark.parametrize("name", BEYOND)
def test_there_is_no_bias_on_the_battery_of_what_shows_beyond_it_only(name: str) -> None:
    assert all(it.bias < 1e-12 for it in measured(explain(name)).findings)


def long_model(horizon: int) -> Model:
    """One state in which each step may be the last: as many episodes as steps, and one more."""
    stays_or_ends = np.array([[[1.0, 0.0], [0.0, 1.0]], [[0.0, 0.0], [0.0, 0.0]]])
    rewards = np.array([[1.0, 3.0], [0.0, 0.0]])
    mdp = MDP.from_arrays(stays_or_ends, rewards, horizon=horizon, gamma=0.98, terminal=[1])
    return Model(mdp, TabularSoftmax.of(mdp, {(mdp.states[0], mdp.actions[0]): 4.0}))


def test_an_episode_beyond_the_reach() -> None:
    left = what_is_left("reach", long_model(40))
    assert_allclose(left, bias_by_formula("reach", long_model(40)), rtol=1e-9, atol=1e-12)
    assert np.linalg.norm(left) > 1e-2
    assert np.linalg.norm(what_is_left("reach", long_model(32))) < 1e-12


def test_a_batch_beyond_the_size() -> None:
    """The function adds up what single episodes give: batches of one episode again and again have its expectation."""
    model = load_model("two_state", horizon=3)
    every, prob = listed(model.mdp, model.policy)
    wrong = estimator_of(function_of(explain("batch-size").code.wrong))
    offered = oracles.index_of(model.policy) >= 0
    for size, bias in ((16, np.zeros(len(model.policy.theta))), (LARGE, bias_by_formula("batch-size", model))):
        gradients = [wrong(every.part(np.full(size, i))) for i in range(len(every))]
        expectation = sum(p * gradient[offered] for p, gradient in zip(prob, gradients, strict=True))
        left = expectation - oracles.complex_step(model.mdp, model.policy)
        assert_allclose(left, bias, rtol=1e-9, atol=1e-12)
    assert np.linalg.norm(left) > 1e-2


def test_the_text_of_every_explanation_is_whole() -> None:
    for name, it in EXPLANATIONS.items():
        assert it.id == name
        assert 2 <= len(it.what.split(". ")) <= 6
        assert it.what.endswith(".")
        assert it.why.endswith(".")
        assert all(line.count("[") == line.count("]") and line.count("(") == line.count(")") for line in it.formula)
        assert set(it.see) <= set(EXPLANATIONS) - {name}
        for thread in it.threads:
            number = thread.place.rpartition("#")[2]
            assert thread.url.startswith("https://doi.org/10.48550/arXiv.") or (
                thread.url.startswith(f"https://github.com/{thread.place.partition('#')[0]}/")
                and thread.url.endswith(f"/{number}")
            )


def test_the_two_functions_differ_in_the_marked_lines_alone() -> None:
    code = Code("  a\n- b\n- c\n+ d\n  e\n")
    assert (code.wrong, code.right) == ("a\nb\nc\ne\n", "a\nd\ne\n")
    assert (code.differing("-"), code.differing("+")) == ((2, 3), (2,))
    for it in EXPLANATIONS.values():
        assert it.code.wrong != it.code.right
        assert sum(mark != " " for mark, _ in it.code.lines) <= 5
        assert all(len(line) <= 77 for _, line in it.code.lines)


def test_an_unknown_id_is_refused_with_one_that_is_near() -> None:
    assert pgcheck.explain("dropped-gamma").title == "gamma^t is left out"
    with pytest.raises(pgcheck.UsageError, match=r"did you mean dropped-gamma\?"):
        explain("droped-gamma")
    with pytest.raises(pgcheck.UsageError, match="ids: action-dependent-baseline, "):
        explain("")
