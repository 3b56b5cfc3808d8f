"""What the ``OTEL_*`` variables say, for the processor's spans and for Envoy's configuration alike.

OpenTelemetry specification, "Environment Variable Specification" and "OTLP Exporter". Nothing is exported unless an
endpoint is named: a collector that nobody runs would only cost. A value that cannot be used is passed over with a
warning, as the specification asks.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal, TypeAlias
from urllib.parse import SplitResult, unquote, urlsplit

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    Warn: TypeAlias = Callable[[str], None]

Protocol: TypeAlias = Literal["grpc", "http/protobuf"]

DEFAULT_SERVICE = "extproc"
ENVOYS = "-envoy"  # what Envoy's service is called behind the processor's
HTTP_PORT = 4318  # of OTLP over HTTP, by its specification; 4317 is gRPC's
DEFAULT_TIMEOUT = 10.0
MAX_TIMEOUT = 86_400.0  # seconds: a day; Envoy's durations have an end, and so has patience
KEPT_FLUSH = 0.2  # seconds
_PORTS = {"http": 80, "https": 443}
_HTTP_PATH = "/v1/traces"
_ENDPOINT = "OTEL_EXPORTER_OTLP_ENDPOINT"
_TRACES_ENDPOINT = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"
_HOST = re.compile(r"[a-z0-9._-]+")  # an IPv6 address apart
_HEADER_NAME = re.compile(r"[-!#$%&'*+.^_`|~0-9a-z]+")  # RFC 9110, 5.6.2: token
# Whole numbers that the SDK reads by itself, and does not start with where they are none: the least that each may be.
_SDK_NUMBERS = {
    "OTEL_BSP_SCHEDULE_DELAY": 1,
    "OTEL_BSP_EXPORT_TIMEOUT": 1,
    "OTEL_BSP_MAX_QUEUE_SIZE": 1,
    "OTEL_BSP_MAX_EXPORT_BATCH_SIZE": 1,
    "OTEL_ATTRIBUTE_COUNT_LIMIT": 0,
    "OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT": 0,
    "OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT": 0,
    "OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT": 0,
    "OTEL_SPAN_EVENT_COUNT_LIMIT": 0,
    "OTEL_SPAN_LINK_COUNT_LIMIT": 0,
    "OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT": 0,
    "OTEL_LINK_ATTRIBUTE_COUNT_LIMIT": 0,
}
_MOST_DIGITS = 9  # of such a number
_MOST_SHOWN = 64  # characters of a value in a warning
# Name: whether a parent's decision is followed, and the share of traces without a parent.
_SAMPLERS: Mapping[str, tuple[bool, float | None]] = {
    "always_on": (False, 1.0),
    "always_off": (False, 0.0),
    "traceidratio": (False, None),
    "parentbased_always_on": (True, 1.0),
    "parentbased_always_off": (True, 0.0),
    "parentbased_traceidratio": (True, None),
}


@dataclass(frozen=True, slots=True)
class Collector:
    """Where spans go. ``path`` is the socket's of ``unix:PATH``, else host and port; ``target`` is the HTTP path."""

    protocol: Protocol
    host: str = ""
    port: int = 0
    path: str = ""
    secure: bool = False
    target: str = _HTTP_PATH
    headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)  # may hold a credential
    timeout: float = DEFAULT_TIMEOUT
    certificate: str | None = None
    client_certificate: str | None = None
    client_key: str | None = None

    def __str__(self) -> str:
        """Say where it is."""
        if self.path:
            return f"unix:{self.path}"
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Sampler:
    """Which traces are recorded: a parent's decision is followed where ``parent_based``, else the share ``ratio``."""

    parent_based: bool = True
    ratio: float = 1.0


@dataclass(frozen=True, slots=True)
class Tracing:
    """All that is said about traces; ``service`` is the processor's, ``attributes`` are the resource's other ones.

    ``flush`` is for how many seconds spans may be held; None: as usual.
    """

    collector: Collector
    sampler: Sampler = Sampler()
    service: str = DEFAULT_SERVICE
    attributes: tuple[tuple[str, str], ...] = ()
    flush: float | None = None

    @property
    def envoy_service(self) -> str:
        """Envoy's own ``service.name``."""
        return self.service + ENVOYS


