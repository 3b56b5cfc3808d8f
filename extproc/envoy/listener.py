"""The two listeners: ingress for clients, egress for the processor's own calls."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from envoy_data_plane.envoy.config.common.mutation_rules.v3 import (
    HeaderMutation as Mutation,
)
from envoy_data_plane.envoy.config.common.mutation_rules.v3 import (
    HeaderMutationRemoveOnMatch,
    HeaderMutationRules,
)
from envoy_data_plane.envoy.config.core.v3 import (
    ApiVersion,
    ConfigSource,
    DataSource,
    GrpcService,
    GrpcServiceEnvoyGrpc,
    PathConfigSource,
    SubstitutionFormatString,
    TrafficDirection,
    TypedExtensionConfig,
    WatchedDirectory,
)
from envoy_data_plane.envoy.config.listener.v3 import Filter, FilterChain, Listener
from envoy_data_plane.envoy.extensions.filters.common.set_filter_state.v3 import FilterStateValue
from envoy_data_plane.envoy.extensions.filters.http.cdn_loop.v3 import CdnLoopConfig
from envoy_data_plane.envoy.extensions.filters.http.ext_proc.v3 import (
    ExternalProcessor,
    ProcessingMode,
    ProcessingModeHeaderSendMode,
)
from envoy_data_plane.envoy.extensions.filters.http.header_mutation.v3 import HeaderMutation as HeaderMutationFilter
from envoy_data_plane.envoy.extensions.filters.http.header_mutation.v3 import Mutations
from envoy_data_plane.envoy.extensions.filters.http.router.v3 import Router
from envoy_data_plane.envoy.extensions.filters.http.set_filter_state.v3 import Config as SetFilterState
from envoy_data_plane.envoy.extensions.filters.network.http_connection_manager.v3 import (
    HttpConnectionManager,
    HttpConnectionManagerPathWithEscapedSlashesAction,
    HttpConnectionManagerServerHeaderTransformation,
    HttpConnectionManagerUpgradeConfig,
    HttpFilter,
    Rds,
)
from envoy_data_plane.envoy.extensions.http.early_header_mutation.header_mutation.v3 import HeaderMutation
from envoy_data_plane.envoy.type.matcher.v3 import StringMatcher
from envoy_data_plane.envoy.type.v3 import HttpStatus, StatusCode
from envoy_data_plane.google.protobuf import Any

from extproc.envoy import tracing
from extproc.envoy.access_log import access_log, note_asked, note_called
from extproc.envoy.addresses import envoy_address
from extproc.envoy.counting import request_counter
from extproc.envoy.layout import CONNECTION_BUFFER, FAST_TIMEOUT, IDLE_TIMEOUT
from extproc.envoy.names import (
    BODY_FILTER,
    EGRESS,
    FAIL_OPEN,
    FAST_FILTER,
    INGRESS,
    PROCESSOR_CLUSTER,
    ROUTE_STATE,
    ROUTES,
    STATE_FILTER,
)
from extproc.envoy.replies import egress_replies, ingress_replies
from extproc.envoy.routes import EGRESS_ROUTES
from extproc.headers import CONTROL_PREFIX, LATENCY_HEADER, ROUTE_HEADER

if TYPE_CHECKING:
    from collections.abc import Sequence

    from extproc.envoy.layout import Layout
    from extproc.plan.plan import Plan

# One route table in each file: Envoy refuses a file of two for a single subscription.
INGRESS_ROUTES_FILE = "rds/ingress.json"
EGRESS_ROUTES_FILE = "rds/egress.json"
HCM = "envoy.filters.network.http_connection_manager"
# How long the body filter waits for one reply: the first of these above every graph's deadline. Steps, because this
# stands in the listener, and a listener change cuts streams: an edited deadline rarely crosses one. Envoy takes no more
# than an hour, and so no graph's deadline is longer (graph/checks/deadline.py).
_PATIENCE = (60.0, 300.0, 1200.0, 3600.0)
_HEADERS_TIMEOUT = timedelta(seconds=30)  # a client that drips its headers; bodies are bounded by the idle timeout
# How long the egress keeps a connection it has given up, for an answer to be read that came before the request's end. By
# default a second, and only then would a caller learn that a model broke off.
_LINGER = timedelta(milliseconds=50)


def ingress_listener(plans: Sequence[Plan], layout: Layout) -> Listener:
    """Return the clients' listener: spoofed headers stripped before routing, two ext_proc filters off by default."""
    upgraded = [*note_asked(layout.access_log), *note_called(layout.access_log), _router(quiet=True)]
    manager = HttpConnectionManager(
        stat_prefix=INGRESS,
        rds=_rds(ROUTES, INGRESS_ROUTES_FILE, layout),
        http_filters=[
            *note_asked(layout.access_log),
            _hide_latency(),
            _processor_filter(FAST_FILTER, FAST_TIMEOUT),
            _processor_filter(BODY_FILTER, _patience(plans)),
            _filter_state(),
            *note_called(layout.access_log),
            _router(quiet=True),
        ],
        upgrade_configs=[HttpConnectionManagerUpgradeConfig(upgrade_type="websocket", filters=upgraded)],
        early_header_mutation_extensions=[_early(layout)],
        local_reply_config=ingress_replies(),
        access_log=[request_counter(), *access_log(layout.access_log, INGRESS)],
        tracing=None if layout.tracing is None else tracing.tracing(layout.tracing, tail_calls=True),
        request_id_extension=tracing.kept_request_ids(),
        use_remote_address=True,
        preserve_external_request_id=True,
        always_set_request_id_in_response=True,
        normalize_path=True,
        merge_slashes=True,
        path_with_escaped_slashes_action=HttpConnectionManagerPathWithEscapedSlashesAction.UNESCAPE_AND_REDIRECT,
        server_header_transformation=HttpConnectionManagerServerHeaderTransformation.PASS_THROUGH,
        stream_idle_timeout=timedelta(seconds=IDLE_TIMEOUT),
        request_headers_timeout=_HEADERS_TIMEOUT,
    )
    return _listener(INGRESS, layout.ingress, manager)


