"""The cheapest honest upstream: answers 200 with a small fixed JSON to any HTTP/1.1 request.

It reads what it answers: heads to their end, bodies by content-length or chunk by chunk, pipelined requests in order.
``python bench/upstream.py --port 0`` prints ``{"port": N, "pid": N}`` and exits when stdin closes.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
from typing import cast

import uvloop

BODY = b'{"predictions":[1]}'
RESPONSE = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b" % (len(BODY), BODY)
HEAD_END = b"\r\n\r\n"


class Answering(asyncio.Protocol):
    """One connection: answers each request as soon as its last byte came."""

    def __init__(self, response: bytes = RESPONSE) -> None:
        self._response = response
        self._rest = b""  # of a request that is not complete

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begins."""
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Answers every request that the bytes complete, in one write."""
        if self._rest:
            data = self._rest + data
        start = count = 0
        while start < len(data):
            end = request_end(data, start)
            if end < 0:
                break
            start = end
            count += 1
        self._rest = data[start:]
        if count:
            self._transport.write(self._response * count)


def request_end(data: bytes, start: int) -> int:
    """Where the request that begins at ``start`` ends; -1 when it is not complete."""
    head_end = data.find(HEAD_END, start)
    if head_end < 0:
        return -1
    body = head_end + len(HEAD_END)
    head = data[start:head_end].lower()
    at = head.find(b"\r\ncontent-length:")
    if at >= 0:
        end = body + int(head[at + 17 :].split(b"\r\n", 1)[0])
        return end if end <= len(data) else -1
    if b"\r\ntransfer-encoding:" in head:
        return _chunks_end(data, body)
    return body


def _chunks_end(data: bytes, at: int) -> int:
    """Where a chunked body ends; trailers are taken for absent, as Envoy sends none by default."""
    while (line_end := data.find(b"\r\n", at)) >= 0:
        size = int(data[at:line_end].split(b";", 1)[0], 16)
        at = line_end + 2 + size + 2
        if size == 0:
            return at if at <= len(data) else -1
    return -1


async def serve(port: int) -> None:
    """Answers until stdin closes."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Answering, "127.0.0.1", port, backlog=1024)
    print(json.dumps({"port": server.sockets[0].getsockname()[1], "pid": os.getpid()}), flush=True)
    await loop.run_in_executor(None, sys.stdin.buffer.read)
    server.close()


def main() -> None:
    """Runs from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="0: the system picks one")
    uvloop.run(serve(parser.parse_args().port))


if __name__ == "__main__":
    main()
