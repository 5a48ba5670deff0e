"""The draws of torch: each has the law, type, shape and dtype of torch's own; afterwards nothing is left."""

import contextlib
import itertools
import math
import sys
import warnings
from collections.abc import Callable, Hashable
from typing import Any

import numpy as np
import pytest

from pgcheck.external.draws import of_torch
from pgcheck.external.draws.answers import Answers, answered_by
from pgcheck.external.draws.endings import UnanswerableError
from pgcheck.external.draws.patches import replaced, with_aliases
from tests.external.draws.listing import distance, key, law, same_kind

pytestmark = pytest.mark.torch

Draw = Callable[[Any], Any]
P = [0.5, 0.2, 0.0, 0.3]
PAIRS = [[0.3, 0.7], [0.6, 0.4]]
SAMPLES = 2000


def into(t: Any, name: str, *args: Any, dtype: str = "int64", **kwargs: Any) -> Any:
    """What a function of torch writes into a tensor of another shape; it returns that tensor."""
    out = t.empty(0, dtype=getattr(t, dtype))
    with warnings.catch_warnings():  # torch's own functions warn of a tensor that they resize
        warnings.simplefilter("ignore")
        assert getattr(t, name)(*args, out=out, **kwargs) is out
    return out


def filled(tensor: Any, *args: Any, **kwargs: Any) -> Any:
    """A tensor after `bernoulli_`, which returns that tensor."""
    assert tensor.bernoulli_(*args, **kwargs) is tensor
    return tensor


