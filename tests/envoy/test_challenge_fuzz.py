"""Whatever clients send, champions answer and challengers do: the client's answer is the champion's, all is counted."""

from __future__ import annotations

import asyncio
import collections
import contextlib
import os
import random
from typing import TYPE_CHECKING, Any

import pytest

from tests.envoy.challenged import Watched, as_shown, framed, told
from tests.envoy.running import running
from tests.envoy.test_fuzz import body as any_body
from tests.kit import client
from tests.kit.client import NoResponse, RawConnection, Response

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.envoy.models import Models
    from tests.envoy.running import Running

pytestmark = pytest.mark.envoy

GRAPH = """
apiVersion: extproc.dev/v1
kind: InferenceGraph
metadata: {{name: {name}}}
spec:
  match: [{{path: /odd, headers: {{x-graph: {name}}}}}]
  timeout: 2s
  maxBody: 64KiB
  models:
    champ: {{url: "http://<odd-champ>/p", retries: 1}}
    rival: {{url: "http://<odd-rival>/p", retries: 1, timeout: 300ms}}
  nodes:
    root: {root}
    line: {{chain: {{steps: [{{name: a, to: champ, onError: skip}}, {{name: b, to: champ}}]}}}}
    {duel}
"""
DUEL = """duel:
      challenge:
        champion: %s
        challengers: [{name: rival, to: rival}, {name: second, to: rival, sample: 30%%}]
        compare: {by: request.body.k}
        noise: %s
"""
ONLY = "{{split: {{routes: [{{to: {0}, weight: 1}}]}}}}"
READS = "{{switch: {{cases: [{{when: 'request.body.k == \"a\"', to: {0}}}], default: {0}}}}}"
# A challenge, and what it would be without.
TWINS = {"oddtail": "plaintail", "oddreads": "plainreads", "oddline": "plainline", "oddnoise": "plaintail"}
NAMES = ("rival", "second")


def graph(name: str, root: str, duel: str = "") -> str:
    """A graph; without a challenge's text it has no challengers."""
    text = GRAPH.format(name=name, root=root, duel=duel)
    drop = [] if duel else ["    rival:"]
    drop += [] if "line" in root + duel else ["    line:"]
    return "\n".join(line for line in text.splitlines() if not line.startswith(tuple(drop)))


SYSTEM = "\n---\n".join(
    [
        graph("plaintail", ONLY.format("champ")),
        graph("plainreads", READS.format("champ")),
        graph("plainline", ONLY.format("line")),
        graph("oddtail", ONLY.format("duel"), DUEL % ("champ", "false")),
        graph("oddreads", READS.format("duel"), DUEL % ("champ", "false")),
        graph("oddline", ONLY.format("duel"), DUEL % ("line", "false")),
        graph("oddnoise", ONLY.format("duel"), DUEL % ("champ", "true")),
    ]
)
REQUESTS = int(os.environ.get("EXTPROC_FUZZ", "800"))
IN_FLIGHT = 8
FAIL_OPEN = "!fail-open"
SEED = 20_261_125
PREDICTIONS = [[1], [1, 2], [], ["a"], [[1, 2]], [None], 7, "text", {"x": 1}, [1e400], [0.1] * 300]
TYPES = ["application/json", "text/plain", "application/grpc", "application/json; charset=utf-8", "multipart/form-data"]
OUTCOMES = {
    "paired", "unsampled", "unsupported", "shed", "timeout", "failed", "too_large", "unparsable", "champion_failed",
}  # fmt: skip
WRONG = ("spurious_msgs_received", "rejected_header_mutations", "update_rejected", "http_not_ok_resp_received")


@pytest.fixture(scope="module")
def system(models: Models) -> Iterator[Running]:
    """A system of its own: on a crowded machine a processor may be late, and then graphs fail open as they should."""
    with running(models.fill(SYSTEM), workers=2) as started:
        yield started


def answers(chance: random.Random) -> dict[str, Any]:
    """How a model answers: always the same to the same request."""
    kind = chance.randrange(7)
    how: dict[str, Any] = {"json": {"predictions": chance.choice(PREDICTIONS[:-2] + PREDICTIONS[-1:])}}
    if kind == 0:
        how = {"status": chance.choice([201, 204, 301, 400, 404, 429, 500, 503]), "json": "own"}
    if kind == 1:
        how = {"size": chance.choice([0, 1, 5000, 1 << 20, (1 << 20) + 1, 3_000_000])}
    if kind == 2:
        how = {"echo": True}
    if chance.random() < 0.3:
        how["chunks"] = chance.randrange(1, 6)
    if chance.random() < 0.2:
        encoding = chance.choice(["gzip", "br", "deflate", "identity", "", "gzip, br"])
        how["headers"] = {
            "content-encoding": encoding,
            "x-own": "é",
            "x-extproc-latency": chance.choice(["1", "x", "-"]),
        }
    if chance.random() < 0.1:
        how["delay"] = chance.choice([0.01, 0.1])
    return how


