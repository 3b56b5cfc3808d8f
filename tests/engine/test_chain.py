"""chain: what each step is sent, when it is sent, and what ends the chain."""

from __future__ import annotations

import json

import pytest

from extproc.engine.calling import Cause
from tests.engine.scripted import BODY, Fails, Hangs, Says, ask, planned, predicts, text

OK = Says(body={"ok": True})
TWO = "{root: {chain: {steps: [{name: one, to: a}, {name: two, to: b%s}]%s}}}"
# Three steps that end in a sub-call: transcripts show all of them.
THREE = (
    "{root: {chain: {steps: [{name: one, to: a%s}, {name: two, to: b%s}, {name: three, to: c%s}], output: '${steps}'}}}"
)


def chain(steps: str, output: str = ", output: 1", **more):
    """A plan of a chain; by default with an output, so that all of its calls are sub-calls."""
    return planned(f"{{root: {{chain: {{steps: [{steps}]{output}}}}}}}", **more)


# --- inputs


def test_default_inputs_byte_for_byte():
    """The first step gets the request's body, the next the response before it, each with its content type."""
    odd = b'{ "predictions" :[1.10,1e400,123456789012345678901234567890] }'
    found = ask(
        chain("{name: one, to: a}, {name: two, to: b}"),
        {"a": Says(body=odd, headers=(("content-type", "application/x-odd"),)), "b": OK},
    )
    assert found.bodies == {"a": BODY, "b": odd}
    assert [call.headers["content-type"] for call in found.calls] == ["application/json", "application/x-odd"]
    assert [call.method for call in found.calls] == ["POST", "POST"]


def test_no_content_type():
    """A response without a content type makes a request without one: not the client's."""
    found = ask(chain("{name: one, to: a}, {name: two, to: b}"), {"a": Says(body=b"x", headers=()), "b": OK})
    assert "content-type" not in found.calls[1].headers


def test_the_clients_method_is_kept():
    """Calls use the client's method, and POST where a template made the body."""
    plan = chain("{name: one, to: a}, {name: two, to: b}, {name: three, to: c, input: {x: 1}}")
    found = ask(plan, {"a": OK, "b": OK, "c": OK}, headers={":method": "PUT"})
    assert {call.model.name: call.method for call in found.calls} == {"a": "PUT", "b": "PUT", "c": "POST"}


@pytest.mark.parametrize("number", ["1.10", "1e400", "-0.0", "1E5", "123456789012345678901234567890", "0.1000"])
def test_moved_numbers_keep_their_text(number):
    """What a template only moves keeps its digits, from the request and from a step."""
    template = "{of_request: '${request.body.n}', of_step: '${steps.one.body.n}', all: '${steps.one.body}'}"
    plan = chain(f"{{name: one, to: a}}, {{name: two, to: b, input: {template}}}", output=f", output: {template}")
    body = f'{{"n":{number}}}'.encode()
    found = ask(plan, {"a": Says(body=body), "b": Says()}, body=body)
    expected = f'{{"of_request":{number},"of_step":{number},"all":{{"n":{number}}}}}'.encode()
    assert found.bodies["b"] == expected
    assert found.answer.body == expected


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("'${steps.one.status}'", 201),
        ("'${steps.one.headers[\"x-a\"]}'", "1,2"),
        ("'n=${steps.one.body.n} of ${request.method}'", "n=7 of POST"),
        ("['${steps.one.body.n + 1}', null, '${request.body.x}']", [8, None, [1]]),
        ("'$${steps.one}'", "${steps.one}"),
        ("'${has(steps.one) && !has(steps.one.body.nope)}'", True),
        ("{a: {b: '${request.body.x[0]}'}}", {"a": {"b": 1}}),
    ],
)
def test_template_inputs(template, expected):
    """A template is filled with values of their own types."""
    plan = chain(f"{{name: one, to: a}}, {{name: two, to: b, input: {template}}}")
    one = Says(201, {"n": 7}, headers=(("x-a", "1"), ("x-a", "2")))
    found = ask(plan, {"a": one, "b": OK}, body=b'{"x":[1]}')
    assert json.loads(found.bodies["b"] or b"") == expected
    assert (found.calls[1].method, found.calls[1].headers["content-type"]) == ("POST", "application/json")


