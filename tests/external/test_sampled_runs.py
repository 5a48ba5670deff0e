"""Runs whose draws come out at random: distributed as the runs that are listed, with other noise in each of them."""

import gc
import math
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import pgcheck
from pgcheck import MDP
from pgcheck.arrays import Floats
from pgcheck.errors import EstimatorError
from pgcheck.external import contents
from pgcheck.external.agent_process import AgentProcess
from pgcheck.external.agent_source import LocalAgent
from pgcheck.external.agents import Agent, AgentFunction
from pgcheck.external.draws.drawn import DrawnAnswers
from pgcheck.external.opening import opened
from pgcheck.external.run import Variation
from pgcheck.external.sample import Sample
from pgcheck.external.wire import MalformedAnswerError
from tests.external.draws.listing import distance
from tests.external.looping import THETA, expected
from tests.external.test_agent_process import written

# ruff: noqa: NPY002 - the legacy functions are what is tested

pytestmark = pytest.mark.gymnasium

SAMPLED = Variation(sampled=True)
OWN = np.random.default_rng(0)  # generators that exist before the run
OWN_LEGACY, OWN_RANDOM = np.random.RandomState(0), random.Random(0)

Choose = Callable[[list[float]], int]
Noise = Callable[[], float]


@pytest.fixture(scope="module")
def mdp() -> MDP:
    return pgcheck.load("two_state")[0]


def sampled(function: AgentFunction, mdp: MDP, count: int, *, seed: int = 0, first: int = 0) -> Sample:
    source = LocalAgent(function)
    source.begin(mdp, SAMPLED)
    return source.sample(seed, first, count, 600.0)


def reinforcing(chooser: Callable[[Any], Choose]) -> AgentFunction:
    """REINFORCE on a table in NumPy, whose actions are drawn by what `chooser` returns."""

    def made(env: Any) -> Agent:
        theta, choose = THETA.copy(), chooser(env)

        def update() -> Floats:
            observation, _ = env.reset()
            gradient, returns, factor, over = np.zeros_like(theta), 0.0, 1.0, False
            while not over:
                probs = np.exp(theta[observation]) / np.exp(theta[observation]).sum()
                action = choose(probs.tolist())
                gradient[observation] -= probs
                gradient[observation, action] += 1.0
                observation, reward, terminated, truncated, _ = env.step(action)
                returns, factor = returns + factor * reward, factor * env.unwrapped.gamma
                over = terminated or truncated
            return returns * gradient

        return Agent(logits=lambda table, observations: table[observations], parameters=theta, update=update)

    return AgentFunction(made)


def by_numpy(env: Any) -> Choose:
    rng = np.random.default_rng(0)
    return lambda probs: int(rng.choice(2, p=probs))


def by_random(env: Any) -> Choose:
    return lambda probs: random.choices([0, 1], weights=probs)[0]


def by_torch(env: Any) -> Choose:
    import torch

    return lambda probs: int(torch.distributions.Categorical(torch.tensor(probs, dtype=torch.float64)).sample())


def by_jax(env: Any) -> Choose:
    import jax

    keys = iter(jax.random.split(jax.random.key(0), 8))
    return lambda probs: int(jax.random.categorical(next(keys), np.log(probs)))


def by_uniform(env: Any) -> Choose:
    """A draw that cannot be listed, and that comes to the same."""
    return lambda probs: int(np.random.rand() > probs[0])


def by_space(env: Any) -> Choose:
    """Rejects an action as often as it is too likely."""

    def choose(probs: list[float]) -> int:
        while True:
            action = int(env.action_space.sample())
            if random.random() * max(probs) < probs[action]:
                return action

    return choose


@pytest.mark.parametrize(
    "chooser",
    [
        by_numpy,
        by_random,
        by_uniform,
        by_space,
        pytest.param(by_torch, marks=pytest.mark.torch),
        pytest.param(by_jax, marks=pytest.mark.jax),
    ],
)
def test_the_mean_of_runs_is_their_expectation(chooser: Callable[[Any], Choose], mdp: MDP) -> None:
    gradients = sampled(reinforcing(chooser), mdp, 300 if chooser is by_jax else 600).gradients
    error = gradients.std(axis=0, ddof=1) / math.sqrt(len(gradients))
    truth = expected(mdp)
    assert np.all(np.abs(gradients.mean(axis=0) - truth) <= 5 * error + 1e-12)
    assert np.linalg.norm(error) < 0.4 * np.linalg.norm(
        truth
    )  # and it would show if the draws had other probabilities


