"""A Gymnasium environment → what its table says of a model, once it is known that the environment does that.

Only methods and attributes of the environment are used: gymnasium itself is imported in `registry`.
"""

import contextlib
import io
import math
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from pgcheck.arrays import Floats
from pgcheck.errors import ModelError, PgcheckError, UsageError
from pgcheck.formats.environments import attributes
from pgcheck.formats.environments.failures import failure_text
from pgcheck.formats.environments.held import hold, hold_start
from pgcheck.formats.environments.observed import AmbiguousError, Observer
from pgcheck.formats.environments.stepping import Stepped, reset, stepped
from pgcheck.formats.environments.tables import Table, table_of
from pgcheck.formats.exploring.search import MAX_STATES, explored
from pgcheck.formats.given import Given, Options
from pgcheck.formats.problems import fault, visible
from pgcheck.formats.reader import enumerated

# Wrappers that leave what an environment does as it is, apart from the time limit.
NEUTRAL = {
    "TimeLimit", "OrderEnforcing", "PassiveEnvChecker", "RecordEpisodeStatistics", "RecordVideo", "HumanRendering",
    "RenderCollection", "Autoreset",
}  # fmt: skip
SEED = 0  # of the resets
SEED_OF_ACTIONS = 0x70676368  # another one: with the same, actions and outcomes would be drawn by the same numbers


def is_environment(value: object) -> bool:
    """Whether something is a Gymnasium environment, or is used like one."""
    return not isinstance(value, type) and all(hasattr(value, name) for name in ("reset", "step", "action_space"))


def given_of(environment: Any, source: str, name: str, options: Options) -> Given:
    """Returns what an environment says of a model.

    Args:
      environment: with its wrappers, of which the time limit counts; it is reset and stepped.
      source: as it stands in messages.
      name: of the model.
      options: `explore` explores an environment without a table.

    Raises:
      UsageError: it has no table, and is not to be explored; or it starts in several states with unknown
        probabilities, and `start` is not given.
      ModelError: the table is at fault, or the environment does something else.
    """
    inner, wrappers, limit = _unwrapped(environment)
    with reporting(source):
        observation, _ = reset(inner, SEED)
        given = getattr(inner, "P", None)
    if given is None:
        with reporting(source):
            return _explored(environment, inner, source, name, options)
    with reporting(source):
        table = table_of(given, source)
    states, actions = attributes.state_names(inner, table), attributes.action_names(inner, table)
    known = attributes.start_of(inner, table, source)
    own = attributes.horizon_of(inner)
    ends = min((steps for steps in (limit, own) if steps is not None), default=None)
    assumed = ["it has a table, so that it was not explored"] if options.get("explore") else []
    seen = _seen(inner, observation, table, ends, source)
    if seen is None:
        assumed.append("its steps could not be held against its table P, because it does not tell its state")
    else:
        hold(seen, table, states, actions, source)
        if known is not None:
            hold_start(seen, known, states, source)
    start = known
    if known is None and seen is not None and "start" not in options:
        start = _only_start(seen, states, source)
        assumed.append(f"all resets start in {states[int(start.argmax())]}")
    cut = None if seen is None else _cut(seen, ends, source)
    horizon, text = _horizon(limit, own, cut)
    gamma = attributes.discount_of(inner)
    changing = [wrapper for wrapper in wrappers if wrapper not in NEUTRAL]
    if changing:
        assumed.append(f"the table is that of the environment without its wrappers {', '.join(changing)}")
    if gamma is not None:
        assumed.append(f"gamma {gamma:g} is the environment's attribute")
    return Given(
        source, name, states, actions,
        table.state, table.action, table.next_state, table.prob, table.reward, table.done, table.terminal,
        start=start, observations=attributes.observations_of(inner, table),
        horizon=horizon, limit=text, gamma=gamma, assumed=tuple(assumed),
    )  # fmt: skip


