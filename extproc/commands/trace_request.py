"""The one request that ``extproc trace`` sends, and its answer."""

from __future__ import annotations

import http.client
import time
from contextlib import closing, suppress
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from extproc.errors import ExtprocError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from urllib.parse import SplitResult

PATIENCE = 60.0  # seconds in which nothing comes: graphs give up after 30 unless they say otherwise
SHOWN = 2048  # bytes of an answer's body that are looked at
_CHUNK = 65536


class NoResponse(ExtprocError):  # noqa: N818 - it says what happened
    """The request could not be sent, or no answer came. ``sent`` tells whether Envoy may have seen it."""

    def __init__(self, message: str, *, sent: bool) -> None:
        super().__init__(message)
        self.sent = sent


@dataclass(frozen=True, slots=True)
class Request:
    """A request; ``url`` is whole, and ``headers`` hold all but those of the trace and the body's length."""

    url: SplitResult
    method: str
    headers: Sequence[tuple[str, str]]
    body: bytes | None = field(default=None, repr=False)

    def to(self, url: SplitResult) -> Request:
        """Return it for another URL."""
        return replace(self, url=url)


@dataclass(frozen=True, slots=True)
class Response:
    """An answer: ``start`` of its body, the ``size`` of all of it, and the ``seconds`` until its headers and its end."""

    status: int
    reason: str
    headers: Sequence[tuple[str, str]]
    start: bytes
    size: int
    seconds: float
    ended: float

    def header(self, name: str) -> str:
        """Return a header's value, empty where there is none."""
        return next((value for key, value in self.headers if key.lower() == name), "")


def send(request: Request, traceparent: str) -> Response:
    """Send it once, as it is. Raises NoResponse, and ValueError for what no request can hold."""
    url = request.url
    kind = http.client.HTTPSConnection if url.scheme == "https" else http.client.HTTPConnection
    target = (url.path or "/") + (f"?{url.query}" if url.query else "")
    with closing(kind(url.hostname or "", url.port, timeout=PATIENCE)) as connection:
        own_host = any(name.lower() == "host" for name, _ in request.headers)
        connection.putrequest(request.method, target, skip_host=own_host, skip_accept_encoding=True)
        for name, value in request.headers:
            connection.putheader(name, value.encode("utf-8", "surrogateescape"))
        connection.putheader("traceparent", traceparent)
        if request.body is not None:
            connection.putheader("content-length", str(len(request.body)))
        sent = False
        try:
            connection.connect()
            sent = True
            began = time.monotonic()
            with suppress(ConnectionError):  # who refuses a body may answer before it has read all of it
                connection.endheaders(request.body)
            return _read(connection.getresponse(), began)
        except (OSError, http.client.HTTPException) as error:
            what = error.strerror if isinstance(error, OSError) and error.strerror else str(error) or repr(error)
            raise NoResponse(f"{url.netloc}: {what}", sent=sent) from None


def _read(answer: http.client.HTTPResponse, began: float) -> Response:
    seconds = time.monotonic() - began
    start, size = b"", 0
    while piece := answer.read1(_CHUNK):
        start += piece[: max(SHOWN - size, 0)]
        size += len(piece)
    ended = time.monotonic() - began
    return Response(answer.status, answer.reason, answer.getheaders(), start, size, seconds, ended)
