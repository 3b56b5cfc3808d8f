"""``extproc serve`` with a challenge, for an Envoy that somebody else runs: it books, shows, and promotes nobody."""

from __future__ import annotations

import asyncio
import json
import re
import signal
import subprocess
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from extproc.envoy.binary import find_envoy
from tests.envoy.challenged import one_of, post_many
from tests.envoy.dueling import SAYS, booked, champion, command, counts, duel, report, tell
from tests.envoy.running import EXTPROC, STOP_SECONDS, Running, eventually
from tests.envoy.test_attached import started

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.envoy.models import Models

pytestmark = pytest.mark.envoy

OWN_GRAPHS = duel("beside", "beside", timeout="20s")
HELD = 4


class Place:
    """A folder with graphs, the configuration of an Envoy for them, and the processor's state."""

    def __init__(self, folder: Path, graphs: str) -> None:
        self.folder = folder
        self.state = folder / "state"
        self.said = folder / "said"
        (folder / "graphs.yaml").write_text(graphs)
        sockets = [
            "--processor",
            f"unix:{folder}/p",
            "--egress",
            f"unix:{folder}/e",
            "--envoy-admin",
            f"unix:{folder}/a",
        ]
        words = ["config", f"{folder}/graphs.yaml", "--out", f"{folder}/envoy", "--listen", "127.0.0.1:0", *sockets]
        subprocess.run([EXTPROC, *words], check=True, capture_output=True)

    @contextmanager
    def envoy(self) -> Iterator[None]:
        """Run somebody's Envoy."""
        words = [str(find_envoy()), "-c", f"{self.folder}/envoy/bootstrap.json", "--use-dynamic-base-id", "-l", "error"]
        with started(words, self.folder / "envoy.said"):
            yield

    @contextmanager
    def processor(self) -> Iterator[subprocess.Popen[bytes]]:
        """Run the processor."""
        folder = self.folder
        words = ["serve", f"{folder}/graphs.yaml", "--listen", f"unix:{folder}/p", "--egress", f"unix:{folder}/e"]
        with started([EXTPROC, *words, "--admin", "127.0.0.1:0", "--state", str(self.state)], self.said) as process:
            yield process

    async def system(self, process: subprocess.Popen[bytes]) -> Running:
        """Both, once Envoy sees the processor."""
        said = await eventually(lambda: re.search(r"admin: (http://\S+)", self.said.read_text()))
        line = {"ingress": "", "admin": said[1], "graphs": [], "pids": {}, "envoyAdmin": f"{self.folder}/a"}
        system = Running(process, line, self.said)
        system.ingress_port = await eventually(lambda: _port(system), within=30)
        await eventually(lambda: system.processors() == 1)
        return system


def _port(system: Running) -> int:
    """Where Envoy listens for clients; 0 while it does not."""
    try:
        listening = json.loads(system.envoy("/listeners?format=json")).get("listener_statuses", [])
    except OSError:
        return 0
    ports = [one["local_address"].get("socket_address", {}).get("port_value") for one in listening]
    return int(next(filter(None, ports), 0)) if len(ports) == 2 else 0


@pytest.fixture
def place(models: Models):
    """Where it all is, with models that answer."""
    graphs = models.fill(OWN_GRAPHS)
    for version, says in SAYS.items():
        models[f"beside-{version}"].behave(**says)
    with tempfile.TemporaryDirectory(prefix="extproc-side-") as name:
        yield Place(Path(name), graphs)


async def test_it_books_and_shows_and_promotes_nobody(place: Place, models: Models):
    """Pairs, labels and pages are as of ``up``; a promotion is refused with what to do instead, and keeps nothing."""
    with place.envoy():
        with place.processor() as process:
            system = await place.system(process)
            ids = [answer.header("x-request-id") for answer in await post_many(system, "/beside", 60)]
            found = await booked(system, "beside", 60)
            assert (counts(found), one_of(found)["verdict"]) == ({"paired": 60}, "promote")
            assert (await tell(system, {"requestId": ids[0], "label": 1})).body["accepted"] == 1
            told = await command(system, "report", "beside")
            assert (told.code, told.err) == (0, "")
            assert "paired 60" in told.out
            status, kind, page = system.admin("/challenges/beside")
            assert (status, kind.partition(";")[0]) == (200, "text/html")
            assert "rival" in page
            metrics = system.admin("/metrics")[2]
            assert 'challenge_requests_total{challenger="rival",graph="beside",outcome="paired"} 60.0' in metrics
            for words in (
                ("promote", "beside", "rival"),
                ("promote", "beside", "rival", "--force"),
                ("rollback", "beside"),
            ):
                refused = await command(system, *words)
                assert (refused.code, refused.out) == (1, "")
                assert refused.err == (
                    "extproc: the routes of beside are in an Envoy that somebody else runs: exchange champion and "
                    "challenger in the graph's file, and run extproc config\n"
                )
            assert await champion(system, "beside") == "v1"
            assert not (place.state / "promotions.json").exists()
            rival = models["beside-v2"]
            rival.behave(stop="hang")
            rival.forget()
            await post_many(system, "/beside", HELD)
            await rival.wait_for_requests(HELD)
            process.send_signal(signal.SIGTERM)
            assert await asyncio.to_thread(process.wait, STOP_SECONDS) == 0
        assert "Traceback" not in place.said.read_text()
        assert list((place.state / "ledgers").iterdir()) == []
        with place.processor() as process:
            system = await place.system(process)
            found = report(system, "beside")
            assert found["eligible"] == 61 + HELD
            assert counts(found) == {"paired": 61, "interrupted": HELD}
            assert one_of(found)["truth"]["joined"] == 1
            process.kill()
            await asyncio.to_thread(process.wait, STOP_SECONDS)
        with place.processor() as process:
            system = await place.system(process)
            assert counts(report(system, "beside")) == {"paired": 61, "interrupted": HELD}
