import contextlib
import copy
import gc
import math
import pickle
import sys
import types
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import permutations
from typing import Any

import numpy as np
import pytest
from numpy.random import choice as named_choice
from numpy.random import default_rng as named_default_rng

from pgcheck.external.draws import of_numpy
from pgcheck.external.draws.answers import Answers, answered_by
from pgcheck.external.draws.endings import UnanswerableError
from pgcheck.external.draws.numpy_generators import AnsweringGenerator, AnsweringRandomState
from pgcheck.external.draws.patches import replaced, with_aliases
from tests.external.draws.listing import distance, law, same_kind, tilted

# ruff: noqa: NPY002 - the legacy functions are what is tested
Draw = Callable[[Any], Any]
TABLE = np.arange(6).reshape(3, 2)
P = np.array([0.5, 0.2, 0.0, 0.3])


def shuffled(g: Any, x: Any, *axis: int) -> Any:
    g.shuffle(x, *axis)
    return x


BOTH: dict[str, Draw] = {
    "choice": lambda g: g.choice(4),
    "choice p": lambda g: g.choice(4, p=P),
    "choice p list": lambda g: g.choice(4, p=[0.1, 0.2, 0.3, 0.4]),
    "choice single precision": lambda g: g.choice(3, p=np.array([0.2, 0.5, 0.3], np.float32)),
    "choice names": lambda g: g.choice(["a", "b", "c"]),
    "choice array": lambda g: g.choice(np.array([1.5, 2.5]), p=[0.3, 0.7]),
    "choice size": lambda g: g.choice(3, 2),
    "choice shape": lambda g: g.choice([5, 7], size=(2, 2), p=[0.25, 0.75]),
    "choice size ()": lambda g: g.choice(5, size=()),
    "choice array size ()": lambda g: g.choice([5.0, 6.0], size=()),
    "choice none": lambda g: g.choice(3, size=0),
    "choice subset": lambda g: g.choice(4, 2, replace=False),
    "choice one of a subset": lambda g: g.choice(4, replace=False),
    "choice subset p": lambda g: g.choice(4, 2, False, [0.4, 0.3, 0.2, 0.1]),
    "choice subset zero": lambda g: g.choice(["a", "b", "c", "d"], size=3, replace=False, p=P),
    "choice numpy integer": lambda g: g.choice(np.int64(3)),
    "choice objects": lambda g: g.choice(np.array([None, "x"], dtype=object), size=2),
    "permutation": lambda g: g.permutation(4),
    "permutation list": lambda g: g.permutation([3, 1, 2]),
    "permutation table": lambda g: g.permutation(TABLE),
    "permutation small": lambda g: g.permutation(np.array([1, 2, 3], np.int8)),
    "permutation numpy integer": lambda g: g.permutation(np.int32(3)),
    "shuffle": lambda g: shuffled(g, np.arange(4)),
    "shuffle table": lambda g: shuffled(g, TABLE.copy()),
    "shuffle list": lambda g: shuffled(g, ["a", "b", "c"]),
    "shuffle view": lambda g: shuffled(g, np.arange(8)[::2]),
    "binomial": lambda g: g.binomial(3, 0.3),
    "binomial size": lambda g: g.binomial(2, 0.4, size=2),
    "binomial arrays": lambda g: g.binomial([1, 2], [[0.2], [0.9]]),
    "binomial certain": lambda g: g.binomial(3, 1.0),
    "multinomial": lambda g: g.multinomial(3, [0.2, 0.5, 0.3]),
    "multinomial size": lambda g: g.multinomial(2, [0.4, 0.6], size=2),
    "multinomial zero": lambda g: g.multinomial(2, [0.5, 0.5, 0.0]),
    "hypergeometric": lambda g: g.hypergeometric(3, 2, 2),
    "hypergeometric arrays": lambda g: g.hypergeometric([3, 1], 2, 2),
}
GENERATOR: dict[str, Draw] = BOTH | {
    "integers": lambda g: g.integers(5),
    "integers from": lambda g: g.integers(-2, 2),
    "integers numpy": lambda g: g.integers(np.int64(3)),
    "integers endpoint": lambda g: g.integers(1, 3, endpoint=True),
    "integers size": lambda g: g.integers(0, 2, size=(2, 2)),
    "integers arrays": lambda g: g.integers([0, 5], [[6], [7]]),
    "integers int": lambda g: g.integers(3, dtype=int),
    "integers dtype": lambda g: g.integers(3, size=2, dtype=np.dtype("int64")),
    "integers bool": lambda g: g.integers(0, 1, endpoint=True, dtype=bool),
    "integers uint8": lambda g: g.integers(250, 255, size=2, dtype=np.uint8),
    "integers int32": lambda g: g.integers(4, dtype=np.int32),
    "choice rows": lambda g: g.choice(TABLE),
    "choice columns": lambda g: g.choice(TABLE, 2, axis=1),
    "choice column": lambda g: g.choice(TABLE, axis=1, p=[0.3, 0.7]),
    "choice unshuffled": lambda g: g.choice(5, 3, replace=False, shuffle=False),
    "permutation columns": lambda g: g.permutation(TABLE, axis=1),
    "shuffle columns": lambda g: shuffled(g, TABLE.copy(), 1),
    "permuted": lambda g: g.permuted(np.arange(4).reshape(2, 2)),
    "permuted rows": lambda g: g.permuted(TABLE, axis=1),
    "permuted columns": lambda g: g.permuted(TABLE, axis=0),
    "permuted last": lambda g: g.permuted(TABLE, axis=-1),
    "permuted list": lambda g: g.permuted([1, 2, 3]),
    "multinomial rows": lambda g: g.multinomial([1, 2], [[0.2, 0.8], [0.5, 0.5]]),
}
LEGACY: dict[str, Draw] = BOTH | {
    "randint": lambda g: g.randint(5),
    "randint from": lambda g: g.randint(-2, 2),
    "randint size": lambda g: g.randint(0, 2, size=(2, 2)),
    "randint arrays": lambda g: g.randint([1, 2], [[3], [4]]),
    "randint float": lambda g: g.randint(3.0),
    "randint int8": lambda g: g.randint(4, dtype=np.int8),
    "randint bool": lambda g: g.randint(0, 2, dtype=bool),
    "random_integers": lambda g: g.random_integers(3),
}
CASES = [
    *(pytest.param(AnsweringGenerator(np.random.PCG64(1)), np.random.default_rng(2), d, id=f"Generator {n}")
      for n, d in GENERATOR.items()),
    *(pytest.param(AnsweringRandomState(1), np.random.RandomState(2), d, id=f"RandomState {n}")
      for n, d in LEGACY.items()),
]  # fmt: skip


