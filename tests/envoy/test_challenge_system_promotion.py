"""Promotion and rollback in a running system: who answers, what is refused, and what becomes of workers that hang."""

import asyncio
import re
import signal
import time
from collections import Counter

import pytest

from tests.envoy.challenged import one_of, post, post_many
from tests.envoy.dueling import (
    SAYS,
    Said,
    answered,
    booked,
    champion,
    command,
    duel,
    kill,
    report,
    send,
    served,
    traffic,
)
from tests.envoy.models import Models
from tests.envoy.running import Running, eventually, running

pytestmark = pytest.mark.envoy

PLAIN = """
apiVersion: extproc.dev/v1
kind: InferenceGraph
metadata: {name: plain}
spec:
  match: [{path: /plain}]
  models: {v1: {url: "http://<duel-v1>/v1"}}
  nodes: {root: {split: {routes: [{to: v1, weight: 1}]}}}
"""
READING = """
apiVersion: extproc.dev/v1
kind: InferenceGraph
metadata: {name: reading}
spec:
  match: [{path: /reading}]
  models:
    v1: {url: "http://<duel-v1>/v1", retries: 1}
    v2: {url: "http://<duel-v2>/v2", retries: 1}
  nodes:
    root: {switch: {cases: [{when: request.body.none == 1, to: duel}], default: duel}}
    duel: {challenge: {champion: v1, challengers: [{name: rival, to: v2}]}}
"""
NAMES = ("won", "tried", "forced", "hung", "moved", "loaded")
CHANGES = 6
WITHIN = 2.0  # seconds in which a promotion takes effect everywhere, by the system's own clock


@pytest.fixture(scope="module")
def system(models: Models):
    """A system of its own with two workers."""
    graphs = [*(duel(name) for name in NAMES), READING, PLAIN]
    with running(models.fill("---".join(graphs)), workers=2) as one:
        yield one


@pytest.fixture(autouse=True)
def _well(models: Models):
    """Models answer, each with its name."""
    for version, says in SAYS.items():
        models[f"duel-{version}"].behave(**says)


def events(found) -> list[tuple[str, str, bool]]:
    """The decisions of a report."""
    return [(one["event"], one["challenger"], one["forced"]) for one in found["decisions"]]


async def test_a_promotion_and_its_rollback(system: Running):
    """Refused while it is open; then in force at once, for Envoy too; undone once, and no further."""
    early = await command(system, "promote", "won", "rival")
    assert (early.code, early.out) == (1, "")
    assert early.err == (
        "extproc: rival is not promoted: its verdict is collecting (errors is collecting); --force overrides, and is "
        "recorded\n"
    )
    first = await answered(system, "won")
    assert first.json()["by"] == "v1"
    await post_many(system, "/won", 99)
    before = await booked(system, "won", 100)
    assert (one_of(before)["verdict"], one_of(before)["counts"]["paired"]) == ("promote", 100)
    await eventually(lambda: ("verdict", "rival", False) in events(report(system, "won")))
    done = await command(system, "promote", "won", "rival")
    assert (done.code, done.err) == (0, "")
    said = re.fullmatch(
        r"won: rival was promoted; the champion is v2\nin force as (won@[0-9a-f]{8}) after ([0-9.]+) s\n", done.out
    )
    assert said
    generation = said[1]
    for answer in await post_many(system, "/won", 20):
        assert (answer.json()["by"], answer.header("x-extproc-graph")) == ("v2", generation)
        assert answer.header("x-extproc-route") == "v2"
    now = await booked(system, "won", 20)
    assert (now["generation"], now["champion"], now["eligible"]) == (generation, "v2", 20)
    assert [(one["name"], one["to"]) for one in now["challengers"]] == [("v1", "v1")]
    assert events(now) == [("promoted", "rival", False)]
    assert f'"{generation}"' in system.admin("/graphs")[2]
    undone = await command(system, "rollback", "won")
    assert undone.out.startswith("won: the promotion of rival was rolled back; the champion is v1\nin force as won@")
    answer = await answered(system, "won")
    assert (answer.json()["by"], answer.header("x-extproc-graph")) == ("v1", first.header("x-extproc-graph"))
    again = await booked(system, "won", 101)
    assert again["eligible"] == 101
    assert [one for one in events(again) if one[0] != "verdict"] == [
        ("promoted", "rival", False),
        ("rolled back", "rival", False),
    ]
    assert ("verdict", "rival", False) in events(again)
    further = await command(system, "rollback", "won")
    assert (further.code, further.err) == (1, "extproc: won has no promotion to roll back\n")


