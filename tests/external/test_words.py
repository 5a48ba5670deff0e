"""Which words of `verify` name estimators, and which models: none of a file runs for it."""

from pathlib import Path

import pytest

from pgcheck.external.opening import leading_estimators

FILE = """
raise SystemExit("this file must not run")
import gymnasium, pgcheck
from elsewhere import imported

def model(): ...
def sized(size=4, *, kind="x"): ...
def estimate(batch): ...
def any_number(*arguments): ...
def keyword(*, needed): ...
@pgcheck.agents.agent
def agent(env): ...
@agent
def bare(): ...
class Maze(gymnasium.Env): ...
class Walk:
    def reset(self): ...
    def step(self, action): ...
class Estimator:
    def __call__(self, batch): ...
table = {0: {}}
rows: list = [[]]
squares = [[(1.0, s, 0.0, True)] for s in range(3)]
made = gymnasium.make("FrozenLake-v1")
loaded = pgcheck.load("two_state")
maze = Maze()
of_rewards = Estimator()
loss = pgcheck.adapters.torch_loss(estimate)
makes = lambda: table
takes = lambda batch: batch
number: int
twice = {}
def twice(batch): ...
"""
MODELS = ("model", "sized", "Maze", "Walk", "table", "rows", "squares", "made", "loaded", "maze", "makes")
ESTIMATORS = (
    "estimate", "any_number", "keyword", "agent", "bare", "Estimator", "of_rewards", "loss", "takes", "number",
    "twice", "imported", "nowhere", "of_rewards.method",
)  # fmt: skip


@pytest.fixture
def file(tmp_path: Path) -> str:
    path = tmp_path / "mine.py"
    path.write_text(FILE)
    return str(path)


@pytest.mark.parametrize("name", MODELS)
def test_what_makes_a_model_is_a_model(file: str, name: str) -> None:
    assert leading_estimators(["reinforce", f"{file}:{name}"]) == (["reinforce"], [f"{file}:{name}"])


@pytest.mark.parametrize("name", ESTIMATORS)
def test_anything_else_is_an_estimator(file: str, name: str) -> None:
    assert leading_estimators(["reinforce", f"{file}:{name}"]) == (["reinforce", f"{file}:{name}"], [])


def test_the_first_word_that_names_a_model_ends_the_estimators(file: str, tmp_path: Path) -> None:
    models = ["gym:FrozenLake-v1", f"{file}:estimate", "two_state"]
    assert leading_estimators(["package.module:name", "cmd:awk -f x.awk", "my.py", *models]) == (
        ["package.module:name", "cmd:awk -f x.awk", "my.py"], models,
    )  # fmt: skip
    (tmp_path / "a:b").write_text("")
    assert leading_estimators([f"{tmp_path}/a:b"]) == ([], [f"{tmp_path}/a:b"])
    (tmp_path / "faulty.py").write_text("def f(:")
    assert leading_estimators([f"{tmp_path}/faulty.py:f"]) == ([f"{tmp_path}/faulty.py:f"], [])
