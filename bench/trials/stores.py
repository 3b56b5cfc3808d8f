"""The same traffic to four workers that share a PostgreSQL and to one worker with SQLite: the same figures.

Both get the same requests, with the same ids, sticky keys and misbehaviour of models, and the same feedback: some of it
before its request, some twice, some of requests that nobody sent. What is compared is all of both reports but what a clock
says: latencies, times, and decisions and histories, which are figures of the moment at which somebody looked.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from typing import TYPE_CHECKING, Any

from bench.load import encode
from bench.trials.clock import run
from bench.trials.model import label_of, text_of, truth_of, vector_of
from bench.trials.scene import HOST, Found, graph, models, system
from tests.kit.client import RawConnection
from tests.kit.postgres import postgres

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from bench.trials.options import Options
    from bench.trials.scene import Model, System

REQUESTS = 1200  # to each graph: all that may become of one is met several times
CONNECTIONS = 8
PIECE = 300  # labels of one POST
EARLY = 100  # requests whose labels come before them
CHALLENGE = """\
challenge:
  champion: v1
  challengers:
    - {{name: gbm, to: v2, sample: 60%, by: 'request.headers["x-user-id"]'}}
    - {{name: deep, to: v3}}
  noise: {noise}
  compare: {{kind: {kind}{tolerance}, by: 'request.headers["x-country"]'}}
  guardrails: {{agreement: {{min: 0.9}}, errors: {{max: 0.05}}, truth: {{metric: accuracy, minGain: 0}}}}
"""
TOLERANCES = {"number": ", tolerance: 0.05", "label": "", "vector": ", tolerance: 0.07", "text": ""}
TRUTHS = {"number": truth_of, "label": label_of, "vector": vector_of, "text": text_of}
COUNTRIES = ("at", "ch", "de", "it")
# One request in so many asks for it. Primes, so that everything meets everything.
EVERY = {"x-v1: fail": 37, "x-v1: garbage": 113, "x-v2: fail": 23, "x-v2: hang": 397, "x-v3: garbage": 19}
EVERY |= {"x-v3: large": 101, "content-type: application/grpc": 89}
OVERSIZED, PADDING = 211, 1_200_000  # bytes: above maxBody, whose default is 1 MiB
# Figures are compared here, not limits: a pause of the machine is to shed nothing.
ROOMY = ("--limit", "challenge.concurrency=512", "--limit", "challenge.queue=4096")
ALIKE = ("feedback", "statuses")  # what clients and those who told labels were answered
TIMES = frozenset({"at", "latency", "championLatency", "challengerLatency", "history", "decisions", "examples"})


def stores(_options: Options) -> Found:
    """Run the trial."""
    with models(2) as (champion, challengers), postgres() as url:
        graphs = "".join(_graph(kind, champion, challengers) for kind in TOLERANCES)
        shared = _reports(graphs, 4, "--store", url)
        alone = _reports(graphs, 1)
    return _found(shared, alone)


def _graph(kind: str, champion: Model, challengers: Model) -> str:
    used = [champion.at("v1", kind, 2), challengers.at("v2", kind, 3), challengers.at("v3", kind, 0)]
    root = CHALLENGE.format(kind=kind, tolerance=TOLERANCES[kind], noise=str(kind == "number").lower())
    return graph(kind, used, root)


def _reports(graphs: str, workers: int, *arguments: str) -> dict[str, Any]:
    """Return every graph's report after traffic and feedback, and what the feedback was answered."""
    with system(graphs, workers, *ROOMY, *arguments) as subject:
        taken, statuses = Counter[str](), Counter[int]()
        for kind in TOLERANCES:
            taken += _told(subject, kind, range(EARLY))
            statuses += run(_send(subject.port, kind))
        for kind in TOLERANCES:
            subject.settled(kind, REQUESTS)
            taken += _told(subject, kind, range(REQUESTS + EARLY))
        said = subject.running.said()
        reports = {kind: subject.settled(kind, REQUESTS) for kind in TOLERANCES}
    return {
        "reports": reports,
        "feedback": dict(taken),
        "statuses": dict(sorted(statuses.items())),
        "said": said.splitlines(),
    }


def _told(subject: System, kind: str, numbers: Sequence[int]) -> Counter[str]:
    """Tell labels, and rewards of some; return what was answered."""
    taken: Counter[str] = Counter()
    for start in range(0, len(numbers), PIECE):
        taken += Counter(subject.post("/feedback", [_feedback(kind, n) for n in numbers[start : start + PIECE]]))
    return taken


