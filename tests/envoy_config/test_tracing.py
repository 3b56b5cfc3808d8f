"""Envoy's spans and counts in its configuration: who decides, where spans go and by what words, and what is counted."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from extproc.headers import CALL_SECONDS
from extproc.otel import Collector, Sampler, Tracing, kept_at, tracing
from tests.envoy_config import theirs
from tests.envoy_config.configuring import BOOTSTRAP, LISTENERS, clusters, configured, layout, one_model
from tests.envoy_config.test_build import EVERYTHING, HEADERS_ONLY
from tests.envoy_config.test_validate import certificates, static, validated
from tests.telemetry.test_otel import ENDPOINT, NAMES, VALUES

__all__ = ["certificates"]

HEADERS = (("authorization", "Basic abc="), ("x-a", '100% %REQ(y)% "\\'))
GRPC = Collector("grpc", "collector", 4317, headers=HEADERS, timeout=2.5)
HTTP = Collector("http/protobuf", "127.0.0.1", 4318, headers=HEADERS, target="/otlp/v1/traces")
SECURE = Collector("grpc", "collector.example", 443, secure=True)
SOCKET = Collector("grpc", path="/run/otel.sock")
SIX = Collector("http/protobuf", "::1", 4318)
SNAKE = theirs.build.Casing.SNAKE
ONE = one_model("{url: 'http://m'}")


def traced(said: Tracing | Collector, where: Any = None) -> dict[str, Any]:
    """The files of a configuration with traces."""
    told = said if isinstance(said, Tracing) else Tracing(said)
    return configured(ONE, where=replace(where or layout(), tracing=told))


def managers(files: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The HTTP connection managers by their listeners' names."""
    return {one["name"]: one["filter_chains"][0]["filters"][0]["typed_config"] for one in files[LISTENERS]["resources"]}


def provider(said: Tracing | Collector) -> dict[str, Any]:
    """What Envoy's tracer is told."""
    told = said if isinstance(said, Tracing) else Tracing(said)
    found: dict[str, Any] = theirs.tracing.tracing(told, tail_calls=True).to_dict(casing=SNAKE)
    provided: dict[str, Any] = found["provider"]["typed_config"]
    return provided


def cluster(said: Collector) -> dict[str, Any]:
    """The collector's cluster."""
    found: dict[str, Any] = theirs.collector.collector_cluster(said).to_dict(casing=SNAKE)
    return found


def test_without_traces():
    """There is no tracer, no collector, and no setting of one."""
    files = configured(ONE)
    assert all("tracing" not in manager for manager in managers(files).values())
    assert "extproc.collector" not in clusters(files)
    assert "layered_runtime" not in files[BOOTSTRAP]


@pytest.mark.parametrize(
    ("sampler", "share"),
    [
        (Sampler(parent_based=False, ratio=1.0), None),
        (Sampler(parent_based=False, ratio=0.0), 0),
        (Sampler(parent_based=False, ratio=0.5), 500_000),
        (Sampler(parent_based=False, ratio=1 / 3), 333_333),
    ],
)
def test_samplers(sampler, share):
    """One is always named; a share is of a million."""
    found = provider(Tracing(GRPC, sampler))["sampler"]
    kind = found["name"].removeprefix("envoy.tracers.opentelemetry.samplers.")
    assert kind == ("always_on" if share is None else "trace_id_ratio_based")
    if share is not None:
        percentage = found["typed_config"]["sampling_percentage"]
        assert (percentage.get("numerator", 0), percentage["denominator"]) == (share, "MILLION")
    assert heads(sampler) == []


def heads(sampler: Sampler) -> list[str]:
    """What is put in place of a traceparent that is not there."""
    mutations = theirs.tracing.head_sampling(Tracing(GRPC, sampler))
    found = [one.to_dict(casing=SNAKE)["append"] for one in mutations]
    assert all(one["header"]["key"] == "traceparent" for one in found)
    assert all(one["append_action"] == "ADD_IF_ABSENT" for one in found)
    return [one["header"]["value"] for one in found]


