"""Branches of a tree: each run is in one of them, or among those that cut it, and where it is cut follows from it."""

import pickle
from collections import Counter
from collections.abc import Callable, Iterator

import numpy as np
import pytest

from pgcheck.external.draws import branches
from pgcheck.external.draws.answers import Answers
from pgcheck.external.draws.branches import Cutting, branches_of, numbers_of
from pgcheck.external.draws.endings import ChangedError
from pgcheck.external.draws.tree import Branch, Tree

Probs = tuple[float, ...]
Law = Callable[[tuple[int, ...]], Probs | None]  # of the draw after some answers; None where the run ends
Runs = Counter[tuple[int, ...]]


def irregular(seed: int, depth: int) -> Law:
    """Draws of one to four answers, some of them impossible, in runs that end early here and there."""

    def law(path: tuple[int, ...]) -> Probs | None:
        rng = np.random.default_rng((seed, len(path), *path))
        if len(path) == depth or (path and rng.random() < 0.15):
            return None
        weights = rng.integers(0, 3, size=rng.integers(1, 5)).astype(float)
        weights[rng.integers(len(weights))] += 1
        return tuple(weights / weights.sum())

    return law


def wide(width: int) -> Law:
    """One draw with very many answers, and a coin after it."""
    return lambda path: ((1 / width,) * width, (0.5, 0.5), None)[len(path)]


def chain(length: int) -> Law:
    """A coin that ends the run at heads."""
    return lambda path: None if 0 in path or len(path) == length else (0.5, 0.5)


def run(law: Law, answers: Answers) -> tuple[int, ...]:
    path: tuple[int, ...] = ()
    while (probs := law(path)) is not None:
        path += (answers.choose(probs),)
    return path


def leaves(law: Law, path: tuple[int, ...] = (), prob: float = 1.0) -> Iterator[tuple[tuple[int, ...], float]]:
    probs = law(path)
    if probs is None:
        yield path, prob
        return
    for k, each in enumerate(probs):
        if each > 0:
            yield from leaves(law, (*path, k), prob * each)


def walked(law: Law, tree: Tree | Cutting) -> Iterator[tuple[tuple[int, ...], float]]:
    while not tree.done:
        answers = tree.answers()
        path = run(law, answers)
        yield path, tree.completed(answers)


LAWS = {
    **{f"irregular {seed}": irregular(seed, 7) for seed in range(12)},
    "one run": irregular(0, 0), "one coin": chain(1), "wide": wide(1000), "chain": chain(400),
}  # fmt: skip


@pytest.mark.parametrize("name", LAWS)
def test_each_run_is_made_once(name: str) -> None:
    law = LAWS[name]
    cutting = Cutting()
    found = [*walked(law, cutting)]
    left = cutting.branches()
    assert branches_of(numbers_of(left)) == left
    for branch in left:
        own = [*walked(law, Tree(pickle.loads(pickle.dumps(branch))))]
        assert own
        found += own
    due = dict(leaves(law))
    assert Counter(path for path, _ in found) == Counter(due.keys())
    assert all(prob == pytest.approx(due[path], rel=1e-12) for path, prob in found)
    assert sum(prob for _, prob in found) == pytest.approx(1, abs=1e-12)


def test_runs_of_branches_follow_each_other_in_the_order_of_their_answers() -> None:
    law = irregular(3, 7)
    cutting = Cutting()
    first = {path for path, _ in walked(law, cutting)}
    others = [path for branch in cutting.branches() for path, _ in walked(law, Tree(branch))]
    assert others == sorted(path for path, _ in leaves(law) if path not in first)


def test_large_trees_are_cut_into_enough_branches_by_few_runs() -> None:
    for law in (lambda path: (0.5, 0.5) if len(path) < 12 else None), wide(1000):
        cutting = Cutting()
        made = len([*walked(law, cutting)])
        sizes = [len([*walked(law, Tree(branch))]) for branch in cutting.branches()]
        assert branches.ENOUGH <= len(sizes) <= 2 * branches.ENOUGH
        assert made <= branches.ENOUGH
        assert max(sizes) <= 2 * sum(sizes) / branches.ENOUGH + 2


def test_small_trees_are_walked_to_their_end() -> None:
    law = chain(40)
    cutting = Cutting()
    assert len([*walked(law, cutting)]) == 41
    assert cutting.branches() == ()


def test_a_tree_without_large_branches_takes_no_more_runs_than_it_may() -> None:
    cutting = Cutting()
    assert len([*walked(chain(400), cutting)]) == branches.MOST_RUNS
    assert len(cutting.branches()) == 1


def test_a_tree_with_a_draw_of_huge_size_stays_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(branches, "MOST_NUMBERS", 4_999)
    cutting = Cutting()
    assert len([*walked(wide(5000), cutting)]) == 1
    (branch,) = cutting.branches()
    assert branch.fixed == 0
    assert len([*walked(wide(5000), Tree(branch))]) == 9_999


@pytest.mark.parametrize("make", [Tree, Cutting])
def test_a_run_that_makes_fewer_draws_than_it_was_told_is_refused(make: Callable[[], Tree | Cutting]) -> None:
    tree = make()
    answers = tree.answers()
    run(chain(3), answers)
    tree.completed(answers)
    with pytest.raises(ChangedError, match="were made"):
        tree.completed(tree.answers())


def test_a_branch_ends_at_its_last_answer() -> None:
    draws = Tree(Branch()).answers()
    draws.choose([0.25] * 4)
    told = Branch((), 0, 2).after(draws.draws)
    assert told is not None
    path = [0, told[0].answer]
    while (told := Branch((), 0, 2).after(told)) is not None:
        path.append(told[0].answer)
    assert path == [0, 1, 2]
