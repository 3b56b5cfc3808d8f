"""Spans of exchanges: their names, parents and attributes, and that every way out of an exchange ends them once."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF
from opentelemetry.trace import Link, SpanKind, StatusCode, get_current_span
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from extproc.engine.calling import Cause, Failed, Reply
from extproc.engine.traceparent import Traceparent
from extproc.errors import ProtocolError
from extproc.telemetry.counters import Counters
from extproc.telemetry.tracing import MAX_TEXT, LegSpan, RequestSpan, parent_of
from tests.engine.deciding import Recording, body, headers, request, seams
from tests.engine.scripted import Fails, Hangs, Says, ScriptedCaller, planned, predicts
from tests.exchange.talking import OTHERS, PLANS
from tests.telemetry.traced import SAMPLED, SPAN, TRACE, UNSAMPLED, Spans, talk

SECRET = "hunter2"
CHAIN = "{root: {chain: {steps: [{name: one, to: a}, {name: two, to: b}], output: {got: '${steps.two.body}'}}}}"
VOTE = "{root: {ensemble: {members: [{name: one, to: a}, {name: two, to: b}, {name: three, to: c}], require: 2}}}"
QUORUM = (
    "{root: {ensemble: {members: [{name: one, to: a}, {name: two, to: b}], require: 1, wait: quorum, combine: first}}}"
)
SPLIT = (
    "{root: {split: {by: 'request.headers.user', routes: [{name: x, to: a, weight: 1}, {name: y, to: b, weight: 0}]}}}"
)
ASKED = [headers(), body(b'{"instances": [1]}')]


@pytest.fixture
def spans(caplog):
    """Where spans end; at the end none is open, and OpenTelemetry has complained of nothing."""
    made = Spans()
    yield made
    assert made.open == []
    assert [record.message for record in caplog.records if record.name.startswith("opentelemetry")] == []


# --- what spans are


def test_a_tail_call(spans):
    """One span below Envoy's: who, which graph, which way, and what is left of the deadline."""
    plan = planned(SPLIT, timeout=0.5)
    talk(plan, [headers({"user": SECRET})], spans)
    (graph,) = spans.ended
    assert (graph.name, graph.kind) == ("graph fraud", SpanKind.SERVER)
    assert (f"{graph.context.trace_id:032x}", f"{graph.parent.span_id:016x}") == (TRACE, SPAN)
    assert graph.parent.is_remote
    assert dict(graph.attributes) == {
        "rpc.system": "grpc",
        "rpc.service": "envoy.service.ext_proc.v3.ExternalProcessor",
        "rpc.method": "Process",
        "extproc.graph": "fraud",
        "extproc.generation": plan.id.removeprefix("fraud@"),
        "http.request.method": "POST",
        "extproc.request_id": "id-1",
        "extproc.outcome": "tail",
        "extproc.route": "root=x,a",
        "extproc.model": "a",
        "extproc.deadline.left": 0.5,
    }
    assert graph.status.status_code is StatusCode.UNSET
    (decision,) = graph.events
    assert (decision.name, dict(decision.attributes)) == (
        "decision",
        {
            "extproc.node": "root",
            "extproc.branch": "x",
            "extproc.expression": "request.headers.user",
            "extproc.result": "a key",
        },
    )


def test_calls(spans):
    """Each call is a span below the graph's, and the model is told of it; what the client sent is replaced."""
    caller = ScriptedCaller({"a": predicts(1, after=100), "b": predicts(2)})
    talk(planned(CHAIN), [headers({"traceparent": UNSAMPLED, "tracestate": "v=1"}), ASKED[1]], spans, caller=caller)
    assert spans.tree() == ["client > graph fraud", "graph fraud > call a", "graph fraud > call b"]
    for call in caller.calls:
        span = spans.named(f"call {call.model.name}")
        assert call.headers["traceparent"] == f"00-{TRACE}-{span.context.span_id:016x}-01"
        assert call.headers["tracestate"] == "v=1"
    second = spans.named("call b")
    assert second.kind is SpanKind.CLIENT
    assert dict(second.attributes) == {
        "extproc.graph": "fraud",
        "extproc.node": "root",
        "extproc.model": "b",
        "http.request.method": "POST",
        "extproc.deadline.left": 0.9,
        "extproc.outcome": "2xx",
        "http.response.status_code": 200,
    }
    graph = spans.named("graph fraud")
    assert {name: graph.attributes[f"extproc.{name}"] for name in ("outcome", "route", "deadline.left")} == {
        "outcome": "answer",
        "route": "a,b",
        "deadline.left": 0.89,
    }
    assert graph.attributes["http.response.status_code"] == 200
    assert graph.end_time >= max(span.end_time for span in spans.ended)


