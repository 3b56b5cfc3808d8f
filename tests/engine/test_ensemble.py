"""ensemble: who is waited for, who is cancelled when, and what the answer is."""

from __future__ import annotations

import json

import pytest

from extproc.engine.calling import Cause
from tests.engine.scripted import BODY, Fails, Hangs, Says, ask, planned, predicts

MEMBERS = "[{name: x, to: a}, {name: y, to: b}, {name: z, to: c}]"
STAGGERED = {"a": predicts(1, after=20), "b": predicts(2, after=50), "c": predicts(4, after=80)}
LATE = "deadline"


def ensemble(more: str = "", members: str = MEMBERS, **known):
    """A plan of an ensemble of three models."""
    return planned(f"{{root: {{ensemble: {{members: {members}{more}}}}}}}", **known)


# --- timing


@pytest.mark.parametrize(
    ("more", "took", "cancelled"),
    [
        ("", 80, ""),
        (", require: 2", 80, ""),
        (", require: 1", 80, ""),
        (", wait: quorum", 80, ""),
        (", wait: quorum, require: 2", 50, "c"),
        (", wait: quorum, require: 1", 20, "bc"),
    ],
)
def test_how_long_is_waited(more, took, cancelled):
    """``all`` waits for all, ``quorum`` for as many as are required, and then the rest are cancelled at that instant."""
    found = ask(ensemble(more), STAGGERED)
    assert found.events[:3] == ["0 a called", "0 b called", "0 c called"]
    assert found.took == took
    assert [event for event in found.events if "cancelled" in event] == [
        f"{took} {name} cancelled" for name in cancelled
    ]
    assert found.answer.route == ",".join(name for name in "abc" if name not in cancelled)
    names = [name for name, model in zip("xyz", "abc", strict=True) if model not in cancelled]
    assert list(json.loads(found.answer.body)) == names


@pytest.mark.parametrize("wait", ["all", "quorum"])
@pytest.mark.parametrize(
    ("require", "failing", "took"),
    [(3, "a", 20), (3, "b", 50), (3, "c", 80), (2, "ab", 50), (2, "ac", 80), (1, "abc", 80), (1, "ab", 80)],
)
def test_failing_fast(wait, require, failing, took):
    """When ``require`` cannot be met any more the rest are cancelled at that instant."""
    script = STAGGERED | {name: Says(503, after=STAGGERED[name].after) for name in failing}
    found = ask(ensemble(f", wait: {wait}, require: {require}"), script)
    assert found.took == took
    if require == 1 and failing == "ab":
        assert found.answer.status == 200
        return
    status, error = found.error
    assert (status, error["code"], error["node"], error["model"]) == (502, "upstream_failed", "root", failing[0])
    open_then = [name for name in "abc" if STAGGERED[name].after > took]
    assert [event for event in found.events if "cancelled" in event] == [
        f"{took} {name} cancelled" for name in open_then
    ]


@pytest.mark.parametrize(("require", "status"), [(1, 200), (2, 200), (3, 504)])
def test_the_deadline(require, status):
    """At the deadline the answer is made of what succeeded, if that is enough; else 504."""
    found = ask(ensemble(f", require: {require}"), STAGGERED | {"b": Hangs()})
    assert (found.took, found.answer.status) == (1000, status)
    assert found.answer.route == "a,b!timeout,c"
    if status == 200:
        assert list(json.loads(found.answer.body)) == ["x", "z"]
    else:
        assert found.error[1] == {
            "code": "deadline",
            "message": 'member "y": model "b" did not answer in time',
            "node": "root",
            "model": "b",
        }


def test_the_deadline_beside_another_failure():
    """What the deadline ended is a 504, though an earlier member had failed in another way."""
    found = ask(ensemble(", require: 2"), {"a": Says(503), "b": predicts(1), "c": Hangs()})
    assert found.error[0] == 504
    assert found.error[1]["model"] == "c"
    assert found.answer.route == "a!503,b,c!timeout"


def test_a_members_own_timeout_is_a_failure_like_others():
    """A model's ``timeout`` within the deadline counts the same as any failure: 502."""
    found = ask(ensemble(models={"b": {"timeout": 0.03}}), STAGGERED | {"b": Hangs()})
    assert (found.took, found.error[0], found.error[1]["model"]) == (30, 502, "b")


