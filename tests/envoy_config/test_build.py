"""The configuration of one Envoy, looked at as JSON and through Envoy's own types."""

from __future__ import annotations

import json
import re

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from extproc import headers
from extproc.calls import headers as call_headers
from extproc.envoy.names import NOWHERE, UPGRADE_REFUSED
from extproc.graph import load
from extproc.graph.document import Match
from extproc.plan.compile import compile_graph
from extproc.server.generations import Generations
from tests.envoy_config import theirs
from tests.envoy_config.configuring import (
    BOOTSTRAP,
    CLUSTERS,
    EGRESS,
    INGRESS,
    LISTENERS,
    clusters,
    configured,
    first_pass,
    layout,
    one_model,
    route_of,
    routed,
    second_pass,
    texts,
    texts_within,
)
from tests.plan.building import plan, rooted
from tests.plan.test_match import MATCHES, REQUESTS

EVERYTHING = plan(
    """
    maxBody: 4096
    models:
      plain: {url: "http://plain/v1"}
      several: {urls: ["http://10.0.0.1:1/x", "http://[::1]:2/x", "http://name:3/x"], concurrency: 7}
      safe: {url: "https://safe/", http2: true, tls: {ca: /ca.pem, cert: /c.pem, key: /k.pem, sni: other}}
      insecure: {url: "https://10.0.0.2", tls: {insecure: true}}
      checked: {url: "http://checked:1", health: {path: /ready, interval: 2.5}, timeout: 0.3}
      theirs: {cluster: "outbound|80||m", path: /p, host: m.mesh}
      headed: {url: "http://headed", headers: {set: {a: "100%", b: {env: TOKEN}}, remove: [d]}}
      tried: {url: "http://tried", retries: {attempts: 3, on: [connect, reset, timeout, 5xx, "429"], backoff: 0.1}}
    nodes:
      root:
        switch:
          cases:
            - {when: request.body.a == 1, to: several}
            - {when: request.body.a == 2, to: safe}
            - {when: request.body.a == 3, to: insecure}
            - {when: request.body.a == 4, to: checked}
            - {when: request.body.a == 5, to: theirs}
            - {when: request.body.a == 6, to: headed}
            - {when: request.body.a == 7, to: tried}
          default: plain
    """,
    "everything",
    [{"path": "/everything"}, {"prefix": "/e", "host": "*.example.com", "headers": {"x": "1"}}],
)
CLOSED = rooted("{respond: {status: 200, body: hello}}", "closed")
HEADERS_ONLY = rooted("{split: {routes: [{to: a, weight: 1}]}}", "headers-only")
PLANS = (EVERYTHING, CLOSED, HEADERS_ONLY)
FILES = configured(*PLANS)


def test_the_order_of_the_files():
    """Clusters are written before the routes that name them, and what Envoy starts with comes last."""
    assert list(FILES) == [CLUSTERS, INGRESS, EGRESS, LISTENERS, BOOTSTRAP]


@pytest.mark.parametrize("name", [CLUSTERS, INGRESS, EGRESS, LISTENERS])
def test_envoys_types_read_what_we_write(name):
    """Every resource, decoded by Envoy's own types and encoded again, is the same: no field is misnamed or lost."""
    written = without(FILES[name], "consecutive_5xx")  # their JSON reader knows this field under no name
    response = theirs.discovery.DiscoveryResponse.from_dict(written)
    assert len(response.resources) == len(written["resources"])
    for resource, raw in zip(response.resources, written["resources"], strict=True):
        unpacked = resource.unpack()
        assert raw["@type"].endswith(f".{type(unpacked).__name__}")
        assert not unpacked._unknown_fields
    assert response.to_dict(casing=theirs.build.Casing.SNAKE) == written


def test_envoys_types_read_the_bootstrap():
    """The bootstrap too."""
    message = theirs.bootstrap.Bootstrap.from_dict(FILES[BOOTSTRAP])
    assert message.to_dict(casing=theirs.build.Casing.SNAKE) == FILES[BOOTSTRAP]


def without(value, name):
    """JSON without a field, wherever it stands."""
    if isinstance(value, list):
        return [without(item, name) for item in value]
    return (
        {key: without(item, name) for key, item in value.items() if key != name} if isinstance(value, dict) else value
    )


def test_field_names_are_envoys():
    """No field is written as the library misnames it."""
    assert not any("5_xx" in text for text in texts_within(FILES))
    assert clusters(FILES)["extproc"]["outlier_detection"]["consecutive_5xx"] == 1


def test_it_is_the_same_every_time():
    """The same plans give the same bytes."""
    assert texts(*PLANS) == texts(*PLANS)


