import contextlib
import math
import random
import secrets
import sys
import tempfile
import types
import uuid
from collections.abc import Callable, Iterator
from itertools import permutations
from pathlib import Path
from random import sample as named_sample
from random import shuffle as named_shuffle
from typing import Any

import numpy as np
import pytest

from pgcheck.external.draws import of_random
from pgcheck.external.draws.answers import Answers, answered_by
from pgcheck.external.draws.endings import UnanswerableError
from pgcheck.external.draws.patches import replaced, with_aliases
from tests.external.draws.listing import distance, law, tilted

Draw = Callable[[Any], Any]
LIBRARY: Any = random
KEPT = types.SimpleNamespace(sample=random.sample)


def shuffled(g: Any, x: list[Any]) -> list[Any]:
    g.shuffle(x)
    return x


DRAWS: dict[str, Draw] = {
    "choice": lambda g: g.choice("abc"),
    "randrange": lambda g: g.randrange(2, 11, 3),
    "randint": lambda g: g.randint(-1, 2),
    "shuffle": lambda g: shuffled(g, [1, 2, 3, 4]),
    "sample": lambda g: g.sample(range(4), 2),
    "sample of many": lambda g: g.sample(range(50), 1),
    "sample of many, two": lambda g: [n < 5 for n in g.sample(range(25), 2)],
    "sample counts": lambda g: g.sample(["a", "b"], counts=[3, 1], k=2),
    "choices": lambda g: g.choices("ab", k=3),
    "choices weights": lambda g: g.choices([1, 2, 3], [5, 0, 1.5], k=2),
    "choices cumulative": lambda g: g.choices([1, 2, 3], cum_weights=[1, 3, 4]),
    "choices of an iterator": lambda g: g.choices([1, 2], iter([1, 2])),
}


@pytest.fixture(autouse=True)
def _forgotten() -> Iterator[None]:
    yield
    of_random.forget()


@pytest.fixture
def patched() -> Iterator[None]:
    with replaced(with_aliases(of_random.patches())):
        yield


@pytest.mark.parametrize("name", DRAWS)
@pytest.mark.parametrize("made", [lambda: random, lambda: random.Random(5), random.SystemRandom])
def test_the_answers_have_the_law_of_the_librarys_draws(name: str, made: Callable[[], Any]) -> None:
    draw, generator, real = DRAWS[name], made(), random.Random(2)
    before = random.getstate()
    with replaced(with_aliases(of_random.patches())):
        expected = law(lambda: draw(generator))
        assert of_random.drawn() == []
    assert random.getstate() == before
    assert math.fsum(expected.values()) == pytest.approx(1, abs=1e-12)
    samples = [draw(real) for _ in range(4000)]
    assert distance(samples, expected) < 5
    if max(expected.values()) > 1 / 20:
        assert distance(samples, tilted(expected)) > 5
    with replaced(with_aliases(of_random.patches())), answered_by(Answers()):
        made_now = draw(generator)
    assert type(made_now) is type(samples[0])


@pytest.mark.usefixtures("patched")
def test_functions_that_were_imported_by_name_are_answered() -> None:
    def both() -> tuple[list[int], list[int]]:
        numbers = [1, 2, 3]
        named_shuffle(numbers)
        return named_sample(range(30), 1)[:0], numbers

    orders = {str([[], [*order]]): 1 / 6 for order in permutations([1, 2, 3])}
    assert law(lambda: str([*map(list, both())])) == pytest.approx(orders)


