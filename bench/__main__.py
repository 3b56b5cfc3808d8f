"""``make bench``: the same load on Envoy's own weighted clusters, a split graph and a body switch, in one run.

Several rounds, each subject once a round, so that a machine whose speed drifts slows all of them; and several starts of
all subjects, because two starts of the very same may differ by a tenth for as long as they run. CPU per request is the
figure to trust on a shared machine; its ratios are against Envoy's own weighted clusters, and of traces against the same
graph without: the median of the starts, and between which bounds they lie.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import tempfile
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

import uvloop
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from bench.load import cpu_seconds, encode, run, variants
from bench.subjects import collector, extproc, machine, upstream, weighted_clusters

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from typing import TypeAlias

    from bench.load import Result
    from bench.subjects import Subject

    Started: TypeAlias = tuple[Subject, Sequence[bytes]]
    Start: TypeAlias = Callable[[], Started]
    Measured: TypeAlias = dict[tuple[str, int], list[list["Figures"]]]  # by start, by round

HOST = "bench.local"
PATH = "/v1/models/bench:predict"
KEYS = 1000
SPLIT_GRAPH = "split graph"
TRACED = (0.0, 0.01, 1.0)  # shares of traces
WARM_UP = 0.5  # seconds of load after a start
WIDTH = 120  # of a table that no terminal bounds
RESULTS = Path(__file__).parent / "results" / "latest.json"

GRAPH = """\
apiVersion: extproc.dev/v1
kind: InferenceGraph
metadata: {{name: bench}}
spec:
  match: [{{path: {path}}}]
  models:
    stable: {{url: "http://127.0.0.1:{port}"}}
    canary: {{url: "http://127.0.0.1:{port}"}}
  nodes:
    root:
{root}
"""
SPLIT = """\
      split:
        by: request.headers["x-user-id"]
        routes: [{to: stable, weight: 90}, {to: canary, weight: 10}]
"""
SWITCH = """\
      switch:
        cases: [{when: request.body.parameters.tier == "gold", to: canary}]
        default: stable
"""


@dataclass(frozen=True)
class Figures:
    """One subject in one round (or the medians of rounds): times in the units their names say."""

    p50_ms: float
    p99_ms: float
    rate: float
    envoy_us: float
    python_us: float

    @property
    def cpu_us(self) -> float:
        """CPU per request of Envoy and Python together."""
        return self.envoy_us + self.python_us


def main() -> None:
    """Measure, print a table, write JSON."""
    options = _parser().parse_args()
    measured = _measure(options)
    said = {name: getattr(options, name) for name in ("starts", "rounds", "seconds")}
    report = {"machine": machine(), **said, "figures": _data(measured)}
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    if options.json:
        print(json.dumps(report, indent=2))
    else:
        _print(measured)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="bench",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="example:\n  python -m bench --only 'traces 1%' --starts 15    # with what it is compared with",
    )
    parser.add_argument("--starts", type=_positive, default=5, help="of every subject; default: %(default)s")
    parser.add_argument("--rounds", type=_positive, default=2, help="of each start; default: %(default)s")
    parser.add_argument(
        "--seconds", type=float, default=1.5, help="of load per subject and round; default: %(default)s"
    )
    parser.add_argument("--connections", type=_positive, nargs="+", default=[1, 16], help="default: 1 16")
    parser.add_argument("--only", metavar="TEXT", default="", help="subjects whose name has this in it; default: all")
    parser.add_argument("--json", action="store_true")
    return parser


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("at least 1")
    return number


def _subjects(stack: ExitStack, folder: Path) -> dict[str, Start]:
    """Return how each subject is started, by its name."""
    port = stack.enter_context(upstream())
    spans = stack.enter_context(collector())
    keyed = variants("x-user-id", KEYS, PATH, host=HOST)
    bodies = [_body(n) for n in range(KEYS)]
    posted = [encode(PATH, host=HOST, headers=["content-type: application/json"], body=body) for body in bodies]

    def bare(requests: Sequence[bytes]) -> Started:
        return stack.enter_context(weighted_clusters(port, folder)), requests

    def graph(root: str, requests: Sequence[bytes], environment: Mapping[str, str] | None = None) -> Started:
        return _started(stack, Path(tempfile.mkdtemp(dir=folder)), port, root, environment), requests

    return {
        "weighted clusters": lambda: bare(keyed),
        SPLIT_GRAPH: lambda: graph(SPLIT, keyed),
        **{
            f"{SPLIT_GRAPH}, traces {share:.0%}": partial(graph, SPLIT, keyed, _traced(spans, share))
            for share in TRACED
        },
        "weighted clusters, 1 KB": lambda: bare(posted),
        "body switch, 1 KB": lambda: graph(SWITCH, posted),
    }


def _asked(names: Iterable[str], only: str) -> set[str]:
    """Return the subjects that are asked for, and what they are compared with."""
    asked = {name for name in names if only in name}
    if not asked:
        sys.exit(f"no subject has {only!r} in its name; there are: {'; '.join(names)}")
    asked |= {_base(name) for name in asked}
    return asked | {_base(name) for name in asked}


def _started(
    stack: ExitStack, folder: Path, port: int, root: str, environment: Mapping[str, str] | None = None
) -> Subject:
    return stack.enter_context(extproc(GRAPH.format(path=PATH, port=port, root=root), folder, environment))


def _traced(port: int, share: float) -> dict[str, str]:
    return {
        "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{port}",
        "OTEL_TRACES_SAMPLER": "parentbased_traceidratio",
        "OTEL_TRACES_SAMPLER_ARG": str(share),
    }


def _body(number: int) -> bytes:
    """Return a V1 request of 1 KB; one in ten is of the tier the switch asks for."""
    tier = "gold" if number % 10 == 0 else "silver"
    body = {"parameters": {"tier": tier}, "instances": [[0.125 * n + number for n in range(1, 101)]]}
    return json.dumps(body).encode()[:-1].ljust(1023) + b"}"


def _measure(options: argparse.Namespace) -> Measured:
    measured: Measured = {}
    with Progress(console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("measuring", total=None)
        for _ in range(options.starts):
            with ExitStack() as stack:
                folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
                starts = _subjects(stack, folder)
                names = _asked(starts, options.only)
                started = {name: start() for name, start in starts.items() if name in names}
                progress.update(
                    task, total=options.starts * (options.rounds + 1) * len(options.connections) * len(started)
                )
                for connections, (name, figures) in _rounds(started, options):
                    measured.setdefault((name, connections), []).append(figures)
                    progress.advance(task, options.rounds + 1)
    return measured


def _rounds(
    started: Mapping[str, Started], options: argparse.Namespace
) -> Iterator[tuple[int, tuple[str, list[Figures]]]]:
    """Return the figures of a start's rounds, of each subject, by the number of connections."""
    for connections in options.connections:
        found: dict[str, list[Figures]] = {name: [] for name in started}
        for subject, requests in started.values():
            _once(subject, requests, connections, WARM_UP)
        for _ in range(options.rounds):
            for name in random.sample(list(started), len(started)):  # what ran before leaves its mark on caches
                found[name].append(_once(*started[name], connections, options.seconds))
        yield from ((connections, one) for one in found.items())


