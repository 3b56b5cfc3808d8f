"""A closed-loop load generator for HTTP/1.1: each connection sends its next request when the last one is answered.

The requests are bytes made beforehand and taken in turns, so that the generator costs little: the one who measures
should not be what is measured. ``run`` is for other programs, the command line prints a summary as JSON.
"""

from __future__ import annotations

import argparse
import asyncio
import collections
import dataclasses
import json
import os
import pathlib
import time
import urllib.parse
from array import array
from typing import TYPE_CHECKING, Any, cast

import uvloop

if TYPE_CHECKING:
    from collections.abc import Sequence

HEAD_END = b"\r\n\r\n"
CHUNKS_END = b"0\r\n\r\n"
TICKS = os.sysconf("SC_CLK_TCK")
RECONNECT_SECONDS = 0.01  # refused: try again, without spinning
STALL_SECONDS = 10.0  # after the end: how long an answer may still take before its connection is dropped


@dataclasses.dataclass
class Result:
    """What was measured: seconds of each answered request, how often each status and each failure came."""

    latencies: array[float] = dataclasses.field(default_factory=lambda: array("d"))
    statuses: collections.Counter[int] = dataclasses.field(default_factory=collections.Counter)
    errors: collections.Counter[str] = dataclasses.field(default_factory=collections.Counter)
    seconds: float = 0.0  # from the first request to the last answer
    cpu_seconds: float = 0.0  # of this process meanwhile

    @property
    def requests(self) -> int:
        """How many were answered."""
        return len(self.latencies)

    @property
    def rate(self) -> float:
        """Answers per second."""
        return self.requests / self.seconds if self.seconds else 0.0

    def quantile(self, q: float) -> float:
        """The latency in seconds that a share ``q`` of the answers did not exceed (nearest rank); NaN without any."""
        if not self.latencies:
            return float("nan")
        ordered = sorted(self.latencies)
        return ordered[min(int(q * len(ordered)), len(ordered) - 1)]

    def summary(self) -> dict[str, Any]:
        """The figures as JSON, latencies in milliseconds."""
        quantiles = {f"p{q * 100:g}_ms": round(self.quantile(q) * 1e3, 4) for q in (0.5, 0.9, 0.95, 0.99, 0.999)}
        return {
            "requests": self.requests,
            "seconds": round(self.seconds, 3),
            "rate": round(self.rate, 1),
            "statuses": {str(status): count for status, count in sorted(self.statuses.items())},
            "errors": dict(self.errors),
            **(quantiles if self.latencies else {}),
            "load_cpu_us_per_request": round(self.cpu_seconds / self.requests * 1e6, 2) if self.requests else None,
        }


class _Run:
    """What the connections of one run share."""

    def __init__(self, requests: Sequence[bytes], count: int | None, until: float | None) -> None:
        self.result = Result()
        self._requests = requests
        self._left = count
        self._until = until
        self._next = 0

    def over(self, now: float) -> bool:
        """Whether no further request is to be sent."""
        return (self._until is not None and now >= self._until) or (self._left is not None and self._left <= 0)

    def take(self) -> bytes:
        """The next request's bytes."""
        if self._left is not None:
            self._left -= 1
        request = self._requests[self._next]
        self._next = (self._next + 1) % len(self._requests)
        return request

    def failed(self, cause: str) -> None:
        """A request, or the connection for it, broke."""
        self.result.errors[cause] += 1


class _Connection(asyncio.Protocol):
    """One connection's loop: send, read the whole answer, note it, send again."""

    def __init__(self, run: _Run) -> None:
        self._run = run
        self._rest = b""
        self._sent = 0.0
        self.busy = False
        self.closed = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        self._send(time.perf_counter())

    def data_received(self, data: bytes) -> None:
        now = time.perf_counter()
        if self._rest:
            data = self._rest + data
        status = response_status(data)
        if status == 0:
            self._rest = data
            return
        self._rest = b""
        self.busy = False
        result = self._run.result
        result.latencies.append(now - self._sent)
        result.statuses[status] += 1
        if b"onnection: close\r\n" in data:
            self.transport.close()
        else:
            self._send(now)

    def connection_lost(self, exc: Exception | None) -> None:
        if self.busy:
            self._run.failed(type(exc).__name__ if exc else "closed")
        if not self.closed.done():
            self.closed.set_result(None)

    def _send(self, now: float) -> None:
        if self._run.over(now):
            self.transport.close()
            return
        self.busy = True
        self._sent = now
        self.transport.write(self._run.take())