@pytest.mark.parametrize(
    ("line", "attributes", "error"),
    [
        (Says(204, b""), {"outcome": "2xx", "status": 204}, False),
        (Says(302, b""), {"outcome": "3xx", "status": 302}, False),
        (Says(404, b""), {"outcome": "4xx", "status": 404, "error.type": "404"}, True),
        (Says(503, SECRET), {"outcome": "5xx", "status": 503, "error.type": "503"}, True),
        (Fails(Cause.CONNECT), {"outcome": "connect", "error.type": "connect"}, True),
        (Fails(Cause.TOO_LARGE), {"outcome": "too_large", "error.type": "too_large"}, True),
        (Hangs(), {"outcome": "timeout", "error.type": "timeout"}, True),
    ],
)
def test_how_a_call_ends(spans, line, attributes, error):
    """By the class of its status, or its cause; to a client 4xx is an error (semantic conventions, HTTP spans)."""
    talk(planned(CHAIN), ASKED, spans, {"a": line, "b": predicts(1)})
    found = spans.named("call a")
    known = {"extproc.outcome": "outcome", "http.response.status_code": "status", "error.type": "error.type"}
    assert {known[name]: value for name, value in found.attributes.items() if name in known} == attributes
    assert (found.status.status_code is StatusCode.ERROR) is error
    assert found.status.description in {None, attributes["outcome"]}


def test_calls_that_are_cancelled(spans):
    """Where a quorum is reached the others' spans end, too, and are no errors."""
    talk(planned(QUORUM), ASKED, spans, {"a": predicts(1), "b": Hangs()})
    found = spans.named("call b")
    assert found.attributes["extproc.outcome"] == "cancelled"
    assert found.status.status_code is StatusCode.UNSET
    assert spans.tree() == ["client > graph fraud", "graph fraud > call a", "graph fraud > call b"]


class Persistent:
    """A Caller that tells of further attempts, as the real one does."""

    async def call(self, call):
        """Retry, hedge, answer."""
        call.watch.attempt(2, hedge=False)
        call.watch.attempt(3, hedge=True)
        call.watch.ended(3, hedged=True)
        return Reply(200, (), b"[]")


def test_attempts(spans):
    """Are events of their call's span."""
    talk(planned(CHAIN), ASKED, spans, caller=Persistent())
    found = spans.named("call a")
    assert [(event.name, dict(event.attributes)) for event in found.events] == [
        ("retry", {"extproc.attempt": 2}),
        ("hedge", {"extproc.attempt": 3}),
    ]
    assert (found.attributes["extproc.attempts"], found.attributes["extproc.hedged"]) == (3, True)


def test_decisions(spans):
    """A condition that held, one that failed, a default: with their text, and never with what they saw."""
    cases = "[{name: odd, when: 'request.headers.x.y.z', to: a}, {name: gold, when: 'request.headers.tier == \"gold\"', to: a}]"
    plan = planned(f"{{root: {{switch: {{cases: {cases}, default: b}}}}}}")
    recorder = Recording()
    for tier in ("gold", SECRET):
        talk(plan, [headers({"tier": tier})], spans, recorder=recorder)
    first, second = ([(event.name, dict(event.attributes)) for event in span.events] for span in spans.ended)
    failed = ("expression_failed", {"extproc.node": "root", "extproc.expression": "request.headers.x.y.z"})
    gold = {"extproc.expression": 'request.headers.tier == "gold"', "extproc.result": "true"}
    assert first == [failed, ("decision", {"extproc.node": "root", "extproc.branch": "gold", **gold})]
    assert second == [failed, ("decision", {"extproc.node": "root", "extproc.branch": "default"})]
    assert [told[0] for told in recorder.told] == ["failed", "decided"] * 2


def test_a_missing_key(spans):
    """Is told as such."""
    talk(planned(SPLIT), [headers()], spans, chance=[0.5])
    assert spans.ended[0].events[-1].attributes["extproc.result"] == "no key"


