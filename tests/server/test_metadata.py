"""Header blocks are read as hpack's own decoder reads them, whatever of them is remembered."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hpack import Decoder, Encoder, HPACKError
from hypothesis import example, given, settings
from hypothesis import strategies as st

from extproc.engine.traceparent import Traceparent
from extproc.exchange.messages import text
from extproc.server import metadata
from extproc.server.metadata import MAX_HEADER_BLOCK, BadBlock, CodedTraceparent, HeaderBlocks

TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
TABLE_OFF = b"\x20"  # a size update to 0 (RFC 7541, 6.3)
HOSTILE = [
    "",
    "0",
    "f" * 200,
    TRACE.upper(),
    TRACE[:-1],
    f"{TRACE}-more",
    "None",
    "other",
    "another",
    "é",
    "a b\t=;",
    "00-" + "z" * 52,
]

ids = st.integers(0, 2**128 - 1).map("{:032x}".format)
spans = st.integers(0, 2**64 - 1).map("{:016x}".format)
traceparents = st.builds("00-{}-{}-{:02x}".format, ids, spans, st.integers(0, 255))
texts = st.text(st.characters(codec="utf-8"), max_size=40)
names = st.sampled_from(
    [":path", ":authority", "x-extproc-graph", "x-b3", "te", "tracestate", "traceparents"]
) | st.text("abc-", min_size=1, max_size=9)
pairs = st.lists(st.tuples(names, texts), max_size=6)
AT = st.integers(0, 6)


def with_it(headers, traceparent, at=0):
    """Headers with a traceparent among them."""
    return [*headers[:at], ("traceparent", traceparent), *headers[at:]]


def encoded(headers, *, huffman=True):
    """A block that makes no use of a dynamic table, as Envoy writes one once it knows that there is none."""
    encoder = Encoder()
    encoder.header_table_size = 0
    encoder.table_size_changes.clear()
    return encoder.encode(headers, huffman=huffman)


def string(data, *, huffman=False):
    """A string as it stands in a block (RFC 7541, 5.2)."""
    data = Encoder().huffman_coder.encode(data) if huffman else data
    return bytes([(0x80 if huffman else 0) | len(data)]) + data


def literal(name, value):
    """A header field whose strings are given as they stand in a block."""
    return b"\x00" + name + value


def blocks():
    """A connection's blocks, the dynamic table off."""
    made = HeaderBlocks()
    made.read(TABLE_OFF)
    return made


def expected(block):
    """What hpack says of a block by itself: its headers but the tracestate, and the traceparent's text."""
    decoder = Decoder(max_header_list_size=MAX_HEADER_BLOCK)
    decoder.header_table_size = 0
    headers = {text(name): text(value) for name, value in decoder.decode(block, raw=True)}
    headers.pop("tracestate", None)
    return headers, headers.pop("traceparent", None)


def kept(headers):
    """Headers as they are told on."""
    return {name: value for name, value in headers if name != "tracestate"}


def read(known, block):
    """What is read of a block, as values."""
    headers, traceparent = known.read(block)
    return dict(headers), None if traceparent is None else str(traceparent)


@settings(deadline=None)
@given(pairs, st.lists(traceparents | st.sampled_from(HOSTILE) | texts, min_size=1, max_size=5), AT, st.booleans())
def test_blocks_are_read_as_by_hpack(headers, told, at, huffman):
    """Streams that differ in their traceparents alone, and one without any: each gets what its own block says."""
    known = blocks()
    for traceparent in told:
        block = encoded(with_it(headers, traceparent, at), huffman=huffman)
        assert read(known, block) == expected(block)
    for _ in range(2):
        assert read(known, encoded(headers, huffman=huffman)) == (kept(headers), None)


@settings(deadline=None)
@given(pairs, st.lists(traceparents, min_size=1, max_size=3))
def test_a_dynamic_table(headers, told):
    """Until Envoy has taken our settings it refers to what it said before; then it says that it does so no more."""
    known, encoder = HeaderBlocks(), Encoder()
    for traceparent in told:
        for _ in range(2):
            assert read(known, encoder.encode(with_it(headers, traceparent))) == (kept(headers), traceparent)
    assert repr(known) == "<HeaderBlocks 0 known>"
    encoder.header_table_size = 0
    for traceparent in told:
        for _ in range(2):
            assert read(known, encoder.encode(with_it(headers, traceparent))) == (kept(headers), traceparent)
    if [name for name, _ in headers].count("tracestate") < 2:
        assert repr(known) in {"<HeaderBlocks 1 known>", "<HeaderBlocks 2 known>"}  # the first says the table is off


