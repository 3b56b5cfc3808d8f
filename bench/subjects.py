"""What is measured: processes that listen, and which of them are Envoy and which Python."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING

from extproc.envoy.binary import find_envoy

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

PATIENCE = 60.0


@dataclass(frozen=True)
class Subject:
    """An address to send load to, and the processes whose time counts."""

    port: int
    envoy: int
    python: tuple[int, ...] = ()


@contextmanager
def upstream() -> Iterator[int]:
    """Run the cheapest upstream; yield its port."""
    with _helper("upstream.py", "--port", "0") as port:
        yield port


@contextmanager
def collector() -> Iterator[int]:
    """Run a collector that throws spans away; yield its port."""
    with _helper("collector.py") as port:
        yield port


@contextmanager
def _helper(file: str, *arguments: str) -> Iterator[int]:
    command = [sys.executable, str(Path(__file__).parent / file), *arguments]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        try:
            yield json.loads(_line(process.stdout))["port"]
        finally:
            process.terminate()


@contextmanager
def extproc(graph: str, folder: Path, environment: Mapping[str, str] | None = None) -> Iterator[Subject]:
    """Run ``extproc up`` with one worker on one graph."""
    file = folder / "graph.yaml"
    file.write_text(graph, encoding="utf-8")
    command = [sys.executable, "-m", "extproc.cli", "up", str(file), "--port", "0", "--admin", "127.0.0.1:0", "--json"]
    variables = {**os.environ, **(environment or {})}
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=variables) as process:
        try:
            told = json.loads(_line(process.stdout))
            port = int(told["ingress"].rpartition(":")[2])
            yield Subject(port, told["pids"]["envoy"], tuple(told["pids"]["workers"]))
        finally:
            process.terminate()


@contextmanager
def weighted_clusters(upstream_port: int, folder: Path) -> Iterator[Subject]:
    """Run a bare Envoy that splits 90/10 by itself: what an operator would write without a processor."""
    port = _free_port()
    file = folder / "weighted.json"
    file.write_text(json.dumps(_weighted(port, upstream_port)), encoding="utf-8")
    command = [str(find_envoy()), "-c", str(file), "--disable-hot-restart", "-l", "error"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        try:
            _await_port(port)
            yield Subject(port, process.pid)
        finally:
            process.terminate()


def _weighted(port: int, upstream_port: int) -> dict[str, object]:
    address = {"socket_address": {"address": "127.0.0.1", "port_value": upstream_port}}
    names = ("stable", "canary")
    clusters = [
        {
            "name": name,
            "type": "STATIC",
            "load_assignment": {
                "cluster_name": name,
                "endpoints": [{"lb_endpoints": [{"endpoint": {"address": address}}]}],
            },
        }
        for name in names
    ]
    shares = [{"name": "stable", "weight": 90}, {"name": "canary", "weight": 10}]
    route = {"match": {"prefix": "/"}, "route": {"weighted_clusters": {"clusters": shares}}}
    manager = {
        "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "bench",
        "route_config": {"virtual_hosts": [{"name": "all", "domains": ["*"], "routes": [route]}]},
        "http_filters": [
            {
                "name": "envoy.filters.http.router",
                "typed_config": {"@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"},
            }
        ],
    }
    listener = {
        "name": "bench",
        "address": {"socket_address": {"address": "127.0.0.1", "port_value": port}},
        "filter_chains": [
            {"filters": [{"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}]}
        ],
    }
    return {"static_resources": {"listeners": [listener], "clusters": clusters}}


def _line(stream: IO[bytes] | None) -> bytes:
    line = stream.readline() if stream else b""
    if not line:
        raise RuntimeError("a process of the bench ended before it was ready; see its errors above")
    return line


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port: int = listening.getsockname()[1]
        return port


def _await_port(port: int) -> None:
    until = time.monotonic() + PATIENCE
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            if time.monotonic() > until:
                raise
            time.sleep(0.02)
        else:
            return


def machine() -> dict[str, object]:
    """Say what the figures were measured on, without naming it."""
    return {"cpus": len(os.sched_getaffinity(0)), "python": sys.version.split()[0]}
