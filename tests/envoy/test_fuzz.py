"""Whatever a client sends, or a model answers: a documented answer, and processes that live on and do not grow."""

import asyncio
import collections
import json
import os
import random
from pathlib import Path

import pytest

from tests.envoy.models import Models
from tests.envoy.running import Running, running
from tests.kit import client
from tests.kit.client import NoResponse, RawConnection, Response

pytestmark = pytest.mark.envoy

SYSTEM = """
apiVersion: extproc.dev/v1
kind: InferenceGraph
metadata: {name: fuzz}
spec:
  match: [{prefix: /fuzz}]
  timeout: 5s
  maxBody: 64KiB
  models:
    a: {url: "http://<fuzz-a>"}
    b: {url: "http://<fuzz-b>"}
    v1: {url: "http://<fuzz-b>/v1/models/b:predict", retries: {attempts: 2, on: [5xx, reset], backoff: 1ms}}
    v2: {url: "http://<fuzz-b>/v2/models/b/infer", timeout: 2s}
    ha: {url: "http://<fuzz-a>", hedge: {after: 30ms}}
  nodes:
    root:
      switch:
        cases:
          - {when: 'request.path.startsWith("/fuzz/split")', to: bysplit}
          - {when: 'request.path.startsWith("/fuzz/switch")', to: byswitch}
          - {when: 'request.path.startsWith("/fuzz/line")', to: line}
          - {when: 'request.path.startsWith("/fuzz/filled")', to: filled}
          - {when: 'request.path.startsWith("/fuzz/auto")', to: auto}
          - {when: 'request.path.startsWith("/fuzz/collect")', to: collect}
          - {when: 'request.path.startsWith("/fuzz/mean")', to: mean}
          - {when: 'request.path.startsWith("/fuzz/vote")', to: vote}
          - {when: 'request.path.startsWith("/fuzz/tries")', to: tries}
          - {when: 'request.path.startsWith("/fuzz/cascade")', to: cascade}
          - {when: 'request.path.startsWith("/fuzz/answer")', to: answer}
        default: line
    bysplit: {split: {by: request.body.k, routes: [{to: a, weight: 1}, {to: b, weight: 2}]}}
    byswitch:
      switch:
        cases:
          - {when: 'request.body.items.exists(x, x > 10) || string(request.body.k).matches("^(a+)+$")', to: a}
          - {when: 'request.query["q"].contains("x") && size(request.body) > 1', to: bysplit}
    line: {chain: {steps: [{name: one, to: a, onError: skip}, {name: two, to: ha}, {name: three, to: b}]}}
    filled:
      chain:
        steps:
          - {name: one, to: a, input: {all: "${request.body}", path: "at ${request.path}", k: "${request.body.k}"}}
          - {name: two, to: b, when: 'has(steps.one.body.k)', input: {k: "${steps.one.body.k}"}, onError: {to: a}}
        output: {one: "${steps.one.body}", id: "${request.id}", headers: "${request.headers}"}
    auto: {chain: {steps: [{name: one, to: a}, {name: two, to: v1, input: auto}, {name: three, to: v2, input: auto}]}}
    collect: {ensemble: {members: [{name: x, to: a}, {name: y, to: line}], require: 1}}
    mean: {ensemble: {members: [{name: x, to: a}, {name: y, to: v1}, {name: z, to: v2}], require: 2, wait: quorum, combine: mean}}
    vote: {ensemble: {members: [{name: x, to: a}, {name: y, to: b}], combine: vote}}
    tries: {fallback: {routes: [{to: a, timeout: 1s}, {to: v1}, {to: b}]}}
    cascade: {cascade: {routes: [{to: a, accept: 'response.body.k == request.body.k'}, {to: line}]}}
    answer: {respond: {status: 403, body: {was: "${request.body}", headers: "${request.headers}", query: "${request.query}"}}}
---
apiVersion: extproc.dev/v1
kind: InferenceGraph
metadata: {name: light}
spec:
  match: [{prefix: /light}]
  models: {a: {url: "http://<fuzz-a>"}, b: {url: "http://<fuzz-b>"}}
  nodes: {root: {split: {by: 'request.headers["x-k"] + request.query["q"]', routes: [{to: a, weight: 1}, {to: b, weight: 1}]}}}
"""
REQUESTS = int(os.environ.get("EXTPROC_FUZZ", "2000"))
IN_FLIGHT = 16
WARM = REQUESTS // 4
SEED = 20_261_123
GROWTH = 1.2
WRONG = ("spurious_msgs_received", "update_rejected", "http_not_ok_resp_received")
NODES = "split switch line filled auto collect mean vote tries cascade answer".split()  # noqa: SIM905 -- names to read
METHODS = ["POST"] * 12 + ["GET", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "ODD"]
MODELS_OWN = {200, 404, 429, 500}
# The contract's, the models' own, the respond's; 307: a path with escaped slashes is redirected to one without; 431:
# headers that Envoy does not hold.
STATUSES = MODELS_OWN | {400, 403, 404, 413, 415, 422, 429, 502, 504, 307, 431}
CODES = {
    "bad_body", "body_too_large", "bad_encoding", "bad_expression", "no_graph", "no_route", "overloaded",
    "upstream_failed", "deadline", "bad_request",
}  # fmt: skip
TEXTS = [
    "",
    "a",
    "aaaaaaaaaaaaaaaaaaaaaaaaaaa!",
    "é",
    "\u0000",
    "\ud83d\ude00",
    "k" * 3000,
    "${request.body}",
    "%",
    "\\",
]
NUMBERS = ["0", "-0", "1e400", "-1.10", "1" * 400, "1E-400", "9007199254740993", "0.1", "true", "null", "NaN", "01"]
TYPES = [
    "application/json", "application/grpc", "application/grpc+proto", "text/plain", "", ";", "multipart/form-data",
    "application/json; charset=utf-16", "APPLICATION/GRPC",
]  # fmt: skip
ENCODINGS = ["gzip", "identity", "br", "", "gzip, deflate", "x" * 200]


