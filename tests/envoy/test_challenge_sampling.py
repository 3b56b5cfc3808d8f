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

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from tests.envoy.models import Models
    from tests.envoy.running import Running
    from tests.kit.behaviour import Seen

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
    second: {{url: "http://<drawn-second>/p"}}
  nodes:
    root:
      challenge:
        champion: champ
        challengers: [{{name: rival, to: rival, sample: {rival}}}, {{name: second, to: second, sample: {second}}}]
"""
HEADER = "40%, by: 'request.headers[\"x-user\"]'"
BODY = "40%, by: request.body.user"
GRAPHS = "\n---\n".join(
    [
        GRAPH.format(name="drawn", rival="25%", second="0.5"),
        GRAPH.format(name="drawnby", rival=HEADER, second=HEADER),
        GRAPH.format(name="drawnbody", rival=BODY, second=BODY),
    ]
)
OK = {"json": {"predictions": [1]}}
TOLD = told(drawn_champ=OK, drawn_rival=OK, drawn_second=OK)
STUBS = ("drawn-champ", "drawn-rival", "drawn-second")
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
    for name, stub, share in (("rival", "drawn-rival", 0.25), ("second", "drawn-second", 0.5)):
        counts = await watched.counts(times, name)
        assert counts.keys() == {"paired", "unsampled"}
        assert abs(counts["paired"] - times * share) < 4 * math.sqrt(times * share * (1 - share))
        assert len(models[stub].requests) == counts["paired"]
        sampling = one_of(watched.report(), name)["sampling"]
        assert (sampling["expected"], sampling["mismatch"]) == (share, False)


def by_user(models: Models, key: Callable[[Seen], Any]) -> dict[str, set[str]]:
    """Which users each challenger saw; whom it saw at all it saw three times."""
    found = {}
    for name in ("rival", "second"):
        times = Counter(key(seen) for seen in models[f"drawn-{name}"].requests)
        assert set(times.values()) == {3}
        assert 4 <= len(times) <= 28  # 40 % of 40 keys, within four standard deviations
        found[name] = set(times)
    assert found["rival"] != found["second"]
    return found


async def test_by_a_key(system: Running, models: Models, tmp_path: Path):
    """A key is sampled always or never, for each challenger by itself, and as the command says."""
    watched = Watched(system, "drawnby")
    for _ in range(3):
        await asyncio.gather(*(post(system, "/drawnby", [*TOLD, ("x-user", user)]) for user in USERS))
    await watched.settled(3 * len(USERS))
    sampled = by_user(models, lambda seen: seen.header("x-user"))
    for name, users in sampled.items():
        paired = 3 * len(users)
        assert await watched.counts(3 * len(USERS), name) == {"paired": paired, "unsampled": 3 * len(USERS) - paired}
    for user in USERS[:3]:
        found = {name: user in users for name, users in sampled.items()}
        assert explained(tmp_path, models, "drawnby", "--header", f"x-user: {user}") == found
    # One that nobody sees pays for its headers alone; any other for its body, the response's headers and its pieces too.
    for user in USERS[:20]:
        seen = any(user in users for users in sampled.values())
        assert await messages(system, "/drawnby", [("x-user", user)]) in ({4, 5} if seen else {1})


async def test_by_a_key_in_the_body(system: Running, models: Models, tmp_path: Path):
    """The same where the body holds it."""
    watched = Watched(system, "drawnbody")
    bodies = {user: json.dumps({"user": user}).encode() for user in USERS}
    for _ in range(3):
        await asyncio.gather(*(post(system, "/drawnbody", TOLD, body) for body in bodies.values()))
    await watched.settled(3 * len(USERS))
    sampled = by_user(models, lambda seen: seen.json()["user"])
    for name, users in sampled.items():
        paired = 3 * len(users)
        assert await watched.counts(3 * len(USERS), name) == {"paired": paired, "unsampled": 3 * len(USERS) - paired}
    for user in USERS[:2]:
        (tmp_path / "body").write_bytes(bodies[user])
        found = {name: user in users for name, users in sampled.items()}
        assert explained(tmp_path, models, "drawnbody", "--body", str(tmp_path / "body")) == found
    # Sampling itself has needed the body: one that nobody sees pays for that, and for one message more at most.
    for user in USERS[:20]:
        seen = any(user in users for users in sampled.values())
        assert await messages(system, "/drawnbody", [], bodies[user]) in ({4, 5} if seen else {2, 3})


async def messages(system: Running, path: str, headers: Iterable[tuple[str, str]], body: bytes = b"{}") -> int:
    """How many messages Envoy sends to a processor for one request."""
    before = sum(system.stats(SENT).values())
    answer = await post(system, path, [*headers, *TOLD], body)
    assert (answer.status, answer.complete) == (200, True)
    return sum(system.stats(SENT).values()) - before


async def test_without_the_key(system: Running):
    """Where the key is missing or empty chance decides, within four standard deviations."""
    watched = Watched(system, "drawnby")
    await post_many(system, "/drawnby", 60, TOLD)
    await post_many(system, "/drawnby", 60, [*TOLD, ("x-user", "")])
    counts = await watched.counts(120)
    assert abs(counts["paired"] - 48) < 4 * math.sqrt(120 * 0.4 * 0.6)
    assert counts == {"paired": counts["paired"], "unsampled": 120 - counts["paired"]}


async def test_a_body_that_holds_no_key(system: Running):
    """A body that is no JSON fails nothing: chance decides, and the champion answers."""
    watched = Watched(system, "drawnbody")
    for body in (b"", b"{", b"[1]", b'{"user": null}', b'{"user": [1]}'):
        answers = await post_many(system, "/drawnbody", 12, TOLD, body)
        assert [(answer.status, answer.json()) for answer in answers] == [(200, OK["json"])] * 12
    counts = await watched.counts(60)
    assert abs(counts["paired"] - 24) < 4 * math.sqrt(60 * 0.4 * 0.6)
    assert counts == {"paired": counts["paired"], "unsampled": 60 - counts["paired"]}