def tracing(environment: Mapping[str, str], warn: Warn) -> Tracing | None:
    """Return what the environment says about traces, None where it names no collector or says there are to be none.

    ``warn`` is told of what is passed over.
    """
    said = {name: value.strip() for name, value in environment.items() if name.startswith("OTEL_") and value.strip()}
    if not {_ENDPOINT, _TRACES_ENDPOINT} & set(said) or _disabled(said, warn) or not _otlp(said, warn):
        return None
    said = dict(_texts(said, warn))
    for name, wanted in unusable(said).items():
        warn(f"{name}={said[name][:_MOST_SHOWN]} is passed over; it is {wanted}")
    collector = _collector(said, warn)
    if collector is None:
        return None
    attributes = dict(_pairs("OTEL_RESOURCE_ATTRIBUTES", said.get("OTEL_RESOURCE_ATTRIBUTES", ""), warn))
    named = attributes.pop("service.name", "")
    return Tracing(
        collector,
        _sampler(said, warn),
        said.get("OTEL_SERVICE_NAME") or named or DEFAULT_SERVICE,
        tuple(sorted(attributes.items())),
    )


def unusable(environment: Mapping[str, str]) -> dict[str, str]:
    """Return what OpenTelemetry's SDK would not start with, were it to read it: each variable, and what it is to be."""
    found = {}
    for name, least in _SDK_NUMBERS.items():
        told = environment.get(name, "").strip()
        if told and not (told.isdecimal() and len(told) <= _MOST_DIGITS and int(told) >= least):
            found[name] = f"a whole number from {least} on"
    for name in ("OTEL_EXPORTER_OTLP_COMPRESSION", "OTEL_EXPORTER_OTLP_TRACES_COMPRESSION"):
        if environment.get(name, "").strip().lower() not in {"", "gzip"}:
            found[name] = "gzip, or not set"
    return found


def kept_at(said: Tracing | None, socket: str) -> Tracing:
    """Return the same, but for where spans go: to a socket of our own, and soon, for somebody waits for them."""
    collector = Collector("grpc", path=socket)
    return replace(said or Tracing(collector), collector=collector, flush=KEPT_FLUSH)


def _disabled(said: Mapping[str, str], warn: Warn) -> bool:
    told = said.get("OTEL_SDK_DISABLED", "false").lower()
    if told not in {"true", "false"}:
        warn(f"OTEL_SDK_DISABLED={told[:_MOST_SHOWN]} is passed over; it is true or false")
    return told == "true"


def _otlp(said: Mapping[str, str], warn: Warn) -> bool:
    told = [name.strip() for name in said.get("OTEL_TRACES_EXPORTER", "otlp").lower().split(",")]
    for name in sorted(set(told) - {"otlp", "none", ""}):
        warn(f"OTEL_TRACES_EXPORTER: {name[:_MOST_SHOWN]} is passed over; it is otlp or none")
    return "otlp" in told


def _texts(said: Mapping[str, str], warn: Warn) -> Iterator[tuple[str, str]]:
    """Yield what is text: other bytes of the environment come as halves of pairs, which nobody could write again."""
    for name, value in said.items():
        if value.isascii() or not any("\ud800" <= character <= "\udfff" for character in value):
            yield name, value
        else:
            warn(f"{ascii(name)[1:-1]} is passed over; it is no UTF-8")


def _of_traces(said: Mapping[str, str], name: str) -> str | None:
    """Return an exporter's variable: that of traces before that of all signals."""
    return said.get(f"OTEL_EXPORTER_OTLP_TRACES_{name}") or said.get(f"OTEL_EXPORTER_OTLP_{name}")


def _collector(said: Mapping[str, str], warn: Warn) -> Collector | None:
    """Return where spans go. An endpoint may hold a credential: it is not said which one it is that cannot be used."""
    variable = _TRACES_ENDPOINT if _TRACES_ENDPOINT in said else _ENDPOINT
    endpoint = said.get(variable, "")
    collector = _at_socket(endpoint) if endpoint.startswith("unix:") else _at_port(endpoint, said, warn)
    if collector is None:
        warn(f"{variable} cannot be used, so that there are no traces; it is written http://HOST:PORT")
        return None
    headers = _headers(said, warn)
    if collector.protocol == "grpc" and any("%" in value for _, value in headers):
        warn("a header of OTEL_EXPORTER_OTLP_HEADERS holds %, which Envoy doubles over gRPC; take http/protobuf")
    return replace(
        collector,
        target=collector.target if variable == _TRACES_ENDPOINT else collector.target.rstrip("/") + _HTTP_PATH,
        headers=headers,
        timeout=_timeout(said, warn),
    )


def _at_socket(endpoint: str) -> Collector | None:
    path = endpoint.removeprefix("unix:")
    return (
        Collector("grpc", path="/" + path.lstrip("/"), target="/") if path.startswith("/") and path.strip("/") else None
    )


