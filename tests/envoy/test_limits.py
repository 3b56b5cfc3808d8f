"""A model's concurrency is a limit: above it a call fails at once."""

import asyncio

import pytest

from tests.envoy.models import Models
from tests.envoy.running import Running
from tests.kit import client

pytestmark = pytest.mark.envoy

GRAPHS = """
apiVersion: extproc.dev/v1
kind: InferenceGraph
metadata: {name: narrow}
spec:
  match: [{prefix: /narrow}]
  timeout: 20s
  models:
    narrow: {url: "http://<narrow>", concurrency: 3}
    wide: {url: "http://<wide>"}
  nodes:
    root:
      switch:
        cases: [{when: 'request.path == "/narrow/wide"', to: wide}]
        default: narrow
"""
HANG = [("x-stub", '{"stop": "hang"}'), ("x-request-id", "the-id")]


async def test_above_it_a_call_fails_at_once(system: Running, models: Models):
    """With as many calls in flight as allowed, the next is 429 overloaded; other models serve; then it serves again."""
    stub = models["narrow"]
    hanging = [
        asyncio.create_task(client.request(system.ingress_port, target="/narrow", headers=HANG)) for _ in range(3)
    ]
    await stub.wait_for_requests(3)
    refused = await client.request(system.ingress_port, target="/narrow", headers=HANG)
    other = await client.request(system.ingress_port, target="/narrow/wide")
    stub.release()
    answers = await asyncio.gather(*hanging)
    after = await client.request(system.ingress_port, target="/narrow")
    assert refused.status == 429
    error = refused.json()["error"]
    assert error.pop("message")
    assert error == {"code": "overloaded", "graph": "narrow", "model": "narrow", "requestId": "the-id"}
    assert [answer.status for answer in (*answers, other, after)] == [200] * 5
    assert len(stub.requests) == 4


async def test_a_client_that_leaves_gives_its_place_back(system: Running, models: Models):
    """The places of clients that have left are free again."""
    stub = models["narrow"]
    stub.forget()
    for _ in range(2):
        ended = len(stub.requests)
        slow = [("x-stub", '{"delay": 30}')]
        leaving = [
            asyncio.create_task(client.request(system.ingress_port, target="/narrow", headers=slow)) for _ in range(3)
        ]
        await stub.wait_for_requests(ended + 3)
        for task in leaving:
            task.cancel()
        await stub.wait_for_ended(ended + 3)
    answer = await client.request(system.ingress_port, target="/narrow")
    assert answer.status == 200
