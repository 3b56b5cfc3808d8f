"""Nothing is held for a challenge: tokens, chunks and large bodies pass a sampled request as they come, both ways."""

import asyncio
import contextlib
import json
from typing import Any

import pytest

from tests.envoy.challenged import LIMIT, Watched, framed, post, told
from tests.envoy.models import Models
from tests.envoy.running import Running, eventually
from tests.kit import client
from tests.kit.behaviour import PATTERN
from tests.kit.client import NoResponse, RawConnection, Response

pytestmark = pytest.mark.envoy

GRAPH = """
apiVersion: extproc.dev/v1
kind: InferenceGraph
metadata: {{name: {name}}}
spec:
  match: [{{path: /{name}}}]
  timeout: 1s
  maxBody: 16KiB
  models:
    champ: {{url: "http://<{kind}streams-champ{h2}>/p", http2: {http2}}}
    rival: {{url: "http://<streams-rival>/p"}}
  nodes:
    root: {root}
    duel: {{challenge: {{champion: champ, challengers: [{{name: rival, to: rival}}]}}}}
"""
HEADERS_ONLY = "{split: {routes: [{to: duel, weight: 1}]}}"
READING = "{switch: {cases: [{when: request.body.none == 1, to: duel}], default: duel}}"
H2 = {"kind": "h2:", "h2": "-h2", "http2": "true"}
H1 = {"kind": "", "h2": "", "http2": "false"}
GRAPHS = "\n---\n".join(
    [
        GRAPH.format(name="streams", root=HEADERS_ONLY, **H1),
        GRAPH.format(name="streamsread", root=READING, **H1),
        GRAPH.format(name="streamsh2", root=HEADERS_ONLY, **H2),
        GRAPH.format(name="streamsh2read", root=READING, **H2),
    ]
)
BOTH = ["streams", "streamsread"]
MAX_BODY = 16 * 1024
MEGABYTE = 1 << 20
ANSWER = {"json": {"predictions": [1]}}
NDJSON = {"content-type": "application/x-ndjson"}
ANSWERED = r"^http\.ingress\.ext_proc\.(fast|body)\.stream_msgs_received$"
FRAMINGS = ["content-length", "chunked"]