def test_versions():
    """A file's version changes exactly when its content does."""
    other = configured(EVERYTHING, CLOSED)
    for name in (CLUSTERS, INGRESS, EGRESS):
        assert other[name]["version_info"] != FILES[name]["version_info"]
    assert other[LISTENERS] == FILES[LISTENERS]


def test_no_graphs():
    """Without graphs there is a configuration all the same: every request is answered 404."""
    (route,) = first_pass(configured())
    assert (route["match"], route["direct_response"]["status"]) == ({"prefix": "/"}, 404)
    assert second_pass(configured()) == {}


def test_every_route_has_its_cluster():
    """Whatever a route leads to is a cluster of ours, or one that a model names as Envoy's own."""
    known = {*clusters(FILES), "outbound|80||m", NOWHERE}
    routes = [*first_pass(FILES), *second_pass(FILES).values(), *second_pass(FILES, EGRESS).values()]
    assert {route["route"]["cluster"] for route in routes if "route" in route} <= known


@pytest.mark.parametrize("table", [INGRESS, EGRESS])
def test_every_model_has_its_route(table):
    """Every model is looked up by its key, on both listeners, and the control headers end there."""
    routes = second_pass(FILES, table)
    assert set(routes) == {model.key for one in PLANS for model in one.models.values()}
    for key, route in routes.items():
        assert route["match"] == {"prefix": "/"}
        assert {"x-extproc-model", "x-extproc-route"} <= set(route["request_headers_to_remove"])
        assert "x-extproc-failed" in route["response_headers_to_remove"]
        assert route["route"]["timeout"] == "0s"
        assert route["metadata"]["filter_metadata"]["extproc"] == dict(
            zip(("graph", "model"), key.split("/"), strict=True)
        )


# --- clusters

BASE = "{url: 'http://m:8080/p', concurrency: 5}"
CHANGES = {
    "host": "{url: 'http://n:8080/p', concurrency: 5}",
    "port": "{url: 'http://m:8081/p', concurrency: 5}",
    "scheme": "{url: 'https://m:8080/p', concurrency: 5}",
    "endpoints": "{urls: ['http://m:8080/p', 'http://n:8080/p'], concurrency: 5}",
    "concurrency": "{url: 'http://m:8080/p', concurrency: 6}",
    "http2": "{url: 'http://m:8080/p', concurrency: 5, http2: true}",
    "health": "{url: 'http://m:8080/p', concurrency: 5, health: {path: /h}}",
    "health interval": "{url: 'http://m:8080/p', concurrency: 5, health: {path: /h, interval: 1}}",
    "health path": "{url: 'http://m:8080/p', concurrency: 5, health: {path: /i}}",
    "tls": "{url: 'https://m:8080/p', concurrency: 5, tls: {insecure: true}}",
    "tls ca": "{url: 'https://m:8080/p', concurrency: 5, tls: {ca: /a}}",
    "tls other ca": "{url: 'https://m:8080/p', concurrency: 5, tls: {ca: /b}}",
    "tls sni": "{url: 'https://m:8080/p', concurrency: 5, tls: {sni: x}}",
}
SAME = {
    "the same": BASE,
    "key order": "{concurrency: 5, url: 'http://m:8080/p'}",
    "path": "{url: 'http://m:8080/q', concurrency: 5}",
    "timeout": "{url: 'http://m:8080/p', concurrency: 5, timeout: 0.5}",
    "retries": "{url: 'http://m:8080/p', concurrency: 5, retries: 4}",
    "headers": "{url: 'http://m:8080/p', concurrency: 5, headers: {set: {a: b}}}",
    "protocol": "{url: 'http://m:8080/p', concurrency: 5, protocol: v1}",
}


def cluster_name(written, more=""):
    """The name of the one model's cluster."""
    name: str = theirs.cluster.model_cluster(one_model(written, more).models["m"]).name
    return name


def test_changed_clusters_have_new_names():
    """Every change of what a cluster is gives it another name, so that a reload never changes one in place."""
    found = {case: cluster_name(written) for case, written in {"": BASE, **CHANGES}.items()}
    assert len(set(found.values())) == len(found)
    assert all(re.fullmatch(r"fraud/m@[0-9a-f]{8}", name) for name in found.values())


@pytest.mark.parametrize("case", SAME)
def test_unchanged_clusters_keep_their_names(case):
    """What belongs to the route, or to nothing, leaves the cluster and its connections alone."""
    assert cluster_name(SAME[case]) == cluster_name(BASE)