@pytest.mark.parametrize(
    "draw",
    [
        lambda: LIBRARY.choice([]),
        lambda: LIBRARY.randrange(0),
        lambda: LIBRARY.sample(range(3), 4),
        lambda: LIBRARY.sample({1, 2}, 1),
        lambda: LIBRARY.sample([1], counts=[1, 2], k=1),
        lambda: LIBRARY.choices([], k=1),
        lambda: LIBRARY.choices([1, 2], 3),
        lambda: LIBRARY.choices([1, 2], [1]),
        lambda: LIBRARY.choices([1, 2], [0, 0]),
        lambda: LIBRARY.choices([1, 2], [1, math.inf]),
        lambda: LIBRARY.choices([1, 2], [1, 1], cum_weights=[1, 2]),
        lambda: LIBRARY.choices(),
        lambda: LIBRARY.sample([1, 2]),
    ],
)
def test_wrong_arguments_raise_the_librarys_own_errors(draw: Callable[[], Any]) -> None:
    with pytest.raises((TypeError, ValueError, IndexError)) as librarys:
        draw()
    answers = Answers()
    patches = with_aliases(of_random.patches())
    with replaced(patches), answered_by(answers), pytest.raises(type(librarys.value)) as ours:
        draw()
    assert answers.fault is None
    assert str(ours.value).split("missing")[-1] == str(librarys.value).split("missing")[-1]


def attributes() -> list[Any]:
    owners = (random, random.Random, random.SystemRandom, sys.modules[__name__])
    return [(name, value) for owner in owners for name, value in vars(owner).items()]


def test_afterwards_everything_is_what_it_was_also_after_an_exception() -> None:
    before = attributes()
    patches = with_aliases(of_random.patches())
    with contextlib.suppress(KeyError), replaced(patches):
        assert len(attributes()) > len(before)
        raise KeyError
    assert all(name == old and now is then for (name, now), (old, then) in zip(attributes(), before, strict=True))


@pytest.mark.usefixtures("patched")
def test_the_librarys_own_modules_draw_for_themselves(tmp_path: Path) -> None:
    def names() -> int:
        with tempfile.NamedTemporaryFile(dir=tmp_path), tempfile.TemporaryDirectory(dir=tmp_path):
            uuid.uuid4()
            secrets.token_hex(4)
            np.random.SeedSequence()
        return 0

    assert law(names) == {0: 1.0}
    assert of_random.drawn() == []


@pytest.mark.usefixtures("patched")
@pytest.mark.parametrize("draw", [lambda g: g.random(), lambda g: g.gauss(0, 1), lambda g: g.getrandbits(3)])
def test_what_an_instance_draws_for_itself_is_named_with_its_place(draw: Draw) -> None:
    with answered_by(Answers()):
        value = draw(random.Random(3))
    assert value == draw(random.Random(3))
    (named,) = of_random.drawn()
    assert "test_of_random.py:" in named
    assert named.endswith(("random.Random.random", "random.Random.getrandbits"))


@pytest.mark.usefixtures("patched")
def test_the_global_generators_state_tells_of_draws() -> None:
    ((_, state),) = of_random.generators()
    before = state()
    with answered_by(Answers()):
        random.sample(range(100), 5)
        assert state() == before
        random.uniform(0, 1)
    assert state() != before


@pytest.mark.usefixtures("patched")
def test_seeding_is_no_draw_but_hides_none() -> None:
    of_random.forget()
    with answered_by(Answers()):
        random.seed(5)
        random.choice([1, 2])
        assert of_random.drawn() == []
        first = random.random()
        assert of_random.drawn() == ["random"]
        random.seed(5)
        assert random.random() == first
        random.seed(6)
        assert of_random.drawn() == ["random"]
        of_random.forget()
        assert of_random.drawn() == []


@pytest.mark.usefixtures("patched")
@pytest.mark.parametrize("draw", [lambda g: g.random(), lambda g: g.uniform(0, 1), lambda g: g.getrandbits(3)])
def test_what_the_operating_system_draws_is_refused(draw: Draw) -> None:
    with (
        answered_by(Answers()),
        pytest.raises(UnanswerableError, match=r"test_of_random.py:\d+: random.SystemRandom"),
    ):
        draw(random.SystemRandom())


@pytest.mark.usefixtures("patched")
def test_a_seed_that_is_drawn_is_refused() -> None:
    with answered_by(Answers()), pytest.raises(UnanswerableError, match=r"test_of_random.py:\d+: .* 4,294,967,296"):
        random.randrange(2**32)


@pytest.mark.usefixtures("patched")
def test_a_sample_kept_from_before_the_run_does_not_draw_for_ever() -> None:
    with answered_by(Answers()), pytest.raises(UnanswerableError, match="kept from before the run"):
        KEPT.sample(range(1000), 2)