def pattern(size: int) -> bytes:
    """What a stub answers for so many bytes."""
    return (PATTERN * (size // len(PATTERN) + 1))[:size]


async def upload(system: Running, graph: str, body: bytes, framing: str, headers=(), **champion) -> Response:
    """Posts a body to a graph."""
    fields, data = framed(body, framing)
    sent = [*headers, *fields, *told(streams_champ=champion or ANSWER, streams_rival=ANSWER)]
    return await client.request(system.ingress_port, "POST", f"/{graph}", sent, data)


@pytest.mark.parametrize("headers", [{}, NDJSON], ids=["tokens", "lines"])
@pytest.mark.parametrize("graph", BOTH)
async def test_events_come_as_they_are_made(system: Running, graph, headers):
    """Each event is here before the next one is made, also beyond the graph's deadline, which ends at the headers."""
    watched = Watched(system, graph)
    answer = await post(system, f"/{graph}", told(streams_champ={"events": 6, "every": 0.25, "headers": headers}))
    made = [json.loads(data.removeprefix(b"data: "))["sent"] for _, data in answer.arrivals]
    assert (answer.status, answer.complete, len(made)) == (200, True, 6)
    arrived = [at for at, _ in answer.arrivals]
    assert all(at < following for at, following in zip(arrived, made[1:], strict=False))
    assert made[-1] - made[0] > 1.0
    assert await watched.counts(1) == {"unparsable": 1}


async def test_the_first_event_is_not_held(system: Running):
    """It is read while the model has not made the second; a client that leaves then has had its champion cut short."""
    watched = Watched(system, "streams")
    headers = told(streams_champ={"events": 2, "stop": "hang", "stop_at": "middle", "headers": NDJSON})
    async with await RawConnection.open(system.ingress_port) as connection:
        await connection.send(client.encode("POST", "/streams", headers, b"{}"))
        answer = await connection.head()
        came = b""
        while b"\n\n" not in came:
            came += await connection.read(within=5)
    assert (answer.status, came.count(b"data: ")) == (200, 1)
    assert await watched.counts(1) == {"champion_failed": 1}


@pytest.mark.parametrize("chunks", [None, 8])
@pytest.mark.parametrize("graph", BOTH)
async def test_large_responses(system: Running, graph, chunks):
    """32 MB come back whole and framed as they were, and are too large to compare."""
    watched = Watched(system, graph)
    size = 32 * MEGABYTE
    answer = await post(system, f"/{graph}", told(streams_champ={"size": size, "chunks": chunks}, streams_rival=ANSWER))
    assert (answer.status, answer.complete, answer.body == pattern(size)) == (200, True, True)
    framing = (None, "chunked") if chunks else (str(size), None)
    assert (answer.header("content-length"), answer.header("transfer-encoding")) == framing
    assert await watched.counts(1) == {"too_large": 1}


@pytest.mark.parametrize("size", [LIMIT, LIMIT + 1])
@pytest.mark.parametrize("chunks", [None, 3])
async def test_the_largest_response_that_is_compared(system: Running, models: Models, size, chunks):
    """A megabyte is compared, a byte more is not."""
    watched = Watched(system, "streams")
    body = json.dumps({"predictions": ["x"]}).encode()
    document = {"predictions": ["x" * (size - len(body) + 1)]}
    for name in ("champ", "rival"):
        models[f"streams-{name}"].script({"json": document, "chunks": chunks if name == "champ" else None})
    answer = await post(system, "/streams")
    assert (answer.status, len(answer.body), answer.json() == document) == (200, size, True)
    assert await watched.counts(1) == {"paired" if size == LIMIT else "too_large": 1}


@pytest.mark.parametrize("framing", FRAMINGS)
async def test_uploads_of_32_mb(system: Running, models: Models, framing):
    """Where only headers are read they reach the champion whole, and no challenger."""
    watched = Watched(system, "streams")
    models["streams-champ"].forget()
    models["streams-rival"].forget()
    body = pattern(32 * MEGABYTE)
    answer = await upload(system, "streams", body, framing)
    assert (answer.status, answer.json()) == (200, ANSWER["json"])
    (seen,) = models["streams-champ"].requests
    assert (seen.complete, seen.body == body) == (True, True)
    assert (seen.header("content-length"), seen.header("transfer-encoding")) == (
        (None, "chunked") if framing == "chunked" else (str(len(body)), None)
    )
    assert await watched.counts(1) == {"too_large": 1}
    assert models["streams-rival"].requests == []


@pytest.mark.parametrize("framing", FRAMINGS)
@pytest.mark.parametrize("size", [MAX_BODY, MAX_BODY + 1, 3 * MAX_BODY, MEGABYTE, MEGABYTE + 1, 3 * MEGABYTE])
async def test_requests_around_max_body(system: Running, models: Models, framing, size):
    """Up to maxBody a challenger has the request; above it nobody but the champion does, whoever held how much of it."""
    watched = Watched(system, "streams")
    models["streams-champ"].forget()
    models["streams-rival"].forget()
    answer = await upload(system, "streams", pattern(size), framing)
    assert (answer.status, answer.json()) == (200, ANSWER["json"])
    assert [seen.body == pattern(size) for seen in models["streams-champ"].requests] == [True]
    assert await watched.counts(1) == {"paired" if size <= MAX_BODY else "too_large": 1}
    assert [seen.body == pattern(size) for seen in models["streams-rival"].requests] == [True] * (size <= MAX_BODY)


@pytest.mark.parametrize("framing", FRAMINGS)
@pytest.mark.parametrize("size", [MAX_BODY + 1, 40 * MAX_BODY])
async def test_a_graph_that_reads_bodies_keeps_to_max_body(system: Running, models: Models, framing, size):
    """There a larger one is refused, by processor or Envoy, as without a challenge: it is not reached, nobody complains."""
    watched = Watched(system, "streamsread")
    models["streams-champ"].forget()
    said = system.said()
    with contextlib.suppress(NoResponse, ConnectionError):  # who goes on sending may be cut off
        answer = await upload(system, "streamsread", pattern(size), framing)
        assert (answer.status, answer.json()["error"]["code"]) == (413, "body_too_large")
    answer = await upload(system, "streamsread", json.dumps({"x": "y" * (MAX_BODY - 9)}).encode(), framing)
    assert answer.status == 200
    assert await watched.counts(1) == {"paired": 1}
    assert len(models["streams-champ"].requests) == 1
    assert system.said() == said


async def test_a_refusal_of_envoys_own(system: Running):
    """One that comes when the processor was asked, and waits for the body, is shown to it, and no reason to complain."""
    watched = Watched(system, "streamsread")
    said, before = system.said(), sum(system.stats(ANSWERED).values())
    async with await RawConnection.open(system.ingress_port) as connection:
        fields, data = framed(pattern(40 * MAX_BODY), "chunked")
        await connection.send(client.encode("POST", "/streamsread", fields, data[:100]))
        await eventually(lambda: sum(system.stats(ANSWERED).values()) > before)
        await connection.send(data[100:])
        answer = await connection.response()
    assert (answer.status, answer.json()["error"]["code"]) == (413, "body_too_large")
    assert (await upload(system, "streamsread", b"{}", "chunked")).status == 200
    assert await watched.counts(1) == {"paired": 1}
    assert system.said() == said


@pytest.mark.parametrize("graph", BOTH)
@pytest.mark.parametrize("size", [2, 1000, MAX_BODY])
async def test_expect_100_continue(system: Running, models: Models, graph, size):
    """A client that waits for leave to send its body gets it, once, and is served."""
    watched = Watched(system, graph)
    models["streams-champ"].forget()
    body = b'{"x": 1}'.rjust(size) if size > 2 else b"{}"
    async with await RawConnection.open(system.ingress_port) as connection:
        fields = [("expect", "100-continue"), ("content-length", str(size)), *told(streams_champ=ANSWER)]
        await connection.send(client.encode("POST", f"/{graph}", [*fields, *told(streams_rival=ANSWER)]))
        leave = await connection.read(within=5)
        await connection.send(body)
        answer = await connection.response()
    assert leave == b"HTTP/1.1 100 Continue\r\n\r\n"
    assert (answer.status, answer.interim) == (200, [])
    assert models["streams-champ"].requests[0].body == body
    assert await watched.counts(1) == {"paired": 1}


@pytest.mark.parametrize("graph", BOTH)
async def test_a_body_in_drops(system: Running, graph):
    """A request that takes longer to come than the graph's deadline, byte by byte, is one like others."""
    watched = Watched(system, graph)
    body = b'{"instances": [1, 2, 3]}'
    async with await RawConnection.open(system.ingress_port) as connection:
        fields = [("content-length", str(len(body))), *told(streams_champ=ANSWER, streams_rival=ANSWER)]
        await connection.send(client.encode("POST", f"/{graph}", fields))
        await connection.send_slowly(body, piece=1, every=0.05)
        answer = await connection.response()
    assert (answer.status, answer.json()) == (200, ANSWER["json"])
    assert await watched.counts(1) == {"paired": 1}


@pytest.mark.parametrize("graph", BOTH)
async def test_a_kept_connection(system: Running, models: Models, graph):
    """Requests and answers of every kind follow each other on one connection, and do not mix."""
    watched = Watched(system, graph)
    models["streams-champ"].forget()
    kinds: list[tuple[dict[str, Any], int]] = [
        ({"echo": True}, 200),
        ({"status": 204}, 204),
        ({"echo": True, "chunks": 3}, 200),
        ({"size": 2 * LIMIT}, 200),
    ]
    async with await RawConnection.open(system.ingress_port) as connection:
        for number in range(12):
            how, status = kinds[number % len(kinds)]
            fields, data = framed(b'{"number": %d}' % number, FRAMINGS[number % 2])
            fields += told(streams_champ=how, streams_rival=ANSWER)
            await connection.send(client.encode("POST", f"/{graph}", fields, data))
            answer = await connection.response()
            assert (answer.status, answer.complete) == (status, True)
            assert answer.body == (b'{"number": %d}' % number if "echo" in how else pattern(how.get("size", 0)))
    assert [seen.json() for seen in models["streams-champ"].requests] == [{"number": number} for number in range(12)]
    assert await watched.counts(12) == {"unparsable": 9, "too_large": 3}


async def test_many_at_once(system: Running, models: Models):
    """Bodies that are copied side by side do not mix: each leg answers its own, and they agree."""
    watched = Watched(system, "streams")
    models["streams-champ"].forget()
    models["streams-rival"].forget()
    bodies = [json.dumps({"predictions": [str(n) * 300] * (n % 7 + 1)}).encode() for n in range(60)]
    echo = told(streams_champ={"echo": True}, streams_rival={"echo": True})
    answers = await asyncio.gather(
        *(post(system, "/streams", [*framed(body, FRAMINGS[n % 2])[0], *echo], framed(body, FRAMINGS[n % 2])[1])
          for n, body in enumerate(bodies))
    )  # fmt: skip
    assert [answer.body for answer in answers] == bodies
    assert await watched.counts(60) == {"paired": 60}
    assert sorted(seen.body for seen in models["streams-rival"].requests) == sorted(bodies)


@pytest.mark.parametrize("graph", ["streamsh2", "streamsh2read"])
@pytest.mark.parametrize("chunks", [1, 3])
async def test_trailers_of_a_response(system: Running, graph, chunks):
    """They reach the client behind the body, also where it is shown."""
    watched = Watched(system, graph)
    trailers = [("x-checksum", "abc"), ("x-own", "2")]
    how = {"json": {"predictions": [1]}, "chunks": chunks, "trailers": trailers}
    body = b'{"instances": [1]}'
    headers = [*told(streams_champ_h2=how, streams_rival=ANSWER), ("te", "trailers"), *framed(body, FRAMINGS[0])[0]]
    answer = await client.h2_request(system.ingress_port, "POST", f"/{graph}", headers, body)
    assert (answer.status, answer.json(), answer.complete) == (200, ANSWER["json"], True)
    assert answer.trailers == trailers
    assert await watched.counts(1) == {"paired": 1}


@pytest.mark.parametrize("graph", ["streamsh2", "streamsh2read"])
async def test_trailers_of_a_request(system: Running, models: Models, graph):
    """They reach the champion behind a body of known length, which is there once, and the challenger has it."""
    watched = Watched(system, graph)
    champion = models["streams-champ-h2"]
    champion.forget()
    body, trailers = b'{"instances": [1]}', [("x-sent", "after")]
    headers = told(streams_champ_h2=ANSWER, streams_rival=ANSWER) + framed(body, FRAMINGS[0])[0]
    for _ in range(20):
        answer = await client.h2_request(system.ingress_port, "POST", f"/{graph}", headers, body, trailers=trailers)
        assert (answer.status, answer.json(), answer.complete) == (200, ANSWER["json"], True)
    counts = await watched.counts(20)
    assert [(seen.body, seen.trailers) for seen in champion.requests] == [(body, trailers)] * 20
    assert counts == {"paired": 20}


@pytest.mark.parametrize("graph", ["streamsh2", "streamsh2read"])
async def test_http2_without_a_body(system: Running, graph):
    """A GET over HTTP/2 is asked and answered as ever."""
    watched = Watched(system, graph)
    headers = told(streams_champ_h2=ANSWER, streams_rival=ANSWER)
    answer = await client.h2_request(system.ingress_port, "GET", f"/{graph}", headers)
    assert (answer.status, answer.complete, answer.header("content-length")) == (200, True, "20")
    assert await watched.counts(1) == {"paired": 1}
