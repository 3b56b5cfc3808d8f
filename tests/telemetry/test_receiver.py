"""The receiver of spans, over a Unix socket: what the SDK's own exporter sends, and what nobody should."""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import sys
from typing import TYPE_CHECKING

import grpc
import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExportResult
from opentelemetry.trace import Link, SpanContext, SpanKind, Status, StatusCode, set_span_in_context

from extproc.errors import StartError
from extproc.telemetry import otlp
from extproc.telemetry.kept import INVALID, TRACE_FULL, KeptTraces, Limits
from extproc.telemetry.receiver import EXPORT, MAX_MESSAGE, Receiver

if TYPE_CHECKING:
    from pathlib import Path

    from extproc.telemetry.span import Span

TRACE, SPAN = b"t" * 16, b"s" * 8


@pytest.fixture
def kept():
    """What is kept."""
    return KeptTraces()


@pytest.fixture
async def socket(tmp_path: Path, kept: KeptTraces):
    """Where spans are taken."""
    async with receiving(tmp_path / "otlp.sock", kept) as path:
        yield path


@contextlib.asynccontextmanager
async def receiving(path: Path, kept: KeptTraces):
    """Take spans."""
    receiver = Receiver(kept)
    await receiver.start(path)
    try:
        yield path
    finally:
        await receiver.stop()


async def exported(socket: Path, message: bytes, method: str = EXPORT, **options) -> ExportTraceServiceResponse:
    """Send bytes as an export."""
    async with grpc.aio.insecure_channel(f"unix:{socket}") as channel:
        return ExportTraceServiceResponse.FromString(await channel.unary_unary(method)(message, timeout=10, **options))


def request(*spans, **resource: str) -> ExportTraceServiceRequest:
    """An export of spans, which are given by their fields."""
    message = ExportTraceServiceRequest()
    group = message.resource_spans.add()
    for key, value in resource.items():
        group.resource.attributes.add(key=key.replace("_", ".")).value.string_value = value
    scope = group.scope_spans.add()
    for fields in spans:
        scope.spans.add(**{"trace_id": TRACE, "span_id": SPAN, **fields})
    return message


def only(kept: KeptTraces) -> Span:
    """The one span that is kept."""
    (line,) = kept.newest()
    (found,) = kept.spans(line.trace_id)
    return found


async def test_what_the_sdk_sends(socket: Path, kept: KeptTraces):
    """Its own exporter's spans arrive whole: ids, times, kinds, values, events, links, errors, and whose they are."""
    provider = TracerProvider(resource=Resource({"service.name": "extproc"}), shutdown_on_exit=False)
    exporter = OTLPSpanExporter(endpoint=f"unix:{socket}", insecure=True)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    tracer = provider.get_tracer("test")
    other = SpanContext(0xA, 0xB, is_remote=True)
    span = tracer.start_span("graph fraud", kind=SpanKind.SERVER, start_time=1000)
    below = tracer.start_span(
        "call fraud-v1",
        set_span_in_context(span),
        kind=SpanKind.CLIENT,
        attributes={"text": "é", "int": 5, "float": 0.5, "bool": True, "list": ["a", "b"]},
        links=[Link(other, {"extproc.leg": "champion"})],
        start_time=2000,
    )
    below.add_event("retry", {"extproc.attempt": 2}, timestamp=2500)
    below.set_status(Status(StatusCode.ERROR, "reset"))
    await asyncio.to_thread(below.end, 3000)
    await asyncio.to_thread(span.end, 4000)
    await asyncio.to_thread(provider.shutdown)
    (line,) = kept.newest()
    called, ran = kept.spans(line.trace_id)
    assert called.data() == {
        "traceId": f"{span.get_span_context().trace_id:032x}",
        "spanId": f"{below.get_span_context().span_id:016x}",
        "parentId": f"{span.get_span_context().span_id:016x}",
        "service": "extproc",
        "name": "call fraud-v1",
        "kind": "client",
        "start": 2000,
        "end": 3000,
        "attributes": {"text": "é", "int": 5, "float": 0.5, "bool": True, "list": ["a", "b"]},
        "events": [{"name": "retry", "at": 2500, "attributes": {"extproc.attempt": 2}}],
        "links": [{"traceId": f"{0xA:032x}", "spanId": f"{0xB:016x}", "attributes": {"extproc.leg": "champion"}}],
        "status": "error",
        "message": "reset",
    }
    assert (ran.name, ran.parent_id, ran.kind, ran.status, ran.duration) == ("graph fraud", "", "server", "unset", 3000)
    assert ran.span_id == called.parent_id
    assert (kept.received, kept.dropped.total()) == (2, 0)


