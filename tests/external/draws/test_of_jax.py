import contextlib
import inspect
import math
import sys
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from pgcheck.external.draws import of_jax
from pgcheck.external.draws.answers import Answers, answered_by
from pgcheck.external.draws.endings import UnanswerableError
from pgcheck.external.draws.patches import replaced, with_aliases
from tests.external.draws.listing import distance, key, law, same_kind, tilted

pytestmark = pytest.mark.jax

Draw = Callable[[Any, Any], Any]
LOGITS = np.log(np.array([[0.5, 0.2, 0.3], [0.1, 0.6, 0.3]], np.float32))
TABLE = np.arange(6).reshape(2, 3)
P = np.array([0.5, 0.2, 0.3], np.float32)
DRAWS: dict[str, Draw] = {
    "categorical": lambda r, k: r.categorical(k, LOGITS[0]),
    "categorical rows": lambda r, k: r.categorical(k, LOGITS),
    "categorical axis": lambda r, k: r.categorical(k, LOGITS.T, axis=0),
    "categorical shape": lambda r, k: r.categorical(k, LOGITS[0], shape=(2,)),
    "categorical shape rows": lambda r, k: r.categorical(key=k, logits=LOGITS, axis=-1, shape=(1, 2)),
    "categorical impossible": lambda r, k: r.categorical(k, np.array([0, -np.inf, 1], np.float32)),
    "categorical subset": lambda r, k: r.categorical(k, LOGITS[0], shape=(2,), replace=False),
    "categorical subset rows": lambda r, k: r.categorical(k, LOGITS, shape=(2, 2), replace=False),
    "choice": lambda r, k: r.choice(k, 3),
    "choice shape": lambda r, k: r.choice(k, np.array([5, 7]), (2, 2)),
    "choice p": lambda r, k: r.choice(k, 3, (2,), p=P),
    "choice axis": lambda r, k: r.choice(k, TABLE, (2,), axis=1),
    "choice row": lambda r, k: r.choice(k, TABLE.astype(np.float32)),
    "choice subset": lambda r, k: r.choice(k, 4, (2,), replace=False),
    "choice subset axis": lambda r, k: r.choice(k, TABLE, (2,), replace=False, axis=1),
    "choice subset p": lambda r, k: r.choice(k, 3, (2,), replace=False, p=P),
    "bernoulli": lambda r, k: r.bernoulli(k),
    "bernoulli p": lambda r, k: r.bernoulli(k, np.array([0.2, 0.7], np.float32)),
    "bernoulli shape": lambda r, k: r.bernoulli(k, 0.3, (2, 2)),
    "permutation": lambda r, k: r.permutation(k, 4),
    "permutation axis": lambda r, k: r.permutation(k, TABLE, axis=1),
    "permutation independent": lambda r, k: r.permutation(k, TABLE[:, :2], axis=1, independent=True),
    "permutation independent rows": lambda r, k: r.permutation(k, TABLE, independent=True),
    "randint": lambda r, k: r.randint(k, (2,), -1, 2),
    "randint arrays": lambda r, k: r.randint(k, (2,), np.array([0, 3]), np.array([3, 4])),
    "randint uint8": lambda r, k: r.randint(k, (), 0, 5, dtype=np.uint8),
    "binomial": lambda r, k: r.binomial(k, 2.0, np.array([0.3, 0.8], np.float32)),
    "multinomial": lambda r, k: r.multinomial(k, 3.0, P),
    "rademacher": lambda r, k: r.rademacher(k, (2,)),
}


@pytest.fixture
def jax() -> Iterator[Any]:
    yield pytest.importorskip("jax")
    of_jax.forget()


@contextlib.contextmanager
def answering(jax: Any) -> Iterator[None]:
    with replaced(with_aliases(of_jax.patches())), jax.disable_jit():
        yield


def in_a_new_run(draw: Callable[[], Any]) -> Any:
    of_jax.forget()
    return draw()


