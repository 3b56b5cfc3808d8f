"""docker-compose.yml without Docker: its processes, command lines, files, users and health checks, and real requests."""

from __future__ import annotations

import pytest

from tests.deploy.compose import services
from tests.deploy.running import running


@pytest.fixture(scope="module")
def composed():
    with running(services()) as started:
        yield started


def test_starts(composed):
    print(composed)
    for c in composed.containers.values():
        print(c, c.said())
    import time

    print(composed.ask("envoy", "GET", "/v1/models/cancer-2019"))
    time.sleep(3)
    for s in composed.collector.spans:
        print(s)
    print(composed.ask("processor", "GET", "/metrics")[2][:3000])
    print(composed.json("prometheus", "/api/v1/targets"))
    assert 0
