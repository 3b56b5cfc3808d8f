"""What trials are run on: models in processes of their own, and whole systems with their admin address."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from bench.load import encode
from extproc.commands.asking import ask_json, challenge_path
from tests.envoy.running import Running, running

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

HOST = "bench.local"
PATIENCE = 20.0  # seconds until every request is booked: those under way have the graph's timeout
POLL = 0.1

GRAPH = """\
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


@dataclass(frozen=True)
class Found:
    """What a trial found: figures for people, what was asked, whether it was met, and everything as JSON."""

    name: str
    figures: Mapping[str, object]
    asked: str
    met: bool
    data: object


class Model:
    """A process of ``bench.trials.model``, which can be killed and started again at the same port."""

    def __init__(self) -> None:
        self.port = 0
        self._process: subprocess.Popen[bytes] | None = None

    def __repr__(self) -> str:
        """Say where it listens."""
        return f"<Model :{self.port}>"

    def start(self) -> None:
        """Return when it listens."""
        command = [sys.executable, "-m", "bench.trials.model", "--port", str(self.port)]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        line = self._process.stdout.readline() if self._process.stdout else b""
        if not line:
            raise RuntimeError("a model ended before it was ready; see its errors above")
        self.port = json.loads(line)["port"]

    def kill(self) -> None:
        """End it at once, whatever it is doing."""
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None

    def at(self, name: str, kind: str, takes: int | str) -> str:
        """Return a model of a graph: its name, and where it is."""
        return f'{name}: {{url: "http://127.0.0.1:{self.port}/{name}/{kind}/{takes}", protocol: v1}}'


@contextlib.contextmanager
def models(count: int) -> Iterator[list[Model]]:
    """Run so many processes of models."""
    started = [Model() for _ in range(count)]
    try:
        for model in started:
            model.start()
        yield started
    finally:
        for model in started:
            model.kill()


def graph(name: str, models: Sequence[str], root: str, timeout: str = "5s") -> str:
    """Return the text of a graph; ``root`` is its node, indented by nothing."""
    lines = "\n".join(f"    {model}" for model in models)
    return GRAPH.format(name=name, timeout=timeout, models=lines, root=_indented(root))


def _indented(node: str) -> str:
    return "\n".join(f"      {line}" for line in node.strip("\n").splitlines())


class System:
    """A running ``extproc up``, as trials ask it."""

    def __init__(self, running: Running) -> None:
        self.running = running
        self.port = running.ingress_port
        self.admin = urlsplit(running.admin_url).netloc

    def __repr__(self) -> str:
        """Say where it is."""
        return f"<System :{self.port} admin {self.admin}>"

    @property
    def pids(self) -> tuple[int, ...]:
        """Envoy and the workers as they were at the start: whose time counts."""
        return self.running.pids["envoy"], *self.running.pids["workers"]

    def report(self, name: str) -> dict[str, Any]:
        """Return a challenge's report of this moment."""
        found: dict[str, Any] = ask_json(self.admin, "GET", challenge_path(name))
        return found

    def post(self, path: str, body: object = None) -> Any:
        """Return what the admin address answers to a POST. Raises NoAnswer."""
        return ask_json(self.admin, "POST", path, body)

    def settled(self, name: str, eligible: int = 0) -> dict[str, Any]:
        """Return the report when so many requests are known and none is pending, or as it is after ``PATIENCE``."""
        until = time.monotonic() + PATIENCE
        while True:
            report = self.report(name)
            pending = sum(one["counts"]["pending"] for one in report["challengers"])
            if (report["eligible"] >= eligible and not pending) or time.monotonic() > until:
                return report
            time.sleep(POLL)


@contextlib.contextmanager
def system(graphs: str, workers: int = 1, *arguments: str) -> Iterator[System]:
    """Run a whole system on the text of graphs."""
    with running(graphs.rstrip("-\n"), workers=workers, arguments=arguments) as started:
        yield System(started)


def post(name: str, instances: Sequence[Sequence[float]], *headers: str) -> bytes:
    """Return a request with V1 instances."""
    body = json.dumps({"instances": instances}).encode()
    return encode(f"/{name}", host=HOST, headers=["content-type: application/json", *headers], body=body)


def waited(pids: Sequence[int]) -> float:
    """Return the seconds for which processes were ready to run and had no CPU: what others on the machine cost them."""
    tasks = [task for pid in pids for task in Path(f"/proc/{pid}/task").iterdir()]
    return sum(int((task / "schedstat").read_text().split()[1]) for task in tasks) / 1e9


def total(challenger: Mapping[str, Any]) -> int:
    """Return what a challenger's counts add up to."""
    return sum(challenger["counts"].values())
