"""Who is sampled: by chance as often as asked, by a key always the same, as ``extproc explain`` says."""

from __future__ import annotations

import asyncio
import json
import math
import subprocess
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

from tests.envoy.challenged import Watched, one_of, post, post_many, told
from tests.envoy.running import EXTPROC
from tests.kit import client

if TYPE_CHECKING:
    from pathlib import Path

    from tests.envoy.models import Models
    from tests.envoy.running import Running

pytestmark = pytest.mark.envoy

GRAPH = """
apiVersion: extproc.dev/v1
kind: InferenceGraph
metadata: {{name: {name}}}
spec:
  match: [{{path: /{name}}}]
  models:
    champ: {{url: "http://<drawn-champ>/p"}}
    rival: {{url: "http://<drawn-rival>/p"}}
    other: {{url: "http://<drawn-other>/p"}}
  nodes:
    root:
      challenge:
        champion: champ
        challengers:
          - {{name: rival, to: rival, sample: {rival}}}
          - {{name: second, to: other, sample: {second}}}
"""
NEVER = "0.000000001"
HEADER = "by: 'request.headers[\"x-user\"]'"
BODY = "by: request.body.user"
PLAIN = """
apiVersion: extproc.dev/v1
kind: InferenceGraph
metadata: {{name: {name}}}
spec:
  match: [{{path: /{name}}}]
  models: {{champ: {{url: "http://<drawn-champ>/p"}}}}
  nodes: {{root: {{switch: {{cases: [{{when: {when}, to: champ}}], default: champ}}}}}}
"""
GRAPHS = "\n---\n".join(
    [
        GRAPH.format(name="drawn", rival="25%", second="0.5"),
        GRAPH.format(name="drawnnever", rival=NEVER, second=NEVER),
        GRAPH.format(name="drawnalways", rival="1.0", second=NEVER),
        GRAPH.format(name="drawnby", rival=f"40%, {HEADER}", second=f"40%, {HEADER}"),
        GRAPH.format(name="drawnbody", rival=f"40%, {BODY}", second=NEVER),
        GRAPH.format(name="drawnbodynever", rival=f"{NEVER}, {BODY}", second=NEVER),
        PLAIN.format(name="drawnplain", when="'request.path == \"/none\"'"),
        PLAIN.format(name="drawnreading", when="request.body.x == 1"),
    ]
)
OK = {"json": {"predictions": [1]}}
TOLD = told(drawn_champ=OK, drawn_rival=OK, drawn_other=OK)
STUBS = ("drawn-champ", "drawn-rival", "drawn-other")
SENT = r"^http\.ingress\.ext_proc\.(fast|body)\.stream_msgs_sent$"
USERS = [f"user-{n}" for n in range(40)]


@pytest.fixture(autouse=True)
def _forgotten(models: Models):
    """Each test sees its own requests only."""
    for name in STUBS:
        models[name].forget()


def explained(folder: Path, models: Models, name: str, *words: str) -> dict[str, bool]:
    """Which challengers of a graph see a request, as the command says."""
    (text,) = (text for text in GRAPHS.split("\n---\n") if f"name: {name}}}" in text)
    (folder / "graph.yaml").write_text(models.fill(text))
    words = ("explain", str(folder / "graph.yaml"), "--json", "--path", f"/{name}", *words)
    said = subprocess.run([EXTPROC, *words], check=True, capture_output=True)
    return {one["name"]: one["sampled"] for one in json.loads(said.stdout)["challengers"]}


async def test_by_chance(system: Running, models: Models):
    """As many as asked for, within four standard deviations, for each challenger by itself; all others are unsampled."""
    watched = Watched(system, "drawn")
    times = 600
    answers = await post_many(system, "/drawn", times, TOLD)
    assert {answer.status for answer in answers} == {200}
    for name, stub, share in (("rival", "drawn-rival", 0.25), ("second", "drawn-other", 0.5)):
        counts = await watched.counts(times, name)
        assert counts.keys() == {"paired", "unsampled"}
        assert abs(counts["paired"] - times * share) < 4 * math.sqrt(times * share * (1 - share))
        assert len(models[stub].requests) == counts["paired"]
        sampling = one_of(watched.report(), name)["sampling"]
        assert (sampling["expected"], sampling["mismatch"]) == (share, False)


