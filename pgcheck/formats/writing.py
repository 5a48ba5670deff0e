"""A model → a model file, in the nested form that people read; reading it gives the same arrays."""

import itertools
from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from pgcheck.errors import TooLargeError
from pgcheck.formats.modelfile import Model
from pgcheck.formats.nodes import MAX_NODES
from pgcheck.formats.problems import visible
from pgcheck.formats.reader import MAX_NAMES
from pgcheck.formats.sources import MAX_BYTES
from pgcheck.formats.words import key_of_block, mapping_in_line, name_text, number_text
from pgcheck.formats.writing_policies import policy_lines
from pgcheck.model.mdp import MDP
from pgcheck.model.softmax import TabularSoftmax

WIDTH = 110  # characters of a line before a list is broken up
AS_ARRAYS = "write it as arrays: -o FILE.npz"


def model_text(model: Model, comments: Sequence[str] = (), *, preferences: bool = False) -> str:
    """Returns the model file of a model, in YAML.

    Args:
      model: with a table of preferences or a linear policy, and likewise for behavior and reference.
      comments: lines that stand first, such as its source.
      preferences: whether those of the policy are written even where all are 0.

    Raises:
      UsageError: a policy is a network, which a model file cannot hold.
      TooLargeError: the file would be larger than a model file may be.
    """
    mdp = model.mdp
    if len(mdp.prob) * 3 > MAX_NODES or max(mdp.num_states, mdp.num_actions) > MAX_NAMES:
        sizes = f"{mdp.num_states:,} states and {len(mdp.prob):,} outcomes"
        raise TooLargeError(f"{mdp.name}: {sizes} are more than a model file can hold; {AS_ARRAYS}")
    lines = [f"# {visible(line)}" for comment in comments for line in comment.splitlines()]
    lines += _head(mdp)
    lines += _transitions(mdp)
    if preferences or np.any(model.policy.theta) or not isinstance(model.policy, TabularSoftmax):
        lines += policy_lines("policy", model.policy, mdp)
    for name, policy in (("behavior", model.behavior), ("reference", model.reference)):
        if policy is not None:
            lines += policy_lines(name, policy, mdp)
    weights = [f"{name}: {number_text(x)}" for name, x in (("entropy", mdp.entropy), ("kl", mdp.kl)) if x]
    if weights:
        lines.append(f"objective: {{{', '.join(weights)}}}")
    text = "\n".join(lines) + "\n"
    size = len(text.encode())
    if size > MAX_BYTES:
        raise TooLargeError(
            f"{mdp.name}: {size:,} bytes of YAML, and a model file has at most {MAX_BYTES:,}; {AS_ARRAYS}"
        )
    return text


def _head(mdp: MDP) -> Iterator[str]:
    """All that stands before the transitions."""
    yield f"name: {name_text(mdp.name)}"
    yield f"horizon: {'inf' if mdp.is_endless else int(mdp.horizon)}"
    yield f"gamma: {number_text(mdp.gamma)}"
    yield from _names("states", mdp.states)
    yield from _names("actions", mdp.actions)
    first = np.flatnonzero(mdp.start).tolist()
    if len(first) == 1 and mdp.start[first[0]] == 1:
        yield f"start: {name_text(mdp.states[first[0]])}"
    else:
        yield from _mapping("start", ((mdp.states[s], number_text(mdp.start[s])) for s in first))
    terminal = [mdp.states[s] for s in np.flatnonzero(mdp.terminal).tolist()]
    if terminal:
        yield from _list("terminal", terminal)
    seen = [mdp.observations[o] for o in mdp.observation.tolist()]
    other = [(state, name_text(sight)) for state, sight in zip(mdp.states, seen, strict=True) if state != sight]
    if other:
        yield from _mapping("observations", other)


def _names(key: str, names: Sequence[str]) -> Iterator[str]:
    """Names, or how many there are where they are the numbers from 0."""
    if all(name == str(number) for number, name in enumerate(names)):
        yield f"{key}: {len(names)}"
    else:
        yield from _list(key, names)


def _list(key: str, names: Iterable[str]) -> Iterator[str]:
    """A list, in one line or in several."""
    words = [name_text(name) for name in names]
    whole = f"{key}: [{', '.join(words)}]"
    if len(whole) <= WIDTH:
        yield whole
        return
    yield f"{key}: ["
    line = " "
    for word in words:
        if len(line) + len(word) > WIDTH and line.strip():
            yield line
            line = " "
        line += f" {word},"
    yield line
    yield "]"


def _mapping(key: str, entries: Iterable[tuple[str, str]]) -> Iterator[str]:
    """Names with values, in one line or each in its own."""
    listed = list(entries)
    whole = f"{key}: {mapping_in_line(listed)}"
    if len(whole) <= WIDTH:
        yield whole
    else:
        yield f"{key}:"
        yield from (f"{key_of_block(name, '  ')} {value}" for name, value in listed)


def _transitions(mdp: MDP) -> Iterator[str]:
    """Each state, its actions, and their outcomes."""
    if not len(mdp.prob):
        yield "transitions: {}"
        return
    yield "transitions:"
    words = [name_text(name) for name in mdp.states]
    columns = (mdp.state, mdp.action, mdp.next_state, mdp.prob, mdp.reward, mdp.done)
    pairs = itertools.groupby(zip(*(column.tolist() for column in columns), strict=True), key=lambda row: row[:2])
    before = -1
    for (state, action), rows in pairs:
        if state != before:
            yield key_of_block(mdp.states[state], "  ")
            before = state
        yield from _action(mdp.actions[action], [_outcome(words[to], *worth) for _, _, to, *worth in rows])


def _outcome(to: str, p: float, reward: float, done: bool) -> str:
    """An outcome: the next state alone, where all else is what it is by default."""
    more = [f"p: {number_text(p)}"] if p != 1 else []
    more += [f"reward: {number_text(reward)}"] if reward else []
    more += ["done: true"] if done else []
    return f"{{{', '.join([f'to: {to}', *more])}}}" if more else to


def _action(name: str, outcomes: list[str]) -> Iterator[str]:
    """An action with its outcomes, in one line or each in its own."""
    key = key_of_block(name, "    ")
    whole = f"{key} {outcomes[0]}" if len(outcomes) == 1 else f"{key} [{', '.join(outcomes)}]"
    if len(outcomes) == 1 or len(whole) <= WIDTH:
        yield whole
    else:
        yield key
        yield from (f"      - {outcome}" for outcome in outcomes)
