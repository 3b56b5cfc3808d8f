"""The words of a conversation: messages built from data, and replies as data one can read and compare."""

from __future__ import annotations

import base64
import difflib
import json
from typing import TYPE_CHECKING, Any

import yaml
from google.protobuf.json_format import MessageToDict
from google.protobuf.unknown_fields import UnknownFieldSet

from extproc.engine.pairing import UNCHALLENGED
from extproc.wire.ext_proc_pb2 import HttpBody, HttpHeaders, HttpTrailers, ProcessingRequest, ProcessingResponse
from tests.engine.deciding import Recording, Scripted, body, generations, header_map, headers, open_exchange
from tests.plan.building import plan

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from extproc.engine.pairing import Challenging
    from extproc.exchange.exchange import Exchange


def message(said: Mapping[str, Any]) -> bytes:
    """The message a transcript describes by one key.

    headers, end (headers that end the stream), body, part (of a body); response, response_end, piece, last (of a
    response's body), trailers; other, bytes.
    """
    ((kind, content),) = said.items()
    match kind:
        case "headers":
            return headers(content)
        case "end":
            return headers(content, end=True)
        case "body":
            return body(content.encode() if isinstance(content, str) else content)
        case "part":
            return body(content.encode(), end=False)
        case "response" | "response_end":
            return response(content, end=kind == "response_end")
        case "piece" | "last":
            return piece(content.encode(), end=kind == "last")
        case "trailers":
            return OTHERS["response_trailers"]
        case "bytes":
            return bytes.fromhex(content)
        case "other":
            return OTHERS[content]
    raise AssertionError(f"a transcript cannot say {kind}")


def response(headers: Mapping[str, str], *, end: bool = False) -> bytes:
    """A response_headers message."""
    message = HttpHeaders(headers=header_map(headers.items()), end_of_stream=end)
    return ProcessingRequest(response_headers=message).SerializeToString()


def piece(data: bytes, *, end: bool = False) -> bytes:
    """A response_body message."""
    return ProcessingRequest(response_body=HttpBody(body=data, end_of_stream=end)).SerializeToString()


def _others() -> dict[str, bytes]:
    return {
        "request_trailers": ProcessingRequest(request_trailers=HttpTrailers()).SerializeToString(),
        "response_headers": response({":status": "200"}),
        "response_headers, end": response({":status": "204"}, end=True),
        "response_body": piece(b"x"),
        "response_trailers": ProcessingRequest(response_trailers=HttpTrailers()).SerializeToString(),
        "nothing": b"",
        "only attributes": ProcessingRequest(observability_mode=True).SerializeToString(),
        "half a message": headers()[:-1],
    }


OTHERS = _others()


def readable(reply: bytes) -> dict[str, Any]:
    """A reply as data: everything that is in it, header options as ``name: value`` where only raw_value is set."""
    parsed = ProcessingResponse.FromString(reply)
    assert not len(UnknownFieldSet(parsed)), "a reply holds fields that Envoy does not know"
    found: dict[str, Any] = _readable(MessageToDict(parsed, preserving_proto_field_name=True))
    return found


def _readable(value: Any) -> Any:
    if isinstance(value, list):
        return [_readable(item) for item in value]
    if not isinstance(value, dict):
        return value
    if set(value) == {"header"} and set(value["header"]) <= {"key", "raw_value"}:
        header = value["header"]
        return f"{header['key']}: {base64.b64decode(header.get('raw_value', '')).decode()}"
    found = {name: _readable(item) for name, item in value.items()}
    if str(found.get("details", "")).startswith("extproc."):
        del found["details"]  # what follows is for the access log, and ours to name
    if isinstance(found.get("body"), str):
        found["body"] = _content(base64.b64decode(found["body"]))
    return found


def _content(data: bytes) -> Any:
    try:
        return json.loads(data)
    except ValueError:
        return data.decode(errors="backslashreplace")


def difference(expected: Sequence[Any], found: Sequence[Any]) -> str:
    """Two transcripts compared line by line; empty where they are the same."""
    one, two = (
        yaml.safe_dump(list(each), sort_keys=False, allow_unicode=True).splitlines() for each in (expected, found)
    )
    return "\n".join(difflib.unified_diff(one, two, "expected", "found", lineterm="", n=50))


PLANS = {
    "header": plan(
        """
        models: {a: {url: "http://a/v1"}, b: {url: "http://b/v1"}}
        nodes:
          root:
            switch:
              cases:
                - {name: gold, when: 'request.headers["x-tier"] == "gold"', to: a}
                - {name: blocked, when: 'request.headers["x-tier"] == "none"', to: {respond: {status: 403, headers: {x-why: tier}, body: no}}}
                - {name: lost, when: 'request.headers["x-tier"] == "lost"', to: {switch: {cases: []}}}
                - {name: said, when: '"x-say" in request.headers', to: {respond: {status: 200, body: {said: '${request.headers["x-say"]}'}}}}
              default: b
        """,
        "header",
        [{"path": "/header"}],
    ),
    "body": plan(
        """
        maxBody: 67108864
        models: {a: {url: "http://a/v1"}, b: {url: "http://b/v1"}}
        nodes:
          root:
            switch:
              cases:
                - {name: large, when: 'request.body.n > 10', to: a}
                - {name: echo, when: 'has(request.body.echo)', to: {respond: {status: 200, body: '${request.body.echo}'}}}
              default: b
        """,
        "body",
        [{"path": "/body"}],
    ),
    "coin": plan(
        """
        models: {a: {url: "http://a/v1"}, b: {url: "http://b/v1"}}
        nodes: {root: {split: {routes: [{name: heads, to: a, weight: 1}, {name: tails, to: b, weight: 1}]}}}
        """,
        "coin",
        [{"host": "*.coin.example", "headers": {"x-play": "yes"}}],
    ),
    "duel": plan(
        """
        maxBody: 64
        models: {a: {url: "http://a/v1"}, b: {url: "http://b/v1"}}
        nodes: {root: {challenge: {champion: a, challengers: [{name: x, to: b}]}}}
        """,
        "duel",
        [{"path": "/duel"}],
    ),
    "match": plan(
        """
        maxBody: 64
        models: {a: {url: "http://a/v1"}, b: {url: "http://b/v1"}}
        nodes:
          root:
            challenge:
              champion: {switch: {cases: [{name: no, when: request.body.n == 0, to: {respond: {status: 403}}}], default: a}}
              challengers: [{name: x, to: b}]
        """,
        "match",
        [{"path": "/match"}],
    ),
}
KNOWN = generations(PLANS.values())


def exchange(
    graph: str | None,
    chance: Iterable[float] = (),
    recorder: Recording | None = None,
    challenging: Challenging = UNCHALLENGED,
) -> Exchange:
    """An exchange about one of PLANS, by name; None where the processor is attached to somebody else's routes."""
    named = None if graph is None else PLANS[graph].id if graph in PLANS else graph
    return open_exchange(KNOWN, named, Scripted(chance), recorder or Recording(), challenging)
