"""Envoy's access log, and our own logs beside it, of a system that runs."""

import asyncio
import fcntl
import json
import os
import re
import signal
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from tests.envoy.models import Models
from tests.envoy.running import Running, command_of, eventually, launch, running
from tests.envoy.running import _first_line as first_line
from tests.kit import client
from tests.kit.client import RawConnection, Response

pytestmark = pytest.mark.envoy

OWN_GRAPHS = """
apiVersion: extproc.dev/v1
kind: InferenceGraph
metadata: {name: tails}
spec:
  match: [{prefix: /tails}]
  models:
    good: {url: "http://<log-good>/v1/models/good:predict"}
    bad: {url: "http://<down:log-bad>/x"}
  nodes:
    root: {switch: {cases: [{name: broken, when: 'request.headers["x-bad"] == "1"', to: bad}], default: good}}
---
apiVersion: extproc.dev/v1
kind: InferenceGraph
metadata: {name: spare}
spec:
  match: [{path: /spare}]
  whenAway: open
  models:
    first: {url: "http://<log-first>/first"}
    second: {url: "http://<down:log-second>/x"}
  nodes: {root: {fallback: {routes: [{to: first}, {to: second}]}}}
---
apiVersion: extproc.dev/v1
kind: InferenceGraph
metadata: {name: steps}
spec:
  match: [{path: /steps}]
  models:
    one: {url: "http://<log-one>/one"}
    two: {url: "http://<log-two>/two"}
  nodes: {root: {chain: {steps: [{name: a, to: one}, {name: b, to: two}]}}}
---
apiVersion: extproc.dev/v1
kind: InferenceGraph
metadata: {name: broken}
spec:
  match: [{path: /broken}]
  models:
    gone: {url: "http://<down:log-gone>/gone", retries: 1}
    two: {url: "http://<log-two>/two"}
  nodes: {root: {chain: {steps: [{name: a, to: gone}, {name: b, to: two}]}}}
---
apiVersion: extproc.dev/v1
kind: InferenceGraph
metadata: {name: closed}
spec:
  match: [{path: /closed}]
  whenAway: closed
  maxBody: 1KiB
  models: {good: {url: "http://<log-good>/good"}}
  nodes:
    root:
      switch:
        cases: [{name: denied, when: 'request.body.k == 1', to: {respond: {status: 403, body: {denied: true}}}}]
        default: good
"""
SECRET = "f00d5ec2e7"  # in queries, bodies and headers; in no log
TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
COMMON = {
    "attempts",
    "bytes_received",
    "bytes_sent",
    "details",
    "duration_ms",
    "flags",
    "graph",
    "listener",
    "method",
    "model",
    "path",
    "protocol",
    "request_id",
    "status",
    "time",
    "trace_id",
    "upstream_cluster",
    "upstream_host",
    "upstream_us",
}
NUMBERS = ("status", "duration_ms", "attempts", "bytes_received", "bytes_sent")
# No collector listens there: what is sampled is logged with its trace all the same.
ENVIRONMENT = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9"}


@pytest.fixture(scope="module")
def log(tmp_path_factory):
    """Where the system writes its access log."""
    return tmp_path_factory.mktemp("log") / "access.json"


@pytest.fixture(scope="module")
def system(models: Models, log: Path):
    """A system of its own, which logs JSON."""
    arguments = ["--access-log", str(log), "--log-format", "json"]
    with running(models.fill(OWN_GRAPHS), arguments=arguments, environment=ENVIRONMENT) as started:
        yield started


async def ask(system: Running, path: str, request_id: str, *headers: tuple[str, str], k: object = None) -> Response:
    """One request, with a secret everywhere where one may be."""
    return await client.request(
        system.ingress_port,
        "POST",
        f"{path}?key={SECRET}",
        [("x-request-id", request_id), ("authorization", f"Bearer {SECRET}"), *headers],
        json={"k": k, "instances": [SECRET]},
    )


def read(log: Path) -> list[dict[str, Any]]:
    """All lines so far; each is an object of strict JSON."""
    lines = log.read_bytes().splitlines() if log.exists() else []
    return [json.loads(line, parse_constant=pytest.fail) for line in lines]


