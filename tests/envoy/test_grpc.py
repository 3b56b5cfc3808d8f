"""gRPC models behind graphs: what needs no body passes unchanged, what does not pass is told in gRPC's own words."""

from __future__ import annotations

import asyncio
import concurrent.futures
import threading
from typing import TYPE_CHECKING, Any, Self

import grpc
import grpc.aio
import pytest

from tests.envoy import models as placeholders

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.envoy.models import Models
    from tests.envoy.running import Running

pytestmark = pytest.mark.envoy

GRAPHS = """
apiVersion: extproc.dev/v1
kind: InferenceGraph
metadata: {name: grpcs}
spec:
  match: [{prefix: /inference.GRPCInferenceService}]
  timeout: 600ms
  models:
    one: {url: "http://<grpc:grpc-one>", http2: true}
    two: {url: "http://<grpc:grpc-two>", http2: true}
    down: {url: "http://<down>", http2: true}
  nodes:
    root:
      switch:
        cases:
          - {name: ready, when: 'request.path == "/inference.GRPCInferenceService/ServerReady"', to: two}
          - {name: sticky, when: '"x-user" in request.headers', to: sticky}
          - {name: no, when: 'request.headers["x-to"] == "respond"', to: {respond: {status: 403, body: {no: entry}}}}
          - {name: down, when: 'request.headers["x-to"] == "down"', to: down}
          - {name: nowhere, when: 'request.headers["x-to"] == "nowhere"', to: {switch: {cases: [{when: "false", to: one}]}}}
        default: one
    sticky: {split: {by: 'request.headers["x-user"]', routes: [{to: one, weight: 1}, {to: two, weight: 1}]}}
---
apiVersion: extproc.dev/v1
kind: InferenceGraph
metadata: {name: grpcbody}
spec:
  match: [{prefix: /inference.GRPCInferenceService, headers: {x-graph: body}}]
  models: {one: {url: "http://<grpc:grpc-one>", http2: true}}
  nodes: {root: {switch: {cases: [{when: request.body.x == 1, to: one}], default: one}}}
---
apiVersion: extproc.dev/v1
kind: InferenceGraph
metadata: {name: grpcchain}
spec:
  match: [{prefix: /inference.GRPCInferenceService, headers: {x-graph: chain}}]
  models: {one: {url: "http://<grpc:grpc-one>", http2: true}}
  nodes: {root: {chain: {steps: [{name: a, to: one}, {name: b, to: one}]}}}
"""
SERVICE = "/inference.GRPCInferenceService"
INFER = f"{SERVICE}/ModelInfer"
WORDS = 'not good: "é", 100 %, and <more>'
Code = grpc.StatusCode
SECONDS = 10.0


class GrpcStub:
    """A gRPC server that answers bytes: its name and the message; ``x-do`` in the metadata asks for something else."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.port = 0
        self.seen: list[tuple[str, dict[str, Any], bytes]] = []
        self.left = threading.Event()
        self.go_on = threading.Event()
        self._server = grpc.server(concurrent.futures.ThreadPoolExecutor(8), handlers=(_Handlers(self),))

    def start(self) -> Self:
        """Listens."""
        self.port = self._server.add_insecure_port("127.0.0.1:0")
        self._server.start()
        return self

    def close(self) -> None:
        """Ends, with all calls."""
        self._server.stop(0).wait(SECONDS)

    def one(self, method: str, message: bytes, context: Any) -> bytes:
        """Answers a call of one message with one."""
        metadata = dict(context.invocation_metadata())
        self.seen.append((method, metadata, message))
        context.set_trailing_metadata((("x-trailer", "own"), ("x-bytes-bin", b"\0\xff")))
        if metadata.get("x-do") == "fail":
            context.abort(Code.INVALID_ARGUMENT, WORDS)
        if metadata.get("x-do") == "hang":
            context.add_callback(self.left.set)
            self.left.wait(SECONDS)
        return self.name.encode() + b":" + message

    def stream(self, messages: Iterator[bytes], context: Any) -> Iterator[bytes]:
        """Answers each message with one, and one more when it is let go on."""
        for message in messages:
            yield self.name.encode() + b":" + message
        if dict(context.invocation_metadata()).get("x-do") == "wait":
            self.go_on.wait(SECONDS)
        yield b"the end"


class _Handlers(grpc.GenericRpcHandler):  # type: ignore[misc]
    def __init__(self, stub: GrpcStub) -> None:
        self._stub = stub

    def service(self, details: Any) -> Any:
        method = details.method
        if method.endswith("Stream"):
            return grpc.stream_stream_rpc_method_handler(self._stub.stream)
        if method.endswith("Unknown"):
            return None
        return grpc.unary_unary_rpc_method_handler(lambda message, context: self._stub.one(method, message, context))


placeholders.KINDS["grpc"] = GrpcStub  # type: ignore[assignment]  # <grpc:NAME> in GRAPHS is one of these


@pytest.fixture
async def channel(system: Running):
    """A client's channel to the ingress."""
    options = [("grpc.use_local_subchannel_pool", 1), ("grpc.max_receive_message_length", -1)]
    async with grpc.aio.insecure_channel(f"127.0.0.1:{system.ingress_port}", options=options) as opened:
        yield opened