@pytest.mark.parametrize(
    ("source", "target", "response", "expected"),
    [
        ("v1", "v1", '{"predictions":[[1.10,1e400]]}', {"instances": "[[1.10,1e400]]"}),
        (
            "v2",
            "v2",
            '{"outputs":[{"name":"x","shape":[1],"datatype":"FP64","data":[1.10]}]}',
            {"inputs": '[{"name":"x","shape":[1],"datatype":"FP64","data":[1.10]}]'},
        ),
        (
            "v2",
            "v1",
            '{"outputs":[{"name":"x","shape":[2],"datatype":"INT64","data":[1,2]}]}',
            {"instances": "[1,2]"},
        ),
    ],
)
def test_auto(source, target, response, expected):
    """``auto`` turns the response into the next model's request, by their protocols."""
    plan = chain(
        "{name: one, to: a}, {name: two, to: b, input: auto}",
        models={"a": {"protocol": source}, "b": {"protocol": target}},
    )
    found = ask(plan, {"a": Says(body=response.encode()), "b": OK})
    ((key, value),) = expected.items()
    assert found.bodies["b"] == f'{{"{key}":{value}}}'.encode()
    assert (found.calls[1].method, found.calls[1].headers["content-type"]) == ("POST", "application/json")


def test_auto_makes_tensors_of_predictions():
    """A V1 response becomes a V2 request."""
    plan = chain("{name: one, to: a}, {name: two, to: b, input: auto}", models={"b": {"protocol": "v2"}})
    found = ask(plan, {"a": predicts(1.5, 2.5), "b": OK})
    (tensor,) = json.loads(found.bodies["b"] or b"")["inputs"]
    assert (tensor["shape"], tensor["data"]) == ([2], [1.5, 2.5])


def test_auto_of_what_predicts_nothing():
    """A response that cannot be translated fails the request, and tells nothing of the response."""
    plan = chain("{name: one, to: a}, {name: two, to: b, input: auto}", models={"b": {"protocol": "v2"}})
    found = ask(plan, {"a": Says(body={"secret": 1})})
    status, error = found.error
    assert (status, error["code"], error["node"]) == (422, "bad_expression", "root")
    assert b"secret" not in found.answer.body
    assert found.events == ["0 a called", "10 a 200"]


def test_auto_after_a_skipped_step_translates_from_the_one_that_spoke():
    """The protocol is that of the model whose response it is, not of the skipped one's."""
    plan = chain(
        "{name: one, to: a}, {name: two, to: b, when: 'false'}, {name: three, to: c, input: auto}",
        models={"b": {"protocol": "v2"}},
    )
    found = ask(plan, {"a": predicts(1, 2), "c": OK})
    assert found.bodies["c"] == b'{"instances":[1,2]}'


def test_auto_after_a_failed_step_translates_from_its_stand_in():
    """Where ``onError`` answered, its protocol counts."""
    plan = chain(
        "{name: one, to: a, onError: {to: b}}, {name: two, to: c, input: auto}",
        models={"a": {"protocol": "v2"}, "b": {"protocol": "v1"}},
    )
    found = ask(plan, {"a": Says(500), "b": predicts(1, 2), "c": OK})
    assert found.bodies["c"] == b'{"instances":[1,2]}'


def test_auto_waits_until_it_is_known_what_comes_before():
    """Of a skipped, independent step: what that one would have seen, though it takes longer."""
    plan = chain(
        "{name: one, to: a}, {name: two, to: b, input: 1, when: 'false'}, {name: three, to: c, input: auto}",
    )
    found = ask(plan, {"a": predicts(1), "c": OK})
    assert found.bodies["c"] == b'{"instances":[1]}'
    assert found.events == ["0 a called", "10 a 200", "10 c called", "20 c 200"]


@pytest.mark.parametrize("where", ["input", "output"])
def test_a_template_that_cannot_be_computed(where):
    """A missing field fails the request with 422, and nothing more is called."""
    plan = (
        chain("{name: one, to: a}, {name: two, to: b, input: '${steps.one.body.nope}', onError: skip}")
        if where == "input"
        else chain("{name: one, to: a}", output=", output: '${steps.one.body.nope}'")
    )
    found = ask(plan, {"a": OK})
    status, error = found.error
    assert (status, error["code"], error["node"]) == (422, "bad_expression", "root")
    assert found.answer.route == "a"
    assert found.events == ["0 a called", "10 a 200"]


