"""What the tests of challenges share: a challenge's counts from here on, and the models that only they need."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import json
import urllib.parse
from typing import TYPE_CHECKING, Any

from tests.envoy import models as placeholders
from tests.envoy.running import WAIT_SECONDS, eventually
from tests.kit import client
from tests.kit.stub import ModelStub

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tests.envoy.running import Running
    from tests.kit.behaviour import Behaviour, Headers, Seen
    from tests.kit.client import Response
    from tests.kit.stub_server import Line

GIGABYTE = 1 << 30
PIECE = 1 << 16
LIMIT = 1 << 20  # bytes of a response that is compared
# Requests at once: a processor that is late by half a second, as on a crowded machine, is taken for one that is away.
IN_FLIGHT = 12
MAY_DIFFER = {"date", "x-extproc-graph", "x-extproc-route"}


class Watched:
    """A graph's challenge from here on: what was counted before counts as nothing. It has to be settled now."""

    def __init__(self, system: Running, graph: str) -> None:
        self._system = system
        self._graph = graph
        before = self.report()
        assert not any(pending(one) for one in before["challengers"]), f"{graph} is not settled: {before}"
        self._eligible: int = before["eligible"]
        self._counts = {one["name"]: one["counts"] for one in before["challengers"]}

    def report(self) -> dict[str, Any]:
        """The report as it is now."""
        where = urllib.parse.urlsplit(self._system.admin_url)
        connection = http.client.HTTPConnection(where.hostname or "", where.port, timeout=WAIT_SECONDS)
        with contextlib.closing(connection):
            connection.request("GET", f"/challenges/{self._graph}", headers={"accept": "application/json"})
            found: dict[str, Any] = json.load(connection.getresponse())
        for one in found["challengers"]:
            assert sum(one["counts"].values()) == found["eligible"], one
        return found

    async def seen(self, requests: int) -> None:
        """Return when so many requests have reached the challenge, whatever becomes of them."""
        await eventually(lambda: self.report()["eligible"] - self._eligible == requests)

    async def settled(self, requests: int, within: float = WAIT_SECONDS) -> dict[str, Any]:
        """The report, once so many requests were seen and the last of them is booked."""

        def found() -> dict[str, Any] | None:
            report = self.report()
            new = report["eligible"] - self._eligible
            assert new <= requests, report
            ended = not any(pending(one) for one in report["challengers"])
            return report if new == requests and ended else None

        try:
            settled: dict[str, Any] = await eventually(found, within)
        except TimeoutError as late:
            report = self.report()
            counts = {one["name"]: one["counts"] for one in report["challengers"]}
            raise TimeoutError(f"{report['eligible'] - self._eligible} of {requests} seen: {counts}") from late
        return settled

    async def counts(self, requests: int, challenger: str = "rival", within: float = WAIT_SECONDS) -> dict[str, int]:
        """What became of so many requests, for one challenger: the counts that are not 0."""
        return self._new(await self.settled(requests, within), challenger)

    async def all_counts(self, least: int, challenger: str = "rival") -> dict[str, int]:
        """The same once at least so many were seen: where a killed worker took others along, nobody knows how many."""

        def found() -> dict[str, int] | None:
            report = self.report()
            settled = report["eligible"] - self._eligible >= least and not any(map(pending, report["challengers"]))
            return self._new(report, challenger) if settled else None

        counts: dict[str, int] = await eventually(found)
        return counts

    def _new(self, report: dict[str, Any], challenger: str) -> dict[str, int]:
        found = one_of(report, challenger)["counts"]
        return {name: new for name, count in found.items() if (new := count - self._counts[challenger][name])}


def pending(challenger: dict[str, Any]) -> int:
    """How many requests are not booked yet."""
    found: int = challenger["counts"]["pending"]
    return found


def one_of(report: dict[str, Any], challenger: str = "rival") -> dict[str, Any]:
    """What a report says of one challenger."""
    (found,) = (one for one in report["challengers"] if one["name"] == challenger)
    return dict(found)


def told(**behaviours: dict[str, Any] | None) -> Headers:
    """Headers that tell stubs how to answer, by name with ``_`` for ``-``."""
    named = {name.replace("_", "-"): how for name, how in behaviours.items() if how is not None}
    return [(f"x-stub-{name}", json.dumps(how)) for name, how in named.items()]


def framed(body: bytes, framing: str) -> tuple[Headers, bytes]:
    """A body sent with its length, or in chunks."""
    if framing == "content-length":
        return [("content-length", str(len(body)))], body
    half = len(body) // 2
    pieces = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in (body[:half], body[half:]) if piece)
    return [("transfer-encoding", "chunked")], pieces + b"0\r\n\r\n"


async def post(
    system: Running, path: str, headers: Iterable[tuple[str, str]] = (), body: bytes = b'{"instances": [1]}'
) -> Response:
    """Posts JSON."""
    sent = [*headers, ("content-type", "application/json")]
    return await client.request(system.ingress_port, "POST", path, sent, body)


async def post_many(
    system: Running, path: str, times: int, headers: Iterable[tuple[str, str]] = (), body: bytes = b'{"instances": [1]}'
) -> list[Response]:
    """Posts so many requests, some at once."""
    turn = asyncio.Semaphore(IN_FLIGHT)
    sent = list(headers)

    async def one() -> Response:
        async with turn:
            return await post(system, path, sent, body)

    return await asyncio.gather(*(one() for _ in range(times)))


def as_shown(answer: Response) -> dict[str, Any]:
    """All of an answer that a challenge must not change."""
    headers = [(name, value) for name, value in answer.headers if name not in MAY_DIFFER]
    return {
        "status": answer.status,
        "reason": answer.reason,
        "headers": headers,
        "body": answer.body,
        "trailers": answer.trailers,
        "complete": answer.complete,
    }


class GigabyteStub(ModelStub):
    """Answers each request with a gigabyte that it does not announce, as fast as it is read; ``<huge:NAME>``."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.sent = 0

    async def play(self, seen: Seen, behaviour: Behaviour, line: Line) -> None:  # noqa: ARG002 -- it has one behaviour
        """Answers."""
        await line.head(200, [("content-type", "application/json")], None)
        piece = b" " * PIECE
        for _ in range(GIGABYTE // PIECE):
            await line.piece(piece)
            self.sent += PIECE
        await line.end([])
        self.end(seen, "answered")


placeholders.KINDS["huge"] = GigabyteStub
