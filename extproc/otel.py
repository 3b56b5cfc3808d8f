"""What the ``OTEL_*`` variables say, for the processor's spans and for Envoy's configuration alike.

OpenTelemetry specification, "Environment Variable Specification" and "OTLP Exporter". Nothing is exported unless an
endpoint is named: a collector that nobody runs would only cost. A value that cannot be used is passed over with a
warning, as the specification asks.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal, TypeAlias
from urllib.parse import unquote, urlsplit

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    Warn: TypeAlias = Callable[[str], None]

Protocol: TypeAlias = Literal["grpc", "http/protobuf"]

DEFAULT_SERVICE = "extproc"
ENVOYS = "-envoy"  # what Envoy's service is called behind the processor's
HTTP_PORT = 4318  # of OTLP over HTTP, by its specification; 4317 is gRPC's
GRPC_PORT = 4317
DEFAULT_TIMEOUT = 10.0
KEPT_FLUSH = 0.2  # seconds
_PORTS = {"http": 80, "https": 443}
_HTTP_PATH = "/v1/traces"
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

    def __str__(self) -> str:
        """Say where it is."""
        return f"unix:{self.path}" if self.path else f"{self.host}:{self.port}"


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
    endpoint, target = _endpoint(said)
    if endpoint is None or said.get("OTEL_SDK_DISABLED", "").lower() == "true" or not _otlp(said):
        return None
    collector = _collector(endpoint, target, said, warn)
    if collector is None:
        return None
    attributes = dict(_pairs(said.get("OTEL_RESOURCE_ATTRIBUTES", "")))
    named = attributes.pop("service.name", DEFAULT_SERVICE)
    return Tracing(
        collector,
        _sampler(said, warn),
        said.get("OTEL_SERVICE_NAME", named),
        tuple(sorted(attributes.items())),
    )


def kept_at(said: Tracing | None, socket: str) -> Tracing:
    """Return the same, but for where spans go: to a socket of our own, and soon, for somebody waits for them."""
    collector = Collector("grpc", path=socket)
    return replace(said or Tracing(collector), collector=collector, flush=KEPT_FLUSH)


def _otlp(said: Mapping[str, str]) -> bool:
    return "otlp" in said.get("OTEL_TRACES_EXPORTER", "otlp").split(",")


def _of_traces(said: Mapping[str, str], name: str) -> str | None:
    """Return an exporter's variable: that of traces before that of all signals."""
    return said.get(f"OTEL_EXPORTER_OTLP_TRACES_{name}") or said.get(f"OTEL_EXPORTER_OTLP_{name}")


def _endpoint(said: Mapping[str, str]) -> tuple[str | None, str | None]:
    """Return the endpoint, and the HTTP path: of the traces' own endpoint as it stands, else below the common one."""
    own = said.get("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
    if own is not None:
        return own, urlsplit(own).path or "/"
    common = said.get("OTEL_EXPORTER_OTLP_ENDPOINT")
    return common, None if common is None else urlsplit(common).path.rstrip("/") + _HTTP_PATH


def _collector(endpoint: str, target: str | None, said: Mapping[str, str], warn: Warn) -> Collector | None:
    if endpoint.startswith("unix:"):
        return Collector("grpc", path="/" + endpoint.removeprefix("unix:").lstrip("/"))
    parts = urlsplit(endpoint if "://" in endpoint else f"http://{endpoint}")
    try:
        port = parts.port
    except ValueError:
        port = 0
    if parts.scheme not in _PORTS or not parts.hostname or port == 0:
        warn(f"the OTLP endpoint {parts.scheme}://{parts.hostname}: no traces; it is written http://HOST:PORT")
        return None
    port = port or _PORTS[parts.scheme]
    protocol = _protocol(port, said, warn)
    return Collector(
        protocol,
        host=parts.hostname,
        port=port,
        secure=parts.scheme == "https",
        target=target or _HTTP_PATH,
        headers=tuple(_pairs(_of_traces(said, "HEADERS") or "")),
        timeout=_timeout(said, warn),
        certificate=_of_traces(said, "CERTIFICATE"),
    )


def _protocol(port: int, said: Mapping[str, str], warn: Warn) -> Protocol:
    """Return the protocol: where none is named, what the port is for, and else gRPC, as the Python SDK does."""
    told = _of_traces(said, "PROTOCOL")
    match told:
        case "grpc" | "http/protobuf":
            return told
        case None:
            pass
        case _:
            warn(f"OTEL_EXPORTER_OTLP_PROTOCOL={told} is passed over; it is grpc or http/protobuf")
    return "http/protobuf" if port == HTTP_PORT else "grpc"


def _timeout(said: Mapping[str, str], warn: Warn) -> float:
    told = _of_traces(said, "TIMEOUT")
    seconds = _number(told) if told is not None else DEFAULT_TIMEOUT
    if seconds is None or seconds <= 0:
        warn(f"OTEL_EXPORTER_OTLP_TIMEOUT={told} is passed over; it is a number of seconds")
        return DEFAULT_TIMEOUT
    return seconds


def _sampler(said: Mapping[str, str], warn: Warn) -> Sampler:
    name = said.get("OTEL_TRACES_SAMPLER", "parentbased_always_on").lower()
    if name not in _SAMPLERS:
        warn(f"OTEL_TRACES_SAMPLER={name} is passed over; it is one of {', '.join(_SAMPLERS)}")
        return Sampler()
    parent_based, ratio = _SAMPLERS[name]
    if ratio is not None:
        return Sampler(parent_based, ratio)
    told = said.get("OTEL_TRACES_SAMPLER_ARG", "1")
    share = _number(told)
    if share is None or not 0 <= share <= 1:
        warn(f"OTEL_TRACES_SAMPLER_ARG={told} is passed over; it is a number from 0 to 1")
        share = 1.0
    return Sampler(parent_based, share)


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _pairs(text: str) -> Iterator[tuple[str, str]]:
    """Yield what ``a=1,b=2`` holds, values percent-decoded; what has no ``=`` is passed over."""
    for part in text.split(","):
        name, equals, value = part.partition("=")
        if equals and name.strip():
            yield name.strip(), unquote(value.strip())
