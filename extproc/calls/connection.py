"""One HTTP/1.1 connection to Envoy's egress: a request, its response, and the next.

Envoy frames every response by a length or in chunks, so the end of a connection is never the end of a body.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, cast

from httptools import HttpParserError, HttpResponseParser

from extproc.calls.response import Response

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

# Envoy's own bounds of a response's head are 60 KiB and 100 headers; what it lets pass is read.
MAX_HEAD = 128 * 1024
_INTERIM = 200  # below this a response only says that another one follows


class Connection(asyncio.Protocol):
    """A connection; ``idle`` is told when it may be used again, ``lost`` when it is gone."""

    def __init__(self, idle: Callable[[Connection], None], lost: Callable[[Connection], None]) -> None:
        self._idle = idle
        self._lost = lost
        self._parser: HttpResponseParser | None = None
        self._response: Response | None = None
        self._headers: list[tuple[bytes, bytes]] = []
        self._head_size = 0
        self.since = 0.0  # when it became idle, by the loop's clock

    def __repr__(self) -> str:
        """Say what it is doing."""
        state = "idle" if self._response is None else repr(self._response)
        return f"<Connection {state}>"

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        self._transport = cast("asyncio.Transport", transport)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - whatever the reason, nothing more comes
        """Fail the response under way."""
        self._lost(self)
        if self._response is not None:
            self._response.failed(ConnectionResetError("the connection broke"))
            self._response = None

    @property
    def usable(self) -> bool:
        """Whether another request may be sent."""
        return self._response is None and not self._transport.is_closing()

    def abort(self) -> None:
        """Cut it: closing gently would first wait for Envoy to take what is unsent."""
        self._transport.abort()

    def send(self, method: str, target: str, headers: Mapping[str, str], body: bytes | None) -> Response:
        """Send a request; the response fills itself. Raises ValueError for what cannot be written as HTTP."""
        head = _head(method, target, headers)
        self._parser = HttpResponseParser(self)
        self._headers = []
        self._head_size = 0
        self._response = response = Response(self, bodiless=method == "HEAD")
        self._transport.writelines([head, body] if body else [head])
        return response

    def data_received(self, data: bytes) -> None:
        """Take what came."""
        if self._parser is None or self._response is None:
            self.abort()  # nobody asked
            return
        try:
            self._parser.feed_data(data)
        except HttpParserError:
            self.abort()

    # --- what the parser says

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep a header."""
        self._head_size += len(name) + len(value)
        if self._head_size > MAX_HEAD:
            self.abort()
            return
        self._headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        """Tell the response, unless it only says that another one follows."""
        status = self._parser.get_status_code() if self._parser else 0
        if status >= _INTERIM and self._response is not None:
            self._response.begun(status, self._headers)
            if self._response.bodiless:
                self._finished(reusable=False)  # the parser cannot know, and would wait for the body

    def on_body(self, piece: bytes) -> None:
        """Hand on a piece."""
        if self._response is not None:
            self._response.more(piece)

    def on_message_complete(self) -> None:
        """End the response."""
        self._headers = []
        self._head_size = 0
        if self._response is not None and self._response.status:
            parser = self._parser
            self._finished(reusable=parser is not None and parser.should_keep_alive())

    def _finished(self, *, reusable: bool) -> None:
        response, self._response = self._response, None
        if response is not None:
            response.ended()
        if reusable and not self._transport.get_write_buffer_size() and not self._transport.is_closing():
            self._idle(self)
        else:
            self.abort()


def _head(method: str, target: str, headers: Mapping[str, str]) -> bytes:
    lines = [f"{method} {target} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items())]
    text = "\r\n".join([*lines, "", ""])
    if text.count("\n") != len(lines) + 1 or text.count("\r") != len(lines) + 1 or "\0" in text or " " in target:
        raise ValueError("a request that cannot be written as HTTP")
    return text.encode()
