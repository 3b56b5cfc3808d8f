"""An admin address over challenges that are made by hand."""

from __future__ import annotations

import contextlib
import json
from collections import Counter
from typing import TYPE_CHECKING, Any

from extproc.admin.app import AdminServer
from extproc.admin.challenges import NotThere
from extproc.challenge.store.feedback import Taken
from tests.kit import client

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence

    from extproc.admin.challenges import Challenges, NoChallenges
    from extproc.challenge.store.feedback import Feedback
    from tests.kit.client import Response

TOKEN = "s3cret"


class ByHand:
    """Challenges whose reports are given; what is asked of them is noted, and can be made to fail."""

    def __init__(self, *reports: Mapping[str, Any]) -> None:
        self.reports = {one["graph"]: one for one in reports}
        self.asked: list[Any] = []
        self.trouble: Exception | None = None

    async def run(self) -> None:
        """Do nothing."""

    async def latest(self) -> Sequence[Mapping[str, Any]]:
        """Return the reports."""
        return list(self.reports.values())

    async def report(self, graph: str) -> Mapping[str, Any]:
        """Return a report."""
        self._note("report", graph)
        if graph not in self.reports:
            raise NotThere(f"no graph named {graph} is loaded")
        return self.reports[graph]

    async def feedback(self, items: Sequence[Feedback]) -> Taken:
        """Note it."""
        self._note("feedback", *items)
        return Taken(accepted=len(items))

    async def promote(self, graph: str, challenger: str, *, force: bool) -> Mapping[str, Any]:
        """Note it."""
        self._note("promote", graph, challenger, force)
        return {"graph": graph, "challenger": challenger}

    async def roll_back(self, graph: str) -> Mapping[str, Any]:
        """Note it."""
        self._note("rollback", graph)
        return {"graph": graph}

    def _note(self, *asked: Any) -> None:
        self.asked.append(asked)
        if self.trouble is not None:
            raise self.trouble


class Observed:
    """A system of nothing but challenges."""

    plans = ()

    def __init__(self, challenges: Challenges | NoChallenges) -> None:
        self.challenges = challenges

    async def unready(self) -> str | None:
        """Return nothing."""
        return None

    async def counts(self) -> Counter[Any]:
        """Return nothing."""
        return Counter()


class Address:
    """The address, as a client on this machine reaches it."""

    def __init__(self, port: int) -> None:
        self.port = port

    async def get(self, path: str, accept: str | None = "application/json") -> Response:
        """Get a page; without ``accept`` whatever is there."""
        headers = [] if accept is None else [("accept", accept)]
        return await client.request(self.port, "GET", path, headers, host=f"127.0.0.1:{self.port}")

    async def post(self, path: str, body: Any = b"", *headers: tuple[str, str], host: str = "127.0.0.1") -> Response:
        """Post bytes as they are, or a document as JSON."""
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        return await client.request(self.port, "POST", path, headers, content, host=host)


@contextlib.asynccontextmanager
async def listening(challenges: Challenges | NoChallenges) -> AsyncIterator[Address]:
    """Run the admin address."""
    server = AdminServer(Observed(challenges), "127.0.0.1", 0, TOKEN)
    await server.start()
    try:
        yield Address(int(server.address.rpartition(":")[2]))
    finally:
        await server.stop()


def told(answer: Response) -> tuple[int, str, str]:
    """An error as it is told: status, code, message."""
    assert answer.header("content-type") == "application/json", answer
    error = answer.json()["error"]
    assert set(error) == {"code", "message"}
    return answer.status, error["code"], error["message"]
