"""Models of known shapes, and names that are hard to write."""

from collections.abc import Iterable

import numpy as np

from pgcheck import MDP

# What would end a label, or a page, or begin markup in it; words that languages of graphs reserve; wide letters.
HARD = (
    'a"b', "x]-->y", "<script>alert(1)</script>", "東京の状態", "end", "1. list", "`code` *b* _i_", "style:#x;",
    "\\n \\N back\\", "click s0 callback", "&lt; &amp;", "|pipe| }); %% c", "subgraph", "${x}", "$x^2$", "- item",
)  # fmt: skip


def shaped(name: str, size: int, ways: Iterable[tuple[int, int]], *, terminal: Iterable[int] = ()) -> MDP:
    """An MDP with one action, whose outcomes are these ways from state to state, all as likely."""
    step = np.zeros((size, 1, size))
    for source, target in ways:
        step[source, 0, target] = 1.0
    step /= np.maximum(step.sum(axis=2, keepdims=True), 1.0)
    return MDP.from_arrays(step, np.zeros(size), horizon=5, terminal=list(terminal), name=name)


def shapes() -> list[MDP]:
    """A model of each shape that layouts tell apart."""
    grid = [(4 * r + c, 4 * r + c + 1) for r in range(3) for c in range(3)]
    grid += [(4 * r + c, 4 * r + c + 4) for r in range(2) for c in range(4)]
    rng = np.random.default_rng(1)
    wild = [(k, int(to)) for k in range(11) for to in rng.choice(12, 2, replace=False)]
    return [
        shaped("one", 1, [(0, 0)]),
        shaped("two", 2, [(0, 1)], terminal=[1]),
        shaped("cycle", 8, [(k, (k + 1) % 8) for k in range(8)]),
        shaped("complete", 5, [(s, to) for s in range(5) for to in range(5) if s != to]),
        shaped("star", 7, [(0, k) for k in range(1, 7)], terminal=range(1, 7)),
        shaped("wheel", 20, [(k, to) for k in range(19) for to in ((k + 1) % 19, 19)], terminal=[19]),
        shaped("chain", 20, [(k, k + 1) for k in range(19)], terminal=[19]),
        shaped("grid", 12, grid, terminal=[11]),
        shaped("tree", 15, [(k, to) for k in range(7) for to in (2 * k + 1, 2 * k + 2)], terminal=range(7, 15)),
        shaped("parts", 7, [(0, 1), (1, 2), (2, 2), (3, 4), (4, 5), (5, 3), (6, 6)]),
        shaped("wild", 12, wild, terminal=[11]),
        shaped("large", 900, [(k, to) for k in range(899) for to in ((7 * k) % 900, k + 1)], terminal=[899]),
    ]


def with_hard_names() -> MDP:
    """A chain whose states, and whose two actions, have such names."""
    size = len(HARD)
    step = np.zeros((size, 2, size))
    for k in range(size - 1):
        step[k, :, k + 1] = 1.0
    step[size - 1, 0, size - 1] = 1.0
    return MDP.from_arrays(
        step, np.linspace(-1, 1, size), horizon=5, states=HARD, actions=HARD[:2], name="".join(HARD[:3])
    )