@pytest.mark.parametrize(
    ("script", "status", "error", "described"),
    [
        ({"a": predicts(1), "b": predicts(1), "c": predicts(1)}, 200, None, None),
        ({"a": Says(500), "b": Says(500), "c": Hangs()}, 502, "upstream_failed", "upstream_failed"),
        (
            {"a": Fails(Cause.RESET), "b": Fails(Cause.OVERLOADED), "c": Hangs()},
            502,
            "upstream_failed",
            "upstream_failed",
        ),
        ({"a": Hangs(), "b": Hangs(), "c": Hangs()}, 504, "deadline", "deadline"),
    ],
)
def test_status_of_an_answer(spans, script, status, error, described):
    """To a server 5xx alone is an error (semantic conventions, HTTP spans); its type is our code for it."""
    talk(planned(VOTE), ASKED, spans, script)
    graph = spans.named("graph fraud")
    assert graph.attributes["http.response.status_code"] == status
    assert graph.attributes.get("error.type") == error
    assert graph.status.description == described
    assert (graph.status.status_code is StatusCode.ERROR) is (status >= 500)
    assert ("extproc.model" in graph.attributes) is (error is not None)


def test_overload_is_a_clients_error(spans):
    """Its span says so, and is none of ours that failed."""
    talk(planned(CHAIN), ASKED, spans, {"a": Fails(Cause.OVERLOADED)})
    graph = spans.named("graph fraud")
    assert (graph.attributes["http.response.status_code"], graph.attributes["error.type"]) == (429, "overloaded")
    assert graph.status.status_code is StatusCode.UNSET


def test_a_challengers_leg(spans):
    """Is a span of its own below the request's, linked to it, with its calls below; it may outlast it, and ends once."""
    traces = spans.traces(lambda: 0.0)
    span = traces.trace(Traceparent(SAMPLED), PLANS["duel"], request())
    assert isinstance(span, RequestSpan)
    leg = span.challenger("x")
    assert isinstance(leg, LegSpan)
    assert (leg.id, span.id) == (TRACE, TRACE)
    span.cut_short("left")
    for outcome in ("answered", "failed"):
        leg.ended(outcome)
    found = spans.named("challenger x")
    assert spans.tree() == ["client > graph duel", "graph duel > challenger x"]
    assert found.kind is SpanKind.INTERNAL
    assert dict(found.attributes) == {
        "extproc.graph": "duel",
        "extproc.leg": "challenger",
        "extproc.challenger": "x",
        "extproc.outcome": "answered",
    }
    (link,) = found.links
    assert isinstance(link, Link)
    assert link.context == span.span.get_span_context()
    assert leg.seams(seams(None, Counters())).trace is leg
    assert repr(leg) == f"<LegSpan 00-{TRACE}-{found.context.span_id:016x}-01>"


# --- every end


class Broken:
    """A Caller, and a Recorder, with a mistake of its own."""

    async def call(self, _call):
        """Raise."""
        raise RuntimeError(SECRET)

    def decided(self, *_told):
        """Raise."""
        raise RuntimeError(SECRET)

    expression_failed = decided


COMPRESSED = headers({"content-encoding": "gzip"})
ENDS: dict[str, Any] = {
    "tail": ("tail", planned(SPLIT), [headers({"user": "u"})], {}),
    "answer": ("answer", planned(CHAIN), ASKED, {"script": {"a": predicts(1), "b": predicts(2)}}),
    "respond": ("answer", PLANS["header"], [headers({"x-tier": "none"})], {}),
    "no route": ("answer", PLANS["header"], [headers({"x-tier": "lost"})], {}),
    "a body that is too long": ("answer", PLANS["match"], [headers({"content-length": "65"})], {}),
    "a body that was too long": ("answer", PLANS["match"], [headers(), body(b"x" * 65)], {}),
    "a compressed body": ("answer", PLANS["body"], [COMPRESSED, body(b"x")], {}),
    "grpc": ("answer", PLANS["body"], [headers({"content-type": "application/grpc"})], {}),
    "no json": ("answer", PLANS["body"], [headers(), body(b"{")], {}),
    "left before the body": ("left", PLANS["body"], [headers()], {}),
    "left within a call": ("left", planned(CHAIN), ASKED, {"script": {"a": Hangs()}, "leave_after": 20}),
    "left within calls": ("left", planned(VOTE), ASKED, {"script": dict.fromkeys("abc", Hangs()), "leave_after": 20}),
    "refused by Envoy": ("left", PLANS["body"], [headers(), OTHERS["response_headers"]], {}),
    "a wrong message": ("refused", PLANS["body"], [headers(), OTHERS["response_body"]], {}),
    "a message twice": ("refused", PLANS["body"], [headers(), headers()], {}),
    "a broken recorder": ("failed", planned(SPLIT), [headers({"user": "u"})], {"recorder": Broken()}),
    "a broken caller": ("failed", planned(CHAIN), ASKED, {"caller": Broken()}),
    "broken callers": ("failed", planned(VOTE), ASKED, {"caller": Broken()}),
}


