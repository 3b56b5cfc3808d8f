"""HTTP/2 frames (RFC 9113) as bytes: what the processor's side of a connection writes, and the names of what it reads."""

from __future__ import annotations

from struct import Struct
from urllib.parse import quote

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
HEAD = Struct(">HBBBL")  # length's high 16 bits and low 8, type, flags, stream: 9 bytes (RFC 9113, 4.1)
HEAD_SIZE = 9
STREAM_MASK = 0x7FFFFFFF
MAX_WINDOW = 2**31 - 1
DEFAULT_WINDOW = 65_535
DEFAULT_MAX_FRAME = 16_384

WINDOW_REFILL = 2**30  # half of the largest window: what was taken is given back once in a gigabyte

# gRPC status codes: https://grpc.github.io/grpc/core/md_doc_statuscodes.html
INVALID_ARGUMENT, UNIMPLEMENTED, INTERNAL = 3, 12, 13

DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = range(10)

END_STREAM = 0x1
ACK = 0x1
END_HEADERS = 0x4
PADDED = 0x8
WITH_PRIORITY = 0x20

HEADER_TABLE_SIZE = 0x1
INITIAL_WINDOW_SIZE = 0x4
MAX_FRAME_SIZE = 0x5

NO_ERROR = 0x0
PROTOCOL_ERROR = 0x1
FLOW_CONTROL_ERROR = 0x3
FRAME_SIZE_ERROR = 0x6
REFUSED_STREAM = 0x7
COMPRESSION_ERROR = 0x9

# HPACK (RFC 7541) without the dynamic table: ":status: 200" is entry 8, "content-type" the name of entry 31.
_RESPONSE = b"\x88" + b"\x0f\x10\x10application/grpc"
_GRPC_STATUS = b"\x00\x0bgrpc-status"
_GRPC_MESSAGE = b"\x00\x0cgrpc-message"


def frame(kind: int, flags: int, stream: int, payload: bytes | memoryview = b"") -> bytes:
    """Return one frame."""
    size = len(payload)
    return HEAD.pack(size >> 8, size & 0xFF, kind, flags, stream) + payload


def settings(values: dict[int, int]) -> bytes:
    """Return a SETTINGS frame."""
    return frame(SETTINGS, 0, 0, b"".join(Struct(">HL").pack(name, value) for name, value in values.items()))


def window_update(stream: int, increment: int) -> bytes:
    """Return a WINDOW_UPDATE frame."""
    return frame(WINDOW_UPDATE, 0, stream, increment.to_bytes(4, "big"))


def goaway(last_stream: int, code: int) -> bytes:
    """Return a GOAWAY frame."""
    return frame(GOAWAY, 0, 0, last_stream.to_bytes(4, "big") + code.to_bytes(4, "big"))


def reset(stream: int, code: int) -> bytes:
    """Return an RST_STREAM frame."""
    return frame(RST_STREAM, 0, stream, code.to_bytes(4, "big"))


RESPONSE_HEAD = HEAD.pack(0, len(_RESPONSE), HEADERS, END_HEADERS, 0)[:5]


def response_headers(stream: int) -> bytes:
    """Return the HEADERS frame that begins a gRPC response."""
    return RESPONSE_HEAD + stream.to_bytes(4, "big") + _RESPONSE


_OK = _GRPC_STATUS + b"\x010"
_OK_HEAD = HEAD.pack(0, len(_OK), HEADERS, END_HEADERS | END_STREAM, 0)[:5]


def trailers_ok(stream: int) -> bytes:
    """Return the HEADERS frame that ends a gRPC response well."""
    return _OK_HEAD + stream.to_bytes(4, "big") + _OK


def trailers_failed(stream: int, status: int, message: str, *, alone: bool) -> bytes:
    """Return the HEADERS frame that ends a gRPC response badly; ``alone`` when nothing was sent before."""
    code = str(status).encode()
    text = quote(message, safe=" ").encode()[:127]  # one byte of HPACK length; longer texts say no more
    block = _GRPC_STATUS + bytes([len(code)]) + code + _GRPC_MESSAGE + bytes([len(text)]) + text
    return frame(HEADERS, END_HEADERS | END_STREAM, stream, (_RESPONSE if alone else b"") + block)
