"""docker-compose.yml as it runs: every service whose program is here, in the order and with the waits that it names."""

from __future__ import annotations

import http.client
import json
import socket
import tempfile
import time
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from tests.deploy.collector import Collector, collector
from tests.deploy.compose import Service
from tests.deploy.containers import Container
from tests.deploy.networks import BRIDGE, Bridge, Network

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

# Of images that are not built here, with what they start.
ENTRYPOINTS = {"prom/prometheus": ["prometheus"]}
# Services that are not run here, for their programs are in no registry that is at hand.
ABSENT = {"jaeger", "grafana", "collector"}
# Ports that services listen at, by which the tests look in, and spans come out.
PORTS = {"envoy": (10000,), "processor": (9090,), "prometheus": (9090,), "jaeger": (4317,), "collector": (4317,)}
T = TypeVar("T")
COMPLETED = "service_completed_successfully"
HEALTHY = "service_healthy"
WAIT_SECONDS = 30.0
POLL_SECONDS = 0.05


@dataclass
class Composed:
    """What runs: its containers, what the collector took, and ways in."""

    folder: Path
    collector: Collector
    containers: dict[str, Container] = field(default_factory=dict)

    def ask(
        self, service: str, method: str, path: str, body: str | None = None, headers: Mapping[str, str] | None = None
    ) -> tuple[int, dict[str, str], str]:
        """A request to a service, at the port that it publishes: status, headers, text."""
        with closing(_UnixConnection(self.folder / f"{service}-{PORTS[service][0]}")) as connection:
            connection.request(method, path, body, dict(headers or {}))
            answer = connection.getresponse()
            return answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read().decode()

    def json(self, service: str, path: str) -> Any:
        """A service's page, as data."""
        return json.loads(self.ask(service, "GET", path)[2])

    def metrics(self) -> dict[str, float]:
        """What /metrics tells, by the series' names as they stand there."""
        lines = self.ask("processor", "GET", "/metrics")[2].splitlines()
        pairs = (line.rpartition(" ") for line in lines if not line.startswith("#"))
        return {series: float(value) for series, _, value in pairs}


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: Path) -> None:
        super().__init__("127.0.0.1", timeout=WAIT_SECONDS)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(WAIT_SECONDS)
        self.sock.connect(str(self._path))


@contextmanager
def running(services: Mapping[str, Service]) -> Iterator[Composed]:
    """Run the services that are here, until the block ends."""
    with ExitStack() as stack:
        # Short: a socket's path has at most 107 characters.
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="extproc-compose-")))
        taker = "collector" if "collector" in services else "jaeger"
        composed = Composed(folder, stack.enter_context(collector(folder / f"{taker}-4317")))
        addresses = {taker: BRIDGE, **{name: f"10.42.0.{number}" for number, name in enumerate(_ordered(services), 2)}}
        bridge = Bridge([*_relays(addresses, folder, taker)])
        stack.callback(bridge.close)
        networks: dict[str, Network] = {}
        for name in _ordered(services):
            network = networks.get(_network_of(services[name]))
            if network is None:
                network = networks[name] = Network(bridge, addresses[name])
                stack.callback(network.close)
            container = composed.containers[name] = Container(_known(services[name]), network, folder, addresses)
            stack.callback(container.kill)
            _start(container, composed.containers)
        for container in composed.containers.values():
            if "healthcheck" in container.service.told and container.service.image not in ENTRYPOINTS:
                container.wait_until_healthy()
        yield composed


def eventually(look: Callable[[], T]) -> T:
    """Look at another process's state until there is one, and return it."""
    return until(look, bool)


def until(look: Callable[[], T], enough: Callable[[T], bool]) -> T:
    """Look at another process's state until it is as wanted, and return it."""
    end = time.monotonic() + WAIT_SECONDS
    while not enough(state := look()):
        assert time.monotonic() < end, f"not within {WAIT_SECONDS} s: {state!r}"
        time.sleep(POLL_SECONDS)
    return state


def _relays(addresses: Mapping[str, str], folder: Path, taker: str) -> Iterator[str]:
    """How the tests reach services, and spans the tests: by sockets in the folder, named SERVICE-PORT."""
    for name, address in addresses.items():
        for port in PORTS.get(name, ()):
            inside, outside = f"{address}:{port}", f"unix:{folder}/{name}-{port}"
            yield f"{inside} {outside}" if name == taker else f"{outside} {inside}"


def _network_of(service: Service) -> str:
    kind, _, name = service.told.get("network_mode", "").partition(":")
    return name if kind == "service" else service.name


def _ordered(services: Mapping[str, Service]) -> list[str]:
    """The names of those that are here, each after what it needs."""
    ordered: list[str] = []
    while missing := [name for name in services if name not in (*ordered, *ABSENT)]:
        ordered.append(next(name for name in missing if set(services[name].needs) - ABSENT <= set(ordered)))
    return ordered


def _known(service: Service) -> Service:
    """The service with its image's entrypoint, where that cannot be read in a Dockerfile."""
    entrypoint = ENTRYPOINTS.get(service.image.partition(":")[0])
    return Service(service.name, {**service.told, "entrypoint": entrypoint}) if entrypoint else service


def _start(container: Container, others: Mapping[str, Container]) -> None:
    for name, condition in container.service.needs.items():
        if condition == HEALTHY:
            others[name].wait_until_healthy()
        if condition == COMPLETED:
            assert others[name].exit_code() == 0, others[name].said()
    container.start()