def challenges(chance: random.Random) -> dict[str, Any]:
    """What a challenger does: it may break off, hang or be late, too."""
    how = answers(chance)
    if chance.random() < 0.25:
        how |= {"stop": chance.choice(["reset", "close", "hang"]), "stop_at": chance.choice(["start", "middle"])}
    if chance.random() < 0.1:
        how["delay"] = chance.choice([0.2, 0.5])
    return how


def request(number: int) -> tuple[str, str, list[tuple[str, str]], bytes, str]:
    """The graph, method, headers, bytes and manner of leaving of the request of a number, always the same."""
    chance = random.Random(SEED * 1_000_003 + number)
    content = any_body(chance)
    method = chance.choice(["POST"] * 8 + ["GET", "HEAD", "PUT", "DELETE"])
    fields, data = framed(content, chance.choice(["content-length", "chunked"])) if content else ([], b"")
    fields += told(odd_champ=answers(chance), odd_rival=challenges(chance))
    fields.append(("content-type", chance.choice(TYPES)))
    if chance.random() < 0.1:
        fields.append(("content-encoding", "gzip"))
    leaves = chance.choice(["", "", "", "", "", "", "", "after the request", "in the request", "in the answer"])
    return chance.choice(list(TWINS)), method, fields, data, leaves


async def ask(system: Running, name: str, method: str, fields: list[tuple[str, str]], data: bytes) -> Response | str:
    """Sends a request to a graph."""
    headers = [("x-graph", name), ("x-request-id", "the-id"), *fields]
    try:
        return await client.request(system.ingress_port, method, "/odd", headers, data)
    except (NoResponse, ConnectionError) as broken:
        return repr(broken)


async def leave(system: Running, number: int) -> None:
    """Sends a request and leaves, amid it or amid its answer."""
    name, method, fields, data, leaves = request(number)
    encoded = client.encode(method, "/odd", [("x-graph", name), *fields], data)
    connection = await RawConnection.open(system.ingress_port)
    await connection.send(encoded[: len(encoded) * 2 // 3] if leaves == "in the request" else encoded)
    if leaves == "in the answer":
        with contextlib.suppress(NoResponse):
            await connection.head()
    connection.reset()


def asked(answer: Response | str) -> bool:
    """Whether a model was asked: what the project refuses, it refuses with or without a challenge, in its own words."""
    return not isinstance(answer, str) and "champ" in (answer.header("x-extproc-route") or "")


def same(ours: Response | str, theirs: Response | str) -> bool:
    """Whether two graphs answered alike, all of it; on a crowded machine either may fail open, as it should."""
    if isinstance(ours, str) or isinstance(theirs, str):
        return isinstance(ours, str) and isinstance(theirs, str)
    if FAIL_OPEN in {ours.header("x-extproc-route"), theirs.header("x-extproc-route")}:
        return True
    return as_shown(ours) == as_shown(theirs) if asked(ours) else not asked(theirs)


async def test_whatever_is_sent(system: Running, models: Models):
    """Hundreds of odd requests: each answered as by the same graph without a challenge, each in exactly one count."""
    workers = system.workers()
    watched = {name: Watched(system, name) for name in TWINS}
    sent, least = collections.Counter[str](), collections.Counter[str]()
    wrong: list[Any] = []

    async def ask_on(numbers: Iterator[int]) -> None:
        for number in numbers:
            name, method, fields, data, leaves = request(number)
            sent[name] += 1
            if leaves:
                await leave(system, number)
                continue
            ours, theirs = await asyncio.gather(
                ask(system, name, method, fields, data), ask(system, TWINS[name], method, fields, data)
            )
            least[name] += asked(ours)
            if not same(ours, theirs):
                wrong.append((number, ours, theirs))
            for stub in ("odd-champ", "odd-rival"):
                if len(models[stub].requests) > 500:
                    models[stub].forget()

    numbers = iter(range(REQUESTS))
    await asyncio.gather(*(ask_on(numbers) for _ in range(IN_FLIGHT)))
    assert wrong[:1] == []
    total: collections.Counter[str] = collections.Counter()
    for name, one in watched.items():
        for challenger in NAMES:
            counts = await one.all_counts(least[name], challenger)
            assert counts.keys() <= OUTCOMES
            assert least[name] <= sum(counts.values()) <= sent[name]
            total.update(counts)
    assert {"paired", "unsampled", "unsupported", "failed", "too_large", "unparsable", "champion_failed"} <= set(total)
    assert system.workers() == workers
    assert system.said() == ""
    assert [name for name in system.faults() if name.endswith(WRONG)] == []
