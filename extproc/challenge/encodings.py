"""gzip and deflate undone, within a limit: what a small body expands to is never larger than what may be compared."""

from __future__ import annotations

import zlib
from typing import Final

from extproc.challenge.leg import TooLarge, Unparsable

_GZIP: Final = 31  # zlib's own numbers for what is around a stream: gzip's frame, its own, none
_ZLIB: Final = 15
_RAW: Final = -15
_CODINGS: Final = {"gzip": _GZIP, "x-gzip": _GZIP, "deflate": _ZLIB}
# Members of one gzip body. Writers that compress in blocks make one for each 64 KiB; without a bound a body of empty
# ones costs a new stream for every 20 bytes.
MAX_MEMBERS: Final = 1024
# Bytes given to zlib at a time: what a member leaves over is copied, so it must not be the rest of a long body.
_SLICE: Final = 16 * 1024
_SEVERAL: Final = "the response has several content-encodings"
_BROKEN: Final = "the response is not what its content-encoding says"


def decoded(body: bytes, encoding: str | None, limit: int) -> bytes:
    """Return a body without its content-encoding, at most ``limit`` bytes of it; ``encoding`` is the header's value.

    Deflate is zlib's format (RFC 9110, 8.4.1.2), or, as some servers send, its bare stream. Nothing is nothing in any
    encoding.

    Raises:
        TooLarge: There would be more than ``limit`` bytes.
        Unparsable: The encoding is another one, or the body is broken or incomplete.
    """
    wrapping = _wrapping(encoding)
    if wrapping is None or not body:
        if len(body) > limit:
            raise TooLarge(_over(limit))
        return body
    if wrapping == _ZLIB and not _has_zlib_header(body):
        wrapping = _RAW
    try:
        return _expanded(body, wrapping, limit)
    except zlib.error:
        raise Unparsable(_BROKEN) from None


def _wrapping(encoding: str | None) -> int | None:
    names = [name.strip().lower() for name in (encoding or "").split(",")]
    codings = [name for name in names if name not in {"", "identity"}]
    if not codings:
        return None
    if len(codings) > 1:
        raise Unparsable(_SEVERAL)
    if codings[0] not in _CODINGS:
        raise Unparsable("the response has a content-encoding other than gzip and deflate")
    return _CODINGS[codings[0]]


def _has_zlib_header(body: bytes) -> bool:
    """Whether a body begins as RFC 1950 has it; a bare stream would need a stored block with bits in its padding."""
    deflate, check = 8, 31
    return body[0] & 0x0F == deflate and int.from_bytes(body[:2], "big") % check == 0


def _expanded(body: bytes, wrapping: int, limit: int) -> bytes:
    parts: list[bytes] = []
    room, at = limit, 0
    for _ in range(MAX_MEMBERS):
        stream = zlib.decompressobj(wrapping)
        while not stream.eof:
            if at >= len(body):
                raise Unparsable(_BROKEN)
            piece = body[at : at + _SLICE]
            part = stream.decompress(piece, room + 1)
            room -= len(part)
            if room < 0:
                raise TooLarge(_over(limit))
            parts.append(part)
            at += len(piece) - len(stream.unused_data)
        if _ends(body, at, wrapping):
            return b"".join(parts)
    raise Unparsable(f"the response has more than {MAX_MEMBERS} gzip members")


def _ends(body: bytes, at: int, wrapping: int) -> bool:
    """Whether nothing follows a stream; behind gzip's, padding with zeros is nothing, and anything else a member."""
    if at == len(body):
        return True
    if wrapping != _GZIP:
        raise Unparsable(_BROKEN)
    return body[at] == 0 and not body[at:].strip(b"\0")


def _over(limit: int) -> str:
    return f"the response is larger than {limit} bytes"
