"""A state folder and the systems that follow each other on it: what was acknowledged is there, and counts add up."""

import asyncio
import contextlib
import signal
import stat
import subprocess
import time
from pathlib import Path

import pytest

from tests.envoy.challenged import one_of, post_many
from tests.envoy.dueling import (
    SAYS,
    booked,
    champion,
    command,
    counts,
    duel,
    report,
    started,
    state_folder,
    tell,
    traffic,
)
from tests.envoy.models import Models
from tests.envoy.running import EXTPROC, Running, command_of, eventually

pytestmark = pytest.mark.envoy

HELD = 5
OWN_GRAPHS = duel("kept", "kept") + "---" + duel("held", "held", timeout="30s")


@pytest.fixture
def state():
    """A folder for the systems of one test."""
    with state_folder() as folder:
        yield folder


@pytest.fixture(autouse=True)
def _well(models: Models):
    """Models answer, each with its name."""
    models.fill(OWN_GRAPHS)
    for version, says in SAYS.items():
        for stubs in ("kept", "held"):
            models[f"{stubs}-{version}"].behave(**says)
            models[f"{stubs}-{version}"].forget()


async def labelled(system: Running, ids: list[str], acknowledged: list[str]) -> None:
    """Send labels one after the other, and note those that were acknowledged, until the system is gone."""
    with contextlib.suppress(OSError):
        for one in ids:
            answer = await tell(system, {"requestId": one, "label": 1})
            assert answer.status == 200
            acknowledged.append(one)


async def test_a_killed_supervisor(models: Models, state: Path):
    """Its successor has every booked pair and every acknowledged label; the rest of what was seen is interrupted."""
    graphs = models.fill(OWN_GRAPHS)
    with started(graphs, state, workers=2) as system:
        assert (await command(system, "promote", "kept", "rival", "--force")).code == 0
        ids = [answer.header("x-request-id") or "" for answer in await post_many(system, "/kept", 60)]
        await booked(system, "kept", 60)
        acknowledged: list[str] = []
        children = system.children()
        async with traffic(system, "kept") as seen:
            telling = asyncio.create_task(labelled(system, ids, acknowledged))
            await seen.reaches(50)
            await eventually(lambda: len(acknowledged) >= 10)
            known = counts(report(system, "kept"), "v1")
            system.process.kill()
            system.ended()
            await telling
        await eventually(lambda: all(command_of(pid) != line for pid, line in children.items()))
        answers = 60 + len([answer for answer in seen.answers if answer.status == 200])
        said = system.said()
    assert "Traceback" not in said, said
    with started(graphs, state, workers=2) as system:
        found = report(system, "kept")
        (v1,) = found["challengers"]
        now = {name: count for name, count in v1["counts"].items() if count}
        assert (found["champion"], v1["name"], now.get("pending", 0)) == ("v2", "v1", 0)
        assert found["eligible"] >= answers - _unseen(seen)
        assert now["paired"] >= known["paired"]
        assert now["paired"] + now.get("interrupted", 0) + now.get("champion_failed", 0) == found["eligible"]
        assert v1["truth"]["joined"] >= len(acknowledged)
        again = await tell(system, [{"requestId": one, "label": 2} for one in acknowledged])
        assert again.body == {"accepted": 0, "duplicate": len(acknowledged), "unknown": 0}
        assert await champion(system, "kept") == "v2"
        assert system.said().count("graph kept: the promotion of rival is in effect") == 1
        assert (await command(system, "rollback", "kept")).code == 0
        assert await champion(system, "kept") == "v1"
        assert list((state / "ledgers").glob("*.ledger")) != []  # of the workers that live
    assert list((state / "ledgers").iterdir()) == []
    assert {name: oct(mode) for name, mode in modes(state).items() if mode & 0o077} == {}


def _unseen(seen) -> int:
    """Answers without a processor's word."""
    return sum("!fail-open" in (answer.header("x-extproc-route") or "") for answer in seen.answers)


async def test_a_drain_with_a_challenger_that_hangs(models: Models, state: Path):
    """It ends in time and well; what the challenger still held is interrupted, as the next system shows."""
    graphs = models.fill(OWN_GRAPHS)
    with started(graphs, state) as system:
        await post_many(system, "/held", 20)
        await booked(system, "held", 20)
        rival = models["held-v2"]
        rival.behave(stop="hang")
        rival.forget()
        answers = await post_many(system, "/held", HELD)
        assert {answer.status for answer in answers} == {200}
        await rival.wait_for_requests(HELD)
        began = time.monotonic()
        system.signal(signal.SIGTERM)
        assert await asyncio.to_thread(system.ended) == 0
        assert time.monotonic() - began < 9
        assert system.said() == ""
    with started(graphs, state) as system:
        found = report(system, "held")
        assert (found["eligible"], counts(found)) == (20 + HELD, {"paired": 20, "interrupted": HELD})


async def test_a_node_that_is_edited(models: Models, state: Path):
    """Other edits keep a promotion and its evidence; an edited challenge wins, and the log says so."""
    with started(models.fill(OWN_GRAPHS), state) as system:
        await post_many(system, "/kept", 10)
        await booked(system, "kept", 10)
        assert (await command(system, "promote", "kept", "rival", "--force")).code == 0
        await post_many(system, "/kept", 7)
        await booked(system, "kept", 7)
    with started(models.fill(OWN_GRAPHS.replace("timeout: 2s", "timeout: 3s")), state) as system:
        found = report(system, "kept")
        assert (found["champion"], found["eligible"]) == ("v2", 7)
        assert await champion(system, "kept") == "v2"
        assert "graph kept: the promotion of rival is in effect" in system.said()
    edited = duel("kept", "kept", more="noise: true, guardrails: {errors: {max: 0.5}}")
    with started(models.fill(edited), state) as system:
        found = report(system, "kept")
        assert (found["champion"], found["eligible"]) == ("v1", 0)
        assert await champion(system, "kept") == "v1"
        assert "graph kept: its challenge was edited, so the promotion of rival is no longer in effect" in system.said()
        refused = await command(system, "rollback", "kept")
        assert (refused.code, refused.err) == (1, "extproc: kept has no promotion to roll back\n")
        assert (await command(system, "promote", "kept", "rival", "--force")).code == 0
        kept = (state / "promotions.json").read_bytes()
        second = await asyncio.to_thread(_second, state, models.fill(OWN_GRAPHS))
        assert (second.returncode, second.stdout) == (1, "")
        assert second.stderr == f"extproc: --state {state} is in use by another extproc; choose another folder\n"
        assert (state / "promotions.json").read_bytes() == kept
        assert (await command(system, "rollback", "kept")).code == 0
        assert await champion(system, "kept") == "v1"
    with started(models.fill(OWN_GRAPHS), state) as system:
        found = report(system, "kept")
        assert (found["champion"], found["eligible"]) == ("v1", 10)
        assert one_of(found)["counts"]["paired"] == 10


def _second(state: Path, graphs: str) -> subprocess.CompletedProcess[str]:
    """Start another system on a folder that one holds, with another challenge in its file."""
    file = state / "second.yaml"
    file.write_text(graphs)
    words = [EXTPROC, "up", str(file), "--port", "0", "--admin", "127.0.0.1:0", "--state", str(state)]
    return subprocess.run(words, capture_output=True, text=True, check=False, timeout=60)


def modes(folder: Path) -> dict[str, int]:
    """The modes of what is in a folder."""
    return {path.name: stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()}
