"""`gym:ID?key=value&...`, a Gymnasium environment by its ID → what its table says of a model."""

import ast
import contextlib
import difflib
import inspect
import sys
import warnings
from importlib import import_module
from typing import Any
from urllib.parse import unquote_plus

from pgcheck.errors import PgcheckError, UsageError
from pgcheck.formats.environments.environment import given_of
from pgcheck.formats.environments.failures import failure_text, printable_text
from pgcheck.formats.environments.registry import imported, register
from pgcheck.formats.given import Given, Options
from pgcheck.formats.problems import visible
from pgcheck.formats.reader import cropped, enumerated

PREFIX = "gym:"
OF_MAKE = ("max_episode_steps", "disable_env_checker")  # keys that gymnasium.make takes for all environments
WORDS = {"true": True, "false": False, "none": None, "null": None}


def read(spec: str, options: Options) -> Given:
    """Returns what the environment that a spec names says of a model.

    Args:
      spec: `gym:ID?key=value&...`; ID may have a module in front, `module:ID`, which is imported. Values are Python
        literals where they are some, else texts.
      options: what people say of it.

    Raises:
      UsageError: gymnasium is missing, there is no such environment, it has no such key, or it cannot be made; or as
        in `given_of`.
      ModelError: as in `given_of`.
    """
    identity, keys = _parsed(spec)
    gymnasium = imported(visible(spec))
    environment = _made(gymnasium, spec, identity, keys)
    try:
        return given_of(environment, spec, spec.removeprefix(PREFIX), options)
    finally:
        with contextlib.suppress(Exception):
            environment.close()


def _parsed(spec: str) -> tuple[str, dict[str, Any]]:
    """The ID and the keys of a spec."""
    identity, _, query = spec.removeprefix(PREFIX).partition("?")
    if not identity:
        raise UsageError(f"{visible(spec)}: expected gym:ID, like gym:FrozenLake-v1?map_name=8x8")
    keys: dict[str, Any] = {}
    for part in filter(None, query.split("&")):
        key, equals, value = part.partition("=")
        key = unquote_plus(key)
        if not equals or not key.isidentifier():
            raise UsageError(f"{visible(spec)}: {cropped(part)!r} after the question mark; expected key=value")
        if key in keys:
            raise UsageError(f"{visible(spec)}: {key} stands there twice; expected each key once")
        keys[key] = _value(unquote_plus(value))
    return identity, keys


def _value(text: str) -> Any:
    """A Python literal, true, false, none or null in any case; else the text itself."""
    if text.strip().lower() in WORDS:
        return WORDS[text.strip().lower()]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Python warns of texts like 1or
            return ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return text


def _made(gymnasium: Any, spec: str, identity: str, keys: dict[str, Any]) -> Any:
    """The environment with this ID and these keys."""
    register()
    shown = visible(spec)
    module, colon, name = identity.rpartition(":")
    if colon:
        try:
            import_module(module)
        except ModuleNotFoundError as error:
            if error.name is None or not (module == error.name or module.startswith(f"{error.name}.")):
                raise UsageError(failure_text(error, shown)) from None
            raise UsageError(f"{shown}: no module {module!r}, which is to know {name}; is it installed?") from None
        except (Exception, SystemExit) as error:
            raise UsageError(failure_text(error, shown)) from None
    if name not in gymnasium.registry:
        raise UsageError(f"{shown}: gymnasium has no environment {cropped(name)}{_near(gymnasium, name)}")
    _check_keys(gymnasium.spec(name), shown, keys)
    try:
        with contextlib.redirect_stdout(sys.stderr):
            return gymnasium.make(name, **{"disable_env_checker": True, **keys})
    except gymnasium.error.Error as error:
        raise UsageError(f"{shown}: {printable_text(error)}") from None
    except PgcheckError:
        raise
    except (Exception, SystemExit) as error:
        raise UsageError(failure_text(error, shown)) from None


def _near(gymnasium: Any, name: str) -> str:
    """What was meant, for a message: IDs that are nearly this one, first those that are but for the version."""
    known = list(gymnasium.registry)
    stem = name.rpartition("-v")[0] or name
    versions = [other for other in known if other.rpartition("-v")[0] == stem]
    folded = {other.lower(): other for other in known}
    near = [folded[other] for other in difflib.get_close_matches(name.lower()[:60], folded, 3, 0.6)]
    if versions or near:
        return f"; did you mean {enumerated(versions or near)}?"
    space, slash, _ = name.partition("/")
    if slash and not any(other.startswith(f"{space}/") for other in known):
        return f"\n  Name the module that registers {space}/..., like gym:module:{name}"
    return "\n  Where a module registers it, put that in front, like gym:module:ID"


def _check_keys(spec: Any, shown: str, keys: dict[str, Any]) -> None:
    """Raises UsageError for a key that the environment does not take."""
    creator = spec.entry_point
    try:
        if isinstance(creator, str):
            module, _, name = creator.partition(":")
            creator = getattr(import_module(module), name)
        parameters = inspect.signature(creator).parameters.values()
    except (Exception, SystemExit):
        return  # gymnasium.make says what is wrong
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters):
        return
    known = [p.name for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)]
    for key in keys:
        if key not in (*known, *OF_MAKE):
            near = difflib.get_close_matches(key, known, 1, 0.6)
            meant = f"did you mean {near[0]}?" if near else f"it takes {enumerated(sorted((*known, OF_MAKE[0])))}"
            raise UsageError(f"{shown}: {spec.id} has no key {cropped(key)!r}; {meant}")