async def lines_of(log: Path, request_id: str, count: int = 1) -> list[dict[str, Any]]:
    """The lines of a request: the calls made for it, then itself."""

    def of_request() -> list[dict[str, Any]]:
        return [line for line in read(log) if line["request_id"] == request_id]

    await eventually(lambda: [line for line in of_request() if line["listener"] == "ingress"])
    found = of_request()
    assert len(found) == count, found
    assert found[-1]["listener"] == "ingress"
    for line in found:
        assert set(line) >= COMMON
        assert all(type(line[name]) is int for name in NUMBERS), line
        assert datetime.fromisoformat(line["time"]).utcoffset() is not None
    return found


def said(system: Running, logger: str) -> list[dict[str, Any]]:
    """What a logger of our processes said; all that they say is JSON."""
    lines = [json.loads(line, parse_constant=pytest.fail) for line in system.said().splitlines()]
    assert all({"time", "level", "process", "pid", "logger", "message"} <= set(line) for line in lines)
    return [line for line in lines if line["logger"] == logger]


async def test_a_tail_call(system: Running, log: Path):
    """Who asked for what, where it went, and how long everything took."""
    answer = await ask(system, "/tails/a", "tail-1")
    (line,) = await lines_of(log, "tail-1")
    assert (line["method"], line["path"], line["host"], line["protocol"]) == (
        "POST",
        "/tails/a",
        "test.local",
        "HTTP/1.1",
    )
    assert (line["status"], line["flags"], line["details"]) == (200, "-", "via_upstream")
    assert (line["graph"], line["model"], line["upstream_cluster"]) == ("tails", "good", "tails/good")
    assert line["route"] == answer.header("x-extproc-route") == "root=default,good"
    assert (line["client"], line["attempts"]) == ("127.0.0.1", 1)
    assert re.fullmatch(r"127\.0\.0\.1:\d+", line["upstream_host"])
    assert 0 < line["upstream_us"] < 1000 * (line["duration_ms"] + 1)
    assert line["bytes_sent"] == len(answer.body)
    fast = line["ext_proc"]["fast"]
    assert 0 < fast["request_header_latency_us"] < 1000 * (line["duration_ms"] + 1)
    assert fast["failed_open"] is False
    assert line["ext_proc"]["body"] is None


async def test_a_tail_call_that_fails(system: Running, log: Path):
    """The model that could not be reached is named, with the reason and the attempts."""
    assert (await ask(system, "/tails", "tail-2", ("x-bad", "1"))).status == 502
    (line,) = await lines_of(log, "tail-2")
    assert (line["status"], line["model"], line["route"], line["attempts"]) == (502, "bad", "root=broken,bad", 2)
    assert "UF" in line["flags"]
    assert line["upstream_us"] is None


async def test_an_answer(system: Running, log: Path):
    """What the processor answers has no model, even where the route names one for when the processor is away."""
    answer = await ask(system, "/spare", "answer-1")
    assert (answer.status, answer.header("x-extproc-route")) == (200, "first")
    call, line = await lines_of(log, "answer-1", 2)
    assert (call["listener"], call["model"], call["status"]) == ("egress", "first", 200)
    assert (line["status"], line["details"], line["graph"]) == (200, "extproc.sub_call", "spare")
    assert line["route"] == "first"
    nothing = ("model", "upstream_cluster", "upstream_host", "upstream_us")
    assert [line[name] for name in nothing] == [None] * len(nothing)
    body = line["ext_proc"]["body"]
    assert body.get("received_immediate_response", True) is True  # Envoy 1.38 and newer say it
    assert body["request_body_total_latency_us"] > call["upstream_us"]
    assert line["ext_proc"]["fast"] is None


async def test_a_chain(system: Running, log: Path):
    """Each call of the processor has a line of its own, under the same request id, and Envoy's last one is in the request's."""
    assert (await ask(system, "/steps", "chain-1")).status == 200
    call, line = await lines_of(log, "chain-1", 2)
    assert (call["listener"], call["graph"], call["model"], call["path"]) == ("egress", "steps", "one", "/one")
    assert (call["upstream_cluster"], call["status"], call["attempts"]) == ("steps/one", 200, 1)
    assert call["upstream_us"] > 0
    assert "ext_proc" not in call
    assert (line["graph"], line["model"], line["path"], line["route"]) == ("steps", "two", "/steps", "one,two")


