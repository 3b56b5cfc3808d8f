"""Route tables: the second pass keyed on the model, the first pass one route per match of a graph."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import TYPE_CHECKING

from envoy_data_plane.envoy.config.core.v3 import DataSource, HeaderValue, Metadata
from envoy_data_plane.envoy.config.route.v3 import (
    DirectResponseAction,
    HeaderMatcher,
    Route,
    RouteAction,
    RouteActionClusterNotFoundResponseCode,
    RouteConfiguration,
    RouteList,
    RouteMatch,
    VirtualHost,
)
from envoy_data_plane.envoy.extensions.filters.http.ext_proc.v3 import (
    ExtProcOverrides,
    ExtProcPerRoute,
    ProcessingMode,
    ProcessingModeBodySendMode,
    ProcessingModeHeaderSendMode,
)
from envoy_data_plane.envoy.type.matcher.v3 import HttpRequestHeaderMatchInput, RegexMatcher, StringMatcher
from envoy_data_plane.google.protobuf import Any, Struct
from envoy_data_plane.xds.core.v3 import TypedExtensionConfig
from envoy_data_plane.xds.type.matcher.v3 import (
    Matcher,
    MatcherMatcherTree,
    MatcherMatcherTreeMatchMap,
    MatcherOnMatch,
)

from extproc.calls import MAX_RESPONSE
from extproc.envoy.names import (
    BODY_FILTER,
    EGRESS,
    FAST_FILTER,
    INGRESS,
    METADATA,
    NO_GRAPH_ROUTE,
    NOWHERE,
    ROUTE_STATE,
    ROUTES,
    UPGRADE_REFUSED,
)
from extproc.envoy.rewrite import forward, headers_set, overwrite, sub_forward
from extproc.headers import (
    EXPECTED_TIMEOUT_HEADER,
    FAILED_HEADER,
    GRAPH_HEADER,
    LATENCY_HEADER,
    LEFT_HEADER,
    MODEL_HEADER,
    ROUTE_HEADER,
    TRACEPARENT_HEADER,
)
from extproc.plan.match import specific_first

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from extproc.graph.document import Match
    from extproc.plan.model import ModelPlan
    from extproc.plan.plan import Plan

EGRESS_ROUTES = f"{ROUTES}-egress"
# A body that nobody reads is streamed, and kept up to this size for another attempt: maxBody's own default.
RETRY_BUFFER = 1024 * 1024
# From the request's first byte sent to the response's first one received: both legs are measured so, whoever calls.
_LATENCY = overwrite(LATENCY_HEADER, "%COMMON_DURATION(US_TX_BEG:US_RX_BEG:us)%")
_ROUTE_OF_REQUEST = f"%FILTER_STATE({ROUTE_STATE}:PLAIN)%"


def ingress_routes(plans: Sequence[Plan], clusters: Mapping[str, str], *, traced: bool = False) -> RouteConfiguration:
    """Return the ingress's table; ``clusters`` maps a model's key to its cluster's name.

    ``traced``: Envoy names its own span to models, or nothing (envoy/tracing.py, ``head_sampling``).
    """
    second = {
        model.key: _ingress_model(plan, model, clusters[model.key]) for plan in plans for model in plan.models.values()
    }
    first = [
        route
        for match, plan in specific_first((match, plan) for plan in plans for match in plan.match)
        for route in _first_pass(plan, match, clusters)
    ]
    first.append(_direct(NO_GRAPH_ROUTE, RouteMatch(prefix="/"), 404))
    table = _table(ROUTES, second, first)
    for host in table.virtual_hosts:
        host.request_headers_to_remove = _not_for_models(traced=traced)
    return table


def egress_routes(plans: Sequence[Plan], clusters: Mapping[str, str], *, traced: bool = False) -> RouteConfiguration:
    """Return the table for sub-calls: the same models, nothing for the client, no first pass."""
    second = {
        model.key: _egress_model(plan, model, clusters[model.key]) for plan in plans for model in plan.models.values()
    }
    table = _table(EGRESS_ROUTES, second, [])
    for host in table.virtual_hosts:
        host.include_attempt_count_in_response = True
        # Here, because a route removes before it reads.
        host.request_headers_to_remove = [LEFT_HEADER, *_not_for_models(traced=traced)]
    return table


def _not_for_models(*, traced: bool) -> list[str]:
    """Return the headers in whose place Envoy puts its own, after these were removed."""
    return [TRACEPARENT_HEADER] if traced else []


def _table(name: str, second: Mapping[str, Route], first: Sequence[Route]) -> RouteConfiguration:
    host = VirtualHost(
        name=INGRESS if name == ROUTES else EGRESS,  # its routes' statistics are named so
        domains=["*"],
        matcher=_matcher(second, first) if second or first else None,
        include_request_attempt_count=False,
    )
    return RouteConfiguration(name=name, virtual_hosts=[host], ignore_port_in_host_matching=True)


def _matcher(second: Mapping[str, Route], first: Sequence[Route]) -> Matcher:
    otherwise = _action("first", Any.pack(RouteList(routes=list(first)))) if first else None
    if not second:
        return Matcher(on_no_match=otherwise)
    lookup = TypedExtensionConfig(
        name="model", typed_config=Any.pack(HttpRequestHeaderMatchInput(header_name=MODEL_HEADER))
    )
    table = {key: _action("route", Any.pack(route)) for key, route in second.items()}
    tree = MatcherMatcherTree(input=lookup, exact_match_map=MatcherMatcherTreeMatchMap(map=table))
    return Matcher(matcher_tree=tree, on_no_match=otherwise)


def _action(name: str, config: Any) -> MatcherOnMatch:
    return MatcherOnMatch(action=TypedExtensionConfig(name=name, typed_config=config))


def _ingress_model(plan: Plan, model: ModelPlan, cluster: str) -> Route:
    route = _model_route(plan, model, cluster)
    route.response_headers_to_remove = [FAILED_HEADER]
    route.response_headers_to_add = [*_answer_headers(plan), *([_LATENCY] if plan.shows_response else [])]
    return route


def _egress_model(plan: Plan, model: ModelPlan, cluster: str) -> Route:
    route = _model_route(plan, model, cluster)
    route.response_headers_to_remove = [FAILED_HEADER]
    route.response_headers_to_add = [_LATENCY] if plan.challenge is not None else []
    # Only like this: Envoy takes the header itself away from what seems to come from outside (any x-forwarded-for).
    route.request_headers_to_add = [
        overwrite(EXPECTED_TIMEOUT_HEADER, f"%REQ({LEFT_HEADER})%"),
        *route.request_headers_to_add,
    ]
    route.route = sub_forward(model, cluster)
    return route


def _model_route(plan: Plan, model: ModelPlan, cluster: str) -> Route:
    return Route(
        name=model.key,
        stat_prefix=model.key,
        match=RouteMatch(prefix="/"),
        metadata=_metadata(graph=plan.graph, model=model.name),
        request_headers_to_add=headers_set(model),
        request_headers_to_remove=[MODEL_HEADER, ROUTE_HEADER, *model.document.headers.remove],
        request_body_buffer_limit=max(plan.max_body, RETRY_BUFFER),
        route=forward(model, cluster, plan.timeout),
    )


def _answer_headers(plan: Plan) -> list:  # type: ignore[type-arg]
    return [overwrite(GRAPH_HEADER, plan.id), overwrite(ROUTE_HEADER, _ROUTE_OF_REQUEST)]


def _first_pass(plan: Plan, match: Match, clusters: Mapping[str, str]) -> list[Route]:
    entered = _route_match(match)
    if plan.away is None:
        upgrade = _direct(plan.graph, _upgrade(_route_match(match)), UPGRADE_REFUSED)
        upgrade.metadata = _metadata(graph=plan.graph)
        return [upgrade, _with_processor(_closed(entered), plan)]
    model = plan.away
    open_route = Route(
        match=entered,
        request_headers_to_add=headers_set(model),
        request_headers_to_remove=list(model.document.headers.remove),
        response_headers_to_remove=[FAILED_HEADER],
        request_body_buffer_limit=RETRY_BUFFER,
        route=forward(model, clusters[model.key], plan.timeout),
    )
    return [_with_processor(open_route, plan)]


def _closed(match: RouteMatch) -> Route:
    """Lead to no cluster: a 503. A direct response would too, but Envoy then ignores ``request_body_buffer_limit``."""
    nowhere = RouteAction(
        cluster=NOWHERE,
        cluster_not_found_response_code=RouteActionClusterNotFoundResponseCode.SERVICE_UNAVAILABLE,
        timeout=timedelta(0),
    )
    return Route(match=match, route=nowhere)


def _with_processor(route: Route, plan: Plan) -> Route:
    """Turn the ext_proc filter on, with everything about the graph that must be static.

    Envoy holds a body that a step made to the same limit as the client's own: where one may be made, the limit is what a
    step may answer, and the processor alone keeps clients to ``maxBody``. A body that is copied for a challenge is held
    up to a limit of its own; a larger one goes on.

    Where the processor sees responses a failure is allowed in any graph: else one that dies in the middle of a response
    would cut it. A graph that closes then leads nowhere, which is the same 503.
    """
    route.name = plan.graph
    route.stat_prefix = plan.graph
    route.metadata = _metadata(graph=plan.graph, model=plan.away.name if plan.away else None)
    route.response_headers_to_add = _answer_headers(plan)
    route.typed_per_filter_config = {filter_of(plan): Any.pack(_overrides(plan))}
    if plan.reads_body:
        route.request_body_buffer_limit = max(plan.max_body, MAX_RESPONSE) if plan.rewrites else plan.max_body
    elif plan.shows_response:
        route.request_body_buffer_limit = max(plan.max_body, RETRY_BUFFER)
    return route


def filter_of(plan: Plan) -> str:
    """Return the filter a graph uses: the fast one where a late reply means a processor that hangs."""
    return BODY_FILTER if plan.calls or (plan.reads_body and plan.away is None) else FAST_FILTER


def _overrides(plan: Plan) -> ExtProcPerRoute:
    body = ProcessingModeBodySendMode.BUFFERED if plan.reads_body else ProcessingModeBodySendMode.NONE
    mode = ProcessingMode(
        request_header_mode=ProcessingModeHeaderSendMode.SEND,
        response_header_mode=ProcessingModeHeaderSendMode.SKIP,
        request_body_mode=body,
        response_body_mode=ProcessingModeBodySendMode.NONE,
    )
    return ExtProcPerRoute(
        overrides=ExtProcOverrides(
            processing_mode=mode,
            failure_mode_allow=plan.away is not None or plan.shows_response,
            grpc_initial_metadata=[HeaderValue(key=GRAPH_HEADER, value=plan.id)],
        )
    )


def _direct(name: str, match: RouteMatch, status: int) -> Route:
    """Answer without a model; ``local_reply_config`` writes the JSON, told apart by the status."""
    body = DataSource(inline_string="{}")
    return Route(name=name, match=match, direct_response=DirectResponseAction(status=status, body=body))


def _metadata(graph: str, model: str | None = None) -> Metadata:
    names = {"graph": graph} | ({"model": model} if model else {})
    return Metadata(filter_metadata={METADATA: Struct.from_dict(names)})


def _route_match(match: Match) -> RouteMatch:
    headers = [
        HeaderMatcher(name=name, string_match=StringMatcher(exact=value)) for name, value in match.headers.items()
    ]
    if match.host is not None:
        headers.insert(0, HeaderMatcher(name=":authority", string_match=_host(match.host)))
    if match.path is not None:
        return RouteMatch(path=match.path, headers=headers)
    prefix = (match.prefix or "/").rstrip("/")
    if not prefix:
        return RouteMatch(prefix="/", headers=headers)
    return RouteMatch(path_separated_prefix=prefix, headers=headers)


def _host(host: str) -> StringMatcher:
    """Match a host in any case, with or without a port; ``*.`` stands for one label or more."""
    name = rf"[^:]+\.{re.escape(host[2:])}" if host.startswith("*.") else re.escape(host)
    return StringMatcher(safe_regex=RegexMatcher(regex=rf"(?i){name}(:[0-9]+)?"))


def _upgrade(match: RouteMatch) -> RouteMatch:
    upgrade = HeaderMatcher(name="upgrade", present_match=True)
    connection = HeaderMatcher(name="connection", string_match=StringMatcher(contains="upgrade", ignore_case=True))
    match.headers = [*match.headers, upgrade, connection]
    return match
