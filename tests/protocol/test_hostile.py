"""Arbitrary bodies: whatever goes wrong is NotPredictions, and whatever comes out is JSON."""

from __future__ import annotations

import contextlib
import json

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from extproc.protocol import NotPredictions, dig, mean, next_input, predictions, protocol_of, vote
from tests.protocol.bodies import HOSTILE, PROTOCOLS, QUICK

MANY = settings(QUICK, max_examples=200)
PROTOCOL = st.sampled_from(PROTOCOLS)
MEMBERS = st.lists(st.tuples(HOSTILE, PROTOCOL, st.sampled_from([0, 1, 0.5])), min_size=1, max_size=3)


def refuse(name):
    raise AssertionError(f"{name} is no JSON")


def check(answer):
    """The answer is strict JSON; what a member's own text held is not looked at."""
    json.loads(answer.decode("utf-8", "replace"), parse_constant=refuse, parse_int=float, strict=False)


@MANY
@given(HOSTILE, PROTOCOL)
def test_predictions_are_found_or_not(body, protocol):
    """And have as many elements as rows, and a kind."""
    with contextlib.suppress(NotPredictions):
        found = predictions(protocol, body)
        assert isinstance(found.elements(), list)
        assert found.kind() in {"number", "label", "vector", "text"}


@MANY
@given(MEMBERS)
@example([(b'{"predictions": [1]}', "v1", 1), (b'{"predictions": [[]]}', "v1", 1)])
def test_a_mean_is_json_or_there_is_none(members):
    """Whatever the members are."""
    with contextlib.suppress(NotPredictions):
        check(mean(members))


@MANY
@given(MEMBERS)
@example([(b'{"predictions": [[]]}', "v1", 1), (b'{"predictions": [1]}', "v1", 2)])
@example([(b'{"predictions": [[[]]]}', "v1", 1), (b'{"predictions": [[1]]}', "v1", 2)])
def test_a_vote_is_json_or_there_is_none(members):
    """Whatever the members are."""
    with contextlib.suppress(NotPredictions):
        check(vote(members))


@MANY
@given(HOSTILE, PROTOCOL, st.sampled_from(["v1", "v2", "openai"]))
def test_a_next_input_is_json_or_there_is_none(body, source, target):
    """Whatever the response is."""
    with contextlib.suppress(NotPredictions):
        check(next_input(source, target, body))


@MANY
@given(HOSTILE, st.lists(st.sampled_from(["predictions", "a", "outputs"]), max_size=3).map(tuple))
def test_digging_finds_json_or_says_why_not(body, keys):
    """Absent, or no JSON."""
    with contextlib.suppress(NotPredictions, KeyError):
        check(bytes(dig(body, keys)))


@MANY
@given(HOSTILE, st.none() | st.text(max_size=20))
def test_any_body_and_path_have_a_protocol(body, path):
    """Telling it raises nothing."""
    assert protocol_of("auto", path, body) in PROTOCOLS


@pytest.mark.parametrize("combine", [mean, vote])
def test_a_member_that_is_like_itself_combines_to_its_own_values(combine):
    """A sanity check that the fuzzing above does reach the good ends."""
    body = b'{"predictions":[[1.5,2.5],[3.5,4.5]]}'
    assert combine([(body, "v1", 1), (body, "v1", 3)]) == body