@pytest.fixture(autouse=True)
def stub(models: Models) -> Any:
    """The first server; each test sees its own calls only."""
    for name in ("grpc-one", "grpc-two"):
        server: Any = models[name]
        server.seen.clear()
        server.left.clear()
        server.go_on.clear()
    return models["grpc-one"]


async def failed(channel: Any, method: str = INFER, message: bytes = b"x", **metadata: str) -> grpc.aio.AioRpcError:
    """Makes a call that fails, and returns its error."""
    pairs = tuple((name.replace("_", "-"), value) for name, value in metadata.items())
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await channel.unary_unary(method)(message, metadata=pairs, timeout=SECONDS)
    return caught.value


async def test_a_message_passes_unchanged(channel, stub):
    """Message, metadata and trailers go through as they are; the answer tells graph and way."""
    message = bytes(range(256)) * 1000
    call = channel.unary_unary(INFER)(message, metadata=(("x-own", "1"), ("x-own-bin", b"\0\xfe")), timeout=SECONDS)
    assert await call == b"grpc-one:" + message
    first, last = dict(await call.initial_metadata()), dict(await call.trailing_metadata())
    assert (last["x-trailer"], last["x-bytes-bin"]) == ("own", b"\0\xff")
    assert first["x-extproc-graph"].startswith("grpcs@")
    assert first["x-extproc-route"] == "root=default,one"
    ((method, metadata, seen),) = stub.seen
    assert (method, metadata["x-own"], metadata["x-own-bin"], seen) == (INFER, "1", b"\0\xfe", message)
    foreign = {name for name in metadata if name.startswith(("x-extproc-", "x-envoy-"))}
    assert foreign <= {"x-envoy-external-address"}  # the client as Envoy saw it


async def test_switches_and_splits(channel):
    """Methods and metadata decide the way, and the same key the same one."""
    assert await channel.unary_unary(f"{SERVICE}/ServerReady")(b"r", timeout=SECONDS) == b"grpc-two:r"
    answers = {}
    for number in range(20):
        metadata = (("x-user", f"user-{number}"),)
        got = {await channel.unary_unary(INFER)(b"m", metadata=metadata, timeout=SECONDS) for _ in range(3)}
        assert len(got) == 1
        answers[number] = got.pop()
    assert set(answers.values()) == {b"grpc-one:m", b"grpc-two:m"}


async def test_a_models_own_error_passes(channel):
    """Status, message and trailers are the model's."""
    error = await failed(channel, x_do="fail")
    assert (error.code(), error.details()) == (Code.INVALID_ARGUMENT, WORDS)
    assert dict(error.trailing_metadata())["x-trailer"] == "own"


async def test_a_method_that_the_model_does_not_have(channel):
    """That is the model's answer too."""
    error = await failed(channel, f"{SERVICE}/Unknown")
    assert error.code() is Code.UNIMPLEMENTED