def test_other_parts_of_the_graph_leave_clusters_alone():
    """The graph's own deadline, its matches and its other models do not rename a model's cluster."""
    assert cluster_name(BASE, "timeout: 5") == cluster_name(BASE)
    files = configured(
        plan(f"models: {{m: {BASE}, n: {BASE}}}\nnodes: {{root: {{split: {{routes: [{{to: n, weight: 1}}]}}}}}}")
    )
    assert cluster_name(BASE) in clusters(files)


def test_a_reload_leaves_the_listeners_alone():
    """Editing a graph, adding one, and removing one do not touch a listener: that would cut streams."""
    before = texts(HEADERS_ONLY)[LISTENERS]
    assert before == texts(EVERYTHING, HEADERS_ONLY, CLOSED)[LISTENERS]
    assert before == texts(one_model(BASE, "timeout: 5"))[LISTENERS]


def test_addresses_of_models():
    """A name is resolved by DNS, IPv4 and IPv6; addresses alone need no resolver."""
    found = {name.split("@")[0]: cluster for name, cluster in clusters(FILES).items()}
    assert found["everything/plain"]["type"] == "STRICT_DNS"
    assert found["everything/plain"]["dns_lookup_family"] == "ALL"
    assert "type" not in found["everything/insecure"] or found["everything/insecure"]["type"] == "STATIC"
    (locality,) = found["everything/several"]["load_assignment"]["endpoints"]
    sockets = [one["endpoint"]["address"]["socket_address"] for one in locality["lb_endpoints"]]
    assert [(one["address"], one["port_value"]) for one in sockets] == [("10.0.0.1", 1), ("::1", 2), ("name", 3)]
    assert "everything/theirs" not in found


# --- headers and secrets

VALUES = {
    "100%": "100%%",
    "%": "%%",
    "%%": "%%%%",
    "%REQ(authorization)%": "%%REQ(authorization)%%",
    "%ENVIRONMENT(HOME)%": "%%ENVIRONMENT(HOME)%%",
    "a b": "a b",
    '"\\': '"\\',
    "é": "é",
}


@pytest.mark.parametrize(("value", "escaped"), VALUES.items())
def test_header_values_stand_for_themselves(value, escaped):
    """A percent sign is never one of Envoy's own commands."""
    quoted = json.dumps(value)
    files = configured(one_model(f"{{url: 'http://m', headers: {{set: {{x-a: {quoted}}}}}}}"))
    routes = [second_pass(files)["fraud/m"], second_pass(files, EGRESS)["fraud/m"], first_pass(files)[0]]
    for route in routes:
        (option,) = (one for one in route["request_headers_to_add"] if one["header"]["key"] == "x-a")
        assert option["header"] == {"key": "x-a", "value": escaped}
        assert option["append_action"] == "OVERWRITE_IF_EXISTS_OR_ADD"


def test_secrets_are_not_written(monkeypatch, tmp_path):
    """What a header takes from the environment is read by Envoy itself and stands nowhere here; a file's content does."""
    secret = tmp_path / "secret"
    secret.write_text("s3cr3t-of-a-file")
    monkeypatch.setenv("EXTPROC_TEST_TOKEN", "s3cr3t-of-the-environment")
    written = texts(
        one_model(f"{{url: 'http://m', headers: {{set: {{a: {{env: EXTPROC_TEST_TOKEN}}, b: {{file: '{secret}'}}}}}}}}")
    )
    assert not [name for name, text in written.items() if "s3cr3t-of-the-environment" in text]
    assert {name for name, text in written.items() if "s3cr3t-of-a-file" in text} == {INGRESS, EGRESS}
    options = second_pass({INGRESS: json.loads(written[INGRESS])})["fraud/m"]["request_headers_to_add"]
    assert options[0]["header"] == {"key": "a", "value": "%ENVIRONMENT(EXTPROC_TEST_TOKEN)%"}


def test_control_headers():
    """Of the project's own headers only the known ones appear, and clients' are stripped before routing."""
    declared = {
        value for module in (headers, call_headers) for value in vars(module).values() if isinstance(value, str)
    }
    found = {name for text in texts_within(FILES) for name in re.findall(r"x-extproc-[a-z-]*", text)}
    assert (
        {"x-extproc-", "x-extproc-model", "x-extproc-route", "x-extproc-graph", "x-extproc-failed"} <= found <= declared
    )
    ingress = next(one for one in FILES[LISTENERS]["resources"] if one["name"] == "ingress")
    manager = ingress["filter_chains"][0]["filters"][0]["typed_config"]
    (early,) = manager["early_header_mutation_extensions"]
    assert early["typed_config"]["mutations"] == [{"remove_on_match": {"key_matcher": {"prefix": "x-extproc-"}}}]