@pytest.mark.parametrize(
    ("template", "response"),
    [("'${[steps.one.body.l[0]]}'", b'{"l":[' + b"[" * 900 + b"]" * 900 + b"]}"), ("'${steps.one.body}'", b"no JSON")],
    ids=["deep", "no JSON"],
)
def test_a_response_that_no_template_can_take(template, response):
    """A response that cannot be read, or not be written again, is a 422 and never an exception."""
    plan = chain(f"{{name: one, to: a}}, {{name: two, to: b, input: {template}}}")
    found = ask(plan, {"a": Says(body=response), "b": OK})
    assert found.error[0] == 422


def test_a_body_that_is_no_json():
    """A template that needs the client's body, and cannot read it, says so with node: 400."""
    found = ask(chain("{name: one, to: a, input: '${request.body.x}'}"), body=b"no JSON")
    status, error = found.error
    assert (status, error["code"], error["node"]) == (400, "bad_body", "root")


# --- when


@pytest.mark.parametrize(
    "when", ["false", "1", "steps.one.body.nope == 1", "has(steps.one.body.nope)", "steps.one.status == 201"]
)
def test_a_skipped_step(when):
    """A condition that does not hold or cannot be computed: the step is absent, and the next sees what it would have."""
    found = ask(planned(THREE % ("", f", when: '{when}'", "")), {"a": Says(body={"n": 1}), "c": Says()})
    assert found.bodies == {"a": BODY, "c": b'{"n":1}'}
    assert found.answer.route == "a,c"
    assert ("failed" in [told[0] for told in found.recorder.told]) == (when == "steps.one.body.nope == 1")


def test_a_skipped_step_is_absent():
    """Expressions do not find a skipped step, nor one whose failure was skipped."""
    shown = "${[has(steps.one), has(steps.two), has(steps.three), size(steps)]}"
    plan = chain(
        "{name: one, to: a, when: 'false'}, {name: two, to: b, onError: skip}, {name: three, to: c}",
        output=f", output: '{shown}'",
    )
    found = ask(plan, {"b": Says(404), "c": Says()})
    assert found.answer.body == b"[false,false,true,1]"
    assert found.bodies["c"] == BODY
    assert found.answer.route == "b!404,c"


def test_all_steps_skipped():
    """Nothing was done: what came in is the answer."""
    found = ask(chain("{name: one, to: a, when: 'false'}, {name: two, to: b, when: 'false'}", output=""))
    assert (found.answer.status, found.answer.body, found.answer.route) == (200, BODY, "")
    assert found.answer.headers == (("content-type", "application/json"),)
    assert found.events == []


def test_the_last_step_skipped():
    """Without an output the answer is the last response there is, as its model gave it."""
    headers = (("content-type", "text/x"), ("set-cookie", "a"), ("set-cookie", "b"))
    found = ask(planned(TWO % (", when: 'false'", "")), {"a": Says(201, b"text", headers=headers)})
    assert (found.answer.status, found.answer.headers, found.answer.body) == (201, headers, b"text")


# --- failures


FAILURES = [
    (Says(400, b"mine"), 400, None, "a!400"),
    (Says(429, b"slow"), 429, None, "a!429"),
    (Says(302, b""), 302, None, "a!302"),
    (Says(500, b"secret"), 502, "upstream_failed", "a!500"),
    (Says(503, b"secret"), 502, "upstream_failed", "a!503"),
    (Fails(Cause.CONNECT), 502, "upstream_failed", "a!connect"),
    (Fails(Cause.RESET), 502, "upstream_failed", "a!reset"),
    (Fails(Cause.TOO_LARGE), 502, "upstream_failed", "a!too_large"),
    (Fails(Cause.OVERLOADED, 0), 429, "overloaded", "a!overloaded"),
    (Fails(Cause.TIMEOUT), 504, "deadline", "a!timeout"),
    (Hangs(), 504, "deadline", "a!timeout"),
]


@pytest.mark.parametrize(("line", "status", "code", "route"), FAILURES, ids=str)
def test_a_failed_step(line, status, code, route):
    """4xx passes as it is; a failure of the model's is an error naming step and model, without what it answered."""
    found = ask(planned(TWO % ("", "")), {"a": line})
    assert found.answer.route == route
    assert [call.model.name for call in found.calls] == ["a"]
    if code is None:
        assert (found.answer.status, found.answer.body, found.answer.headers) == (status, line.body, line.headers)
        return
    found_status, error = found.error
    assert (found_status, error["code"], error["node"], error["model"]) == (status, code, "root", "a")
    assert 'step "one"' in error["message"]
    assert "secret" not in error["message"]


