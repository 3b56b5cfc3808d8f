"""What OTEL_* variables say, as OpenTelemetry's specification words it."""

from __future__ import annotations

import math
import subprocess
import sys

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from extproc import otel
from extproc.otel import Collector, Sampler, Tracing, kept_at, tracing, unusable

ENDPOINT = "OTEL_EXPORTER_OTLP_ENDPOINT"
OWN_ENDPOINT = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"
AT = {ENDPOINT: "http://collector:4317"}


def said(**variables):
    """What an environment with a collector says; no warning is expected."""
    warnings: list[str] = []
    found = tracing(AT | {f"OTEL_{name}": value for name, value in variables.items()}, warnings.append)
    assert warnings == []
    assert found is not None
    return found


def warned(**variables):
    """What an environment with a collector says, and the one warning about it."""
    warnings: list[str] = []
    found = tracing(AT | {f"OTEL_{name}": value for name, value in variables.items()}, warnings.append)
    (warning,) = warnings
    return found, warning


def collector(endpoint, **variables):
    """Where spans go for an endpoint."""
    return said(EXPORTER_OTLP_ENDPOINT=endpoint, **variables).collector


# --- whether there are traces


def test_without_an_endpoint_there_are_none():
    """Nor are there warnings: the variables may be meant for somebody else."""
    others = {"OTEL_TRACES_SAMPLER": "sometimes", "OTEL_SDK_DISABLED": "perhaps", "OTEL_TRACES_EXPORTER": "zipkin"}
    assert tracing({}, pytest.fail) is None
    assert tracing({"OTEL_TRACES_EXPORTER": "otlp", ENDPOINT: " "} | others, pytest.fail) is None


@pytest.mark.parametrize(
    ("variables", "on"),
    [
        ({"SDK_DISABLED": "true"}, False),
        ({"SDK_DISABLED": " TRUE "}, False),
        ({"SDK_DISABLED": "false"}, True),
        ({"SDK_DISABLED": ""}, True),
        ({"TRACES_EXPORTER": "none"}, False),
        ({"TRACES_EXPORTER": "otlp"}, True),
        ({"TRACES_EXPORTER": "OTLP, none"}, True),
        ({"TRACES_EXPORTER": ""}, True),
    ],
)
def test_turning_it_off(variables, on):
    """By the variables that are everywhere's."""
    found = tracing(AT | {f"OTEL_{name}": value for name, value in variables.items()}, pytest.fail)
    assert (found is not None) is on


@pytest.mark.parametrize(("told", "on"), [("console", False), ("console , otlp", True)])
def test_exporters_that_are_not_here(told, on):
    """Are passed over."""
    found, warning = warned(TRACES_EXPORTER=told)
    assert (found is not None) is on
    assert warning == "OTEL_TRACES_EXPORTER: console is passed over; it is otlp or none"


def test_disabled_is_true_or_false():
    """Anything else counts as false."""
    found, warning = warned(SDK_DISABLED="1")
    assert found == said()
    assert warning == "OTEL_SDK_DISABLED=1 is passed over; it is true or false"


# --- where they go


def test_defaults():
    """A collector is enough."""
    assert said() == Tracing(Collector("grpc", "collector", 4317), Sampler(), "extproc", ())
    assert said().envoy_service == "extproc-envoy"


@pytest.mark.parametrize(
    ("endpoint", "host", "port", "secure"),
    [
        ("http://collector:4317", "collector", 4317, False),
        ("https://collector:4317/", "collector", 4317, True),
        ("HTTP://Collector.Example:9", "collector.example", 9, False),
        ("http://collector", "collector", 80, False),
        ("https://collector/", "collector", 443, True),
        ("http://user:secret@collector:1", "collector", 1, False),
        ("http://127.0.0.1:4317", "127.0.0.1", 4317, False),
        ("http://[2001:DB8::1]:4317", "2001:db8::1", 4317, False),
        ("https://[::1]", "::1", 443, True),
        ("collector:4317", "collector", 4317, True),
        ("collector", "collector", 443, True),
        ("[::1]:4317", "::1", 4317, True),
    ],
)
def test_endpoints(endpoint, host, port, secure):
    """Scheme, host and port; without a scheme the connection is secure, as the specification has it."""
    found = collector(endpoint)
    assert (found.host, found.port, found.secure, found.path) == (host, port, secure, "")
    assert "secret" not in repr(found)
    assert str(found) == (f"[{host}]:{port}" if ":" in host else f"{host}:{port}")