def _at_port(endpoint: str, said: Mapping[str, str], warn: Warn) -> Collector | None:
    """Read ``http://HOST:PORT/PATH``. Without a scheme OTEL_EXPORTER_OTLP_INSECURE says whether it is http."""
    if "://" not in endpoint:
        insecure = (_of_traces(said, "INSECURE") or "").lower() == "true"
        endpoint = f"{'http' if insecure else 'https'}://{endpoint}"
    parts = _split(endpoint)
    if parts is None:
        return None
    port = parts.port or _PORTS[parts.scheme]
    return Collector(
        _protocol(port, said, warn),
        host=parts.hostname or "",
        port=port,
        secure=parts.scheme == "https",
        target=parts.path or "/",
        certificate=_of_traces(said, "CERTIFICATE"),
        client_certificate=_of_traces(said, "CLIENT_CERTIFICATE"),
        client_key=_of_traces(said, "CLIENT_KEY"),
    )


def _split(endpoint: str) -> SplitResult | None:
    try:
        parts = urlsplit(endpoint)
        usable = parts.scheme in _PORTS and parts.port != 0 and _is_host(parts.hostname or "") and _is_path(parts.path)
    except ValueError:  # a port that is none, or half an IPv6 address
        return None
    return parts if usable else None


def _is_path(text: str) -> bool:
    return text.isascii() and text.isprintable() and " " not in text


def _is_host(text: str) -> bool:
    if ":" not in text:
        return _HOST.fullmatch(text) is not None
    return "%" not in text and ipaddress.ip_address(text).version == 6  # noqa: PLR2004 - IPv6 itself


def _headers(said: Mapping[str, str], warn: Warn) -> tuple[tuple[str, str], ...]:
    """Return the headers of every export; one that could not be sent is not told, for it may hold a credential."""
    found = {}
    for name, value in _pairs("OTEL_EXPORTER_OTLP_HEADERS", _of_traces(said, "HEADERS") or "", warn):
        lower = name.lower()
        if _HEADER_NAME.fullmatch(lower) and value.isascii() and value.isprintable():
            found[lower] = value
        else:
            warn("a header of OTEL_EXPORTER_OTLP_HEADERS is passed over; it cannot be sent")
    return tuple(found.items())


def _protocol(port: int, said: Mapping[str, str], warn: Warn) -> Protocol:
    """Return the protocol: where none is named, what the port is for, and else gRPC, as the Python SDK does."""
    told = (_of_traces(said, "PROTOCOL") or "").lower()
    match told:
        case "grpc" | "http/protobuf":
            return told
        case "":
            pass
        case _:
            warn(f"OTEL_EXPORTER_OTLP_PROTOCOL={told[:_MOST_SHOWN]} is passed over; it is grpc or http/protobuf")
    return "http/protobuf" if port == HTTP_PORT else "grpc"


def _timeout(said: Mapping[str, str], warn: Warn) -> float:
    told = _of_traces(said, "TIMEOUT")
    if told is None:
        return DEFAULT_TIMEOUT
    seconds = _number(told)
    if seconds is None or not 0 < seconds <= MAX_TIMEOUT:
        warn(f"OTEL_EXPORTER_OTLP_TIMEOUT={told[:_MOST_SHOWN]} is passed over; it is a number of seconds")
        return DEFAULT_TIMEOUT
    return seconds


def _sampler(said: Mapping[str, str], warn: Warn) -> Sampler:
    name = said.get("OTEL_TRACES_SAMPLER", "parentbased_always_on").lower()
    if name not in _SAMPLERS:
        warn(f"OTEL_TRACES_SAMPLER={name[:_MOST_SHOWN]} is passed over; it is one of {', '.join(_SAMPLERS)}")
        return Sampler()
    parent_based, ratio = _SAMPLERS[name]
    if ratio is not None:
        return Sampler(parent_based, ratio)
    told = said.get("OTEL_TRACES_SAMPLER_ARG", "1")
    share = _number(told)
    if share is None or not 0 <= share <= 1:
        warn(f"OTEL_TRACES_SAMPLER_ARG={told[:_MOST_SHOWN]} is passed over; it is a number from 0 to 1")
        share = 1.0
    return Sampler(parent_based, share)


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _pairs(variable: str, text: str, warn: Warn) -> Iterator[tuple[str, str]]:
    """Yield what ``a=1,b=2`` holds, percent-decoded; what has no ``=`` is passed over."""
    for part in text.split(","):
        name, equals, value = part.partition("=")
        decoded = unquote(name.strip())
        if equals and decoded:
            yield decoded, unquote(value.strip())
        elif part.strip():
            warn(f"a part of {variable} is passed over; it is written NAME=VALUE,NAME=VALUE, percent-encoded")
