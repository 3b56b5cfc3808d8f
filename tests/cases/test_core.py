"""The cases, against the pure core."""

import json
import re

import msgspec
import pytest

from tests.cases.cases import CASES, GRAPHS, Case, Expected
from tests.cases.core import Outcome, converse, generations

CORE = {name: case for name, case in CASES.items() if not case.envoy}
ADDRESS = re.compile(r"<[a-z0-9:-]+>")


@pytest.fixture(scope="module")
def plans(tmp_path_factory):
    """The plans of all graphs of all cases; nothing is called here, so every address will do."""
    file = tmp_path_factory.mktemp("cases") / "graphs.yaml"
    file.write_text(ADDRESS.sub("127.0.0.1:9", GRAPHS))
    return generations(file)


@pytest.mark.parametrize("told", [True, False], ids=["graph told", "graph matched"])
@pytest.mark.parametrize("case", CORE.values(), ids=CORE.keys())
def test_case(plans, case: Case, told):
    """The core decides as the case says, whether Envoy's route names the graph or not."""
    outcome = converse(plans, case.ask, told=told)
    if case.expect.error == "no_graph":
        assert outcome.graph is None
        assert outcome.headers == {}
        return
    _check_names(outcome, case.expect)
    if outcome.answered:
        _check_answer(outcome, case.expect)
    else:
        assert outcome.model in {f"{_name(outcome.graph)}/{model}" for model in case.expect.models}


def _name(graph: str | None) -> str:
    return (graph or "").partition("@")[0]


def _check_names(outcome: Outcome, expected: Expected) -> None:
    assert outcome.graph_shown == outcome.graph
    if expected.graph is not None:
        assert _name(outcome.graph) == expected.graph
    if expected.routes:
        assert (outcome.route or "") in expected.routes


def _check_answer(outcome: Outcome, expected: Expected) -> None:
    answer = outcome.reply.immediate_response
    assert (answer.status.code, expected.models) == (expected.status, ())
    assert answer.details.startswith("extproc.")
    if expected.error is not None:
        error = json.loads(answer.body)["error"]
        assert (error["code"], error["graph"]) == (expected.error, _name(outcome.graph))
        assert expected.at in {None, error.get("node")}
    if expected.body is not None:
        assert answer.body.decode() == expected.body
    if expected.json is not msgspec.UNSET:
        assert json.loads(answer.body) == expected.json
    assert {name: outcome.headers.get(name) for name in expected.headers} == expected.headers