@pytest.fixture(autouse=True)
def _forgotten() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="This function is deprecated", category=DeprecationWarning)
        yield
    of_numpy.forget()


@pytest.mark.parametrize(("answering", "real", "draw"), CASES)
def test_the_answers_have_the_law_of_numpys_draws(answering: Any, real: Any, draw: Draw) -> None:
    expected = law(lambda: draw(answering))
    assert math.fsum(expected.values()) == pytest.approx(1, abs=1e-12)
    samples = [draw(real) for _ in range(2000)]
    assert distance(samples, expected) < 5
    if 200 < max(expected.values()) * 2000 < 2000:
        assert distance(samples, tilted(expected)) > 5


@pytest.mark.parametrize(("answering", "real", "draw"), CASES)
def test_an_answer_has_the_type_the_shape_and_the_dtype_of_numpys(answering: Any, real: Any, draw: Draw) -> None:
    with answered_by(Answers()):
        made = draw(answering)
    assert same_kind(made, draw(real))


@pytest.mark.parametrize(("answering", "real", "draw"), CASES)
def test_an_answering_generator_draws_as_numpys_does_where_no_run_is_under_way(
    answering: Any, real: Any, draw: Draw
) -> None:
    del answering
    ours: Any = AnsweringRandomState(7) if isinstance(real, np.random.RandomState) else of_numpy.default_rng(7)
    numpys: Any = np.random.RandomState(7) if isinstance(real, np.random.RandomState) else np.random.default_rng(7)
    assert np.array_equal(draw(ours), draw(numpys))


