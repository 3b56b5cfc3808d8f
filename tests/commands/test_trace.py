"""``extproc trace`` against an admin address and an ingress: what it sends, waits for and prints, and how it ends."""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import re
import sys
import threading
from typing import TYPE_CHECKING, Any

import pytest
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.trace import SpanKind, Status, StatusCode, set_span_in_context
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from extproc.admin.app import AdminServer
from extproc.admin.challenges import NoChallenges
from extproc.admin.traces import Traces
from extproc.cli import main
from extproc.commands.trace_arrival import QUIET, Arrival
from extproc.telemetry.kept import KeptTraces
from extproc.telemetry.receiver import Receiver
from tests.admin.watched import Observed
from tests.commands.traced import EXT_PROC
from tests.kit.stub import ModelStub, free_port
from tests.telemetry.spans import CLIENT, ENVOY, OURS, span, span_id, trace_id

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from opentelemetry.trace import Span, Tracer

    from tests.kit.stub import Seen

PATH = "/v1/models/fraud:predict"
SHORT = "1.2"  # seconds: more than QUIET


class Running:
    """A system of an ingress that answers as it is told, the spans it makes, and the admin address that keeps them."""

    def __init__(self, ingress: ModelStub, kept: KeptTraces, admin: int, tracers: dict[str, Tracer]) -> None:
        self.ingress = ingress
        self.kept = kept
        self.admin = f"127.0.0.1:{admin}"
        self._tracers = tracers
        self.late: list[threading.Timer] = []
        self.makes(lambda top: self.run(top).end())

    def makes(self, below: Callable[[Span], object], **behaviour: Any) -> None:
        """Answer so, and make spans: Envoy's of the request, and below it what ``below`` makes."""

        def answered(seen: Seen) -> Any:
            parent = TraceContextTextMapPropagator().extract({"traceparent": seen.header("traceparent") or ""})
            status = {"http.status_code": str(behaviour.get("status", 200)), "response_flags": "-"}
            top = self._tracers[ENVOY].start_span("POST fraud", parent, SpanKind.SERVER, status)
            below(top)
            top.end()
            return {"predictions": [1]}

        self.ingress.behave(**{"json": answered, **behaviour})

    def span(self, service: str, name: str, parent: Span, kind: SpanKind = SpanKind.CLIENT, **said: Any) -> Span:
        """Begin a span."""
        attributes = {f"extproc.{key}": value for key, value in said.items()}
        return self._tracers[service].start_span(name, set_span_in_context(parent), kind, attributes)

    def run(self, top: Span) -> Span:
        """Make the spans of a run up to its own, which is given, and not ended."""
        conversation = self.span(ENVOY, EXT_PROC, top)
        run = self.span(OURS, "graph fraud", conversation, SpanKind.SERVER, outcome="tail", model="fraud-v2")
        conversation.end()
        return run

    def later(self, seconds: float, one: Span) -> None:
        """End a span later."""
        self.late.append(threading.Timer(seconds, one.end))
        self.late[-1].start()


@contextlib.asynccontextmanager
async def running(folder: Path, traces: Callable[[KeptTraces, str], Traces] = Traces) -> AsyncIterator[Running]:
    """Run a system; ``traces`` is what its admin address knows of its kept traces and its ingress."""
    kept = KeptTraces()
    receiver = Receiver(kept)
    await receiver.start(folder / "otlp.sock")
    with ModelStub("ingress") as ingress:
        admin = AdminServer(Observed(NoChallenges()), "127.0.0.1", 0, None, traces(kept, ingress.url))
        await admin.start()
        providers = {name: _provider(folder / "otlp.sock", name) for name in (ENVOY, OURS)}
        tracers = {name: provider.get_tracer("test") for name, provider in providers.items()}
        system = Running(ingress, kept, int(admin.address.rpartition(":")[2]), tracers)
        try:
            yield system
        finally:
            for timer in system.late:
                await asyncio.to_thread(timer.join)
            for provider in providers.values():
                await asyncio.to_thread(provider.shutdown)
            await admin.stop()
            await receiver.stop()


def _provider(socket: Path, service: str) -> TracerProvider:
    provider = TracerProvider(resource=Resource({"service.name": service}), shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(OTLPSpanExporter(endpoint=f"unix:{socket}", insecure=True)))
    return provider


