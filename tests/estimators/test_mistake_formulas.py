"""What the explanations say is left of E[ĝ] − ∇J, worked out by loops on paper, beside the wrong functions."""

from collections.abc import Callable, Iterator

import numpy as np
import pytest
from numpy.testing import assert_allclose

import pgcheck
from pgcheck import MDP, Policy
from pgcheck.estimators.mistakes.catalogue import EXPLANATIONS, explain
from pgcheck.estimators.mistakes.explanation import Code
from pgcheck.formats.modelfile import Model
from pgcheck.verification.measuring import measured
from tests import oracles, plain
from tests.oracles import Floats
from tests.plain import Plain

PAIRS = 2  # the batches of which the formulas are worked out


class Worked:
    """An episode with what the formulas name."""

    def __init__(self, mdp: MDP, policy: Policy, episode: Plain) -> None:
        self.prob, self.states, self.actions, self.rewards = (
            episode.prob,
            episode.states,
            episode.actions,
            episode.rewards,
        )
        self.gamma, self.length, self.cut = mdp.gamma, len(episode.actions), not episode.ended
        probs = oracles.softmax(policy, [complex(x) for x in policy.theta])
        self.pi = [probs[pair].real for pair in zip(self.states, self.actions, strict=False)]
        self.entropies = [
            -sum(p.real * np.log(p.real) for (state, _), p in probs.items() if state == s) for s in self.states[:-1]
        ]
        self.psi = [oracles.score(policy, s, a) for s, a in zip(self.states, self.actions, strict=False)]
        self.steps = range(self.length)

    def to_go(self, t: int) -> float:
        return float(sum(self.gamma ** (k - t) * self.rewards[k] for k in self.steps if k >= t))

    def weighted(self, weight: Callable[[int], float]) -> Floats | float:
        return sum((weight(t) * self.psi[t] for t in self.steps), 0.0)


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
    "cut-episodes-dropped": lambda e, t: -e.cut * e.gamma**t * e.to_go(t),
    "other": lambda e, t: (
        e.gamma ** (e.length - 1 - t) * e.to_go(e.length - 1 - t) - e.gamma**t * e.to_go(t)
    ),
}  # fmt: skip

BY_PAIR: dict[str, Callable[[Worked, Worked, int], float]] = {  # of the first of two episodes, in a sum over both
    "scale": lambda e, other, t: -(e.gamma**t) * e.to_go(t) / 4,
    "length-normalised": lambda e, other, t: (1 / (e.length + other.length) - 1 / 2) * e.to_go(0),
    "batch-coupled": lambda e, other, t: -(e.gamma**t) * e.to_go(t) / (1 + (other.length > t)) / 2,
    "leaks-between-episodes": lambda e, other, t: e.gamma**e.length * other.to_go(0) / 4,
}


def worked(mdp: MDP, policy: Policy) -> list[Worked]:
    return [Worked(mdp, policy, episode) for episode in plain.episodes(mdp, policy)]


def bias_by_formula(name: str, mdp: MDP, policy: Policy) -> Floats:
    """E[ĝ] − ∇J as the explanation has it."""
    every = worked(mdp, policy)
    if name in BY_EPISODE:
        weight = BY_EPISODE[name]
        terms: Iterator[Floats | float] = (e.prob * e.weighted(lambda t, e=e: weight(e, t)) for e in every)  # type: ignore[misc]
    else:
        of_pair = BY_PAIR[name]
        terms = (
            e.prob * other.prob * e.weighted(lambda t, e=e, other=other: 2 * of_pair(e, other, t))  # type: ignore[misc]
            for e in every
            for other in every
        )
    return np.asarray(sum(terms, np.zeros(len(policy.theta))))


@pytest.mark.parametrize("model", ["two_state", "early_exit"])
@pytest.mark.parametrize("name", [*BY_EPISODE, *BY_PAIR])
def test_the_formula_is_what_is_left(name: str, model: str) -> None:
    steps = 3 if name in BY_EPISODE else 2
    mdp, policy = pgcheck.load(model, horizon=steps, entropy=explain(name).case.entropy)
    found = [it for it in measured(explain(name), [Model(mdp, policy)]).findings if it.batch_size in (1, PAIRS)]
    (finding,) = found
    left = finding.expectation_vector - oracles.complex_step(mdp, policy)
    assert_allclose(left, bias_by_formula(name, mdp, policy), rtol=1e-9, atol=1e-12)
    assert np.linalg.norm(left) > 1e-6


def test_another_formula_would_be_seen() -> None:
    mdp, policy = pgcheck.load("two_state", horizon=3)
    formulas = {name: bias_by_formula(name, mdp, policy) for name in BY_EPISODE if name != "objective"}
    for name, bias in formulas.items():
        alike = {other for other, its in formulas.items() if np.allclose(bias, its, rtol=1e-6)}
        assert alike <= {name, "first-step-missing", "score-of-next-step"}


def test_an_episode_beyond_the_reach_and_a_batch_beyond_the_size() -> None:
    """No bias on the battery; the functions differ where the explanations say so."""
    for name in ("reach", "batch-size"):
        assert all(it.bias < 1e-12 for it in measured(explain(name)).findings)


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
