"""The cases, through the real Envoy."""

import hashlib
import json
import re
from typing import Any

import msgspec
import pytest

from tests.cases import cases
from tests.cases.cases import CASES, Asked, Case, Expected
from tests.envoy.models import Models
from tests.envoy.running import Running
from tests.kit import client
from tests.kit.client import Response

pytestmark = pytest.mark.envoy
GRAPHS = cases.GRAPHS
GRAPH_ID = re.compile(r"([a-z][-a-z0-9]*)@[0-9a-f]{8}")


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
async def test_case(system: Running, models: Models, case: Case):
    """The request ends as the case says, at the model that the case says, which sees what the case says."""
    ask, expected = case.ask, case.expect
    answer = await client.request(system.ingress_port, ask.method, ask.path, ask.all_headers, ask.body, host=ask.host)
    assert answer.complete
    assert answer.status == expected.status, answer.body
    _check_names(answer, ask, expected)
    if expected.error is not None:
        _check_error(answer, expected)
    elif expected.models and ask.method != "HEAD":
        _check_seen(answer.json(), ask, expected, models)
    _check_answer(answer, expected)


def _check_names(answer: Response, ask: Asked, expected: Expected) -> None:
    """Every answer has an id, the client's own where it sent one; that of a graph says which one and which way."""
    sent = dict(ask.headers).get("x-request-id")
    assert answer.header("x-request-id")
    assert sent in {None, answer.header("x-request-id")}
    if expected.error == "no_graph":
        assert (answer.header("x-extproc-graph"), answer.header("x-extproc-route")) == (None, None)
        return
    found = GRAPH_ID.fullmatch(answer.header("x-extproc-graph") or "")
    assert found
    assert expected.graph in {None, found[1]}
    if expected.routes:
        assert (answer.header("x-extproc-route") or "") in expected.routes


def _check_error(answer: Response, expected: Expected) -> None:
    assert answer.header("content-type") == "application/json"
    error = answer.json()["error"]
    known = {"code", "message", "graph", "node", "model", "requestId"}
    assert error["code"] == expected.error
    assert error.keys() <= known
    assert error["requestId"] == answer.header("x-request-id")
    assert error.get("graph") == ((answer.header("x-extproc-graph") or "").partition("@")[0] or None)
    assert expected.at in {None, error.get("node"), error.get("model")}


def _check_seen(seen: dict[str, Any], ask: Asked, expected: Expected, models: Models) -> None:
    """The model saw the body byte for byte, and no header that is the project's own or Envoy's."""
    assert seen["model"] in expected.models
    assert seen["method"] == ask.method
    assert seen["body_sha256"] == hashlib.sha256(ask.body).hexdigest()
    sent = {name.lower() for name, _ in ask.headers if not name.lower().startswith("x-extproc-")}
    foreign = {name for name in seen["headers"] if name.startswith(("x-extproc-", "x-envoy-"))} - sent
    assert foreign <= {"x-envoy-external-address"}  # the client's address, as seen by Envoy itself
    if expected.path is not None:
        assert seen["path"] == expected.path
    wanted = {name: value and models.fill(value) for name, value in expected.seen.items()}
    assert {name: seen["headers"].get(name) for name in wanted} == wanted


def _check_answer(answer: Response, expected: Expected) -> None:
    assert {name: answer.header(name) for name in expected.headers} == expected.headers
    if expected.body is not None:
        assert answer.body.decode() == expected.body
    if expected.json is not msgspec.UNSET:
        assert json.loads(answer.body) == expected.json