def egress_listener(layout: Layout) -> Listener:
    """Return the processor's listener: the same models, no graph filter, so nothing loops.

    A call speaks for a client: its x-forwarded-* headers and request id stay as the ingress made them.
    """
    manager = HttpConnectionManager(
        stat_prefix=EGRESS,
        rds=_rds(EGRESS_ROUTES, EGRESS_ROUTES_FILE, layout),
        http_filters=[
            HttpFilter(
                name="envoy.filters.http.cdn_loop",
                typed_config=Any.pack(CdnLoopConfig(cdn_id="extproc", max_allowed_occurrences=1)),
            ),
            _router(quiet=True),
        ],
        local_reply_config=egress_replies(),
        access_log=access_log(layout.access_log, EGRESS),
        tracing=None if layout.tracing is None else tracing.tracing(layout.tracing, tail_calls=False),
        request_id_extension=tracing.kept_request_ids(),
        use_remote_address=False,
        skip_xff_append=True,
        preserve_external_request_id=True,
        server_header_transformation=HttpConnectionManagerServerHeaderTransformation.PASS_THROUGH,
        delayed_close_timeout=_LINGER,
        stream_idle_timeout=timedelta(seconds=IDLE_TIMEOUT),
    )
    return _listener(EGRESS, layout.egress, manager)


def _listener(name: str, address, manager: HttpConnectionManager) -> Listener:  # type: ignore[no-untyped-def]  # noqa: ANN001
    chain = FilterChain(filters=[Filter(name=HCM, typed_config=Any.pack(manager))])
    direction = TrafficDirection.INBOUND if name == INGRESS else TrafficDirection.OUTBOUND
    return Listener(
        name=name,
        address=envoy_address(address),
        filter_chains=[chain],
        traffic_direction=direction,
        per_connection_buffer_limit_bytes=CONNECTION_BUFFER if name == INGRESS else None,
    )


def watched(layout: Layout, file: str) -> ConfigSource:
    """Return the source of one resource: a file, in a folder that Envoy watches for renames."""
    path = layout.folder / file
    source = PathConfigSource(path=str(path), watched_directory=WatchedDirectory(path=str(path.parent)))
    return ConfigSource(resource_api_version=ApiVersion.V3, path_config_source=source)


def _rds(name: str, file: str, layout: Layout) -> Rds:
    return Rds(route_config_name=name, config_source=watched(layout, file))


def _patience(plans: Sequence[Plan]) -> float:
    longest = max((plan.timeout for plan in plans), default=0.0)
    return next(step for step in _PATIENCE if step > longest)


def _processor_filter(name: str, message_timeout: float) -> HttpFilter:
    """Turn nothing on by itself: the graph's first-pass route does. No retry policy: a 500 would become a 504."""
    config = ExternalProcessor(
        grpc_service=GrpcService(envoy_grpc=GrpcServiceEnvoyGrpc(cluster_name=PROCESSOR_CLUSTER)),
        stat_prefix=name.removeprefix(CONTROL_PREFIX).removeprefix("extproc."),
        message_timeout=timedelta(seconds=message_timeout),
        processing_mode=ProcessingMode(response_header_mode=ProcessingModeHeaderSendMode.SKIP),
        allow_mode_override=True,
        mutation_rules=HeaderMutationRules(allow_envoy=True, allow_all_routing=True),
        status_on_error=HttpStatus(code=StatusCode.ServiceUnavailable),
    )
    return HttpFilter(name=name, typed_config=Any.pack(config), disabled=True)


def _hide_latency() -> HttpFilter:
    """Take a header away that is for the processor; filters see responses in reverse, so this comes after it."""
    config = HeaderMutationFilter(mutations=Mutations(response_mutations=[Mutation(remove=LATENCY_HEADER)]))
    return HttpFilter(name="envoy.filters.http.header_mutation", typed_config=Any.pack(config))


def _filter_state() -> HttpFilter:
    """Keep the route header for the response: ``!fail-open``, unless the processor set another."""
    config = SetFilterState(on_request_headers=[_route_state(FAIL_OPEN), _route_state(f"%REQ({ROUTE_HEADER})%")])
    return HttpFilter(name=STATE_FILTER, typed_config=Any.pack(config))


def _route_state(value: str) -> FilterStateValue:
    text = SubstitutionFormatString(text_format_source=DataSource(inline_string=value), omit_empty_values=True)
    return FilterStateValue(object_key=ROUTE_STATE, factory_key="envoy.string", format_string=text, skip_if_empty=True)


def _router(*, quiet: bool) -> HttpFilter:
    """Return the last filter; ``quiet`` keeps Envoy's own headers from models and clients."""
    return HttpFilter(name="envoy.filters.http.router", typed_config=Any.pack(Router(suppress_envoy_headers=quiet)))


def _early(layout: Layout) -> TypedExtensionConfig:
    """Strip control headers before anything looks at the request, and decide whether it is traced."""
    sampling = [] if layout.tracing is None else tracing.head_sampling(layout.tracing)
    prefix = HeaderMutationRemoveOnMatch(key_matcher=StringMatcher(prefix=CONTROL_PREFIX))
    return TypedExtensionConfig(
        name="envoy.http.early_header_mutation.header_mutation",
        typed_config=Any.pack(HeaderMutation(mutations=[Mutation(remove_on_match=prefix), *sampling])),
    )
