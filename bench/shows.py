"""``make shows``: what the engine promises, measured on a real Envoy with models that sleep, hang and fail.

Overlap and quorum, the cost of ten steps in line, a hung model and its neighbours, clients that leave, members that are
cancelled, and token streams from a chain's last step. A table for people, JSON beside it.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import subprocess
import sys
import tempfile
import time
import urllib.request
from contextlib import ExitStack, contextmanager
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

import uvloop
from rich.console import Console
from rich.table import Table

from bench.load import cpu_seconds, encode, run
from bench.subjects import Subject, extproc

if TYPE_CHECKING:
    from collections.abc import Iterator

RESULTS = Path(__file__).parent / "results" / "shows.json"
HOST = "bench.local"
ROUNDS = 25

DOCUMENT = """\
apiVersion: extproc.dev/v1
kind: InferenceGraph
metadata: {{name: {name}}}
spec:
  match: [{{path: /{name}}}]
  timeout: {timeout}
  models:
{models}
  nodes:
    root:
{root}
---
"""


def _graph(name: str, timeout: str, port: int, paths: dict[str, str], root: str) -> str:
    lines = [f'    {model}: {{url: "http://127.0.0.1:{port}{path}"}}' for model, path in paths.items()]
    indented = "\n".join(f"      {line}" for line in root.strip("\n").splitlines())
    return DOCUMENT.format(name=name, timeout=timeout, models="\n".join(lines), root=indented)


def _graphs(port: int) -> str:
    line = [f"    - {{name: s{n}, to: ten}}" for n in range(10)]
    return "".join(
        (
            _graph(
                "overlap",
                "5s",
                port,
                {"a": "/sleep/100", "b": "/sleep/100"},
                """
chain:
  steps:
    - {name: a, to: a, input: "${request.body}"}
    - {name: b, to: b, input: "${request.body}"}
  output: {a: "${steps.a.body}", b: "${steps.b.body}"}
""",
            ),
            _graph(
                "quorum",
                "5s",
                port,
                {"a": "/sleep/20", "b": "/sleep/50", "c": "/sleep/80"},
                """
ensemble:
  require: 2
  wait: quorum
  members: [{name: a, to: a}, {name: b, to: b}, {name: c, to: c}]
""",
            ),
            _graph("ten", "5s", port, {"ten": "/sleep/10"}, "chain:\n  steps:\n" + "\n".join(line)),
            _graph(
                "leaves",
                "5s",
                port,
                {"a": "/sleep/300", "b": "/sleep/301", "c": "/sleep/302"},
                "chain:\n  steps: [{name: a, to: a}, {name: b, to: b}, {name: c, to: c}]",
            ),
            _graph(
                "require",
                "5s",
                port,
                {"bad": "/fail", "b": "/sleep/1", "c": "/sleep/2"},
                "ensemble:\n  require: 2\n  members: [{name: a, to: bad}, {name: b, to: b}, {name: c, to: c}]",
            ),
            _graph(
                "hung",
                "500ms",
                port,
                {"h": "/hang", "b": "/sleep/1"},
                "chain:\n  steps: [{name: a, to: h}, {name: b, to: b}]",
            ),
            _graph("quick", "5s", port, {"q": "/sleep/0"}, "split:\n  routes: [{to: q, weight: 1}]"),
            _graph(
                "stream",
                "1s",
                port,
                {"a": "/sleep/5", "s": "/sse/200/20"},
                "chain:\n  steps: [{name: a, to: a}, {name: s, to: s}]",
            ),
        )
    )


@contextmanager
def _slow() -> Iterator[int]:
    command = [sys.executable, "-m", "bench.slow", "--port", "0"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        try:
            yield json.loads(process.stdout.readline() if process.stdout else b"")["port"]
        finally:
            process.terminate()


def _post(name: str) -> bytes:
    return encode(f"/{name}", host=HOST, headers=["content-type: application/json"], body=b'{"instances":[[1]]}')


def _stats(port: int) -> dict[str, Any]:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/stats") as response:
        return dict(json.load(response))


def _times(port: int, name: str, count: int) -> list[float]:
    result = uvloop.run(run(("127.0.0.1", port), [_post(name)], connections=1, count=count))
    return sorted(1e3 * seconds for seconds in result.latencies)


def _rss(subject: Subject) -> int:
    """Return the workers' resident memory in KiB."""
    total = 0
    for pid in subject.python:
        status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
        total += int(next(line for line in status.splitlines() if line.startswith("VmRSS")).split()[1])
    return total


def _overlap(subject: Subject, _slow_port: int, _count: int) -> dict[str, Any]:
    direct = 100.0
    times = _times(subject.port, "overlap", ROUNDS)
    return {"two steps of 100 ms, median ms": round(median(times), 1), "asked": f"<= {1.1 * direct:.0f}"}


def _quorum(subject: Subject, _slow_port: int, _count: int) -> dict[str, Any]:
    return {
        "20/50/80 ms, quorum 2, median ms": round(median(_times(subject.port, "quorum", ROUNDS)), 1),
        "asked": "<= 60",
    }