@pytest.mark.parametrize(("line", "status", "code", "route"), FAILURES, ids=str)
def test_a_skipped_failure(line, status, code, route):  # noqa: ARG001
    """``onError: skip`` goes on whatever the failure, with what the step had seen."""
    found = ask(planned(THREE % ("", ", onError: skip", "")), {"a": predicts(1), "b": line, "c": Says()}, headers={})
    if isinstance(line, Hangs):  # nothing is left for the step after it
        assert found.error[0] == 504
        return
    assert found.bodies["c"] == b'{"predictions":[1]}'
    assert found.answer.route == f"a,{route.replace('a!', 'b!')},c"


@pytest.mark.parametrize(("line", "status", "code", "route"), FAILURES, ids=str)
def test_a_failure_led_on(line, status, code, route):  # noqa: ARG001
    """``onError: {to}`` sends the same input elsewhere, and what comes back is the step's response."""
    plan = planned(THREE % ("", ", input: {x: 1}, onError: {to: d}", ""))
    found = ask(plan, {"a": predicts(1), "b": line, "c": Says(), "d": predicts(2)})
    if isinstance(line, Hangs):  # the deadline has passed: nobody else is asked
        assert found.error[0] == 504
        assert found.answer.route == "a,b!timeout"
        return
    assert (found.bodies["d"], found.bodies["c"]) == (b'{"x":1}', b'{"predictions":[2]}')
    assert found.answer.route == f"a,{route.replace('a!', 'b!')},d,c"
    assert found.calls[2].method == "POST"


def test_a_stand_in_that_fails():
    """The failure of where ``onError`` leads is the step's; a status of its own is passed on."""
    plan = chain("{name: one, to: a, onError: {to: b}}, {name: two, to: c}")
    status, error = ask(plan, {"a": Says(500), "b": Fails(Cause.RESET)}).error
    assert (status, error["model"]) == (502, "b")
    found = ask(plan, {"a": Says(500), "b": Says(418, b"tea")})
    assert (found.answer.status, found.answer.body, found.answer.route) == (418, b"tea", "a!500,b!418")


def test_the_deadline():
    """Steps share one deadline: the one that crosses it is cut off there."""
    found = ask(chain("{name: one, to: a}, {name: two, to: b}"), {"a": Says(after=600), "b": Says(after=600)})
    assert found.error[1] == {
        "code": "deadline",
        "message": 'step "two": model "b" did not answer in time',
        "node": "root",
        "model": "b",
    }
    assert found.events == ["0 a called", "600 a 200", "600 b called", "1000 b timeout"]
    assert found.answer.route == "a,b!timeout"


# --- the tail


def test_the_last_step_is_envoys():
    """Without an output Envoy makes the last call, with the response before as its body and what time is left."""
    found = ask(planned(TWO % ("", "")), {"a": predicts(1.5, after=300)})
    assert found.tail.model.name == "b"
    assert found.tail.route == "a,b"
    assert found.tail.payload is not None
    assert (found.tail.payload.body, found.tail.payload.content_type) == (b'{"predictions":[1.5]}', "application/json")
    assert not found.tail.payload.made
    assert found.tail.timeout == pytest.approx(0.7)


def test_a_tail_step_with_a_template():
    """A body made by a template is marked as such: it is sent by POST."""
    found = ask(planned(TWO % (", input: {x: '${steps.one.body.predictions}'}", "")), {"a": predicts(1)})
    assert found.tail.payload is not None
    assert (found.tail.payload.body, found.tail.payload.made) == (b'{"x":[1]}', True)


def test_a_tail_step_that_sees_the_request():
    """With every step before it skipped, Envoy sends the client's own body: it is not touched."""
    found = ask(chain("{name: one, to: a, when: 'false'}, {name: two, to: b}", output=""))
    assert found.tail.payload is None
    assert found.tail.timeout == pytest.approx(1.0)


def test_a_models_own_timeout_bounds_its_tail_call():
    """An attempt's timeout is the model's, or what is left."""
    plan = planned(TWO % ("", ""), models={"b": {"timeout": 0.25}})
    assert ask(plan, {"a": Says(after=100)}).tail.timeout == pytest.approx(0.25)
    assert ask(plan, {"a": Says(after=900)}).tail.timeout == pytest.approx(0.1)