@pytest.mark.parametrize("compression", grpc.Compression)
async def test_many_at_once(socket: Path, kept: KeptTraces, compression: grpc.Compression):
    """A batch of the SDK's size arrives, compressed or not, and several at the same time."""
    messages = [
        request(
            *(
                {"span_id": (batch * 512 + number + 1).to_bytes(8), "trace_id": bytes([batch] * 16)}
                for number in range(512)
            )
        )
        for batch in range(1, 5)
    ]
    answers = await asyncio.gather(
        *(exported(socket, one.SerializeToString(), compression=compression) for one in messages)
    )
    assert not any(answer.HasField("partial_success") for answer in answers)
    assert [one.spans for one in kept.newest()] == [512] * 4


async def test_every_kind_of_value(socket: Path, kept: KeptTraces):
    """Also those of which attributes of ours are none; what is deeper or longer than anything sensible is cut short."""
    message = request({})
    sent = message.resource_spans[0].scope_spans[0].spans[0]

    def add(key: str):
        return sent.attributes.add(key=key).value

    add("bytes").bytes_value = b"\x00\xff"
    add("long").string_value = "x" * 5000
    add("object").kvlist_value.values.add(key="a").value.int_value = -(2**63)
    add("nothing")
    deep = add("deep")
    for _ in range(40):
        deep = deep.array_value.values.add()
    many = add("many").array_value
    for number in range(200):
        many.values.add().int_value = number
    await exported(socket, message.SerializeToString())
    said = only(kept).attributes
    assert said["bytes"] == "00ff"
    assert said["long"] == "x" * otlp.MAX_TEXT + otlp.SHORTENED
    assert said["object"] == {"a": -(2**63)}
    assert said["nothing"] is None
    assert said["deep"] == [[[[[[[[otlp.SHORTENED]]]]]]]]
    assert said["many"] == list(range(otlp.MAX_ITEMS))


async def test_so_much_of_one_span(socket: Path, kept: KeptTraces):
    """Of attributes, events and links no more are kept than the SDK itself would send."""
    message = request({"trace_id": TRACE})
    sent = message.resource_spans[0].scope_spans[0].spans[0]
    for number in range(500):
        sent.attributes.add(key=f"k{number}").value.bool_value = True
        sent.events.add(name=f"e{number}")
        sent.links.add(trace_id=TRACE, span_id=SPAN)
    await exported(socket, message.SerializeToString())
    found = only(kept)
    assert (len(found.attributes), len(found.events), len(found.links)) == (128, 128, 128)


async def test_what_a_client_wrote_costs_nobody_a_span(socket: Path, kept: KeptTraces):
    """Envoy sends a client's header as it is: bytes that are no UTF-8 are shown as such, and all spans arrive."""
    message = request({"name": "NAME"}, {"span_id": b"another0"}, service_name="SERVICE")
    message.resource_spans[0].scope_spans[0].spans[0].attributes.add(key="user_agent").value.string_value = "AGENT"
    raw = message.SerializeToString()
    for word in (b"NAME", b"SERVICE", b"AGENT"):
        raw = raw.replace(word, b"\xff" + word[1:])
    with pytest.raises(Exception, match="bad UTF-8"):
        ExportTraceServiceRequest.FromString(raw)
    await exported(socket, raw)
    first, _ = kept.spans(TRACE.hex())
    assert (first.name, first.service, first.attributes) == ("�AME", "�ERVICE", {"user_agent": "�GENT"})


