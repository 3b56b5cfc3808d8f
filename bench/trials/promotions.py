"""Fifty promotions and rollbacks under load: no request fails, each is answered by the champion of its own generation.

An answer says its generation (``x-extproc-graph``), and in its body which model made it; promotions and rollbacks say who
is champion of which generation, and from when on: whatever is sent after one has returned belongs to it.
"""

from __future__ import annotations

import asyncio
import random
import time
from bisect import bisect_right
from collections import Counter
from dataclasses import dataclass, field
from statistics import median
from typing import TYPE_CHECKING, Any, NamedTuple

from bench.trials.clock import run
from bench.trials.scene import Found, graph, models, post, system
from extproc.commands.asking import challenge_path
from tests.kit.client import NoResponse, RawConnection

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from bench.trials.options import Options
    from bench.trials.scene import System

NAME = "fraud"
EACH = 25  # promotions, and as many rollbacks
CONNECTIONS = 8
TAKES = 20  # milliseconds of a model, so that so many connections are some 300 requests a second
WORKERS = 2
PAUSE = 0.3  # seconds of load between one and the next
WITHIN = 2.0  # seconds after which one is to be in effect everywhere
ROOT = """\
challenge:
  champion: v1
  challengers: [{name: v2, to: v2}, {name: v3, to: v3, sample: 50%}]
  compare: {tolerance: 0.05}
  guardrails: {agreement: {min: 0.97}}
"""


class Answered(NamedTuple):
    """A request: when it was sent and answered, its generation, and who answered; 0 is no answer at all."""

    sent: float
    ended: float
    status: int
    generation: str
    model: str


class Change(NamedTuple):
    """A promotion or a rollback, and what it was answered."""

    asked: float
    returned: float
    generation: str
    champion: str
    event: str
    loading: float = 0.0  # seconds that workers and Envoy took, as the answer says

    @property
    def took(self) -> float:
        """Seconds until it was in effect everywhere, and answered."""
        return self.returned - self.asked


@dataclass
class Played:
    """All that happened."""

    answers: list[Answered] = field(default_factory=list)
    changes: list[Change] = field(default_factory=list)


def promotions(options: Options) -> Found:
    """Run the trial."""
    with models(1) as (model,):
        used = [model.at(name, "number", TAKES) for name in ("v1", "v2", "v3")]
        with system(graph(NAME, used, ROOT), WORKERS) as subject:
            first = Change(0.0, time.perf_counter(), f"{subject.running.graphs[0]}", "v1", "started")
            played = run(_play(subject, options))
            played.changes.insert(0, first)
            decisions = subject.report(NAME)["decisions"]
            told = {"faults": subject.running.faults(), "said": subject.running.said().splitlines()}
    return _found(played, decisions, told)


async def _play(subject: System, options: Options) -> Played:
    played = Played()
    over = asyncio.Event()
    clients = [asyncio.create_task(_ask_on(subject.port, played.answers, over)) for _ in range(CONNECTIONS)]
    try:
        for place in _course(options.seed):
            await asyncio.sleep(PAUSE)
            played.changes.append(await asyncio.to_thread(_change, subject, place))
        await asyncio.sleep(PAUSE)
    finally:
        over.set()
        await asyncio.gather(*clients)
    return played


def _course(seed: int) -> Iterator[int | None]:
    """Yield the place of a challenger to promote, ``EACH`` times, or None to roll back, as often, where there is any."""
    chance = random.Random(seed)
    promoted = rolled_back = 0
    while rolled_back < EACH:
        promote = promoted < EACH and (promoted == rolled_back or chance.random() < 0.5)
        promoted += promote
        rolled_back += not promote
        yield chance.randrange(2) if promote else None


def _change(subject: System, place: int | None) -> Change:
    """Promote the challenger at a place, or roll back."""
    path, order = "/rollback", None
    if place is not None:
        challengers = subject.report(NAME)["challengers"]
        path, order = "/promote", {"challenger": challengers[place]["name"], "force": True}
    asked = time.perf_counter()
    said = subject.post(challenge_path(NAME, path), order)
    returned = time.perf_counter()
    return Change(asked, returned, said["generation"], said["champion"], said["event"], said["seconds"])


async def _ask_on(port: int, answers: list[Answered], over: asyncio.Event) -> None:
    """Send one request after the other; a connection that breaks is opened again."""
    number = 0
    while not over.is_set():
        try:
            async with await RawConnection.open(port) as connection:
                while not over.is_set():
                    number += 1
                    answers.append(await _ask(connection, number))
        except OSError:
            continue  # noted by whoever was asked


async def _ask(connection: RawConnection, number: int) -> Answered:
    sent = time.perf_counter()
    try:
        await connection.send(post(NAME, [[number / 8]]))
        answer = await connection.response()
        model = str(answer.json().get("model"))
    except (NoResponse, OSError, ValueError, TimeoutError) as problem:
        return Answered(sent, time.perf_counter(), 0, type(problem).__name__, "")
    return Answered(sent, time.perf_counter(), answer.status, answer.header("x-extproc-graph") or "", model)


def _found(played: Played, decisions: Sequence[dict[str, Any]], told: dict[str, Any]) -> Found:
    champions = {change.generation: change.champion for change in played.changes}
    failed = [answer for answer in played.answers if answer.status != 200]
    foreign = [answer for answer in played.answers if champions.get(answer.generation) != answer.model]
    stale = list(_stale(played))
    changes = played.changes[1:]
    times, loading = [change.took for change in changes], [change.loading for change in changes]
    events = Counter(change.event for change in changes)
    noted = Counter(one["event"] for one in decisions)
    figures: dict[str, object] = {
        "changes": dict(events),
        "generations": len(champions),
        "requests": len(played.answers),
        "failed": len(failed),
        "answered by another than its generation's champion": len(foreign),
        "of a generation that was replaced before they were sent": len(stale),
        "in effect after, p50 / most, s": f"{median(times):.2f} / {max(times):.2f}",
        "of which workers and Envoy took, p50 / most, s": f"{median(loading):.2f} / {max(loading):.2f}",
        "faults that Envoy counted": told["faults"] or "none",
    }
    met = not failed and not foreign and not stale and max(times) <= WITHIN and len(changes) == 2 * EACH
    data = {
        "changes": [change._asdict() | {"took": round(change.took, 4)} for change in changes],
        "failed": [answer._asdict() for answer in failed[:20]],
        "foreign": [answer._asdict() for answer in foreign[:20]],
        "stale": [answer._asdict() for answer in stale[:20]],
        "by generation": Counter(answer.generation for answer in played.answers),
        "decisions of the last generation": dict(noted),
        **told,
    }
    asked = f"none failed, each by its generation's champion, in effect within {WITHIN:.0f} s"
    return Found("promotions and rollbacks under load", figures, asked, met, data)


def _stale(played: Played) -> Iterator[Answered]:
    """Yield answers of a generation that was in force at no time between the request and its answer.

    While a change is under way, the one before and the one after it both are.
    """
    asked, returned = ([getattr(change, name) for change in played.changes] for name in ("asked", "returned"))
    for answer in played.answers:
        first, last = bisect_right(returned, answer.sent) - 1, bisect_right(asked, answer.ended)
        if answer.generation not in {change.generation for change in played.changes[first:last]}:
            yield answer