def test_no_tail_call_without_time():
    """A response that comes with the deadline leaves nothing for Envoy's call: 504."""
    found = ask(planned(TWO % ("", "")), {"a": Says(after=999.8)})
    status, error = found.error
    assert (status, error["code"], error["model"]) == (504, "deadline", "b")


@pytest.mark.parametrize("handling", ["skip", "{to: c}"])
def test_a_last_step_that_may_fail_is_no_tail_call(handling):
    """What has an ``onError`` must be seen here."""
    found = ask(planned(TWO % (f", onError: {handling}", "")), {"a": predicts(1), "b": Says(500), "c": predicts(3)})
    assert found.answer.body == (b'{"predictions":[1]}' if handling == "skip" else b'{"predictions":[3]}')


# --- side by side

SIDE = "{name: one, to: a, input: 1}, {name: two, to: b, input: 2}"


def test_independent_steps_overlap():
    """Two steps of 100 ms that do not need each other take 100 ms."""
    found = ask(
        chain(SIDE, ", output: ['${steps.one.body}', '${steps.two.body}']"),
        {"a": Says(after=100), "b": Says(after=100)},
    )
    assert found.took == 100
    assert found.answer.body == b"[1,2]"
    assert found.events == ["0 a called", "0 b called", "100 a 200", "100 b 200"]


def test_a_diamond():
    """Two steps after one and before another: 30 ms, not 40."""
    plan = chain(
        "{name: one, to: a}, {name: two, to: b, input: '${steps.one.body.n}'},"
        " {name: three, to: c, input: '${steps.one.body.n}'},"
        " {name: four, to: d, input: ['${steps.two.body}', '${steps.three.body}']}",
        ", output: '${steps.four.body}'",
    )
    found = ask(plan, {"a": Says(body={"n": 1}), "b": Says(after=5), "c": Says(), "d": Says()})
    assert found.events == [
        "0 a called",
        "10 a 200",
        "10 b called",
        "10 c called",
        "15 b 200",
        "20 c 200",
        "20 d called",
        "30 d 200",
    ]
    assert (found.answer.body, found.answer.route) == (b"[1,1]", "a,b,c,d")


def test_the_route_is_in_document_order():
    """Whatever came back first."""
    found = ask(chain(SIDE), {"a": Says(after=50), "b": Says(after=10)})
    assert found.answer.route == "a,b"


def test_expressions_see_earlier_steps_in_order():
    """A bare ``steps`` is the earlier ones in document order, though a later one answered first."""
    plan = chain(
        f"{SIDE}, {{name: three, to: c, input: '${{steps.map(name, name)}}'}}, {{name: four, to: d, input: 4}}",
        ", output: ['${steps.map(name, name)}', '${steps.three.body}']",
    )
    found = ask(plan, {"a": Says(after=50), "b": Says(after=10), "c": Says(), "d": Says(after=1)})
    assert json.loads(found.answer.body) == [["one", "two", "three", "four"], ["one", "two"]]


def test_a_failure_cancels_the_others_at_once():
    """The first step that fails ends the chain, and the others at that instant."""
    found = ask(chain(SIDE), {"a": Says(after=100), "b": Says(500, after=20)})
    assert found.events == ["0 a called", "0 b called", "20 b 500", "20 a cancelled"]
    assert (found.error[0], found.answer.route) == (502, "b!500")


def test_several_failures_at_once():
    """Of failures at one moment the first listed is the answer."""
    found = ask(chain(SIDE), {"a": Says(500, after=20), "b": Says(503, after=20)})
    assert found.error[1]["model"] == "a"
    assert found.answer.route == "a!500,b!503"


def test_a_bad_input_cancels_the_others():
    """A template that cannot be computed ends all that is under way."""
    plan = chain("{name: one, to: a}, {name: two, to: b, input: 2}, {name: three, to: c, input: '${steps.two.body.x}'}")
    found = ask(plan, {"a": Says(after=100), "b": Says(after=20)})
    assert found.error[0] == 422
    assert found.events == ["0 a called", "0 b called", "20 b 200", "20 a cancelled"]


def test_a_tail_step_waits_for_all():
    """Envoy's call is handed over once no other step can fail the chain, also when it needs none of them."""
    plan = chain(f"{SIDE}, {{name: three, to: c, input: 3}}", output="")
    found = ask(plan, {"a": Says(after=50), "b": Says(after=80)})
    assert (found.took, found.tail.model.name, found.tail.route) == (80, "c", "a,b,c")
    assert ask(plan, {"a": Says(500, after=50), "b": Says(after=80)}).took == 50


