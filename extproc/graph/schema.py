"""The graph language as JSON Schema (2020-12), made from the same types as the loader uses.

It is for editors: whatever the loader takes is valid, and most of what the loader refuses is not. References, cycles,
expressions and rules between objects are the loader's alone.
"""

from __future__ import annotations

from typing import Any, Literal, get_args, get_origin

from extproc.graph import scalars
from extproc.graph.document import GRAPH_NAME_PATTERN, KIND_NAMES, NAME_PATTERN, InferenceGraph
from extproc.graph.language import choices, is_object, keys, text_kind

DIALECT = "https://json-schema.org/draft/2020-12/schema"
NUMBER = r"[0-9]+(\.[0-9]+)?"
ANY_TEXT = {"type": ["string", "number", "boolean"]}
"""A text needs no quotes: YAML's own idea of ``1.0`` and ``true`` does not matter where a text is expected."""

ONE_OF = {
    "Node": KIND_NAMES,
    "Model": ("url", "urls", "cluster"),
    "HeaderSource": ("env", "file"),
}
"""Objects with exactly one of some keys."""

NOT_BOTH = {"Match": ("path", "prefix"), "Ensemble": ("combine", "output")}

KINDS: dict[str, dict[str, Any]] = {
    "duration": {
        "type": "string",
        "pattern": f"^{NUMBER} ?(ms|s|m|h)$",
        "description": "A duration with its unit: 250ms, 2s, 1m, 1h.",
    },
    "size": {
        "type": "string",
        "pattern": f"^{NUMBER} ?(B|KiB|MiB|GiB)$",
        "description": "A size with its unit: 64KiB, 8MiB.",
    },
    "share": {
        "anyOf": [{"type": "string", "pattern": f"^{NUMBER} ?%$"}, {"type": "number", "minimum": 0, "maximum": 1}],
        "description": "A share: 25% or 0.25.",
    },
    "weight": {"type": "number", "minimum": 0, "maximum": scalars.MAX_WEIGHT, "description": "A weight, of any sum."},
    "number": {"type": "number", "description": "A number."},
    "count": {"type": "integer", "minimum": 1, "maximum": scalars.MAX_COUNT, "description": "A whole number from 1 up."},
    "status": {"type": "integer", "minimum": 200, "maximum": 599, "description": "An HTTP status."},
    "name": {"type": ["string", "integer"], "pattern": NAME_PATTERN, "description": "A name."},
    "graph_name": {"type": "string", "pattern": GRAPH_NAME_PATTERN, "description": "A graph's name."},
    "expression": {**ANY_TEXT, "minLength": 1, "description": "A CEL expression."},
    "template": {"description": "A value; ${EXPR} in its texts is replaced by what the expression gives."},
    "url": {"type": "string", "pattern": "^[Hh][Tt][Tt][Pp][Ss]?://[^/?#@ ]+(/[^?# ]*)?$", "description": "http(s)://host[:port][/path]"},
    "path": {"type": "string", "pattern": "^/[^?# ]*$", "description": "A path, without query and fragment."},
    "host": {**ANY_TEXT, "minLength": 1, "description": "A host, with or without a port."},
    "match_host": {**ANY_TEXT, "minLength": 1, "description": "A host, exact or like *.example.com; without a port."},
    "header_name": {"type": "string", "pattern": "^[-!#$%&'*+.^_`|~0-9A-Za-z]+$", "description": "A header's name."},
    "header_value": {**ANY_TEXT, "description": "A header's value, as it is written."},
}  # fmt: skip


def schema() -> dict[str, Any]:
    """The schema of one document."""
    definitions: dict[str, Any] = {f"text_{kind}": value for kind, value in KINDS.items()}
    root = _schema(InferenceGraph, definitions)
    return {"$schema": DIALECT, "title": "InferenceGraph", **root, "$defs": definitions}


def _schema(hint: Any, definitions: dict[str, Any]) -> dict[str, Any]:
    options = [_one(one, definitions) for one in choices(hint)]
    return options[0] if len(options) == 1 else {"anyOf": options}


def _one(hint: Any, definitions: dict[str, Any]) -> dict[str, Any]:
    if kind := text_kind(hint):
        return _ref(f"text_{kind}")
    if is_object(hint):
        if hint.__name__ not in definitions:
            definitions[hint.__name__] = {}
            definitions[hint.__name__] = _object(hint, definitions)
        return _ref(hint.__name__)
    match get_origin(hint):
        case origin if origin is tuple:
            return _list(get_args(hint)[0], definitions)
        case origin if origin is dict:
            return _table(hint, definitions)
        case origin if origin is Literal:
            return {"enum": [spelt for word in get_args(hint) for spelt in _spellings(word)]}
    return {"type": "boolean"} if hint is bool else {**ANY_TEXT, "minLength": 1}


def _ref(name: str) -> dict[str, Any]:
    return {"$ref": f"#/$defs/{name}"}


def _object(cls: Any, definitions: dict[str, Any]) -> dict[str, Any]:
    fields = keys(cls)
    made: dict[str, Any] = {
        "description": cls.__doc__,
        "type": "object",
        "properties": {key: _schema(field.type, definitions) for key, field in fields.items()},
        "required": [key for key, field in fields.items() if field.required],
        "additionalProperties": False,
    }
    if one_of := ONE_OF.get(cls.__name__):
        made["oneOf"] = [{"required": [key]} for key in one_of]
    if both := NOT_BOTH.get(cls.__name__):
        made["not"] = {"required": list(both)}
    return made


def _list(item: Any, definitions: dict[str, Any]) -> dict[str, Any]:
    made = {"type": "array", "items": _schema(item, definitions)}
    return made if text_kind(item) == "header_name" else {**made, "minItems": 1}


def _table(hint: Any, definitions: dict[str, Any]) -> dict[str, Any]:
    key, value = get_args(hint)
    names = {"pattern": KINDS[text_kind(key) or "name"]["pattern"]}
    return {"type": "object", "propertyNames": names, "additionalProperties": _schema(value, definitions)}


def _spellings(word: str) -> list[str | int]:
    return [word, int(word)] if word.isdigit() else [word]
