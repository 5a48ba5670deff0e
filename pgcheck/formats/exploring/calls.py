"""What exploring asks of an environment: a copy, a reset, a step; what goes wrong there, as users read it."""

import copy
import math
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from pgcheck.errors import ModelError
from pgcheck.formats.exploring.attributes import attributes
from pgcheck.formats.exploring.state import Snapshot, digest, layers, snapshot
from pgcheck.formats.exploring.writing import UnreadableError
from pgcheck.formats.problems import visible

T = TypeVar("T")

PACKAGE = str(Path(__file__).resolve().parents[1])
SHOWN_STEPS = 8  # of a path
MOST_TEXT = 500  # characters of an error's own text


@dataclass(frozen=True)
class Trail:
    """Where something was seen: after which actions, by name, from which reset."""

    source: str
    seed: int = 0
    actions: tuple[str, ...] = ()

    def fault(self, text: str) -> ModelError:
        """Returns the error that something is so, and where it was seen."""
        return ModelError(f"{visible(self.source)}: error: {self}: {text}")

    def __str__(self) -> str:
        if not self.actions:
            return f"reset(seed={self.seed})"
        last = ", ".join(visible(name) for name in self.actions[-SHOWN_STEPS:])
        cut = f"{len(self.actions):,} actions that end in " if len(self.actions) > SHOWN_STEPS else ""
        return f"after reset(seed={self.seed}) and {cut}{last}"


Where = Callable[[], Trail]  # paths are followed back only where something went wrong


@dataclass(frozen=True)
class Seen:
    """What came back from a step, or from a reset.

    Attributes:
      reward: 0 for a reset.
      done: whether the episode ended, also by the environment's own truncation, which is `truncated`.
      observation: a digest of it.
      offered: the numbers of the actions that `info["action_mask"]` allows; None where there is none.
      state: the environment's own, afterwards.
    """

    reward: float
    done: bool
    truncated: bool
    observation: bytes
    offered: tuple[int, ...] | None
    state: Snapshot

    def differences(self, other: "Seen") -> str:
        """Returns in which respects two outcomes differ, in words; empty where they do not."""
        texts = []
        if self.reward != other.reward:
            texts.append(f"reward {self.reward:.9g} or {other.reward:.9g}")
        if self.done != other.done:
            texts.append("the episode ends or goes on")
        elif self.truncated != other.truncated:
            texts.append("terminated or truncated")
        if names := self.state.differing(other.state):
            texts.append(f"its attribute{'s' if len(names) > 1 else ''} {', '.join(names[:6])}")
        if self.observation != other.observation and not texts:
            texts.append("what is observed")
        return "; ".join(texts)


def copied(environment: Any, where: Where, memo: dict[int, Any] | None = None) -> Any:
    """Returns a copy of an environment, and in `memo` those of its parts; refuses what cannot be copied."""
    try:
        return copy.deepcopy(environment, memo)
    except Exception as error:
        holder = _uncopyable(environment)
        what = f"attribute {holder}" if holder else "it"
        raise where().fault(
            f"{what} cannot be copied: {_text(error)}; exploring takes copies of an environment"
        ) from None


def was_reset(environment: Any, seed: int, count: int, where: Where) -> Seen:
    """Returns what `reset(seed=...)` gives; `count` is the number of actions."""
    answer = _called("reset", lambda: environment.reset(seed=seed), where)
    if not isinstance(answer, tuple) or len(answer) != 2:
        raise where().fault("reset returned something else than (observation, info)")
    observation, info = answer
    return _seen(environment, 0.0, False, False, observation, info, count, where)


def stepped(environment: Any, action: Any, count: int, where: Where) -> Seen:
    """Returns what a step with this action gives."""
    answer = _called("step", lambda: environment.step(action), where)
    if not isinstance(answer, tuple) or len(answer) != 5:
        size = f"{len(answer)} values" if isinstance(answer, tuple) else f"a {type(answer).__name__}"
        raise where().fault(f"step returned {size}; expected observation, reward, terminated, truncated, info")
    observation, reward, terminated, truncated, info = answer
    try:
        number, ends, cut = float(reward), bool(terminated), bool(truncated)
    except (TypeError, ValueError) as error:
        raise where().fault(f"step returned no number or no truth value: {_text(error)}") from None
    if not math.isfinite(number):
        raise where().fault(f"the reward is {number}; expected a finite number")
    return _seen(environment, number, ends or cut, cut and not ends, observation, info, count, where)


def snapshot_of(environment: Any, offered: tuple[int, ...] | None, where: Where) -> Snapshot:
    """Returns the state of an environment, of which the actions that it offers are part."""
    mask = None if offered is None else repr(offered).encode()
    return _read("its state", lambda: snapshot(environment, mask), where)


def _read(what: str, read: Callable[[], T], where: Where) -> T:
    try:
        return read()
    except UnreadableError as error:
        raise where().fault(f"{what} cannot be read: {error}") from None
    except RecursionError:
        raise where().fault(f"{what} cannot be read: objects hang on each other thousands deep") from None


def _seen(
    environment: Any, reward: float, done: bool, cut: bool, observation: Any, info: Any, count: int, where: Where
) -> Seen:
    offered = None
    mask = info.get("action_mask") if isinstance(info, dict) else None
    if mask is not None:
        allowed = np.asarray(mask).ravel()
        if len(allowed) != count:
            raise where().fault(f"action_mask has {len(allowed)} values; expected {count}, one an action")
        offered = tuple(np.flatnonzero(allowed).tolist())
        if not offered and not done:
            raise where().fault("action_mask allows no action, but the episode goes on")
    state = snapshot_of(environment, offered, where)
    shown = _read("its observation", lambda: digest(observation), where)
    return Seen(reward, done, cut, shown, offered, state)


def _called(name: str, call: Callable[[], T], where: Where) -> T:
    """What a method of the environment returns; its error is the user's, with the line that raised it."""
    try:
        return call()
    except (Exception, SystemExit) as error:
        frames = [
            frame for frame in traceback.extract_tb(error.__traceback__) if not frame.filename.startswith(PACKAGE)
        ]
        at = f"\n  {frames[-1].filename}:{frames[-1].lineno}: {frames[-1].line}" if frames else ""
        raise where().fault(f"{name} raised {_text(error)}{at}") from None


def _uncopyable(value: Any, depth: int = 4) -> str:
    """The name of what deepcopy fails at, such as `simulator.handle`; empty where it is the whole."""
    named: Sequence[tuple[str, Any]] = attributes(value)
    if value is (stack := layers(value))[0] and len(stack) > 1:
        named = [("", layer) for layer in stack[1:]] + list(named)
    for name, part in named if depth else ():
        try:
            copy.deepcopy(part)
        except Exception:
            inner = _uncopyable(part, depth - 1)
            return ".".join(word for word in (name, inner) if word)
    return ""


def _text(error: BaseException) -> str:
    text = visible(str(error))[:MOST_TEXT]
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
