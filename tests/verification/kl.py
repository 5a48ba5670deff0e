"""Models with a reference and a behavior, and entropy and KL terms from their definitions, by plain loops."""

import cmath
import importlib.util
from collections.abc import Callable
from dataclasses import replace
from types import ModuleType

import numpy as np

import pgcheck
from pgcheck import MDP, Policy, TabularSoftmax
from pgcheck.trajectories.batch import Batch
from pgcheck.trajectories.paths import listed
from pgcheck.verification.findings import Enumeration
from tests import oracles
from tests.conftest import ROOT
from tests.oracles import Floats
from tests.problems import random_problem

Pairs = list[tuple[int, int]]
Value = Callable[[list[complex], list[complex], list[float]], complex]  # of π, π_ref and b at each step


def example(name: str) -> ModuleType:
    """A file of the examples."""
    spec = importlib.util.spec_from_file_location(name, ROOT / "examples" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def softened(mdp: MDP, seed: int) -> TabularSoftmax:
    """A policy that takes every action, drawn at random."""
    rng = np.random.default_rng(seed)
    plain = TabularSoftmax.of(mdp)
    return TabularSoftmax.of(mdp, {key: float(rng.normal(0, 0.7)) for key in plain.parameters})


def with_reference(mdp: MDP, *, entropy: float = 0.0, kl: float = 0.0) -> MDP:
    """The model with a reference, and an objective."""
    return replace(mdp, reference=softened(mdp, 7).probs(), entropy=entropy, kl=kl)


def models(
    entropy: float = 0.0, kl: float = 0.0, names: tuple[str, ...] = ("two_state", "early_exit", "aliased_gridworld")
) -> list[tuple[MDP, Policy]]:
    """Bundled models with references: discounted, with episodes of several lengths."""
    loaded = [pgcheck.load(name, horizon=3) for name in names]
    return [(with_reference(mdp, entropy=entropy, kl=kl), policy) for mdp, policy in loaded]


def enumeration(seed: int, *, off_policy: bool) -> tuple[Enumeration, Policy]:
    """All episodes of a random model, drawn by its policy or by another one, and who drew them."""
    mdp, policy = random_problem(seed, gamma=0.9, horizon=3)
    return drawn(with_reference(mdp), policy, off_policy=off_policy)


def drawn(mdp: MDP, policy: Policy, *, off_policy: bool) -> tuple[Enumeration, Policy]:
    """All episodes of a model, drawn by its policy or by another one, and who drew them."""
    actor: Policy = softened(mdp, 9) if off_policy else policy
    batch, prob = listed(mdp, actor)
    batch = Batch(mdp, policy, batch.starts, batch.outcomes, actor if off_policy else None)
    return Enumeration(mdp, policy, batch, prob), actor


def derivative(mdp: MDP, policy: Policy, actor: Policy, value: Value) -> Floats:
    """The gradient of E[value], the episodes drawn by `actor` whatever θ is, by complex step."""
    acting = actor.probs()
    assert mdp.reference is not None
    reference = mdp.reference

    def mean(theta: list[complex]) -> complex:
        probs = oracles.softmax(policy, theta)
        total = 0j
        for prob, _, pairs, _ in oracles.trajectories(mdp, actor):
            at = [probs[pair] for pair in pairs]
            total += prob * value(at, [complex(reference[p]) for p in pairs], [float(acting[p]) for p in pairs])
        return total

    h = 1e-30
    gradient = []
    for k in range(len(policy.theta)):
        theta = [complex(x) for x in policy.theta]
        theta[k] += 1j * h
        gradient.append(mean(theta).imag / h)
    return np.array(gradient)


def k_of(kind: str, p: complex, q: complex) -> complex:
    """k1, k2 or k3 of one step."""
    x = cmath.log(p / q)
    return {"k1": x, "k2": x * x / 2, "k3": cmath.exp(-x) - 1 + x}[kind]


def product(values: list[complex]) -> complex:
    out = 1 + 0j
    for x in values:
        out *= x
    return out


def loss(kind: str, ratio: str, c: Callable[[int, int], float]) -> Value:
    """−Σ_t c_t ρ k_t, with c_t a function of t and L."""

    def value(p: list[complex], q: list[complex], b: list[float]) -> complex:
        length = len(p)
        rho = [x / y for x, y in zip(p, b, strict=True)]
        total = 0j
        for t in range(length):
            if ratio == "none":
                factor = 1 + 0j
            elif ratio == "detached":
                factor = complex(rho[t].real)
            elif ratio == "token":
                factor = rho[t]
            elif ratio == "prefix":
                factor = product(rho[: t + 1])
            elif ratio == "sequence":
                factor = product(rho)
            else:
                factor = cmath.exp(sum((cmath.log(x) for x in rho), 0j) / length)
            total -= c(t, length) * factor * k_of(kind, p[t], q[t])
        return total

    return value


def in_reward(reward: Callable[[complex, complex], complex], c: Callable[[int], float]) -> Value:
    """Σ_t c_t r(s_t, a_t) with r frozen, and the probability of the episode differentiated."""

    def value(p: list[complex], q: list[complex], b: list[float]) -> complex:
        total = sum((c(t) * reward(complex(p[t].real), q[t]) for t in range(len(p))), 0j)
        return product([x / y for x, y in zip(p, b, strict=True)]) * total

    return value