@pytest.mark.parametrize(
    ("told", "secure"),
    [
        ({"EXPORTER_OTLP_INSECURE": "true"}, False),
        ({"EXPORTER_OTLP_INSECURE": "True", "EXPORTER_OTLP_TRACES_INSECURE": "false"}, True),
        ({"EXPORTER_OTLP_INSECURE": "yes"}, True),
    ],
)
def test_insecure(told, secure):
    """Counts where the endpoint names no scheme, and nowhere else."""
    assert collector("collector:4317", **told).secure is secure
    assert collector("http://collector:4317", **told).secure is False
    assert collector("https://collector:4317", **told).secure is True


@pytest.mark.parametrize(
    ("variables", "target"),
    [
        ({ENDPOINT: "http://c:4318"}, "/v1/traces"),
        ({ENDPOINT: "http://c:4318/"}, "/v1/traces"),
        ({ENDPOINT: "http://c:4318/otlp/"}, "/otlp/v1/traces"),
        ({ENDPOINT: "c:4318"}, "/v1/traces"),
        ({ENDPOINT: "c:4318/otlp"}, "/otlp/v1/traces"),
        ({OWN_ENDPOINT: "http://c:4318"}, "/"),
        ({OWN_ENDPOINT: "http://c:4318/otlp/"}, "/otlp/"),
        ({OWN_ENDPOINT: "c:4318/v1/traces"}, "/v1/traces"),
        ({OWN_ENDPOINT: "http://c:4318/a?key=secret#b", ENDPOINT: "http://other:1"}, "/a"),
    ],
)
def test_paths(variables, target):
    """Of the common endpoint a folder, of the traces' own all there is; the own one goes before."""
    found = tracing(variables, pytest.fail)
    assert found is not None
    assert (found.collector.host, found.collector.target) == ("c", target)


@pytest.mark.parametrize("endpoint", ["unix:/run/otel.sock", "unix:///run/otel.sock"])
def test_a_socket(endpoint):
    """By gRPC over a Unix socket, with headers and timeout too."""
    found = collector(endpoint, EXPORTER_OTLP_HEADERS="k=v", EXPORTER_OTLP_TIMEOUT="3")
    assert (found.protocol, found.path, str(found)) == ("grpc", "/run/otel.sock", "unix:/run/otel.sock")
    assert (found.headers, found.timeout) == ((("k", "v"),), 3.0)


@pytest.mark.parametrize(
    "endpoint",
    [
        "http://", "http://:4317", "http://c:0", "http://c:65536", "http://c:x", "http://[::1", "http://[::1%25eth0]:1",
        "http://[1.2.3.4]:1", "http://[:::]:1", "http://a b:1", "http://℀.com", "http://bücher:1", "http://c:1/a b",
        "http://c:1/\x01", "ftp://c:1", "://c", "//c:1", "unix:", "unix:/", "unix:otel.sock", "\udcff", "http://\udcff:1",
    ],
)  # fmt: skip
@pytest.mark.parametrize("variable", [ENDPOINT, OWN_ENDPOINT])
def test_endpoints_that_cannot_be_used(variable, endpoint):
    """There are no traces, and it is said which variable is to blame, but not what it holds: it may be a credential."""
    warnings: list[str] = []
    assert tracing(AT | {variable: endpoint}, warnings.append) is None or "\udcff" in endpoint
    assert all(warning.startswith(f"{variable} ") for warning in warnings)
    assert warnings[-1].isascii()
    if "\udcff" not in endpoint:
        assert warnings == [f"{variable} cannot be used, so that there are no traces; it is written http://HOST:PORT"]


@pytest.mark.parametrize(
    ("endpoint", "told", "protocol"),
    [
        ("http://c:4317", None, "grpc"),
        ("http://c:4318", None, "http/protobuf"),
        ("http://c:9", None, "grpc"),
        ("http://c:4318", "grpc", "grpc"),
        ("http://c:4317", "HTTP/protobuf", "http/protobuf"),
    ],
)
def test_protocols(endpoint, told, protocol):
    """What is told, else what the port is for."""
    variables = {} if told is None else {"EXPORTER_OTLP_PROTOCOL": told}
    assert collector(endpoint, **variables).protocol == protocol
    assert collector(endpoint, **variables, EXPORTER_OTLP_TRACES_PROTOCOL="grpc").protocol == "grpc"


