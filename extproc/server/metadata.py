"""Header blocks of new streams, decoded once: without a dynamic table equal bytes mean equal headers.

Where Envoy traces, one header differs from stream to stream, the traceparent (W3C Trace Context). It is cut out, so that
the rest is still known, and read by itself: hpack's decoder takes longer for a block than a whole decision.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING

from hpack import Decoder, HPACKError
from hpack.huffman_constants import REQUEST_CODES, REQUEST_CODES_LENGTH

from extproc.engine.traceparent import Traceparent
from extproc.headers import TRACEPARENT_HEADER

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

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
        self._known: OrderedDict[bytes, dict[str, str]] = OrderedDict()

    def __repr__(self) -> str:
        """Say how many are known."""
        return f"<HeaderBlocks {len(self._known)} known>"

    def read(self, block: bytes) -> tuple[Mapping[str, str], Traceparent | None]:
        """Return a block's headers, and the traceparent among them. Raises BadBlock."""
        if self._decoder.header_table_size:
            return self._whole(block)  # until Envoy has taken our settings
        known = self._known.get(block)
        if known is not None:
            return known, None
        at = block.find(_NAME) + len(_NAME)
        length = block[at] if len(_NAME) <= at < len(block) else 0
        if not _HUFFMAN < length <= _HUFFMAN | _LONGEST:
            headers, traceparent = self._whole(block)
            if traceparent is None:
                self._learn(block, headers)
            return headers, traceparent
        end = at + 1 + (length & ~_HUFFMAN)
        rest = block[:at] + block[end:]
        coded = CodedTraceparent(block[at + 1 : end])
        known = self._known.get(rest)
        if known is None:
            known, traceparent = self._whole(block)
            if str(traceparent) != str(coded):
                return known, traceparent
            self._learn(rest, known)
        return known, coded

    def _learn(self, block: bytes, headers: dict[str, str]) -> None:
        if not self._decoder.header_table_size:
            if len(self._known) >= KEPT_HEADERS:
                self._known.popitem(last=False)
            self._known[block] = headers

    def _whole(self, block: bytes) -> tuple[dict[str, str], Traceparent | None]:
        try:
            headers = {str(name): str(value) for name, value in self._decoder.decode(block)}
        except (HPACKError, UnicodeDecodeError):
            raise BadBlock(block) from None
        traceparent = headers.pop(TRACEPARENT_HEADER, None)
        return headers, None if traceparent is None else Traceparent(traceparent)


class CodedTraceparent(Traceparent):
    """A traceparent in Huffman's code: most are not sampled, and of those nothing else is ever asked."""

    __slots__ = ("_code",)

    def __init__(self, code: bytes) -> None:
        super().__init__("")
        self._code = code

    def __str__(self) -> str:
        if not self._text:
            self._text = _read(self._code) or self._text
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


def _coded(text: bytes) -> bytes:
    """Return a string in Huffman's code, its length before it (RFC 7541, 5.2)."""
    bits = "".join(f"{REQUEST_CODES[byte]:0{REQUEST_CODES_LENGTH[byte]}b}" for byte in text)
    bits += "1" * (-len(bits) % 8)
    code = int(bits, 2).to_bytes(len(bits) // 8, "big")
    return bytes([_HUFFMAN | len(code)]) + code


_NAME = _coded(TRACEPARENT_HEADER.encode())
_CODES = {f"{REQUEST_CODES[byte]:0{REQUEST_CODES_LENGTH[byte]}b}": chr(byte) for byte in _ALPHABET}
_LENGTHS = sorted({len(code) for code in _CODES})


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
        if len(bits) < _LENGTHS[-1] or "0" not in bits:  # ones: the end, filled up
            yield byte, (found, bits)


def _read(code: bytes) -> str | None:
    """Return the text of a coded traceparent, None where it is no such thing."""
    steps = _steps
    text = []
    left = ""
    try:
        for byte in code:
            found, left = steps[left][byte]
            text.append(found)
    except KeyError:
        return None
    return "".join(text) if "0" not in left else None