async def test_numbers_of_a_later_protocol(socket: Path, kept: KeptTraces):
    """A kind or a status that nobody knows yet is none."""
    raw = request({"kind": 77, "status": {"code": 9, "message": "?"}}).SerializeToString()
    await exported(socket, raw)
    assert (only(kept).kind, only(kept).status, only(kept).message) == ("unspecified", "unset", "?")
    assert [otlp._word(("none", "some"), number) for number in (-1, 0, 1, 2)] == ["none", "none", "some", "none"]


async def test_a_resource_without_a_name(socket: Path, kept: KeptTraces):
    """Its spans are an unknown service's, as the specification calls it."""
    await exported(socket, request({}).SerializeToString())
    assert only(kept).service == "unknown_service"


BAD_IDS = [
    {"trace_id": b""},
    {"trace_id": b"\0" * 16},
    {"trace_id": b"x" * 15},
    {"span_id": b""},
    {"span_id": b"\0" * 8},
    {"span_id": b"x" * 9},
    {"parent_span_id": b"x"},
]


@pytest.mark.parametrize("fields", BAD_IDS)
async def test_spans_without_valid_ids(socket: Path, kept: KeptTraces, fields: dict[str, bytes]):
    """They are refused, counted, and told; those beside them are kept."""
    answer = await exported(socket, request(fields, {"span_id": b"another0"}).SerializeToString())
    assert answer.partial_success.rejected_spans == 1
    assert "without valid ids" in answer.partial_success.error_message
    assert only(kept).span_id == b"another0".hex()
    assert kept.dropped == {INVALID: 1}


async def test_links_without_valid_ids(socket: Path, kept: KeptTraces):
    """They lead nowhere, and are left out."""
    links = [{"trace_id": TRACE, "span_id": SPAN}, {"trace_id": TRACE}, {"trace_id": b"x", "span_id": SPAN}]
    await exported(socket, request({"links": links}).SerializeToString())
    assert [(one.trace_id, one.span_id) for one in only(kept).links] == [(TRACE.hex(), SPAN.hex())]


async def test_a_parent_of_zeros_is_none(socket: Path, kept: KeptTraces):
    """Some senders write it so."""
    await exported(socket, request({"parent_span_id": b"\0" * 8}).SerializeToString())
    assert only(kept).parent_id == ""


async def test_more_than_is_kept_is_told(tmp_path: Path):
    """The sender learns how many spans its trace has too many; they are counted here."""
    kept = KeptTraces(Limits(spans=2))
    async with receiving(tmp_path / "otlp.sock", kept) as socket:
        spans = [{"span_id": bytes([number] * 8)} for number in (1, 2, 3, 4, 5)]
        answer = await exported(socket, request(*spans).SerializeToString())
    assert answer.partial_success.rejected_spans == 3
    assert kept.dropped == {TRACE_FULL: 3}


@pytest.mark.parametrize("message", [b"\xff", b"\x0a\x05ab", b"<html>", b"\x0a\x02\x12\x05"])
async def test_what_is_no_export(socket: Path, kept: KeptTraces, message: bytes):
    """It is the sender's mistake, and told so; the next export is taken."""
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await exported(socket, message)
    assert raised.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert raised.value.details() == "this is no ExportTraceServiceRequest"
    await exported(socket, request({}).SerializeToString())
    assert kept.received == 1


async def test_values_too_deep_to_be_read(socket: Path):
    """Thousands of lists in one another are refused as a whole."""
    value = b""
    for _ in range(3000):
        inner = b"\x0a" + _varint(len(value)) + value
        value = b"\x2a" + _varint(len(inner)) + inner
    attribute = b"\x0a\x01k\x12" + _varint(len(value)) + value
    span = b"\x4a" + _varint(len(attribute)) + attribute
    raw = span
    for tag in (b"\x12", b"\x12", b"\x0a"):
        raw = tag + _varint(len(raw)) + raw
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await exported(socket, raw)
    assert raised.value.code() is grpc.StatusCode.INVALID_ARGUMENT


def _varint(number: int) -> bytes:
    found = b""
    while number > 0x7F:
        found += bytes([number & 0x7F | 0x80])
        number >>= 7
    return found + bytes([number])


