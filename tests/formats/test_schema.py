"""The schema and the loader agree about the form of a model file."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft7Validator

from pgcheck import ModelError
from pgcheck.formats import sources
from pgcheck.formats.modelfile import loads
from pgcheck.formats.schema import model_schema

MODELS = Path(__file__).resolve().parent / "models"
VALID = sorted([*(MODELS / "unusual").glob("*.yaml"), *sources.bundled_directory().glob("*.yaml")])
FAULTY = [path for path in sorted((MODELS / "faulty").glob("*.yaml")) if not path.stem.startswith("bare_")]

VALIDATOR = Draft7Validator(model_schema())


class Core(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """YAML 1.2 as editors read it: only true and false are truth values, keys are text, numbers are doubles."""

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[str, Any]:
        return {key.value: self.construct_object(value, deep=True) for key, value in node.value}


def double(loader: Core, node: yaml.ScalarNode) -> float:
    text = node.value.lower().replace(".inf", "inf").replace(".nan", "nan")
    value = float(int(text, 0)) if text[:2] in ("0x", "0o") else float(text)
    return int(value) if value.is_integer() else value


for kind, pattern in (
    ("null", r"~|null|Null|NULL|"),
    ("bool", r"true|True|TRUE|false|False|FALSE"),
    ("int", r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+"),
    ("float", r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)"),
):
    Core.add_implicit_resolver(f"tag:yaml.org,2002:{kind}", re.compile(f"^(?:{pattern})$"), None)
Core.add_constructor("tag:yaml.org,2002:int", double)
Core.add_constructor("tag:yaml.org,2002:float", double)


def instance(path: Path) -> object:
    return yaml.load(sources.read_text(str(path))[1], Loader=Core)


def is_valid(value: object) -> bool:
    return VALIDATOR.is_valid(value)


def marked(path: Path) -> bool:
    return " schema: " in path.read_text(encoding="utf-8").partition("\n")[0]


def test_the_schema_is_one_and_is_json() -> None:
    schema = model_schema()
    Draft7Validator.check_schema(schema)
    assert json.loads(json.dumps(schema, allow_nan=False)) == schema


@pytest.mark.parametrize("path", VALID, ids=lambda path: str(path.stem))
def test_what_the_loader_reads_is_valid(path: Path) -> None:
    assert [error.message for error in VALIDATOR.iter_errors(instance(path))] == []


@pytest.mark.parametrize("path", [path for path in FAULTY if marked(path)], ids=lambda path: str(path.stem))
def test_a_structural_fault_is_invalid(path: Path) -> None:
    assert not is_valid(instance(path))


def test_most_kinds_of_structural_faults_are_there() -> None:
    assert sum(map(marked, FAULTY)) >= 80


@pytest.mark.parametrize("path", [path for path in FAULTY if not marked(path)], ids=lambda path: str(path.stem))
def test_what_a_schema_cannot_say_is_left_to_the_loader(path: Path) -> None:
    try:
        value = instance(path)
    except (yaml.YAMLError, TypeError, RecursionError):
        return  # no YAML, or YAML that no JSON is like
    assert is_valid(value)


NAMES = st.sampled_from(["left", "right", "goal", "stay", "move", "to", "p", "columns", "rows", "x", "", "a\nb"])
LEAVES = st.one_of(
    st.none(), st.booleans(), st.integers(-3, 3), st.sampled_from([0.5, 1e-3, 1e101, -1e101, 2**60, 1.5]), NAMES,
    st.sampled_from(["1/2", "0.5", "1e5", "-1", "1/0", "nan", "1_0", "0x1"]),
)  # fmt: skip
VALUES = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3), max_leaves=6
)
TABLE: dict[str, object] = {
    "columns": ["state", "action", "to", "p", "reward", "done"],
    "rows": [["left", "stay", "left", 1, 0, False], ["left", "move", "goal", "1/1", -2.5, True]],
}


def places(value: object, way: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The ways to all values within a value."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [way] * bool(way) + [place for key, item in inner for place in places(item, (*way, key))]


@given(st.data(), st.sampled_from(["two_state", "early_exit", "aliased_gridworld", "table", "short_corridor_linear"]))
@settings(max_examples=400, deadline=None, derandomize=True)
def test_the_loader_reads_nothing_that_is_invalid(data: st.DataObject, name: str) -> None:
    model: Any = instance(sources.bundled_directory() / f"{'two_state' if name == 'table' else name}.yaml")
    if name == "table":
        del model["policy"]
        model |= {"transitions": json.loads(json.dumps(TABLE)), "terminal": ["goal", "right"], "start": "left"}
    *way, last = data.draw(st.sampled_from(places(model)), label="place")
    parent = model
    for key in way:
        parent = parent[key]
    match data.draw(st.sampled_from(["change", "remove", "add"]), label="change"):
        case "change":
            parent[last] = data.draw(VALUES, label="value")
        case "remove":
            del parent[last]
        case "add" if isinstance(parent, dict):
            parent[data.draw(NAMES, label="key")] = data.draw(VALUES, label="value")
        case "add":
            parent.append(data.draw(VALUES, label="value"))
    try:
        loads(json.dumps(model))
    except ModelError:
        return
    assert is_valid(yaml.load(json.dumps(model), Loader=Core))
