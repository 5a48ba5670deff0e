"""A model that is written and read again, as YAML or as arrays, is the same model, bit for bit."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

from pgcheck import MDP, Linear, TabularSoftmax, TooLargeError, UsageError
from pgcheck.formats import nodes, sources
from pgcheck.formats.arrays.writing import model_arrays
from pgcheck.formats.loading import load_model
from pgcheck.formats.modelfile import Model, loads
from pgcheck.formats.problems import hidden
from pgcheck.formats.words import name_text, number_text
from pgcheck.formats.writing import model_text
from tests.problems import random_linear, random_problem, with_objective

MODELS = Path(__file__).resolve().parent / "models"
FILES = [*sorted((MODELS / "unusual").glob("*.yaml")), *sorted(sources.bundled_directory().glob("*.yaml"))]
ARRAYS = ("start", "terminal", "observation", "state", "action", "next_state", "prob", "reward", "done", "reference")
CHARACTERS = st.characters(exclude_categories=["Cs"])
NAMES = st.text(CHARACTERS, min_size=1, max_size=8).filter(lambda text: not hidden(text))


def same(one: Model, other: Model) -> None:
    a, b = one.mdp, other.mdp
    assert (a.name, a.states, a.actions, a.observations) == (b.name, b.states, b.actions, b.observations)
    assert (a.horizon, a.is_endless, a.gamma, a.entropy, a.kl) == (b.horizon, b.is_endless, b.gamma, b.entropy, b.kl)
    for name in ARRAYS:
        x, y = getattr(a, name), getattr(b, name)
        assert (x is None) == (y is None)
        assert x is None or (x.dtype == y.dtype and x.tobytes() == y.tobytes()), name
    for role in ("policy", "behavior", "reference"):
        p, q = getattr(one, role), getattr(other, role)
        assert type(p) is type(q), role
        if p is not None:
            assert p.parameters == q.parameters
            assert_array_equal(p.theta, q.theta)
            assert_array_equal(p.probs(), q.probs())
        if isinstance(p, Linear):
            assert_array_equal(p.features, q.features)


def through_both(model: Model, folder: Path) -> None:
    """Writes and reads a model in both forms, and one from the other."""
    text = model_text(model, ["a comment", "another\nof two lines"])
    same(model, loads(text))
    path = folder / "m.npz"
    path.write_bytes(model_arrays(model))
    arrays = load_model(path)
    same(model, arrays)
    assert model_text(arrays, ["a comment", "another\nof two lines"]) == text


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_model_file_written_anew_is_the_same_model(path: Path, tmp_path: Path) -> None:
    through_both(load_model(path), tmp_path)


def with_names(mdp: MDP, states: list[str], actions: list[str]) -> MDP:
    """The MDP with other names of states and actions, and observations that are called like some of the states."""
    seen = [states[s] for s in np.unique(mdp.observation, return_index=True)[1]]
    sights = [seen[o] for o in mdp.observation]
    number = {name: i for i, name in enumerate(dict.fromkeys(sights))}
    return replace(
        mdp, states=tuple(states), actions=tuple(actions), observations=tuple(number),
        observation=np.array([number[sight] for sight in sights]),
    )  # fmt: skip


@settings(deadline=None)
@given(seed=st.integers(0, 2**32), data=st.data())
def test_any_model_comes_back(seed: int, data: st.DataObject, tmp_path_factory: pytest.TempPathFactory) -> None:
    rng = np.random.default_rng(seed)
    mdp, _ = random_problem(seed, aliased=bool(rng.random() < 0.5))
    states = data.draw(st.lists(NAMES, min_size=mdp.num_states, max_size=mdp.num_states, unique=True))
    actions = data.draw(st.lists(NAMES, min_size=mdp.num_actions, max_size=mdp.num_actions, unique=True))
    mdp = with_names(replace(mdp, name=data.draw(NAMES), reward=rng.normal(size=len(mdp.reward))), states, actions)
    plain = TabularSoftmax.of(mdp)

    def policy() -> TabularSoftmax:
        return replace(plain, theta=rng.normal(size=len(plain.theta)) * 10.0 ** rng.integers(-9, 9))

    reference = None
    if rng.random() < 0.5:
        reference = policy()
        finite = bool(np.all(reference.probs()[mdp.state, mdp.action]))
        mdp = replace(mdp, entropy=0.1, kl=float(rng.random()) * finite, reference=reference.probs())
    behavior = policy() if rng.random() < 0.5 else None
    through_both(Model(mdp, policy(), behavior, reference), tmp_path_factory.mktemp("models"))


@pytest.mark.parametrize("seed", range(20))
def test_linear_policies_come_back(seed: int, tmp_path: Path) -> None:
    mdp, policy = random_linear(seed)
    sights = tuple(dict.fromkeys(mdp.observations[o] for o in mdp.observation))
    number = {name: i for i, name in enumerate(sights)}
    mdp = replace(
        mdp, observations=sights, observation=np.array([number[mdp.observations[o]] for o in mdp.observation])
    )
    through_both(Model(mdp, policy, policy), tmp_path)


def test_rows_of_many_outcomes_come_back_bit_for_bit(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    table = rng.dirichlet(np.ones(200), size=(200, 1))
    start = rng.dirichlet(np.ones(200))
    mdp = MDP.from_arrays(table, rng.normal(size=200), horizon=3, gamma=0.9, start=start)
    path = tmp_path / "m.npz"
    path.write_bytes(model_arrays(Model(mdp, TabularSoftmax.of(mdp), None)))
    same(Model(replace(mdp, name="arrays"), TabularSoftmax.of(mdp), None), load_model(path))


def test_a_model_that_states_what_is_terminal_keeps_its_absorbing_states(tmp_path: Path) -> None:
    text = "{horizon: 3, states: 2, actions: 1, start: 0, transitions: {0: {0: {to: 1, reward: 1}}, 1: {0: 1}}}"
    model = loads(text, "m.yaml")
    assert not model.mdp.terminal.any()
    through_both(model, tmp_path)


def test_no_horizon_stays_none_in_place_of_its_cut() -> None:
    model = load_model("two_state", horizon=np.inf)
    assert model.mdp.horizon < 10**15
    text = model_text(model)
    assert "\nhorizon: inf\n" in text
    assert loads(text).mdp.is_endless


@pytest.mark.parametrize(
    ("name", "written"),
    [
        ("no", "no"), ("1:2", "1:2"), ("~", "~"), ("007", "007"), ("a b", "a b"), ("-1", "-1"), ("a#b", "a#b"),
        ("=", "="), ("über", "über"), ("日本", "日本"), ("it's", "it's"), ("<", "<"), ("true", "true"),
        ("a: b", "'a: b'"), ("a #b", "'a #b'"), (" a", "' a'"), ("a ", "'a '"), ("-", "'-'"), ("- a", "'- a'"),
        ("a:", "'a:'"), ("(1, 2)", "'(1, 2)'"), ("[a]", "'[a]'"), ("'a'", "'''a'''"), ('"', "'\"'"), ("@a", "'@a'"),
        ("<<", "'<<'"), ("? a", "'? a'"), ("%", "'%'"), ("&a", "'&a'"), ("*a", "'*a'"), ("!a", "'!a'"), ("|", "'|'"),
        ("{", "'{'"), ("#", "'#'"), ("`", "'`'"), ("\ufffe", '"\\U0000fffe"'),
    ],
)  # fmt: skip
def test_a_name_is_quoted_only_where_it_needs_to_be(name: str, written: str) -> None:
    assert name_text(name) == written


LOADERS = [yaml.SafeLoader, *([yaml.CSafeLoader] if hasattr(yaml, "CSafeLoader") else [])]


@settings(deadline=None, max_examples=300)
@given(st.one_of(NAMES, st.text("-?:,[]{}#&*!|>'\"%@` ~<.a0", min_size=1, max_size=6)))
def test_a_written_name_is_read_as_itself_wherever_it_stands(name: str) -> None:
    text = name_text(name)
    for loader in LOADERS:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(nodes, "_LOADER", loader)
            for form in (
                "x:\n  NAME: NAME",
                "x: [NAME, NAME]",
                "x: {NAME: NAME, y: NAME}",
                "x:\n  - NAME",
                "x: {to: NAME}",
            ):
                words = [node.text for node in scalars(nodes.parse(form.replace("NAME", text), "f"))]
                assert words.count(name) >= form.count("NAME"), form


def scalars(node: nodes.Node) -> list[nodes.Scalar]:
    if isinstance(node, nodes.Scalar):
        return [node]
    return [scalar for item in node.items for scalar in scalars(item)]


def test_names_of_the_greatest_length_come_back(tmp_path: Path) -> None:
    names = ["'" * 1000, "x" * 1000, '"' * 999 + ":", "'\"" * 500, "\ufffe" * 1000]
    text = "{horizon: 2, states: [s], actions: [a], start: s, transitions: {s: {a: s}}}"
    plain = loads(text).mdp
    for name in names:
        mdp = replace(plain, states=(name,), actions=(name,), observations=(name,))
        through_both(Model(mdp, TabularSoftmax.of(mdp, {(name, name): 0.5}), None), tmp_path)
    linear = Linear(np.array([0.5]), ((names[0],),), np.ones((1, 1, 1)), np.ones((1, 1), dtype=np.bool_))
    through_both(Model(replace(plain, states=("q",), observations=("q",)), linear, None), tmp_path)


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_numbers_come_back_bit_for_bit(value: float) -> None:
    assert float(number_text(value)) == value
    assert number_text(0.25) == "0.25"
    assert number_text(-3.0) == "-3"


def test_what_a_model_file_cannot_hold_is_refused(two_state: tuple[MDP, TabularSoftmax]) -> None:
    class Network:
        theta, parameters = np.zeros(1), (("w",),)

    model = Model(two_state[0], Network())  # type: ignore[arg-type]
    for written in (model_text, model_arrays):
        with pytest.raises(UsageError, match=r"^policy: a network is not written to a file"):
            written(model)
    size, none = 1_000_001, np.zeros(0, dtype=np.int64)
    mdp = MDP(
        "large", tuple(map(str, range(size))), ("a",), 1, 1.0, np.eye(1, size)[0], np.ones(size, dtype=np.bool_),
        ("x",), np.zeros(size, dtype=np.int64), none, none, none, np.zeros(0), np.zeros(0), none != 0,
    )  # fmt: skip
    with pytest.raises(TooLargeError, match="1,000,001 states and 0 outcomes are more than a model file can hold"):
        model_text(Model(mdp, TabularSoftmax.of(mdp), None))


def test_an_objective_comes_back(tmp_path: Path) -> None:
    mdp, policy = random_problem(3)
    sights = tuple(dict.fromkeys(mdp.observations[o] for o in mdp.observation))
    assert sights == mdp.observations
    entropy_alone = replace(with_objective(mdp, 3, 0.25, 0.0), reference=None)
    through_both(Model(entropy_alone, policy, None), tmp_path)