@pytest.mark.parametrize("ratio", [0.0, 1e-9, 0.01, 0.5, 0.999])
def test_a_parents_decision_is_followed(ratio):
    """Envoy's tracer follows it always; without one the share is drawn before, of requests that come without a trace."""
    sampler = Sampler(parent_based=True, ratio=ratio)
    found = provider(Tracing(GRPC, sampler))["sampler"]
    assert found["name"].endswith(".parent_based")
    assert found["typed_config"]["wrapped_sampler"]["name"].endswith(".always_on")
    (value,) = heads(sampler)
    of_a_minute = drawn(value, range(60), range(1000))
    assert of_a_minute == pytest.approx(ratio, rel=0.05, abs=2 / 10_000)
    assert (drawn(value, range(3600), range(0, 1000, 7)) > 0) is (ratio > 0)
    assert heads(Sampler(parent_based=True, ratio=1.0)) == []


def drawn(value: str, seconds: range, milliseconds: range) -> float:
    """The share that is sampled of requests in these milliseconds of these seconds."""
    written = r"%CEL\(\(request\.time\.getMilliseconds\(\) \* (\d+) \+ int\(request\.time\) \* (\d+)\) % (\d+) < (\d+) \? '' : '-'\)%"
    found = re.fullmatch(written, value)
    assert found is not None, value
    by_millisecond, by_second, slots, taken = (int(number) for number in found.groups())
    return sum(
        (now * by_millisecond + (1_800_000_000 + second) * by_second) % slots < taken
        for second in seconds
        for now in milliseconds
    ) / (len(seconds) * len(milliseconds))


@pytest.mark.parametrize("millisecond", [0, 1, 500, 999])
def test_who_comes_at_the_same_millisecond_of_every_second_is_sampled_as_often(millisecond):
    """A client with a clock is neither always in the share nor never."""
    (value,) = heads(Sampler(parent_based=True, ratio=0.01))
    at = range(millisecond, millisecond + 1)
    assert drawn(value, range(3600), at) == pytest.approx(0.01, rel=0.1)
    assert all(drawn(value, range(start, start + 600), at) > 0 for start in range(0, 3600, 600))


def test_by_grpc():
    """The collector's cluster, its name as authority, the timeout, and the headers."""
    found = provider(GRPC)
    assert "http_service" not in found
    assert found["grpc_service"] == {
        "envoy_grpc": {"cluster_name": "extproc.collector", "authority": "collector:4317"},
        "timeout": "2.500s",
        "initial_metadata": [
            {"key": "authorization", "value": "Basic abc="},
            {"key": "x-a", "value": '100%% %%REQ(y)%% "\\'},
        ],
    }


def test_by_http():
    """The whole URL, and headers whose percent signs stand for themselves."""
    found = provider(HTTP)
    assert "grpc_service" not in found
    assert found["http_service"] == {
        "http_uri": {"uri": "http://127.0.0.1:4318/otlp/v1/traces", "cluster": "extproc.collector", "timeout": "10s"},
        "request_headers_to_add": [
            {"header": {"key": name, "value": value.replace("%", "%%")}, "append_action": "OVERWRITE_IF_EXISTS_OR_ADD"}
            for name, value in HEADERS
        ],
    }


@pytest.mark.parametrize(
    ("said", "uri"),
    [(SIX, "http://[::1]:4318/v1/traces"), (replace(SIX, secure=True, target="/"), "https://[::1]:4318/")],
)
def test_urls(said, uri):
    """IPv6 in brackets; https where it is secure."""
    assert provider(said)["http_service"]["http_uri"]["uri"] == uri