async def test_what_envoy_refuses(system: Running, log: Path):
    """No graph, a body too large, a denial, a path that cannot be: each as what it is."""
    assert (await ask(system, "/nowhere", "refused-1")).status == 404
    assert (await ask(system, "/closed", "refused-2", k="x" * 2000)).status == 413
    assert (await ask(system, "/closed", "refused-3", k=1)).status == 403
    (nowhere,), (large,), (denied,) = [await lines_of(log, f"refused-{number}") for number in (1, 2, 3)]
    assert (nowhere["status"], nowhere["path"], nowhere["details"]) == (404, "/nowhere", "direct_response")
    assert (nowhere["graph"], nowhere["model"], nowhere["route"]) == (None, None, None)
    assert (large["status"], large["graph"], large["model"]) == (413, "closed", None)
    assert (denied["status"], denied["details"], denied["route"]) == (403, "extproc.made", "root=denied")
    async with await RawConnection.open(system.ingress_port) as connection:
        await connection.send(f"GET /\x00?{SECRET} HTTP/1.1\r\nhost: a\r\n\r\n".encode())
        assert (await connection.response()).status == 400
    await eventually(lambda: [one for one in read(log) if one["status"] == 400 and one["path"] is None])


async def test_an_upgrade(system: Running, log: Path):
    """A socket's line comes when it is closed: what was asked for, and the model that had it."""
    opened, tunnel = await client.upgrade(
        system.ingress_port, f"/tails/ws?{SECRET}", [("x-stub", '{"upgrade": true}'), ("x-request-id", "ws-1")]
    )
    assert opened.status == 101
    await tunnel.close()
    (line,) = await lines_of(log, "ws-1")
    assert (line["status"], line["path"], line["model"]) == (101, "/tails/ws", "good")


async def test_a_request_id_is_the_clients_own_text(system: Running, log: Path):
    """Whatever it is, it makes no second line and no broken JSON, and a long one is cut."""
    for hostile in (b'"},{"status":200}', b"a\tb\xff\xfe\x80\xe2\x80\xa8", b"x" * 5000):
        before = len(read(log))
        async with await RawConnection.open(system.ingress_port) as connection:
            await connection.send(b"GET /tails HTTP/1.1\r\nhost: a\r\nx-request-id: " + hostile + b"\r\n\r\n")
            assert (await connection.response()).status == 200
        await eventually(lambda before=before: len(read(log)) > before)  # type: ignore[misc]
        assert len(read(log)) == before + 1
        line = read(log)[-1]
        assert (line["status"], line["graph"]) == (200, "tails")
        assert len(line["request_id"]) <= 128


async def test_the_same_trace_everywhere(system: Running, log: Path):
    """A failed request is told once by the processor, with the request id and trace id that Envoy's lines have."""
    answer = await ask(system, "/broken", "broken-1", ("traceparent", f"00-{TRACE}-{PARENT}-01"))
    assert answer.status == 502
    call, line = await lines_of(log, "broken-1", 2)
    assert (call["listener"], call["trace_id"]) == ("egress", TRACE)
    assert (line["trace_id"], line["details"]) == (TRACE, "extproc.upstream_failed")
    told = await eventually(lambda: said(system, "extproc.telemetry.failures"))
    (failure,) = [one for one in told if one.get("request_id") == "broken-1"]
    assert (failure["process"], failure["level"], failure["pid"]) == ("worker", "warning", *system.workers())
    assert (failure["graph"], failure["status"], failure["code"]) == ("broken", 502, "upstream_failed")
    assert failure["trace_id"] == TRACE
    assert failure["message"].startswith("broken: 502 upstream_failed")