def _feedback(kind: str, number: int) -> dict[str, Any]:
    said: dict[str, Any] = {"requestId": _id(kind, number)}
    said["label"] = [TRUTHS[kind](instance) for instance in _instances(number)]
    if number % 7 == 0:
        said["reward"] = number / 16
    return said


def _id(kind: str, number: int) -> str:
    return f"{kind}-{number:06d}"


def _instances(number: int) -> list[list[float]]:
    """Return one to three instances: a batch is one sample."""
    return [[number / 8, place, 0.5] for place in range(1 + number % 3)]


def _request(kind: str, number: int) -> bytes:
    headers = {name for name, every in EVERY.items() if number % every == every - 1}
    if not any(header.startswith("content-type") for header in headers):
        headers.add("content-type: application/json")
    headers |= {f"x-request-id: {_id(kind, number)}", f"x-user-id: u{number % 271}"}
    headers.add(f"x-country: {COUNTRIES[number % len(COUNTRIES)]}")
    body = json.dumps({"instances": _instances(number)}).encode()
    padding = PADDING if number % OVERSIZED == OVERSIZED - 1 else 0
    return encode(f"/{kind}", host=HOST, headers=sorted(headers), body=body + b" " * padding)


async def _send(port: int, kind: str) -> Counter[int]:
    """Send all requests to a graph, so many at a time; return how often each status came."""
    numbers = iter(range(REQUESTS))
    statuses: Counter[int] = Counter()

    async def send_on() -> None:
        async with await RawConnection.open(port) as connection:
            for number in numbers:
                await connection.send(_request(kind, number))
                statuses[(await connection.response()).status] += 1

    async with asyncio.TaskGroup() as group:
        for _ in range(CONNECTIONS):
            group.create_task(send_on())
    return statuses


def _figures(document: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Yield every figure of a report with its place, but what a clock says."""
    match document:
        case dict():
            for name, value in document.items():
                if name not in TIMES:
                    yield from _figures(value, f"{path}.{name}")
        case list():
            yield f"{path}.length", len(document)
            for place, value in enumerate(document):
                yield from _figures(value, f"{path}[{place}]")
        case _:
            yield path, document


def _examples(report: dict[str, Any]) -> dict[tuple[str, str], Any]:
    """Return examples by challenger and request, without times: which of them are the newest, times decide."""
    return {
        (one["name"], example["requestId"]): {name: said for name, said in example.items() if name not in TIMES}
        for one in report["challengers"]
        for example in one["examples"]
    }


def _differences(shared: dict[str, Any], alone: dict[str, Any]) -> tuple[int, list[str]]:
    """Return how many figures were compared, and where they are not the same."""
    ours, theirs = dict(_figures(shared)), dict(_figures(alone))
    places = [place for place in ours.keys() | theirs.keys() if ours.get(place) != theirs.get(place)]
    first, second = _examples(shared["report"]), _examples(alone["report"])
    both = first.keys() & second.keys()
    places += [f"example {one}" for one in both if first[one] != second[one]]
    return len(ours) + len(both), sorted(places)


def _found(shared: dict[str, Any], alone: dict[str, Any]) -> Found:
    compared, places = 0, []
    figures: dict[str, object] = {}
    for kind in TOLERANCES:
        pair = ({"report": one["reports"][kind], **{name: one[name] for name in ALIKE}} for one in (shared, alone))
        count, found = _differences(*pair)
        compared += count
        places += [f"{kind}{place}" for place in found]
        figures[kind] = _line(alone["reports"][kind])
    figures |= {"feedback": alone["feedback"], "figures compared": compared, "not the same": places[:10] or "none"}
    data = {"compared": compared, "different": places, "four workers, PostgreSQL": shared, "one worker, SQLite": alone}
    asked = "the same figures from four workers with one PostgreSQL and one with SQLite"
    return Found("the same figures from both stores", figures, asked, not places, data)


def _line(report: dict[str, Any]) -> str:
    challengers = (
        f"{one['name']}: "
        + ", ".join(f"{name} {count}" for name, count in one["counts"].items() if count)
        + f", {one['truth']['joined'] if one['truth'] else 0} with labels"
        for one in report["challengers"]
    )
    return "; ".join(challengers)