@pytest.fixture
async def system(tmp_path: Path):
    """One that keeps traces."""
    async with running(tmp_path) as found:
        yield found


@pytest.fixture
def traced(capsysbinary: pytest.CaptureFixture[bytes], monkeypatch: pytest.MonkeyPatch):
    """Calls the command line, and gives its exit code, output and errors."""
    monkeypatch.setenv("COLUMNS", "140")

    async def call(*words: str, admin: Running | str) -> tuple[int, str, str]:
        where = admin if isinstance(admin, str) else admin.admin
        with pytest.raises(SystemExit) as ended:
            await asyncio.to_thread(main, ["trace", *words, "--admin", where])
        out, err = capsysbinary.readouterr()
        return int(str(ended.value.code)), out.decode(), err.decode()

    return call


def plain(out: str) -> str:
    """Output without what differs from one run to the next: ids, times and bars."""
    out = re.sub(r"[0-9a-f]{32}", "ID", out)
    out = re.sub(r"in [\d.]+ ms, (\d+) bytes after [\d.]+ ms", r"in T, \1 bytes", out)
    return re.sub(r"( +\d+\.\d\d)? +\d+\.\d\d( +█+)?$|^ +start ms +took ms\n", "", out, flags=re.MULTILINE)


TREE = f"""\
200 OK  in T, 20 bytes
trace ID  3 spans
{ENVOY}  POST fraud  200
└─ ext_proc
   └─ {OURS}  graph fraud  Envoy calls fraud-v2
"""


async def test_a_request(system: Running, traced: Callable[..., Any], tmp_path: Path):
    """It is sent once, as it was asked for, with a sampled parent of its own; its trace is printed when it is there."""
    body = tmp_path / "request.json"
    body.write_bytes(b'{"instances": [[1, 2]]}')
    code, out, err = await traced(
        "--path", f"{PATH}?a=b", "--body", str(body), "--header", "x-user-id: ada", admin=system
    )
    assert (code, plain(out), err) == (0, TREE, "")
    (seen,) = system.ingress.requests
    assert (seen.method, seen.path, seen.body) == ("POST", f"{PATH}?a=b", body.read_bytes())
    assert [seen.header(name) for name in ("content-type", "x-user-id")] == ["application/json", "ada"]
    parent = re.fullmatch(r"00-([0-9a-f]{32})-([0-9a-f]{16})-01", seen.header("traceparent") or "")
    assert parent is not None
    assert f"trace {parent[1]}" in out
    assert parent[2] in {one.parent_id for one in system.kept.spans(parent[1])}


async def test_two_requests_are_two_traces(system: Running, traced: Callable[..., Any]):
    """No id is used twice."""
    for _ in range(2):
        assert (await traced("--path", PATH, admin=system))[0] == 0
    parents = {(one.header("traceparent") or "").split("-")[part] for one in system.ingress.requests for part in (1, 2)}
    assert len(parents) == 4


async def test_a_url(system: Running, traced: Callable[..., Any]):
    """A request may go to any place that leads to the system, by any method, with any headers."""
    words = [f"{system.ingress.url}/x", "--method", "PUT", "--host", "fraud.example.com"]
    words += ["--header", "a: 1", "--header", "A:2", "--header", "user-agent: é:\udcff", "--header", "empty:"]
    code, out, _ = await traced(*words, admin=system)
    assert (code, plain(out)) == (0, TREE)
    (seen,) = system.ingress.requests
    assert (seen.method, seen.path, seen.body) == ("PUT", "/x", b"")
    assert [seen.header(name) for name in ("host", "a", "empty")] == ["fraud.example.com", "1,2", ""]
    assert (seen.header("user-agent") or "").encode("latin-1") == "é:".encode() + b"\xff"
    assert seen.header("content-type") is seen.header("content-length") is None


async def test_a_body_from_standard_input(system: Running, traced: Callable[..., Any], monkeypatch: pytest.MonkeyPatch):
    """Its bytes are sent as they are, with the content type that was said."""
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"\xff\x00")))
    words = ["--path", PATH, "--body", "-", "--header", "Content-Type: application/octet-stream"]
    assert (await traced(*words, admin=system))[0] == 0
    (seen,) = system.ingress.requests
    assert (seen.body, seen.header("content-type")) == (b"\xff\x00", "application/octet-stream")
    assert (seen.method, seen.header("content-length")) == ("POST", "2")