@contextlib.contextmanager
def reporting(source: str) -> Iterator[None]:
    """Lets what a user's code prints go to standard error, and whatever it raises become a ModelError."""
    try:
        with contextlib.redirect_stdout(sys.stderr):
            yield
    except ModelError as error:
        raise error if str(error).startswith(f"{visible(source)}: error:") else fault(source, str(error)) from None
    except (PgcheckError, AmbiguousError):
        raise
    except (Exception, SystemExit) as error:
        raise fault(source, failure_text(error, "it")) from None


def _explored(environment: Any, inner: Any, source: str, name: str, options: Options) -> Given:
    """What exploring an environment without a table finds."""
    if not options.get("explore"):
        raise UsageError(
            f"{visible(source)}: it has no table of transitions (env.unwrapped.P)\n"
            "  With --explore it is explored by copies, if its transitions are deterministic."
        )
    with contextlib.redirect_stdout(io.StringIO()):  # of thousands of steps
        given = explored(
            environment, source=source, max_states=options.get("max_states", MAX_STATES),
            progress=options.get("progress"),
        )  # fmt: skip
    gamma, assumed = attributes.discount_of(inner), given.assumed
    if gamma is not None:
        assumed = (*assumed, f"gamma {gamma:g} is the environment's attribute")
    return replace(given, name=name, gamma=gamma, assumed=assumed)


def _unwrapped(environment: Any) -> tuple[Any, list[str], int | None]:
    """The environment inside, the names of its wrappers, and its time limit."""
    wrappers: list[str] = []
    limits: list[int] = []
    while getattr(environment, "__dict__", {}).get("env") is not None and hasattr(environment, "unwrapped"):
        wrappers.append(type(environment).__name__)
        steps = getattr(environment, "_max_episode_steps", None)
        limits += [steps] if isinstance(steps, int) and steps >= 1 else []
        environment = environment.env
    return environment, wrappers, min(limits, default=None)


def _seen(inner: Any, observation: Any, table: Table, ends: float | None, source: str) -> Stepped | None:
    """What the environment did; None if it does not tell its state."""
    observer = Observer(inner, observation, table.number)
    if not observer.found:
        return None
    limit = None if ends is None or ends == math.inf else int(ends)
    silence = contextlib.redirect_stdout(io.StringIO())  # of thousands of steps
    with contextlib.suppress(AmbiguousError), reporting(source), silence:
        return stepped(inner, table, observer, limit=limit, rng=np.random.default_rng(SEED_OF_ACTIONS))
    return None


def _only_start(seen: Stepped, states: Sequence[str], source: str) -> Floats:
    """The first state `[S]`, where all resets lead to one."""
    if len(seen.starts) > 1:
        names = enumerated([states[s] for s in sorted(seen.starts)])
        raise UsageError(
            f"{visible(source)}: its episodes start in {len(seen.starts):,} states ({names}), and it does not say "
            f"with which probabilities\n  Give it an attribute initial_state_distrib, or add --start "
            f"{states[min(seen.starts)]}, or --start uniform for all states."
        )
    start = np.zeros(len(states))
    start[next(iter(seen.starts))] = 1.0
    return start


def _cut(seen: Stepped, known: float | None, source: str) -> int | None:
    """The steps after which the environment itself says truncated, before any limit that is known."""
    cuts = {steps for steps in seen.cuts if steps != known}
    if not cuts:
        return None
    if len(cuts) > 1 or seen.longest > max(cuts):
        steps = enumerated([f"{steps:,}" for steps in sorted(cuts)])
        raise fault(
            source,
            f"step() says truncated after {steps} steps, which the table P cannot say\n"
            "  A time limit is one number of steps: gymnasium.wrappers.TimeLimit(env, max_episode_steps=...)",
        )
    return max(cuts)


def _horizon(limit: int | None, own: float | None, cut: int | None) -> tuple[float | None, str | None]:
    """The horizon, and what was taken for it."""
    least = min((steps for steps in (limit, own, cut) if steps is not None), default=None)
    if least is None:
        return None, None
    if least == own and own != limit:
        return own, f"horizon {own:,} is the environment's attribute"
    return least, _limit_text(int(least))


def _limit_text(steps: int) -> str:
    return f"the time limit of {steps:,} steps is the horizon"