def _once(subject: Subject, requests: Sequence[bytes], connections: int, seconds: float) -> Figures:
    before = _cpu(subject)
    result: Result = uvloop.run(run(("127.0.0.1", subject.port), requests, connections=connections, seconds=seconds))
    envoy, python = (after - start for start, after in zip(before, _cpu(subject), strict=True))
    if set(result.statuses) != {200} or result.errors:
        sys.exit(f"the load was not answered well: {dict(result.statuses)} {dict(result.errors)}")
    per = 1e6 / result.requests
    return Figures(result.quantile(0.5) * 1e3, result.quantile(0.99) * 1e3, result.rate, envoy * per, python * per)


def _cpu(subject: Subject) -> tuple[float, float]:
    return cpu_seconds(subject.envoy), sum(cpu_seconds(pid) for pid in subject.python)


def _medians(rounds: Sequence[Figures]) -> Figures:
    columns = zip(*(asdict(figures).values() for figures in rounds), strict=True)
    return Figures(*(median(column) for column in columns))


def _base(name: str) -> str:
    """Return what a subject is compared with: Envoy's own weighted clusters, and traces with the same without."""
    if "traces" in name:
        return SPLIT_GRAPH
    return "weighted clusters, 1 KB" if "1 KB" in name else "weighted clusters"


def _ratios(measured: Measured, name: str, connections: int) -> list[float]:
    """Return CPU per request against the baseline, of each start: the median of its rounds, each against the same round."""
    base = measured[_base(name), connections]
    return [
        median(one.cpu_us / other.cpu_us for one, other in zip(rounds, others, strict=True))
        for rounds, others in zip(measured[name, connections], base, strict=True)
    ]


def _added(measured: Measured, name: str, connections: int) -> float:
    pairs = zip(_all(measured[name, connections]), _all(measured[_base(name), connections]), strict=True)
    return median(one.p50_ms - other.p50_ms for one, other in pairs)


def _all(starts: Sequence[Sequence[Figures]]) -> list[Figures]:
    return [figures for rounds in starts for figures in rounds]


def _data(measured: Measured) -> list[dict[str, object]]:
    return [
        {
            "subject": name,
            "connections": connections,
            **{key: round(value, 3) for key, value in asdict(_medians(_all(starts))).items()},
            "cpu_us": round(_medians(_all(starts)).cpu_us, 1),
            "cpu_ratio": round(median(_ratios(measured, name, connections)), 3),
            "cpu_ratios": [round(ratio, 3) for ratio in _ratios(measured, name, connections)],
            "added_p50_ms": round(_added(measured, name, connections), 3),
        }
        for (name, connections), starts in measured.items()
    ]


def _print(measured: Measured) -> None:
    table = Table(title="CPU µs per request of Envoy and Python, its ratio, and latency in ms; medians")
    table.add_column("subject", no_wrap=True)
    for column in ("conns", "p50", "p99", "req/s", "Envoy", "Python", "CPU", "of the starts", "added"):
        table.add_column(column, justify="right")
    for (name, connections), starts in measured.items():
        of = _medians(_all(starts))
        ratios = _ratios(measured, name, connections)
        table.add_row(
            name,
            str(connections),
            f"{of.p50_ms:.2f}",
            f"{of.p99_ms:.2f}",
            f"{of.rate:.0f}",
            f"{of.envoy_us:.0f}",
            f"{of.python_us:.0f}",
            f"{median(ratios):.2f} x",
            f"{min(ratios):.2f}-{max(ratios):.2f}",
            f"{_added(measured, name, connections):+.2f}",
        )
    Console(width=None if sys.stdout.isatty() else WIDTH).print(table)


if __name__ == "__main__":
    main()