async def test_spans_that_come_late(system: Running, traced: Callable[..., Any]):
    """A challenger ends after the answer: its span is waited for, and so is a parent that is sent after its child."""

    def below(top: Span) -> None:
        run = system.run(top)
        leg = system.span(OURS, "challenger gbm", run, SpanKind.INTERNAL, leg="challenger", outcome="answered")
        system.span(OURS, "call fraud-v2", leg, outcome="2xx").end()
        run.end()
        system.later(0.9, leg)

    system.makes(below)
    code, out, _ = await traced("--path", PATH, admin=system)
    assert code == 0
    assert plain(out).splitlines()[-3:] == [
        f"   └─ {OURS}  graph fraud  Envoy calls fraud-v2",
        "      └─ challenger gbm  answered, the client does not wait for it",
        "         └─ call fraud-v2  2xx",
    ]


async def test_what_does_not_come(system: Running, traced: Callable[..., Any]):
    """What is there is printed all the same, and what is missing is told."""
    system.makes(lambda top: system.span(ENVOY, "POST fraud-v2", system.run(top)).end())
    code, out, err = await traced("--path", PATH, "--timeout", SHORT, admin=system)
    assert code == 1
    assert plain(out).splitlines()[1:] == [
        "trace ID  3 spans",
        f"{ENVOY}  POST fraud  200",
        "└─ ext_proc",
        "parents missing",
        f"{ENVOY}  POST fraud-v2",
    ]
    assert re.fullmatch(
        "extproc: trace [0-9a-f]{32} is not complete after 1.2 s: missing is a span that others are below\n", err
    )


async def test_nothing_comes(system: Running, traced: Callable[..., Any]):
    """It is told what may be the matter; the answer is shown before."""
    system.ingress.behave(json={})
    code, out, err = await traced("--path", PATH, "--timeout", "0.3", admin=system)
    assert (code, plain(out)) == (1, "200 OK  in T, 2 bytes\ntrace ID  0 spans\n")
    assert "came within 0.3 s: is that the ingress of the system" in err
    assert "OTEL_TRACES_SAMPLER" in err
    _, _, err = await traced(system.ingress.url, "--timeout", "0.3", admin=system)
    assert f"does {system.ingress.url} lead to the system" in err


async def test_an_error_of_the_system(system: Running, traced: Callable[..., Any]):
    """Its status is red, its body and the graph's route are told, and as a trace it is as good as any."""
    headers = (("x-extproc-graph", "fraud@1a2b"), ("x-extproc-route", "root=a,fraud-v2!503"))

    def below(top: Span) -> None:
        called = system.span(OURS, "call fraud-v2", run := system.run(top), outcome="5xx")
        called.set_status(Status(StatusCode.ERROR))
        called.end()
        run.end()

    system.makes(below, status=503, headers=headers)
    code, out, err = await traced("--path", PATH, admin=system)
    assert (code, err) == (0, "")
    assert plain(out).splitlines()[:4] == [
        "503 Service Unavailable  in T, 20 bytes",
        "x-extproc-graph: fraud@1a2b",
        "x-extproc-route: root=a,fraud-v2!503",
        '{"predictions": [1]}',
    ]
    assert "✕ call fraud-v2" in out


async def test_what_models_say_is_only_text(system: Running, traced: Callable[..., Any]):
    """A terminal obeys neither a body nor a header, whatever it holds; of a long body the start is shown."""
    system.ingress.behave(
        status=500, body=b"\x1b[31m\r\n\xff" + b"x" * 100_000, headers=(("x-extproc-route", "\x1b]0"),)
    )
    code, out, _ = await traced("--path", PATH, "--timeout", "0.3", admin=system)
    assert code == 1
    assert not re.search(r"[\x00-\x09\x0b-\x1f]", out)
    assert len(out) < 1000
    assert "100,008 bytes" in out


