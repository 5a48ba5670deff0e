"""What must not be explored is refused, with the step at which it was seen; what only looks like it is not."""

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose

from pgcheck.formats.exploring import replay
from pgcheck.formats.exploring.search import explored
from tests.formats.explorable import DRAWS, Corridor, Drawing, Step, outcomes, refusal, value, value_by_walking

UNSEEN = (
    "a generator of a module",
    "a new generator",
    "random.SystemRandom",
)  # cannot be watched


@pytest.mark.parametrize("name", DRAWS)
def test_a_random_step_is_refused_wherever_its_numbers_come_from(name: str) -> None:
    text = refusal(Drawing(DRAWS[name]))
    by_twins = re.match(
        r"after reset\(seed=0\) and (1|1, 1): a step does not always do the same \(reward [0156] or [0156]\); .* not "
        "on random numbers, the clock, or what copies of an environment share$",
        text,
    )
    by_a_walk = re.match(
        r"after .*: (in [^,]*, |after [^,]*, )*a random walk parts from what exploring has found: reward", text
    )
    assert by_twins or (by_a_walk and name in UNSEEN)


@pytest.mark.parametrize("name", DRAWS)
def test_random_numbers_on_which_nothing_depends_do_no_harm(name: str) -> None:
    given = explored(Drawing(DRAWS[name], slip=0.0), source="env")
    assert outcomes(given) == outcomes(explored(Corridor(), source="env"))
    note = next((text for text in given.assumed if "random numbers" in text), None)
    # Steps forward from two cells, each taken in 1 + 1 + 15 copies, all but the first of which are twins.
    assert note == (None if name in UNSEEN else "steps draw random numbers, on which nothing depended in 32 tries")


def test_how_a_step_ends_may_not_be_drawn_either() -> None:
    class Ends(Corridor):
        chance = 0.5

        def step(self, action: Any) -> Step:
            cut = self.np_random.random() < self.chance
            return 0, 0.0, not cut, cut, {}

    assert "after reset(seed=0) and 0: a step does not always do the same (terminated or truncated)" in refusal(
        Ends()
    )
    sure = explored(type("Sure", (Ends,), {"chance": 1.0})(), source="env")
    assert "where step says truncated, the episode ends" in sure.assumed
    assert sure.done.tolist() == [True, True]


def test_what_is_seen_may_not_be_drawn_either() -> None:
    class Noisy(Corridor):
        def step(self, action: Any) -> Step:
            _, *rest = super().step(action)
            return (self.np_random.random(), *rest)  # type: ignore[return-value]

    assert "after reset(seed=0) and 0: a step does not always do the same (what is observed)" in refusal(Noisy())


def test_what_is_drawn_is_tried_more_often() -> None:
    # In two steps forward one pair of twins would see a slip with probability 1 - 0.82 ** 2 = 0.33, 17 copies 0.97.
    slips = [Drawing(lambda env, k=k: (env.np_random.random() + k / 40) % 1, slip=0.1) for k in range(40)]  # type: ignore[misc]
    assert sum("a step does not always do the same" in refusal(slip) for slip in slips) >= 32


class Hidden(Corridor):
    """Pays otherwise once all environments of this class together have taken many steps."""

    steps = 0
    most = 0

    def pay(self, action: int) -> float:
        type(self).steps += 1
        return super().pay(action) + (self.steps > self.most)


def test_state_of_the_class_is_found_by_walks() -> None:
    text = refusal(type("Late", (Hidden,), {"most": 500})())
    assert re.match(r"after reset\(seed=0\) and .*: (in a second episode, after another reset, )?a random walk", text)
    assert re.search(
        r"reward [12] instead of [01]; .*is (there a state|one) outside the environment's attributes", text
    )
    # Eight steps of twins, and those of walks, which may end a little later.
    late = type("Never", (Hidden,), {"most": 8 + replay.STEPS + replay.STEPS_ITSELF + 3 * replay.LONGEST})
    assert outcomes(explored(late(), source="env")) == outcomes(explored(Corridor(), source="env"))


def test_state_of_the_class_is_found_by_twins_where_it_changes_at_once() -> None:
    class Toggle(Corridor):
        calls = 0

        def pay(self, action: int) -> float:
            type(self).calls += 1
            return float(self.calls % 2)

    assert "a step does not always do the same (reward 1 or 0)" in refusal(Toggle())


class Lives(Corridor):
    """Attributes that a reset leaves; where they count, a second episode is another one."""

    def __init__(self, counts: bool) -> None:
        super().__init__()
        self.counts, self.episodes = counts, 0

    def restart(self) -> None:
        self.episodes += 1

    def pay(self, action: int) -> float:
        return super().pay(action) + (self.counts and self.episodes > 1)


def test_what_a_reset_leaves_is_found_where_it_counts() -> None:
    text = refusal(Lives(True))
    assert "in a second episode, after another reset, a random walk parts from what exploring has found: rew" in text
    assert "; does reset leave a state as it was" in text
    assert_allclose(
        value(explored(Lives(False), source="env"), 5, 0.9), value_by_walking(Corridor, 5, 0.9), rtol=1e-12
    )


class Broken(Corridor):
    def __init__(self, pay: Callable[["Broken"], Any]) -> None:
        super().__init__()
        self.paid = pay

    def pay(self, action: int) -> float:
        return self.paid(self) if self.cell == 1 else 0.0


def _raises(env: Broken) -> float:
    raise KeyError("no such cell")


def test_errors_of_a_step_have_its_line() -> None:
    text = refusal(Broken(_raises))
    line = _raises.__code__.co_firstlineno + 1
    assert text.startswith(
        f"after reset(seed=0) and 1: step raised KeyError: 'no such cell'\n  {__file__}:{line}: raise"
    )


@pytest.mark.parametrize(
    ("pay", "message"),
    [
        (lambda env: np.nan, "the reward is nan; expected a finite number"),
        (lambda env: "much", "step returned no number or no truth value: ValueError"),
        (lambda env: np.array([1.0, 2.0]), "step returned no number or no truth value: TypeError"),
    ],
)
def test_what_is_no_reward_is_refused(pay: Callable[[Broken], Any], message: str) -> None:
    assert f"after reset(seed=0) and 1: {message}" in refusal(Broken(pay))


def test_what_no_environment_returns_is_refused() -> None:
    four = type("Four", (Corridor,), {"step": lambda self, action: (0, 0.0, False, {})})
    assert "step returned 4 values; expected observation, reward, terminated, truncated, info" in refusal(four())
    old = type("Old", (Corridor,), {"reset": lambda self, seed=None: 0})
    assert "reset returned something else than (observation, info)" in refusal(old())


@pytest.mark.parametrize("name", ["the module random", "numpy.random", "an attribute of random.Random"])
def test_resets_that_do_not_heed_the_seed_are_refused(name: str) -> None:
    class Careless(Drawing):
        def restart(self) -> None:
            self.cell = int(self.draw(self) * 1e6)

    text = refusal(Careless(DRAWS[name], slip=0.0))
    assert text.startswith(
        "reset(seed=0): a reset with the same seed does not always do the same (its attribute cell)"
    )