async def test_streams_flow_both_ways(channel, stub):
    """Each message is answered before the next is sent; the last comes when the model makes it."""
    call = channel.stream_stream(f"{SERVICE}/Stream")(metadata=(("x-do", "wait"),), timeout=SECONDS)
    for number in range(5):
        await call.write(b"%d" % number)
        assert await call.read() == b"grpc-one:%d" % number
    await call.done_writing()
    stub.go_on.set()
    assert await call.read() == b"the end"
    assert await call.read() is grpc.aio.EOF
    assert await call.code() is Code.OK


async def test_a_stream_outlives_the_deadline(channel, stub):
    """The graph's deadline ends with the response's headers: an open stream goes on."""
    call = channel.stream_stream(f"{SERVICE}/Stream")(metadata=(("x-do", "wait"),), timeout=SECONDS)
    await call.write(b"begin")
    assert await call.read() == b"grpc-one:begin"
    await asyncio.sleep(0.8)  # longer than the graph's timeout: time itself is what is tested
    await call.write(b"late")
    assert await call.read() == b"grpc-one:late"
    await call.done_writing()
    stub.go_on.set()
    assert await call.read() == b"the end"
    assert await call.code() is Code.OK


async def test_many_calls_at_once(channel):
    """Calls side by side on one connection do not mix."""
    calls = [channel.unary_unary(INFER)(b"%d" % number, timeout=SECONDS) for number in range(50)]
    assert await asyncio.gather(*calls) == [b"grpc-one:%d" % number for number in range(50)]


@pytest.mark.parametrize("graph", ["body", "chain"])
@pytest.mark.parametrize("size", [0, 1, 100_000])
async def test_a_graph_that_would_read_the_body(channel, stub, graph, size):
    """It cannot: UNIMPLEMENTED, in words, and no model is called."""
    error = await failed(channel, message=b"x" * size, x_graph=graph)
    assert error.code() is Code.UNIMPLEMENTED
    assert "gRPC" in (error.details() or "")
    assert stub.seen == []


@pytest.mark.parametrize("graph", ["body", "chain"])
async def test_a_stream_to_a_graph_that_would_read_the_body(channel, graph):
    """A stream is refused before its client has ended it: nothing waits for its end."""
    call = channel.stream_stream(f"{SERVICE}/Stream")(metadata=(("x-graph", graph),), timeout=SECONDS)
    assert await call.code() is Code.UNIMPLEMENTED
    assert "gRPC" in (await call.details())


async def test_a_model_that_is_down(channel):
    """UNAVAILABLE, with words for people."""
    error = await failed(channel, x_to="down")
    assert error.code() is Code.UNAVAILABLE
    assert_plain(error)


async def test_the_graphs_deadline(channel, stub):
    """A model that hangs is given up at the graph's timeout, and its call is ended."""
    error = await failed(channel, x_do="hang")
    assert error.code() in {Code.UNAVAILABLE, Code.DEADLINE_EXCEEDED}
    assert_plain(error)
    assert await asyncio.to_thread(stub.left.wait, SECONDS)


async def test_the_clients_own_deadline(channel, stub):
    """A client that gives up earlier ends the model's call."""
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await channel.unary_unary(INFER)(b"x", metadata=(("x-do", "hang"),), timeout=0.3)
    assert caught.value.code() is Code.DEADLINE_EXCEEDED
    assert await asyncio.to_thread(stub.left.wait, SECONDS)


@pytest.mark.parametrize(
    ("method", "to", "code"),
    [
        (INFER, "respond", Code.PERMISSION_DENIED),
        (INFER, "nowhere", Code.UNIMPLEMENTED),
        ("/unknown.Service/Method", "", Code.UNIMPLEMENTED),
    ],
)
async def test_answers_without_a_model(channel, stub, method, to, code):
    """An answer that no model gave has a gRPC status: never a bare HTTP error that a client must guess from."""
    error = await failed(channel, method, x_to=to)
    assert error.code() is code
    assert "Received http2 header with status" not in (error.details() or "")
    assert stub.seen == []


def assert_plain(error: grpc.aio.AioRpcError) -> None:
    """The message is the project's, not one that the client library made of an HTTP error, and holds no address."""
    details = error.details() or ""
    assert details
    assert "http2 header" not in details
    assert "<html" not in details.lower()
    assert "127.0.0.1" not in details