def value(chance: random.Random, depth: int = 0) -> str:
    """Some JSON, as text."""
    kind = chance.randrange(6 if depth < 4 else 3)
    if kind == 0:
        return chance.choice(NUMBERS)
    if kind <= 2:
        return json.dumps(chance.choice(TEXTS), ensure_ascii=chance.random() < 0.5)
    if kind == 3:
        return f"[{','.join(value(chance, depth + 1) for _ in range(chance.randrange(5)))}]"
    names = chance.choices(["k", "items", "instances", "predictions", "inputs", "outputs", "data", "x y", "é"], k=3)
    return "{" + ",".join(f"{json.dumps(name)}: {value(chance, depth + 1)}" for name in names) + "}"


def body(chance: random.Random) -> bytes:
    """A body: none, JSON, JSON with faults, bytes, deep, large."""
    kind = chance.randrange(12)
    if kind == 0:
        return b""
    if kind == 1:
        return chance.randbytes(chance.randrange(1, 2000))
    if kind == 2:
        deep = chance.choice([10, 500, 5000, 30_000])
        return b"[" * deep + b"1" + b"]" * (deep if chance.random() < 0.7 else 3)
    if kind == 3:
        return b'{"k": "' + b"x" * chance.choice([60_000, 65_526, 65_527, 65_528, 100_000]) + b'"}'
    if kind == 4:
        return json.dumps(
            {"instances": [[chance.random()] * 3] * chance.randrange(4), "k": chance.randrange(5)}
        ).encode()
    text = bytearray(value(chance).encode("utf-8", "surrogatepass"))
    if text and chance.random() < 0.4:
        for _ in range(chance.randrange(1, 4)):
            text[chance.randrange(len(text))] = chance.randrange(256)
    return bytes(text)


def odd(chance: random.Random, longest: int) -> str:
    """Characters of one byte each, without those that end a line."""
    bad = [0, 7, 127] if chance.random() < 0.03 else []
    kinds = [*range(33, 127), *range(128, 256), 9, 32, *bad]
    return bytes(chance.choices(kinds, k=chance.randrange(longest))).decode("latin-1").strip(" \t\x85\xa0")


def headers(chance: random.Random) -> list[tuple[str, str]]:
    """Headers: those that mean something, with odd values; long, many, repeated ones."""
    found = [("content-type", chance.choice(TYPES))] if chance.random() < 0.7 else []
    if chance.random() < 0.1:
        found.append(("content-encoding", chance.choice(ENCODINGS)))
    names = ["x-k", "x-request-id", "x-extproc-model", "x-extproc-route", "x-envoy-upstream-rq-timeout-ms", "cookie"]
    names += ["accept-encoding", "x-forwarded-for", "traceparent", "grpc-timeout", "via", "cdn-loop", "X-K", "x_under"]
    found += [(chance.choice(names), odd(chance, 40)) for _ in range(chance.randrange(5))]
    if chance.random() < 0.05:
        found.append(("x-long", "y" * chance.choice([1000, 20_000, 58_000, 70_000])))
    if chance.random() < 0.05:
        found += [(f"x-many-{n % 30}", str(n)) for n in range(chance.choice([50, 90, 120]))]
    for name in ("a", "b"):
        if chance.random() < 0.5:
            found.append((f"x-stub-fuzz-{name}", json.dumps(behaviour(chance))))
    return found


def behaviour(chance: random.Random) -> dict[str, object]:
    """How a model answers."""
    kind = chance.randrange(6)
    if kind == 0:
        return {"status": chance.choice(sorted(MODELS_OWN)), "json": chance.choice(TEXTS[:4])}
    if kind == 1:
        return {"stop": chance.choice(["reset", "close"])}
    if kind == 2:
        return {"size": chance.choice([0, 10, 40_000])}
    if kind == 3:
        return {"json": {"predictions": [[chance.random()] * 3] * 2, "k": chance.choice([1, "a", None])}}
    if kind == 4:
        return {"echo": True, "headers": {"x-own": chance.choice(["é", "a,b", ""]), "set-cookie": "a=b"}}
    return {"events": 2, "every": 0.01}


