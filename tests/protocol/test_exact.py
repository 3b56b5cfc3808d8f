"""Exact texts out of bodies, and bodies put together."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from extproc.protocol import NotPredictions, collect, dig
from tests.protocol.bodies import QUICK, VALUE, text

FOUND = [
    (b' {"a": 1.10} ', (), b'{"a": 1.10}'),
    (b'{"a": 1.10}', ("a",), b"1.10"),
    (b'{"a": {"b": [1e400, 12345678901234567890123] }}', ("a", "b"), b"[1e400, 12345678901234567890123]"),
    (b'{"a": 1, "a": 2}', ("a",), b"2"),
    (b'{"a": {"b": 1}, "a": {"b": 2.0}}', ("a", "b"), b"2.0"),
    (b'{"\\u0061": null}', ("a",), b"null"),
    (b'{"\xc3\xa9": "\\u00e9"}', ("é",), b'"\\u00e9"'),
    (b'{"": {"": -0.0}}', ("", ""), b"-0.0"),
    (b"7", (), b"7"),
]
ABSENT = [
    (b"{}", ("a",)),
    (b'{"a": 1}', ("a", "b")),
    (b'{"a": [1]}', ("a", "0")),
    (b'{"a": null}', ("a", "b")),
    (b'{"a": {"b": 1}, "a": {}}', ("a", "b")),
    (b'"a"', ("a",)),
]
NO_JSON = [b"", b"nope", b'{"a": 1', b'{"a": NaN}', b'{"a": "\xff"}', b'{"a": 1} x', b"[" * 5000, b"\xef\xbb\xbf{}"]


@pytest.mark.parametrize(("body", "keys", "expected"), FOUND)
def test_a_value_is_found_with_its_exact_text(body, keys, expected):
    """Level by level."""
    assert bytes(dig(body, keys)) == expected


@pytest.mark.parametrize(("body", "keys"), ABSENT)
def test_what_is_not_there_is_a_key_error(body, keys):
    """That names the key."""
    with pytest.raises(KeyError) as problem:
        dig(body, keys)
    assert problem.value.args == (keys[-1],)


@pytest.mark.parametrize("body", NO_JSON)
@pytest.mark.parametrize("keys", [(), ("b",)])
def test_what_is_not_json_is_said_so(body, keys):
    """Wherever in the body the fault is."""
    with pytest.raises(NotPredictions, match="not JSON"):
        dig(body, keys)


COLLECTED = [
    (b' {"x": 1.10, "h": 1e400} ', "application/json", b'{"x": 1.10, "h": 1e400}'),
    (b"12345678901234567890123", "application/json; charset=utf-8", b"12345678901234567890123"),
    (b"[1]", "Application/Problem+JSON", b"[1]"),
    (b"[1]", None, b"[1]"),
    (b"[1]", "", b"[1]"),
    (b"[1]", "text/plain", b'"[1]"'),
    (b"nope", "application/json", b'"nope"'),
    (b"nope", None, b'"nope"'),
    (b"", "application/json", b'""'),
    (b'{"a": "\xff"}', "application/json", '"{\\"a\\": \\"�\\"}"'.encode()),
    (b"\xff\x00", "application/octet-stream", '"�\\u0000"'.encode()),
    (b"[" * 5000, "application/json", b'"' + b"[" * 5000 + b'"'),
]


@pytest.mark.parametrize(("body", "content_type", "expected"), COLLECTED)
def test_a_member_is_collected_as_json_or_as_a_string(body, content_type, expected):
    """JSON keeps its exact text."""
    assert collect([("m", body, content_type)]) == b'{"m":' + expected + b"}"


def test_members_are_collected_in_order_under_escaped_names():
    """None of them at all is an empty object."""
    assert collect([("b", b"1", None), ('a"\n', b"2", None)]) == b'{"b":1,"a\\"\\n":2}'
    assert collect([]) == b"{}"


@QUICK
@given(st.lists(st.tuples(st.text(st.characters(codec="utf-8")), VALUE), unique_by=lambda pair: pair[0]))
def test_what_is_collected_is_found_again(pairs):
    """Text for text, under any name."""
    whole = collect([(name, text(value), "application/json") for name, value in pairs])
    assert json.loads(whole) == dict(pairs)
    for name, value in pairs:
        assert bytes(dig(whole, (name,))) == text(value)


@QUICK
@given(st.binary(max_size=20), st.sampled_from(["application/json", "text/plain", None]))
def test_whatever_is_collected_is_json(body, content_type):
    """In UTF-8, whatever a member sent."""
    assert set(json.loads(collect([("m", body, content_type)]).decode())) == {"m"}
