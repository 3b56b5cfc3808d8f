"""Spans on their way to the collector: each is counted, the log is short, and nothing waits for a collector that hangs."""

from __future__ import annotations

import logging
import os
import threading
import time
from importlib.metadata import version
from typing import TYPE_CHECKING

import pytest
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator

from extproc.otel import Collector, Sampler, Tracing
from extproc.telemetry import export
from extproc.telemetry.export import ABORT, FLUSH, Export
from extproc.telemetry.tracing import parent_of
from tests.telemetry.traced import SAMPLED, UNSAMPLED

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

NOWHERE = Collector("grpc", "127.0.0.1", 9, headers=(("a", "b"),), timeout=2.0)
SLACK = 2.0  # seconds: the machine may be busy


class Told(SpanExporter):
    """An exporter that says what it is told to say, an exception raised; while ``held`` is not set it waits for ever."""

    def __init__(self) -> None:
        self.answers: list[SpanExportResult | Exception] = []
        self.names: list[str] = []
        self.sizes: list[int] = []
        self.held = threading.Event()
        self.held.set()
        self.reached = threading.Event()
        self.closed = 0

    def export(self, spans: Sequence[object]) -> SpanExportResult:
        """Note them, wait, answer."""
        self.reached.set()
        self.held.wait()
        self.names += [span.name for span in spans]  # type: ignore[attr-defined]
        self.sizes.append(len(spans))
        answer = self.answers.pop(0) if self.answers else SpanExportResult.SUCCESS
        if isinstance(answer, Exception):
            raise answer
        return answer

    def shutdown(self) -> None:
        """Note it, and give up nothing: a collector's library may not notice."""
        self.closed += 1


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Of this process alone, and put back as it was, the log's level of a library too."""
    for name in list(os.environ):
        if name.startswith("OTEL_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "60000")
    library = logging.getLogger("opentelemetry")
    before = library.level
    yield
    library.setLevel(before)


@pytest.fixture
def told() -> Iterator[Told]:
    """Exporters that no thread waits for at the end."""
    made = Told()
    yield made
    made.held.set()


def spans(way: Export, number: int) -> None:
    """Begin and end so many spans."""
    for index in range(number):
        way.tracer.start_span(f"span {index}").end()


def flush(way: Export) -> None:
    """Send what waits, now."""
    assert way.provider.force_flush()


def counts(way: Export) -> tuple[int, int, int]:
    """What was counted: exported, failed, dropped."""
    return way.exported, way.failed, way.dropped


# --- counts


def test_each_span_is_counted(told: Told):
    """Exported, or failed: by a result, or by whatever the exporter raises."""
    way = Export(Tracing(NOWHERE), told)
    told.answers = [
        SpanExportResult.SUCCESS,
        SpanExportResult.FAILURE,
        RuntimeError("secret"),
        SpanExportResult.SUCCESS,
    ]
    for number, expected in ((3, (3, 0, 0)), (2, (3, 2, 0)), (4, (3, 6, 0)), (1, (4, 6, 0))):
        spans(way, number)
        flush(way)
        assert counts(way) == expected
    assert repr(way) == "<Export exported=4 failed=6 dropped=0>"
    way.close()


def test_what_is_not_sampled_is_not_counted(told: Told):
    """It never was a span."""
    way = Export(Tracing(NOWHERE, Sampler(parent_based=True, ratio=0.0)), told)
    spans(way, 3)
    way.tracer.start_span("below", parent_of(UNSAMPLED)).end()
    way.tracer.start_span("sampled", parent_of(SAMPLED)).end()
    way.close()
    assert told.names == ["sampled"]
    assert counts(way) == (1, 0, 0)


@pytest.mark.parametrize("size", [1, 2, 7])
def test_the_queue_has_a_bound(told: Told, monkeypatch: pytest.MonkeyPatch, size: int):
    """What is under way counts as waiting; the oldest are kept, the newest are dropped and counted."""
    monkeypatch.setenv("OTEL_BSP_MAX_QUEUE_SIZE", str(size))
    told.held.clear()
    way = Export(Tracing(NOWHERE), told)
    spans(way, size)
    assert told.reached.wait(10)
    spans(way, 5)
    assert way.dropped == 5
    told.held.set()
    way.close()
    assert counts(way) == (size, 0, 5)
    assert told.names == [f"span {index}" for index in range(size)]


def test_there_is_room_again(told: Told, monkeypatch: pytest.MonkeyPatch):
    """As soon as spans were sent, or failed."""
    monkeypatch.setenv("OTEL_BSP_MAX_QUEUE_SIZE", "4")
    monkeypatch.setenv("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "4")
    way = Export(Tracing(NOWHERE), told)
    told.answers = [SpanExportResult.FAILURE]
    for _ in range(3):
        spans(way, 3)
        flush(way)
    assert counts(way) == (6, 3, 0)
    way.close()


def test_batches(told: Told, monkeypatch: pytest.MonkeyPatch):
    """Are as large as the variable says, and never larger than the queue."""
    monkeypatch.setenv("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", " 3 ")
    way = Export(Tracing(NOWHERE), told)
    spans(way, 8)
    way.close()
    assert max(told.sizes) == 3
    assert sum(told.sizes) == 8
    monkeypatch.setenv("OTEL_BSP_MAX_QUEUE_SIZE", "2")
    Export(Tracing(NOWHERE), told).close()


def test_defaults(told: Told):
    """OpenTelemetry's own."""
    told.held.clear()
    way = Export(Tracing(NOWHERE), told)
    spans(way, export.DEFAULT_QUEUE + 1)
    assert way.dropped == 1
    told.held.set()
    way.close()
    assert max(told.sizes) == export.BATCH
    assert counts(way) == (export.DEFAULT_QUEUE, 0, 1)


def test_threads_that_end_spans(told: Told):
    """However ends and exports meet: exported, failed and dropped are as many as there were spans."""
    way = Export(Tracing(NOWHERE, flush=0.001), told)
    told.answers = [SpanExportResult.SUCCESS, SpanExportResult.FAILURE, ValueError()] * 50
    for _ in range(300):
        spans(way, 5)
    way.close()
    assert sum(counts(way)) == 1500
    assert way.failed > 0


# --- the log


def test_one_line_when_failing_begins_and_one_when_it_ends(told: Told, caplog: pytest.LogCaptureFixture):
    """However many batches fail in between; nothing of what the exporter raised."""
    way = Export(Tracing(NOWHERE), told)
    told.answers = [
        SpanExportResult.SUCCESS,
        SpanExportResult.FAILURE,
        RuntimeError("secret"),
        SpanExportResult.SUCCESS,
        SpanExportResult.SUCCESS,
        RuntimeError("secret"),
    ]
    for _ in range(6):
        spans(way, 1)
        flush(way)
    way.close()
    failing = "spans cannot be exported to 127.0.0.1:9; those lost are counted in extproc_spans_total"
    assert caplog.messages == [failing, "spans are exported to 127.0.0.1:9 again", failing]
    assert {record.levelname for record in caplog.records} == {"WARNING"}


# --- the end


def test_what_waits_is_sent_at_the_end(told: Told):
    """And what comes after that is dropped and counted."""
    way = Export(Tracing(NOWHERE), told)
    spans(way, 10)
    way.close()
    assert counts(way) == (10, 0, 0)
    assert told.closed == 1
    spans(way, 2)
    assert counts(way) == (10, 0, 2)


@pytest.mark.parametrize("deaf", [False, True])
def test_a_collector_that_hangs(told: Told, monkeypatch: pytest.MonkeyPatch, *, deaf: bool):
    """Holds the end up for FLUSH and ABORT at most, even one that cannot be given up; what it has has failed, once."""
    monkeypatch.setattr(export, "FLUSH", 0.05)
    monkeypatch.setattr(export, "ABORT", 0.05)
    told.held.clear()
    if deaf:
        monkeypatch.setattr(told, "shutdown", told.held.wait)
    way = Export(Tracing(NOWHERE), told)
    spans(way, 600)
    assert told.reached.wait(10)
    began = time.monotonic()
    way.close()
    assert time.monotonic() - began < 0.1 + SLACK
    assert counts(way) == (0, 600, 0)
    told.held.set()
    _ended("OtelBatchSpanRecordProcessor")
    assert counts(way) == (0, 600, 0)


def test_how_long_an_end_may_take():
    """As the documentation says: a second and a half."""
    assert FLUSH + ABORT == 1.5


def _ended(name: str) -> None:
    """Wait until no thread of that name is left."""
    for thread in threading.enumerate():
        if thread.name == name:
            thread.join(10)
            assert not thread.is_alive()


# --- what is sent


def test_the_resource(told: Told, monkeypatch: pytest.MonkeyPatch):
    """Attributes as they were said; who we are goes before them."""
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "service.name=other,team=b")
    monkeypatch.setenv("OTEL_SERVICE_NAME", "other")
    said = Tracing(NOWHERE, service="fraud", attributes=(("team", "a b"), ("service.version", "0")))
    way = Export(said, told)
    found = way.provider.resource.attributes
    assert (found["service.name"], found["team"], found["service.version"]) == (
        "fraud",
        "a b",
        version("extproc"),
    )
    assert str(found["service.instance.id"]).endswith(f"/{os.getpid()}")
    way.close()


@pytest.mark.parametrize(("ratio", "share"), [(0.0, (0, 0)), (0.3, (0.2, 0.4)), (1.0, (1, 1))])
def test_the_sampler(told: Told, ratio: float, share: tuple[float, float]):
    """Without a parent a share of the traces, told by their ids; a parent's decision is followed."""
    way = Export(Tracing(NOWHERE, Sampler(parent_based=True, ratio=ratio)), told)
    spans(way, 1000)
    flush(way)
    assert share[0] * 1000 <= way.exported <= share[1] * 1000
    before = way.exported
    for _ in range(10):
        trace = f"{RandomIdGenerator().generate_trace_id():032x}"
        for flags in ("00", "01"):
            way.tracer.start_span("below", parent_of(f"00-{trace}-b7ad6b7169203331-{flags}")).end()
    way.close()
    assert way.exported == before + 10


@pytest.mark.parametrize(
    ("protocol", "place"),
    [
        ("grpc", {"host": "127.0.0.1", "port": 9}),
        ("grpc", {"host": "c", "port": 443, "secure": True}),
        ("grpc", {"path": "/x"}),
        ("http/protobuf", {"host": "::1", "port": 9}),
        ("http/protobuf", {"host": "c", "port": 443, "secure": True}),
    ],
)
@pytest.mark.parametrize(
    "variables",
    [
        {},
        {"EXPORTER_OTLP_TIMEOUT": "x", "EXPORTER_OTLP_TRACES_TIMEOUT": "-1", "EXPORTER_OTLP_HEADERS": "a,b=%0a"},
        {"EXPORTER_OTLP_COMPRESSION": "none", "EXPORTER_OTLP_TRACES_COMPRESSION": "zip", "TRACES_SAMPLER": "x"},
        {"BSP_SCHEDULE_DELAY": "0", "BSP_MAX_QUEUE_SIZE": "9" * 5000, "BSP_MAX_EXPORT_BATCH_SIZE": "-1"},
        {"BSP_SCHEDULE_DELAY": "9" * 400, "BSP_EXPORT_TIMEOUT": "x", "SPAN_EVENT_COUNT_LIMIT": "-1"},
        {"SPAN_ATTRIBUTE_COUNT_LIMIT": "x", "ATTRIBUTE_VALUE_LENGTH_LIMIT": "x", "RESOURCE_ATTRIBUTES": "a,=%ff"},
        {"EXPORTER_OTLP_CERTIFICATE": "/nowhere", "EXPORTER_OTLP_INSECURE": "perhaps"},
    ],
    ids=lambda variables: ",".join(variables) or "nothing",
)
def test_whatever_the_environment_says(monkeypatch: pytest.MonkeyPatch, protocol, place, variables):
    """A worker starts, and what the library would not start with is away."""
    for name, value in variables.items():
        monkeypatch.setenv(f"OTEL_{name}", value)
    way = Export(Tracing(Collector(protocol, headers=(("a", "b"),), timeout=2.0, **place), flush=60))
    way.close()
    assert counts(way) == (0, 0, 0)


def test_headers_and_timeout_are_those_that_were_read(monkeypatch: pytest.MonkeyPatch):
    """Not what the library reads of the same variables by itself."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "other=1")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "77")
    by_grpc = export._exporter(NOWHERE)
    assert by_grpc._timeout == 2.0  # type: ignore[attr-defined]
    assert ("a", "b") in by_grpc._headers  # type: ignore[attr-defined]
    assert "other" not in dict(by_grpc._headers)  # type: ignore[attr-defined]
    by_grpc.shutdown()