@pytest.mark.parametrize("name", ENDS)
def test_every_end(spans, name):
    """Ends the span of a request once, and those of its calls; nothing that follows changes what it says."""
    outcome, plan, messages, others = ENDS[name]
    more = OTHERS.values() if outcome in {"tail", "answer"} else ()
    replies = talk(plan, [*messages, *more], spans, **others)
    graph = spans.named(f"graph {plan.graph}")
    assert graph.attributes["extproc.outcome"] == outcome
    assert graph.status.status_code is (StatusCode.ERROR if outcome in {"refused", "failed"} else StatusCode.UNSET)
    assert graph.status.description in {None, outcome}
    assert all(isinstance(reply, ProtocolError) for reply in replies[len(messages) :])
    assert SECRET not in "".join(span.to_json() for span in spans.ended)
    assert not [event for span in spans.ended for event in span.events if event.name == "exception"]


def test_a_graph_that_is_not_there(spans):
    """Has no span: neither where nothing matches, nor where the generation is unknown."""
    talk(PLANS["coin"], [headers()], spans, graph=None)
    with pytest.raises(ProtocolError):
        talk(PLANS["coin"], [headers()], spans, graph="coin@00000000")
    assert spans.ended == ()


# --- nothing that is not ours to tell


def test_nothing_of_a_request_is_told(spans):
    """No header's value, no query, no part of a body or of a response: but the request's id, and that is short."""
    told = {
        ":method": SECRET.upper(),
        ":path": f"/fraud?key={SECRET}",
        ":authority": f"{SECRET}.example",
        "x-request-id": "i" * 10_000,
        "authorization": SECRET,
        "tracestate": f"v={SECRET}",
        "user": SECRET,
    }
    sees = "request.body.a + request.body.missing + request.headers.user"
    first = f"{{switch: {{cases: [{{when: '{sees} == \"x\"', to: b}}], default: a}}}}"
    steps = f"[{{name: one, to: {first}}}, {{name: two, to: c, input: '${{request.body}}'}}, {{name: three, to: d, when: 'steps.one.body.{SECRET[:3]} == 1'}}]"
    plan = planned(f"{{root: {{chain: {{steps: {steps}, output: {{moved: '${{steps.two.body}}'}}}}}}}}")
    script = {name: Says(200, {"predictions": [SECRET]}, headers=(("x-secret", SECRET),)) for name in "abcd"}
    for lines in (script, script | {"c": Says(500, SECRET)}):
        talk(plan, [headers(told), body(json.dumps({"a": SECRET}).encode())], spans, lines)
    shown = "".join(span.to_json() for span in spans.ended)
    assert SECRET not in shown.lower()
    assert "i" * MAX_TEXT in shown
    assert "i" * (MAX_TEXT + 1) not in shown
    assert {span.attributes["http.request.method"] for span in spans.ended} == {"_OTHER", "POST"}


def test_what_a_chat_says(spans):
    """Model and token counts, on the graph's span and on the call's; nothing of the messages."""
    chat = json.dumps({"model": "llama", "messages": [{"role": "user", "content": SECRET}]}).encode()
    answer = {
        "model": "llama-3",
        "choices": [{"finish_reason": "stop", "message": {"content": SECRET}}],
        "usage": {"prompt_tokens": 7, "completion_tokens": 9},
    }
    models = {name: {"url": f"http://{name}"} for name in "ab"}
    talk(
        planned(CHAIN, models),
        [headers({":path": "/v1/chat/completions"}), body(chat)],
        spans,
        dict.fromkeys("ab", Says(200, answer)),
    )
    assert spans.named("graph fraud").attributes["gen_ai.request.model"] == "llama"
    call = spans.named("call a").attributes
    assert (call["gen_ai.operation.name"], call["gen_ai.request.model"]) == ("chat", "llama")
    assert (call["gen_ai.usage.input_tokens"], call["gen_ai.response.finish_reasons"]) == (7, ("stop",))
    assert SECRET not in "".join(span.to_json() for span in spans.ended)