def test_the_egress_has_no_graph_filter():
    """Sub-calls meet no processor, so nothing loops."""
    egress = next(one for one in FILES[LISTENERS]["resources"] if one["name"] == "egress")
    assert not any("ExternalProcessor" in text for text in texts_within(egress))
    assert egress["address"]["pipe"]["mode"] == 0o600


# --- first-pass routes


def overrides(route):
    """The filter of a first-pass route, and what it overrides."""
    ((name, config),) = route["typed_per_filter_config"].items()
    return name, config["overrides"]


def test_a_graph_that_fails_open():
    """A graph of headers only sends no body, names itself, and passes to its away-model."""
    (route,) = first_pass(configured(HEADERS_ONLY))[:-1]
    name, found = overrides(route)
    assert name == "extproc.fast"
    assert found["failure_mode_allow"] is True
    assert found["processing_mode"].get("request_body_mode", "NONE") == "NONE"
    assert found["processing_mode"]["response_header_mode"] == "SKIP"
    assert found["grpc_initial_metadata"] == [{"key": "x-extproc-graph", "value": HEADERS_ONLY.id}]
    assert route["route"]["cluster"].startswith("headers-only/a@")


def test_a_graph_that_reads_bodies():
    """Bodies are buffered by the route, up to the graph's own limit."""
    route = next(one for one in first_pass(FILES) if one["name"] == "everything")
    _, found = overrides(route)
    assert found["processing_mode"]["request_body_mode"] == "BUFFERED"
    assert route["request_body_buffer_limit"] == 4096


def test_a_graph_that_closes():
    """Without an away-model a request gets 503, and an upgrade 404 without the processor."""
    upgrade, closed = first_pass(configured(CLOSED))[:-1]
    assert upgrade["direct_response"]["status"] == UPGRADE_REFUSED
    assert "typed_per_filter_config" not in upgrade
    assert {one["name"] for one in upgrade["match"]["headers"]} == {"upgrade", "connection"}
    assert closed["route"]["cluster"] == NOWHERE
    assert closed["route"].get("cluster_not_found_response_code", "SERVICE_UNAVAILABLE") == "SERVICE_UNAVAILABLE"
    assert overrides(closed)[1]["failure_mode_allow"] is False


@pytest.mark.parametrize("host", ["a.example.com", "a-b.c_d.example", "*.example.com", "[::1]", "10.0.0.1"])
def test_regex_specials_in_hosts(host):
    """A dot in a host is a dot, a dash a dash, and a bracket a bracket."""
    files = routed(plan_of_matches([Match(host=host)]))
    routes = first_pass(files)
    good = host.replace("*", "x")
    for request_host in (good, good.upper(), f"{good}:8080"):
        assert route_of(routes, request_host, "/", {})["name"] == "matched"
    for other in (f"{good}x", f"x{good}".replace("xx.", "y"), good.replace(".", "x"), f"{good}:x", f"{good}:80:80", ""):
        if other != good and not (host.startswith("*.") and other.endswith(host[1:])):
            assert route_of(routes, other, "/", {})["name"] == "no_graph", other


@pytest.mark.parametrize(
    "path", ["/a.b", "/a+b*(c)", "/$1", "/a|b", "/[x]", "/100%25", "/v1/models/m:predict", "/a//b"]
)
def test_regex_specials_in_paths(path):
    """Paths and prefixes are texts, never patterns."""
    for match in (Match(path=path), Match(prefix=path)):
        routes = first_pass(routed(plan_of_matches([match])))
        assert route_of(routes, "h", path, {})["name"] == "matched"
        for other in (f"{path}x", path[:-1], path.replace(".", "x") + "y"):
            assert route_of(routes, "h", other, {})["name"] == "no_graph"


@pytest.mark.parametrize("path", ["/a\\1", "/$1", "/100%25", "/\\0", "/a&b"])
def test_regex_specials_in_a_models_path(path):
    """A model's path is put in as it is: RE2 substitutes nothing in it."""
    import re2

    quoted = json.dumps(f"http://m{path}")
    rewrite = second_pass(routed(one_model(f"{{url: {quoted}}}")))["fraud/m"]["route"]["regex_rewrite"]
    assert re2.sub(rewrite["pattern"]["regex"], rewrite["substitution"], "/from/here") == path


def plan_of_matches(matches, name="matched"):
    """A plan that is entered by these matches."""
    raw = [
        {field: value for field in ("host", "path", "prefix", "headers") if (value := getattr(one, field))}
        for one in matches
    ]
    return rooted_with(raw, name)


