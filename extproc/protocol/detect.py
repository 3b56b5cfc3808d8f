"""Which protocol a model speaks: declared, or told from its path, or from a body."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

from extproc.protocol.errors import NotPredictions
from extproc.protocol.reading import FIELDS, ITEMS, read
from extproc.protocol.v2 import is_tensors

if TYPE_CHECKING:
    from msgspec import Raw

    from extproc.protocol.dialect import Protocol
    from extproc.protocol.reading import Fields

Declared: TypeAlias = Literal["auto", "v1", "v2", "openai", "json"]

# Whole segments at the end of a path, behind any prefix.
_PATHS: Final[tuple[tuple[re.Pattern[str], Protocol], ...]] = (
    (re.compile(r"/v1/models/[^:]+:(?:predict|classify|regress|explain)$"), "v1"),
    (re.compile(r"/v2/models/[^/]+(?:/versions/[^/]+)?/infer$"), "v2"),
    (re.compile(r"/v1/(?:chat/completions|completions|embeddings)$"), "openai"),
)


def protocol_of(declared: Declared, path: str | None, body: bytes | None) -> Protocol:
    """The protocol of a model, by its path (a query is ignored), then by the body of a request or response; else json."""
    if declared != "auto":
        return declared
    return of_path(path) or of_body(body) or "json"


def next_protocol(declared: Declared, path: str | None, previous: Protocol) -> Protocol:
    """The protocol of a chain's next model, which has said nothing yet: where nothing tells, that of the one before."""
    if declared != "auto":
        return declared
    return of_path(path) or previous


def of_path(path: str | None) -> Protocol | None:
    """The protocol that a path belongs to."""
    route = (path or "").partition("?")[0]
    return next((name for pattern, name in _PATHS if pattern.search(route)), None)


def of_body(body: bytes | None) -> Protocol | None:
    """The protocol that the shape of a request or response belongs to."""
    fields = _fields(body)
    if not fields.keys().isdisjoint(("predictions", "instances")):
        return "v1"
    if any(is_tensors(fields[key]) for key in ("outputs", "inputs") if key in fields):
        return "v2"
    if not fields.keys().isdisjoint(("choices", "messages")) or _embeds(fields.get("data")):
        return "openai"
    return None


def is_request(protocol: Protocol, body: bytes) -> bool:
    """Whether a response is a request already, as a step that prepares another model's input answers."""
    fields = _fields(body)
    match protocol:
        case "v1":
            return "instances" in fields and "predictions" not in fields
        case "v2":
            return "outputs" not in fields and "inputs" in fields and is_tensors(fields["inputs"])
        case "openai":
            return "messages" in fields and "choices" not in fields
        case "json":
            return True


def _fields(body: bytes | Raw | None) -> Fields:
    if body is None:
        return {}
    try:
        return read(FIELDS, body, "")
    except NotPredictions:
        return {}


def _embeds(data: Raw | None) -> bool:
    try:
        items = [] if data is None else read(ITEMS, data, "")
    except NotPredictions:
        return False
    return bool(items) and "embedding" in _fields(items[0])