CASES: dict[str, Draw] = {
    "multinomial": lambda t: t.multinomial(t.tensor([2.0, 1.0, 0.0, 5.0]), 1),
    "multinomial double": lambda t: t.multinomial(t.tensor(P, dtype=t.float64), 1),
    "multinomial again": lambda t: t.multinomial(t.tensor(P), 2, replacement=True),
    "multinomial more than there are": lambda t: t.multinomial(t.tensor([0.4, 0.6]), 3, True),
    "multinomial others": lambda t: t.multinomial(t.tensor(P), 2),
    "multinomial all of them": lambda t: t.multinomial(t.tensor([0.5, 0.2, 0.3]), num_samples=3, replacement=False),
    "multinomial rows": lambda t: t.multinomial(t.tensor(PAIRS), 1),
    "multinomial rows again": lambda t: t.multinomial(t.tensor(PAIRS), 2, replacement=True),
    "multinomial rows others": lambda t: t.multinomial(t.tensor([[0.5, 0.2, 0.3], [0.0, 0.1, 0.9]]), 2),
    "multinomial out": lambda t: into(t, "multinomial", t.tensor(P), 2, True),
    "multinomial rows out": lambda t: into(t, "multinomial", t.tensor(PAIRS), 1),
    "multinomial generator": lambda t: t.multinomial(t.tensor(P), 1, generator=t.default_generator),
    "multinomial method": lambda t: t.tensor(P).multinomial(2, replacement=True),
    "bernoulli": lambda t: t.bernoulli(t.tensor([0.2, 0.9, 1.0, 0.0])),
    "bernoulli table": lambda t: t.bernoulli(t.tensor(PAIRS, dtype=t.float64)),
    "bernoulli scalar": lambda t: t.bernoulli(t.tensor(0.3)),
    "bernoulli p": lambda t: t.bernoulli(t.zeros(2), p=0.3),
    "bernoulli p by place": lambda t: t.bernoulli(t.ones(2, dtype=t.float64), 0.3),
    "bernoulli p int64": lambda t: t.bernoulli(t.zeros(2, dtype=t.int64), p=0.3),
    "bernoulli p bool": lambda t: t.bernoulli(t.zeros(2, dtype=t.bool), p=0.3),
    "bernoulli out": lambda t: into(t, "bernoulli", t.tensor([0.2, 0.9]), dtype="float32"),
    "bernoulli out of integers": lambda t: into(t, "bernoulli", t.tensor([0.2, 0.9])),
    "bernoulli method": lambda t: t.tensor([0.2, 0.6]).bernoulli(),
    "bernoulli method p": lambda t: t.tensor([0.2, 0.6]).bernoulli(p=0.9),
    "bernoulli_": lambda t: filled(t.zeros(2)),
    "bernoulli_ float p": lambda t: filled(t.zeros(2, dtype=t.float64), 0.3),
    "bernoulli_ int64 p": lambda t: filled(t.zeros(2, dtype=t.int64), 0.3),
    "bernoulli_ bool p": lambda t: filled(t.zeros(2, dtype=t.bool), p=0.3),
    "bernoulli_ float tensor": lambda t: filled(t.zeros(2), t.tensor([0.2, 0.9])),
    "bernoulli_ int64 tensor": lambda t: filled(t.zeros(2, dtype=t.int64), t.tensor([0.2, 0.9])),
    "bernoulli_ bool tensor": lambda t: filled(t.zeros(2, dtype=t.bool), p=t.tensor([0.2, 0.9])),
    "bernoulli_ column": lambda t: filled(t.zeros(2, 2), t.tensor([[0.2], [0.9]])),
    "binomial": lambda t: t.binomial(t.tensor([3.0, 1.0]), t.tensor([0.3, 0.6])),
    "binomial scalar": lambda t: t.binomial(t.tensor(4.0), t.tensor(0.3)),
    "binomial double": lambda t: t.binomial(t.full((2,), 2.0, dtype=t.float64), t.full((2,), 0.4, dtype=t.float64)),
    "binomial certain": lambda t: t.binomial(t.tensor([3.0, 2.0]), t.tensor([1.0, 0.0])),
    "randint": lambda t: t.randint(5, (2,)),
    "randint from": lambda t: t.randint(-2, 2, (2,)),
    "randint list": lambda t: t.randint(3, [2]),
    "randint scalar": lambda t: t.randint(7, ()),
    "randint torch.Size": lambda t: t.randint(1, 4, t.Size([2, 1])),
    "randint size named": lambda t: t.randint(3, size=(2,)),
    "randint from, size named": lambda t: t.randint(2, 5, size=(2,)),
    "randint high named": lambda t: t.randint(high=4, size=(2,)),
    "randint low by place, high named": lambda t: t.randint(1, high=4, size=(2,)),
    "randint all named": lambda t: t.randint(low=1, high=4, size=(2,)),
    "randint low named": lambda t: t.randint(high=4, low=-1, size=()),
    "randint int32": lambda t: t.randint(4, (2,), dtype=t.int32),
    "randint uint8": lambda t: t.randint(253, 256, (2,), dtype=t.uint8),
    "randint float": lambda t: t.randint(0, 3, (2,), dtype=t.float64),
    "randint bool": lambda t: t.randint(0, 2, (2,), dtype=t.bool),
    "randint out": lambda t: into(t, "randint", 1, 4, (2, 1)),
    "randint out of floats": lambda t: into(t, "randint", 4, (2,), dtype="float32"),
    "randint generator": lambda t: t.randint(4, (2,), generator=t.default_generator),
    "randint from generator": lambda t: t.randint(1, 4, (1,), generator=t.default_generator),
    "randint_like": lambda t: t.randint_like(t.zeros(2), 4),
    "randint_like from": lambda t: t.randint_like(t.zeros(2, 1, dtype=t.int64), -1, 3),
    "randint_like named": lambda t: t.randint_like(t.zeros(2), low=1, high=4),
    "randint_like high named": lambda t: t.randint_like(t.zeros(2), high=3),
    "randint_like dtype": lambda t: t.randint_like(t.zeros(2), 4, dtype=t.int32),
    "randperm": lambda t: t.randperm(4),
    "randperm int32": lambda t: t.randperm(3, dtype=t.int32),
    "randperm float": lambda t: t.randperm(3, dtype=t.float32),
    "randperm out": lambda t: into(t, "randperm", 3),
    "randperm generator": lambda t: t.randperm(3, generator=t.default_generator),
    "randperm one": lambda t: t.randperm(1),
    "randperm none": lambda t: t.randperm(0),
    "Categorical probs": lambda t: t.distributions.Categorical(probs=t.tensor(P)).sample(),
    "Categorical logits": lambda t: t.distributions.Categorical(logits=t.tensor([0.5, -1.0, 0.2])).sample(),
    "Categorical rows": lambda t: t.distributions.Categorical(probs=t.tensor(PAIRS)).sample(),
    "Categorical shape": lambda t: t.distributions.Categorical(probs=t.tensor(P)).sample((2, 1)),
    "Categorical rows shape": lambda t: t.distributions.Categorical(t.tensor(PAIRS)).sample(t.Size([2])),
    "OneHotCategorical": lambda t: t.distributions.OneHotCategorical(probs=t.tensor(P)).sample(),
    "OneHotCategorical rows": lambda t: t.distributions.OneHotCategorical(probs=t.tensor(PAIRS)).sample((1,)),
    "Bernoulli": lambda t: t.distributions.Bernoulli(probs=t.tensor([0.2, 0.9])).sample(),
    "Bernoulli logits": lambda t: t.distributions.Bernoulli(logits=t.tensor(0.7)).sample((2,)),
    "Binomial": lambda t: t.distributions.Binomial(3, probs=t.tensor([0.3, 0.6])).sample(),
    "Binomial counts": lambda t: t.distributions.Binomial(t.tensor([1.0, 2.0]), t.tensor([0.3, 0.6])).sample(),
    "Binomial shape": lambda t: t.distributions.Binomial(2, probs=t.tensor(0.3)).sample((2,)),
    "Multinomial": lambda t: t.distributions.Multinomial(3, probs=t.tensor([0.2, 0.5, 0.3])).sample(),
    "Multinomial shape": lambda t: t.distributions.Multinomial(2, logits=t.tensor([0.2, -0.5])).sample((2,)),
}  # fmt: skip