async def test_json(system: Running, traced: Callable[..., Any]):
    """Answer, spans and tree, and nothing else, on standard output."""
    system.makes(lambda top: system.run(top).end(), headers=(("x-extproc-graph", "fraud@1a2b"),))
    code, out, err = await traced("--path", PATH, "--json", admin=system)
    assert (code, err) == (0, "")
    found = json.loads(out)
    assert list(found) == ["traceId", "answer", "spans", "tree"]
    assert found["answer"].keys() == {"status", "graph", "route", "bytes", "headersMs", "endMs"}
    assert [found["answer"][name] for name in ("status", "graph", "route", "bytes")] == [200, "fraud@1a2b", None, 20]
    assert found["spans"] == [one.data() for one in system.kept.spans(found["traceId"])]
    (root,) = found["tree"]["roots"]
    assert root["below"][0]["below"][0]["name"] == "graph fraud"
    assert found["tree"]["orphans"] == []
    system.ingress.behave(json={})
    code, out, err = await traced("--path", PATH, "--json", "--timeout", "0.3", admin=system)
    assert (code, json.loads(out)["spans"]) == (1, [])
    assert err.startswith("extproc: no span of trace ")


async def test_what_is_kept(system: Running, traced: Callable[..., Any]):
    """The list of traces, the newest first, and one of them, as text and as JSON."""
    assert await traced("--list", admin=system) == (0, "No trace is kept yet: send a request.\n", "")
    code, shown, _ = await traced("--path", PATH, admin=system)
    (line,) = system.kept.newest()
    code, out, err = await traced("--list", admin=system)
    head, row = out.splitlines()
    assert (code, err, head.split()) == (0, "", ["trace", "began", "took", "ms", "spans", "request"])
    assert row.startswith(line.trace_id)
    assert row.split()[-4:] == ["3", "POST", "fraud", ENVOY]
    assert json.loads((await traced("--list", "--json", admin=system))[1])["traces"][0]["traceId"] == line.trace_id
    code, out, err = await traced("--id", line.trace_id.upper(), admin=system)
    assert (code, err) == (0, "")
    assert shown.endswith(out)
    found = json.loads((await traced("--id", line.trace_id, "--json", admin=system))[1])
    assert list(found) == ["traceId", "spans", "tree"]
    assert await traced("--id", trace_id(7), admin=system) == (
        1,
        "",
        f"extproc: no trace {trace_id(7)} is kept; extproc trace --list says which are\n",
    )


async def test_hostile_names_in_the_list(system: Running, traced: Callable[..., Any]):
    """They are text; an error is marked."""
    system.kept.add(span(1, name="\x1b[31m\n[bold]", service="\x1b", status="error"), 1)
    code, out, _ = await traced("--list", admin=system)
    assert code == 0
    assert "✕ �[31m [bold]  �" in out


async def test_no_traces_are_kept(tmp_path: Path, traced: Callable[..., Any]):
    """It is told what to do; no request is sent in vain."""
    async with running(tmp_path, lambda _, ingress: Traces(None, ingress)) as system:
        for words in (["--path", PATH], [f"{system.ingress.url}/x"], ["--list"], ["--id", trace_id(1)]):
            code, out, err = await traced(*words, admin=system)
            assert (code, out) == (1, "")
            assert err == "extproc: no traces are kept here: start it with extproc up --traces\n"
        assert not system.ingress.requests


async def test_spans_go_to_a_collector(tmp_path: Path, traced: Callable[..., Any]):
    """The request is sent, and its trace can be looked for there."""
    async with running(tmp_path, lambda _, ingress: Traces(None, ingress, "jaeger:4317")) as system:
        code, out, err = await traced("--path", PATH, admin=system)
        (seen,) = system.ingress.requests
        trace = (seen.header("traceparent") or "").split("-")[1]
        assert (code, plain(out)) == (1, "200 OK  in T, 20 bytes\ntrace ID  0 spans\n")
        assert err == f"extproc: trace {trace} is not kept here; look for it where spans are sent: jaeger:4317\n"
        code, out, _ = await traced("--path", PATH, "--json", admin=system)
        assert (code, json.loads(out)["answer"]["status"]) == (1, 200)
        code, _, err = await traced("--list", admin=system)
        assert (code, err) == (1, "extproc: no traces are kept here: start it with extproc up --traces\n")


