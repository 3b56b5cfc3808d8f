"""The JSON Schema of the language."""

from typing import Any

import pytest
from jsonschema import Draft202012Validator

from extproc.graph.language import READERS
from extproc.graph.schema import KINDS, schema

GOOD: dict[str, Any] = {
    "apiVersion": "extproc.dev/v1",
    "kind": "InferenceGraph",
    "metadata": {"name": "g"},
    "spec": {
        "match": [{"path": "/g"}],
        "models": {"m": {"url": "http://m"}},
        "nodes": {"root": {"split": {"routes": [{"to": "m", "weight": 1}]}}},
    },
}


def test_the_schema_is_a_schema():
    """By the dialect's own rules, with every kind of scalar in it."""
    Draft202012Validator.check_schema(schema())
    assert set(KINDS) == {*READERS, "template"}
    assert Draft202012Validator(schema()).is_valid(GOOD)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("timeout", 2), ("timeout", "2"), ("maxBody", "8MB"), ("match", []), ("match", [{"path": "/a", "prefix": "/b"}]),
        ("models", {"m": {}}), ("models", {"m": {"url": "http://m", "cluster": "c"}}), ("models", {"a b": {"url": "http://m"}}),
        ("nodes", {"root": {}}), ("nodes", {"root": {"respond": {"status": 200}, "chain": {"steps": []}}}),
        ("nodes", {"root": {"respond": {"status": 99}}}), ("unknown", 1), ("whenAway", "ajar"),
    ],
)  # fmt: skip
def test_what_the_loader_refuses_an_editor_sees(key, value):
    """Types, patterns, unknown keys, exactly one of some keys."""
    document = {**GOOD, "spec": {**GOOD["spec"], key: value}}
    assert not Draft202012Validator(schema()).is_valid(document)


def test_objects_are_described():
    """Editors show what a key is for."""
    assert schema()["$defs"]["Split"]["description"] == "One route, by weight; sticky with ``by``."
    assert schema()["$defs"]["Node"]["oneOf"][0] == {"required": ["split"]}
