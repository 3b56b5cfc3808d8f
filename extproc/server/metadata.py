"""Header blocks of new streams, decoded once: without a dynamic table equal bytes mean equal headers.

Where Envoy traces, two headers differ from stream to stream, traceparent and tracestate (W3C Trace Context). They are cut out, so that
the rest is still known: hpack's decoder takes longer for a block than a whole decision, and tens of milliseconds for a
tracestate as long as clients may send. The traceparent is read by itself, the tracestate never: nobody here needs it.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hpack import Decoder, HPACKError
from hpack.huffman_constants import REQUEST_CODES, REQUEST_CODES_LENGTH
from hpack.huffman_table import decode_huffman

from extproc.engine.traceparent import Traceparent
from extproc.exchange.messages import text
from extproc.headers import TRACEPARENT_HEADER

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import TypeAlias

    Pairs: TypeAlias = list[tuple[str, str]]

MAX_HEADER_BLOCK = 64 * 1024  # a stream's metadata are a few hundred bytes
KEPT_HEADERS = 1024  # distinct header blocks remembered: one for a graph and generation, when nothing else varies

_HUFFMAN = 0x80  # a string's first byte (RFC 7541, 5.2): whether it is coded, and its length
_LONGEST = 0x7E  # of a length in that byte alone
_WHOLE = 0x7F  # seven bits
_MOST_BYTES = 4  # of a longer length: far above any block


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
        cut = _cut_out(block)
        if cut is None:
            headers, traceparent = _parted(self._decoded(block))
            if traceparent is None:
                self._learn(self._known, block, headers)
            return headers, traceparent
        known = self._cut.get(cut.rest)
        if known is not None:
            return known, CodedTraceparent(cut.code)
        pairs = self._decoded(block)
        headers, traceparent = _parted(pairs)
        if _stands_there(cut, pairs):
            self._learn(self._cut, cut.rest, headers)
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
    headers.pop(_STATE_HEADER, None)
    traceparent = headers.pop(TRACEPARENT_HEADER, None)
    return headers, None if traceparent is None else Traceparent(traceparent)


@dataclass(frozen=True, slots=True)
class _Cut:
    """A block without its traceparent, ``code``, and without its tracestate's value: ``rest`` is all of ``parts``."""

    parts: tuple[bytes, bytes, bytes]  # before the traceparent, up to the tracestate, behind it
    code: bytes

    @property
    def rest(self) -> bytes:
        """What is left, in one."""
        return b"".join(self.parts)


def _cut_out(block: bytes) -> _Cut | None:
    """Cut both out, None where there is no traceparent in Huffman's code."""
    at = block.find(_NAME) + len(_NAME)
    length = block[at] if len(_NAME) <= at < len(block) else 0
    if not _HUFFMAN < length <= _HUFFMAN | _LONGEST:
        return None
    end = at + 1 + (length & ~_HUFFMAN)
    state = block.find(_STATE_NAME, end)
    start = len(block) if state < 0 else state + len(_STATE_NAME)
    return _Cut((block[:at], block[end:start], block[_behind(block, start) :]), block[at + 1 : end])


def _behind(block: bytes, at: int) -> int:
    """Return where a string ends (RFC 7541, 5.1 and 5.2); beyond the block for what is none."""
    if at >= len(block):
        return at
    length = block[at] & _WHOLE
    at += 1
    if length < _WHOLE:
        return at + length
    for shift, byte in enumerate(block[at : at + _MOST_BYTES]):
        length += (byte & _WHOLE) << 7 * shift
        if not byte & _HUFFMAN:
            return at + shift + 1 + length
    return len(block) + 1


def _stands_there(cut: _Cut, pairs: Pairs) -> bool:
    """Tell whether what was cut out are the values of the one traceparent and the one tracestate, by putting others in.

    The bytes of a name may stand in another header's value: what follows them is then no value of its own, and to cut it
    out would give one stream the headers of another.
    """
    told = {value for name, value in pairs if name in _DIFFERENT}
    with_state = cut.parts[1].endswith(_STATE_NAME)
    if sorted(name for name, _ in pairs if name in _DIFFERENT) != list(_DIFFERENT[: 1 + with_state]):
        return False
    other = next(one for one in _OTHERS if one not in told)  # what is put in must be something else
    changed = [(name, other if name in _DIFFERENT else value) for name, value in pairs]
    decoder = Decoder(max_header_list_size=MAX_HEADER_BLOCK)
    decoder.header_table_size = 0
    before, between, behind = cut.parts
    coded = _coded(other.encode())
    try:
        found = _pairs(decoder, before + coded + between + (coded if with_state else b"") + behind)
    except BadBlock:
        return False
    return found == changed


class CodedTraceparent(Traceparent):
    """A traceparent in Huffman's code: most are not sampled, and of those nothing else is ever asked."""

    __slots__ = ("_code",)

    def __init__(self, code: bytes) -> None:
        super().__init__("")
        self._code = code

    def __str__(self) -> str:
        if not self._text:
            self._text = _read(self._code)
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


_STATE_HEADER = "tracestate"
_DIFFERENT = (TRACEPARENT_HEADER, _STATE_HEADER)  # in order of their names
_NAME = _coded(TRACEPARENT_HEADER.encode())
_STATE_NAME = _coded(_STATE_HEADER.encode())
_OTHERS = ("other", "another", "third")  # values to try: two of them may be there


def _read(code: bytes) -> str:
    """Return the text of a coded string, nothing where it cannot be read."""
    try:
        return text(bytes(decode_huffman(code)))
    except HPACKError:
        return ""
