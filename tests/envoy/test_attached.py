"""``extproc config`` and ``extproc serve`` for an Envoy that somebody else runs: either transport, named graphs or not."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from extproc.envoy.binary import find_envoy
from tests.envoy.running import DIE_WITH_PARENT, EXTPROC, FAULTS, STOP_SECONDS, Running, eventually
from tests.kit import client

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.envoy.models import Models

pytestmark = pytest.mark.envoy

SYSTEM = """
apiVersion: extproc.dev/v1
kind: InferenceGraph
metadata: {name: parted}
spec:
  match: [{prefix: /parted}]
  models: {a: {url: "http://<att-a>"}, b: {url: "http://<att-b>"}}
  nodes: {root: {split: {by: 'request.headers["k"]', routes: [{to: a, weight: 1}, {to: b, weight: 1}]}}}
---
apiVersion: extproc.dev/v1
kind: InferenceGraph
metadata: {name: linked}
spec:
  match: [{path: /linked}]
  maxBody: 8MiB
  models: {a: {url: "http://<att-a>"}, b: {url: "http://<att-b>"}, down: {url: "http://<down>"}}
  nodes:
    root:
      switch:
        cases:
          - {name: no, when: request.body.no, to: {respond: {status: 403, body: {was: "${request.body}"}}}}
          - {name: both, when: request.body.both, to: {ensemble: {members: [{name: x, to: a}, {name: y, to: b}]}}}
          - {name: gone, when: request.body.gone, to: {fallback: {routes: [{to: down}, {to: b}]}}}
          - {name: dead, when: request.body.dead, to: {chain: {steps: [{name: one, to: down}, {name: two, to: b}]}}}
        default: {chain: {steps: [{name: one, to: a}, {name: two, to: b}]}}
"""
LARGE = b'{"pad": "' + b"x" * 5_000_000 + b'"}'
# Path, headers, body; the status and the route that come of it, None: any.
ASKED: list[tuple[str, dict[str, str], bytes, int, str | None]] = [
    *(("/parted/x?q=1", {"k": f"user-{n}"}, b"", 200, None) for n in range(8)),
    ("/linked", {}, b'{"n": 1}', 200, "root=default,a,b"),
    ("/linked", {}, b"", 200, "root=default,a,b"),
    ("/linked", {"x-stub-att-a": '{"size": 5000000}'}, LARGE, 200, "root=default,a,b"),
    ("/linked", {}, b'{"no": true, "n": 1.10}', 403, "root=no"),
    ("/linked", {"x-stub": '{"json": [1]}'}, b'{"both": true}', 200, "root=both,a,b"),
    ("/linked", {}, b'{"gone": true}', 200, "root=gone,down!connect,b"),
    ("/linked", {}, b'{"dead": true}', 502, "root=dead,down!connect"),
    ("/linked", {}, b"{", 400, None),
    ("/linked", {"x-stub-att-a": '{"status": 422, "json": "own"}'}, b"{}", 422, "root=default,a!422"),
    ("/nowhere", {}, b"{}", 404, None),
]


@contextlib.contextmanager
def started(words: list[str], said: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A process that ends with this block, and with the tests."""
    with said.open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, "-c", DIE_WITH_PARENT, *words],
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            env=dict(os.environ),
            start_new_session=True,
        )
    try:
        yield process
    finally:
        process.terminate()
        process.wait(STOP_SECONDS)


@pytest.fixture(scope="module")
def place(models: Models) -> Iterator[Path]:
    """A folder with graphs, and the configuration of an Envoy for them."""
    with tempfile.TemporaryDirectory(prefix="extproc-att-") as name:
        folder = Path(name)
        (folder / "graphs.yaml").write_text(models.fill(SYSTEM))
        words = ["config", f"{folder}/graphs.yaml", "--out", f"{folder}/envoy", "--listen", "127.0.0.1:0"]
        words += [
            "--processor",
            f"unix:{folder}/p",
            "--egress",
            f"unix:{folder}/e",
            "--envoy-admin",
            f"unix:{folder}/a",
        ]
        subprocess.run([EXTPROC, *words], check=True, capture_output=True)
        yield folder


def unnamed(folder: Path) -> None:
    """Take from the routes what names the graph to the processor: then it matches by itself."""
    (file,) = (path for path in (folder / "envoy").rglob("*.json") if "grpc_initial_metadata" in path.read_text())
    document = json.loads(file.read_text())
    _drop(document, "grpc_initial_metadata")
    file.write_text(json.dumps(document))


def _drop(value: Any, key: str) -> None:
    if isinstance(value, dict):
        value.pop(key, None)
    for part in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        _drop(part, key)


async def replies(folder: Path, transport: str) -> list[tuple[Any, ...]]:
    """What comes of all that is asked, with a processor over a transport and an Envoy of its own."""
    serve = [EXTPROC, "serve", f"{folder}/graphs.yaml", "--listen", f"unix:{folder}/p", "--egress", f"unix:{folder}/e"]
    envoy = [str(find_envoy()), "-c", f"{folder}/envoy/bootstrap.json", "--use-dynamic-base-id", "-l", "error"]
    said, log = folder / f"{transport}.said", folder / f"{transport}.envoy"
    with started([*serve, "--transport", transport], said) as processor, started(envoy, log) as theirs:
        system = await eventually(lambda: _seen(theirs, folder, said), within=30)
        await eventually(lambda: system.processors() == 1)
        found = []
        for path, headers, body, status, route in ASKED:
            # Not the stubs' default answer: it describes the request, and the time that was left.
            behaviour = {} if "x-stub" in headers else dict.fromkeys(("x-stub-att-a", "x-stub-att-b"), '{"echo": true}')
            own = {"x-request-id": "the-id", "content-type": "application/json", **behaviour, **headers}
            sent = list(own.items())
            answer = await client.request(system.ingress_port, "POST", path, sent, body)
            assert (answer.status, answer.complete) == (status, True), answer.body[:200]
            assert route in {None, answer.header("x-extproc-route")}
            kept = [(name, value) for name, value in sorted(answer.headers) if name != "date"]
            found.append((answer.status, kept, answer.body))
        assert {name: count for name, count in system.stats(FAULTS).items() if count} == {}
        assert (processor.poll(), theirs.poll()) == (None, None)
    assert (processor.returncode, "Traceback" in said.read_text(), "ERROR" in said.read_text()) == (0, False, False)
    return found


def _seen(process: subprocess.Popen[bytes], folder: Path, said: Path) -> Running | None:
    """The Envoy, once it listens."""
    line = {"ingress": "http://127.0.0.1:0", "admin": "", "graphs": [], "pids": {}, "envoyAdmin": f"{folder}/a"}
    system = Running(process, line, said)
    try:
        listening = json.loads(system.envoy("/listeners?format=json")).get("listener_statuses", [])
    except OSError:
        return None
    ports = [one["local_address"].get("socket_address", {}).get("port_value") for one in listening]
    system.ingress_port = next(filter(None, ports), 0)
    return system if system.ingress_port and len(listening) == 2 else None


async def test_either_transport_and_graphs_named_or_not(place: Path):
    """Native and grpcio give the same answers, header by header, and so does a processor that matches by itself."""
    native = await replies(place, "native")
    assert await replies(place, "grpcio") == native
    routes = {dict(headers)["x-extproc-route"] for _, headers, _ in native[:8]}
    assert routes == {"root=a,a", "root=b,b"}
    unnamed(place)
    assert await replies(place, "native") == native