def test_a_last_step_that_is_no_tail_call_waits_for_nobody():
    """Within another chain, or with an ``onError``, the last step overlaps like any other."""
    steps = "{name: one, to: a, input: 1}, {name: two, to: b, input: 2%s}"
    nested = chain(f"{{name: inner, to: {{chain: {{steps: [{steps % ''}]}}}}}}")
    for plan in (nested, chain(steps % ", onError: skip", output="")):
        found = ask(plan, {"a": Says(after=50), "b": Says(after=50)})
        assert found.events[:2] == ["0 a called", "0 b called"]
        assert found.took == 50


# --- nodes within steps

NESTED = """
root:
  chain:
    steps:
      - {name: pick, to: lots}
      - {name: many, to: {ensemble: {members: [{name: x, to: b}, {name: y, to: deep}], combine: collect}}}
      - {name: maybe, to: {fallback: {routes: [{to: c}, {to: d}]}}}
      - {name: best, to: {cascade: {routes: [{to: e, accept: response.body.sure}, {to: f}]}}}
      - {name: said, to: {respond: {status: 200, body: {said: '${request.method}'}}}}
      - {name: last, to: ways}
lots: {split: {routes: [{name: left, to: a, weight: 1}, {name: right, to: g, weight: 1}]}}
deep: {chain: {steps: [{name: i, to: lots}, {name: ii, to: h}]}}
ways: {switch: {cases: [{name: posted, when: "request.method == 'POST'", to: lots}]}}
"""


def test_nodes_within_steps():
    """Every kind of node can be a step, to some depth, and the route tells them in document order."""
    script = {name: Says() for name in "abdfgh"} | {"c": Says(503), "e": Says(body={"sure": False})}
    found = ask(planned(NESTED), script, chance=[0.1, 0.9, 0.1])
    expected = "lots=left,a,b,lots=right,g,h,c!503,d,e,f,ways=posted,lots=left,a"
    assert found.tail.route == expected
    assert found.tail.payload is not None
    assert found.tail.payload.body == b'{"said":"POST"}'
    assert [told[2] for told in found.recorder.told] == ["lots", "lots", "ways", "lots"]


def test_a_respond_ends_a_chain():
    """A step that answers other than 2xx ends the chain with that answer, also a 5xx: nobody failed."""
    for status in (403, 503):
        plan = chain(f"{{name: guard, to: {{respond: {{status: {status}, body: no}}}}}}, {{name: two, to: b}}")
        found = ask(plan)
        assert (found.answer.status, found.answer.body, found.answer.route) == (status, b"no", "")


def test_a_switch_without_a_way_on_ends_a_chain():
    """404, naming the switch."""
    plan = chain("{name: one, to: a}, {name: two, to: {switch: {cases: [{when: 'false', to: b}]}}}")
    status, error = ask(plan, {"a": OK}).error
    assert (status, error["code"], error["node"]) == (404, "no_route", "root.two")


def test_the_nearest_step_is_named():
    """A failure deep down names its own chain and step."""
    plan = chain("{name: outer, to: {chain: {steps: [{name: inner, to: a}], output: 1}}}, {name: two, to: b}")
    status, error = ask(plan, {"a": Fails(Cause.CONNECT)}).error
    assert (status, error["node"]) == (502, "root.outer")
    assert error["message"] == 'step "inner": model "a" could not be reached'


def test_a_body_is_only_parsed_when_it_is_asked_for():
    """A chain that moves bytes lets through what is no JSON."""
    found = ask(planned(TWO % ("", "")), {"a": Says(body=b"\xff\x00")}, body=b"\x00\xff")
    assert found.bodies["a"] == b"\x00\xff"
    assert found.tail.payload is not None
    assert found.tail.payload.body == b"\xff\x00"


def test_output_is_json():
    """An output is a 200 with a JSON body."""
    found = ask(
        chain("{name: one, to: a}", ", output: {said: '${steps.one.body.x}'}"), {"a": Says(201, text({"x": "é"}))}
    )
    assert (found.answer.status, found.answer.headers) == (200, (("content-type", "application/json"),))
    assert json.loads(found.answer.body) == {"said": "é"}
