"""A real Envoy with an egress and no processor, and what tests ask of it."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.parse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from extproc.envoy.binary import find_envoy
from extproc.graph import load
from extproc.plan.compile import compile_graph

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from extproc.plan.model import ModelPlan

WAIT_SECONDS = 15.0
POLL_SECONDS = 0.01
EXTPROC = str(Path(sys.executable).with_name("extproc"))
BOOTSTRAP = "bootstrap.json"
CLUSTERS = "cds/clusters.json"
# Run in place of Envoy: the kernel ends it when the tests are gone. 1 is PR_SET_PDEATHSIG, linux/prctl.h.
DIE_WITH_PARENT = (
    f"import ctypes, os, sys; ctypes.CDLL(None).prctl(1, {int(signal.SIGKILL)}); os.execv(sys.argv[1], sys.argv[1:])"
)


class Egress:
    """One running Envoy: the address of its egress, its models' plans, and its statistics."""

    def __init__(self, folder: Path, models: Mapping[str, ModelPlan]) -> None:
        self.folder = folder
        self.address = f"unix:{folder / 'e'}"
        self.models = models

    def __repr__(self) -> str:
        return f"<Egress {self.address}>"

    def admin(self, path: str) -> str:
        """A page of Envoy's admin; empty while Envoy is not there."""
        connection = http.client.HTTPConnection("envoy")
        connection.sock = socket.socket(socket.AF_UNIX)
        with contextlib.closing(connection):
            try:
                connection.sock.connect(str(self.folder / "a"))
                connection.request("GET", path)
                return connection.getresponse().read().decode()
            except OSError:
                return ""

    def stats(self, pattern: str) -> dict[str, int]:
        """Counters and gauges whose names match an RE2 pattern."""
        text = self.admin(f"/stats?filter={urllib.parse.quote(pattern, safe='')}")
        pairs = (line.rpartition(": ") for line in text.splitlines())
        return {name: int(value) for name, _, value in pairs if value.isdigit()}

    def ready(self) -> bool:
        """Whether its listeners serve."""
        return self.stats("total_listeners_active").get("listener_manager.total_listeners_active", 0) >= 2 and (
            "LIVE" in self.admin("/ready")
        )

    def active(self) -> dict[str, int]:
        """What is under way at the egress and towards models."""
        found = self.stats(r"^(http\.egress\.downstream_rq_active|cluster\.calls/.*upstream_(rq|cx)_active)$")
        return {name: count for name, count in found.items() if count}


@contextlib.contextmanager
def running(text: str, change: Callable[[Any], None]) -> Iterator[Egress]:
    """Run an Envoy on the text of a graph; ``change`` may edit its clusters."""
    with tempfile.TemporaryDirectory(prefix="xc") as name:
        folder = Path(name)
        (folder / "graph.yaml").write_text(text)
        loading = load([str(folder / "graph.yaml")])
        assert not loading.errors, loading.problems
        plan = compile_graph(loading.graphs[0])
        _configure(folder)
        clusters = json.loads((folder / CLUSTERS).read_text())
        change(clusters["resources"])
        (folder / CLUSTERS).write_text(json.dumps(clusters))
        with _process(folder):
            egress = Egress(folder, plan.models)
            _wait_until(egress.ready)
            yield egress


def _configure(folder: Path) -> None:
    """In a process of its own: the library behind it gives deprecation warnings when it is imported."""
    addresses = {"--listen": "i", "--envoy-admin": "a", "--egress": "e", "--processor": "p"}
    words = [word for option, name in addresses.items() for word in (option, f"unix:{folder / name}")]
    command = [EXTPROC, "config", str(folder / "graph.yaml"), "--out", str(folder), *words]
    subprocess.run(command, check=True, capture_output=True)


@contextlib.contextmanager
def _process(folder: Path) -> Iterator[None]:
    words = [
        str(find_envoy()),
        "-c",
        str(folder / BOOTSTRAP),
        "--disable-hot-restart",
        "-l",
        "error",
        "--concurrency",
        "2",
    ]
    process = subprocess.Popen([sys.executable, "-c", DIE_WITH_PARENT, *words], env=os.environ)
    try:
        yield
    finally:
        process.kill()
        process.wait()


def _wait_until(holds: Callable[[], bool]) -> None:
    end = time.monotonic() + 3 * WAIT_SECONDS
    while not holds():
        assert time.monotonic() < end, "Envoy did not start"
        time.sleep(POLL_SECONDS)


async def eventually(holds: Callable[[], Any], within: float = WAIT_SECONDS) -> None:
    """Look at another process's state until it holds."""
    end = time.monotonic() + within
    while not holds():
        assert time.monotonic() < end, f"not within {within} s"
        await asyncio.sleep(POLL_SECONDS)


class Forwarder:
    """A TCP port that leads to a Unix socket; ``async with`` gives the port."""

    def __init__(self, address: str) -> None:
        self._path = address.removeprefix("unix:")

    async def __aenter__(self) -> int:
        self._tasks: set[asyncio.Task[None]] = set()
        self._server = await asyncio.start_server(self._forward, "127.0.0.1", 0)
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        await self._server.wait_closed()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, away = await asyncio.open_unix_connection(self._path)
        self._tasks = {asyncio.create_task(_pump(reader, away)), asyncio.create_task(_pump(there, writer))}
        await asyncio.wait(self._tasks)


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()
    writer.close()
    await writer.wait_closed()