async def test_a_processor_that_is_away(system: Running, log: Path):
    """A killed worker is told by the supervisor, in JSON; a request that passed open is known in the access log."""
    (worker,) = system.workers()
    os.kill(worker, signal.SIGSTOP)
    try:
        assert (await ask(system, "/tails", "away-1")).status == 200
    finally:
        os.kill(worker, signal.SIGKILL)
    await eventually(lambda: command_of(worker) == "")
    (line,) = await lines_of(log, "away-1")
    assert (line["route"], line["model"], line["upstream_cluster"]) == ("!fail-open", "good", "tails/good")
    await eventually(lambda: said(system, "extproc.supervisor.workers"))
    (ended,) = said(system, "extproc.supervisor.workers")
    assert (ended["process"], ended["level"], ended["pid"]) == ("supervisor", "warning", system.pids["supervisor"])
    assert ended["message"].startswith("worker 0 ended")
    await eventually(lambda: system.processors() == 1 and system.ready())


def test_no_log_has_a_secret(system: Running, log: Path):
    """The last test here: queries, bodies and credentials of all requests above are nowhere."""
    assert len(read(log)) > 10
    assert SECRET not in json.dumps(read(log))
    assert SECRET not in system.said()


async def test_a_rotated_log(system: Running, log: Path):
    """A log that was moved away is begun anew when Envoy is told so."""
    await asyncio.to_thread(log.rename, log.with_suffix(".old"))
    os.kill(system.pids["envoy"], signal.SIGUSR1)
    await ask(system, "/tails", "rotated")
    await lines_of(log, "rotated")


async def test_standard_output(models: Models):
    """``-`` is the standard output of ``up`` itself: behind the line that tells its addresses, all of it JSON."""
    with running(models.fill(OWN_GRAPHS), arguments=["--access-log", "-"]) as system:
        assert system.process.stdout
        await ask(system, "/steps", "out-1")
        lines = [json.loads(await asyncio.to_thread(system.process.stdout.readline)) for _ in range(2)]
        assert [(line["listener"], line["request_id"]) for line in lines] == [("egress", "out-1"), ("ingress", "out-1")]
        await ask(system, "/steps", "out-2")
        system.signal(signal.SIGTERM)
        rest = await asyncio.to_thread(system.process.stdout.read)
        assert [json.loads(line)["request_id"] for line in rest.splitlines()] == ["out-2", "out-2"]
        assert await asyncio.to_thread(system.ended) == 0
        assert system.said() == ""


async def test_a_log_that_cannot_be_written(models: Models, tmp_path: Path):
    """The start fails, and Envoy's words say why."""
    (tmp_path / "graphs.yaml").write_text(models.fill(OWN_GRAPHS))
    words = [
        "up",
        str(tmp_path / "graphs.yaml"),
        "--port",
        "0",
        "--admin",
        "127.0.0.1:0",
        "--state",
        str(tmp_path / "s"),
    ]
    with launch([*words, "--access-log", str(tmp_path / "no" / "log")], tmp_path / "said") as process:
        assert await asyncio.to_thread(process.wait, 60) == 1
    text = (tmp_path / "said").read_text()
    assert str(tmp_path / "no" / "log") in text
    assert "Traceback" not in text


async def test_requests_do_not_wait_for_whoever_reads_the_log(models: Models, tmp_path: Path):
    """Nobody reads standard error, and its pipe is full: failing requests are answered as before, and lost lines are counted."""
    pipe = tmp_path / "said"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    fcntl.fcntl(reader, fcntl.F_SETPIPE_SZ, 4096)
    (tmp_path / "graphs.yaml").write_text(models.fill(OWN_GRAPHS))
    words = ["up", str(tmp_path / "graphs.yaml"), "--port", "0", "--admin", "127.0.0.1:0", "--json"]
    words += ["--state", str(tmp_path / "s"), "--log-format", "json"]
    with launch(words, pipe) as process:
        try:
            system = Running(process, await asyncio.to_thread(first_line, process, pipe), pipe)
            for batch in range(10):
                async with asyncio.timeout(10):
                    asked = (ask(system, "/broken", f"unread-{batch}-{number}") for number in range(50))
                    assert {answer.status for answer in await asyncio.gather(*asked)} == {502}
            dropped = re.compile(r"^extproc_log_lines_dropped_total [1-9]", re.MULTILINE)
            await eventually(lambda: dropped.search(system.admin("/metrics")[2]))
            assert len(os.read(reader, 65536)) > 2000
        finally:
            process.terminate()
            assert await asyncio.to_thread(process.wait, 15) == 0
            os.close(reader)
