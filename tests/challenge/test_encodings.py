"""Bodies without their content-encoding, and what is none."""

from __future__ import annotations

import gzip
import tracemalloc
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from extproc.challenge.encodings import MAX_MEMBERS, decoded
from extproc.challenge.leg import TooLarge, Unparsable
from tests.challenge.legs import MANY

BODY = b'{"predictions": [1, 2, 3]}' * 50
LIMIT = 1024 * 1024


def raw(body, level=6):
    """A deflate stream without anything around it."""
    stream = zlib.compressobj(level, zlib.DEFLATED, -15)
    return stream.compress(body) + stream.flush()


def framed(body):
    """A gzip member whose frame has all that one can have: a name, a comment, an extra field, a check of itself."""
    head = b"\x1f\x8b\x08\x1e" + b"\0" * 6 + b"\x04\0abcd" + b"name\0" + b"comment\0"
    head += (zlib.crc32(head) & 0xFFFF).to_bytes(2, "little")
    return head + raw(body) + zlib.crc32(body).to_bytes(4, "little") + len(body).to_bytes(4, "little")


SAME = [
    ("gzip", gzip.compress(BODY)),
    ("GZip", gzip.compress(BODY)),
    (" gzip ", gzip.compress(BODY)),
    ("x-gzip", gzip.compress(BODY)),
    ("identity, gzip", gzip.compress(BODY)),
    ("gzip", gzip.compress(BODY, 0)),
    ("gzip", framed(BODY)),
    ("gzip", gzip.compress(BODY[:100]) + gzip.compress(b"") + gzip.compress(BODY[100:])),
    ("gzip", gzip.compress(BODY) + b"\0" * 700),
    ("deflate", zlib.compress(BODY)),
    ("deflate", zlib.compress(BODY, 0)),
    ("deflate", raw(BODY)),
    ("deflate", raw(BODY, 0)),
    ("identity", BODY),
    ("", BODY),
    (None, BODY),
]


@pytest.mark.parametrize(("encoding", "body"), SAME, ids=range(len(SAME)))
def test_gzip_and_deflate_are_undone(encoding, body):
    """Whatever the frame, the level and the number of members; without an encoding the body is as it was."""
    assert decoded(body, encoding, LIMIT) == BODY


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "identity", None])
def test_nothing_is_nothing_in_any_encoding(encoding):
    """An empty body has no stream in it."""
    assert decoded(b"", encoding, 0) == b""


@pytest.mark.parametrize(
    "encoding", ["br", "zstd", "compress", "gzip, gzip", "gzip,br", "deflate, gzip", "gzip;q=1", "é"]
)
def test_other_encodings_are_unparsable(encoding):
    """So are several, one upon the other."""
    with pytest.raises(Unparsable, match="content-encoding"):
        decoded(gzip.compress(BODY), encoding, LIMIT)


def broken(body):
    """A compressed body, cut, changed, and with something behind it."""
    changed = bytearray(body)
    changed[len(body) // 2] ^= 0xFF
    return [body[:-1], body[: len(body) // 2], body[:1], bytes(changed), body + b"SECRET", b"SECRET" + body, b"SECRET"]


BROKEN = [("gzip", body) for body in broken(gzip.compress(BODY))]
BROKEN += [("gzip", gzip.compress(BODY) + tail) for tail in (b"\0SECRET", gzip.compress(BODY)[:-1])]
BROKEN += [("gzip", zlib.compress(BODY)), ("gzip", raw(BODY)), ("gzip", b"\0" * 20)]
BROKEN += [("deflate", body) for body in broken(zlib.compress(BODY))]
BROKEN += [("deflate", zlib.compress(BODY) * 2), ("deflate", gzip.compress(BODY)), ("deflate", raw(BODY)[:-1])]


@pytest.mark.parametrize(("encoding", "body"), BROKEN, ids=range(len(BROKEN)))
def test_broken_bodies_are_unparsable(encoding, body):
    """Cut off, changed, followed by something else, or not compressed at all; the message holds nothing of them."""
    with pytest.raises(Unparsable) as caught:
        decoded(body, encoding, LIMIT)
    assert "SECRET" not in caught.value.message


@pytest.mark.parametrize("encode", [gzip.compress, zlib.compress, raw, lambda body: body])
def test_the_limit_is_exact(encode):
    """As many bytes pass, and one more is too large."""
    encoding = {gzip.compress: "gzip", zlib.compress: "deflate", raw: "deflate"}.get(encode)
    assert decoded(encode(BODY), encoding, len(BODY)) == BODY
    with pytest.raises(TooLarge):
        decoded(encode(BODY), encoding, len(BODY) - 1)


def test_members_are_limited_together():
    """A bomb in pieces is one all the same."""
    body = gzip.compress(b"x" * 600)
    assert len(decoded(body, "gzip", 1000)) == 600
    with pytest.raises(TooLarge):
        decoded(body * 2, "gzip", 1000)


@pytest.mark.parametrize(
    ("encoding", "encode"), [("gzip", gzip.compress), ("deflate", zlib.compress), ("deflate", raw)]
)
def test_a_bomb_is_never_expanded(encoding, encode):
    """Twenty megabytes behind a small body take no more memory than the limit."""
    bomb = encode(b"\0" * 20_000_000)
    tracemalloc.start()
    try:
        with pytest.raises(TooLarge):
            decoded(bomb, encoding, 100_000)
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()


def test_members_are_counted():
    """A body of many empty ones is refused, before each has cost a stream."""
    member = gzip.compress(b"")
    assert decoded(member * MAX_MEMBERS, "gzip", LIMIT) == b""
    with pytest.raises(Unparsable, match="members"):
        decoded(member * (MAX_MEMBERS + 1), "gzip", LIMIT)


@MANY
@given(st.lists(st.binary(max_size=300), min_size=1, max_size=4), st.integers(0, 9))
def test_whatever_was_compressed_comes_back(parts, level):
    """As one gzip member for each part, and as deflate in both of its forms."""
    whole = b"".join(parts)
    assert decoded(b"".join(gzip.compress(part, level) for part in parts), "gzip", len(whole)) == whole
    assert decoded(zlib.compress(whole, level), "deflate", len(whole)) == whole
    assert decoded(raw(whole, level), "deflate", len(whole)) == whole


@MANY
@given(st.binary(max_size=200), st.sampled_from(["gzip", "deflate"]), st.integers(0, 300), st.booleans())
def test_any_body_is_decoded_or_refused(body, encoding, limit, begun):
    """Nothing else is raised, and never is there more than the limit."""
    try:
        found = decoded((b"\x1f\x8b\x08\0\0\0\0\0\0\3" if begun else b"") + body, encoding, limit)
    except (TooLarge, Unparsable):
        return
    assert len(found) <= limit
