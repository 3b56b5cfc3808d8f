"""Systems with challenges whose processes a test stops and starts: their commands, their traffic, their state folder."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import json
import os
import shutil
import signal
import subprocess
import tempfile
import urllib.parse
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from tests.envoy.challenged import one_of, pending, post
from tests.envoy.running import EXTPROC, WAIT_SECONDS, Running, eventually, running
from tests.kit.client import NoResponse

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Collection, Iterator, Mapping

    from tests.kit.client import Response

# {name}, {challenge}: what a test has to say of it. Either champion says who it is.
GRAPH = """
apiVersion: extproc.dev/v1
kind: InferenceGraph
metadata: {{name: {name}}}
spec:
  match: [{{path: /{name}}}]
  timeout: {timeout}
  models:
    v1: {{url: "http://<{stubs}-v1>/v1", retries: 1}}
    v2: {{url: "http://<{stubs}-v2>/v2", retries: 1}}
  nodes:
    root:
      challenge: {{champion: v1, challengers: [{{name: rival, to: v2}}], {more}}}
"""
SAYS = {f"v{n}": {"json": {"predictions": [1], "by": f"v{n}"}} for n in (1, 2)}


def duel(name: str, stubs: str = "duel", timeout: str = "2s", more: str = "guardrails: {errors: {max: 0.5}}") -> str:
    """A graph with a champion v1 and a challenger ``rival``, which is v2."""
    return GRAPH.format(name=name, stubs=stubs, timeout=timeout, more=more)


class Ended(NamedTuple):
    """A command that has ended."""

    code: int
    out: str
    err: str


async def command(system: Running, *words: str, token: str | None = None) -> Ended:
    """Run a command against a system's admin address."""
    admin = urllib.parse.urlsplit(system.admin_url).netloc
    environment = os.environ | ({"EXTPROC_ADMIN_TOKEN": token} if token else {})
    done = await asyncio.to_thread(
        subprocess.run,
        [EXTPROC, *words, "--admin", admin],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env=environment,
    )
    return Ended(done.returncode, done.stdout, done.stderr)


class Said(NamedTuple):
    """What an admin address answered."""

    status: int
    body: Any


def send(
    where: str, path: str, body: object = None, headers: Mapping[str, str] | None = None, within: float = WAIT_SECONDS
) -> Said:
    """Post JSON to an address and return what it answers; OSError where nobody does."""
    connection = http.client.HTTPConnection(where, timeout=within)
    with contextlib.closing(connection):
        connection.request("POST", path, json.dumps(body), headers=dict(headers or {}))
        answer = connection.getresponse()
        return Said(answer.status, json.loads(answer.read()))


async def tell(system: Running, items: object, **headers: str) -> Said:
    """Send feedback."""
    where = urllib.parse.urlsplit(system.admin_url).netloc
    return await asyncio.to_thread(send, where, "/feedback", items, headers)


def report(system: Running, graph: str) -> dict[str, Any]:
    """The report of a challenge, whose counts add up."""
    status, kind, text = system.admin(f"/challenges/{graph}.json")
    assert (status, kind) == (200, "application/json"), text
    found: dict[str, Any] = json.loads(text)
    for one in found["challengers"]:
        assert sum(one["counts"].values()) == found["eligible"], one
    return found


async def booked(system: Running, graph: str, eligible: int, within: float = WAIT_SECONDS) -> dict[str, Any]:
    """The report, once so many requests are known and none of them is pending."""

    def found() -> dict[str, Any] | None:
        known = report(system, graph)
        ended = known["eligible"] >= eligible and not any(pending(one) for one in known["challengers"])
        return known if ended else None

    settled: dict[str, Any] = await eventually(found, within)
    return settled


def counts(found: dict[str, Any], challenger: str = "rival") -> dict[str, int]:
    """A challenger's counts that are not 0."""
    return {name: count for name, count in one_of(found, challenger)["counts"].items() if count}


async def champion(system: Running, graph: str) -> str:
    """Who answers now."""
    return str((await answered(system, graph)).json()["by"])


async def answered(system: Running, graph: str) -> Response:
    """An answer that was well."""
    answer = await post(system, f"/{graph}")
    assert (answer.status, answer.complete) == (200, True), answer.body
    return answer


async def served(system: Running, probe: str, workers: int, replaced: Collection[int] = ()) -> None:
    """Return when so many workers live, none of those that were replaced, and processors answer again.

    What Envoy says of a processor that was killed is what it saw a second ago; so it is asked with requests to ``probe``.
    """
    await eventually(lambda: len(system.workers() - set(replaced)) == workers and not system.workers() & set(replaced))
    in_a_row = 0
    async with asyncio.timeout(WAIT_SECONDS):
        while in_a_row < 4 * workers:
            answer = await post(system, f"/{probe}")
            away = answer.status != http.HTTPStatus.OK or "!fail-open" in (answer.header("x-extproc-route") or "")
            in_a_row = 0 if away else in_a_row + 1
    await eventually(lambda: system.processors() == workers and system.ready())


class Traffic:
    """What clients were answered, and how many of their requests got no answer."""

    def __init__(self) -> None:
        self.answers: list[Response] = []
        self.none = 0

    @property
    def ids(self) -> list[str]:
        """The ids of the requests that were answered."""
        return [answer.header("x-request-id") or "" for answer in self.answers]

    @property
    def statuses(self) -> set[int]:
        """All statuses."""
        return {answer.status for answer in self.answers}

    async def reaches(self, count: int) -> None:
        """Return when so many more were answered."""
        wanted = len(self.answers) + count
        await eventually(lambda: len(self.answers) >= wanted)


@contextlib.asynccontextmanager
async def traffic(system: Running, graph: str, clients: int = 4) -> AsyncIterator[Traffic]:
    """Clients that ask one request after the other until the block ends, and have their last answers then."""
    seen = Traffic()
    over = asyncio.Event()

    async def ask_on() -> None:
        while not over.is_set():
            try:
                seen.answers.append(await post(system, f"/{graph}"))
            except (NoResponse, OSError):
                seen.none += 1
                await asyncio.sleep(0.01)

    tasks = [asyncio.create_task(ask_on()) for _ in range(clients)]
    try:
        yield seen
    finally:
        over.set()
        await asyncio.gather(*tasks)


@contextlib.contextmanager
def state_folder() -> Iterator[Path]:
    """A folder for the state of systems that follow each other, with a name short enough for sockets."""
    folder = Path(tempfile.mkdtemp(prefix="extproc-st-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def started(graphs: str, state: Path, *arguments: str, workers: int = 1) -> Iterator[Running]:
    """A system on a state folder."""
    with running(graphs, workers=workers, arguments=["--state", str(state), *arguments]) as system:
        yield system


def kill(pid: int, number: signal.Signals = signal.SIGKILL) -> None:
    """Send a signal to one process."""
    os.kill(pid, number)