async def test_an_ingress_that_nobody_tells(tmp_path: Path, traced: Callable[..., Any]):
    """The path alone is not enough then; the whole URL is."""
    async with running(tmp_path, lambda kept, _: Traces(kept)) as system:
        code, _, err = await traced("--path", PATH, admin=system)
        assert code == 1
        assert "name the whole URL instead of --path" in err
        assert (await traced(system.ingress.url + PATH, admin=system))[0] == 0


async def test_an_ingress_at_every_address(tmp_path: Path, traced: Callable[..., Any]):
    """It is reached where the admin address is."""
    everywhere = "http://0.0.0.0:"
    async with running(tmp_path, lambda kept, url: Traces(kept, everywhere + url.rpartition(":")[2])) as system:
        assert (await traced("--path", PATH, admin=system))[0] == 0
        assert (system.ingress.requests[0].header("host") or "").startswith("127.0.0.1:")


async def test_an_ingress_that_is_away(tmp_path: Path, traced: Callable[..., Any]):
    """There is no trace to wait for."""
    port = free_port()
    async with running(tmp_path, lambda kept, _: Traces(kept, f"http://127.0.0.1:{port}")) as system:
        code, out, err = await traced("--path", PATH, admin=system)
    assert (code, out, err) == (1, "", f"extproc: 127.0.0.1:{port}: Connection refused\n")


async def test_an_answer_that_breaks_off(system: Running, traced: Callable[..., Any]):
    """The trace says more about it than the client knows: it is printed before that."""
    system.makes(lambda top: system.run(top).end(), stop="reset", stop_at="middle")
    code, out, err = await traced("--path", PATH, admin=system)
    assert (code, plain(out).splitlines()) == (1, TREE.splitlines()[1:])
    assert err.startswith(f"extproc: 127.0.0.1:{system.ingress.port}: ")


async def test_a_body_that_is_refused(system: Running, traced: Callable[..., Any], tmp_path: Path):
    """Who answers before the whole body was sent, and closes, is heard all the same."""
    body = tmp_path / "large"
    body.write_bytes(b"x" * 16_000_000)

    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 413 Payload Too Large\r\ncontent-length: 9\r\n\r\ntoo large")
        writer.close()

    server = await asyncio.start_server(refuse, "127.0.0.1", 0)
    async with server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/x"
        code, out, _ = await traced(url, "--body", str(body), "--timeout", "0.3", admin=system)
    assert (code, plain(out).splitlines()[:2]) == (1, ["413 Payload Too Large  in T, 9 bytes", "too large"])


async def test_a_system_that_is_away(traced: Callable[..., Any]):
    """It is told whose address that is."""
    admin = f"127.0.0.1:{free_port()}"
    for words in (["--path", PATH], ["--list"], ["--id", trace_id(1)]):
        code, out, err = await traced(*words, admin=admin)
        assert (code, out) == (1, "")
        assert err == f"extproc: {admin}: Connection refused; is extproc up running, and is that its --admin?\n"


STRANGERS: list[dict[str, Any]] = [
    {"json": {"hello": 1}},
    {"json": {"traces": [1], "ingress": "x"}},
    {"json": {"traces": [{"traceId": "x"}], "spans": [{"links": []}]}},
    {"json": {"spans": 5, "traces": 5}},
    {"json": {"spans": [5], "traces": [{}]}},
    {"json": {"spans": [{"links": [5]}], "traces": None}},
    {"json": [1]},
    {"body": b"<html>"},
    {"body": b"\xff"},
    {"body": b"[" * 100_000},
    {"status": 404, "body": b"not found"},
    {"status": 404, "json": {"error": "not found"}},
    {"status": 500, "json": {}},
    {"status": 301, "headers": (("location", "/"),), "json": {}},
]


@pytest.mark.parametrize("behaviour", STRANGERS)
async def test_an_admin_address_of_somebody_else(traced: Callable[..., Any], behaviour: dict[str, Any]):
    """Whatever it answers, it is told in a line that it is not the one."""
    with ModelStub("admin", **behaviour) as stub:
        for words in (["--path", PATH], ["--list"], ["--id", trace_id(1)]):
            code, out, err = await traced(*words, admin=f"127.0.0.1:{stub.port}")
            assert (code, out) == (1, "")
            assert "does not answer as extproc does" in err
            assert err.count("\n") == 1


