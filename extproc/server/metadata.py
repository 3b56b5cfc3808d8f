"""Header blocks of new streams, decoded once: without a dynamic table equal bytes mean equal headers.

Where Envoy traces, one header differs from stream to stream, the traceparent (W3C Trace Context). It is cut out, so that
the rest is still known, and read by itself: hpack's decoder takes longer for a block than a whole decision.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING

from hpack import Decoder, HPACKError
from hpack.huffman_constants import REQUEST_CODES, REQUEST_CODES_LENGTH
from hpack.huffman_table import decode_huffman

from extproc.engine.traceparent import Traceparent
from extproc.exchange.messages import text
from extproc.headers import TRACEPARENT_HEADER

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import TypeAlias

    Pairs: TypeAlias = list[tuple[str, str]]

MAX_HEADER_BLOCK = 64 * 1024  # a stream's metadata are a few hundred bytes
KEPT_HEADERS = 1024  # distinct header blocks remembered: one for a graph and generation, when nothing else varies

_HUFFMAN = 0x80  # a string's first byte (RFC 7541, 5.2): whether it is coded, and its length
_LONGEST = 0x7E  # of a length in that byte alone
_ALPHABET = b"0123456789abcdef-"  # what a traceparent is written with


class BadBlock(Exception):  # noqa: N818 - it says what is the case
    """A header block cannot be read."""


class HeaderBlocks:
    """A connection's header blocks."""

    def __init__(self) -> None:
        self._decoder = Decoder(max_header_list_size=MAX_HEADER_BLOCK)
        self._known: OrderedDict[bytes, dict[str, str]] = OrderedDict()  # whole blocks, without a traceparent
        self._cut: OrderedDict[bytes, dict[str, str]] = OrderedDict()  # blocks whose traceparent was cut out

    def __repr__(self) -> str:
        """Say how many are known."""
        return f"<HeaderBlocks {len(self._known) + len(self._cut)} known>"

    def read(self, block: bytes) -> tuple[Mapping[str, str], Traceparent | None]:
        """Return a block's headers, and the traceparent among them. Raises BadBlock."""
        if self._decoder.header_table_size:
            return _parted(self._decoded(block))  # until Envoy has taken our settings
        known = self._known.get(block)
        if known is not None:
            return known, None
        at = block.find(_NAME) + len(_NAME)
        length = block[at] if len(_NAME) <= at < len(block) else 0
        if not _HUFFMAN < length <= _HUFFMAN | _LONGEST:
            headers, traceparent = _parted(self._decoded(block))
            if traceparent is None:
                self._learn(self._known, block, headers)
            return headers, traceparent
        end = at + 1 + (length & ~_HUFFMAN)
        rest = block[:at] + block[end:]
        known = self._cut.get(rest)
        if known is not None:
            return known, CodedTraceparent(block[at + 1 : end])
        pairs = self._decoded(block)
        headers, traceparent = _parted(pairs)
        if _stands_at(rest, at, pairs):
            self._learn(self._cut, rest, headers)
        return headers, traceparent

    def _learn(self, known: OrderedDict[bytes, dict[str, str]], block: bytes, headers: dict[str, str]) -> None:
        if not self._decoder.header_table_size:
            if len(known) >= KEPT_HEADERS:
                known.popitem(last=False)
            known[block] = headers

    def _decoded(self, block: bytes) -> Pairs:
        return _pairs(self._decoder, block)


def _pairs(decoder: Decoder, block: bytes) -> Pairs:
    try:
        return [(text(bytes(name)), text(bytes(value))) for name, value in decoder.decode(block, raw=True)]
    except HPACKError:
        raise BadBlock(block) from None


def _parted(pairs: Pairs) -> tuple[dict[str, str], Traceparent | None]:
    headers = dict(pairs)
    traceparent = headers.pop(TRACEPARENT_HEADER, None)
    return headers, None if traceparent is None else Traceparent(traceparent)