BAD: list[tuple[Any, Any, Draw]] = [
    (answering, real, draw)
    for answering, real in (
        (AnsweringGenerator(np.random.PCG64(1)), np.random.default_rng(2)),
        (AnsweringRandomState(1), np.random.RandomState(2)),
    )
    for draw in (
        lambda g: g.choice(0),
        lambda g: g.choice([]),
        lambda g: g.choice(1.5),
        lambda g: g.choice(3, p=[0.5, 0.4, 0.2]),
        lambda g: g.choice(3, p=[0.5, 0.5]),
        lambda g: g.choice(3, p=[1.5, -0.5, 0]),
        lambda g: g.choice(2, p=[math.nan, 1]),
        lambda g: g.choice(3, 4, replace=False),
        lambda g: g.choice(3, 2, replace=False, p=[1, 0, 0]),
        lambda g: g.choice(3, size=-1),
        lambda g: g.permutation(1.5),
        lambda g: g.shuffle(np.array(1)),
        lambda g: g.shuffle((1, 2)),
        lambda g: g.shuffle(np.broadcast_to(1, 3)),
        lambda g: g.binomial(-1, 0.5),
        lambda g: g.binomial(2, 1.5),
        lambda g: g.multinomial(2, [0.9, 0.9, 0.1]),
        lambda g: g.hypergeometric(1, 1, 3),
        lambda g: g.choice(),
    )
] + [
    (AnsweringGenerator(np.random.PCG64(1)), np.random.default_rng(2), lambda g: g.integers(0)),
    (AnsweringGenerator(np.random.PCG64(1)), np.random.default_rng(2), lambda g: g.integers(3, dtype=float)),
    (AnsweringGenerator(np.random.PCG64(1)), np.random.default_rng(2), lambda g: g.integers(300, dtype=np.uint8)),
    (AnsweringGenerator(np.random.PCG64(1)), np.random.default_rng(2), lambda g: g.shuffle([1, 2], axis=1)),
    (AnsweringGenerator(np.random.PCG64(1)), np.random.default_rng(2), lambda g: g.shuffle(np.zeros((2, 2)), axis=2)),
    (AnsweringGenerator(np.random.PCG64(1)), np.random.default_rng(2), lambda g: g.permuted(np.zeros(2), axis=1)),
    (AnsweringRandomState(1), np.random.RandomState(2), lambda g: g.randint(3, 3)),
]


@pytest.mark.parametrize(("answering", "real", "draw"), BAD)
def test_wrong_arguments_raise_numpys_own_errors(answering: Any, real: Any, draw: Draw) -> None:
    with pytest.raises(Exception) as numpys:  # noqa: PT011 - whatever NumPy raises
        draw(real)
    answers = Answers()
    with answered_by(answers), pytest.raises(type(numpys.value)) as ours:
        draw(answering)
    assert answers.fault is None
    name = str(ours.value).replace("Answering", "")
    assert name == str(numpys.value) or "missing 1 required positional argument" in name


def test_permuted_writes_where_it_is_told_to() -> None:
    x = np.arange(6).reshape(2, 3)
    with answered_by(Answers(pick=lambda probs: len(probs) - 1)):
        made = AnsweringGenerator(np.random.PCG64(1)).permuted(x, axis=1, out=x)
    assert made is x
    assert x.tolist() == [[2, 1, 0], [5, 4, 3]]


def test_all_orders_of_a_permutation_are_listed_once() -> None:
    expected = {str([*order]): 1 / 24 for order in permutations(range(4))}
    assert law(lambda: AnsweringGenerator(np.random.PCG64(1)).permutation(4)) == pytest.approx(expected)