# --- failures


@pytest.mark.parametrize("order", ["abc", "acb", "bac", "bca", "cab", "cba"])
def test_the_first_listed_failure_is_named(order):
    """Whatever order they failed in."""
    script = {name: Says(503, after=10 * place) for place, name in enumerate(order, 1)}
    found = ask(ensemble(", require: 1"), script)
    assert found.error[1]["model"] == "a"
    assert found.error[1]["message"] == 'member "x": model "a" answered 503'
    assert found.answer.route == "a!503,b!503,c!503"


@pytest.mark.parametrize(
    "line",
    [
        Says(404, b"mine"),
        Says(429),
        Says(302),
        Says(500),
        *(Fails(cause) for cause in Cause if cause is not Cause.STATUS),
    ],
    ids=str,
)
def test_every_failure_counts_the_same(line):
    """A 404, a 429, an overloaded model: all are 502, and pass nothing on."""
    found = ask(ensemble(), STAGGERED | {"a": line})
    status, error = found.error
    assert (status, error["code"], error["model"]) == (502, "upstream_failed", "a")
    assert "mine" not in error["message"]


def test_a_failure_below_a_member():
    """A member that is a node: the failure names the member, and the model below."""
    deep = "{chain: {steps: [{name: one, to: a}], output: 1}}"
    found = ask(ensemble(members=f"[{{name: x, to: {deep}}}, {{name: y, to: b}}]"), {"a": Says(503), "b": Hangs()})
    assert found.error[1]["message"] == 'member "x": model "a" answered 503'
    assert found.error[1]["node"] == "root"


def test_a_fallback_takes_an_ensemble_for_a_server_error():
    """An ensemble fails with 502: a fallback around it goes on for ``5xx``, whatever the members' failures were."""
    inner = "{ensemble: {members: [{name: x, to: a}, {name: y, to: b}]}}"
    plan = planned(f"{{root: {{fallback: {{on: [5xx], routes: [{{to: {inner}}}, {{to: c}}]}}}}}}")
    found = ask(plan, {"a": Fails(Cause.TOO_LARGE), "b": Hangs()})
    assert found.tail.route == "a!too_large,c"


# --- inputs


def test_every_member_gets_the_input():
    """The ensemble's own, byte for byte, unless a template makes another."""
    members = "[{name: x, to: a}, {name: y, to: b, input: {n: '${request.body.instances}'}}]"
    found = ask(ensemble(members=members), {"a": predicts(1), "b": predicts(2)})
    assert found.bodies == {"a": BODY, "b": b'{"n":[[1.10, 1e400]]}'}
    assert {call.model.name: call.method for call in found.calls} == {"a": "POST", "b": "POST"}


def test_a_bad_input():
    """A member's template that cannot be computed fails the request: 422, before any call."""
    members = "[{name: x, to: a}, {name: y, to: b, input: '${request.headers.nope}'}]"
    found = ask(ensemble(", require: 1", members), {"a": predicts(1)})
    assert (found.error[0], found.error[1]["code"], found.error[1]["node"]) == (422, "bad_expression", "root")
    assert found.events == []


def test_a_bad_input_below_a_member():
    """One that shows only after a call cancels the other members at that instant."""
    deep = "{chain: {steps: [{name: one, to: a}, {name: two, to: b, input: '${steps.one.body.nope}'}]}}"
    found = ask(
        ensemble(", require: 1", f"[{{name: x, to: {deep}}}, {{name: y, to: c}}]"), {"a": predicts(1), "c": Hangs()}
    )
    assert found.error[0] == 422
    assert found.events == ["0 a called", "0 c called", "10 a 200", "10 c cancelled"]


# --- what the answer is


def test_collect():
    """By default an object of member name to body: JSON as it is, anything else as a text."""
    odd = b'{"predictions":[1.10,1e400]}'
    script = {"a": Says(body=odd), "b": Says(body=b"hi", headers=(("content-type", "text/plain"),)), "c": Says(404)}
    found = ask(ensemble(", require: 2"), script)
    assert found.answer.body == b'{"x":' + odd + b',"y":"hi"}'
    assert (found.answer.status, found.answer.headers) == (200, (("content-type", "application/json"),))