def can_leave_out(random: Any) -> bool:
    return "replace" in inspect.signature(random.categorical).parameters


COMPILED_LONG = ("binomial", "multinomial")


@pytest.mark.parametrize("name", [pytest.param(it, marks=[pytest.mark.slow] * (it in COMPILED_LONG)) for it in DRAWS])
def test_the_answers_have_the_law_of_jaxs_draws(name: str, jax: Any) -> None:
    draw, random = DRAWS[name], jax.random
    if not hasattr(random, name.split()[0]) or ("categorical subset" in name and not can_leave_out(random)):
        pytest.skip("this version of jax has it not")
    one = random.key(3)
    samples = [*np.asarray(jax.vmap(lambda k: draw(random, k))(random.split(random.key(1), 3000)))]
    real = draw(random, one)
    with answering(jax):
        expected = law(lambda: in_a_new_run(lambda: draw(random, one)))
        with answered_by(Answers()):
            made = in_a_new_run(lambda: draw(random, one))
    assert math.fsum(expected.values()) == pytest.approx(1, abs=1e-12)
    assert {key(sample) for sample in samples} <= {outcome for outcome, prob in expected.items() if prob > 0}
    assert distance(samples, expected) < 5
    if max(expected.values()) > 1 / 12:
        assert distance(samples, tilted(expected)) > 5
    assert same_kind(made, real)
    assert made.weak_type == real.weak_type


@pytest.mark.parametrize(
    "draw",
    [
        lambda r: r.categorical(r.key(0)),
        lambda r: r.categorical(r.split(r.key(0)), LOGITS[0]),
        lambda r: r.categorical(r.key(0), LOGITS, shape=(3,)),
        lambda r: r.choice(r.key(0), 3, (4,), replace=False),
        lambda r: r.choice(r.key(0), 3, p=P[:2]),
        lambda r: r.choice(r.key(0), 0),
        lambda r: r.bernoulli(r.key(0), 1),
        lambda r: r.permutation(r.key(0), TABLE, axis=2),
        lambda r: r.randint(r.key(0), (), 0, 2, dtype=float),
    ],
)
def test_wrong_arguments_raise_jaxs_own_errors(draw: Callable[[Any], Any], jax: Any) -> None:
    with pytest.raises(Exception) as jaxs:  # noqa: PT011 - whatever jax raises
        draw(jax.random)
    answers = Answers()
    with answering(jax), answered_by(answers), pytest.raises(type(jaxs.value)):
        draw(jax.random)
    assert answers.fault is None


def test_the_same_key_gives_the_same_answer_within_a_run(jax: Any) -> None:
    random = jax.random
    first, second = random.split(random.key(0))

    def draws() -> str:
        of_jax.forget()
        a, b, again = (int(random.categorical(k, LOGITS[0])) for k in (first, second, first))
        assert a == again
        return f"{a}{b}"

    with answering(jax):
        expected = law(draws)
    assert expected == pytest.approx(
        {f"{a}{b}": float(np.exp(LOGITS[0][a] + LOGITS[0][b])) for a in range(3) for b in range(3)}, rel=1e-6
    )


@pytest.mark.parametrize("second", ["categorical", "categorical rows", "bernoulli", "permutation"])
@pytest.mark.parametrize("made", ["key", "PRNGKey"])
def test_a_key_that_is_used_for_two_draws_is_refused(second: str, made: str, jax: Any) -> None:
    one = getattr(jax.random, made)(0)
    message = r"test_of_jax.py:\d+: jax.random.\w+ uses the key of a draw at .*test_of_jax.py:\d+: .*split"
    with answering(jax), answered_by(Answers()):
        DRAWS["choice"](jax.random, one)
        with pytest.raises(UnanswerableError, match=message):
            DRAWS[second](jax.random, one)


def test_the_same_draw_from_other_logits_is_another_draw(jax: Any) -> None:
    with answering(jax), answered_by(Answers()):
        jax.random.categorical(jax.random.key(0), LOGITS[0])
        with pytest.raises(UnanswerableError, match="two draws"):
            jax.random.categorical(jax.random.key(0), LOGITS[1])