def test_a_table_that_is_turned_on_again():
    """Nothing is remembered while what a block says depends on those before it."""
    known, encoder = blocks(), Encoder()
    headers = [(":path", "/p"), ("x-own", "1")]
    first = encoder.encode(with_it(headers, TRACE))
    assert read(known, b"\x3f\xe1\x1f" + first) == (dict(headers), TRACE)
    assert read(known, encoder.encode(headers)) == (kept(headers), None)
    assert repr(known) == "<HeaderBlocks 0 known>"


@settings(deadline=None)
@given(st.binary(max_size=80), st.binary(max_size=40), st.binary(max_size=8))
@example(b"", b"\x05trace", b"")
@example(b"\x82", b"\xff" * 5, b"")
@example(b"", b"\x84\xff\xff\xff\xff", b"")
def test_any_bytes(before, value, after):
    """Are read or are a BadBlock, with the traceparent's name in them or not; nothing else is raised."""
    for block in (before + value, before + b"\x00" + metadata._NAME + value + after):
        for known in (HeaderBlocks(), blocks()):
            for _ in range(2):
                with suppress(BadBlock):
                    known.read(block)


@settings(deadline=None)
@given(st.binary(min_size=1, max_size=60))
def test_bytes_that_hpack_does_not_read(block):
    """Are a BadBlock, the others are read alike."""
    try:
        wanted = expected(block)
    except HPACKError:
        wanted = None
    try:
        found = read(blocks(), block)
    except BadBlock:
        found = None
    assert found == wanted


def test_a_block_that_is_cut_off_after_the_name():
    """Is bad, though the rest of another block, whose traceparent was cut out, is the same bytes."""
    known = blocks()
    block = literal(metadata._NAME, string(TRACE.encode(), huffman=True))
    assert read(known, block) == ({}, TRACE)
    with pytest.raises(BadBlock):
        known.read(b"\x00" + metadata._NAME)


# --- the name's bytes elsewhere


def hidden(cut, traceparent, *, huffman):
    """A header whose value holds the name's bytes and a value behind them, before a traceparent of its own."""
    inner = b"\xfd" + metadata._NAME + string(cut, huffman=True)  # in Huffman's code: "Z_250IeparentZo..."
    value = bytes([0x80 | len(inner)]) + inner if huffman else string(inner)
    return literal(string(b"tracestate"), value) + literal(string(b"traceparent"), string(traceparent))


@pytest.mark.parametrize("huffman", [True, False])
@pytest.mark.parametrize("traceparent", [TRACE, "", "None", "other", "another"])
@pytest.mark.parametrize("cut", [TRACE, "other", "another", "a"])
def test_a_name_within_a_value(cut, traceparent, huffman):
    """No stream gets another's headers, even where a client writes both so that they agree."""
    known = blocks()
    first = hidden(cut.encode(), traceparent.encode(), huffman=huffman)
    for other in (cut[::-1], "1" * len(cut), cut):
        block = hidden(other.encode(), traceparent.encode(), huffman=huffman)
        for one in (first, block, block):
            assert expected(one)[1] == traceparent
            assert read(known, one) == expected(one)


def test_a_value_that_is_no_text():
    """A client may write any bytes into what Envoy passes on (tracestate): the connection of all streams outlives that."""
    block = encoded([("tracestate", b"a=\xff"), ("traceparent", TRACE)])
    assert read(blocks(), block) == ({}, TRACE)


@pytest.mark.parametrize("second", [TRACE, TRACE[:-1] + "0", "other", "another"])
def test_two_traceparents(second):
    """The last one counts, as for hpack's headers as a dictionary, whatever the first one is."""
    known = blocks()
    for first in (second, TRACE, TRACE[::-1], "other", "another"):
        block = encoded([("traceparent", first), ("traceparent", second)])
        assert read(known, block) == ({}, second)


# --- bounds


def test_few_are_remembered(monkeypatch):
    """So many with a traceparent and so many without, the latest ones."""
    monkeypatch.setattr(metadata, "KEPT_HEADERS", 3)
    known = blocks()
    for number in range(20):
        headers = [("x", str(number))]
        for block in (encoded(headers), encoded(with_it(headers, TRACE))):
            assert read(known, block) == expected(block)
    assert repr(known) == "<HeaderBlocks 6 known>"


def test_what_is_remembered_is_not_decoded_again(monkeypatch):
    """A stream that differs in its traceparent alone is known."""
    known = blocks()
    headers = [(":path", "/p"), ("x-extproc-graph", "fraud@1")]
    known.read(encoded(with_it(headers, TRACE)))
    known.read(encoded(headers))
    monkeypatch.setattr(metadata, "_pairs", None)
    other = TRACE.replace("0af7", "beef")
    assert read(known, encoded(with_it(headers, other))) == (dict(headers), other)
    assert read(known, encoded(headers)) == (kept(headers), None)


