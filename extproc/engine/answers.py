"""Answers computed here: what a node made, a sub-call's response passed on, and errors as JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from extproc.engine.calling import Cause, Reply
from extproc.engine.outcome import Answer
from extproc.engine.payload import JSON
from extproc.engine.result import Failure, Made
from extproc.errors import BadRequest
from extproc.expr import EvaluationError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from extproc.expr import Program, Template
    from extproc.plan.plan import RespondPlan

TEXT = "text/plain; charset=utf-8"
encode = msgspec.json.Encoder().encode

_FAILED = {
    Cause.TIMEOUT: (504, "deadline", "did not answer in time"),
    Cause.OVERLOADED: (429, "overloaded", "has too many calls in flight"),
    Cause.CONNECT: (502, "upstream_failed", "could not be reached"),
    Cause.RESET: (502, "upstream_failed", "broke off"),
    Cause.TOO_LARGE: (502, "upstream_failed", "answered more than is taken"),
    Cause.STATUS: (502, "upstream_failed", "answered"),
}


def fill(template: Template | Program, activation: Mapping[str, object], node: str, what: str) -> object:
    """Compute what a request cannot do without. Raises BadRequest: 422, or what a body that cannot be read is."""
    try:
        return template(activation)
    except EvaluationError as error:
        raise BadRequest(422, "bad_expression", f"{what} could not be computed: {error}", node) from None
    except BadRequest as error:
        error.node = error.node or node
        raise


def filled(template: Template, activation: Mapping[str, object], node: str, what: str) -> bytes:
    """Fill a template and write it as JSON. Raises BadRequest."""
    return _written(fill(template, activation, node, what), node, what)


def _written(value: object, node: str, what: str) -> bytes:
    try:
        return encode(value)
    except (RecursionError, ValueError):  # too deep, or a text that is no Unicode
        raise BadRequest(422, "bad_expression", f"{what} cannot be written as JSON", node) from None


def respond(node: RespondPlan, activation: Mapping[str, object]) -> Made:
    """Return the response of a respond node: a string as text, anything else as JSON. Raises BadRequest (422)."""
    if node.body is None:
        return Made(node.status, node.headers, b"")
    what = "the answer's body"
    value = _text_or_json(fill(node.body, activation, node.name, what))
    if isinstance(value, str):
        body, content_type = value.encode("utf-8", "replace"), TEXT
    else:
        body, content_type = _written(value, node.name, what), JSON
    named = any(name == "content-type" for name, _ in node.headers)
    return Made(node.status, node.headers if named else (*node.headers, ("content-type", content_type)), body)


def _text_or_json(value: object) -> object:
    """Read a text that a template moved: it is answered as a text, not as JSON."""
    if isinstance(value, msgspec.Raw) and bytes(value).startswith(b'"'):
        return msgspec.json.decode(value)
    return value


def made_json(body: bytes) -> Made:
    """Return a 200 with a JSON body that was put together here."""
    return Made(200, (("content-type", JSON),), body)


def passed_on(reply: Reply, route: str) -> Answer:
    """Return a response as it is."""
    details = reply.details if isinstance(reply, Made) else "extproc.sub_call"
    return Answer(reply.status, reply.headers, reply.body, route, details)


def refused(error: BadRequest, graph: str, request_id: str, route: str) -> Answer:
    """Return an error of the client's."""
    known = {"node": error.node}
    return _error(error.status, error.code, error.message, graph, known, request_id, route)


def failed(failure: Failure, graph: str, request_id: str, route: str) -> Answer:
    """Return an error of a model's, naming the step or member, never what the model answered."""
    status, code, how = _FAILED[failure.cause]
    if failure.counted_alike:
        status, code, _ = _FAILED[Cause.STATUS]
    who = f'model "{failure.model}"' if failure.model else "it" if failure.part else f'node "{failure.node}"'
    text = f"{who}: {failure.why}" if failure.why else f"{who} {how}"
    if failure.status:
        text += f" {failure.status}"
    message = f"{failure.part}: {text}" if failure.part else text
    known = {"node": failure.node, "model": failure.model}
    return _error(status, code, message, graph, known, request_id, route)


def _error(  # noqa: PLR0913, PLR0917 - what an error says, each once
    status: int, code: str, message: str, graph: str, known: Mapping[str, str], request_id: str, route: str
) -> Answer:
    said = {"code": code, "message": message, "graph": graph, **known, "requestId": request_id}
    body = encode({"error": {name: value for name, value in said.items() if value}})
    return Answer(status, (("content-type", JSON),), body, route, f"extproc.{code}", known.get("model", ""))