def response_status(data: bytes) -> int:
    """The status of the response in ``data``; 0 when it is not complete.

    A response without content-length and chunks ends at once: what the bench's own servers never send.
    """
    head_end = data.find(HEAD_END)
    if head_end < 0:
        return 0
    at = data.find(b"ontent-length: ", 0, head_end)  # Envoy writes content-length, others Content-Length
    if at < 0:
        at = data.find(b"ontent-Length: ", 0, head_end)
    if at >= 0:
        length = int(data[at + 15 : data.find(b"\r\n", at)])
        complete = len(data) >= head_end + 4 + length
    else:
        complete = b"ransfer-" not in data[:head_end] or data.endswith(CHUNKS_END)
    return int(data[9:12]) if complete else 0


async def run(
    address: tuple[str, int],
    requests: Sequence[bytes],
    *,
    connections: int = 16,
    seconds: float | None = None,
    count: int | None = None,
) -> Result:
    """Sends requests over keep-alive connections for so long, or so many of them, and measures.

    Args:
        address: Host and port to connect to.
        requests: Complete HTTP/1.1 requests, taken in turns by all connections together.
        connections: How many requests are under way at any time. One that breaks is opened again.
        seconds: How long new requests are sent.
        count: How many requests are sent.

    Raises:
        ValueError: Neither ``seconds`` nor ``count`` is given, or there are no requests.
    """
    if (seconds is None and count is None) or not requests:
        raise ValueError("needs requests, and seconds or count")
    start, cpu = time.perf_counter(), time.process_time()
    shared = _Run(requests, count, None if seconds is None else start + seconds)
    limit = None if seconds is None else seconds + STALL_SECONDS
    workers = [asyncio.create_task(_keep_open(shared, *address)) for _ in range(connections)]
    try:
        _, stuck = await asyncio.wait(workers, timeout=limit)
        for _ in stuck:
            shared.failed("stalled")
    finally:
        for worker in workers:
            worker.cancel()
        await asyncio.gather(*workers, return_exceptions=True)
    shared.result.seconds = time.perf_counter() - start
    shared.result.cpu_seconds = time.process_time() - cpu
    return shared.result


async def _keep_open(shared: _Run, host: str, port: int) -> None:
    """One connection after the other, until the run is over."""
    loop = asyncio.get_running_loop()
    while not shared.over(time.perf_counter()):
        try:
            transport, connection = await loop.create_connection(lambda: _Connection(shared), host, port)
        except OSError as error:
            if shared.over(time.perf_counter()):
                return
            shared.take()
            shared.failed(type(error).__name__)
            await asyncio.sleep(RECONNECT_SECONDS)
            continue
        try:
            await connection.closed
        except asyncio.CancelledError:
            transport.abort()
            raise


def cpu_seconds(pid: int) -> float:
    """CPU time that a process and all its threads have used, in user and kernel; its resolution is a tick (10 ms).

    Raises:
        FileNotFoundError: There is no such process.
    """
    stat = pathlib.Path(f"/proc/{pid}/stat").read_text()
    fields = stat.rpartition(")")[2].split()  # the name before may hold spaces; field 3 of proc(5) is the first here
    return (int(fields[11]) + int(fields[12])) / TICKS


def encode(path: str, *, host: str, headers: Sequence[str] = (), body: bytes = b"", method: str | None = None) -> bytes:
    """One request's bytes; a header is ``name: value``, the method POST with a body and GET without."""
    lines = [f"{method or ('POST' if body else 'GET')} {path} HTTP/1.1", f"host: {host}", *headers]
    if body:
        lines.append(f"content-length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body


def variants(header: str, values: int, path: str, **request: Any) -> list[bytes]:
    """Requests that differ in one header, ``name: 0`` to ``name: N-1``, so that sticky keys vary."""
    own = list(request.pop("headers", ()))
    return [encode(path, headers=[*own, f"{header}: {value}"], **request) for value in range(values)]


def main() -> None:
    """Runs from the command line."""
    options = _parser().parse_args()
    url = urllib.parse.urlsplit(options.url)
    path = (url.path or "/") + (f"?{url.query}" if url.query else "")
    body = pathlib.Path(options.body).read_bytes() if options.body else b""
    asked: dict[str, Any] = {"host": url.netloc, "headers": options.header, "body": body}
    requests = variants(options.vary, options.values, path, **asked) if options.vary else [encode(path, **asked)]
    seconds = None if options.count else options.seconds
    result = uvloop.run(
        run(
            (url.hostname or "127.0.0.1", url.port or 80),
            requests,
            connections=options.connections,
            seconds=seconds,
            count=options.count,
        )
    )
    print(json.dumps(result.summary()))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("url", help="http://HOST:PORT/PATH")
    parser.add_argument("--connections", type=int, default=16)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--count", type=int, help="so many requests, however long it takes")
    parser.add_argument("--header", action="append", default=[], metavar="'NAME: VALUE'")
    parser.add_argument("--body", metavar="FILE", help="makes it a POST")
    parser.add_argument("--vary", metavar="NAME", help="a header whose value differs from request to request")
    parser.add_argument("--values", type=int, default=1000, help="how many values it takes")
    return parser


if __name__ == "__main__":
    main()
