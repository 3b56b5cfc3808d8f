"""Envoy's access log: a line of JSON for each request of a client, and for each call that a processor makes for one.

Without queries and bodies, and of headers only the request id and the host. What the client asked for is noted before
anything changes it; model and cluster once it is certain that Envoy calls one, for a route names them sooner.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from envoy_data_plane.envoy.config.accesslog.v3 import AccessLog
from envoy_data_plane.envoy.config.core.v3 import DataSource, SubstitutionFormatString
from envoy_data_plane.envoy.extensions.access_loggers.file.v3 import FileAccessLog
from envoy_data_plane.envoy.extensions.filters.common.set_filter_state.v3 import FilterStateValue
from envoy_data_plane.envoy.extensions.filters.http.set_filter_state.v3 import Config as SetFilterState
from envoy_data_plane.envoy.extensions.filters.network.http_connection_manager.v3 import HttpFilter
from envoy_data_plane.google.protobuf import Any, Struct

from extproc.envoy.names import BODY_FILTER, EGRESS, FAST_FILTER, INGRESS, METADATA
from extproc.headers import ROUTE_HEADER

if TYPE_CHECKING:
    from collections.abc import Mapping

    Line: TypeAlias = dict[str, str | dict[str, str]]

MAX_PATH = 1024  # characters of a path, which a client may make 60 KiB long; APIs' are far shorter
MAX_ID = 128  # of a request id, as in our own logs
MAX_HOST = 255  # no name is longer, by DNS

# Filter state objects, and what is noted in them. Built into Envoy since 1.35: no formatter is needed for the query's end.
_PATH = f"%PATH(NQ:PATH):{MAX_PATH}%"
_ASKED = {"extproc.path": _PATH, "extproc.host": f"%REQ(:AUTHORITY):{MAX_HOST}%"}
_CALLED = {"extproc.model": f"%METADATA(ROUTE:{METADATA}:model)%", "extproc.cluster": "%UPSTREAM_CLUSTER%"}

_COMMON: Line = {
    "time": "%START_TIME%",
    "method": "%REQ(:METHOD)%",
    "protocol": "%PROTOCOL%",
    "status": "%RESPONSE_CODE%",
    "flags": "%RESPONSE_FLAGS%",
    "details": "%RESPONSE_CODE_DETAILS%",
    "duration_ms": "%DURATION%",
    "request_id": f"%REQ(X-REQUEST-ID):{MAX_ID}%",
    "trace_id": "%TRACE_ID%",
    "graph": f"%METADATA(ROUTE:{METADATA}:graph)%",
    "upstream_host": "%UPSTREAM_HOST%",
    "upstream_us": "%COMMON_DURATION(US_TX_BEG:US_RX_BEG:us)%",
    "attempts": "%UPSTREAM_REQUEST_ATTEMPT_COUNT%",
    "bytes_received": "%BYTES_RECEIVED%",
    "bytes_sent": "%BYTES_SENT%",
}
_LINES: Mapping[str, Line] = {
    INGRESS: {
        "listener": INGRESS,
        **_COMMON,
        "client": "%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%",
        "path": "%FILTER_STATE(extproc.path:PLAIN)%",
        "host": "%FILTER_STATE(extproc.host:PLAIN)%",
        "model": "%FILTER_STATE(extproc.model:PLAIN)%",
        "upstream_cluster": "%FILTER_STATE(extproc.cluster:PLAIN)%",
        "route": f"%RESP({ROUTE_HEADER})%",
        # The whole object, because single fields of it come as strings.
        "ext_proc": {name.rpartition(".")[2]: f"%FILTER_STATE({name}:TYPED)%" for name in (FAST_FILTER, BODY_FILTER)},
    },
    EGRESS: {
        "listener": EGRESS,
        **_COMMON,
        "path": _PATH,
        "model": f"%METADATA(ROUTE:{METADATA}:model)%",
        "upstream_cluster": "%UPSTREAM_CLUSTER%",
    },
}


def access_log(path: str | None, listener: str) -> list[AccessLog]:
    """Return the logger of a listener, INGRESS or EGRESS; none without a path."""
    if path is None:
        return []
    form = SubstitutionFormatString(json_format=Struct.from_dict(dict(_LINES[listener])))
    config = FileAccessLog(path=path, log_format=form)
    return [AccessLog(name="envoy.access_loggers.file", typed_config=Any.pack(config))]


def note_asked(path: str | None) -> list[HttpFilter]:
    """Return the ingress's first filter, which notes what the client asked for; none without a path."""
    return [_note("extproc.asked", _ASKED)] if path else []


def note_called(path: str | None) -> list[HttpFilter]:
    """Return the ingress's last filter but the router, which notes what Envoy calls; none without a path."""
    return [_note("extproc.called", _CALLED)] if path else []


def _note(name: str, notes: Mapping[str, str]) -> HttpFilter:
    values = [
        FilterStateValue(
            object_key=key,
            factory_key="envoy.string",
            format_string=SubstitutionFormatString(
                text_format_source=DataSource(inline_string=value), omit_empty_values=True
            ),
            skip_if_empty=True,
        )
        for key, value in notes.items()
    ]
    return HttpFilter(name=name, typed_config=Any.pack(SetFilterState(on_request_headers=values)))