def test_a_protocol_that_is_not_here():
    """Is passed over."""
    found, warning = warned(EXPORTER_OTLP_PROTOCOL="http/json")
    assert found == said()
    assert warning == "OTEL_EXPORTER_OTLP_PROTOCOL=http/json is passed over; it is grpc or http/protobuf"


@pytest.mark.parametrize(
    ("told", "headers"),
    [
        ("a=1", [("a", "1")]),
        ("a=1,b=2,", [("a", "1"), ("b", "2")]),
        (" A-b = x y ,c=", [("a-b", "x y"), ("c", "")]),
        ("authorization=Basic%20dXNlcg==", [("authorization", "Basic dXNlcg==")]),
        ("%61=%2C%3d%20", [("a", ",= ")]),
        ("a=1,A=2", [("a", "2")]),
    ],
)
def test_headers(told, headers):
    """A list of pairs, percent-decoded; names are lower-case, and the last of one name counts."""
    assert said(EXPORTER_OTLP_HEADERS=told).collector.headers == tuple(headers)
    own = said(EXPORTER_OTLP_HEADERS="x=y", EXPORTER_OTLP_TRACES_HEADERS=told)
    assert own.collector.headers == tuple(headers)


@pytest.mark.parametrize(
    "told", ["secret", "=secret", "a b=secret", ":path=secret", "a=%0d%0asecret", "a=secretß", "ä=secret"]
)
def test_headers_that_cannot_be_sent(told):
    """Are passed over, the others are not; a warning shows none of them."""
    found, warning = warned(EXPORTER_OTLP_HEADERS=f"x=1,{told},y=2")
    assert found is not None
    assert found.collector.headers == (("x", "1"), ("y", "2"))
    assert "OTEL_EXPORTER_OTLP_HEADERS is passed over" in warning
    assert "secret" not in warning


@pytest.mark.parametrize("told", ["a=secret%25", "a=100%secret"])
def test_percent_signs(told):
    """Envoy cannot send them over gRPC as they are, which is said; over HTTP it can."""
    found, warning = warned(EXPORTER_OTLP_HEADERS=told)
    assert found is not None
    assert found.collector.headers == (("a", told[2:].replace("%25", "%")),)
    assert (
        warning == "a header of OTEL_EXPORTER_OTLP_HEADERS holds %, which Envoy doubles over gRPC; take http/protobuf"
    )
    assert (
        said(EXPORTER_OTLP_HEADERS=told, EXPORTER_OTLP_PROTOCOL="http/protobuf").collector.headers
        == found.collector.headers
    )


def test_a_credential_is_not_shown():
    """Not where the collector or all of it is written out."""
    found = said(EXPORTER_OTLP_HEADERS="authorization=hunter2")
    assert "hunter2" not in repr(found) + str(found.collector) + repr(found.collector)


@pytest.mark.parametrize(("told", "seconds"), [("5", 5.0), (" 0.5 ", 0.5), ("86400", 86400.0), ("", 10.0)])
def test_timeouts(told, seconds):
    """In seconds, as OpenTelemetry's Python SDK takes it, that of traces before."""
    assert said(EXPORTER_OTLP_TIMEOUT=told).collector.timeout == seconds
    assert said(EXPORTER_OTLP_TIMEOUT=told, EXPORTER_OTLP_TRACES_TIMEOUT="7").collector.timeout == 7.0


@pytest.mark.parametrize("told", ["x", "0", "-1", "nan", "inf", "1e9", "9" * 400])
def test_timeouts_that_are_none(told):
    """Are passed over."""
    found, warning = warned(EXPORTER_OTLP_TIMEOUT=told)
    assert found == said()
    assert warning == f"OTEL_EXPORTER_OTLP_TIMEOUT={told[:64]} is passed over; it is a number of seconds"