def _ten(subject: Subject, slow_port: int, _count: int) -> dict[str, Any]:
    alone = _alone(slow_port)
    over = median(_times(subject.port, "ten", ROUNDS)) - 10 * alone
    return {"ten steps of 10 ms, over the stubs' own, ms": round(over, 1), "asked": "<= 15"}


def _alone(slow_port: int) -> float:
    request = encode("/sleep/10", host=HOST, body=b"{}")
    result = uvloop.run(run(("127.0.0.1", slow_port), [request], connections=1, count=50))
    return median(result.latencies) * 1e3


def _hung(subject: Subject, _slow_port: int, _count: int) -> dict[str, Any]:
    times = _times(subject.port, "hung", 100)
    late = sorted(abs(one - 500) for one in times)
    return {"hung model, 99 of 100 off the 500 ms deadline by at most, ms": round(late[98], 1), "asked": "<= 20"}


def _neighbour(subject: Subject, _slow_port: int, _count: int) -> dict[str, Any]:
    async def both() -> float:
        hung = asyncio.create_task(run(("127.0.0.1", subject.port), [_post("hung")], connections=16, seconds=4.0))
        await asyncio.sleep(0.2)
        cpu = await _cpu_per_request(subject, 3.0)
        await hung
        return cpu

    alone, beside = [], []
    for _ in range(3):
        alone.append(uvloop.run(_cpu_per_request(subject, 3.0)))
        beside.append(uvloop.run(both()))
    ratio = median(b / a for a, b in zip(alone, beside, strict=True))
    return {"another graph's CPU per request beside 16 hung ones, ratio": round(ratio, 2), "asked": "unchanged"}


async def _cpu_per_request(subject: Subject, seconds: float) -> float:
    pids = (subject.envoy, *subject.python)
    before = sum(cpu_seconds(pid) for pid in pids)
    result = await run(("127.0.0.1", subject.port), [_post("quick")], connections=4, seconds=seconds)
    return (sum(cpu_seconds(pid) for pid in pids) - before) / result.requests


def _leaves(subject: Subject, slow_port: int, count: int) -> dict[str, Any]:
    before = _stats(slow_port)["asked"]
    uvloop.run(_leaving(subject.port, count // 2))  # until memory is what so many at once take
    warm = _rss(subject)
    uvloop.run(_leaving(subject.port, count))
    after = _stats(slow_port)["asked"]
    later = sum(after.get(path, 0) - before.get(path, 0) for path in ("/sleep/301", "/sleep/302"))
    return {
        f"{count} clients that leave: calls of steps 2 and 3": later,
        "RSS change": f"{100 * (_rss(subject) - warm) / warm:+.1f} %",
        "asked": "0, within 10 %",
    }


async def _leaving(port: int, count: int) -> None:
    gate = asyncio.Semaphore(100)

    async def one() -> None:
        async with gate:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(_post("leaves"))
            await asyncio.sleep(0.05)
            writer.close()

    await asyncio.gather(*(one() for _ in range(count)))


def _require(subject: Subject, slow_port: int, count: int) -> dict[str, Any]:
    uvloop.run(run(("127.0.0.1", subject.port), [_post("require")], connections=16, count=count // 5))
    warm, opened = _rss(subject), _stats(slow_port)["opened"]
    result = uvloop.run(run(("127.0.0.1", subject.port), [_post("require")], connections=16, count=2 * count))
    return {
        f"{2 * count} ensembles with a failing member: statuses": dict(result.statuses),
        "connections opened": _stats(slow_port)["opened"] - opened,
        "RSS change": f"{100 * (_rss(subject) - warm) / warm:+.1f} %",
        "asked": "<= cancelled + 32",
    }


def _stream(subject: Subject, _slow_port: int, _count: int) -> dict[str, Any]:
    arrivals = asyncio.run(_events(subject.port))
    gaps = sorted(1e3 * (b - a) for a, b in pairwise(arrivals))
    return {
        "events of a stream of 4 s behind a deadline of 1 s": len(arrivals),
        "gap median / p99 ms": f"{median(gaps):.1f} / {gaps[int(0.99 * len(gaps))]:.1f}",
        "asked": "200, one by one",
    }


async def _events(port: int) -> list[float]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(_post("stream"))
    arrivals = []
    while line := await reader.readline():
        if line.startswith(b"data: "):
            arrivals.append(time.perf_counter())
        if line == b"0\r\n":
            break
    writer.close()
    return arrivals


SHOWS = (_overlap, _quorum, _ten, _hung, _neighbour, _leaves, _require, _stream)


def main() -> None:
    """Measure everything, print a table, write JSON."""
    parser = argparse.ArgumentParser(prog="bench.shows", description=__doc__)
    parser.add_argument("--count", type=int, default=10_000, help="requests of the long ones; default: %(default)s")
    options = parser.parse_args()
    table = Table(title="what the engine promises")
    for column in ("what", "asked"):
        table.add_column(column)
    found = []
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        port = stack.enter_context(_slow())
        subject = stack.enter_context(extproc(_graphs(port), folder))
        for show in SHOWS:
            row = show(subject, port, options.count)
            found.append(row)
            asked = row.pop("asked")
            table.add_row("\n".join(f"{name}: {value}" for name, value in row.items()), str(asked))
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    Console().print(table)


if __name__ == "__main__":
    main()
