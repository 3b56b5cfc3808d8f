"""Every request in exactly one count, while a challenger is killed and started again twice, and a worker killed once.

What a processor saw is told by Envoy: every request opens a stream to one, and answers that were made without a processor's
word say so in ``x-extproc-route``. A request whose worker died, or was slow, after it was counted and before Envoy had its
word is in both: so the eligible ones are at least the answers with a processor's word, and at most the streams opened.
"""

from __future__ import annotations

import asyncio
import os
import signal
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bench.trials.clock import run
from bench.trials.open_loop import OpenLoop
from bench.trials.scene import Found, graph, models, post, system, total

if TYPE_CHECKING:
    from bench.trials.open_loop import Sent
    from bench.trials.options import Options
    from bench.trials.scene import Model, System

NAME = "fraud"
RATE = 300.0
SECONDS = 60.0
WORKERS = 2
ROOT = """\
challenge:
  champion: v1
  challengers: [{name: gbm, to: v2}, {name: few, to: v3, sample: 10%}]
  compare: {tolerance: 0.05, by: 'request.headers["x-country"]'}
"""
COUNTRIES = ("at", "ch", "de")
STREAMS = r"^http\.ingress\.ext_proc\.(fast|body)\.(streams_started|streams_failed|failure_mode_allowed)$"
UNKNOWN = b"!fail-open"
# Requests that a worker saw and has not told: it tells twice a second, and has half of them. As many again for pauses.
UNTOLD = round(RATE / 2)
# What happens, by the share of the time that has gone by.
KILL_CHALLENGER, START_CHALLENGER, KILL_WORKER = "kill", "start", "kill a worker"
COURSE = (
    (0.15, KILL_CHALLENGER),
    (0.25, START_CHALLENGER),
    (0.45, KILL_WORKER),
    (0.65, KILL_CHALLENGER),
    (0.75, START_CHALLENGER),
)


@dataclass
class Played:
    """What was sent, and how many were under way when the worker was killed."""

    sent: Sent
    held: int


def counts(options: Options) -> Found:
    """Run the trial."""
    with ExitStack() as stack:
        champion, challenger = stack.enter_context(models(2))
        used = [champion.at("v1", "number", 20), challenger.at("v2", "number", 25), challenger.at("v3", "number", 5)]
        subject = stack.enter_context(system(graph(NAME, used, ROOT, "2s"), WORKERS))
        played = run(_play(subject, challenger, options.seconds or SECONDS))
        report = subject.settled(NAME)
        streams = subject.running.stats(STREAMS)
        said = subject.running.said()
    return _found(played, report, _summed(streams), said)


async def _play(subject: System, challenger: Model, seconds: float) -> Played:
    requests = [post(NAME, [[number / 8]], f"x-country: {COUNTRIES[number % len(COUNTRIES)]}") for number in range(300)]
    load = OpenLoop(subject.port, lambda number: requests[number % len(requests)], RATE)
    loading = asyncio.create_task(load.run(seconds))
    held = await _disturb(load, subject, challenger, seconds)
    return Played(await loading, held)


async def _disturb(load: OpenLoop, subject: System, challenger: Model, seconds: float) -> int:
    """Do what is to be done in its course; return how many requests were under way when the worker was killed."""
    held = 0
    start = asyncio.get_running_loop().time()
    for share, what in COURSE:
        await asyncio.sleep(start + share * seconds - asyncio.get_running_loop().time())
        match what:
            case "kill":
                challenger.kill()
            case "start":
                await asyncio.to_thread(challenger.start)
            case _:
                held = load.under_way
                os.kill(min(subject.running.workers()), signal.SIGKILL)
    return held


def _summed(streams: dict[str, int]) -> dict[str, int]:
    summed: dict[str, int] = {}
    for name, count in streams.items():
        short = name.rpartition(".")[2]
        summed[short] = summed.get(short, 0) + count
    return summed


def _found(played: Played, report: dict[str, Any], streams: dict[str, int], said: str) -> Found:
    sent = played.sent
    counts_ = {one["name"]: one["counts"] for one in report["challengers"]}
    checks = _checks(played, report, streams)
    figures: dict[str, object] = {
        "requests / other answers than 200, and none": f"{sent.asked} / {_failed(sent)}",
        "latency p50 / p99, ms": f"{1e3 * sent.quantile(0.5):.1f} / {1e3 * sent.quantile(0.99):.1f}",
        "Envoy: streams started / failed": f"{streams['streams_started']} / {streams['streams_failed']}",
        "answers without a processor's word": _unseen(sent),
        "eligible": report["eligible"],
        **{name: ", ".join(f"{key} {n}" for key, n in found.items() if n) for name, found in counts_.items()},
        "under way when the worker was killed": played.held,
        **{name: "yes" if held else "NO" for name, held in checks.items()},
    }
    data = {
        "sent": sent.summary(),
        "answers": {told.decode(): n for told, n in sent.answers.items()},
        "report": {"eligible": report["eligible"], "counts": counts_, "dropped": report["dropped"]},
        "streams": streams,
        "checks": checks,
        "said": said.splitlines(),
    }
    return Found("every request in one count", figures, "all yes", all(checks.values()), data)


def _checks(played: Played, report: dict[str, Any], streams: dict[str, int]) -> dict[str, bool]:
    """Return what must hold, and whether it does."""
    sent, eligible, challengers = played.sent, report["eligible"], report["challengers"]
    interrupted = max(one["counts"]["interrupted"] for one in challengers)
    started = streams["streams_started"]
    return {
        "counts add up to eligible": all(total(one) == eligible for one in challengers),
        "nothing is pending": not any(one["counts"]["pending"] for one in challengers),
        "eligible is what a processor saw": sent.requests - _unseen(sent) <= eligible <= started <= sent.asked,
        "interrupted is what a killed worker held and had not told": interrupted <= played.held + UNTOLD,
        "no other request failed": _failed(sent) <= played.held,
    }


def _unseen(sent: Sent) -> int:
    """Return how many answers Envoy made without a processor's word."""
    return sum(count for told, count in sent.answers.items() if UNKNOWN in told)


def _failed(sent: Sent) -> int:
    return sum(sent.errors.values()) + sum(n for status, n in sent.statuses.items() if status != 200)