@pytest.mark.parametrize(
    ("said", "kind", "address"),
    [
        (GRPC, "STRICT_DNS", {"socket_address": {"address": "collector", "port_value": 4317}}),
        (HTTP, None, {"socket_address": {"address": "127.0.0.1", "port_value": 4318}}),
        (SIX, None, {"socket_address": {"address": "::1", "port_value": 4318}}),
        (SOCKET, None, {"pipe": {"path": "/run/otel.sock"}}),
    ],
)
def test_the_collectors_cluster(said, kind, address):
    """Names are resolved; gRPC is HTTP/2 from the start."""
    found = cluster(said)
    assert found.get("type") in {kind, "STATIC" if kind is None else kind}
    (endpoint,) = found["load_assignment"]["endpoints"][0]["lb_endpoints"]
    assert endpoint["endpoint"]["address"] == address
    assert ("typed_extension_protocol_options" in found) is (said.protocol == "grpc")
    assert "transport_socket" not in found


def test_tls():
    """The certificate is checked against the name, by the authorities that were named; a client's own is shown."""
    said = replace(SECURE, certificate="/ca.pem", client_certificate="/c.pem", client_key="/k.pem")
    context = cluster(said)["transport_socket"]["typed_config"]
    assert context["sni"] == "collector.example"
    common = context["common_tls_context"]
    assert common["alpn_protocols"] == ["h2"]
    assert common["tls_certificates"] == [
        {"certificate_chain": {"filename": "/c.pem"}, "private_key": {"filename": "/k.pem"}}
    ]
    assert common["validation_context"]["trusted_ca"] == {"filename": "/ca.pem"}
    assert common["validation_context"]["match_typed_subject_alt_names"][0]["matcher"] == {"exact": "collector.example"}
    plain = cluster(replace(SECURE, protocol="http/protobuf"))["transport_socket"]["typed_config"]
    assert "alpn_protocols" not in plain["common_tls_context"]
    assert "tls_certificates" not in plain["common_tls_context"]
    assert plain["common_tls_context"]["validation_context"]["trusted_ca"]["filename"]


def test_the_resource():
    """The service is the processor's with ``-envoy``; other attributes are the same."""
    found = provider(Tracing(GRPC, service="fraud", attributes=(("a", "x, y"), ("team", "é"))))
    assert found["service_name"] == "fraud-envoy"
    (detector,) = found["resource_detectors"]
    assert detector["name"] == "envoy.tracers.opentelemetry.resource_detectors.static_config"
    assert detector["typed_config"]["attributes"] == {"a": "x, y", "team": "é"}
    assert "resource_detectors" not in provider(GRPC)


def test_what_spans_are_called():
    """After graph and model, by the names in the route; a path's query is not shown, and tail calls are spans of their own."""
    found = {name: manager["tracing"] for name, manager in managers(traced(GRPC)).items()}
    assert found["ingress"]["provider"] == found["egress"]["provider"]
    assert found["ingress"]["operation"] == "%REQ(:METHOD)% %METADATA(ROUTE:extproc:graph)%"
    assert found["egress"]["operation"] == "%REQ(:METHOD)% %METADATA(ROUTE:extproc:model)%"
    assert found["ingress"]["spawn_upstream_span"] is True
    assert not found["egress"].get("spawn_upstream_span")
    for one in found.values():
        assert one["max_path_tag_length"] == 0
        assert one["upstream_operation"] == "%REQ(:METHOD)% %METADATA(ROUTE:extproc:model)%"
        assert [tag["tag"] for tag in one["custom_tags"]] == ["extproc.graph", "extproc.model"]
        assert "verbose" not in one


def test_request_ids_are_left_alone():
    """With traces and without: nothing is written into them, and they decide nothing."""
    for files in (configured(ONE), traced(GRPC)):
        for manager in managers(files).values():
            config = manager["request_id_extension"]["typed_config"]
            assert (config["pack_trace_reason"], config["use_request_id_for_trace_sampling"]) == (False, False)


def test_how_soon_spans_are_sent():
    """Within a second; where somebody waits for them, sooner."""
    for said, milliseconds in ((Tracing(GRPC), 1000), (kept_at(None, "/run/x.sock"), 200)):
        (layer,) = traced(said)[BOOTSTRAP]["layered_runtime"]["layers"]
        assert layer["static_layer"]["tracing.opentelemetry.flush_interval_ms"] == milliseconds