async def test_a_forced_promotion_is_recorded(system: Running):
    """Against the verdict it is said, and the decision says that it was forced, and on what it stood."""
    done = await command(system, "promote", "forced", "rival", "--force")
    assert done.code == 0
    assert done.out.startswith("forced: rival was promoted, against its verdict; the champion is v2\n")
    assert await champion(system, "forced") == "v2"
    (decision,) = report(system, "forced")["decisions"]
    assert (decision["event"], decision["forced"], decision["verdict"]) == ("promoted", True, "collecting")
    assert decision["rule"] == {"confidence": 0.95, "errors": {"max": 0.5}}
    assert "graph forced: rival promoted; its champion is v2" in system.said()


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("promote", "tried", "nobody"), "tried has no challenger nobody; it has rival"),
        (("promote", "tried", "nobody", "--force"), "tried has no challenger nobody; it has rival"),
        (("promote", "nowhere", "rival"), "no graph named nowhere is loaded; loaded are forced, hung, loaded, moved"),
        (("promote", "plain", "rival", "--force"), "the graph plain holds no challenge"),
        (("rollback", "plain"), "the graph plain holds no challenge"),
        (("rollback", "nowhere"), "no graph named nowhere is loaded"),
        (("report", "nowhere"), "no graph named nowhere is loaded"),
    ],
)
async def test_what_is_not_there(system: Running, words: tuple[str, ...], told: str):
    """It is told with what there is, and the exit code is 1."""
    done = await command(system, *words)
    assert (done.code, done.out) == (1, "")
    assert done.err.startswith(f"extproc: {told}")
    assert await champion(system, "tried") == "v1"


async def test_the_away_model_is_exchanged_too(system: Running, models: Models):
    """While no processor answers, requests go to the champion that was promoted, and after a rollback to the one before."""
    for graph in ("moved", "reading"):
        assert (await command(system, "promote", graph, "rival", "--force")).code == 0
    await _away(system, models, "v2")
    for graph in ("moved", "reading"):
        assert (await command(system, "rollback", graph)).code == 0
    await _away(system, models, "v1")


async def _away(system: Running, models: Models, version: str) -> None:
    """Kill all workers, and see who gets what comes meanwhile."""
    for graph in ("moved", "reading"):
        assert await champion(system, graph) == version
    stubs = models["duel-v1"], models["duel-v2"]
    killed = system.workers()
    for pid in killed:
        kill(pid)
    for graph in ("moved", "reading"):
        for stub in stubs:
            stub.forget()
        answer = await post(system, f"/{graph}")
        assert (answer.status, answer.header("x-extproc-route")) == (200, "!fail-open")
        assert answer.json()["by"] == version
        assert [len(stub.requests) for stub in stubs] == [version == "v1", version == "v2"]
    await served(system, "plain", 2, killed)


async def test_a_worker_that_hangs_is_replaced(system: Running):
    """A promotion does not wait for it: another one that has the new graphs takes its place, and everybody has them."""
    hung = min(system.workers())
    kill(hung, signal.SIGSTOP)
    began = time.monotonic()
    done = await command(system, "promote", "hung", "rival", "--force")
    took = time.monotonic() - began
    assert done.code == 0
    loading = float(done.out.rstrip().removesuffix(" s").rpartition(" ")[2])
    assert 1.4 < loading < took < 15
    await served(system, "plain", 2, [hung])
    answers = await post_many(system, "/hung", 40)
    assert Counter(answer.json()["by"] for answer in answers) == {"v2": 40}
    assert not any("!" in (answer.header("x-extproc-route") or "") for answer in answers)
    assert "did not take the new graphs and is replaced" in system.said()


async def test_promotions_under_load(system: Running):
    """No request fails, and each is answered by the champion of the generation that its answer names."""
    champions = {(await answered(system, "loaded")).header("x-extproc-graph"): "v1"}
    times = []
    async with traffic(system, "loaded", clients=6) as seen:
        for number in range(CHANGES):
            await seen.reaches(20)
            done = await _change(system, "loaded", promote=number % 2 == 0)
            champions[done.body["generation"]] = done.body["champion"]
            times.append(done.body["seconds"])
        await seen.reaches(20)
    assert seen.statuses == {200}
    assert seen.none == 0
    told = Counter((answer.header("x-extproc-graph"), answer.json()["by"]) for answer in seen.answers)
    assert set(told) == set(champions.items())
    assert len(champions) == 2
    assert sorted(times)[len(times) // 2] < WITHIN
    found = await booked(system, "loaded", 1)
    assert Counter(one["event"] for one in found["decisions"] if one["event"] != "verdict") == {
        "promoted": CHANGES // 2,
        "rolled back": CHANGES // 2,
    }


async def _change(system: Running, graph: str, *, promote: bool) -> Said:
    """Promote the challenger, or roll back; as the commands do."""
    where = system.admin_url.removeprefix("http://")
    path, body = ("promote", {"challenger": "rival", "force": True}) if promote else ("rollback", None)
    done = await asyncio.to_thread(send, where, f"/challenges/{graph}/{path}", body)
    assert done.status == 200, done
    return done


async def test_envoy_is_away_meanwhile(system: Running):
    """A promotion while Envoy starts again is in force when it is back: it reads what it finds."""
    envoy = system.pids["envoy"]
    kill(envoy)
    await eventually(lambda: envoy not in system.children())
    done = await command(system, "promote", "tried", "rival", "--force")
    assert (done.code, done.err) == (0, "")
    await eventually(system.ready)
    assert await champion(system, "tried") == "v2"
    assert (await command(system, "rollback", "tried")).code == 0
    assert await champion(system, "tried") == "v1"