def test_certificates():
    """Those of traces before those of all signals."""
    found = collector(
        "https://c:1",
        EXPORTER_OTLP_CERTIFICATE="/ca",
        EXPORTER_OTLP_TRACES_CERTIFICATE="/own-ca",
        EXPORTER_OTLP_CLIENT_CERTIFICATE="/cert",
        EXPORTER_OTLP_CLIENT_KEY="/key",
    )
    assert (found.certificate, found.client_certificate, found.client_key) == ("/own-ca", "/cert", "/key")


# --- which of them, and what they are called


@pytest.mark.parametrize(
    ("name", "argument", "sampler"),
    [
        ("", "0.5", Sampler()),
        ("always_on", "0.5", Sampler(parent_based=False, ratio=1.0)),
        ("always_off", "", Sampler(parent_based=False, ratio=0.0)),
        ("traceidratio", "0.25", Sampler(parent_based=False, ratio=0.25)),
        ("traceidratio", "", Sampler(parent_based=False, ratio=1.0)),
        ("parentbased_always_on", "", Sampler(parent_based=True, ratio=1.0)),
        ("ParentBased_Always_Off", "", Sampler(parent_based=True, ratio=0.0)),
        ("parentbased_traceidratio", "0", Sampler(parent_based=True, ratio=0.0)),
        ("parentbased_traceidratio", " 1e-3 ", Sampler(parent_based=True, ratio=0.001)),
    ],
)
def test_samplers(name, argument, sampler):
    """The specification's six; an argument is for those that take one."""
    assert said(TRACES_SAMPLER=name, TRACES_SAMPLER_ARG=argument).sampler == sampler


@pytest.mark.parametrize("argument", ["x", "-0.1", "1.1", "nan", "inf", "50%"])
def test_arguments_that_are_no_share(argument):
    """Are passed over."""
    found, warning = warned(TRACES_SAMPLER="traceidratio", TRACES_SAMPLER_ARG=argument)
    assert found is not None
    assert found.sampler == Sampler(parent_based=False, ratio=1.0)
    assert warning == f"OTEL_TRACES_SAMPLER_ARG={argument} is passed over; it is a number from 0 to 1"


@pytest.mark.parametrize("name", ["jaeger_remote", "always", "x" * 400])
def test_samplers_that_are_not_here(name):
    """Are passed over."""
    found, warning = warned(TRACES_SAMPLER=name)
    assert found == said()
    assert warning.startswith(f"OTEL_TRACES_SAMPLER={name[:64]} is passed over; it is one of always_on, ")


@pytest.mark.parametrize(
    ("variables", "service"),
    [
        ({"SERVICE_NAME": "a"}, "a"),
        ({"RESOURCE_ATTRIBUTES": "service.name=b"}, "b"),
        ({"SERVICE_NAME": "a", "RESOURCE_ATTRIBUTES": "service.name=b"}, "a"),
        ({"RESOURCE_ATTRIBUTES": "service.name="}, "extproc"),
        ({"SERVICE_NAME": "Grüße %20"}, "Grüße %20"),
    ],
)
def test_names_of_the_service(variables, service):
    """The variable goes before the attribute, and neither is among the other attributes."""
    found = said(**variables)
    assert (found.service, found.envoy_service, found.attributes) == (service, f"{service}-envoy", ())


def test_resource_attributes():
    """Pairs, percent-decoded, in order of their names."""
    found = said(RESOURCE_ATTRIBUTES=" b = 2%2C3 ,a=x%20y%3Dz,%63=é,service.namespace=shop")
    assert found.attributes == (("a", "x y=z"), ("b", "2,3"), ("c", "é"), ("service.namespace", "shop"))


def test_resource_attributes_that_are_none():
    """Are passed over, the others are not."""
    found, warning = warned(RESOURCE_ATTRIBUTES="a=1,b")
    assert found is not None
    assert found.attributes == (("a", "1"),)
    assert (
        warning
        == "a part of OTEL_RESOURCE_ATTRIBUTES is passed over; it is written NAME=VALUE,NAME=VALUE, percent-encoded"
    )


def test_what_is_no_text():
    """Bytes that are no UTF-8 are passed over: neither workers nor Envoy could be told of them."""
    found, warning = warned(SERVICE_NAME="caf\udce9")
    assert found == said()
    assert warning == "OTEL_SERVICE_NAME is passed over; it is no UTF-8"