def test_what_is_counted():
    """Requests at the ingress by names of ours and numbers of few values; durations in the processor's own classes."""
    files = configured(ONE)
    logs = {name: manager.get("access_log", []) for name, manager in managers(files).items()}
    counters = {
        name: [one["typed_config"] for one in found if one["name"] == "envoy.access_loggers.stats"]
        for name, found in logs.items()
    }
    assert counters["egress"] == []
    (config,) = counters["ingress"]
    assert config["stat_prefix"] == "extproc"
    (counter,) = config["counters"]
    assert counter["stat"]["name"] == "requests"
    assert {tag["name"]: tag["value_format"] for tag in counter["stat"]["tags"]} == {
        "route": "%ROUTE_NAME%",
        "model": "%METADATA(ROUTE:extproc:model)%",
        "status": "%RESPONSE_CODE%",
        "flags": "%RESPONSE_FLAGS%",
        "attempts": "%UPSTREAM_REQUEST_ATTEMPT_COUNT%",
    }
    (setting,) = files[BOOTSTRAP]["stats_config"]["histogram_bucket_settings"]
    assert setting["buckets"] == [seconds * 1000 for seconds in CALL_SECONDS]


# --- Envoy itself


STRANGE = Tracing(
    replace(HTTP, headers=(*HEADERS, ("x-empty", ""))),
    Sampler(parent_based=True, ratio=1e-9),
    'a "b" \\ % é',
    (("k.é", "v"), ("with space", '"\\%,='), ("empty", "")),
)


@pytest.mark.envoy
@pytest.mark.parametrize(
    "said",
    [
        Tracing(GRPC),
        Tracing(HTTP, Sampler(parent_based=False, ratio=1.0)),
        Tracing(GRPC, Sampler(parent_based=False, ratio=0.0), attributes=(("a", "b"),)),
        Tracing(SIX, Sampler(parent_based=True, ratio=0.999_999_9)),
        Tracing(replace(SIX, protocol="grpc", timeout=1e-9)),
        Tracing(replace(HTTP, timeout=86_400.0)),
        Tracing(SOCKET),
        STRANGE,
        kept_at(STRANGE, "/run/kept.sock"),
    ],
)
def test_envoy_takes_it(tmp_path, said):
    """Samplers, protocols, addresses and strange texts are what a real Envoy takes."""
    where = replace(layout(tmp_path), tracing=said)
    validated(tmp_path, static(configured(ONE, HEADERS_ONLY, where=where)))


@pytest.mark.envoy
def test_envoy_takes_certificates(certificates):
    """Of authorities, and of Envoy's own."""
    certificate, key = str(certificates / "c.pem"), str(certificates / "k.pem")
    said = replace(SECURE, certificate=certificate, client_certificate=certificate, client_key=key)
    for protocol in ("grpc", "http/protobuf"):
        where = replace(layout(certificates), tracing=Tracing(replace(said, protocol=protocol)))
        validated(certificates, static(configured(ONE, where=where)))


@settings(deadline=None, max_examples=100)
@given(st.dictionaries(st.sampled_from(NAMES), VALUES))
def test_any_environment_makes_a_configuration(environment):
    """Whatever OTEL_* variables hold: what is said of it can be written down for Envoy."""
    said = tracing({ENDPOINT: "http://c:1"} | environment, lambda _: None)
    if said is not None:
        assert json.loads(json.dumps(provider(said)).encode())
        assert json.loads(json.dumps(cluster(said.collector)).encode())


def test_every_graph_is_traced_alike():
    """What a graph may say changes nothing about traces."""
    alone, everything = (
        managers(configured(*plans, where=replace(layout(), tracing=Tracing(GRPC))))
        for plans in ((ONE,), (EVERYTHING, ONE))
    )
    assert {name: one["tracing"] for name, one in alone.items()} == {
        name: one["tracing"] for name, one in everything.items()
    }
