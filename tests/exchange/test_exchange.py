"""Rules of the conversation that hold in every transcript."""

from __future__ import annotations

import itertools

import pytest

from extproc.errors import ProtocolError
from extproc.wire.ext_proc_pb2 import HeaderMap, HeaderValue, HttpHeaders, ProcessingRequest, ProcessingResponse
from tests.engine.deciding import Recording, Scripted, body, fed, generations, headers, open_exchange
from tests.exchange.talking import KNOWN, OTHERS, PLANS, exchange, readable
from tests.plan.building import plan

RIGHT = {
    "header": [headers({"x-tier": "gold"})],
    "body": [headers(), body(b'{"n": 11}')],
    None: [headers({":path": "/body"}), body(b'{"n": 11}')],
}
WRONG = {
    **OTHERS,
    "garbage": b"\xff\xff",
    "headers of an invalid key": b"\x12\x07\n\x05\n\x03\n\x01\xff",
    "headers": headers({"x-tier": "none", ":path": "/header"}),
    "headers that end": headers({"x-tier": "none", ":path": "/header"}, end=True),
    "body": body(b'{"n": 0}'),
}
REPLIES = {
    "tail by headers": ("header", [headers()]),
    "tail by body": ("body", [headers(), body(b"{}")]),
    "respond": ("header", [headers({"x-tier": "none"})]),
    "error by headers": ("header", [headers({"x-tier": "lost"})]),
    "error by body": ("body", [headers(), body(b"{")]),
    "no match": (None, [headers({":path": "/other"})]),
}


def wrong_messages():
    """For each graph and each of its steps, every message that does not belong there."""
    for graph, right in RIGHT.items():
        for step in range(len(right) + 1):
            for name, wrong in WRONG.items():
                belongs = (step == 0 and name.startswith("headers") and "key" not in name) or (
                    step == 1 and len(right) > 1 and (name == "body" or name.startswith("response_headers"))
                )
                if not belongs:
                    yield pytest.param(graph, step, wrong, id=f"{graph}-{step}-{name}")


@pytest.mark.parametrize(("graph", "step", "wrong"), list(wrong_messages()))
def test_a_wrong_message_changes_nothing(graph, step, wrong):
    """At every step a message that does not belong there is refused, and the conversation goes on as if it was not said."""
    recorder, undisturbed = Recording(), Recording()
    disturbed, other = exchange(graph, recorder=recorder), exchange(graph, recorder=undisturbed)
    right = RIGHT[graph]
    assert [fed(disturbed, one) for one in right[:step]] == [fed(other, one) for one in right[:step]]
    for _ in range(2):
        with pytest.raises(ProtocolError):
            fed(disturbed, wrong)
    assert (repr(disturbed), disturbed.done) == (repr(other), other.done)
    assert [fed(disturbed, one) for one in right[step:]] == [fed(other, one) for one in right[step:]]
    assert disturbed.done
    assert recorder.told == undisturbed.told


@pytest.mark.parametrize("name", ["header@00000000", "unknown@12345678", "header", "", "@"])
def test_a_generation_that_is_not_at_hand(name):
    """A graph or hash that this processor does not have is refused at once, and named."""
    with pytest.raises(ProtocolError, match=f"does not have {name}"):
        open_exchange(KNOWN, name, Scripted(), Recording())


def test_the_named_generation_decides():
    """Of two generations the one that Envoy's route names decides."""
    text = (
        "models: {a: {url: 'http://a'}, b: {url: 'http://b'}}\nnodes: {root: {split: {routes: [{to: %s, weight: 1}]}}}"
    )
    old, new = plan(text % "a"), plan(text % "b")
    known = generations([old])
    known.load([new])
    told = [fed(open_exchange(known, one.id, Scripted([0.5]), Recording()), headers()) for one in (old, new)]
    models = [ProcessingResponse.FromString(one).request_headers.response.header_mutation for one in told]
    assert [one.set_headers[0].header.raw_value for one in models] == [b"fraud/a", b"fraud/b"]
    attached = open_exchange(known, None, Scripted([0.5]), Recording())
    assert fed(attached, headers()) == told[1]


def mutations(reply):
    """All header mutations of a reply."""
    kind = reply.WhichOneof("response")
    return (
        reply.immediate_response.headers
        if kind == "immediate_response"
        else getattr(reply, kind).response.header_mutation
    )


