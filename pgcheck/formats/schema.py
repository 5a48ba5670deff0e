"""The form of a model file as a JSON Schema, for editors and for programs that write models.

The schema checks one value at a time. Checks that need the whole file, such as sums of probabilities and names that
must be known, are left to the loader.
"""

from pgcheck.formats.features import KEYS as LINEAR_KEYS
from pgcheck.formats.features import MAX_FEATURE
from pgcheck.formats.modelfile import COEFFICIENTS, KEYS, REQUIRED
from pgcheck.formats.overrides import MAX_COEFFICIENT
from pgcheck.formats.problems import HIDDEN
from pgcheck.formats.reader import FRACTION, MAX_NAME, MAX_NAMES, REAL
from pgcheck.formats.transitions import COLUMNS, MAX_SIZE
from pgcheck.model.horizon import MAX_HORIZON
from pgcheck.model.mdp import PROBABILITY_SLACK

Schema = dict[str, object]

ESSENTIAL = COLUMNS[:3]  # of a table


def model_schema() -> Schema:
    """Returns the JSON Schema (draft-07) of a model file.

    A file that the loader reads is valid. A file with a wrong type, an unknown or missing key, or a number out of
    range is not valid. A number written as text, like `10/9`, is checked by the loader alone.
    """
    properties = {
        "name": _ref("name", "What reports call the model; default: the name of the file."),
        "horizon": _ref("horizon", "The greatest number of steps, or inf."),
        "gamma": _ref("probability", "The discount, 0 to 1; default 1."),
        "states": _ref("names", "The names of the states, or n for 0 to n - 1."),
        "actions": _ref("names", "The names of the actions, or n for 0 to n - 1."),
        "start": _ref("start", "The first state, or states with their probabilities."),
        "terminal": _ref("listed", "States on whose entry the episode ends."),
        "observations": _ref("observations", "What the policy sees in place of a state's name."),
        "transitions": _ref("transitions", "state: {action: outcomes}, or a table of columns and rows."),
        "policy": _ref("policy", "The point at which the gradient is taken; default: all preferences 0."),
        "behavior": _ref("policy", "A second policy: who drew the data."),
        "reference": _ref("policy", "A third policy: pi_ref of the KL penalty."),
        "objective": _ref("objective", "What J has beside rewards: alpha of the entropy, beta of KL(pi || pi_ref)."),
    }
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "Model file of pgcheck (format pgcheck/1)",
        "type": "object",
        "additionalProperties": False,
        "required": list(REQUIRED),
        "properties": {key: properties[key] for key in KEYS},
        "definitions": _names() | _numbers() | _parts() | _transitions() | {"table": _table()},
    }


def _ref(name: str, description: str = "") -> Schema:
    # Keys beside $ref are ignored, hence allOf.
    ref: Schema = {"$ref": f"#/definitions/{name}"}
    return {"allOf": [ref], "description": description} if description else ref


def _mapping(values: Schema, **more: object) -> Schema:
    # The loader checks which keys are known; the schema checks that they are not empty.
    return {"type": "object", "propertyNames": {"minLength": 1}, "additionalProperties": values, **more}


def _names() -> Schema:
    # A YAML parser may take a name for a number, a truth value or null; it means its raw text all the same.
    hidden = "".join(char if char == "-" else f"\\u{ord(char):04x}" for char in HIDDEN)
    text: Schema = {"type": "string", "minLength": 1, "maxLength": MAX_NAME, "pattern": f"^[^{hidden}]*$"}
    name: Schema = {"anyOf": [text, {"type": ["number", "boolean", "null"]}]}
    return {
        "name": name,
        "names": {"anyOf": [_ref("count"), _list_of_names(minItems=1, maxItems=MAX_NAMES)]},
        "listed": _list_of_names(),
    }


def _list_of_names(**more: object) -> Schema:
    return {"type": "array", "items": _ref("name"), **more}


def _number(lo: float, hi: float, kind: str = "number") -> Schema:
    """A number, or its text: fractions and quoted numbers are strings to YAML."""
    text: Schema = {"type": "string", "pattern": f"^({REAL}|{FRACTION})$"}
    return {"anyOf": [{"type": kind, "minimum": lo, "maximum": hi}, text]}


