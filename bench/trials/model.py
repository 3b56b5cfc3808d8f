"""A model of which all is known: it answers V1 JSON that its name and the request's instances tell, and nothing else.

``/NAME/KIND/MS`` answers after so many milliseconds with predictions of a kind (number, label, vector, text), and with its
name; ``/NAME/KIND/hang`` never answers. A request can ask one model for something else: ``x-NAME: hang``, ``fail`` (500),
``garbage`` (no JSON) or ``large`` (2 MB). ``python -m bench.trials.model --port 0`` prints ``{"port", "pid"}`` and exits
when stdin closes.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
from typing import TYPE_CHECKING, Any, cast
from zlib import crc32

import msgspec

from bench.trials.clock import run
from bench.upstream import HEAD_END, request_end

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

LABELS = ("legitimate", "fraud", "review")
WRONG = 0.08  # the share of instances that a model labels otherwise than they are
OFF = 0.08  # by how much a number may be off: two models differ by more than 0.05 for one instance in seven
PLACES = 3  # of a vector
LARGE = 2 * 1024 * 1024  # bytes: more than a leg's response may have
GARBAGE = b"<html>not here</html>"


def truth_of(instance: Sequence[float]) -> float:
    """Return the number that an instance has in truth."""
    return round(sum(instance), 4)


def label_of(instance: Sequence[float]) -> str:
    """Return the label that it has in truth."""
    return LABELS[_whole(instance) % len(LABELS)]


def vector_of(instance: Sequence[float]) -> list[float]:
    """Return the vector that it has in truth."""
    return [truth_of([*instance, place]) for place in range(PLACES)]


def text_of(instance: Sequence[float]) -> str:
    """Return the text that it has in truth."""
    return _sentence(label_of(instance))


def _whole(instance: Sequence[float]) -> int:
    return round(sum(instance) * 8)


def _sentence(found: str) -> str:
    return f"the transaction is {found}, says a model"


def _chance(name: str, instance: Sequence[float]) -> float:
    """Return a number from 0 to 1 that a model's name and an instance tell."""
    return crc32(f"{name} {_whole(instance)}".encode()) / 2**32


def _number(name: str, instance: Sequence[float]) -> float:
    return round(truth_of(instance) + OFF * _chance(name, instance), 4)


def _label(name: str, instance: Sequence[float]) -> str:
    wrong = _chance(name, instance) < WRONG
    return LABELS[(_whole(instance) + wrong) % len(LABELS)]


def _vector(name: str, instance: Sequence[float]) -> list[float]:
    return [_number(name, [*instance, place]) for place in range(PLACES)]


def _text(name: str, instance: Sequence[float]) -> str:
    return _sentence(_label(name, instance))


KINDS: dict[str, Callable[[str, Sequence[float]], Any]] = {
    "number": _number,
    "label": _label,
    "vector": _vector,
    "text": _text,
}


def answer(name: str, kind: str, body: bytes) -> bytes:
    """Return what a model says to a V1 request."""
    instances = msgspec.json.decode(body)["instances"]
    predictions = [KINDS[kind](name, one) for one in instances]
    return msgspec.json.encode({"predictions": predictions, "model": name})


class Modelling(asyncio.Protocol):
    """One connection, one request at a time."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begins."""
        self._transport = cast("asyncio.Transport", transport)
        self._rest = b""
        self._timer: asyncio.TimerHandle | None = None

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        """Forgets what is not answered."""
        if self._timer is not None:
            self._timer.cancel()

    def data_received(self, data: bytes) -> None:
        """Answers a request when it is complete."""
        self._rest += data
        end = request_end(self._rest, 0)
        if end >= 0:
            request, self._rest = self._rest[:end], self._rest[end:]
            self._take(request)

    def _take(self, request: bytes) -> None:
        head, _, body = request.partition(HEAD_END)
        name, kind, takes = head.split(b" ", 2)[1].decode().strip("/").split("/")
        asked = _asked(head, name)
        if "hang" in (takes, asked):
            return
        self._timer = asyncio.get_running_loop().call_later(int(takes) / 1000, self._say, name, kind, asked, body)

    def _say(self, name: str, kind: str, asked: str, body: bytes) -> None:
        match asked:
            case "fail":
                self._transport.write(response(b"{}", b"500 Internal Server Error"))
            case "garbage":
                self._transport.write(response(GARBAGE))
            case "large":
                self._transport.write(response(b'{"predictions":["' + b"x" * LARGE + b'"]}'))
            case _:
                self._transport.write(response(answer(name, kind, body)))


def _asked(head: bytes, name: str) -> str:
    """Return what a request asks of this model beyond an answer."""
    field = f"\r\nx-{name}: ".encode()
    at = head.find(field)
    return head[at + len(field) :].split(b"\r\n", 1)[0].decode() if at >= 0 else ""


def response(body: bytes, status: bytes = b"200 OK") -> bytes:
    """Return a response's bytes."""
    return b"HTTP/1.1 %b\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b" % (status, len(body), body)


async def serve(port: int) -> None:
    """Answers until stdin closes."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Modelling, "127.0.0.1", port, backlog=1024)
    print(json.dumps({"port": server.sockets[0].getsockname()[1], "pid": os.getpid()}), flush=True)
    await loop.run_in_executor(None, sys.stdin.buffer.read)
    server.close()


def main() -> None:
    """Runs from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="0: the system picks one")
    run(serve(parser.parse_args().port))


if __name__ == "__main__":
    main()
