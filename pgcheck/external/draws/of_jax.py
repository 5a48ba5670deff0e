"""Draws of jax: functions of a key, answered where the arguments have values: under `jax.disable_jit()`.

The same key gives the same answer again within a run. A key with which two different draws are made is refused: the
probability of both is not a product. What is not drawn from a finite set is refused too, once the agent has been made
and where it does not initialise weights: those come out the same in each run. In a sampled run jax draws for itself,
and only weights come out the same.
"""

import functools
import inspect
import sys
from collections.abc import Callable, Hashable, Mapping
from types import FrameType
from typing import Any

import numpy as np

from pgcheck.external.draws.answers import asked, under_way
from pgcheck.external.draws.finite import place
from pgcheck.external.draws.jax_arrays import FILLED
from pgcheck.external.draws.noise import Noise
from pgcheck.external.draws.patches import Patch

Method = Callable[..., Any]
_MAKING_KEYS = ("split", "fold_in", "clone", "key_data", "key_impl")  # they draw nothing
_SPECIFICATIONS = 10_000  # of arguments whose results' shapes are remembered

_answers: dict[bytes, tuple[Hashable, str, Any]] = {}
_shapes: dict[Hashable, Any] = {}
_within: list[str] = []  # functions of jax that are asked for the shape of their result


def patches() -> list[Patch]:
    """Returns what stands in for the functions of jax.random; nothing where jax has not been imported."""
    library = sys.modules.get("jax.random")
    if library is None:
        return []
    return [
        Patch(library, name, _replacement(name, function))
        for name, function in vars(library).items()
        if name not in _MAKING_KEYS and callable(function) and _first_parameter(function) == "key"
    ]


def forget() -> None:
    """Begins a new run: no key has been used."""
    _answers.clear()


def _first_parameter(function: Method) -> str:
    try:
        return next(iter(inspect.signature(function).parameters), "")
    except ValueError:  # it tells nothing
        return ""


def _replacement(name: str, original: Method) -> Method:
    signature = inspect.signature(original)

    @functools.wraps(original)
    def either(*args: Any, **kwargs: Any) -> Any:
        answers = under_way()
        if answers is None or _within:
            return original(*args, **kwargs)
        if answers.noise is not None:
            is_part = name not in FILLED and (answers.is_making or _is_initialising(sys._getframe(1)))
            return original(*args, **kwargs) if is_part else _drawn(original, answers.noise, *args, **kwargs)
        if name not in FILLED:
            if asked().is_making or _is_initialising(sys._getframe(1)):
                return original(*args, **kwargs)
            asked().refuse(
                f"{place()}: jax.random.{name} draws numbers that cannot be listed; draw from finite sets: "
                f"{', '.join(sorted(FILLED))}"
            )
        try:
            bound = signature.bind(*args, **kwargs)
        except TypeError:
            return original(*args, **kwargs)
        return _answered(name, original, bound)

    return either


def _drawn(original: Method, noise: Noise, *args: Any, **kwargs: Any) -> Any:
    """What jax draws with a key into which the sampled run is folded: in a run, the same key gives the same."""
    jax = sys.modules["jax"]
    _within.append("a draw")  # which draws by others of these functions
    try:
        with jax.disable_jit(False):  # compiled once, for all runs
            number = np.uint32(noise.derived(b"jax") % 2**32)
            if "key" in kwargs:
                return original(*args, **{**kwargs, "key": jax.random.fold_in(kwargs["key"], number)})
            key, *others = args
            return original(jax.random.fold_in(key, number), *others, **kwargs)
    finally:
        _within.pop()


def _is_initialising(frame: FrameType | None) -> bool:
    """Whether the weights of a network are drawn: by `jax.nn.initializers`, or those of a library over jax."""
    while frame is not None and "initializers" not in frame.f_globals.get("__name__", ""):
        frame = frame.f_back
    return frame is not None


def _answered(name: str, original: Method, bound: inspect.BoundArguments) -> Any:
    """Returns the answer of a draw, or the one before for the same key and arguments.

    Raises:
      UnanswerableError: an argument has no value, or the key has been used for another draw.
    """
    arguments = {argument: _value(name, value) for argument, value in bound.arguments.items()}
    shape = _shape(name, original, arguments)
    jax = sys.modules["jax"]
    key = np.asarray(jax.random.key_data(arguments.pop("key"))).tobytes()
    digest = (name, *((argument, _digest(value)) for argument, value in arguments.items()))
    if key in _answers:
        before, where, answer = _answers[key]
        if before != digest:
            asked().refuse(
                f"{place()}: jax.random.{name} uses the key of a draw at {where}: the key is used for two draws, "
                "which are not independent then; split it with jax.random.split"
            )
        return answer
    defaults = {parameter.name: parameter.default for parameter in bound.signature.parameters.values()}
    answer = jax.numpy.asarray(FILLED[name](defaults | arguments, shape.shape), dtype=shape.dtype)
    _answers[key] = digest, place(), answer
    return answer


def _value(name: str, argument: Any) -> Any:
    """Returns an argument without the derivatives that jax.grad has attached to it."""
    tracer = sys.modules["jax"].core.Tracer
    while isinstance(argument, tracer) and hasattr(argument, "primal"):
        argument = argument.primal
    if isinstance(argument, tracer):
        asked().refuse(
            f"{place()}: jax.random.{name} is called where its arguments have no values: within jax.vmap, or a jit "
            "that jax.disable_jit does not reach; draw a batch with one key, outside of vmap: "
            "jax.random.categorical(key, logits) draws one for each row"
        )
    return argument


def _shape(name: str, original: Method, arguments: Mapping[str, Any]) -> Any:
    """Returns the shape and the dtype of the result; jax's own errors where the arguments are wrong."""
    specification = (name, *((argument, _specification(value)) for argument, value in arguments.items()))
    if specification not in _shapes or len(_shapes) > _SPECIFICATIONS:
        fixed = {argument: value for argument, value in arguments.items() if argument != "key"}
        _within.append(name)
        try:
            known = sys.modules["jax"].eval_shape(lambda key: original(key, **fixed), arguments["key"])
        finally:
            _within.pop()
        _shapes[specification] = known
    return _shapes[specification]


def _specification(value: Any) -> Hashable:
    return (value.shape, str(value.dtype)) if hasattr(value, "dtype") and hasattr(value, "shape") else repr(value)


def _digest(value: Any) -> Hashable:
    if hasattr(value, "dtype") and hasattr(value, "shape"):
        return value.shape, str(value.dtype), np.asarray(value).tobytes()
    return repr(value)