def test_other_probabilities_show(mdp: MDP) -> None:
    def uniformly(env: Any) -> Choose:
        return lambda probs: int(env.action_space.sample())

    gradients = sampled(reinforcing(uniformly), mdp, 1000).gradients
    error = gradients.std(axis=0, ddof=1) / math.sqrt(len(gradients))
    assert np.any(np.abs(gradients.mean(axis=0) - expected(mdp)) > 5 * error + 1e-12)


def noisy(making: Callable[[], Noise]) -> AgentFunction:
    """An agent whose gradient is two numbers of noise; `making` is called where the agent is made."""

    def made(env: Any) -> Agent:
        theta, noise = THETA.copy(), making()

        def update() -> Floats:
            env.reset()
            env.step(0)
            return np.array([[noise(), noise()], [0.0, 0.0], [0.0, 0.0]])

        return Agent(logits=lambda table, observations: table[observations], parameters=theta, update=update)

    return AgentFunction(made)


def in_update(noise: Noise) -> Callable[[], Noise]:
    return lambda: noise


def numpy_seeded_again() -> Noise:
    np.random.seed(3)
    return lambda: float(np.random.rand())


def numpy_seeded_in_update() -> float:
    np.random.seed(3)
    return float(np.random.rand())


def random_seeded_in_update() -> float:
    random.seed(3)
    return random.random()


def own_of_random_seeded_in_update() -> Noise:
    own = random.Random()

    def noise() -> float:
        own.seed(3)
        return own.random()

    return noise


def torch_seeded_in_update() -> float:
    import torch

    torch.manual_seed(3)
    return float(torch.rand((), dtype=torch.float64))


def by_global_torch() -> Noise:
    import torch

    torch.manual_seed(3)
    return lambda: float(torch.rand((), dtype=torch.float64))


def by_generator_of_torch() -> Noise:
    import torch

    own = torch.Generator().manual_seed(0)
    return lambda: float(torch.rand((), generator=own, dtype=torch.float64))


def by_dropout() -> Noise:
    import torch

    return lambda: float(torch.nn.functional.dropout(torch.linspace(0, 1, 10_001), 0.5).mean())


def by_key() -> Noise:
    import jax

    key, calls = jax.random.PRNGKey(0), iter(range(2))
    return lambda: float(jax.random.uniform(jax.random.fold_in(key, next(calls))))


def by_keys_of_rows() -> Noise:
    import jax

    keys = iter(jax.random.split(jax.random.key(0), 4).reshape(2, 2))
    return lambda: float(jax.vmap(jax.random.uniform)(next(keys)).mean())


def generator_in_update() -> float:
    return float(np.random.default_rng(0).random())


def normal_of_random() -> Noise:
    own = random.Random(0)
    own.gauss()  # the next number is held back
    return lambda: 0.5 + 0.1 * own.gauss()


def normal_of_numpy() -> Noise:
    own = np.random.RandomState(0)
    own.randn()
    return lambda: 0.5 + 0.1 * float(own.randn())


def generator_of(own: Any) -> Callable[[], Noise]:
    return in_update(lambda: float(own.random()))


TORCH, JAX = pytest.mark.torch, pytest.mark.jax
UNIFORM, NORMAL, OTHER = 1 / 12, 0.01, None  # variances
SAME = "the same number twice"  # as seeds are set again before each
NOISES: dict[str, tuple[Callable[[], Noise], float | None, Any, Any]] = {
    "numpy": (numpy_seeded_again, UNIFORM, None, ()),
    "numpy, seeded in the update": (in_update(numpy_seeded_in_update), UNIFORM, SAME, ()),
    "a Generator": (lambda: np.random.default_rng(0).random, UNIFORM, None, ()),
    "a Generator without a seed": (lambda: np.random.default_rng().random, UNIFORM, None, ()),
    "a Generator of the update": (in_update(generator_in_update), UNIFORM, SAME, ()),
    "a Generator that exists": (generator_of(OWN), UNIFORM, None, ()),
    "a RandomState": (lambda: np.random.RandomState(0).rand, UNIFORM, None, ()),
    "a RandomState that exists": (in_update(lambda: float(OWN_LEGACY.rand())), UNIFORM, None, ()),
    "a normal number of a RandomState": (normal_of_numpy, NORMAL, None, ()),
    "random": (in_update(lambda: random.random()), UNIFORM, None, ()),
    "random, seeded in the update": (in_update(random_seeded_in_update), UNIFORM, SAME, ()),
    "a Random": (lambda: random.Random(0).random, UNIFORM, None, ()),
    "a Random that exists": (generator_of(OWN_RANDOM), UNIFORM, None, ()),
    "a Random, seeded in the update": (own_of_random_seeded_in_update, UNIFORM, SAME, ()),
    "a normal number of a Random": (normal_of_random, NORMAL, None, ()),
    "torch": (by_global_torch, UNIFORM, None, TORCH),
    "torch, seeded in the update": (in_update(torch_seeded_in_update), UNIFORM, SAME, TORCH),
    "a generator of torch": (by_generator_of_torch, UNIFORM, None, TORCH),
    "dropout": (by_dropout, OTHER, None, TORCH),
    "jax": (by_key, UNIFORM, None, JAX),
    "jax, many keys at once": (by_keys_of_rows, UNIFORM / 2, None, JAX),
}


