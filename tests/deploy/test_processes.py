"""docker-compose.yml without Docker: its processes, command lines, files, addresses and health checks, and requests."""

from __future__ import annotations

import json
import urllib.parse

import pytest

from tests.deploy.compose import MAIN, ROOT, SAMPLING, services
from tests.deploy.running import ABSENT, eventually, running, until
from tests.deploy.samples import EXPECTED, requests, sub_called

pytestmark = pytest.mark.envoy

TOKEN = "only for this test"
SERVER = 2  # opentelemetry/proto/trace/v1/trace.proto, SpanKind
ENVOYS, OURS = "extproc-envoy", "extproc"


@pytest.fixture(scope="module")
def composed():
    with running(services(MAIN, token=TOKEN)) as started:
        yield started


@pytest.fixture(scope="module")
def answers(composed):
    """What each sample's request is answered, once."""
    return {name: send(composed, request) for name, request in requests().items()}


def send(composed, request):
    return composed.ask("envoy", "POST", request.path, request.body, request.headers)


def test_all_services_run_but_those_without_a_program_here(composed):
    """Jaeger and Grafana alone are not run, and a collector takes Jaeger's place."""
    assert set(services(MAIN)) - set(composed.containers) == {"jaeger", "grafana"} < ABSENT


@pytest.mark.parametrize("graph", EXPECTED)
def test_a_sample_answers(graph, answers):
    """The sample's own request is answered by the models in their container, by the way that the sample tells."""
    status, routes = EXPECTED[graph]
    answered, headers, text = answers[graph]
    assert answered == status, text
    assert headers.get("x-extproc-route") in routes
    assert headers["x-extproc-graph"].startswith(f"{graph}@")
    assert json.loads(text)


def test_every_sample_is_expected():
    """A sample that is added is tried here, too."""
    assert set(requests()) == set(EXPECTED)


def test_metrics_hold_the_requests(composed, answers):
    """The processor's metrics have what Envoy counted, and what it counted itself."""
    wanted = {f'extproc_requests_total{{graph="{graph}",status="{answers[graph][0]}"}}': 1.0 for graph in EXPECTED}

    def counted():
        told = composed.metrics()
        return told if wanted.items() <= told.items() else None

    told = eventually(counted)
    assert told["extproc_envoy_up"] == 1
    assert told['extproc_calls_total{graph="cancer-vote",kind="sub",model="cancer-forest",outcome="2xx"}'] == 1
    assert told['extproc_decisions_total{branch="stable",graph="cancer-canary",node="root"}'] == 1


@pytest.mark.parametrize("graph", EXPECTED)
def test_a_request_is_one_trace_of_envoy_and_processor(graph, composed, answers):
    """Jaeger would show one tree: Envoy's span of the request, the graph below it, and below that Envoy's calls."""
    assert answers[graph]

    def complete():
        spans = [span for span in composed.collector.spans if span.trace in traces_of(composed, f"POST {graph}")]
        calls = [span for span in spans if span.service == ENVOYS and below_graph(span, spans)]
        return spans if {s.name for s in spans} >= {f"graph {graph}"} and (calls or not sub_called(graph)) else None

    spans = eventually(complete)
    assert {span.service for span in spans} == {ENVOYS, OURS}
    assert len({span.trace for span in spans}) == 1
    (root,) = [span for span in spans if not span.parent]
    assert (root.service, root.name, root.kind) == (ENVOYS, f"POST {graph}", SERVER)
    (ours,) = [span for span in spans if span.name == f"graph {graph}"]
    assert root.id in ancestors(ours, spans)


def traces_of(composed, name):
    return {span.trace for span in composed.collector.spans if span.name == name and not span.parent}


def ancestors(span, spans):
    by_id = {one.id: one for one in spans}
    found = []
    while span.parent in by_id:
        span = by_id[span.parent]
        found.append(span.id)
    return found


def below_graph(span, spans):
    return any(one.name.startswith("graph ") and one.id in ancestors(span, spans) for one in spans)


def test_feedback_from_outside_needs_the_token(composed, answers):
    """To the processor the host is another machine: the label counts with the token of the environment alone."""
    assert answers["cancer-challenge"]
    label = json.dumps({"requestId": requests()["cancer-challenge"].headers["x-request-id"], "label": 0})
    assert composed.ask("processor", "POST", "/feedback", label)[0] == 403
    status, _, text = composed.ask("processor", "POST", "/feedback", label, {"authorization": f"Bearer {TOKEN}"})
    assert (status, json.loads(text)["accepted"]) == (200, 1)


def test_prometheus_scrapes_the_processor(composed):
    """Its one target is up, and all alerts can be evaluated."""

    def up():
        targets = composed.json("prometheus", "/api/v1/targets")["data"]["activeTargets"]
        return [target["health"] for target in targets] == ["up"]

    def evaluated():
        groups = composed.json("prometheus", "/api/v1/rules")["data"]["groups"]
        return {rule["health"] for group in groups for rule in group["rules"]} == {"ok"}

    eventually(up)
    eventually(evaluated)


def test_the_dashboard_shows_the_requests(composed, answers):
    """Its panels have data, those apart that show what did not happen."""
    assert answers

    def without_data():
        for request in requests().values():  # a rate is above nothing while they go on
            send(composed, request)
        return {panel for panel, expression in dashboard_queries() if not result(composed, expression)}

    until(without_data, lambda panels: panels <= QUIET)


# Panels of what these requests do not bring about, or what `extproc up` alone has.
QUIET = {
    "Missed deadlines by graph",
    "Requests past the processor",
    "Expression errors",
    "Retries",
    "Hedges",
    "Refused calls",
    "Worker starts",
}


def dashboard_queries():
    board = json.loads((ROOT / "deploy/grafana/dashboards/extproc.json").read_text())
    for panel in board["panels"]:
        for target in panel.get("targets", []):
            text = target["expr"].replace("$__rate_interval", "20s").replace("$__range", "1h").replace("$graph", ".*")
            yield panel["title"], text


def result(composed, expression):
    told = composed.json("prometheus", f"/api/v1/query?{urllib.parse.urlencode({'query': expression})}")
    assert told["status"] == "success", (expression, told)
    return told["data"]["result"]


def test_a_killed_processor_comes_back(composed, answers):
    """Meanwhile Envoy goes by the away-model; the next life has the same socket, and the evidence of the one before."""
    assert answers
    request = requests()["cancer-challenge"]
    paired = eventually(lambda: pairs(composed))
    composed.containers["processor"].kill()
    eventually(lambda: send(composed, request)[1].get("x-extproc-route") == "!fail-open")
    composed.containers["processor"].start()
    composed.containers["processor"].wait_until_healthy()
    eventually(lambda: send(composed, request)[1].get("x-extproc-route") == "cancer-logistic")
    assert eventually(lambda: pairs(composed)) >= paired


def pairs(composed):
    (challenger,) = composed.json("processor", "/challenges/cancer-challenge.json")["challengers"]
    return challenger["counts"].get("paired", 0)


def test_a_collector_in_between_takes_the_spans_of_both():
    """With deploy/sampling.yml Envoy has a configuration that is rendered at the start, and names the collector."""
    with running(services(MAIN, SAMPLING)) as sampled:
        assert send(sampled, requests()["cancer-vote"])[0] == 200
        eventually(lambda: {span.service for span in sampled.collector.spans} == {ENVOYS, OURS})
        assert set(services(MAIN, SAMPLING)) - set(sampled.containers) == {"jaeger", "grafana", "collector"}