def rooted_with(raw, name):
    return plan("models: {a: {url: 'http://a'}}\nnodes: {root: {split: {routes: [{to: a, weight: 1}]}}}", name, raw)


# Not shrunk: each example builds a configuration, and a failure would take minutes.
@settings(
    derandomize=True,
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    phases=[Phase.generate],
)
@given(
    st.lists(st.lists(MATCHES, min_size=1, max_size=3), min_size=1, max_size=3),
    st.lists(REQUESTS, min_size=5, max_size=10),
)
def test_envoy_and_processor_agree(graphs, requests):
    """For any matches and any request, the first route that Envoy takes is the graph that the processor would take."""
    plans = [plan_of_matches(matches, f"g{number}") for number, matches in enumerate(graphs)]
    known = Generations()
    known.load(plans)
    routes = first_pass(routed(*plans))
    for host, path, sent in requests:
        taken = known.by_match(host, path, sent)
        assert route_of(routes, host, path, sent)["name"] == ("no_graph" if taken is None else taken.graph)


# --- timeouts


@pytest.mark.parametrize("timeout", ["1ms", "59999ms", "60s", "5m", "3599s", "1h", "4h", "24h"])
def test_any_deadline_of_the_language(tmp_path, timeout):
    """The body filter waits longer than any deadline the loader takes, and no longer than Envoy takes: one hour."""
    file = tmp_path / "fraud.yaml"
    file.write_text(
        "apiVersion: extproc.dev/v1\nkind: InferenceGraph\nmetadata: {name: fraud}\nspec:\n"
        f"  timeout: {timeout}\n  whenAway: closed\n  match: [{{path: /x}}]\n  models: {{m: {{url: 'http://m'}}}}\n"
        "  nodes: {root: {split: {routes: [{to: m, weight: 1}]}}}\n"
    )
    for loaded in load([file]).graphs:  # none, where the loader refuses a deadline as too long
        assert loaded.document.spec.timeout < patience(configured(compile_graph(loaded))) <= 3600


def patience(files):
    """The seconds that the body filter waits for one reply."""
    ingress = next(one for one in files[LISTENERS]["resources"] if one["name"] == "ingress")
    filters = ingress["filter_chains"][0]["filters"][0]["typed_config"]["http_filters"]
    body = next(one for one in filters if one["name"] == "extproc.body")
    return seconds(body["typed_config"]["message_timeout"])


@pytest.mark.parametrize(
    "written", ["timeout: 0.001", "timeout: 0.05, retries: {attempts: 100, on: [timeout]}", "timeout: 10"]
)
@pytest.mark.parametrize("deadline", [0.001, 0.05, 30])
def test_an_attempt_has_a_timeout(written, deadline):
    """An attempt's timeout is a whole millisecond at least: Envoy takes less for none at all."""
    files = routed(one_model(f"{{url: 'http://m', {written}}}", f"timeout: {deadline}"))
    policy = second_pass(files)["fraud/m"]["route"]["retry_policy"]
    assert 0.001 <= seconds(policy["per_try_timeout"]) <= max(deadline, 0.001)


RETRIES = {
    "": (1, "connect-failure,refused-stream,reset-before-request", 0),
    ", retries: 1": (0, "connect-failure,refused-stream,reset-before-request", 0),
    ", retries: {attempts: 3, on: [connect]}": (2, "connect-failure,refused-stream", 0),
    ", retries: {attempts: 3, on: [reset, timeout]}": (2, "reset", 0),
    ", retries: {attempts: 3, on: [5xx]}": (2, "retriable-headers", 1),
    ", retries: {attempts: 3, on: [5xx, '429']}": (2, "retriable-headers", 2),
}


@pytest.mark.parametrize(("written", "expected"), RETRIES.items())
def test_retries(written, expected):
    """Causes in Envoy's words: none of them repeats more than the graph says."""
    policy = second_pass(routed(one_model(f"{{url: 'http://m'{written}}}")))["fraud/m"]["route"]["retry_policy"]
    times, words, matchers = expected
    assert policy.get("num_retries", 0) == times
    assert policy["retry_on"] == words
    assert len(policy.get("retriable_headers", [])) == matchers


def seconds(text):
    """A duration in Envoy's JSON."""
    return float(text.removesuffix("s"))


def test_the_folder_is_where_envoy_finds_it(tmp_path):
    """Every file that another one names lies in the layout's folder."""
    files = configured(HEADERS_ONLY, where=layout(tmp_path))
    named = {text for one in files.values() for text in texts_within(one) if text.endswith(".json")}
    assert {text for text in named if text.startswith("/")} == {
        f"{tmp_path}/{name}" for name in files if name != BOOTSTRAP
    }
