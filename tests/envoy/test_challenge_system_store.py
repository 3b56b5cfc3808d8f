"""A store on a server that stops, hangs and comes back: clients notice nothing, and nothing that was seen is lost."""

import asyncio
import http.client
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.envoy.challenged import one_of, post_many
from tests.envoy.dueling import SAYS, booked, command, counts, duel, report, started, state_folder, tell, traffic
from tests.envoy.models import Models
from tests.envoy.running import EXTPROC, Running, eventually
from tests.kit.postgres import Server, postgres_server

pytestmark = pytest.mark.envoy

OWN_GRAPHS = duel("shared", "shared")
PASSWORD = "hushhush"  # the server asks for none, and takes any
PAGES = ("/", "/graphs", "/metrics", "/challenges", "/challenges/shared.json", "/readyz")


@pytest.fixture(scope="module")
def server():
    """A PostgreSQL of its own: it is stopped under others."""
    with postgres_server() as one:
        yield one


@pytest.fixture
def models(models: Models):
    """Models that answer, each with its name."""
    models.fill(OWN_GRAPHS)
    for version, says in SAYS.items():
        models[f"shared-{version}"].behave(**says)
    return models


def url(server: Server) -> str:
    """The URL of an empty place, with a password."""
    return server.empty().replace("postgres@", f"postgres:{PASSWORD}@")


def shown(system: Running) -> str:
    """All that a system shows and says."""
    return "\n".join([system.said(), *(system.admin(path)[2] for path in PAGES)])


async def test_a_store_that_is_away(server: Server, models: Models):
    """Clients are served, feedback is refused with 503, and when the server is back every request is in one count."""
    with state_folder() as state, started(models.fill(OWN_GRAPHS), state, "--store", url(server), workers=2) as system:
        ids = [answer.header("x-request-id") for answer in await post_many(system, "/shared", 30)]
        await booked(system, "shared", 30)
        async with traffic(system, "shared") as seen:
            await seen.reaches(20)
            server.stop(signal.SIGQUIT)
            await seen.reaches(150)
            await eventually(lambda: "what challenges see is kept, and booked when it can be" in system.said())
            refused = await tell(system, {"requestId": ids[0], "label": 1})
            assert (refused.status, refused.body["error"]["code"]) == (503, "unavailable")
            assert "check that the server runs" in refused.body["error"]["message"]
            told = await command(system, "report", "shared")
            assert (told.code, told.out) == (1, "")
            assert "the store postgresql+psycopg://postgres:***@" in told.err
            for words in (("promote", "shared", "rival"), ("promote", "shared", "rival", "--force")):
                assert (await command(system, *words)).code == 1
            assert system.ready()
            assert "extproc_decisions" in system.admin("/metrics")[2]
            away = shown(system) + told.err + str(refused)
            server.start()
            await eventually(lambda: "the store answers again" in system.said())
            await seen.reaches(50)
        assert (seen.statuses, seen.none) == ({200}, 0)
        assert not any("!" in (answer.header("x-extproc-route") or "") for answer in seen.answers)
        total = 30 + len(seen.answers)
        found = await booked(system, "shared", total)
        assert (found["eligible"], counts(found)) == (total, {"paired": total})
        taken = await tell(system, [{"requestId": one, "label": 1} for one in ids])
        assert taken.body == {"accepted": 30, "duplicate": 0, "unknown": 0}
        assert one_of(report(system, "shared"))["truth"]["joined"] == 30
        assert (await command(system, "promote", "shared", "rival")).code == 0
        assert PASSWORD not in away + shown(system)
        assert system.said().count("what challenges see is kept") == 1
        assert "Traceback" not in system.said()


async def test_a_store_that_hangs_does_not_hold_up_the_end(server: Server, models: Models):
    """A server that answers nothing any more keeps nobody from stopping, and what was seen then is interrupted."""
    where = url(server)
    with state_folder() as state:
        with started(models.fill(OWN_GRAPHS), state, "--store", where) as system:
            await post_many(system, "/shared", 10)
            await booked(system, "shared", 10)
            with hanging(server):
                await post_many(system, "/shared", 5)
                feedback = asyncio.create_task(tell(system, {"requestId": "x", "label": 1}))
                began = time.monotonic()
                system.signal(signal.SIGTERM)
                assert await asyncio.to_thread(system.ended, 30) == 0
                assert time.monotonic() - began < 15
                with pytest.raises((OSError, http.client.HTTPException)):
                    await feedback
            assert "what was not booked is interrupted" in system.said()
            assert "Traceback" not in system.said()
            assert PASSWORD not in system.said()
        with started(models.fill(OWN_GRAPHS), state, "--store", where) as system:
            found = report(system, "shared")
            assert (found["eligible"], sum(counts(found).values())) == (15, 15)
            assert counts(found)["paired"] >= 10


@contextmanager
def hanging(server: Server) -> Iterator[None]:
    """Stop all of a server's processes where they are, for as long as the block takes."""
    children = Path(f"/proc/{server.pid()}/task/{server.pid()}/children").read_text().split()
    pids = [server.pid(), *map(int, children)]
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)


@pytest.mark.parametrize(
    ("where", "told"),
    [
        ("postgresql://user:{password}@127.0.0.1:1/db", "check that the server runs and can be reached from here"),
        ("postgresql://user:{password}@[::1/db", "the store's URL cannot be read"),
        ("mysql://user:{password}@127.0.0.1/db", "a store is sqlite:// or postgresql://, not mysql://"),
        ("postgresql://user@127.0.0.1:1/db?password={password}", "check that the server runs"),
        ("{password}", "the store's URL cannot be read"),
    ],
)
async def test_a_store_that_is_none(models: Models, where: str, told: str):
    """The start ends with 1 and what is wrong, without the password."""
    with state_folder() as state:
        done = await asyncio.to_thread(_up, models.fill(OWN_GRAPHS), state, where.format(password=PASSWORD))
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("extproc: ")
    assert told in done.stderr
    assert PASSWORD not in done.stderr
    assert "Traceback" not in done.stderr


def _up(graphs: str, state: Path, store: str) -> subprocess.CompletedProcess[str]:
    """Start a system that does not get far."""
    file = state / "graphs.yaml"
    file.write_text(graphs)
    words = ["up", str(file), "--port", "0", "--admin", "127.0.0.1:0", "--state", str(state / "s"), "--store", store]
    return subprocess.run([EXTPROC, *words], capture_output=True, text=True, check=False, timeout=60)
