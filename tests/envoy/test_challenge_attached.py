"""A challenge in front of an Envoy that somebody else runs, over either transport."""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from extproc.envoy.binary import find_envoy
from tests.envoy.challenged import Watched, as_shown, one_of, post, post_many, told
from tests.envoy.running import EXTPROC, FAULTS, eventually
from tests.envoy.test_attached import _seen, started
from tests.kit import client
from tests.kit.stub import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.envoy.models import Models
    from tests.envoy.running import Running

pytestmark = pytest.mark.envoy

SYSTEM = """
apiVersion: extproc.dev/v1
kind: InferenceGraph
metadata: {name: duel}
spec:
  match: [{path: /duel}]
  maxBody: 64KiB
  models: {champ: {url: "http://<own-champ>/p"}, rival: {url: "http://<own-rival>/p"}}
  nodes: {root: {challenge: {champion: champ, challengers: [{name: rival, to: rival}]}}}
---
apiVersion: extproc.dev/v1
kind: InferenceGraph
metadata: {name: lines}
spec:
  match: [{path: /lines}]
  maxBody: 64KiB
  models: {champ: {url: "http://<own-champ>/p"}, rival: {url: "http://<own-rival>/p"}}
  nodes:
    root: {challenge: {champion: line, challengers: [{name: rival, to: rival, sample: 50%, by: request.body.user}]}}
    line: {chain: {steps: [{name: a, to: champ}, {name: b, to: champ}]}}
"""
OK = {"json": {"predictions": [1]}}
ANSWERS: list[dict[str, Any]] = [
    OK,
    {**OK, "chunks": 4, "every": 0.02},
    {"size": 0},
    {"status": 204},
    {"status": 404, "json": "own"},
    {"size": 3_000_000},
    {"size": 3_000_000, "chunks": 9},
    {**OK, "headers": {"x-extproc-latency": "1", "set-cookie": "a=b"}},
    {**OK, "chunks": 3, "headers": {"content-type": "text/event-stream"}},
]
BODIES = [b"", b'{"user": "ada"}', b" " * 60_000 + b'{"user": "bob"}', b"no JSON"]
UPLOADS = [b" " * 70_000, b" " * 3_000_000]  # larger than maxBody


@pytest.fixture(scope="module")
def place(models: Models) -> Iterator[Path]:
    """A folder with graphs, and the configuration of an Envoy for them."""
    with tempfile.TemporaryDirectory(prefix="extproc-own-") as name:
        folder = Path(name)
        (folder / "graphs.yaml").write_text(models.fill(SYSTEM))
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
        yield folder


@pytest.mark.parametrize("transport", ["native", "grpcio"])
async def test_either_transport(place: Path, transport: str):
    """The champion's answers arrive as they were sent, every request is counted, and nothing breaks."""
    admin = f"127.0.0.1:{free_port()}"
    serve = [EXTPROC, "serve", f"{place}/graphs.yaml", "--listen", f"unix:{place}/p", "--egress", f"unix:{place}/e"]
    serve += ["--transport", transport, "--admin", admin, "--state", str(place / transport)]
    envoy = [str(find_envoy()), "-c", f"{place}/envoy/bootstrap.json", "--use-dynamic-base-id", "-l", "error"]
    said, log = place / f"{transport}.said", place / f"{transport}.envoy"
    with started(serve, said) as processor, started(envoy, log) as theirs:
        system = await eventually(lambda: _seen(theirs, place, said), within=30)
        await eventually(lambda: system.processors() == 1)
        system.admin_url = f"http://{admin}"
        await check_duel(system)
        await check_lines(system)
        await check_leaving(system)
        await check_closing(system)
        assert {name: count for name, count in system.stats(FAULTS).items() if count} == {}
        assert (processor.poll(), theirs.poll()) == (None, None)
    assert (processor.returncode, "Traceback" in said.read_text(), "ERROR" in said.read_text()) == (0, False, False)


async def check_duel(system: Running) -> None:
    """Whatever the champion answers arrives; what is too large to show or to copy does too."""
    watched = Watched(system, "duel")
    for how in ANSWERS:
        answer = await post(system, "/duel", told(own_champ=how, own_rival=OK))
        shown = as_shown(answer)
        assert (shown["status"], shown["complete"]) == (how.get("status", 200), True)
        assert len(answer.body) == how.get("size", len(answer.body))
        assert answer.header("transfer-encoding") == ("chunked" if "chunks" in how else None)
        assert answer.header("x-extproc-latency") is None
    for body in BODIES + UPLOADS:
        answer = await post(system, "/duel", told(own_champ={"echo": True}, own_rival=OK), body)
        assert (answer.status, answer.body == body) == (200, True)
    assert {name: count for name, count in system.stats(FAULTS).items() if count} == {}
    counts = await watched.counts(len(ANSWERS) + len(BODIES) + len(UPLOADS))
    # Of an echo nothing can be compared.
    assert counts == {"paired": 3, "unparsable": 3 + len(BODIES), "champion_failed": 1, "too_large": 2 + len(UPLOADS)}


async def check_lines(system: Running) -> None:
    """A champion of two calls, sampled by its body: the same user always or never."""
    watched = Watched(system, "lines")
    for body in BODIES[:3]:
        answers = await post_many(system, "/lines", 10, told(own_champ=OK, own_rival=OK), body)
        assert [(answer.status, answer.json()) for answer in answers] == [(200, OK["json"])] * 10
        assert {answer.header("x-extproc-route") for answer in answers} == {"champ,champ"}
    counts = await watched.counts(30)
    assert counts == {"paired": counts["paired"], "unsampled": 30 - counts["paired"]}
    assert one_of(watched.report())["latency"]["champion"]["samples"] == counts["paired"]


async def check_leaving(system: Running) -> None:
    """A client that leaves has cut its champion short."""
    watched = Watched(system, "duel")
    hanging = told(own_champ={"stop": "hang"}, own_rival=OK)
    async with await client.RawConnection.open(system.ingress_port) as connection:
        await connection.send(client.encode("POST", "/duel", hanging, b"{}"))
        await watched.seen(1)
        connection.reset()
    assert await watched.counts(1) == {"champion_failed": 1}


async def check_closing(system: Running) -> None:
    """One that closes its connection when it has read all of its answer has not."""
    watched = Watched(system, "duel")
    answers = await post_many(system, "/duel", 150, told(own_champ={"echo": True}, own_rival=OK), BODIES[1])
    assert {answer.body for answer in answers} == {BODIES[1]}
    assert await watched.counts(150) == {"unparsable": 150}