@pytest.mark.parametrize(
    ("name", "value", "wanted"),
    [
        ("BSP_SCHEDULE_DELAY", "0", "a whole number from 1 on"),
        ("BSP_MAX_QUEUE_SIZE", "9" * 5000, "a whole number from 1 on"),
        ("BSP_MAX_EXPORT_BATCH_SIZE", "-1", "a whole number from 1 on"),
        ("SPAN_ATTRIBUTE_COUNT_LIMIT", "x", "a whole number from 0 on"),
        ("EXPORTER_OTLP_COMPRESSION", "zip", "gzip, or not set"),
    ],
)
def test_what_the_sdk_would_stumble_over(name, value, wanted):
    """Is passed over, before a worker finds it."""
    found, warning = warned(**{name: value})
    assert found == said()
    assert warning == f"OTEL_{name}={value[:64]} is passed over; it is {wanted}"


@pytest.mark.parametrize("told", ["0", " 5 ", "", "999999999"])
def test_what_the_sdk_takes(told):
    """Is left to it."""
    assert unusable({"OTEL_SPAN_EVENT_COUNT_LIMIT": told, "OTEL_EXPORTER_OTLP_COMPRESSION": "GZIP"}) == {}


def test_traces_that_are_kept():
    """All else stays as it was said; they are sent to the socket, and soon."""
    before = said(SERVICE_NAME="a", TRACES_SAMPLER="traceidratio", EXPORTER_OTLP_HEADERS="a=secret")
    kept = kept_at(before, "/run/kept.sock")
    assert kept.collector == Collector("grpc", path="/run/kept.sock")
    assert (kept.service, kept.sampler, kept.flush) == ("a", before.sampler, 0.2)
    assert kept_at(None, "/run/kept.sock").service == "extproc"


# --- whatever it is

NAMES = [ENDPOINT, OWN_ENDPOINT, *otel._SDK_NUMBERS] + [
    f"OTEL_{name}"
    for name in (
        "SDK_DISABLED", "TRACES_EXPORTER", "TRACES_SAMPLER", "TRACES_SAMPLER_ARG", "SERVICE_NAME", "RESOURCE_ATTRIBUTES",
        "EXPORTER_OTLP_HEADERS", "EXPORTER_OTLP_TRACES_HEADERS", "EXPORTER_OTLP_PROTOCOL", "EXPORTER_OTLP_TIMEOUT",
        "EXPORTER_OTLP_INSECURE", "EXPORTER_OTLP_CERTIFICATE", "EXPORTER_OTLP_COMPRESSION", "EXPORTER_OTLP_TRACES_TIMEOUT",
    )
]  # fmt: skip
WORDS = st.sampled_from(
    [
        "http://", "https://", "unix:", "/", "::", "[::1]", "[", "]", ":4318", ":0", "@", "?", "#", "%", "%2", "%2C", "%00",
        ",", "=", "true", "false", "otlp", "none", "nan", "inf", "-1", "1e999", "0.5", "traceidratio", "always_on", "grpc",
        "http/protobuf", "a", "localhost", "\udcff", "℀", "é", "🦀", "\x85", "\u2028",
    ]
)  # fmt: skip
VALUES = st.lists(WORDS | st.text(st.characters(), max_size=4), max_size=6).map("".join)


@settings(deadline=None, max_examples=300)
@given(st.dictionaries(st.sampled_from(NAMES), VALUES))
@example({ENDPOINT: "http://[::1"})
@example({ENDPOINT: "http://a\ud800:1"})
def test_any_environment(environment):
    """Nothing is raised; what is said can be told to a worker, and warnings are short."""
    warnings: list[str] = []
    found = tracing({ENDPOINT: "http://c:1"} | environment, warnings.append)
    assert all(len(warning) < 300 for warning in warnings)
    if found is not None:
        assert msgspec.json.decode(msgspec.json.encode(found), type=Tracing) == found
        assert 0 <= found.sampler.ratio <= 1
        assert math.isfinite(found.collector.timeout)
        assert found.collector.path or (found.collector.host and 0 < found.collector.port < 65536)
        assert found.service


def test_it_is_cheap_to_ask():
    """Who asks what the environment says does not import OpenTelemetry."""
    code = "import sys, extproc.otel; sys.exit(any(name.startswith('opentelemetry') for name in sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=30).returncode == 0