@pytest.mark.parametrize("name", ["uniform", "normal", "gumbel", "bits", "exponential", "truncated_normal"])
def test_what_cannot_be_listed_is_refused_with_its_place(name: str, jax: Any) -> None:
    limits = (-1.0, 1.0) if name == "truncated_normal" else ()
    message = rf"test_of_jax.py:\d+: jax.random.{name} draws numbers that cannot be listed"
    with answering(jax), answered_by(Answers()), pytest.raises(UnanswerableError, match=message):
        getattr(jax.random, name)(jax.random.key(0), *limits)


def test_where_no_run_is_under_way_all_is_drawn_as_ever(jax: Any) -> None:
    random = jax.random
    before = [float(random.normal(random.key(3))), *np.asarray(random.permutation(random.key(3), 9)).tolist()]
    with answering(jax):
        after = [float(random.normal(random.key(3))), *np.asarray(random.permutation(random.key(3), 9)).tolist()]
    assert after == pytest.approx(before, rel=1e-6)


def test_a_draw_from_what_is_differentiated_is_answered(jax: Any) -> None:
    def loss(logits: Any) -> Any:
        action = jax.random.categorical(jax.random.key(0), logits)
        return jax.nn.log_softmax(logits)[action] * (action + 1.0)

    def gradient() -> str:
        of_jax.forget()
        return str(np.float32(jax.jit(jax.value_and_grad(loss))(LOGITS[0])[1]).round(5).tolist())

    with answering(jax):
        expected = law(gradient)
    probs = np.exp(LOGITS[0].astype(float))
    by_hand = {key(np.float32((a + 1) * (np.eye(3)[a] - probs)).round(5)): p for a, p in enumerate(probs)}
    assert expected == pytest.approx(by_hand, rel=1e-6)


def test_a_scan_without_jit_is_answered(jax: Any) -> None:
    def step(carry: Any, one: Any) -> tuple[Any, Any]:
        return carry + jax.random.bernoulli(one, 0.25), None

    def total() -> float:
        of_jax.forget()
        return float(jax.lax.scan(step, 0, jax.random.split(jax.random.key(0), 3))[0])

    with answering(jax):
        assert law(total) == pytest.approx({k: math.comb(3, k) * 0.25**k * 0.75 ** (3 - k) for k in range(4)})


@pytest.mark.parametrize("wrap", ["vmap", "jit"])
def test_arguments_without_values_are_refused(wrap: str, jax: Any) -> None:
    keys = jax.random.split(jax.random.key(0), 2)
    draw = getattr(jax, wrap)(lambda k: jax.random.categorical(k if wrap == "vmap" else k[0], LOGITS[0]))
    message = r"test_of_jax.py:\d+: jax.random.categorical is called where its arguments have no values"
    with replaced(with_aliases(of_jax.patches())), answered_by(Answers()), jax.disable_jit(wrap == "vmap"):  # noqa: SIM117
        with pytest.raises(UnanswerableError, match=message):
            draw(keys)


def test_a_seed_that_is_drawn_is_refused(jax: Any) -> None:
    with answering(jax), answered_by(Answers()), pytest.raises(UnanswerableError, match=r"2,147,483,647 numbers"):
        jax.random.randint(jax.random.key(0), (), 0, 2**31 - 1)


def test_afterwards_everything_is_what_it_was_also_after_an_exception(jax: Any) -> None:
    modules = [module for name, module in sys.modules.items() if name.startswith("jax")]
    before = [value for module in modules for value in vars(module).values()]
    with contextlib.suppress(KeyError), answering(jax):
        assert not any(jax.random.normal is value for value in before)
        raise KeyError
    after = [value for module in modules for value in vars(module).values()]
    assert all(now is then for now, then in zip(after, before, strict=True))


def test_nothing_is_replaced_where_jax_was_not_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "jax.random", raising=False)
    assert of_jax.patches() == []