# --- a traceparent in Huffman's code


def coded(written):
    """A traceparent as it stands in a block."""
    return CodedTraceparent(Encoder().huffman_coder.encode(written.encode()))


@settings(deadline=None)
@given(ids, spans)
def test_flags(trace, span):
    """All 256: the last bit says whether it is sampled; the text is what it was."""
    for flags in range(256):
        written = f"00-{trace}-{span}-{flags:02x}"
        assert coded(written).sampled is Traceparent(written).sampled is bool(flags & 1)
        assert str(coded(written)) == written


@settings(deadline=None)
@given(st.text("0123456789abcdef-", max_size=70) | texts)
def test_other_texts(written):
    """Are read as they are, and asking whether they are sampled raises nothing."""
    assert str(coded(written)) == written
    assert coded(written).sampled in {True, False}
    assert repr(coded(written)) == f"<Traceparent {written}>"


@settings(deadline=None)
@given(st.binary(max_size=130))
@example(b"\xff" * 130)
@example(b"\x00\xff")
def test_any_code(code):
    """What is no code of a text is an empty text, and not sampled; otherwise it is hpack's text."""
    found = CodedTraceparent(code)
    try:
        wanted = expected(b"\x00\x01n" + bytes([0x80 | len(code)]) + code)[0]["n"] if 0 < len(code) < 127 else None
    except HPACKError:
        wanted = ""
    assert wanted in {None, str(found)}
    assert found.sampled in {True, False}


@pytest.mark.parametrize("written", HOSTILE)
def test_a_hostile_traceparent_after_a_good_one(written):
    """It is read as it is, too."""
    known = blocks()
    headers = [(":path", "/p")]
    for one in (TRACE, written, TRACE):
        assert read(known, encoded(with_it(headers, one))) == (dict(headers), one)


STATES = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=300)


@settings(deadline=None, max_examples=50)
@given(pairs, st.lists(STATES, min_size=1, max_size=4), st.booleans(), st.booleans())
def test_tracestates_are_never_mixed_with_others(headers, states, huffman, behind):
    """Streams that differ in traceparent and tracestate, of any length: each gets the headers of its own block."""
    known = blocks()
    for number, state in enumerate(states):
        own = ("tracestate", state)
        traceparent = f"00-{number + 1:032x}-{number + 1:016x}-01"
        told = (
            [*headers, ("traceparent", traceparent), own] if behind else [own, *headers, ("traceparent", traceparent)]
        )
        block = encoded(told, huffman=huffman)
        assert read(known, block) == expected(block)


@pytest.mark.parametrize("state", ["", "other", "another", "third", "a=1"])
def test_a_tracestates_name_within_a_value(state):
    """Though what follows it may be a value like that of the tracestate itself."""
    known = blocks()
    for cut in (string(state.encode()), string(state.encode(), huffman=bool(state)), b"\x80", b"\x00"):
        for traceparent in (TRACE, "other", "third"):
            inner = string(b"tracestate", huffman=True) + cut + b"end"
            block = literal(string(b"traceparent", huffman=True), string(traceparent.encode(), huffman=True))
            block += literal(string(b"x-b3"), string(inner)) + literal(string(b"tracestate"), string(state.encode()))
            for _ in range(2):
                assert read(known, block) == expected(block)


def test_a_long_tracestate_is_read_once():
    """Whatever clients put there: it is neither decoded again, nor kept."""
    known = blocks()
    for number in range(3):
        state = f"vendor={number}" + "~x" * 14_000
        block = encoded([("x-extproc-graph", "g@1"), ("traceparent", TRACE), ("tracestate", state)])
        assert read(known, block) == ({"x-extproc-graph": "g@1"}, TRACE)
    assert repr(known) == "<HeaderBlocks 1 known>"
    assert all(len(rest) < 200 for rest in known._cut)


@pytest.mark.parametrize("end", [b"\x7f", b"\xff\xff\xff\xff\xff\xff", b"\x7f\xff\xff\xff\x7f", b"\x05ab", b""])
def test_a_tracestate_that_ends_too_early(end):
    """A length beyond the block, or one that never ends, is what hpack says of it: no block."""
    known = blocks()
    name = string(b"tracestate", huffman=True)
    block = literal(string(b"traceparent", huffman=True), string(TRACE.encode(), huffman=True)) + b"\x00" + name + end
    with pytest.raises(BadBlock):
        read(known, block)
