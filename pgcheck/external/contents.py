"""What answers hold → fields and arrays, as `wire` sends them; and back, by readers that trust nothing."""

import math
from collections.abc import Callable, Mapping
from typing import Any, Literal

import numpy as np

from pgcheck.arrays import Floats
from pgcheck.errors import EstimatorError, PolicyError
from pgcheck.estimators.base import Gradients
from pgcheck.external.agent_source import Beginning
from pgcheck.external.draws.branches import branches_of, numbers_of
from pgcheck.external.draws.tree import Branch, Count
from pgcheck.external.episodes import decoded
from pgcheck.external.loop import Rehearsal
from pgcheck.external.lot import Before, Cut, Lot
from pgcheck.external.sample import Sample
from pgcheck.external.subject import Subject
from pgcheck.external.wire import Answer, MalformedAnswerError, Take
from pgcheck.model.linearised import Linearised
from pgcheck.model.mdp import MDP
from pgcheck.model.parameters import Shapes
from pgcheck.model.parametric import MAX_DERIVATIVE

Kind = Literal["estimator", "agent"]
Fields = Mapping[str, Any]
GradientShapes = Mapping[bool, tuple[int, ...]]  # one gradient for each episode (True), or for each batch (False)

SLACK = 1e-6  # by which sums of probabilities may miss what they must be
MOST_AXES = 32  # of an array of parameters
MOST_NUMBERS = 2**24  # that tell of the episodes of the runs of one answer


def answer_of(content: Gradients | Beginning | Cut | Sample | Kind | tuple[int, float] | None) -> Answer:
    """Returns the answer that holds this; None is no more than that the request is done.

    Raises:
      EstimatorError: the episodes are more than an answer may hold.
    """
    match content:
        case None:
            return Answer({})
        case str():
            return Answer({"kind": content})
        case Gradients(values, per_episode, single):
            return Answer({"shape": values.shape, "per_episode": per_episode, "single": single}, [values])
        case (int(runs), float(mass)):
            return Answer({"runs": runs, "mass": mass, "due": True})
        case Cut():
            return _of_cut(content)
        case Sample(gradients, without, clipped, by_policy, episodes):
            return Answer(
                {"runs": len(gradients), "numbers": _few_enough(episodes)},
                [
                    gradients,
                    np.array([without, clipped, by_policy], dtype=np.float64),
                    np.array(episodes, dtype=np.float64),
                ],
            )
    subject, rehearsal = content.subject, content.rehearsal
    policy, count = subject.policy, rehearsal.count
    arrays = [policy.theta, policy.all_logits, policy.logit_derivative]
    arrays += [array for array in (subject.values, subject.value_derivative) if array is not None]
    return Answer(
        {
            "shapes": [[name, list(shape)] for name, shape in policy.shapes.items()], "single": policy.single,
            "unused": list(subject.unused), "values": subject.values is not None,
            "value_derivative": subject.value_derivative is not None, "steps": rehearsal.steps,
            "decayed": rehearsal.decayed, "not_told": subject.not_told,
            "count": [] if count is None else [count.mean, count.error, count.tries],
        },
        arrays,
    )  # fmt: skip


def nothing(fields: Fields, take: Take) -> None:
    """Reads an answer that says no more than that the request is done."""


def kind(fields: Fields, take: Take) -> Kind:
    """Reads what kind of thing was loaded."""
    if fields.get("kind") == "agent":
        return "agent"
    _require(fields.get("kind") == "estimator")
    return "estimator"


def gradients_of(shapes: GradientShapes) -> Callable[[Fields, Take], Gradients]:
    """Returns what reads gradients of one of these shapes, all of them finite."""

    def read(fields: Fields, take: Take) -> Gradients:
        per_episode = bool(fields.get("per_episode"))
        shape = shapes.get(per_episode)
        if shape is None or fields.get("shape") != list(shape):
            raise MalformedAnswerError
        # The child has looked, but the estimator may have changed the child.
        return Gradients(_finite(take(shape)), per_episode, bool(fields.get("single")))

    return read


def beginning_on(mdp: MDP) -> Callable[[Fields, Take], Beginning]:
    """Returns what reads how an agent begins on a model."""

    def read(fields: Fields, take: Take) -> Beginning:
        shapes, states = _shapes(fields.get("shapes")), (mdp.num_states, mdp.num_actions)
        d = sum(math.prod(shape) for shape in shapes.values())
        _require(0 < d * math.prod(states) <= MAX_DERIVATIVE)
        theta, logits, derivative = _finite(take((d,))), take(states), take((*states, d))
        try:
            policy = Linearised(mdp, theta, shapes, logits, derivative, single=bool(fields.get("single")))
        except PolicyError:
            raise MalformedAnswerError from None
        values = _finite(take(states[:1])) if fields.get("values") else None
        of_values = _finite(take((states[0], d))) if fields.get("value_derivative") else None
        unused, count = _listed(fields.get("unused")), _listed(fields.get("count"))
        _require(all(isinstance(name, str) for name in unused) and len(count) in (0, 3))
        of_runs = Count(_number(count[0], least=1), _number(count[1]), _whole(count[2], least=1)) if count else None
        rehearsal = Rehearsal(_whole(fields.get("steps")), _number(fields.get("decayed")), of_runs)
        return Beginning(Subject(policy, tuple(unused), values, of_values, _whole(fields.get("not_told"))), rehearsal)

    return read