@pytest.fixture
def all_seen() -> Iterator[None]:
    """Lets the collector see what conftest freezes, as the generators of this file."""
    gc.unfreeze()
    yield
    gc.freeze()


@pytest.mark.usefixtures("all_seen")
@pytest.mark.parametrize(
    ("making", "variance", "same"),
    [pytest.param(*case, marks=marks, id=name) for name, (*case, marks) in NOISES.items()],
)
def test_each_run_has_other_noise_and_has_it_again(
    making: Callable[[], Noise], variance: float | None, same: Any, mdp: MDP
) -> None:
    agent = LocalAgent(noisy(making))
    agent.begin(mdp, SAMPLED)

    def numbers(seed: int, first: int, count: int) -> Floats:
        return agent.sample(seed, first, count, 600.0).gradients[:, :2]

    drawn = numbers(0, 0, 120)
    assert len(np.unique(drawn[:, 0])) == 120
    assert np.abs(drawn.mean() - 0.5) < 5 * math.sqrt((variance or 1e-4) / 120)
    if variance is not None:
        assert drawn.var() == pytest.approx(variance, rel=0.5)
    assert np.array_equal(drawn[:, 0], drawn[:, 1]) == (same is SAME)
    # By the seed and the number alone, however calls are cut.
    assert np.array_equal(numbers(0, 40, 3), drawn[40:43])
    assert not np.any(numbers(1, 0, 3)[:, 0] == drawn[:3, 0])


@pytest.mark.usefixtures("all_seen")
def test_what_exists_has_its_states_back(mdp: MDP) -> None:
    def states() -> list[str]:
        things: list[Any] = [OWN.bit_generator.state, OWN_LEGACY.get_state(), np.random.get_state()]
        return [repr(it) for it in (*things, OWN_RANDOM.getstate(), random.getstate())]

    def making() -> Noise:
        return lambda: OWN.random() + OWN_LEGACY.rand() + OWN_RANDOM.random() + np.random.rand() + random.random()

    before = states()
    sampled(noisy(making), mdp, 3)
    assert states() == before


@pytest.mark.torch
def test_weights_that_the_update_makes_begin_alike(mdp: MDP) -> None:
    """Although the run has other noise, before and after they are made, and sets a seed in between."""
    import torch

    def made(env: Any) -> Agent:
        nets: list[Any] = []

        def update() -> None:
            torch.rand(())
            torch.manual_seed(1)
            nets.append(torch.nn.Embedding(3, 2, dtype=torch.float64))
            state, _ = env.reset()
            env.step(0)
            loss = -nets[0](torch.as_tensor(state)).sum() * torch.rand((), dtype=torch.float64)
            optimizer = torch.optim.SGD(nets[0].parameters(), lr=0.1)
            loss.backward()
            optimizer.step()

        return Agent(logits=lambda states: nets[0](states), parameters=lambda: nets[0].parameters(), update=update)

    drawn = sampled(AgentFunction(made), mdp, 30).gradients
    assert len(np.unique(drawn.max(axis=1))) == 30


def sets_too_large_to_list(_: Any) -> Iterator[float]:
    rng = np.random.default_rng(0)
    yield float(rng.integers(2**40)) / 2**40
    yield float(np.random.randint(2**31 - 1)) / 2**31
    yield random.randrange(10**30) / 10**30
    yield random.SystemRandom().random()
    yield float(rng.binomial(3000, 0.5)) / 3000
    yield float(rng.hypergeometric(5000, 5000, 3000)) / 3000


def test_what_is_too_large_to_be_listed_is_drawn(mdp: MDP) -> None:
    def making() -> Noise:
        return lambda: float(np.mean(list(sets_too_large_to_list(None))))

    drawn = sampled(noisy(making), mdp, 100).gradients[:, 0]
    assert abs(drawn.mean() - 0.5) < 0.06
    assert drawn.std() > 0.05


