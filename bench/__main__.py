"""``make bench``: the same load on Envoy's own weighted clusters, a split graph and a body switch, in one run.

Several rounds, each subject once a round, so that a machine whose speed drifts slows all of them; medians of rounds.
CPU per request is the figure to trust on a shared machine; ratios are against Envoy's own weighted clusters, and of
traces against the same graph without.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from contextlib import ExitStack
from dataclasses import asdict, dataclass
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
    from collections.abc import Mapping, Sequence

    from bench.load import Result
    from bench.subjects import Subject

HOST = "bench.local"
PATH = "/v1/models/bench:predict"
KEYS = 1000
SPLIT_GRAPH = "split graph"
TRACED = (0.0, 0.01, 1.0)  # shares of traces
WIDTH = 110  # of a table that no terminal bounds
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
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        measured = _measure(_subjects(stack, folder), options)
    report = {"machine": machine(), "seconds": options.seconds, "rounds": options.rounds, "figures": _data(measured)}
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    if options.json:
        print(json.dumps(report, indent=2))
    else:
        _print(measured)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="bench", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="default: %(default)s")
    parser.add_argument(
        "--seconds", type=float, default=3.0, help="of load per subject and round; default: %(default)s"
    )
    parser.add_argument("--connections", type=int, nargs="+", default=[1, 16], help="default: 1 16")
    parser.add_argument("--json", action="store_true")
    return parser


def _subjects(stack: ExitStack, folder: Path) -> dict[str, tuple[Subject, Sequence[bytes]]]:
    port = stack.enter_context(upstream())
    keyed = variants("x-user-id", KEYS, PATH, host=HOST)
    bodies = [_body(n) for n in range(KEYS)]
    posted = [encode(PATH, host=HOST, headers=["content-type: application/json"], body=body) for body in bodies]
    split = _started(stack, folder / "split", port, SPLIT)
    switch = _started(stack, folder / "switch", port, SWITCH)
    bare = stack.enter_context(weighted_clusters(port, folder))
    spans = stack.enter_context(collector())
    traced = {
        f"{SPLIT_GRAPH}, traces {share:.0%}": _started(
            stack, folder / f"traced{share}", port, SPLIT, _traced(spans, share)
        )
        for share in TRACED
    }
    return {
        "weighted clusters": (bare, keyed),
        SPLIT_GRAPH: (split, keyed),
        **{name: (subject, keyed) for name, subject in traced.items()},
        "weighted clusters, 1 KB": (bare, posted),
        "body switch, 1 KB": (switch, posted),
    }


def _started(
    stack: ExitStack, folder: Path, port: int, root: str, environment: Mapping[str, str] | None = None
) -> Subject:
    folder.mkdir()
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


def _measure(
    subjects: dict[str, tuple[Subject, Sequence[bytes]]], options: argparse.Namespace
) -> dict[tuple[str, int], list[Figures]]:
    measured: dict[tuple[str, int], list[Figures]] = {}
    with Progress(console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("measuring", total=(options.rounds + 1) * len(subjects) * len(options.connections))
        for round_ in range(options.rounds + 1):
            for connections in options.connections:
                for name, (subject, requests) in subjects.items():
                    figures = _once(subject, requests, connections, options.seconds)
                    if round_:  # the first warms up
                        measured.setdefault((name, connections), []).append(figures)
                    progress.advance(task)
    return measured


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


def _ratio(measured: dict[tuple[str, int], list[Figures]], name: str, connections: int) -> float:
    """Return the median over rounds of CPU per request against the baseline of the same round."""
    base = measured[_base(name), connections]
    return median(one.cpu_us / other.cpu_us for one, other in zip(measured[name, connections], base, strict=True))


def _added(measured: dict[tuple[str, int], list[Figures]], name: str, connections: int) -> float:
    base = measured[_base(name), connections]
    return median(one.p50_ms - other.p50_ms for one, other in zip(measured[name, connections], base, strict=True))


def _data(measured: dict[tuple[str, int], list[Figures]]) -> list[dict[str, object]]:
    return [
        {
            "subject": name,
            "connections": connections,
            **{key: round(value, 3) for key, value in asdict(_medians(rounds)).items()},
            "cpu_us": round(_medians(rounds).cpu_us, 1),
            "cpu_ratio": round(_ratio(measured, name, connections), 2),
            "added_p50_ms": round(_added(measured, name, connections), 3),
        }
        for (name, connections), rounds in measured.items()
    ]


def _print(measured: dict[tuple[str, int], list[Figures]]) -> None:
    table = Table(title="CPU µs per request of Envoy and Python, its ratio, and latency in ms; medians of rounds")
    table.add_column("subject", no_wrap=True)
    for column in ("conns", "p50", "p99", "req/s", "Envoy", "Python", "CPU", "added"):
        table.add_column(column, justify="right")
    for (name, connections), rounds in measured.items():
        of = _medians(rounds)
        ratio = _ratio(measured, name, connections)
        table.add_row(
            name,
            str(connections),
            f"{of.p50_ms:.2f}",
            f"{of.p99_ms:.2f}",
            f"{of.rate:.0f}",
            f"{of.envoy_us:.0f}",
            f"{of.python_us:.0f}",
            f"{ratio:.2f} x",
            f"{_added(measured, name, connections):+.2f}",
        )
    Console(width=None if sys.stdout.isatty() else WIDTH).print(table)


if __name__ == "__main__":
    main()
