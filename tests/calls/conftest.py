"""One Envoy for all tests of this folder, and the models behind it."""

import asyncio
import random
import socket
import time
from dataclasses import replace

import msgspec
import pytest
import uvloop

from extproc.calls import EnvoyCaller
from extproc.engine.calling import SubCall
from tests.calls.egress import Egress, running
from tests.calls.watching import Recorded
from tests.envoy.models import Models

GRAPH = """
apiVersion: extproc.dev/v1
kind: InferenceGraph
metadata: {name: calls}
spec:
  match: [{prefix: /}]
  timeout: 30s
  maxBody: 4MiB
  models:
    m: {url: "http://<m>", retries: 1}
    other: {url: "http://<other>", retries: 1}
    path: {url: "http://<path>/v1/models/m:predict", headers: {set: {x-key: secret}, remove: [x-drop]}}
    h2: {url: "http://<h2:h2>", http2: true, retries: 1}
    default: {url: "http://<default>"}
    three: {url: "http://<three>", retries: 3}
    down: {url: "http://<down:a>", retries: 1}
    half: {urls: ["http://<down:b>", "http://<half>"]}
    large: {urls: ["http://<down:e>", "http://<large>"]}
    connect: {urls: ["http://<down:c>", "http://<connect>"], retries: {attempts: 4, on: [connect], backoff: 1ms}}
    refused: {url: "http://<down:d>", retries: {attempts: 3, on: [connect], backoff: 1ms}}
    unknown: {url: "http://nowhere.invalid:80", retries: 1}
    errors: {url: "http://<errors>", retries: {attempts: 3, on: [5xx], backoff: 1ms}}
    busy: {url: "http://<busy>", retries: {attempts: 2, on: ["429"], backoff: 1ms}}
    reset: {url: "http://<reset>", retries: {attempts: 3, on: [reset], backoff: 1ms}}
    timeout: {url: "http://<timeout>", timeout: 150ms, retries: {attempts: 3, on: [timeout], backoff: 1ms}}
    shares: {url: "http://<shares>", retries: {attempts: 2, on: [timeout], backoff: 1ms}}
    patient: {url: "http://<patient>", retries: {attempts: 5, on: [5xx], backoff: 20s}}
    quick: {url: "http://<quick>", timeout: 150ms, retries: 1}
    hedge: {url: "http://<hedge>", hedge: {after: 80ms}, retries: 1}
    both: {url: "http://<both>", hedge: {after: 50ms}, retries: {attempts: 3, on: [5xx, reset], backoff: 1ms}}
    two: {url: "http://<two>", concurrency: 2, retries: 1}
    narrow: {url: "http://<narrow>", retries: 1}
    stuck: {url: "http://127.0.0.1:STUCK", retries: 1}
    gone: {url: "http://<gone>", retries: 1}
  nodes:
    root:
      split:
        routes: [MODELS]
"""


def _narrow(clusters):
    """The limits of one model's sub-calls are as narrow as nobody makes them, another model's cluster is not there."""
    for cluster in clusters:
        if cluster.get("alt_stat_name") == "calls/narrow":
            for limits in cluster["circuit_breakers"]["thresholds"]:
                limits["max_requests"] = 1
    clusters[:] = [cluster for cluster in clusters if cluster.get("alt_stat_name") != "calls/gone"]


@pytest.fixture(scope="session")
def models():
    """The stubs that models lead to."""
    with Models() as started:
        yield started


@pytest.fixture(scope="session")
def stuck():
    """The port of a model that takes connections and reads nothing."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        yield listening.getsockname()[1]


@pytest.fixture(scope="session")
def egress(models: Models, stuck: int):
    """The Envoy."""
    names = [line.split(":")[0].strip() for line in GRAPH.splitlines() if line.startswith("    ") and "url" in line]
    routes = ", ".join(f"{{to: {name}, weight: 1}}" for name in names)
    with running(models.fill(GRAPH.replace("MODELS", routes).replace("STUCK", str(stuck))), _narrow) as started:
        yield started


@pytest.hookimpl(optionalhook=True)
def pytest_asyncio_loop_factories(config, item):  # noqa: ARG001 - pytest-asyncio's signature
    """The loop that the processor runs on."""
    return {"uvloop": uvloop.new_event_loop}


@pytest.fixture
def recorded():
    """What the caller told of its calls."""
    return Recorded()


@pytest.fixture
async def caller(egress: Egress, recorded: Recorded):
    """A caller; when a test is over nothing may be left of its calls."""
    before = asyncio.all_tasks()
    caller = EnvoyCaller(egress.address, random.Random(7), recorder=recorded)
    yield caller
    await caller.close()
    assert repr(caller.slots) == "<Slots free>"
    assert asyncio.all_tasks() - {asyncio.current_task()} <= before


@pytest.fixture
def clock():
    """Tells the seconds since the test began."""
    begun = time.monotonic()
    return lambda: time.monotonic() - begun


@pytest.fixture
def call(egress: Egress):
    """Makes a SubCall of a model by its name, with ``left`` seconds to the deadline and changes to the model."""

    def made(name, *, left=10.0, method="POST", target="/", headers=None, body=b"{}", model=None):
        plan = egress.models[name]
        if model:
            plan = replace(plan, document=msgspec.structs.replace(plan.document, **model))
        deadline = asyncio.get_running_loop().time() + left
        return SubCall(plan, method, target, "client.example", headers or {}, body, deadline)

    return made
