"""Digests: the same for the same content in any process, and others for other content."""

import hashlib
import os
import subprocess
import sys
import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import Enum
from fractions import Fraction
from functools import cached_property, partial
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import numpy as np
import pytest

import pgcheck
from pgcheck import MDP, Policy
from pgcheck.workers.digests import digest_of, file_digest
from tests.conftest import ROOT


class Colour(Enum):
    RED = 1
    BLUE = 2


class Pair(NamedTuple):
    x: float
    y: float


@dataclass(frozen=True)
class Point:
    x: float
    y: float


class Plain:
    def __init__(self, x: float) -> None:
        self.x = x

    @cached_property
    def doubled(self) -> float:
        return 2 * self.x


def things() -> list[object]:
    """No two of them are alike."""
    return [
        None, True, 1, 1.0, 1 + 0j, "1", b"1", 10**5000, 10**5000 + 1, 0.0, -0.0, "None", np.float64(1.0),
        np.int64(1),
        (), [], {}, set(), frozenset(), (1,), [1], (1, 2), (2, 1), ((1,), 2), (1, (2,)), ("a", "b"), ("ab",),
        ("a, b",),
        ("a",), (("a",),), ((("a",),),), ("a", None), ("a", 1.0), ("a", 1), {"a": 1}, {"a": 2}, {"b": 1},
        {"a": 1, "b": 2}, {"a", "b", "c"}, {"a", "b"}, np.zeros(2), np.zeros(3), np.zeros((1, 2)), np.zeros(2, "f4"),
        np.zeros(2, "i8"), np.array([0.0, -0.0]), np.array([1, "a"], object), np.array([1, "b"], object),
        Point(1.0, 2.0), Point(2.0, 1.0), Pair(1.0, 2.0), (1.0, 2.0), Plain(1.0), Plain(2.0), Colour.RED, Colour.BLUE,
        os.getcwd, len, Plain, Point, partial(max, 1), partial(max, 2), partial(min, 1), Fraction(1, 3),
        Fraction(2, 3),
        np.random.default_rng(1), np.random.default_rng(2), np.random.SeedSequence(1), np.random.SeedSequence(2),
        PurePosixPath("a"), PurePosixPath("b"), OrderedDict(a=1), range(3), range(4),
    ]  # fmt: skip


def digests() -> list[str]:
    return [*map(digest_of, things()), digest_of(*pgcheck.load("two_state"))]


def test_different_things_have_different_digests() -> None:
    assert len(set(digests())) == len(digests()) > 60
    assert digest_of(1, 2) != digest_of((1, 2)) != digest_of(1)


def test_the_same_things_have_the_same_digest_in_another_process() -> None:
    code = "from tests.workers.test_digests import digests; print(*digests())"
    own = digests()
    for seed in ("1", "2"):  # of the order of sets
        environment = os.environ | {"PYTHONHASHSEED": seed}
        other = subprocess.run(
            [sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True, text=True, check=True
        )
        assert other.stdout.split() == own


def test_neither_identity_nor_what_was_worked_out_counts(two_state: tuple[MDP, Policy]) -> None:
    name = "".join(["a", "b"])
    assert digest_of([name, name, 1]) == digest_of(["".join(["a", "b"]), "ab", 1])
    used, unused = Plain(1.0), Plain(1.0)
    assert used.doubled == 2.0
    assert digest_of(used) == digest_of(unused)
    mdp, policy = pgcheck.load("two_state")
    before = digest_of(mdp, policy)
    pgcheck.exact_gradient(mdp, policy)
    assert digest_of(mdp, policy) == before == digest_of(*two_state)


def test_a_pickle_would_count_both() -> None:
    import pickle

    used = Plain(1.0)
    before = pickle.dumps(used)
    assert used.doubled == 2.0
    assert pickle.dumps(used) != before


@pytest.mark.parametrize(
    "change",
    [
        lambda mdp: replace(mdp, gamma=0.5),
        lambda mdp: replace(mdp, horizon=2),
        lambda mdp: mdp.with_rewards(np.nextafter(mdp.reward, np.inf)),
        lambda mdp: replace(mdp, name="other"),
        lambda mdp: replace(mdp, entropy=0.1),
    ],
)
def test_another_model_has_another_digest(change: Callable[[MDP], MDP], two_state: tuple[MDP, Policy]) -> None:
    mdp, _ = two_state
    assert digest_of(change(mdp)) != digest_of(mdp)


def test_another_policy_has_another_digest(two_state: tuple[MDP, Policy]) -> None:
    mdp, policy = two_state
    uniform = pgcheck.TabularSoftmax.of(mdp)
    assert digest_of(uniform) != digest_of(policy)
    assert digest_of(uniform) == digest_of(pgcheck.TabularSoftmax.of(mdp))


@pytest.mark.torch
def test_a_network_is_its_parameters_and_its_probabilities(two_state: tuple[MDP, Policy]) -> None:
    import torch

    from pgcheck.model.network import TorchNetwork

    mdp, _ = two_state
    own = []
    for seed in (0, 0, 1):
        torch.manual_seed(seed)
        policy = TorchNetwork(mdp, torch.nn.Linear(mdp.num_states, mdp.num_actions))
        own.append(digest_of(policy))
        policy.pullback(np.ones((5, mdp.num_states, mdp.num_actions)))
        assert digest_of(policy) == own[-1]
    assert own[0] == own[1] != own[2]


def test_a_thing_that_contains_itself_has_a_digest() -> None:
    def nested(*items: object) -> list[object]:
        circle: list[object] = [*items]
        circle.append(circle)
        return circle

    assert digest_of(nested(1)) == digest_of(nested(1)) != digest_of(nested(2))


def test_what_cannot_be_pickled_has_no_digest() -> None:
    for thing in (lambda: 1, (item for item in "a"), threading.Lock()):
        with pytest.raises(TypeError):
            digest_of(thing)


def test_a_file_is_its_bytes(tmp_path: Path) -> None:
    (tmp_path / "my_pg.py").write_bytes(b"x = 1\r\n")
    assert file_digest(str(tmp_path / "my_pg.py")) == hashlib.sha256(b"x = 1\r\n").hexdigest()
    with pytest.raises(FileNotFoundError):
        file_digest(str(tmp_path / "none.py"))