def surprise(samples: list[Any], expected: dict[Hashable, float]) -> float:
    """The chi-square statistic of samples as a normal number, also for few outcomes (Wilson and Hilferty, 1931)."""
    freedom = len(expected) - 1
    ratio: float = max(1 + distance(samples, expected) * math.sqrt(2 / freedom), 0.0)
    return (math.cbrt(ratio) - (1 - 2 / (9 * freedom))) / math.sqrt(2 / (9 * freedom))


def uneven(expected: dict[Hashable, float]) -> dict[Hashable, float]:
    """A wrong law of the same outcomes: every other one, from the likeliest on, has half of its weight."""
    ordered = sorted(expected, key=lambda outcome: -expected[outcome])
    weights = {outcome: expected[outcome] * (1 if k % 2 else 0.5) for k, outcome in enumerate(ordered)}
    return {outcome: weight / math.fsum(weights.values()) for outcome, weight in weights.items()}


@pytest.fixture
def torch() -> Any:
    return pytest.importorskip("torch")


def patched() -> contextlib.AbstractContextManager[None]:
    return replaced(with_aliases(of_torch.patches()))


def listed(torch: Any, draw: Draw) -> dict[Hashable, float]:
    """The law of the answers, for which torch's own generator has drawn nothing."""
    (_, state), *_ = of_torch.generators()
    before = state()
    with patched():
        found = law(lambda: draw(torch))
    assert state() == before
    return found


def test_every_function_is_compared(torch: Any) -> None:
    for patch in of_torch.patches():
        used = [
            name for name in CASES
            if patch.name in name.split() and (patch.owner is torch or "method" in name or patch.name.endswith("_"))
        ]  # fmt: skip
        assert used, f"{patch.owner.__name__}.{patch.name}"


@pytest.mark.parametrize("name", CASES)
def test_the_answers_have_the_law_of_torchs_draws(torch: Any, name: str) -> None:
    draw = CASES[name]
    expected = listed(torch, draw)
    assert math.fsum(expected.values()) == pytest.approx(1, abs=1e-12)
    torch.manual_seed(0)
    samples = [draw(torch) for _ in range(SAMPLES)]
    if name in ("binomial certain", "randperm one", "randperm none"):
        assert expected == {key(samples[0]): 1.0}
        assert distance(samples, expected) == 0
        return
    assert surprise(samples, expected) < 5
    assert surprise(samples, uneven(expected)) > 5


@pytest.mark.parametrize("name", CASES)
def test_an_answer_has_the_type_the_shape_and_the_dtype_of_torchs(torch: Any, name: str) -> None:
    with patched(), answered_by(Answers()):
        made = CASES[name](torch)
    real = CASES[name](torch)
    assert same_kind(made, real)
    assert made.device == real.device
    assert made.is_contiguous() == real.is_contiguous()


def test_randint_like_takes_low_by_its_place_and_high_by_its_name(torch: Any) -> None:
    found = listed(torch, lambda t: t.randint_like(t.zeros(1), 1, high=3))
    assert found == pytest.approx({"[1.0]": 0.5, "[2.0]": 0.5})


# By formulas, so that the laws above do not rest on torch's sampler alone.
def test_draws_without_replacement_go_by_the_weights_that_are_left(torch: Any) -> None:
    weights = [0.5, 0.2, 0.3]
    found = listed(torch, lambda t: t.multinomial(t.tensor(weights, dtype=t.float64), 2))
    assert found == pytest.approx(
        {
            str([first, then]): weights[first] * weights[then] / (1 - weights[first])
            for first, then in itertools.permutations(range(3), 2)
        }
    )