async def test_an_error_of_the_admin_address(traced: Callable[..., Any]):
    """What it says is told."""
    with ModelStub("admin", status=503, json={"error": {"code": "x", "message": "not now"}}) as stub:
        _, _, err = await traced("--id", trace_id(1), admin=f"127.0.0.1:{stub.port}")
        assert err == "extproc: not now\n"


WRONG = [
    ([], "expected one of URL, --path, --list and --id"),
    (["--path", PATH, "--list"], "expected one of URL, --path, --list and --id"),
    (["http://x/", "--path", PATH], "expected one of URL, --path, --list and --id"),
    (["--path", "v1/models"], "begins with /"),
    (["127.0.0.1:10000/v1"], "is no URL"),
    (["ftp://x/"], "is no URL"),
    (["http:///v1"], "is no URL"),
    (["http://x:99999/"], "is no URL"),
    (["http://[x/"], "is no URL"),
    (["--path", PATH, "--header", "x"], "expected 'name: value'"),
    (["--path", PATH, "--header", ": x"], "expected 'name: value'"),
    (["--path", PATH, "--header", "Traceparent: 00-1-1-01"], "extproc trace begins the trace itself"),
    (["--path", PATH, "--header", "x y: 1"], "expected 'name: value'"),
    (["--path", PATH, "--header", "é: 1"], "expected 'name: value'"),
    (["--path", PATH, "--header", "x: a\r\nb"], "no request can hold this"),
    (["--path", f"{PATH}?a b"], "no request can hold this"),
    (["--path", "/é"], "no request can hold this"),
    (["--path", PATH, "--method", "A B"], "expected one like POST"),
    (["--path", PATH, "--body", "/nowhere/x"], "--body /nowhere/x: No such file"),
    (["--path", PATH, "--timeout", "0"], "expected a number of seconds"),
    (["--path", PATH, "--timeout", "nan"], "expected a number of seconds"),
    (["--path", PATH, "--timeout", "x"], "expected a number of seconds"),
    (["--id", "123"], "is no trace id"),
    (["--id", "x" * 32], "is no trace id"),
]


@pytest.mark.parametrize(("words", "told"), WRONG)
async def test_called_wrongly(system: Running, traced: Callable[..., Any], words: list[str], told: str):
    """It is told how, and nothing is sent."""
    code, out, err = await traced(*words, admin=system)
    assert (code, out) == (2, "")
    assert told in err
    assert "Traceback" not in err
    assert not system.ingress.requests


async def test_an_admin_address_that_is_none(traced: Callable[..., Any]):
    """The command is called wrongly then."""
    code, _, err = await traced("--list", admin="nowhere")
    assert (code, err) == (2, "'nowhere' is no address: expected HOST:PORT, like 127.0.0.1:9090\n")


async def test_waiting_is_shown(system: Running, traced: Callable[..., Any], monkeypatch: pytest.MonkeyPatch):
    """On a terminal, and on standard error, where it does not get among the results."""
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    _, out, err = await traced("--path", PATH, admin=system)
    assert "waiting for the trace" in err
    assert "waiting" not in out


def test_when_a_trace_is_complete():
    """With the request's own span, every parent, and some time without another: not before."""
    arrival = Arrival(span_id(CLIENT))
    assert not arrival.look([], 0.0)
    assert not arrival.look([], 100.0)
    assert list(arrival.missing()) == ["Envoy's span of the request"]
    assert not arrival.look(parts := [span(2, 1)], 101.0)
    assert list(arrival.missing()) == ["Envoy's span of the request", "a span that others are below"]
    assert not arrival.look(parts := [*parts, span(1, CLIENT), span(5, 4)], 102.0)
    assert not arrival.look(parts, 110.0)
    assert list(arrival.missing()) == ["a span that others are below"]
    assert not arrival.look(parts := [*parts, span(4)], 110.0)
    assert not any(arrival.missing())
    assert not arrival.look(parts, 110.0 + QUIET - 0.01)
    assert not arrival.look(parts := [*parts, span(6, 1), span(9, 8), span(8, 1)], 110.0 + QUIET)
    assert not arrival.look(parts, 110.0 + 2 * QUIET - 0.01)
    assert arrival.look(parts, 110.0 + 2 * QUIET)
    arrival.look([span(1, 7), span(2, 8)], 0.0)
    assert list(arrival.missing()) == ["Envoy's span of the request", "2 spans that others are below"]