def cut_on(mdp: MDP, d: int, most: int) -> Callable[[Fields, Take], Cut | tuple[int, float]]:
    """Returns what reads what runs have shown; or, as long as some are due, how many were made and their probability.

    Args:
      mdp: the model.
      d: how many parameters the agent has.
      most: how many runs there may be.
    """

    def read(fields: Fields, take: Take) -> Cut | tuple[int, float]:
        runs = _whole(fields.get("runs"))
        _require(runs <= most)
        if fields.get("due") is True:
            return runs, _number(fields.get("mass"))
        numbers, of_branches = _whole(fields.get("numbers")), _whole(fields.get("of_branches"))
        _require(numbers <= MOST_NUMBERS and of_branches <= MOST_NUMBERS)
        mean, probs, episodes = _finite(take((d,))), _finite(take((runs,))), _finite(take((numbers,)))
        mass = math.fsum(probs)
        _require(bool(np.all(probs >= 0)) and mass <= 1 + SLACK)
        square = math.inf if fields.get("square") == math.inf else _number(fields.get("square"))
        not_finite, without, clipped = (_number(fields.get(name)) for name in ("not_finite", "without", "clipped"))
        _require(not_finite + without <= mass + SLACK and clipped <= mass + SLACK)
        # (Σ P ĝ)² ≤ Σ P · Σ P ĝ²
        _require(float(mean @ mean) <= mass * square * (1 + SLACK))
        flags = (fields.get(name) is True for name in ("done", "shuffled", "anew"))
        listed = _episodes(episodes, mdp, runs)
        lot = Lot(mean, runs, mass, square, not_finite, without, clipped, probs.tolist(), listed, *flags)
        return Cut(lot, _branches(_finite(take((of_branches,)))), _before(_listed(fields.get("before"))))

    return read


def _branches(numbers: Floats) -> tuple[Branch, ...]:
    try:
        return branches_of(numbers.tolist())
    except ValueError:
        raise MalformedAnswerError from None


def _before(fields: list[Any]) -> Before:
    _require(len(fields) == 4)
    return Before(fields[0] is True, _number(fields[1]), _whole(fields[2]), _number(fields[3]))


def sample_on(mdp: MDP, d: int, most: int) -> Callable[[Fields, Take], Sample]:
    """Returns what reads what sampled runs have shown; arguments as of `lot_on`."""

    def read(fields: Fields, take: Take) -> Sample:
        runs, numbers = _whole(fields.get("runs"), least=1), _whole(fields.get("numbers"))
        _require(runs <= most and numbers <= MOST_NUMBERS)
        gradients, flags, episodes = take((runs, d)), take((3, runs)), _finite(take((numbers,)))
        is_finite = np.isfinite(gradients)
        _require(bool(np.all(is_finite.all(axis=1) | np.isnan(gradients).all(axis=1))))
        _require(bool(np.all((flags == 0) | (flags == 1))))
        without, clipped, by_policy = flags.astype(np.bool_)
        _require(not np.any(gradients[without]))
        return Sample(gradients, without, clipped, by_policy, _episodes(episodes, mdp, runs))

    return read


def _episodes(numbers: Floats, mdp: MDP, runs: int) -> list[int]:
    """The numbers that tell of the episodes of some runs, once it is sure that the model has such episodes."""
    _require(bool(np.all(np.abs(numbers) < 2**53)) and bool(np.all(numbers == np.round(numbers))))
    listed: list[int] = numbers.astype(np.int64).tolist()
    try:
        decoded(listed, mdp, runs)
    except EstimatorError:
        raise MalformedAnswerError from None
    return listed


def _few_enough(episodes: list[int]) -> int:
    """How many numbers tell of episodes."""
    if len(episodes) > MOST_NUMBERS:
        raise EstimatorError(f"the runs took {len(episodes):,} steps of environments; at most {MOST_NUMBERS:,}")
    return len(episodes)


def _of_cut(cut: Cut) -> Answer:
    lot, before, branches = cut.lot, cut.before, numbers_of(cut.branches)
    fields = {
        "runs": lot.runs, "numbers": _few_enough(lot.episodes), "square": lot.square, "not_finite": lot.not_finite,
        "without": lot.without, "clipped": lot.clipped, "done": lot.done, "shuffled": lot.shuffled, "anew": lot.anew,
        "of_branches": len(branches), "before": [before.drawn, before.greatest, before.shuffled, before.heaviest],
    }  # fmt: skip
    episodes = np.array(lot.episodes, dtype=np.float64)
    return Answer(fields, [lot.mean, np.array(lot.probs), episodes, np.array(branches)])


def _shapes(listed: object) -> Shapes:
    """The shapes of parameters by name."""
    shapes: dict[str, tuple[int, ...]] = {}
    for item in _listed(listed):
        _require(len(_listed(item)) == 2 and isinstance(item[0], str) and len(_listed(item[1])) <= MOST_AXES)
        shapes[item[0]] = tuple(_whole(size) for size in item[1])
    _require(len(shapes) == len(_listed(listed)) > 0)
    return shapes


def _listed(value: object) -> list[Any]:
    if not isinstance(value, list):
        raise MalformedAnswerError
    return value


def _number(value: object, least: float = 0.0) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool) or not least <= value < math.inf:
        raise MalformedAnswerError
    return float(value)


def _whole(value: object, least: int = 0) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value < 2**53:
        raise MalformedAnswerError
    return value


def _finite(array: Floats) -> Floats:
    _require(bool(np.all(np.isfinite(array))))
    return array


def _require(condition: bool) -> None:
    if not condition:
        raise MalformedAnswerError