def _stands_at(rest: bytes, at: int, pairs: Pairs) -> bool:
    """Tell whether the one traceparent's value is what was cut out there, by putting another one in.

    The bytes of its name may stand in another header's value: what follows them is then no value of its own, and to cut it
    out would give one stream the headers of another.
    """
    told = [value for name, value in pairs if name == TRACEPARENT_HEADER]
    other = next((one for one in _OTHERS if one not in told), "")
    changed = [(name, other if name == TRACEPARENT_HEADER else value) for name, value in pairs]
    decoder = Decoder(max_header_list_size=MAX_HEADER_BLOCK)
    decoder.header_table_size = 0
    try:
        found = _pairs(decoder, rest[:at] + _coded(other.encode()) + rest[at:])
    except BadBlock:
        return False
    return found == changed and len(told) == 1


class CodedTraceparent(Traceparent):
    """A traceparent in Huffman's code: most are not sampled, and of those nothing else is ever asked."""

    __slots__ = ("_code",)

    def __init__(self, code: bytes) -> None:
        super().__init__("")
        self._code = code

    def __str__(self) -> str:
        if not self._text:
            self._text = _read(self._code) or _read_other(self._code)
        return self._text

    @property
    def sampled(self) -> bool:
        """Whether the span is recorded.

        ``-00`` is 010110 00000 00000, and up to seven ones fill the last byte: what else there is before those ones than
        eleven zeros has to be read.
        """
        bits = int.from_bytes(self._code[-4:], "big")
        ones = (bits ^ (bits + 1)).bit_length() - 1
        return bool(bits >> ones & 0x7FF) and super().sampled


def _coded(data: bytes) -> bytes:
    """Return a string in Huffman's code, its length before it (RFC 7541, 5.2)."""
    bits = "".join(f"{REQUEST_CODES[byte]:0{REQUEST_CODES_LENGTH[byte]}b}" for byte in data)
    bits += "1" * (-len(bits) % 8)
    code = int(bits, 2).to_bytes(len(bits) // 8, "big")
    return bytes([_HUFFMAN | len(code)]) + code


_NAME = _coded(TRACEPARENT_HEADER.encode())
_CODES = {f"{REQUEST_CODES[byte]:0{REQUEST_CODES_LENGTH[byte]}b}": chr(byte) for byte in _ALPHABET}
_LENGTHS = sorted({len(code) for code in _CODES})
_FILLED = frozenset("1" * length for length in range(8))  # the end: a byte is filled up with ones (RFC 7541, 5.2)
_OTHERS = ("other", "another")  # traceparents to try


class _Steps(dict[str, "dict[int, tuple[str, str]]"]):
    """For what is left of a code at a byte's end, and the next byte: the characters that end within it, what is left then."""

    def __missing__(self, left: str) -> dict[int, tuple[str, str]]:
        made = self[left] = dict(_made(left))  # when it is first reached: there are some thirty
        return made


_steps = _Steps()


def _made(left: str) -> Iterator[tuple[int, tuple[str, str]]]:
    for byte in range(256):
        bits = f"{left}{byte:08b}"
        found = ""
        while code := next((bits[:length] for length in _LENGTHS if bits[:length] in _CODES), ""):
            found += _CODES[code]
            bits = bits[len(code) :]
        if len(bits) < _LENGTHS[-1] or bits in _FILLED:
            yield byte, (found, bits)


def _read(code: bytes) -> str | None:
    """Return the text of a coded traceparent, None where it is no such thing."""
    steps = _steps
    read = []
    left = ""
    try:
        for byte in code:
            found, left = steps[left][byte]
            read.append(found)
    except KeyError:
        return None
    return "".join(read) if left in _FILLED else None


def _read_other(code: bytes) -> str:
    """Return a text that is no well-formed traceparent, nothing where it cannot be read at all."""
    try:
        return text(bytes(decode_huffman(code)))
    except HPACKError:
        return ""