MODULE: dict[str, Callable[[], Any]] = {
    "choice": lambda: np.random.choice(3, 2, p=[0.2, 0.5, 0.3]),
    "randint": lambda: np.random.randint(1, 4),
    "random_integers": lambda: np.random.random_integers(1, 3),
    "permutation": lambda: np.random.permutation(3),
    "shuffle": lambda: shuffled(np.random, [1, 2, 3]),
    "binomial": lambda: np.random.binomial(3, 0.4),
    "multinomial": lambda: np.random.multinomial(2, [0.4, 0.3, 0.3]),
    "hypergeometric": lambda: np.random.hypergeometric(2, 2, 2),
    "default_rng": lambda: np.random.default_rng(3).integers(4),
    "RandomState": lambda: np.random.RandomState(3).randint(4),
    "Generator": lambda: np.random.Generator(np.random.PCG64(1)).choice(3),
    "_rand": lambda: np.random.mtrand._rand.choice(3),
}


@pytest.mark.parametrize("name", MODULE)
def test_the_modules_functions_are_answered_and_draw_nothing(name: str) -> None:
    (_, state), *_ = of_numpy.generators()
    before = state()
    with replaced(with_aliases(of_numpy.patches())):
        expected = law(MODULE[name])
        assert of_numpy.drawn() == []
    assert len(expected) >= 3
    assert state() == before
    samples = [MODULE[name]() for _ in range(2000)]
    if len({*map(str, samples)}) > 1:  # not of a generator that is made anew, by its seed, for each draw
        assert distance(samples, expected) < 5
        assert distance(samples, tilted(expected)) > 5


def test_functions_that_were_imported_by_name_are_answered() -> None:
    with replaced(with_aliases(of_numpy.patches())):
        expected = law(lambda: (named_choice(2), named_default_rng(0).choice(2)))
    assert expected == pytest.approx({str([i, j]): 0.25 for i in range(2) for j in range(2)})


def test_what_rounding_leaves_is_no_outcome() -> None:
    generator = AnsweringGenerator(np.random.PCG64(1))
    assert len(law(lambda: generator.multinomial(1, [0.2, 0.1, 0.7, 0.0]))) == 3


def objects() -> list[Any]:
    modules = (np.random, np.random.mtrand, sys.modules[__name__])
    return [value for module in modules for value in vars(module).values()]


def test_afterwards_everything_is_what_it_was_also_after_an_exception() -> None:
    before = objects()
    patches = with_aliases(of_numpy.patches())
    with contextlib.suppress(KeyError), replaced(patches):
        assert any(now is not then for now, then in zip(objects(), before, strict=True))
        raise KeyError
    assert all(now is then for now, then in zip(objects(), before, strict=True))
    assert len(objects()) == len(before)


def test_isinstance_and_issubclass_hold_during_a_run_for_all_generators() -> None:
    plain, plain_legacy = np.random.default_rng(0), np.random.RandomState(0)
    real = np.random.Generator
    with replaced(with_aliases(of_numpy.patches())):
        assert isinstance(plain, np.random.Generator)
        assert isinstance(np.random.default_rng(0), np.random.Generator)
        assert isinstance(np.random.default_rng(0), real)
        assert isinstance(plain_legacy, np.random.RandomState)
        assert isinstance(np.random.RandomState(0), np.random.RandomState)
        assert not isinstance(plain_legacy, np.random.Generator)
        assert not isinstance(plain, np.random.RandomState)
        assert issubclass(real, np.random.Generator)

        class Mine(np.random.Generator):
            pass

        assert not isinstance(plain, Mine)
        assert not issubclass(real, Mine)
        assert isinstance(Mine(np.random.PCG64(0)), Mine)


def test_generators_that_are_wrapped_share_their_state_and_are_answered() -> None:
    plain = np.random.default_rng(5)
    with replaced(with_aliases(of_numpy.patches())), answered_by(Answers(pick=lambda probs: len(probs) - 1)):
        wrapped = np.random.default_rng(plain)
        assert wrapped.integers(7) == 6
        assert np.random.default_rng(wrapped) is wrapped
        assert wrapped.normal() == np.random.default_rng(5).normal()
        assert plain.normal() == np.random.default_rng(5).normal(size=2)[1]
        assert [child.integers(7) for child in wrapped.spawn(2)] == [6, 6]


