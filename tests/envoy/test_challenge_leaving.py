"""Clients that leave: the champion's leg is cut short, the challenger's goes on to its end."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from tests.envoy.challenged import Watched, told
from tests.envoy.running import eventually
from tests.kit import client
from tests.kit.client import RawConnection

if TYPE_CHECKING:
    from tests.envoy.models import Models
    from tests.envoy.running import Running

pytestmark = pytest.mark.envoy

GRAPH = """
apiVersion: extproc.dev/v1
kind: InferenceGraph
metadata: {{name: {name}}}
spec:
  match: [{{path: /{name}}}]
  timeout: 20s
  models:
    champ: {{url: "http://<left-champ>/p"}}
    first: {{url: "http://<left-first>/p"}}
    rival: {{url: "http://<left-rival>/p"}}
  nodes:
    root: {root}
    duel: {{challenge: {{champion: {champion}, challengers: [{{name: rival, to: {challenger}}}], noise: {noise}}}}}
"""
LINE = "{chain: {steps: [{name: one, to: first}, {name: two, to: %s}]}}"
TAIL = "{split: {routes: [{to: duel, weight: 1}]}}"
READING = "{switch: {cases: [{when: request.body.none == 1, to: duel}], default: duel}}"
GRAPHS = "\n---\n".join(
    GRAPH.format(name=name, root=root, champion=champion, challenger=challenger, noise=noise)
    for name, root, champion, challenger, noise in (
        ("left", TAIL, "champ", LINE % "rival", "false"),
        ("leftreading", READING, "champ", LINE % "rival", "false"),
        ("leftchain", TAIL, LINE % "champ", "rival", "false"),
        ("leftnoise", TAIL, "champ", LINE % "rival", "true"),
    )
)
OK = {"json": {"predictions": [1]}}
HANG = {"stop": "hang"}
SLOW = {**OK, "delay": 0.4}
STUBS = ("left-champ", "left-first", "left-rival")


@pytest.fixture(autouse=True)
def _forgotten(models: Models):
    """Each test sees its own requests only."""
    for name in STUBS:
        models[name].forget()


async def begin(system: Running, graph: str, headers) -> RawConnection:
    """Sends a request whose answer is not read."""
    connection = await RawConnection.open(system.ingress_port)
    await connection.send(client.encode("POST", f"/{graph}", headers, b'{"instances": [1]}'))
    return connection


@pytest.mark.parametrize("how", ["reset", "close"])
@pytest.mark.parametrize("graph", ["left", "leftreading"])
async def test_before_the_answer(system: Running, models: Models, graph, how):
    """The champion's call ends with its client; the challenger's chain goes on, step after step."""
    watched = Watched(system, graph)
    connection = await begin(system, graph, told(left_champ=HANG, left_first=SLOW, left_rival=SLOW))
    await models["left-champ"].wait_for_requests(1)
    await models["left-first"].wait_for_requests(1)
    connection.reset() if how == "reset" else await connection.close()
    (seen,) = await models["left-champ"].wait_for_ended(1)
    assert seen.ended == "client_gone"
    for name in ("left-first", "left-rival"):
        (seen,) = await models[name].wait_for_ended(1)
        assert seen.ended == "answered"
    assert await watched.counts(1) == {"champion_failed": 1}


async def test_amid_the_answer(system: Running, models: Models):
    """A champion's answer that was not read to its end is no answer to compare."""
    watched = Watched(system, "left")
    half = {"size": 1000, "stop": "hang", "stop_at": "middle"}
    connection = await begin(system, "left", told(left_champ=half, left_first=SLOW, left_rival=OK))
    await connection.head()
    connection.reset()
    (seen,) = await models["left-rival"].wait_for_ended(1)
    assert seen.ended == "answered"
    assert await watched.counts(1) == {"champion_failed": 1}


@pytest.mark.parametrize("graph", ["left", "leftreading"])
async def test_after_the_answer(system: Running, graph):
    """A client that has read its answer and leaves has cut nothing short."""
    watched = Watched(system, graph)
    connection = await begin(system, graph, told(left_champ=OK, left_first=SLOW, left_rival=SLOW))
    assert (await connection.response()).json() == OK["json"]
    connection.reset()
    assert await watched.counts(1) == {"paired": 1}


async def test_a_champion_that_makes_sub_calls(system: Running, models: Models):
    """In its first step or its last, its calls are cut, and the challenger's goes on."""
    for behaviour, stub in ((told(left_first=HANG, left_rival=SLOW), "left-first"),
                            (told(left_first=OK, left_champ=HANG, left_rival=SLOW), "left-champ")):  # fmt: skip
        watched = Watched(system, "leftchain")
        for name in STUBS:
            models[name].forget()
        connection = await begin(system, "leftchain", behaviour)
        await models[stub].wait_for_requests(1)
        await models["left-rival"].wait_for_requests(1)
        connection.reset()
        (seen,) = await models[stub].wait_for_ended(1)
        assert seen.ended == "client_gone"
        (seen,) = await models["left-rival"].wait_for_ended(1)
        assert seen.ended == "answered"
        assert await watched.counts(1) == {"champion_failed": 1}


async def test_the_second_call_of_the_champion(system: Running, models: Models):
    """The call that tells its noise is the challenge's own: it goes on too."""
    watched = Watched(system, "leftnoise")
    connection = await begin(system, "leftnoise", told(left_champ=SLOW, left_first=SLOW, left_rival=OK))
    await models["left-champ"].wait_for_requests(2)
    connection.reset()
    ended = await models["left-champ"].wait_for_ended(2)
    assert sorted(str(seen.ended) for seen in ended) == ["answered", "client_gone"]
    assert await watched.counts(1) == {"champion_failed": 1}


async def test_an_http2_client_that_resets_its_stream(system: Running, models: Models):
    """It left like others."""
    watched = Watched(system, "left")
    headers = told(left_champ=HANG, left_first=SLOW, left_rival=OK)
    asking = asyncio.create_task(client.h2_request(system.ingress_port, "POST", "/left", headers, b"{}"))
    await models["left-champ"].wait_for_requests(1)
    asking.cancel()
    await asyncio.wait([asking])
    (seen,) = await models["left-rival"].wait_for_ended(1)
    assert seen.ended == "answered"
    assert await watched.counts(1) == {"champion_failed": 1}


async def test_a_crowd_that_leaves(system: Running, models: Models):
    """Of sixty every second one leaves: these are cut short, the others are pairs, and every challenger's leg is run."""
    watched = Watched(system, "left")
    models["left-champ"].behave(**OK, stop="hang")
    models["left-champ"].released.clear()
    connections = [await begin(system, "left", told(left_first=OK, left_rival=OK)) for _ in range(60)]
    await models["left-champ"].wait_for_requests(60)
    for connection in connections[::2]:
        connection.reset()
    await models["left-champ"].wait_for_ended(30)
    models["left-champ"].release()
    answers = [await connection.response() for connection in connections[1::2]]
    assert [(answer.status, answer.json()) for answer in answers] == [(200, OK["json"])] * 30
    for connection in connections:
        await connection.close()
    assert await watched.counts(60) == {"champion_failed": 30, "paired": 30}
    assert [seen.ended for seen in models["left-rival"].requests] == ["answered"] * 60
    await eventually(lambda: not any(system.stats(r"^http\.egress\.downstream_rq_active$").values()))
    models["left-champ"].released.clear()
