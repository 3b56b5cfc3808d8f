"""Whatever Envoy, or somebody who is not Envoy, sends: a reply or ProtocolError, nothing else."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from extproc.errors import ProtocolError
from extproc.wire.ext_proc_pb2 import ProcessingResponse
from tests.engine.deciding import body, fed, headers
from tests.engine.pairs import Told
from tests.exchange.talking import OTHERS, exchange, piece, response

BOUNDED = settings(derandomize=True, deadline=None, max_examples=300)
GRAPHS = st.sampled_from(["header", "body", "coin", "duel", "match", None])
VALID = [
    headers(),
    headers({"x-tier": "none"}),
    headers({":path": "/body?x=%ff", "x-say": ["a", "b"]}, end=True),
    headers({":path": "/duel"}),
    body(b'{"n": 11, "echo": {"a": [1, null]}}'),
    body(b""),
    piece(b"x", end=True),
    *OTHERS.values(),
]
NAMES = st.sampled_from(["x-tier", "x-say", ":path", ":authority", "content-encoding", "x-request-id", "", ":", "A"])
SAID = st.one_of(
    st.binary(max_size=64),
    st.sampled_from(VALID),
    st.builds(lambda more, end: headers(more, end=end), st.dictionaries(NAMES, st.binary(max_size=12)), st.booleans()),
    st.builds(lambda data, end: body(data, end=end), st.binary(max_size=40), st.booleans()),
    st.builds(
        lambda status, more, end: response({":status": status} | more, end=end),
        st.sampled_from(["200", "503", "", "x", "9" * 30]),
        st.dictionaries(NAMES, st.text(max_size=12)),
        st.booleans(),
    ),
    st.builds(lambda data, end: piece(data, end=end), st.binary(max_size=40), st.booleans()),
)


def told(graph, said):
    """Feed messages; a reply must be one that Envoy can read, a refusal must change nothing.

    In the end a sampled request's pair knows how the champion's leg ended, and is told so once.
    """
    pair = Told(more=[True, True, False])
    talk = exchange(graph, [0.5] * 20, challenging=pair)  # more random numbers than any of them draws
    for message in said:
        before = repr(talk), talk.done, repr(pair)
        try:
            reply = fed(talk, message)
        except ProtocolError:
            assert (repr(talk), talk.done, repr(pair)) == before
            continue
        assert ProcessingResponse.FromString(reply).WhichOneof("response")
    talk.gone()
    talk.gone()
    ends = [event for event in pair.events if event.startswith(("answered", "left", "ended", "too large"))]
    enough = [event for event in pair.events if event.startswith("piece")][2:]
    assert len(ends) == bool(pair.events) or (enough and not ends)
    return talk


@BOUNDED
@given(GRAPHS, st.lists(st.binary(max_size=200), min_size=1, max_size=4))
def test_random_bytes(graph, said):
    """Bytes that mean nothing are refused."""
    told(graph, said)


@BOUNDED
@given(GRAPHS, st.lists(SAID, min_size=1, max_size=6))
def test_random_messages(graph, said):
    """Valid messages with any content in any order, at any phase."""
    told(graph, said)


@st.composite
def mutated(draw):
    """A valid message with some bytes changed, cut out or put in."""
    data = bytearray(draw(st.sampled_from([one for one in VALID if one])))
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(data)))
        match draw(st.sampled_from(["set", "cut", "put", "end"])):
            case "set" if at < len(data):
                data[at] = draw(st.integers(0, 255))
            case "cut":
                del data[at : at + draw(st.integers(1, 8))]
            case "put":
                data[at:at] = draw(st.binary(min_size=1, max_size=8))
            case _:
                del data[at:]
    return bytes(data)


@BOUNDED
@given(GRAPHS, st.lists(mutated() | st.sampled_from(VALID), min_size=1, max_size=4))
def test_mutated_messages(graph, said):
    """Messages with flipped, missing and additional bytes."""
    told(graph, said)


@pytest.mark.parametrize("depth", [50, 500, 600, 700, 900, 1100, 100_000])
@pytest.mark.parametrize("shape", [b'{"echo":%b1%b}', b'{"n":%b1%b}'])
def test_deep_bodies(depth, shape):
    """A body nested to any depth gets an answer, and the processor lives."""
    talk = told("body", [headers(), body(shape % (b"[" * depth, b"]" * depth))])
    assert talk.done


@pytest.mark.parametrize("number", [b"9" * 5000, b"-" + b"9" * 4299, b"1e400", b"1e-400", b"0." + b"1" * 5000])
@pytest.mark.parametrize("shape", [b'{"echo":%b}', b'{"n":%b}'])
def test_strange_numbers(number, shape):
    """A number of thousands of digits, or beyond a double, gets an answer, and the processor lives."""
    talk = told("body", [headers(), body(shape % number)])
    assert talk.done
