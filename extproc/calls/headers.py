"""Headers of a call on its way out, and of its reply on the way back."""

from __future__ import annotations

from typing import TYPE_CHECKING

from extproc.headers import CONTROL_PREFIX, LEFT_HEADER, MODEL_HEADER

if TYPE_CHECKING:
    from collections.abc import Iterable

    from extproc.engine.calling import SubCall

ATTEMPTS_HEADER = "x-envoy-attempt-count"  # how often Envoy itself tried
ENVOY_PREFIX = "x-envoy-"

_HOP_BY_HOP = frozenset({"connection", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade"})
# What this side of the connection decides itself. A client's x-envoy-* would set retries and timeouts at the egress.
_OURS = frozenset({"accept-encoding", "content-length", "expect", "host"}) | _HOP_BY_HOP
_NOT_SENT = (ENVOY_PREFIX, CONTROL_PREFIX, "proxy-")
_NOT_KEPT = _HOP_BY_HOP | {"content-length"}


def request_headers(call: SubCall, left: float) -> dict[str, str]:
    """Return the headers to send, with ``left`` seconds to the deadline."""
    headers = {
        name: value for name, value in call.headers.items() if name not in _OURS and not name.startswith(_NOT_SENT)
    }
    headers["host"] = call.authority
    headers[MODEL_HEADER] = call.model.key
    headers[LEFT_HEADER] = str(max(1, int(left * 1000)))
    headers["accept-encoding"] = "identity"
    if call.body is not None:
        headers["content-length"] = str(len(call.body))
    return headers


def reply_headers(raw: Iterable[tuple[bytes, bytes]]) -> tuple[tuple[str, str], ...]:
    """Return a response's headers as the engine wants them: in order, lower-case, without Envoy's and the hop's own."""
    pairs = ((_text(name), _text(value)) for name, value in raw)
    return tuple(pair for pair in pairs if pair[0] not in _NOT_KEPT and not pair[0].startswith(_NOT_SENT))


def envoy_attempts(told: str | None) -> int:
    """Return how often Envoy itself tried to get a response, by its ATTEMPTS_HEADER."""
    return int(told) if told and told.isdecimal() else 1


def _text(raw: bytes) -> str:
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return raw.decode("latin-1")
