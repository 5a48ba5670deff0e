"""Networks in torch and jax against one in plain NumPy, which is differentiated by complex step."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose

import pgcheck
from pgcheck import MDP, PolicyError
from pgcheck.arrays import Floats
from pgcheck.exact.gradient import Method
from pgcheck.model import policy as of_policy
from pgcheck.model.parametric import Network
from pgcheck.policies import jax_policy, torch_policy
from tests import networks
from tests.problems import random_problem

TORCH, JAX = pytest.mark.torch, pytest.mark.jax
KINDS = [pytest.param("plain"), pytest.param("torch", marks=TORCH), pytest.param("jax", marks=JAX)]


def network(kind: str, mdp: MDP, theta: Floats, single: bool = False) -> Network:
    """The same network in one of three ways."""
    if kind == "plain":
        return networks.PlainNetwork(mdp, theta)
    dtype = np.float32 if single else np.float64
    arrays = {name: array.astype(dtype) for name, array in networks.split(mdp, theta).items()}
    if kind == "torch":
        return torch_policy(torch_module(mdp, arrays)).of(mdp)
    layers = [{"weight": arrays["0.weight"], "bias": arrays["0.bias"]}, (arrays["2.weight"], arrays["2.bias"])]
    return jax_policy(jax_apply, layers).of(mdp)


def torch_module(mdp: MDP, arrays: dict[str, Any] | None = None) -> Any:
    import torch

    arrays = arrays or networks.split(mdp, networks.random_theta(mdp, 0))
    module = torch.nn.Sequential(
        torch.nn.Linear(mdp.num_states, networks.WIDTH), torch.nn.Tanh(),
        torch.nn.Linear(networks.WIDTH, mdp.num_actions),
    )  # fmt: skip
    module.to(torch.from_numpy(arrays["0.bias"]).dtype)
    module.load_state_dict({name: torch.from_numpy(np.array(array)) for name, array in arrays.items()})
    return module


def jax_apply(params: Any, rows: Any) -> Any:
    import jax

    first, (weight, bias) = params
    return jax.numpy.tanh(rows @ first["weight"].T + first["bias"]) @ weight.T + bias


def in_order(kind: str, mdp: MDP, theta: Floats) -> Floats:
    """A vector in torch's order, in that of the kind: jax sorts the keys of a dict."""
    if kind != "jax":
        return theta
    by_name = networks.split(mdp, theta)
    return np.concatenate([by_name[n].ravel() for n in ("0.bias", "0.weight", "2.weight", "2.bias")])


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("kind", KINDS)
def test_the_gradient_is_the_complex_step_derivative(kind: str, seed: int) -> None:
    mdp, _ = random_problem(seed)
    mdp = replace(mdp, entropy=0.3 if seed % 2 else 0.0)
    theta = networks.random_theta(mdp, seed)
    policy = network(kind, mdp, theta)
    assert_allclose(policy.theta, in_order(kind, mdp, theta))
    expected = networks.probs(mdp, theta)
    assert_allclose(policy.probs()[mdp.available], [expected[s, a].real for s, a in np.argwhere(mdp.available)])
    truth = in_order(kind, mdp, networks.complex_step(mdp, theta))
    methods: tuple[Method, ...] = ("enumeration", "backward-induction")
    for method in methods:
        found = pgcheck.exact_gradient(mdp, policy, method=method)
        assert_allclose(found.gradient, truth, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("kind", KINDS)
def test_many_tables_are_pulled_back_as_each_alone(kind: str) -> None:
    mdp, _ = random_problem(3, full=True)
    theta = networks.random_theta(mdp, 1)
    policy = network(kind, mdp, theta)
    weights = np.random.default_rng(0).normal(size=(2, 3, *mdp.available.shape))
    together = policy.pullback(weights)  # through ∂logits/∂θ
    alone = [[policy.pullback(table) for table in row] for row in weights]  # by a backward pass each
    assert_allclose(together, alone, rtol=1e-12, atol=1e-14)
    s, a = np.argwhere(mdp.available)[-1]
    scores = of_policy.score(policy, np.array([s]), np.array([a]))
    assert_allclose(scores[0], in_order(kind, mdp, networks.score(mdp, theta, s, a)), rtol=1e-10, atol=1e-13)
    weights[..., ~mdp.available] = np.nan  # what a state does not offer is ignored
    assert_allclose(policy.pullback(weights[0, 0]), alone[0][0])
    assert policy.pullback(np.zeros((0, *mdp.available.shape))).shape == (0, len(theta))


@pytest.mark.parametrize("kind", KINDS[1:])
def test_what_cannot_be_vectorised_is_gone_through_one_by_one(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    mdp, _ = random_problem(5)
    policy, other = (network(kind, mdp, networks.random_theta(mdp, 2)) for _ in range(2))
    monkeypatch.setattr(other, "_derivatives", lambda: 1 / 0)
    weights = np.random.default_rng(0).normal(size=(5, *mdp.available.shape))
    assert_allclose(policy.pullback(weights), other.pullback(weights), rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("kind", KINDS[1:])
def test_a_network_in_single_precision_has_an_exact_gradient(kind: str) -> None:
    mdp, _ = random_problem(7)
    theta = networks.random_theta(mdp, 3)
    single, double = network(kind, mdp, theta, single=True), network(kind, mdp, theta)
    assert single.single
    assert double.single == (kind == "jax")  # jax itself works in single precision, unless it is told otherwise
    assert_allclose(single.probs().sum(axis=1)[mdp.available.any(axis=1)], 1.0, atol=1e-15)
    found, expected = (pgcheck.exact_gradient(mdp, policy) for policy in (single, double))
    assert_allclose(found.gradient, expected.gradient, atol=1e-6 * expected.norm)
    assert found.agreement is not None
    assert found.agreement < 1e-13


@pytest.mark.parametrize("kind", KINDS)
def test_states_that_look_alike_show_the_same_row(kind: str) -> None:
    mdp, _ = random_problem(1, aliased=True)
    probs = network(kind, mdp, networks.random_theta(mdp, 3)).probs()
    shared = [np.flatnonzero(mdp.observation == o) for o in range(len(mdp.observations))]
    assert any(len(states) > 1 for states in shared)
    for states in shared:
        acting = states[~mdp.terminal[states]]
        assert np.ptp(probs[acting], axis=0).max(initial=0.0) == 0


@TORCH
def test_the_module_is_left_as_it_is() -> None:
    import torch

    mdp, _ = random_problem(4, full=True)
    module = torch_module(mdp)
    module.insert(1, torch.nn.BatchNorm1d(networks.WIDTH).double())
    module.eval()
    before, state = {n: x.clone() for n, x in module.state_dict().items()}, torch.get_rng_state()
    policy = torch_policy(module).of(mdp)
    pgcheck.exact_gradient(mdp, policy)
    of_policy.pair_scores(policy, *np.nonzero(mdp.available))
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(module.state_dict()[n], before[n]) for n in before)
    assert all(p.grad is None and p.requires_grad for p in module.parameters())
    assert not module.training
    assert "2.running_mean" not in policy.shapes
    assert policy.parameters[0] == ("0.weight[0,0]",)
    assert policy.parameters[-1] == (f"3.bias[{mdp.num_actions - 1}]",)


@TORCH
def test_frozen_parameters_are_constants_and_scalars_have_no_index() -> None:
    import torch

    class Scaled(torch.nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.scale = torch.nn.Parameter(torch.tensor(2.0))
            self.table = torch.nn.Embedding(mdp.num_states, mdp.num_actions)  # in single precision
            self.table.weight.requires_grad_(False)

        def forward(self, rows: Any) -> Any:
            return self.scale * self.table(rows)

    mdp, _ = random_problem(2, full=True)
    policy = torch_policy(Scaled(), observations=torch.arange(mdp.num_states)).of(mdp)
    assert policy.parameters == (("scale",),)
    weights = np.random.default_rng(0).normal(size=mdp.available.shape)
    table = policy.module.table.weight.detach().double().numpy()
    assert_allclose(policy.logit_pullback(weights), [np.sum((weights * table)[mdp.available])], rtol=1e-12)


def misuses() -> dict[str, tuple[Callable[[MDP, Any], Any], str]]:
    """Networks that are no policies, and what is said of them."""

    def with_layer(layer: Callable[[Any], Any]) -> Callable[[MDP, Any], Any]:
        return lambda mdp, torch: torch_policy(torch_module(mdp).append(layer(torch)))

    def frozen(mdp: MDP, torch: Any) -> Any:
        return torch_policy(torch_module(mdp).requires_grad_(False))

    def replaced(forward: Callable[[Any, Any], Any]) -> Callable[[MDP, Any], Any]:
        def make(mdp: MDP, torch: Any) -> Any:
            class Other(torch.nn.Module):  # type: ignore[misc]
                def __init__(self) -> None:
                    super().__init__()
                    self.inner = torch_module(mdp)

                def forward(self, rows: Any) -> Any:
                    return forward(self.inner(rows), torch)

            return torch_policy(Other())

        return make

    return {
        "dropout": (with_layer(lambda torch: torch.nn.Dropout(0.5)), r"called again; .* Call model.eval\(\) first"),
        "batch norm": (
            with_layer(lambda torch: torch.nn.BatchNorm1d(2, dtype=torch.float64)), r"other rows .* model.eval\(\)",
        ),
        "nothing to train": (lambda mdp, torch: torch_policy(torch.nn.Tanh()), "Tanh has no parameters to train"),
        "all frozen": (frozen, "all 4 of its parameters have requires_grad=False"),
        "detached": (replaced(lambda x, torch: x.detach()), "do not depend on its parameters"),
        "no module": (lambda mdp, torch: torch_policy(3), "got an int; expected a torch.nn.Module"),
        "a class": (lambda mdp, torch: torch_policy(torch.nn.Linear), "got a type; expected a torch.nn.Module"),
        "transposed": (replaced(lambda x, torch: x.T), r"\[2, 3\] for observations \[3, 3\]; expected \[3, 2\]"),
        "a tuple": (replaced(lambda x, torch: (x, x)), "returned a tuple; expected a tensor of logits"),
        "not finite": (replaced(lambda x, torch: x * torch.inf), "returned -?inf as the logit of 'a0' in 's0'"),
        "too few rows": (
            lambda mdp, torch: torch_policy(torch_module(mdp), np.eye(3)[:2]), r"have shape \[2, 3\]; each of the 3",
        ),
        "too wide": (
            lambda mdp, torch: torch_policy(torch_module(mdp), np.eye(3, 4)), r"of shape \[3, 4\]: RuntimeError",
        ),
        "text": (lambda mdp, torch: torch_policy(torch_module(mdp), ["a", "b", "c"]), "observations hold <U1"),
    }  # fmt: skip


@TORCH
@pytest.mark.parametrize("case", misuses())
def test_what_is_no_policy_is_refused(case: str) -> None:
    import torch

    make, message = misuses()[case]
    transitions = np.full((3, 2, 3), 1 / 3)
    mdp = MDP.from_arrays(transitions, np.ones(3), horizon=2, states=["s0", "s1", "s2"], actions=["a0", "a1"])
    assert torch_policy(torch_module(mdp)).of(mdp).probs().shape == (3, 2)
    with pytest.raises(PolicyError, match=message):
        make(mdp, torch).of(mdp)


@JAX
@pytest.mark.parametrize(
    ("apply", "params", "message"),
    [
        (lambda p, x: x @ p["w"], {"w": np.ones((4, 2))}, r"cannot be called with observations of shape \[3, 3\]"),
        (lambda p, x: x @ p["w"], {"w": np.ones((3, 5))}, r"logits of shape \[3, 5\]"),
        (lambda p, x: (x @ p["w"]).tolist(), {"w": np.ones((3, 2))}, "returned a list; expected an array of logits"),
        (lambda p, x: x @ p["w"], {"w": np.ones((3, 2), dtype=int)}, "parameter 'w' of <lambda> holds int64"),
        (lambda p, x: x, {}, "<lambda> has no parameters to train"),
        (3, {"w": np.ones((3, 2))}, "got an int in place of a function"),
    ],
)
def test_what_is_no_policy_in_jax_is_refused(apply: Any, params: Any, message: str) -> None:
    mdp = MDP.from_arrays(np.full((3, 2, 3), 1 / 3), np.ones(3), horizon=2)
    with pytest.raises(PolicyError, match=message):
        jax_policy(apply, params).of(mdp)


def test_without_torch_or_jax_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    mdp, _ = random_problem(0)
    for module, recipe in (("torch", torch_policy(None)), ("jax", jax_policy(jax_apply, {}))):
        monkeypatch.setitem(sys.modules, module, None)
        with pytest.raises(PolicyError, match=rf"{module}_policy needs {module}: pip install 'pgcheck\[{module}\]'"):
            recipe.of(mdp)