def test_answers_are_drawn_by_their_probabilities() -> None:
    probs = [0.5, 0.0, 0.3, 0.2]
    drawn = [DrawnAnswers(5, k) for k in range(4000)]
    laws: list[tuple[Callable[[DrawnAnswers], Any], dict[Any, float]]] = [
        (lambda it: it.choose(probs), {0: 0.5, 2: 0.3, 3: 0.2}),
        (lambda it: it.uniform(5), dict.fromkeys(range(5), 0.2)),
        (lambda it: str(it.permutation(3)), {str(list(order)): 1 / 6 for order in orders(3)}),
        (lambda it: str(it.subset(3, 2)), {str(list(order[:2])): 1 / 6 for order in orders(3)}),
    ]
    for draw, law in laws:
        assert distance([draw(it) for it in drawn], law) < 5


def orders(n: int) -> list[tuple[int, ...]]:
    import itertools

    return list(itertools.permutations(range(n)))


@pytest.mark.torch
def test_what_no_run_may_do_is_an_error_here_too(mdp: MDP) -> None:
    import torch

    def wrong() -> float:
        return float(torch.multinomial(torch.tensor([0.5, 0.5]), 3)[0])

    with pytest.raises(EstimatorError, match="3 draws without replacement"):
        sampled(noisy(in_update(wrong)), mdp, 1)


def test_runs_without_a_number_are_told(mdp: MDP) -> None:
    def made(env: Any) -> Agent:
        def update() -> Any:
            env.reset()
            env.step(0)
            kind = np.random.rand()
            return None if kind < 0.3 else np.full_like(THETA, np.nan if kind < 0.6 else 1.0)

        return Agent(logits=lambda table, states: table[states], parameters=THETA.copy(), update=update)

    sample = sampled(AgentFunction(made), mdp, 100)
    lost = np.isnan(sample.gradients).all(axis=1)
    assert 10 < sample.without.sum() < 50
    assert 10 < lost.sum() < 50
    assert np.all(sample.gradients[sample.without] == 0)
    assert np.all(sample.gradients[~lost & ~sample.without] == 1)


def test_a_process_shows_the_same_runs(tmp_path: Path, mdp: MDP) -> None:
    spec = written(
        tmp_path, "gradient = gradient * np.random.rand() if np.random.rand() < 0.9 else gradient * np.nan"
    )
    with opened(spec, timeout=60.0) as agent:
        assert isinstance(agent, AgentProcess)
        assert agent.begin(mdp, SAMPLED).rehearsal.count is None
        whole = agent.sample(7, 0, 20, 60.0)
        assert len(agent.sample(7, 0, 20, 0.0)) == 1
        part = agent.sample(7, 15, 5, 60.0)
    assert np.isnan(whole.gradients).any()
    assert np.array_equal(whole.gradients[15:], part.gradients, equal_nan=True)
    from pgcheck.external.loading import load

    here = sampled(load(spec), mdp, 20, seed=7)  # type: ignore[arg-type]
    assert np.array_equal(whole.gradients, here.gradients, equal_nan=True)
    assert whole.episodes == here.episodes


def test_what_is_no_sample_is_not_read(mdp: MDP) -> None:
    def read(fields: dict[str, Any], *arrays: Any) -> Sample:
        left = iter(arrays)

        def take(shape: tuple[int, ...]) -> Floats:
            array = np.asarray(next(left), dtype=np.float64)
            if array.shape != shape:
                raise MalformedAnswerError
            return array

        return contents.sample_on(mdp, 2, 3)(fields, take)

    flags, none = np.zeros((3, 1)), np.zeros(0)
    fields = {"runs": 1, "numbers": 1}
    assert len(read(fields, [[1.0, 2.0]], flags, [0.0])) == 1
    for bad in (
        ({"runs": 0, "numbers": 0}, np.zeros((0, 2)), np.zeros((3, 0)), none),
        ({"runs": 4, "numbers": 4}, np.zeros((4, 2)), np.zeros((3, 4)), np.zeros(4)),
        (fields, [[1.0, np.nan]], flags, [0.0]),  # a part of a row
        (fields, [[1.0, np.inf]], flags, [0.0]),
        (fields, [[1.0, 2.0]], flags + 0.5, [0.0]),
        (fields, [[1.0, 2.0]], flags + 1.0, [0.0]),  # none computed, but a number
        (fields, [[1.0, 2.0]], flags, [1.0]),  # an episode that is not there
        (fields, [[1.0, 2.0]], flags, [np.nan]),
    ):
        with pytest.raises(MalformedAnswerError):
            read(*bad)
