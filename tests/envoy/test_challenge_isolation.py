"""Challengers that hang, are slow, down or endless: the client's answer does not know, and nothing piles up."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, cast

import pytest

from tests.envoy import models as placeholders
from tests.envoy.challenged import GIGABYTE, LIMIT, GigabyteStub, Watched, post_many, told
from tests.envoy.running import eventually
from tests.kit.behaviour import Behaviour, Seen
from tests.kit.stub import ModelStub

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tests.envoy.models import Models
    from tests.envoy.running import Running
    from tests.kit.stub_server import StubServer

pytestmark = pytest.mark.envoy

GRAPH = """
apiVersion: extproc.dev/v1
kind: InferenceGraph
metadata: {{name: {name}}}
spec:
  match: [{{path: /{name}}}]
  timeout: 30s
  maxBody: 4MiB
  models: {{champ: {{url: "http://<{name}-champ>/p"}}, rival: {{url: "http://<{rival}>/p", retries: 1}}}}
  nodes: {{root: {{challenge: {{champion: champ, challengers: [{{name: rival, to: rival}}]}}}}}}
"""
SHARED = """
apiVersion: extproc.dev/v1
kind: InferenceGraph
metadata: {name: shared}
spec:
  match: [{path: /shared}]
  timeout: 30s
  models: {both: {url: "http://<torn:shared>/p", concurrency: 2}, last: {url: "http://<shared-last>/p"}}
  nodes:
    root:
      challenge:
        champion: {switch: {cases: [{when: '"x-line" in request.headers', to: line}], default: both}}
        challengers: [{name: rival, to: {chain: {steps: [{name: one, to: both, input: {hang: true}}]}}}]
    line: {chain: {steps: [{name: one, to: both}, {name: two, to: last}]}}
"""
GRAPHS = "\n---\n".join(
    [GRAPH.format(name="apart", rival="apart-rival"), GRAPH.format(name="endless", rival="huge:endless"), SHARED]
)
OK = {"json": {"predictions": [1]}}
WORKERS = 2
AT_ONCE = 128  # of one challenger in one worker: as many under way as in line
MEGABYTE = 1 << 20
HELD = 64 * MEGABYTE  # for one challenger in one worker
CALLS = r"^http\.egress\.downstream_rq_active$"


class TornStub(ModelStub):
    """Hangs for who asks it to, and answers all others; ``<torn:NAME>``."""

    def next_behaviour(self, seen: Seen) -> Behaviour:
        """Look into the body."""
        return Behaviour(json=OK["json"], stop="hang" if b"hang" in seen.body else None)


placeholders.KINDS["torn"] = TornStub


def hold(stub: StubServer) -> None:
    """Let it hang from now on, until it is released."""
    stub.forget()
    stub.released.clear()
    stub.behave(stop="hang", **OK)


def peak(pids: Iterable[int]) -> int:
    """The most memory that a worker had since ``calm``, in bytes, all added up."""
    texts = (Path(f"/proc/{pid}/status").read_text() for pid in pids)
    return sum(int(text.split("VmHWM:")[1].split()[0]) * 1024 for text in texts)


def calm(pids: Iterable[int]) -> None:
    """Let the peak begin at what is used now; 5 is proc(5)'s word for it."""
    for pid in pids:
        Path(f"/proc/{pid}/clear_refs").write_text("5")


async def test_a_slow_challenger_is_not_waited_for(system: Running, models: Models):
    """Answers, errors too, are there before the challenger has answered anything; then the pairs are complete."""
    watched = Watched(system, "apart")
    rival = models["apart-rival"]
    hold(rival)
    for how, status in ((OK, 200), ({"status": 503, "json": 1}, 503), ({**OK, "chunks": 3}, 200)):
        for answer in await post_many(system, "/apart", 5, told(apart_champ=how)):
            assert (answer.status, answer.complete) == (status, True)
    seen = await rival.wait_for_requests(15)
    assert {one.ended for one in seen} == {None}
    rival.release()
    assert await watched.counts(15) == {"champion_failed": 5, "paired": 10}


async def test_a_challenger_that_hangs(system: Running, models: Models):
    """A crowd of clients is served while it holds all it may; what it cannot have is shed, and what it has goes on."""
    watched = Watched(system, "apart")
    rival = models["apart-rival"]
    hold(rival)
    answers = await post_many(system, "/apart", 400, told(apart_champ=OK))
    assert [(answer.status, answer.json()) for answer in answers] == [(200, OK["json"])] * 400
    await rival.wait_for_requests(AT_ONCE // 2 * WORKERS)
    await watched.seen(400)
    assert len(rival.requests) == AT_ONCE // 2 * WORKERS
    assert {seen.ended for seen in rival.requests} == {None}
    rival.release()
    assert await watched.counts(400) == {"paired": AT_ONCE * WORKERS, "shed": 400 - AT_ONCE * WORKERS}
    await eventually(lambda: not any(system.stats(CALLS).values()))


async def test_large_requests_to_a_challenger_that_hangs(system: Running, models: Models):
    """Of requests of 3 MB a worker holds 64 MB for it, not more; what is more is shed, and all are answered."""
    watched = Watched(system, "apart")
    rival, body, times = models["apart-rival"], b" " * (3 * MEGABYTE), 60
    hold(rival)
    for _ in range(times // 2):  # two at a time: so many bytes at once take a crowded machine too long
        for answer in await post_many(system, "/apart", 2, told(apart_champ=OK), body):
            assert (answer.status, answer.json()) == (200, OK["json"])
    await watched.seen(times)
    fit = WORKERS * (HELD // len(body))
    await rival.wait_for_requests(fit)
    rival.release()
    assert await watched.counts(times) == {"paired": fit, "shed": times - fit}
    for name in ("apart-rival", "apart-champ"):
        models[name].forget()


async def test_a_challenger_that_answers_a_gigabyte(system: Running, models: Models):
    """A little over a megabyte is read of it; the worker's memory stays, and clients are served as ever."""
    watched = Watched(system, "endless")
    endless = cast("GigabyteStub", models["endless"])
    workers, times = system.workers(), 32
    calm(workers)
    before = peak(workers)
    answers = await post_many(system, "/endless", times, told(endless_champ=OK))
    assert [(answer.status, answer.json()) for answer in answers] == [(200, OK["json"])] * times
    assert await watched.counts(times) == {"too_large": times}
    ended = await endless.wait_for_ended(times)
    assert {seen.ended for seen in ended} == {"client_gone"}
    assert endless.sent < times * GIGABYTE / 64
    assert peak(workers) - before < times * LIMIT * 2


@pytest.mark.parametrize("headers", [[], [("x-line", "1")]], ids=["tail", "sub-call"])
async def test_a_model_that_both_legs_call(system: Running, models: Models, headers):
    """A challenger's calls take none of the slots that the champion's calls of the same model have."""
    watched = Watched(system, "shared")
    stub = models["shared"]
    hold(stub)
    for _ in range(10):
        for answer in await post_many(system, "/shared", 2, [*headers, *told(shared_last=OK)]):
            assert (answer.status, answer.json()) == (200, OK["json"])
    await watched.seen(20)
    hanging = [seen for seen in stub.requests if b"hang" in seen.body]
    assert {seen.ended for seen in hanging} == {None}
    assert 2 <= len(hanging) <= 2 * WORKERS
    stub.release()
    assert await watched.counts(20) == {"failed": 20 - len(hanging), "paired": len(hanging)}