def test_all_orders_are_equally_likely(torch: Any) -> None:
    expected = {str([*order]): 1 / 24 for order in itertools.permutations(range(4))}
    assert listed(torch, lambda t: t.randperm(4)) == pytest.approx(expected)


def test_a_count_of_successes_is_binomial(torch: Any) -> None:
    found = listed(torch, lambda t: t.binomial(t.tensor(3.0).double(), t.tensor(0.3).double()))
    assert found == pytest.approx({str(float(k)): math.comb(3, k) * 0.3**k * 0.7 ** (3 - k) for k in range(4)})


def test_a_float_that_bernoulli_is_given_beats_the_tensors_numbers(torch: Any) -> None:
    found = listed(torch, lambda t: t.bernoulli(t.tensor([0.9, 0.9], dtype=t.float64), p=0.25))
    assert found["[1.0, 1.0]"] == pytest.approx(0.0625)


@pytest.mark.parametrize(
    "draw",
    [
        lambda t: t.randint(2**27, ()),
        lambda t: t.randint(0, 2**27, (1,)),
        lambda t: t.randint_like(t.zeros(1), 2**27),
    ],
)
def test_a_seed_that_is_drawn_is_refused_with_its_place(torch: Any, draw: Draw) -> None:
    answers = Answers()
    with (
        patched(), answered_by(answers),
        pytest.raises(UnanswerableError, match=r"test_of_torch.py:\d+: torch.randint\w* .* 134,217,728 numbers"),
    ):  # fmt: skip
        draw(torch)
    assert answers.fault is not None


def test_more_draws_without_replacement_than_there_are_is_refused(torch: Any) -> None:
    with patched(), answered_by(Answers()), pytest.raises(UnanswerableError, match="3 draws without replacement"):
        torch.multinomial(torch.tensor([0.5, 0.5, 0.0]), 3)


BAD: dict[str, Draw] = {
    "probabilities above 1": lambda t: t.bernoulli(t.tensor([1.5])),
    "negative weights": lambda t: t.multinomial(t.tensor([-1.0, 2.0]), 1),
    "weights that are no numbers": lambda t: t.multinomial(t.tensor([math.nan, 2.0]), 1),
    "no weight": lambda t: t.multinomial(t.tensor([0.0, 0.0]), 1),
    "nothing to draw from": lambda t: t.randint(3, 3, (1,)),
    "no size": lambda t: t.randint(3),
    "a float for an order": lambda t: t.randperm(1.5),
}


@pytest.mark.parametrize("name", BAD)
def test_what_torch_refuses_is_no_answer(torch: Any, name: str) -> None:
    with pytest.raises(Exception):  # noqa: B017, PT011 - whatever torch raises
        BAD[name](torch)
    with patched(), answered_by(Answers()), pytest.raises(Exception):  # noqa: B017, PT011 - of whatever kind
        BAD[name](torch)


def test_where_no_run_is_under_way_torch_draws_for_itself(torch: Any) -> None:
    torch.manual_seed(3)
    expected = [CASES[name](torch).tolist() for name in CASES]
    torch.manual_seed(3)
    with patched():
        assert [CASES[name](torch).tolist() for name in CASES] == expected


def test_functions_that_were_imported_by_name_are_answered(torch: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    script: Any = type(sys)("script")
    script.randperm = torch.randperm
    monkeypatch.setitem(sys.modules, "script", script)
    with patched():
        assert law(lambda: script.randperm(2)) == pytest.approx({"[0, 1]": 0.5, "[1, 0]": 0.5})
    assert script.randperm is torch.randperm


def objects(torch: Any) -> dict[tuple[str, str], Any]:
    owners = (torch, torch.Tensor, torch.distributions.categorical, torch.utils.data.sampler)
    return {(owner.__name__, name): value for owner in owners for name, value in vars(owner).items()}


def test_afterwards_everything_is_what_it_was_also_after_an_exception(torch: Any) -> None:
    before = objects(torch)
    with contextlib.suppress(KeyError), patched():
        during = objects(torch)
        for patch in of_torch.patches():
            assert during[patch.owner.__name__, patch.name] is not before.get((patch.owner.__name__, patch.name))
        raise KeyError
    after = objects(torch)
    assert after.keys() == before.keys()
    assert all(after[name] is value for name, value in before.items())
    assert np.shape(torch.randperm(3)) == (3,)
