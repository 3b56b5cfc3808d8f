"""Envoy's own spans: who decides whether there are any, what they are called, and what they say."""

from __future__ import annotations

from typing import TYPE_CHECKING

from envoy_data_plane.envoy.config.core.v3 import TypedExtensionConfig
from envoy_data_plane.envoy.config.trace.v3 import OpenTelemetryConfig, TracingHttp
from envoy_data_plane.envoy.extensions.filters.network.http_connection_manager.v3 import (
    HttpConnectionManagerTracing,
    RequestIdExtension,
)
from envoy_data_plane.envoy.extensions.request_id.uuid.v3 import UuidRequestIdConfig
from envoy_data_plane.envoy.extensions.tracers.opentelemetry.resource_detectors.v3 import (
    StaticConfigResourceDetectorConfig,
)
from envoy_data_plane.envoy.extensions.tracers.opentelemetry.samplers.v3 import (
    AlwaysOnSamplerConfig,
    ParentBasedSamplerConfig,
    TraceIdRatioBasedSamplerConfig,
)
from envoy_data_plane.envoy.type.metadata.v3 import (
    MetadataKey,
    MetadataKeyPathSegment,
    MetadataKind,
    MetadataKindRoute,
)
from envoy_data_plane.envoy.type.tracing.v3 import CustomTag, CustomTagMetadata
from envoy_data_plane.envoy.type.v3 import FractionalPercent, FractionalPercentDenominatorType
from envoy_data_plane.google.protobuf import Any

from extproc.envoy.collector import by_grpc, by_http
from extproc.envoy.names import METADATA

if TYPE_CHECKING:
    from extproc.otel import Sampler, Tracing

_MILLION = 1_000_000
_SAMPLERS = "envoy.tracers.opentelemetry.samplers"
# Spans that Envoy holds, for each of its threads, while the collector does not take them; what is more is lost.
_HELD_SPANS = 4096
# Of a URL only scheme and host: a query may hold a credential, and Envoy cannot leave it out by itself.
_PATH_TAG_LENGTH = 0


def tracing(said: Tracing, *, tail_calls: bool) -> HttpConnectionManagerTracing:
    """Return a listener's tracing. Calls are spans of their own below the request's where ``tail_calls``.

    At the egress a request is a call: one span tells both.
    """
    return HttpConnectionManagerTracing(
        provider=TracingHttp(name="envoy.tracers.opentelemetry", typed_config=Any.pack(_provider(said))),
        spawn_upstream_span=tail_calls,
        operation=f"%REQ(:METHOD)% %METADATA(ROUTE:{METADATA}:{'graph' if tail_calls else 'model'})%",
        upstream_operation=f"%REQ(:METHOD)% %METADATA(ROUTE:{METADATA}:model)%",
        max_path_tag_length=_PATH_TAG_LENGTH,
        custom_tags=[_route_tag("graph"), _route_tag("model")],
    )


def kept_request_ids() -> RequestIdExtension:
    """Leave a client's request id as it is: by default Envoy writes into it whether the request is traced."""
    config = UuidRequestIdConfig(pack_trace_reason=False, use_request_id_for_trace_sampling=False)
    return RequestIdExtension(typed_config=Any.pack(config))


def _provider(said: Tracing) -> OpenTelemetryConfig:
    grpc = said.collector.protocol == "grpc"
    attributes = StaticConfigResourceDetectorConfig(attributes=dict(said.attributes))
    detector = TypedExtensionConfig(
        name="envoy.tracers.opentelemetry.resource_detectors.static_config", typed_config=Any.pack(attributes)
    )
    return OpenTelemetryConfig(
        grpc_service=by_grpc(said.collector) if grpc else None,
        http_service=None if grpc else by_http(said.collector),
        service_name=said.envoy_service,
        resource_detectors=[detector] if said.attributes else [],
        sampler=_sampler(said.sampler),
        max_cache_size=_HELD_SPANS,
    )


def _sampler(said: Sampler) -> TypedExtensionConfig:
    """Return the sampler. One is always named: without it Envoy overrides what the client decided."""
    root = _root_sampler(said.ratio)
    if not said.parent_based:
        return root
    config = ParentBasedSamplerConfig(wrapped_sampler=root)
    return TypedExtensionConfig(name=f"{_SAMPLERS}.parent_based", typed_config=Any.pack(config))


def _root_sampler(ratio: float) -> TypedExtensionConfig:
    if ratio >= 1:
        return TypedExtensionConfig(name=f"{_SAMPLERS}.always_on", typed_config=Any.pack(AlwaysOnSamplerConfig()))
    share = FractionalPercent(numerator=round(ratio * _MILLION), denominator=FractionalPercentDenominatorType.MILLION)
    config = TraceIdRatioBasedSamplerConfig(sampling_percentage=share)
    return TypedExtensionConfig(name=f"{_SAMPLERS}.trace_id_ratio_based", typed_config=Any.pack(config))


def _route_tag(name: str) -> CustomTag:
    key = MetadataKey(key=METADATA, path=[MetadataKeyPathSegment(key=name)])
    return CustomTag(
        tag=f"extproc.{name}",
        metadata=CustomTagMetadata(kind=MetadataKind(route=MetadataKindRoute()), metadata_key=key),
    )