@pytest.mark.parametrize("compression", [grpc.Compression.NoCompression, grpc.Compression.Gzip])
async def test_a_message_that_is_too_large(socket: Path, kept: KeptTraces, compression: grpc.Compression):
    """It is refused by its size, that after decompression too: some kilobytes cannot become gigabytes here."""
    raw = request({"name": "x" * (MAX_MESSAGE + 1)}).SerializeToString()
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await exported(socket, raw, compression=compression)
    assert raised.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert kept.received == 0


@pytest.mark.parametrize("method", ["/opentelemetry.proto.collector.metrics.v1.MetricsService/Export", "/x/y"])
async def test_other_methods(socket: Path, method: str):
    """Only spans are taken."""
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await exported(socket, b"", method)
    assert raised.value.code() is grpc.StatusCode.UNIMPLEMENTED


async def test_an_empty_export(socket: Path, kept: KeptTraces):
    """It is taken for what it is."""
    assert await exported(socket, b"") == ExportTraceServiceResponse()
    assert kept.received == 0


@given(st.binary(max_size=200), st.integers(0, 400), st.binary(max_size=8))
def test_any_bytes(start: bytes, place: int, planted: bytes):
    """Whatever is sent is refused as no message, or made into spans: nothing else comes of it."""
    from google.protobuf.message import DecodeError

    from extproc.telemetry.receiver import _Request

    whole = request(
        {"name": "x" * 40, "attributes": [{"key": "k", "value": {"string_value": "v" * 99}}]}
    ).SerializeToString()
    for raw in (start, whole[:place] + planted + whole[place + len(planted) :]):
        with contextlib.suppress(DecodeError):
            for span, size in otlp.spans(_Request.FromString(raw)):
                assert size >= 0
                assert span is None or len(span.trace_id) == 32


async def test_a_socket_that_cannot_be(tmp_path: Path, kept: KeptTraces):
    """It is told, and the end is quiet all the same."""
    for path in (tmp_path / "nowhere" / "otlp.sock", tmp_path / ("x" * 120)):
        receiver = Receiver(kept)
        with pytest.raises(StartError, match=r"cannot listen on .* for spans"):
            await receiver.start(path)
        await receiver.stop()
    await Receiver(kept).stop()


async def test_a_socket_that_was_left_behind(tmp_path: Path, kept: KeptTraces):
    """A supervisor that was killed leaves one: the next takes its place."""
    import socket as sockets

    with sockets.socket(sockets.AF_UNIX) as old:
        old.bind(str(tmp_path / "otlp.sock"))
    async with receiving(tmp_path / "otlp.sock", kept) as path:
        await exported(path, request({}).SerializeToString())
    assert kept.received == 1


async def test_the_end_with_an_exporter_at_the_door(tmp_path: Path, kept: KeptTraces):
    """Whoever still has a connection does not hold the end up, and is told that nobody is there."""
    path = tmp_path / "otlp.sock"
    exporter = OTLPSpanExporter(endpoint=f"unix:{path}", insecure=True, timeout=0.2)
    async with receiving(path, kept):
        assert await asyncio.to_thread(exporter.export, []) is SpanExportResult.SUCCESS
    assert await asyncio.to_thread(exporter.export, []) is SpanExportResult.FAILURE
    await asyncio.to_thread(exporter.shutdown)


def test_processes_may_be_started_meanwhile():
    """The supervisor starts workers while spans come in: gRPC says nothing about that."""
    program = """
import asyncio, sys, tempfile, pathlib, uvloop
from extproc.telemetry.kept import KeptTraces
from extproc.telemetry.receiver import Receiver

async def main():
    receiver = Receiver(KeptTraces())
    with tempfile.TemporaryDirectory() as folder:
        await receiver.start(pathlib.Path(folder) / "s")
        for _ in range(3):
            await (await asyncio.create_subprocess_exec("true")).wait()
        await receiver.stop()

uvloop.run(main())
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=30)
    assert (done.stdout, done.stderr) == ("", "")
