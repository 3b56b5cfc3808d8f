"""A request as expressions see it: every part is made when it is first asked for."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

import msgspec

from extproc.engine.views import moved
from extproc.errors import BadRequest
from extproc.expr import Record
from extproc.headers import TRACEPARENT_HEADER

if TYPE_CHECKING:
    from collections.abc import Mapping

    from extproc.engine.traceparent import Traceparent

_FIELDS = frozenset({"headers", "method", "path", "query", "host", "id", "body"})
_PLAIN = ("", "identity")
# What belongs to one connection (RFC 9110, 7.6.1), or is set anew for each call.
_NOT_PASSED_ON = frozenset(
    {
        "connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "proxy-connection", "te", "trailer",
        "transfer-encoding", "upgrade", "expect", "content-length", "accept-encoding",
    }
)  # fmt: skip
_OF_A_BODY = frozenset({"content-type", "content-encoding", "content-md5", "digest", "content-digest"})
_NOT_FOR_MODELS = ("x-extproc-", "x-envoy-")
_json = msgspec.json.Decoder()


class Request(Record):
    """One request: Envoy's headers, and the body once it is there.

    Header names are lower-case, repeated headers joined with a comma. The pseudo-headers are taken out of ``headers``,
    which from then on belongs to this request. ``target`` is the path with its query.
    """

    def __init__(self, headers: dict[str, str], body: bytes | None = None) -> None:
        self.method = headers.pop(":method", "")
        self.target = headers.pop(":path", "")
        self.host = headers.pop(":authority", "")
        self.scheme = headers.pop(":scheme", "")
        self.headers = headers
        self.traceparent: Traceparent | None = None  # of the span whose part this is, in place of what the client sent
        self.raw_body = body

    def get(self, name: str) -> object:
        """Return a field; raise KeyError where there is none, BadRequest where the body cannot be read."""
        if name not in _FIELDS:
            raise KeyError(name)
        if name == "body":
            if self.raw_body is None:
                raise KeyError(name)
            return self.body
        return getattr(self, name)

    def has(self, name: str) -> bool:
        """Tell whether a field is there; a body that cannot be read is there all the same."""
        return name in _FIELDS and (name != "body" or self.raw_body is not None)

    def move(self, keys: tuple[str, ...]) -> object:
        """Return a part of the body as the client wrote it; NotImplemented for what is no part of a readable body."""
        if keys[0] != "body" or self.raw_body is None or self._encoded:
            return NotImplemented
        return moved(self.raw_body, keys[1:])

    @property
    def _encoded(self) -> bool:
        return self.headers.get("content-encoding", "").strip().lower() not in _PLAIN

    @property
    def path(self) -> str:
        """The path without the query."""
        return self.target.partition("?")[0]

    @cached_property
    def query(self) -> Mapping[str, str]:
        """The query's parameters, decoded; of a repeated one the first."""
        text = self.target.partition("?")[2]
        found: dict[str, str] = {}
        for name, value in parse_qsl(text, keep_blank_values=True):
            found.setdefault(name, value)
        return found

    @property
    def id(self) -> str:
        """The request id, the client's own where it sent one."""
        return self.headers.get("x-request-id", "")

    @cached_property
    def body(self) -> Any:
        """The JSON body; integers are exact at any size. Raises BadRequest."""
        if self._encoded:
            raise BadRequest(415, "bad_encoding", "the graph reads the body, and cannot read a compressed one")
        try:
            return _json.decode(self.raw_body or b"")
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            raise BadRequest(400, "bad_body", "the graph reads the body, and it is not JSON") from None

    @cached_property
    def _passed_on(self) -> dict[str, str]:
        kept = {
            name: value
            for name, value in self.headers.items()
            if name not in _NOT_PASSED_ON and not name.startswith(_NOT_FOR_MODELS)
        }
        if self.traceparent is not None:
            kept[TRACEPARENT_HEADER] = str(self.traceparent)
        return kept

    def onward(self, own: bool, content_type: str | None) -> Mapping[str, str]:  # noqa: FBT001
        """Return the headers for a sub-call: the client's, but for those that tell of a body that is not its ``own``."""
        if own:
            return self._passed_on
        kept = {name: value for name, value in self._passed_on.items() if name not in _OF_A_BODY}
        return kept | ({"content-type": content_type} if content_type else {})