async def test_by_a_key(system: Running, models: Models, tmp_path: Path):
    """A key is sampled always or never, for each challenger by itself, and as the command says."""
    watched = Watched(system, "drawnby")
    for _ in range(3):
        await asyncio.gather(*(post(system, "/drawnby", [*TOLD, ("x-user", user)]) for user in USERS))
    every = await watched.settled(3 * len(USERS))
    sampled = {}
    for name, stub in (("rival", "drawn-rival"), ("second", "drawn-other")):
        times = Counter(seen.header("x-user") for seen in models[stub].requests)
        assert set(times.values()) == {3}
        sampled[name] = set(times)
        assert one_of(every, name)["counts"]["paired"] >= 3 * len(times)
        assert 4 <= len(times) <= 30  # 40 % of 40 keys, within four standard deviations
    assert sampled["rival"] != sampled["second"]
    for user in USERS[:4]:
        found = {name: user in users for name, users in sampled.items()}
        assert explained(tmp_path, models, "drawnby", "--header", f"x-user: {user}") == found


async def test_without_the_key(system: Running):
    """Where the key is missing or empty chance decides: of so many neither all nor none."""
    watched = Watched(system, "drawnby")
    await post_many(system, "/drawnby", 60, TOLD)
    await post_many(system, "/drawnby", 60, [*TOLD, ("x-user", "")])
    counts = await watched.counts(120)
    assert 48 - 4 * 5.4 < counts["paired"] < 48 + 4 * 5.4
    assert counts == {"paired": counts["paired"], "unsampled": 120 - counts["paired"]}


async def test_by_a_key_in_the_body(system: Running, models: Models, tmp_path: Path):
    """The same where the body holds it."""
    watched = Watched(system, "drawnbody")
    bodies = {user: json.dumps({"user": user}).encode() for user in USERS}
    for _ in range(2):
        await asyncio.gather(*(post(system, "/drawnbody", TOLD, body) for body in bodies.values()))
    counts = await watched.counts(2 * len(USERS))
    sampled = Counter(seen.json()["user"] for seen in models["drawn-rival"].requests)
    assert set(sampled.values()) == {2}
    assert counts == {"paired": 2 * len(sampled), "unsampled": 2 * (len(USERS) - len(sampled))}
    for user in USERS[:2]:
        (tmp_path / "body").write_bytes(bodies[user])
        found = explained(tmp_path, models, "drawnbody", "--body", str(tmp_path / "body"))
        assert found["rival"] == (user in sampled)


async def test_a_body_that_holds_no_key(system: Running):
    """A body that is no JSON fails nothing: chance decides, and the champion answers."""
    watched = Watched(system, "drawnbody")
    answers = [answer for body in (b"", b"{", b"[1]") for answer in await post_many(system, "/drawnbody", 20, TOLD, body)]
    assert {answer.status for answer in answers} == {200}
    counts = await watched.counts(60)
    assert counts == {"paired": counts["paired"], "unsampled": 60 - counts["paired"]}


async def test_messages_of_an_unsampled_request(system: Running):
    """It pays for its headers alone, and where sampling needs the body for that, and one message more at most."""
    assert await _messages(system, "/drawnplain") == 1
    assert await _messages(system, "/drawnnever") == 1
    assert await _messages(system, "/drawnreading") == 2
    assert await _messages(system, "/drawnbodynever") <= 3


async def test_messages_of_a_sampled_request(system: Running):
    """It pays for its headers and its body, for the response's headers, and for each piece of that."""
    assert await _messages(system, "/drawnalways") == 4
    assert await _messages(system, "/drawnalways", chunks=4, every=0.05) in {7, 8}
    assert await _messages(system, "/drawnalways", method="GET") == 3
    assert await _messages(system, "/drawnalways", status=204) == 3
    assert await _messages(system, "/drawnalways", status=500) == 3


async def _messages(system: Running, path: str, method: str = "POST", **champion: Any) -> int:
    """How many messages Envoy sends to a processor for one request."""
    before = sum(system.stats(SENT).values())
    headers = told(drawn_champ={**OK, **champion}, drawn_rival=OK, drawn_other=OK)
    body = b'{"user": "x"}' if method == "POST" else b""
    answer = await client.request(system.ingress_port, method, path, headers, body)
    assert (answer.status, answer.complete) == (champion.get("status", 200), True)
    return sum(system.stats(SENT).values()) - before
