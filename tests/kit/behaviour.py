"""What a stub saw, and what it was told to do about it."""

from __future__ import annotations

import dataclasses
import hashlib
import itertools
import json
import time
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

Headers: TypeAlias = list[tuple[str, str]]

PATTERN = bytes(range(256))  # a large body repeats it, so that a lost or doubled piece shows


@dataclasses.dataclass
class Seen:
    """One request as it reached a stub; it fills up while the request arrives.

    ``ended`` says how the stub's side went: not yet (None), answered to the end, cut off by the stub's behaviour, or
    ``client_gone``: the peer closed the connection (HTTP/2: reset the stream) before the answer was complete.
    """

    method: str
    path: str
    headers: Headers
    connection: int
    reused: bool
    at: float = dataclasses.field(default_factory=time.monotonic)
    body: bytes = b""
    trailers: Headers = dataclasses.field(default_factory=list)
    complete: bool = False
    ended: Literal["answered", "cut", "client_gone"] | None = None

    def header(self, name: str) -> str | None:
        """The header's values joined with ``,``; None when it is absent."""
        return find_header(self.headers, name)

    def json(self) -> Any:
        """The parsed body."""
        return json.loads(self.body)

    def describe(self, stub: str) -> dict[str, Any]:
        """What a stub answers when nothing else was asked of it."""
        names = dict.fromkeys(name.lower() for name, _ in self.headers)
        return {
            "model": stub,
            "method": self.method,
            "path": self.path,
            "body_length": len(self.body),
            "body_sha256": hashlib.sha256(self.body).hexdigest(),
            "headers": {name: self.header(name) for name in names},
        }


def find_header(headers: Headers, name: str) -> str | None:
    """The values under a name, in any case, joined with ``,``; None when there is none."""
    values = [value for key, value in headers if key.lower() == name.lower()]
    return ",".join(values) if values else None


@dataclasses.dataclass(frozen=True, kw_only=True)
class Behaviour:
    """How to answer. Times are seconds.

    The body is the first that is set of ``events``, ``size``, ``echo``, ``body``, ``json``; without one the answer
    describes the request. ``stop`` breaks off (or hangs, until the stub is released) before the headers or, with
    ``stop_at="middle"``, after the headers and half of the body.
    """

    status: int = 200
    headers: tuple[tuple[str, str], ...] = ()
    json: Any | Callable[[Seen], Any] = None  # a value, or a function of the request
    body: bytes | None = None
    echo: bool = False  # the request's body and content-type
    size: int | None = None  # a body of so many bytes
    events: int | None = None  # server-sent events; each has its number and the time it was sent (time.monotonic)
    chunks: int | None = None  # the body in so many pieces of unknown total length (HTTP/1.1: chunked)
    every: float = 0.0  # between two pieces or events
    delay: float = 0.0  # before the headers
    stop: Literal["reset", "close", "hang"] | None = None
    stop_at: Literal["start", "middle"] = "start"
    trailers: tuple[tuple[str, str], ...] = ()
    upgrade: bool = False  # HTTP/1.1: accept an Upgrade with 101 and send back every byte that comes

    def changed(self, **changes: Any) -> Behaviour:
        """The same with other values; headers and trailers may be a list of pairs or a dict, as JSON has them."""
        for name in changes.keys() & {"headers", "trailers"}:
            pairs = changes[name]
            changes[name] = tuple((k, v) for k, v in (pairs.items() if isinstance(pairs, dict) else pairs))
        return dataclasses.replace(self, **changes)


@dataclasses.dataclass(frozen=True)
class Reply:
    """A response ready to be sent: its pieces may be made as late as they are sent. No length: it is not told."""

    content_type: str
    length: int | None
    pieces: Iterator[bytes]
    count: int


def compose(behaviour: Behaviour, seen: Seen, stub: str) -> Reply:
    """The response that a behaviour gives to a request."""
    if behaviour.events is not None:
        return Reply("text/event-stream", None, _events(behaviour.events), behaviour.events)
    content_type, body = _body(behaviour, seen, stub)
    halves = 2 if behaviour.stop_at == "middle" else 1
    count = behaviour.chunks or halves
    streamed = behaviour.chunks is not None or bool(behaviour.trailers)
    return Reply(content_type, None if streamed else len(body), _pieces(body, count), count)


def _body(behaviour: Behaviour, seen: Seen, stub: str) -> tuple[str, bytes]:
    if behaviour.size is not None:
        repeats = behaviour.size // len(PATTERN) + 1
        return "application/octet-stream", (PATTERN * repeats)[: behaviour.size]
    if behaviour.echo:
        return seen.header("content-type") or "application/octet-stream", seen.body
    if behaviour.body is not None:
        return "application/octet-stream", behaviour.body
    document = behaviour.json(seen) if callable(behaviour.json) else behaviour.json
    if document is None:
        document = seen.describe(stub)
    return "application/json", json.dumps(document).encode()


def _events(count: int) -> Iterator[bytes]:
    for number in range(count):
        yield b"data: " + json.dumps({"n": number, "sent": time.monotonic()}).encode() + b"\n\n"


def _pieces(body: bytes, count: int) -> Iterator[bytes]:
    bounds = [len(body) * n // count for n in range(count + 1)]
    return (body[start:end] for start, end in itertools.pairwise(bounds))