# --- who decides


@pytest.mark.parametrize(
    ("told", "sent", "parent"),
    [
        (SAMPLED, None, SPAN),
        (SAMPLED, UNSAMPLED, SPAN),
        (UNSAMPLED, None, None),
        (UNSAMPLED, SAMPLED, None),
        (None, SAMPLED, SPAN),
        (None, UNSAMPLED, None),
    ],
)
def test_parents(spans, told, sent, parent):
    """Envoy's traceparent goes before the client's own; one that is not sampled makes no span, and calls carry it on."""
    caller = ScriptedCaller({"a": predicts(1), "b": predicts(2)})
    first = headers() if sent is None else headers({"traceparent": sent})
    talk(planned(CHAIN), [first, ASKED[1]], spans, caller=caller, traceparent=told)
    if parent is None:
        assert spans.ended == ()
        assert [call.headers["traceparent"] for call in caller.calls] == [told or sent] * 2
        assert [call.watch for call in caller.calls] == [None, None]
    else:
        assert f"{spans.named('graph fraud').parent.span_id:016x}" == parent


def test_without_a_parent(spans):
    """The sampler decides."""
    talk(planned(SPLIT), [headers({"user": "u"})], spans, traceparent=None)
    assert spans.named("graph fraud").parent is None
    none = Spans(ALWAYS_OFF)
    talk(planned(SPLIT), [headers({"user": "u"})], none, traceparent=None)
    assert none.ended == ()


@pytest.mark.parametrize(
    "told", ["", "1", "00-x-y-01", SAMPLED.upper(), f"ff{SAMPLED[2:]}", SAMPLED.replace("0", "é"), "d" * 99_999]
)
def test_malformed_traceparents(spans, told):
    """Are no parent, and break nothing, whoever sent them."""
    talk(planned(SPLIT), [headers({"user": "u"})], spans, traceparent=told)
    talk(planned(SPLIT), [headers({"user": "u", "traceparent": told})], spans, traceparent=None)
    assert all(span.parent is None for span in spans.ended)


PARTS = st.sampled_from(
    ["00", "01", "ff", "0x", "+1", "zz", TRACE, SPAN, "0" * 32, "0" * 16, TRACE.upper(), f"+{TRACE[1:]}"]
)


@settings(deadline=None)
@given(st.lists(PARTS | st.text("0123456789abcdef_+x ", max_size=33), max_size=6).map("-".join))
@example(f"00-{TRACE}-{SPAN}-01-more")
@example(f"01-{TRACE}-{SPAN}-01-more")
@example(f"01-{TRACE}-{SPAN}-ff")
@example(f"zz-{TRACE}-{SPAN}-01")
@example(f"00-{TRACE}-{SPAN}-0_")
@example(f"00-0_{TRACE[2:]}-{SPAN}-01")
@example(f"00-{TRACE}-{'0' * 16}-01")
def test_parents_as_the_library_reads_them(text):
    """OpenTelemetry's own propagator takes and refuses the same, but for blanks around it."""
    text = text.strip()
    theirs = get_current_span(TraceContextTextMapPropagator().extract({"traceparent": text})).get_span_context()
    ours = parent_of(text)
    if not theirs.is_valid:
        assert ours is None
    else:
        assert ours is not None
        found = get_current_span(ours).get_span_context()
        assert (found.trace_id, found.span_id, found.trace_flags) == (
            theirs.trace_id,
            theirs.span_id,
            theirs.trace_flags,
        )


def test_values_of_calls_are_passed_on(spans):
    """What a traced call brings is what the other caller brought."""
    failed = Failed("a", Cause.RESET)

    class Failing:
        async def call(self, _call):
            return failed

    (_, reply) = talk(planned(CHAIN), ASKED, spans, caller=Failing())
    (_, untraced) = talk(planned(CHAIN), ASKED, spans, caller=Failing(), traceparent=UNSAMPLED)
    assert reply == untraced
