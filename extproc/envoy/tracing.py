"""Envoy's own spans: who decides whether there are any, what they are called, and what they say."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from envoy_data_plane.envoy.config.common.mutation_rules.v3 import HeaderMutation
from envoy_data_plane.envoy.config.core.v3 import (
    HeaderValue,
    HeaderValueOption,
    HeaderValueOptionHeaderAppendAction,
    TypedExtensionConfig,
)
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
from extproc.headers import TRACEPARENT_HEADER, UNTRACED

if TYPE_CHECKING:
    from extproc.otel import Sampler, Tracing

_MILLION = 1_000_000
_SLOTS = 60_000  # the least share is one of them
_BY_MILLISECOND, _BY_SECOND = 7919, 37049  # primes: what is near in time comes far apart, each minute has its share
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


def head_sampling(said: Tracing) -> list[HeaderMutation]:
    """Return what decides about requests that come without a trace, before Envoy's tracer sees them.

    Those that are not sampled get a traceparent that is none, for which Envoy makes no span at all (seen on 1.37 to 1.40); one
    that its own sampler turns down costs nearly as much as one that is recorded. Envoy has no chance to offer here: the
    share is taken of time's milliseconds, shuffled, in as few steps as it takes, because each step counts.
    """
    sampler = said.sampler
    if not sampled_at_the_head(said):
        return []
    taken = max(round(sampler.ratio * _SLOTS), 1) if sampler.ratio else 0
    slot = f"(request.time.getMilliseconds() * {_BY_MILLISECOND} + int(request.time) * {_BY_SECOND}) % {_SLOTS}"
    value = f"%CEL({slot} < {taken} ? '' : '{UNTRACED}')%"
    header = HeaderValueOption(
        header=HeaderValue(key=TRACEPARENT_HEADER, value=value),
        append_action=HeaderValueOptionHeaderAppendAction.ADD_IF_ABSENT,
    )
    return [HeaderMutation(append=header)]


def sampled_at_the_head(said: Tracing) -> bool:
    """Whether requests without a trace are decided about before the tracer."""
    return said.sampler.parent_based and said.sampler.ratio < 1


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
        sampler=_sampler(replace(said.sampler, ratio=1.0) if sampled_at_the_head(said) else said.sampler),
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