def _numbers() -> Schema:
    return {
        "horizon": {"anyOf": [{"const": "inf"}, _number(1, MAX_HORIZON, "integer")]},
        "count": _number(1, MAX_NAMES, "integer"),
        "probability": _number(0, 1),
        "mass": _number(0, 1 + PROBABILITY_SLACK),
        "size": _number(-MAX_SIZE, MAX_SIZE),
        "feature": _number(-MAX_FEATURE, MAX_FEATURE),
        "coefficient": _number(0, MAX_COEFFICIENT),
    }


def _parts() -> Schema:
    return {
        "start": {"anyOf": [_ref("name"), _mapping(_ref("mass"), minProperties=1)]},
        "observations": _mapping(_ref("name")),
        "objective": {
            "type": "object",
            "additionalProperties": False,
            "properties": {key: _ref("coefficient") for key in COEFFICIENTS},
        },
        **_policies(),
    }


def _policies() -> Schema:
    """A softmax, or a linear policy; not both."""
    features = _mapping(_mapping(_mapping(_ref("feature"))))
    softmax = {**_mapping(_mapping(_ref("size"))), "description": "{state or observation: {action: preference}}"}
    return {
        "policy": {
            "type": "object",
            "additionalProperties": False,
            "minProperties": 1,
            "maxProperties": 1,
            "properties": {"softmax": softmax, "linear": _ref("linear", "Weights, and the features of each action.")},
        },
        "linear": {
            "type": "object",
            "additionalProperties": False,
            "required": list(LINEAR_KEYS),
            "properties": {
                "weights": {**_mapping(_ref("size"), minProperties=1), "description": "{weight: value}"},
                "features": {**features, "description": "{state or observation: {action: {weight: feature}}}"},
            },
        },
    }


def _transitions() -> Schema:
    """The nested form, and how to tell it from the table."""
    outcome: Schema = {
        "type": "object",
        "additionalProperties": False,
        "required": ["to"],
        "properties": {column: _cell(column) for column in COLUMNS[2:]},
    }
    nested = _mapping(_mapping({"anyOf": [_ref("name"), _ref("outcome"), _ref("outcomes")]}))
    # A state may be called columns, but its actions are no list.
    lists = [{"required": [key], "properties": {key: {"type": "array"}}} for key in ("columns", "rows")]
    return {
        "transitions": {"if": {"anyOf": lists}, "then": _ref("table"), "else": nested},
        "outcome": outcome,
        "outcomes": {"type": "array", "minItems": 1, "items": {"anyOf": [_ref("name"), _ref("outcome")]}},
    }


def _cell(column: str) -> Schema:
    match column:
        case "p":
            return _ref("mass", "The probability of the outcome; default 1.")
        case "reward":
            return _ref("size", "The reward; default 0.")
        case "done":
            return {"type": "boolean", "description": "Whether the episode ends; default false."}
    return _ref("name", "The next state." if column == "to" else f"The {column}.")


def _table() -> Schema:
    """columns and rows: a row has a value for each column, of the column's kind."""
    columns: Schema = {
        "type": "array",
        "items": {"enum": list(COLUMNS)},
        "uniqueItems": True,
        "allOf": [{"contains": {"const": column}} for column in ESSENTIAL],
    }
    places = range(len(COLUMNS))
    widths = [_when({"minItems": n, "maxItems": n}, {"minItems": n, "maxItems": n}) for n in places[3:]]
    widths.append(_when({"minItems": 6}, {"minItems": 6, "maxItems": 6}))
    kinds = [_when(_at(i, {"const": column}), _at(i, _cell(column))) for i in places for column in COLUMNS]
    return {
        "type": "object",
        "additionalProperties": False,
        "required": ["columns", "rows"],
        "properties": {"columns": columns, "rows": {"type": "array", "items": {"type": "array"}}},
        "allOf": [*widths, *kinds],
    }


def _at(place: int, schema: Schema) -> Schema:
    """A list whose value at one position fits `schema`."""
    return {"items": [*[{}] * place, schema], "minItems": place + 1}


def _when(columns: Schema, row: Schema) -> Schema:
    """If the columns fit `columns`, then every row fits `row`."""
    return {"if": {"properties": {"columns": columns}}, "then": {"properties": {"rows": {"items": row}}}}
