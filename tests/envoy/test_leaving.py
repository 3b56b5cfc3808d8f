"""Clients that leave while a graph works for them, and calls that lost: everything is let go, at once."""

import asyncio
import json
from pathlib import Path

import pytest

from tests.envoy.models import Models
from tests.envoy.running import Running, eventually
from tests.kit import client
from tests.kit.client import RawConnection

pytestmark = pytest.mark.envoy

GRAPHS = """
apiVersion: extproc.dev/v1
kind: InferenceGraph
metadata: {name: leaving}
spec:
  match: [{prefix: /leaving}]
  timeout: 60s
  models:
    one: {url: "http://<leave-one>"}
    two: {url: "http://<leave-two>"}
    three: {url: "http://<leave-three>"}
    narrow: {url: "http://<leave-one>", concurrency: 2}
    retried: {url: "http://<leave-one>", retries: {attempts: 3, on: [reset, timeout], backoff: 5ms}}
    hedged: {url: "http://<leave-one>", hedge: {after: 20ms}}
  nodes:
    root:
      switch:
        cases:
          - {name: narrow, when: 'request.path == "/leaving/narrow"', to: narrowed}
          - {name: retried, when: 'request.path == "/leaving/retried"', to: again}
          - {name: hedged, when: 'request.path == "/leaving/hedged"', to: twice}
          - {name: quorum, when: 'request.path == "/leaving/quorum"', to: quorum}
          - {name: all, when: 'request.path == "/leaving/all"', to: all}
          - {name: fallback, when: 'request.path == "/leaving/fallback"', to: fallback}
        default: line
    line: {chain: {steps: [{name: a, to: one}, {name: b, to: two}, {name: c, to: three}]}}
    narrowed: {chain: {steps: [{name: a, to: narrow}, {name: b, to: two}]}}
    again: {chain: {steps: [{name: a, to: retried}, {name: b, to: two}]}}
    twice: {chain: {steps: [{name: a, to: hedged}, {name: b, to: two}]}}
    fallback: {fallback: {routes: [{to: one}, {to: two}]}}
    all: {ensemble: {members: [{name: a, to: one}, {name: b, to: two}, {name: c, to: three}]}}
    quorum: {ensemble: {members: [{name: a, to: one}, {name: b, to: two}, {name: c, to: three}], require: 1, wait: quorum, combine: first}}
"""
CLIENTS = 300
STUBS = ("leave-one", "leave-two", "leave-three")
ACTIVE = r"^http\.(egress|ingress)\.downstream_rq_active$|^cluster\.leaving/\w+(@\w+)?\.upstream_rq_active$"
CONNECTED = r"^http\.egress\.downstream_cx_active$"
HANG = {"stop": "hang"}
AT_ONCE = 3.0  # seconds; the graph's deadline, and any timeout on the way, is far beyond


@pytest.fixture(autouse=True)
async def _let_go(system: Running, models: Models):
    """Each test sees its own requests only, and leaves no request under way in Envoy."""
    for name in STUBS:
        models[name].forget()
    yield
    await eventually(lambda: not any(system.stats(ACTIVE).values()))


def told(one=None, two=None, three=None) -> list[tuple[str, str]]:
    """Tells the stubs how to answer."""
    behaviours = {"one": one, "two": two, "three": three}
    return [(f"x-stub-leave-{name}", json.dumps(how)) for name, how in behaviours.items() if how]


async def begin(system: Running, path: str, headers) -> RawConnection:
    """Sends a request whose answer is not read."""
    connection = await RawConnection.open(system.ingress_port)
    await connection.send(client.encode("POST", path, headers, b"{}"))
    return connection


def open_files(system: Running) -> int:
    """How many files and sockets the workers have open."""
    return sum(len(list(Path(f"/proc/{pid}/fd").iterdir())) for pid in system.workers())


@pytest.mark.parametrize("how", ["reset", "close"])
@pytest.mark.parametrize("path", ["", "/fallback", "/retried", "/narrow"])
async def test_a_client_that_leaves_in_step_one(system: Running, models: Models, path, how):
    """The first model's connection is closed at once, nobody else is called, nothing is tried again."""
    connection = await begin(system, f"/leaving{path}", told(HANG))
    await models["leave-one"].wait_for_requests(1)
    connection.reset() if how == "reset" else await connection.close()
    (seen,) = await models["leave-one"].wait_for_ended(1, within=AT_ONCE)
    assert seen.ended == "client_gone"
    await eventually(lambda: not any(system.stats(ACTIVE).values()))
    assert [len(models[name].requests) for name in STUBS] == [1, 0, 0]


async def test_a_client_that_leaves_in_step_two(system: Running, models: Models):
    """In the middle of a chain it is the same."""
    connection = await begin(system, "/leaving", told({"json": 1}, HANG))
    await models["leave-two"].wait_for_requests(1)
    connection.reset()
    (seen,) = await models["leave-two"].wait_for_ended(1, within=AT_ONCE)
    assert seen.ended == "client_gone"
    assert [len(models[name].requests) for name in STUBS] == [1, 1, 0]


async def test_a_client_that_leaves_in_the_tail(system: Running, models: Models):
    """The last call is Envoy's own, and ends with its client."""
    connection = await begin(system, "/leaving", told({"json": 1}, {"json": 2}, HANG))
    await models["leave-three"].wait_for_requests(1)
    connection.reset()
    (seen,) = await models["leave-three"].wait_for_ended(1, within=AT_ONCE)
    assert seen.ended == "client_gone"