@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda g: pickle.loads(pickle.dumps(g))])
@pytest.mark.parametrize("made", [lambda: AnsweringGenerator(np.random.PCG64(3)), lambda: AnsweringRandomState(3)])
def test_copies_are_answered_too_and_have_a_state_of_their_own(duplicate: Draw, made: Callable[[], Any]) -> None:
    original = made()
    copied = duplicate(original)
    assert type(copied) is type(original)
    assert copied.normal() == original.normal() == made().normal()
    with answered_by(Answers(pick=lambda probs: len(probs) - 1)):
        assert copied.permutation(3).tolist() == [2, 1, 0]


def test_generators_in_variables_of_modules_are_answered(monkeypatch: pytest.MonkeyPatch) -> None:
    script: Any = types.ModuleType("script")
    script.rng, script.legacy = np.random.default_rng(0), np.random.RandomState(0)
    monkeypatch.setitem(sys.modules, "script", script)
    rng = script.rng
    with replaced(with_aliases(of_numpy.patches())):
        assert law(lambda: (script.rng.integers(3), script.legacy.randint(2))) == pytest.approx(
            {str([i, j]): 1 / 6 for i in range(3) for j in range(2)}
        )
        script.rng.normal()
    assert script.rng is rng
    assert rng.normal() == np.random.default_rng(0).normal(size=2)[1]


def test_a_generator_of_a_run_that_draws_for_itself_is_named() -> None:
    of_numpy.forget()
    with replaced(with_aliases(of_numpy.patches())), answered_by(Answers()):
        np.random.default_rng(0).normal()
        np.random.default_rng(1).choice(3)
        np.random.RandomState(0).uniform()
        gc.collect()
        assert of_numpy.drawn() == ["numpy.random.Generator", "numpy.random.RandomState"]
        assert [name for name, _ in of_numpy.generators()] == [
            "numpy.random", "numpy.random.Generator", "numpy.random.Generator", "numpy.random.RandomState",
        ]  # fmt: skip
        of_numpy.forget()
        assert of_numpy.drawn() == []
        np.random.normal()
        assert of_numpy.drawn() == ["numpy.random"]


@pytest.mark.parametrize("made", [lambda: np.random, lambda: np.random.RandomState(1)])
def test_seeding_a_generator_is_no_draw_but_hides_none(made: Callable[[], Any]) -> None:
    of_numpy.forget()
    with replaced(with_aliases(of_numpy.patches())), answered_by(Answers()):
        generator = made()
        generator.seed(5)
        generator.permutation(4)
        assert of_numpy.drawn() == []
        first = generator.uniform()
        generator.seed(5)
        assert generator.uniform() == first
        generator.seed(7)
        assert len(of_numpy.drawn()) >= 1


@pytest.mark.parametrize("make", [lambda: np.random.default_rng(3), lambda: np.random.RandomState(3)])
def test_what_is_copied_or_unpickled_during_a_run_is_answered(make: Callable[[], Any]) -> None:
    plain = make()
    pickled = pickle.dumps(plain)
    with replaced(with_aliases(of_numpy.patches())), answered_by(Answers()):
        for copied in (copy.deepcopy(plain), pickle.loads(pickled)):
            assert type(copied) in (AnsweringGenerator, AnsweringRandomState)
            assert copied.normal() == make().normal()


def test_the_global_generators_state_tells_of_draws() -> None:
    (_, state), *_ = of_numpy.generators()
    before = state()
    with replaced(with_aliases(of_numpy.patches())), answered_by(Answers()):
        np.random.choice(3, 5)
        assert state() == before
        np.random.normal()
    assert state() != before


def test_a_seed_that_is_drawn_is_refused_with_its_place() -> None:
    answers = Answers()
    with (
        answered_by(answers),
        pytest.raises(UnanswerableError, match=r"test_of_numpy.py:\d+: .* 2,147,483,647 numbers"),
    ):
        AnsweringRandomState(0).randint(2**31 - 1)
    assert answers.fault is not None


def test_the_least_likely_answers_are_not_lost() -> None:
    counts = Counter(law(lambda: AnsweringGenerator(np.random.PCG64(0)).binomial(40, 1e-3)))
    assert counts[40] == pytest.approx(1e-120, rel=1e-12)
