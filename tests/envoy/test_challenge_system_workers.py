"""Workers that are killed with legs in flight, and feedback: every request in one count, every label in one place."""

import asyncio
import socket
import urllib.parse
from typing import Any

import pytest

from tests.envoy.challenged import Watched, one_of, post_many
from tests.envoy.dueling import SAYS, booked, champion, counts, duel, kill, report, send, served, tell, traffic
from tests.envoy.models import Models
from tests.envoy.running import Running, eventually, running

pytestmark = pytest.mark.envoy

NAMES = ("fallen", "busy", "labelled", "probe")
TOKEN = "s3cret"
HELD = 6


@pytest.fixture(scope="module")
def system(models: Models):
    """A system of its own with two workers, whose admin address other machines reach."""
    graphs = "---".join(duel(name, stubs="falls", timeout="20s") for name in NAMES)
    arguments = ["--admin", "0.0.0.0:0"]
    with running(
        models.fill(graphs), workers=2, arguments=arguments, environment={"EXTPROC_ADMIN_TOKEN": TOKEN}
    ) as one:
        yield one


@pytest.fixture(autouse=True)
def _well(models: Models):
    """Models answer, unless a test says otherwise."""
    for version, says in SAYS.items():
        models[f"falls-{version}"].behave(**says)
        models[f"falls-{version}"].forget()


async def test_legs_in_flight_are_interrupted(system: Running, models: Models):
    """Of killed workers exactly the requests whose legs were under way are interrupted, and their successors go on."""
    fallen = Watched(system, "fallen")
    await post_many(system, "/fallen", 20)
    await fallen.settled(20)
    rival = models["falls-v2"]
    rival.behave(stop="hang")
    rival.forget()
    answers = await post_many(system, "/fallen", HELD)
    assert {answer.status for answer in answers} == {200}
    await rival.wait_for_requests(HELD)
    before = system.workers()
    for pid in before:
        kill(pid)
    await served(system, "probe", 2, before)
    assert await fallen.counts(20 + HELD) == {"paired": 20, "interrupted": HELD}
    rival.behave(**SAYS["v2"])
    await post_many(system, "/fallen", 15)
    assert await fallen.counts(35 + HELD) == {"paired": 35, "interrupted": HELD}


async def test_an_idle_worker_takes_nothing_with_it(system: Running):
    """What was settled stays so, whoever is killed then."""
    fallen = Watched(system, "fallen")
    await post_many(system, "/fallen", 10)
    assert await fallen.counts(10) == {"paired": 10}
    idle = system.workers()
    for pid in idle:
        kill(pid)
    await served(system, "probe", 2, idle)
    assert await fallen.counts(10) == {"paired": 10}


async def test_a_worker_killed_under_traffic(system: Running):
    """All that a processor saw is in one count, and no more is interrupted than half a second's requests and the rest."""
    async with traffic(system, "busy") as seen:
        await seen.reaches(100)
        victim = max(system.workers())
        kill(victim)
        await seen.reaches(100)
    await served(system, "probe", 2, [victim])
    told = [answer.header("x-extproc-route") or "" for answer in seen.answers]
    unseen = sum("!fail-open" in route for route in told)
    asked = len(seen.answers) + seen.none
    found = await booked(system, "busy", asked - unseen - seen.none)
    assert asked - unseen - seen.none <= found["eligible"] <= asked
    known = counts(found)
    assert set(known) <= {"paired", "interrupted", "champion_failed"}
    assert known["paired"] > 100
    assert seen.statuses == {200}


async def test_feedback(system: Running):
    """Late, early, repeated, of both kinds and of nobody: each is told for what it is, and joined once."""
    labelled = Watched(system, "labelled")
    ids = [answer.header("x-request-id") for answer in await post_many(system, "/labelled", 8)]
    await labelled.settled(8)
    late = await tell(system, [{"requestId": one, "label": 1} for one in ids[:4]])
    assert late == (200, {"accepted": 4, "duplicate": 0, "unknown": 0})
    mixed = [
        {"requestId": ids[0], "label": 2},
        {"requestId": ids[4], "reward": 0.5},
        {"requestId": "nobody", "label": 1},
        {"requestId": ids[4], "label": 1},
        {"requestId": "nobody", "label": 1},
    ]
    assert await tell(system, mixed) == (200, {"accepted": 1, "duplicate": 2, "unknown": 2})
    assert await tell(system, {"requestId": ids[5], "label": [2]}) == (
        200,
        {"accepted": 1, "duplicate": 0, "unknown": 0},
    )
    truth = one_of(report(system, "labelled"))["truth"]
    assert (truth["joined"], truth["waiting"]) == (6, 1)
    accuracy = truth["accuracy"]
    assert (accuracy["champion"], accuracy["challenger"]) == (0.8, 0.8)
    refused = await tell(system, {"requestId": ids[6]})
    assert (refused.status, refused.body["error"]["code"]) == (400, "bad_body")


async def test_feedback_that_is_early(system: Running, models: Models):
    """A label that comes before its pair waits, and is joined when the pair is booked."""
    labelled = Watched(system, "labelled")
    before = joined(report(system, "labelled"))
    rival = models["falls-v2"]
    rival.behave(stop="hang", **SAYS["v2"])
    rival.forget()
    (answer,) = await post_many(system, "/labelled", 1)
    await rival.wait_for_requests(1)
    early = await tell(system, {"requestId": answer.header("x-request-id"), "label": 1})
    assert early == (200, {"accepted": 0, "duplicate": 0, "unknown": 1})
    rival.release()
    await labelled.settled(1)
    await eventually(lambda: joined(report(system, "labelled")) == before + 1)


def joined(found: dict[str, Any]) -> int:
    """How many pairs have a label."""
    truth = one_of(found)["truth"]
    return truth["joined"] if truth else 0


async def test_another_machine_needs_the_token(system: Running):
    """From this machine no token is needed; from another one, or under another name, the address is closed without it."""
    port = urllib.parse.urlsplit(system.admin_url).port
    item = {"requestId": "nobody", "label": 1}
    outside = f"{_own_address()}:{port}"
    for where, host in ((outside, outside), (f"127.0.0.1:{port}", "extproc.internal")):
        refused = await asyncio.to_thread(send, where, "/feedback", item, {"host": host})
        assert (refused.status, refused.body["error"]["code"]) == (403, "forbidden")
        taken = await asyncio.to_thread(
            send, where, "/feedback", item, {"host": host, "authorization": f"Bearer {TOKEN}"}
        )
        assert taken.status == 200
    for path in ("/challenges/labelled/promote", "/challenges/labelled/rollback"):
        refused = await asyncio.to_thread(send, outside, path, {"challenger": "rival", "force": True})
        assert refused.status == 403
    assert await champion(system, "labelled") == "v1"
    assert TOKEN not in system.said()


def _own_address() -> str:
    """An address of this machine that is not loopback, or loopback where there is none."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        asking.connect(("192.0.2.1", 9))  # sends nothing: it only says from where something would be sent
        return str(asking.getsockname()[0])