async def test_a_client_that_leaves_in_a_response(system: Running, models: Models):
    """A sub-call whose response has begun is cut too."""
    connection = await begin(system, "/leaving", told({"size": 1000, "stop": "hang", "stop_at": "middle"}))
    await models["leave-one"].wait_for_requests(1)
    connection.reset()
    (seen,) = await models["leave-one"].wait_for_ended(1, within=AT_ONCE)
    assert (seen.ended, models["leave-two"].requests) == ("client_gone", [])


async def test_a_client_that_leaves_many_members(system: Running, models: Models):
    """All members of an ensemble are cut."""
    connection = await begin(system, "/leaving/all", told(HANG, HANG, HANG))
    for name in STUBS:
        await models[name].wait_for_requests(1)
    connection.reset()
    for name in STUBS:
        (seen,) = await models[name].wait_for_ended(1, within=AT_ONCE)
        assert seen.ended == "client_gone"


async def test_a_client_that_leaves_a_hedge(system: Running, models: Models):
    """Both attempts of a hedged call are cut."""
    connection = await begin(system, "/leaving/hedged", told(HANG))
    await models["leave-one"].wait_for_requests(2)
    connection.reset()
    ended = await models["leave-one"].wait_for_ended(2, within=AT_ONCE)
    assert [seen.ended for seen in ended] == ["client_gone"] * 2


async def test_an_http2_client_that_resets_its_stream(system: Running, models: Models):
    """A stream that is reset, or whose connection goes, is a client that left."""
    asking = asyncio.create_task(client.h2_request(system.ingress_port, "POST", "/leaving", told(HANG), b"{}"))
    await models["leave-one"].wait_for_requests(1)
    asking.cancel()
    await asyncio.wait([asking])
    (seen,) = await models["leave-one"].wait_for_ended(1, within=AT_ONCE)
    assert seen.ended == "client_gone"


async def test_300_clients_that_leave(system: Running, models: Models):
    """Every call is cut, nobody else was called, and the next client is served."""
    before = open_files(system)
    connections = await asyncio.gather(*(begin(system, "/leaving", told(HANG)) for _ in range(CLIENTS)))
    await models["leave-one"].wait_for_requests(CLIENTS)
    assert system.stats(ACTIVE)["http.egress.downstream_rq_active"] == CLIENTS
    assert open_files(system) > CLIENTS
    for number, connection in enumerate(connections):
        connection.reset() if number % 2 else await connection.close()
    ended = await models["leave-one"].wait_for_ended(CLIENTS, within=2 * AT_ONCE)
    assert {seen.ended for seen in ended} == {"client_gone"}
    await eventually(lambda: not any(system.stats(ACTIVE).values()))
    await eventually(lambda: open_files(system) < before + 20)
    await eventually(lambda: sum(system.stats(CONNECTED).values()) < 20)
    assert [len(models[name].requests) for name in STUBS] == [CLIENTS, 0, 0]
    answer = await client.request(system.ingress_port, "POST", "/leaving", body=b"{}")
    assert (answer.status, answer.header("x-extproc-route")) == (200, "root=default,one,two,three")


async def test_a_left_call_gives_its_slot_back(system: Running, models: Models):
    """A model's slots, taken by clients that left, are free again: in both processors, as often as one likes."""
    for _ in range(5):
        stub = models["leave-one"]
        stub.forget()
        connections = await asyncio.gather(*(begin(system, "/leaving/narrow", told(HANG)) for _ in range(8)))
        await stub.wait_for_requests(2)
        await eventually(lambda: system.stats(ACTIVE)["http.ingress.downstream_rq_active"] <= 4)
        assert len(stub.requests) <= 4
        for connection in connections:
            connection.reset()
        await stub.wait_for_ended(len(stub.requests), within=AT_ONCE)
        await eventually(lambda: not any(system.stats(ACTIVE).values()))
    for _ in range(12):
        answer = await client.request(system.ingress_port, "POST", "/leaving/narrow", body=b"{}")
        assert (answer.status, answer.header("x-extproc-route")) == (200, "root=narrow,narrow,two")


async def test_the_losers_of_a_quorum_are_cut(system: Running, models: Models):
    """As soon as enough have answered the others' connections are closed, answered or not."""
    halfway = {"size": 1000, "stop": "hang", "stop_at": "middle"}
    answer = await client.request(
        system.ingress_port, "POST", "/leaving/quorum", told(HANG, {"json": 2, "delay": 0.2}, halfway)
    )
    assert (answer.status, answer.json(), answer.header("x-extproc-route")) == (200, 2, "root=quorum,two")
    for name in ("leave-one", "leave-three"):
        (seen,) = await models[name].wait_for_ended(1, within=AT_ONCE)
        assert seen.ended == "client_gone"


async def test_the_loser_of_a_hedge_is_cut(system: Running, models: Models):
    """The slower attempt's connection is closed when the other has answered."""
    models["leave-one"].script({"stop": "hang"}, {"json": "fast"})
    answer = await client.request(system.ingress_port, "POST", "/leaving/hedged", told(None, {"echo": True}), b"{}")
    assert (answer.status, answer.body) == (200, b'"fast"')
    await models["leave-one"].until(
        lambda: sorted(str(seen.ended) for seen in models["leave-one"].requests) == ["answered", "client_gone"],
        within=AT_ONCE,
    )
