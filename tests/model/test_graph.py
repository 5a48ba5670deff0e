"""A model as a graph: which states and outcomes it has, and which part of a large model."""

import math

import numpy as np
import pytest

import pgcheck
from pgcheck import MDP, TabularSoftmax
from pgcheck.formats.bundled import bundled_models
from pgcheck.model.graph import Edge, ModelGraph, Node, model_graph


def graph_of(mdp: MDP, most_states: int = 60, most_edges: int = 400) -> ModelGraph:
    return model_graph(mdp, TabularSoftmax.of(mdp), most_states=most_states, most_edges=most_edges)


def test_the_graph_of_two_state_is_that_of_its_file() -> None:
    graph = model_graph(*pgcheck.load("two_state"), most_states=60, most_edges=400)
    stay, move = 1 / (1 + math.exp(-0.5)), 1 / (1 + math.exp(0.1))  # in left, and in right
    assert graph.nodes == (
        Node("left", None, 0.5, False), Node("right", None, 0.5, False), Node("goal", None, 0.0, True),
    )  # fmt: skip
    expected = [
        Edge(0, 0, 0, 1.0, 0.0, stay, False), Edge(0, 0, 1, 0.2, 0.0, 1 - stay, False),
        Edge(0, 1, 1, 0.8, 1.0, 1 - stay, False), Edge(1, 1, 0, 1.0, 0.5, 1 - move, False),
        Edge(1, 2, 1, 1.0, 2.0, move, True),
    ]  # fmt: skip
    assert len(graph.edges) == len(expected)
    for ours, theirs in zip(graph.edges, expected, strict=True):
        assert (ours.source, ours.target, ours.action, ours.done) == (
            theirs.source, theirs.target, theirs.action, theirs.done,
        )  # fmt: skip
        assert (ours.prob, ours.reward) == pytest.approx((theirs.prob, theirs.reward))
        assert ours.policy == pytest.approx(theirs.policy)


def test_what_the_policy_sees_is_told_where_it_is_not_the_state() -> None:
    graph = model_graph(*pgcheck.load("short_corridor"), most_states=60, most_edges=400)
    assert [(node.name, node.sight) for node in graph.nodes] == [
        ("first", "corridor"), ("second", "corridor"), ("third", "corridor"), ("goal", None),
    ]  # fmt: skip


def test_every_bundled_model_is_whole() -> None:
    for model in bundled_models():
        graph, mdp = graph_of(model.mdp), model.mdp
        assert graph.is_whole
        assert (len(graph.nodes), len(graph.edges)) == (mdp.num_states, len(mdp.prob))


def chain(size: int, leave: float = 0.1) -> MDP:
    """s_k leads to s_{k+1}, or with a small probability back to the last state, which is terminal."""
    step = np.zeros((size, 1, size))
    for k in range(size - 1):
        step[k, 0, k + 1] += 1 - leave
        step[k, 0, size - 1] += leave
    return MDP.from_arrays(step, np.zeros(size), horizon=5, terminal=[size - 1])


def test_of_a_large_model_the_states_are_shown_that_are_likeliest_to_be_reached() -> None:
    graph = graph_of(chain(1000), most_states=5)
    # The likeliest way to s_k has probability 0.9^k, to the end 0.1 at once: more than 0.9^22.
    assert [node.name for node in graph.nodes] == ["0", "1", "2", "3", "4"]
    assert [(edge.source, edge.target) for edge in graph.edges] == [(0, 1), (1, 2), (2, 3), (3, 4)]
    assert not graph.is_whole
    assert (graph.states, graph.outcomes) == (1000, 2 * 999 - 1)
    assert "999" in [node.name for node in graph_of(chain(1000), most_states=25).nodes]
    assert "999" not in [node.name for node in graph_of(chain(1000, leave=1e-9), most_states=25).nodes]


def test_states_that_cannot_be_reached_are_left_out_of_a_part() -> None:
    step = np.zeros((4, 1, 4))
    step[[0, 1, 2, 3], 0, [0, 0, 3, 3]] = 1.0
    mdp = MDP.from_arrays(step, np.zeros(4), horizon=5, start=1)
    assert [node.name for node in graph_of(mdp, most_states=3).nodes] == ["0", "1"]
    assert len(graph_of(mdp, most_states=4).nodes) == 4


def test_of_too_many_outcomes_the_likeliest_are_shown_in_order() -> None:
    prob = np.array([0.1, 0.4, 0.2, 0.3])
    step = np.broadcast_to(prob, (4, 1, 4))
    graph = graph_of(MDP.from_arrays(step, np.zeros(4), horizon=5), most_edges=8)
    assert [(edge.source, edge.target) for edge in graph.edges] == [(s, to) for s in range(4) for to in (1, 3)]
    assert not graph.is_whole
