"""A loaded graph: the document, and the name and hash by which it is known everywhere."""

from __future__ import annotations

import hashlib
from typing import Any

import msgspec

from extproc.errors import GraphError
from extproc.graph.document import InferenceGraph
from extproc.graph.language import keys
from extproc.graph.walk import flatten

DIGEST_DIGITS = 8
"""Hex digits of the sha256: 32 bits, told apart among the versions of one graph, and short in a header."""


class Graph(msgspec.Struct, frozen=True, repr_omit_defaults=True):
    """One document without errors; ``digest`` ignores formatting, comments, key order and written-out defaults."""

    name: str
    digest: str
    document: InferenceGraph
    source: str
    raw: dict[str, Any]

    @classmethod
    def of(cls, document: InferenceGraph, source: str = "") -> Graph:
        """The graph of a document that has no errors."""
        raw = written(document)
        return cls(document.metadata.name, digest(raw), document, source, raw)

    @classmethod
    def from_raw(cls, raw: dict[str, Any], source: str = "") -> Graph:
        """Rebuilds a graph from its ``raw``, which may have been JSON in between; raises ``GraphError``."""
        try:
            document = msgspec.convert(raw, InferenceGraph)
        except msgspec.ValidationError as error:
            raise GraphError(f"{source or 'a graph'}: not what the loader wrote: {error}") from error
        return cls.of(document, source)

    @property
    def id(self) -> str:
        """``fraud@1a2b3c4d``."""
        return f"{self.name}@{self.digest}"

    def __repr__(self) -> str:
        """Like ``<Graph fraud@1a2b3c4d: 2 nodes, 3 models, graphs/fraud.yaml>``."""
        spec = self.document.spec
        counted = f"{_counted(len(flatten(spec)), 'node')}, {_counted(len(spec.models), 'model')}"
        return f"<Graph {self.id}: {counted}{', ' + self.source if self.source else ''}>"


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"


def load_raw(raw: dict[str, Any], source: str = "") -> Graph:
    """Same as ``Graph.from_raw``."""
    return Graph.from_raw(raw, source)


def written(value: Any) -> Any:
    """A document as builtins that JSON can carry, without the fields that hold their defaults."""
    if isinstance(value, msgspec.Struct):
        pairs = ((one, getattr(value, one.name)) for one in keys(type(value)).values())
        return {one.encode_name: written(item) for one, item in pairs if not _is_default(one, item)}
    if isinstance(value, dict):
        return {key: written(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [written(item) for item in value]
    return value


def _is_default(field: msgspec.structs.FieldInfo, value: Any) -> bool:
    if field.required:
        return False
    default = field.default_factory() if field.default is msgspec.NODEFAULT else field.default
    return value is default or bool(default is not msgspec.UNSET and value == default)


def digest(raw: Any) -> str:
    """8 hex digits of the sha256 of canonical JSON: keys sorted, no blanks."""
    return hashlib.sha256(msgspec.json.encode(raw, order="sorted")).hexdigest()[:DIGEST_DIGITS]