def target(chance: random.Random) -> str:
    """A path and query."""
    path = chance.choice([f"/fuzz/{chance.choice(NODES)}"] * 6 + ["/light", "/fuzz", "/", "/nowhere"])
    if chance.random() < 0.25:
        path += chance.choice(["/%2f", "/%00", "/..", "//x", "/é", "/%", "/%zz", "/" + "p" * 5000, "/a;b", "/%c3%a9"])
    if chance.random() < 0.4:
        query = ["q=x", "q=%zz&q=1", "q", "&&=", "q=" + "y" * 4000, "q=é", "q=%00", "q=a#b", "?=?"]
        path += "?" + chance.choice(query)
    return path


def request(number: int) -> tuple[str, bytes]:
    """The method and the bytes of the request of a number, always the same."""
    chance = random.Random(SEED * 1_000_003 + number)
    method = chance.choice(METHODS)
    content = body(chance)
    fields = headers(chance)
    if content and chance.random() < 0.2:
        fields.append(("transfer-encoding", "chunked"))
        content = b"%x\r\n%b\r\n0\r\n\r\n" % (len(content), content)
    return method, client.encode(method, target(chance), fields, content)


def brimful(data: bytes) -> bool:
    """Whether there is no room for the project's own headers: Envoy holds 100, and 60 KiB, and answers 503 above."""
    head = data.partition(b"\r\n\r\n")[0]
    return head.count(b"\r\n") > 85 or len(head) > 57_000


def check(number: int, method: str, data: bytes, answer: Response) -> str | None:
    """What is wrong with an answer, None where nothing is."""
    told = method == "HEAD" or b"Envoy could not serve this request" in answer.body
    if answer.status == 503 and brimful(data) and told:
        return None
    if answer.status not in STATUSES:
        return f"{number}: {answer.status} {answer.body[:200]!r}"
    if method == "HEAD" or b'"error"' not in answer.body[:10]:
        return None
    error = answer.json()["error"]
    if error["code"] not in CODES or "Traceback" in error["message"] or "127.0.0.1" in error["message"]:
        return f"{number}: {error}"
    return None


def resident(system: Running) -> int:
    """The workers' memory, in KiB."""
    texts = (Path(f"/proc/{pid}/status").read_text() for pid in system.workers())
    return sum(int(text.split("VmRSS:")[1].split()[0]) for text in texts)


@pytest.fixture(scope="module")
def system(models: Models):
    """A system of its own, whose memory is looked at; on a crowded machine its fast graph may fail open."""
    with running(models.fill(SYSTEM), workers=2) as started:
        yield started


async def test_whatever_is_sent(system: Running, models: Models):
    """Thousands of odd requests: documented statuses, no complaint, the same processes, no more memory."""
    workers, pids, envoy = system.workers(), system.pids, system.children()
    statuses: collections.Counter[int] = collections.Counter()
    codes: collections.Counter[str] = collections.Counter()
    wrong: list[str] = []

    async def ask(numbers) -> None:
        for number in numbers:
            method, data = request(number)
            async with await RawConnection.open(system.ingress_port) as connection:
                try:
                    await connection.send(data)
                    answer = await connection.response(method)
                except (NoResponse, ConnectionError, TimeoutError) as broken:
                    wrong.append(f"{number}: {broken!r}")
                    continue
            statuses[answer.status] += 1
            wrong.extend(filter(None, [check(number, method, data, answer)]))
            if answer.body.startswith(b'{"error"'):
                codes[answer.json()["error"]["code"]] += 1
            for stub in ("fuzz-a", "fuzz-b"):
                if len(models[stub].requests) > 500:
                    models[stub].forget()

    async def rounds(numbers) -> None:
        left = iter(numbers)
        await asyncio.gather(*(ask(left) for _ in range(IN_FLIGHT)))

    await rounds(range(WARM))
    warm = resident(system)
    await rounds(range(WARM, REQUESTS))
    assert wrong[:5] == []
    assert sum(statuses.values()) == REQUESTS
    assert {200, 400, 404, 413, 415, 422, 502} <= set(statuses)
    assert {"bad_body", "bad_encoding", "bad_expression", "body_too_large", "upstream_failed"} <= set(codes)
    assert (system.workers(), system.pids, system.children()) == (workers, pids, envoy)
    assert resident(system) < warm * GROWTH
    assert system.said() == ""
    faults = system.faults()
    refused = sum(count for name, count in faults.items() if name.endswith("rejected_header_mutations"))
    full = sum(brimful(request(number)[1]) for number in range(REQUESTS))
    assert statuses[503] <= refused <= full  # a gRPC client is told UNAVAILABLE with 200
    assert [name for name in faults if name.endswith(WRONG)] == []
