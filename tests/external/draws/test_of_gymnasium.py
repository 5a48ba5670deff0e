import contextlib
import math
import sys
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from pgcheck.external.draws import of_gymnasium, of_numpy
from pgcheck.external.draws.answers import Answers, answered_by
from pgcheck.external.draws.patches import replaced, with_aliases
from tests.external.draws.listing import distance, law, same_kind, tilted

pytestmark = pytest.mark.gymnasium

MASK = np.array([1, 0, 1, 1], np.int8)
P = np.array([0.1, 0.2, 0.3, 0.4])
DRAWS: dict[str, Callable[[Any], tuple[Any, dict[str, Any]]]] = {
    "Discrete": lambda s: (s.Discrete(4), {}),
    "Discrete start": lambda s: (s.Discrete(3, start=-1), {}),
    "Discrete int32": lambda s: (s.Discrete(3, dtype=np.int32), {}),
    "Discrete mask": lambda s: (s.Discrete(4, start=2), {"mask": MASK}),
    "Discrete nothing left": lambda s: (s.Discrete(4, start=2), {"mask": 0 * MASK}),
    "Discrete probability": lambda s: (s.Discrete(4), {"probability": P}),
    "MultiDiscrete": lambda s: (s.MultiDiscrete([2, 3], start=[0, 5]), {}),
    "MultiDiscrete axes": lambda s: (s.MultiDiscrete([[2, 1], [1, 3]], dtype=np.int32), {}),
    "MultiDiscrete mask": lambda s: (s.MultiDiscrete([4, 2]), {"mask": (MASK, np.array([0, 1], np.int8))}),
    "MultiDiscrete probability": lambda s: (s.MultiDiscrete([4, 2]), {"probability": (P, np.array([0.5, 0.5]))}),
    "MultiBinary": lambda s: (s.MultiBinary(3), {}),
    "MultiBinary axes": lambda s: (s.MultiBinary([2, 2]), {}),
    "MultiBinary mask": lambda s: (s.MultiBinary(3), {"mask": np.array([2, 1, 0], np.int8)}),
    "MultiBinary probability": lambda s: (s.MultiBinary(3), {"probability": np.array([0.2, 1.0, 0.6])}),
    "Tuple": lambda s: (s.Tuple((s.Discrete(2), s.Discrete(3))), {}),
}


@pytest.fixture
def spaces() -> Iterator[Any]:
    yield pytest.importorskip("gymnasium").spaces
    of_numpy.forget()


def all_patches() -> list[Any]:
    return with_aliases([*of_numpy.patches(), *of_gymnasium.patches()])


@pytest.mark.parametrize("name", DRAWS)
def test_the_answers_have_the_law_of_the_spaces_samples(name: str, spaces: Any) -> None:
    try:
        space, settings = DRAWS[name](spaces)
        space.seed(3)
        samples = [space.sample(**settings) for _ in range(2000)]
    except TypeError as error:
        assert "unexpected keyword" in str(error)  # noqa: PT017 - else it is no old version
        pytest.skip(f"this version of gymnasium has it not: {error}")
    with replaced(all_patches()):
        expected = law(lambda: space.sample(**settings))
        with answered_by(Answers()):
            made = space.sample(**settings)
    assert math.fsum(expected.values()) == pytest.approx(1, abs=1e-12)
    assert distance(samples, expected) < 5
    if max(expected.values()) < 1:
        assert distance(samples, tilted(expected)) > 5
    assert same_kind(made, samples[0])
    assert space.contains(made)


def test_masked_elements_are_no_draws(spaces: Any) -> None:
    space, answers = spaces.MultiBinary(3), Answers()
    with replaced(all_patches()), answered_by(answers):
        space.sample(mask=np.array([1, 2, 0], np.int8))
    assert len(answers.draws) == 1


def test_a_sample_draws_nothing_from_the_spaces_own_generator(spaces: Any) -> None:
    for space in (spaces.Discrete(3), spaces.MultiDiscrete([2, 3]), spaces.MultiBinary(2)):
        space.seed(0)
        before = repr(space.np_random.bit_generator.state)
        with replaced(all_patches()), answered_by(Answers()):
            space.sample()
        assert repr(space.np_random.bit_generator.state) == before


@pytest.mark.parametrize(
    "draw",
    [
        lambda s: s.Discrete(3).sample(mask=[1, 0, 1]),
        lambda s: s.Discrete(3).sample(mask=np.ones(3, np.int8), probability=np.ones(3) / 3),
        lambda s: s.Discrete(3).sample(probability=np.ones(3)),
        lambda s: s.MultiDiscrete([2]).sample(mask=np.ones(2, np.int8)),
        lambda s: s.MultiBinary(2).sample(mask=np.ones(3, np.int8)),
        lambda s: s.MultiBinary(2).sample(mask=np.ones(2, np.int8), probability=np.ones(2)),
    ],
)
def test_wrong_arguments_raise_gymnasiums_own_errors(draw: Callable[[Any], Any], spaces: Any) -> None:
    with pytest.raises((AssertionError, ValueError, TypeError)) as gymnasiums:
        draw(spaces)
    with replaced(all_patches()), answered_by(Answers()), pytest.raises(type(gymnasiums.value)) as ours:
        draw(spaces)
    assert str(ours.value) == str(gymnasiums.value)


@pytest.mark.parametrize("with_numpy", [False, True])
def test_the_generator_of_an_environment_is_answered(with_numpy: bool, spaces: Any) -> None:
    gymnasium: Any = sys.modules["gymnasium"]
    patches = [*of_gymnasium.patches(), *(of_numpy.patches() if with_numpy else [])]
    with replaced(with_aliases(patches)):
        environment = gymnasium.Env()
        assert law(lambda: int(environment.np_random.integers(3))) == pytest.approx(dict.fromkeys(range(3), 1 / 3))
        generator, seed = gymnasium.utils.seeding.np_random(7)
    assert seed == 7
    assert isinstance(generator, np.random.Generator)
    assert generator.normal() == gymnasium.utils.seeding.np_random(7)[0].normal()
    assert isinstance(spaces.Discrete(2, seed=generator).np_random, np.random.Generator)


def test_afterwards_everything_is_what_it_was_also_after_an_exception(spaces: Any) -> None:
    seeding: Any = sys.modules["gymnasium.utils.seeding"]
    owners = (seeding, spaces.Discrete, spaces.MultiDiscrete, spaces.MultiBinary)
    before = [value for owner in owners for value in vars(owner).values()]
    with contextlib.suppress(KeyError), replaced(all_patches()):
        assert seeding.np_random not in before
        raise KeyError
    after = [value for owner in owners for value in vars(owner).values()]
    assert all(now is then for now, then in zip(after, before, strict=True))


def test_nothing_is_replaced_where_gymnasium_was_not_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.split(".")[0] == "gymnasium"]:
        monkeypatch.delitem(sys.modules, name)
    assert of_gymnasium.patches() == []
    assert "gymnasium" not in sys.modules
