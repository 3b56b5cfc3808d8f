"""What Envoy answers itself, as JSON: never a model's own answer, never one the processor computed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from envoy_data_plane.envoy.config.accesslog.v3 import AccessLogFilter, ExtensionFilter, ResponseFlagFilter
from envoy_data_plane.envoy.config.core.v3 import HeaderValueOption, SubstitutionFormatString
from envoy_data_plane.envoy.extensions.access_loggers.filters.cel.v3 import ExpressionFilter
from envoy_data_plane.envoy.extensions.filters.network.http_connection_manager.v3 import (
    LocalReplyConfig,
    ResponseMapper,
)
from envoy_data_plane.google.protobuf import Any, Struct

from extproc.envoy.names import METADATA, UPGRADE_REFUSED
from extproc.envoy.rewrite import overwrite
from extproc.headers import DETAILS_PREFIX, FAILED_HEADER

if TYPE_CHECKING:
    from collections.abc import Sequence

# Response flags: UT timeout; UO overflow; UF UC UR LR UH URX UPE connection, reset, no host, retries spent, bad reply;
# NC no cluster. Envoy docs, "Access logging: command operators", RESPONSE_FLAGS.
_BY_FLAG = (
    (("UT",), 504, "deadline", "the model did not answer in time"),
    (("UO",), 429, "overloaded", "too many calls of this model are in flight"),
    (
        ("UF", "UC", "UR", "LR", "UH", "URX", "UPE"),
        502,
        "upstream_failed",
        "the model could not be reached or broke off",
    ),
    (("NC",), 503, "unavailable", "the processor, or the model's cluster, is away"),
)
_DETAILS = "response.code_details"
_NO_UPGRADE = "this protocol upgrade is not served here"
_BY_DETAILS = (
    (f"{_DETAILS} == 'request_payload_too_large'", 413, "body_too_large", "the request's body is larger than maxBody"),
    (f"{_DETAILS}.startsWith('ext_proc_error')", 503, "unavailable", "the processor is away"),
    (f"{_DETAILS} == 'direct_response' && response.code == {UPGRADE_REFUSED}", 404, "no_route", _NO_UPGRADE),
    (f"{_DETAILS} == 'direct_response'", 404, "no_graph", "no graph matches this request"),
    (f"{_DETAILS} == 'upgrade_failed'", 404, "no_route", _NO_UPGRADE),
)
_OURS = f"{_DETAILS}.startsWith('{DETAILS_PREFIX}')"
_REFUSED = (
    (f"!{_OURS} && response.code >= 500", None, "unavailable", "Envoy could not serve this request"),
    (f"!{_OURS} && response.code >= 400", None, "bad_request", "Envoy refused this request"),
)


def ingress_replies() -> LocalReplyConfig:
    """Return the mappers of the ingress: by response flag first, then by details, then whatever else Envoy refused."""
    mappers = [_mapper(_flags(flags), status, code, text) for flags, status, code, text in _BY_FLAG]
    mappers += [_mapper(_cel(expression), status, code, text) for expression, status, code, text in _BY_DETAILS]
    mappers += [_mapper(_cel(expression), status, code, text) for expression, status, code, text in _REFUSED]
    return LocalReplyConfig(mappers=mappers)


def egress_replies() -> LocalReplyConfig:
    """Return the mapper of the egress: on all that Envoy answers in a model's place, a header says its flags, or ``-``."""
    failed: list[HeaderValueOption] = [overwrite(FAILED_HEADER, "%RESPONSE_FLAGS%")]
    return LocalReplyConfig(mappers=[ResponseMapper(filter=_cel("response.code >= 100"), headers_to_add=failed)])


def _flags(flags: Sequence[str]) -> AccessLogFilter:
    return AccessLogFilter(response_flag_filter=ResponseFlagFilter(flags=list(flags)))


def _cel(expression: str) -> AccessLogFilter:
    config = Any.pack(ExpressionFilter(expression=expression))
    return AccessLogFilter(extension_filter=ExtensionFilter(name="cel", typed_config=config))


def _mapper(chosen: AccessLogFilter, status: int | None, code: str, text: str) -> ResponseMapper:
    error = {
        "code": code,
        "message": text,
        "graph": f"%METADATA(ROUTE:{METADATA}:graph)%",
        "model": f"%METADATA(ROUTE:{METADATA}:model)%",
        "requestId": "%REQ(x-request-id)%",
    }
    body = SubstitutionFormatString(
        json_format=Struct.from_dict({"error": error}), content_type="application/json", omit_empty_values=True
    )
    return ResponseMapper(filter=chosen, status_code=status, body_format_override=body)
