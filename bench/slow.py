"""An upstream that takes its time: ``/sleep/MS`` answers after so long, ``/hang`` never, ``/fail`` at once with 500.

``/sse/N/MS`` streams N events so far apart. ``/stats`` says, as JSON, how often each path was asked for, how many
connections were opened, and how many requests were left by their client before they were answered.
``python bench/slow.py --port 0`` prints ``{"port", "pid"}`` and exits when stdin closes.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
from collections import Counter
from typing import ClassVar, cast

import uvloop

from bench.upstream import BODY, RESPONSE, request_end

FAILED = b"HTTP/1.1 500 Internal Server Error\r\ncontent-length: 2\r\n\r\n{}"
SSE_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"


class Taking(asyncio.Protocol):
    """One connection, one request at a time."""

    asked: ClassVar[Counter[str]] = Counter()
    opened = 0
    left = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begins."""
        self._transport = cast("asyncio.Transport", transport)
        self._rest = b""
        self._timer: asyncio.TimerHandle | None = None
        self._busy = False
        Taking.opened += 1

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        """Counts a request whose client has left."""
        if self._timer is not None:
            self._timer.cancel()
        if self._busy:
            Taking.left += 1

    def data_received(self, data: bytes) -> None:
        """Answers a request when it is complete."""
        self._rest += data
        end = request_end(self._rest, 0)
        if end < 0:
            return
        path = self._rest.split(b" ", 2)[1].decode()
        self._rest = self._rest[end:]
        self._answer(path)

    def _answer(self, path: str) -> None:
        kind, *numbers = path.strip("/").split("/")
        if kind == "stats":
            said = json.dumps({"asked": Taking.asked, "opened": Taking.opened, "left": Taking.left}).encode()
            self._transport.write(
                RESPONSE[: RESPONSE.index(b"content-length")] + b"content-length: %d\r\n\r\n" % len(said) + said
            )
            return
        Taking.asked[path] += 1
        self._busy = True
        match kind:
            case "fail":
                self._write(FAILED)
            case "sleep":
                loop = asyncio.get_running_loop()
                self._timer = loop.call_later(int(numbers[0]) / 1000, self._write, RESPONSE)
            case "sse":
                self._transport.write(SSE_HEAD)
                self._event(0, int(numbers[0]), int(numbers[1]) / 1000)

    def _write(self, response: bytes) -> None:
        self._busy = False
        self._transport.write(response)

    def _event(self, number: int, count: int, gap: float) -> None:
        if number == count:
            self._write(b"0\r\n\r\n")
            return
        event = b"data: %d\n\n" % number
        self._transport.write(b"%x\r\n%b\r\n" % (len(event), event))
        self._timer = asyncio.get_running_loop().call_later(gap, self._event, number + 1, count, gap)


async def _serve(port: int) -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Taking, "127.0.0.1", port)
    print(json.dumps({"port": server.sockets[0].getsockname()[1], "pid": os.getpid()}), flush=True)
    ended = asyncio.Event()
    reader = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    watching = asyncio.ensure_future(reader.read())
    watching.add_done_callback(lambda _: ended.set())
    await ended.wait()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=0)
    uvloop.run(_serve(parser.parse_args().port))

__all__ = ["BODY", "Taking"]
