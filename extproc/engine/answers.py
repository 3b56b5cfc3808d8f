"""Answers computed here: ``respond`` nodes, and errors as JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from extproc.engine.outcome import Answer
from extproc.errors import BadRequest
from extproc.expr import EvaluationError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from extproc.plan.plan import RespondPlan

JSON = "application/json"
TEXT = "text/plain; charset=utf-8"
_encode = msgspec.json.Encoder().encode


def respond(node: RespondPlan, activation: Mapping[str, object], route: str) -> Answer:
    """Return the answer of a respond node: a string as text, anything else as JSON. Raises BadRequest (422)."""
    content_type, body = _body(node, activation)
    headers = node.headers
    if content_type and not any(name == "content-type" for name, _ in headers):
        headers = (*headers, ("content-type", content_type))
    return Answer(node.status, headers, body, route, "extproc.respond")


def _body(node: RespondPlan, activation: Mapping[str, object]) -> tuple[str, bytes]:
    if node.body is None:
        return "", b""
    try:
        value = node.body(activation)
    except EvaluationError as error:
        raise BadRequest(422, "bad_expression", f"the answer's body could not be computed: {error}") from None
    if isinstance(value, str):
        return TEXT, value.encode("utf-8", "replace")
    return JSON, _encode(value)


def error_answer(error: BadRequest, graph: str, node: str, request_id: str, route: str) -> Answer:
    """Return an error of the client's as JSON, naming what is known."""
    known = {
        "code": error.code,
        "message": error.message,
        "graph": graph,
        "node": node,
        "requestId": request_id,
    }
    body = _encode({"error": {name: value for name, value in known.items() if value}})
    return Answer(error.status, (("content-type", JSON),), body, route, f"extproc.{error.code}")