@pytest.mark.parametrize(
    ("more", "weights", "expected"),
    [
        ("mean", (1, 1, 2), [2.75]),
        ("mean", (0, 0, 1), [4]),
        ("vote", (1, 1, 1), [1]),
        ("vote", (1, 2, 1), [2]),
        ("vote", (1, 1, 3), [4]),
    ],
)
def test_mean_and_vote(more, weights, expected):
    """Weighted; a tie goes to the first listed, however late it came."""
    members = ", ".join(
        f"{{name: {name}, to: {model}, weight: {weight}}}"
        for name, model, weight in zip("xyz", "abc", weights, strict=True)
    )
    script = STAGGERED | {"a": Says(body={"predictions": [1], "id": 7}, after=90)}
    found = ask(ensemble(f", combine: {more}", f"[{members}]"), script)
    assert json.loads(found.answer.body) == {"predictions": expected, "id": 7}


def test_mean_of_those_that_succeeded():
    """The first successful member's body carries the mean of the successful ones."""
    found = ask(ensemble(", combine: mean, require: 2"), STAGGERED | {"a": Says(500)})
    assert json.loads(found.answer.body) == {"predictions": [3]}


@pytest.mark.parametrize("combine", ["mean", "vote"])
def test_predictions_that_cannot_be_combined(combine):
    """502 naming the member whose response is no match, and nothing of it."""
    found = ask(ensemble(f", combine: {combine}"), STAGGERED | {"b": Says(body={"secret": 1})})
    status, error = found.error
    assert (status, error["code"], error["model"]) == (502, "upstream_failed", "b")
    assert error["message"].startswith('member "y": model "b": ')
    assert "secret" not in error["message"]


def test_why_a_combination_failed_is_kept():
    """Also by an ensemble around it."""
    inner = "{ensemble: {combine: mean, members: [{name: x, to: a}, {name: y, to: b}]}}"
    found = ask(ensemble(members=f"[{{name: z, to: {inner}}}]"), {"a": predicts(1), "b": predicts([1, 2])})
    assert found.error[1]["message"].startswith('member "z": model "b": the predictions have another shape')


def test_first():
    """The first listed of those that succeeded, with its own status and headers."""
    plan = ensemble(", combine: first, require: 1")
    found = ask(plan, STAGGERED | {"a": Says(500), "b": Says(201, b"text", 70, (("x-a", "1"),))})
    assert (found.answer.status, found.answer.headers, found.answer.body) == (201, (("x-a", "1"),), b"text")


def test_the_fastest():
    """``first`` with a quorum of one is whoever answers first."""
    found = ask(ensemble(", combine: first, require: 1, wait: quorum"), STAGGERED | {"a": Hangs()})
    assert (found.took, found.answer.body) == (50, b'{"predictions":[2]}')


def test_output():
    """A template over the members that succeeded, in listed order."""
    output = "{n: '${members.z.body.predictions[0]}', who: '${members.map(name, name)}', y: '${has(members.y)}'}"
    found = ask(ensemble(f", require: 2, output: {output}"), STAGGERED | {"b": Says(500), "a": predicts(1, after=90)})
    assert json.loads(found.answer.body) == {"n": 4, "who": ["x", "z"], "y": False}


def test_an_output_that_cannot_be_computed():
    """422, naming the ensemble."""
    found = ask(ensemble(", require: 2, output: '${members.y.body}'"), STAGGERED | {"b": Says(500)})
    assert (found.error[0], found.error[1]["node"]) == (422, "root")


def test_an_ensemble_answers_a_chain():
    """As a step its answer is what the next one sees."""
    plan = planned(
        "{root: {chain: {steps: [{name: one, to: {ensemble: {combine: mean, members: [{name: x, to: a}, {name: y, to: b}]}}},"
        " {name: two, to: c, input: auto}]}}}"
    )
    found = ask(plan, {"a": predicts(1), "b": predicts(2)})
    assert found.tail.payload is not None
    assert found.tail.payload.body == b'{"instances":[1.5]}'
    assert found.tail.route == "a,b,c"