@pytest.mark.parametrize("case", REPLIES)
def test_envoys_rules_for_replies(case):
    """Values are raw, append is unset, no mode is overridden, and what Envoy would refuse is never set."""
    graph, said = REPLIES[case]
    talk = exchange(graph)
    for reply in [ProcessingResponse.FromString(fed(talk, one)) for one in said]:
        assert not reply.HasField("mode_override")
        assert not reply.HasField("dynamic_metadata")
        assert not reply.HasField("override_message_timeout")
        for option in mutations(reply).set_headers:
            assert option.header.raw_value
            assert not option.header.value
            assert not option.HasField("append")
            assert option.append_action == 0
            assert option.header.key == option.header.key.lower()
            assert not option.header.key.startswith((":", "x-envoy-"))
            assert not set(option.header.raw_value) & set(b"\r\n\0")


@pytest.mark.parametrize("case", ["tail by headers", "tail by body"])
def test_a_tail_call_clears_the_route_cache(case):
    """Model, route and the cleared route cache come in one reply, and the body is left alone."""
    graph, said = REPLIES[case]
    talk = exchange(graph)
    *before, last = [ProcessingResponse.FromString(fed(talk, one)) for one in said]
    assert all(not one.request_headers.HasField("response") for one in before)
    common = (last.request_headers if graph == "header" else last.request_body).response
    assert common.clear_route_cache is True
    assert common.status == 0
    assert not common.HasField("body_mutation")
    assert [option.header.key for option in common.header_mutation.set_headers] == [
        "x-extproc-model",
        "x-extproc-route",
    ]


def test_what_no_graph_matches_keeps_its_route():
    """A request that passes untouched does not lose its route, and nothing is set on it."""
    graph, said = REPLIES["no match"]
    reply = ProcessingResponse.FromString(fed(exchange(graph), said[0])).request_headers.response
    assert not reply.clear_route_cache
    assert not reply.header_mutation.set_headers
    assert set(reply.header_mutation.remove_headers) >= {"x-extproc-model", "x-extproc-route"}


@pytest.mark.parametrize("case", ["respond", "error by headers", "error by body"])
def test_details_are_ours(case):
    """An answer's details begin with ``extproc.``, hold no blanks, and its graph is named."""
    graph, said = REPLIES[case]
    talk = exchange(graph)
    answer = ProcessingResponse.FromString([fed(talk, one) for one in said][-1]).immediate_response
    assert answer.details.startswith("extproc.")
    assert not set(answer.details) & set(" \t\n")
    named = {option.header.key: option.header.raw_value for option in answer.headers.set_headers}
    assert named["x-extproc-graph"] == PLANS[str(graph)].id.encode()


def test_replies_do_not_leak_into_one_another():
    """Interleaved exchanges get the replies they get one after the other."""
    said = [headers({"x-tier": tier}) for tier in ("gold", "none", "lost", "other") * 2]
    alone = [fed(exchange("header"), one) for one in said]
    together = [exchange("header") for _ in said]
    order = list(itertools.chain(range(0, 8, 2), range(1, 8, 2)))
    found = {index: fed(together[index], said[index]) for index in order}
    assert [found[index] for index in range(8)] == alone


def test_one_cookie_passes_as_it_came():
    """Envoy sends the cookies of a request as one header, blanks and semicolons included; it is not touched."""
    reply = readable(fed(exchange("header"), headers({"x-say": "a=1; b=2,3"})))
    assert reply["immediate_response"]["body"] == {"said": "a=1; b=2,3"}


def test_plain_values_are_not_read():
    """Envoy sends raw values; a message that fills both is read by the raw one."""
    both = [HeaderValue(key="x-tier", value="none", raw_value=b"gold")]
    message = ProcessingRequest(request_headers=HttpHeaders(headers=HeaderMap(headers=both))).SerializeToString()
    assert fed(exchange("header"), message) == fed(exchange("header"), headers({"x-tier": "gold"}))


def test_fields_of_a_newer_envoy_are_passed_over():
    """Unknown fields of a message change nothing."""
    unknown = bytes.fromhex("fa3f0161")  # field 127, length-delimited, "a"
    assert fed(exchange("header"), headers() + unknown) == fed(exchange("header"), headers())


def test_repr_says_the_state():
    """An exchange's repr names its graph and what it waits for."""
    talk = exchange("body")
    assert repr(talk) == f"<Exchange {PLANS['body'].id} HEADERS>"
    fed(talk, headers())
    assert repr(talk) == f"<Exchange {PLANS['body'].id} BODY>"
    fed(talk, body(b"{}"))
    assert repr(talk) == f"<Exchange {PLANS['body'].id} DONE>"
