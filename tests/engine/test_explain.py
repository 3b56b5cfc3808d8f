"""explain: the decisions and calls that a run would make, without making a call."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings

from extproc.engine.explain import Explanation, explain
from extproc.engine.outcome import TailCall
from extproc.plan.sticky import uniform
from tests.engine.deciding import REQUEST, Scripted
from tests.engine.random_graphs import Half, grown
from tests.engine.scripted import BODY, Says, ask, planned
from tests.engine.test_random_graphs import played

if TYPE_CHECKING:
    from extproc.plan.plan import Plan

LOTS = "{split: {by: 'request.headers.user', routes: [{name: l, to: a, weight: 1}, {name: r, to: b, weight: 1}]}}"
FORBIDDEN = "{respond: {status: 403, body: no}}"
FINE = "{respond: {status: 200, body: {p: 1}}}"


def explained(plan: Plan, body: bytes | None = BODY, chance: tuple[float, ...] = (), **headers: str) -> Explanation:
    """Explain a request."""
    return explain([plan], {**REQUEST, **headers}, body, Scripted(chance))


def calls(found: Explanation) -> str:
    """The calls in a line: ``a`` a sub-call, ``[a]`` a tail call, ``a?`` one under a condition."""
    return " ".join(
        f"{f'[{call.model}]' if call.kind == 'tail' else call.model}{'?' if call.condition else ''}"
        for call in found.calls
    )


@pytest.mark.parametrize(
    ("root", "expected", "status"),
    [
        (LOTS, "[b]", None),
        (FORBIDDEN, "", 403),
        ("{switch: {cases: [{when: 'false', to: a}]}}", "", 404),
        ("{switch: {cases: [{when: request.body.x == 1, to: a}], default: b}}", "[b]", None),
        # chain
        ("{chain: {steps: [{name: one, to: a}, {name: two, to: b}]}}", "a [b]", None),
        ("{chain: {steps: [{name: one, to: a}, {name: two, to: b}], output: 1}}", "a b", None),
        ("{chain: {steps: [{name: one, to: a, when: 'false'}, {name: two, to: b}]}}", "[b]", None),
        ("{chain: {steps: [{name: one, to: a}, {name: two, to: b, when: has(steps.one)}]}}", "a [b]?", None),
        ("{chain: {steps: [{name: one, to: a, onError: {to: c}}, {name: two, to: b}]}}", "a c? [b]", None),
        (f"{{chain: {{steps: [{{name: one, to: {FINE}}}, {{name: two, to: b}}]}}}}", "[b]", None),
        (f"{{chain: {{steps: [{{name: one, to: a}}, {{name: two, to: {FINE}}}]}}}}", "a", 200),
        (f"{{chain: {{steps: [{{name: one, to: {FORBIDDEN}}}, {{name: two, to: b}}]}}}}", "", 403),
        (f"{{chain: {{steps: [{{name: one, to: {FORBIDDEN}, onError: skip}}, {{name: two, to: b}}]}}}}", "[b]", None),
        (
            f"{{chain: {{steps: [{{name: one, to: {FORBIDDEN}, onError: {{to: c}}}}, {{name: two, to: b}}]}}}}",
            "c [b]",
            None,
        ),
        ("{chain: {steps: [{name: one, to: a}, {name: two, to: b, input: '${request.headers.nope}'}]}}", "a", 422),
        ("{chain: {steps: [{name: one, to: a}], output: '${request.headers.nope}'}}", "a", 422),
        # ensemble
        ("{ensemble: {members: [{name: x, to: a}, {name: y, to: b}]}}", "a b", None),
        (f"{{ensemble: {{members: [{{name: x, to: {FINE}}}, {{name: y, to: b}}]}}}}", "b", None),
        ("{ensemble: {members: [{name: x, to: a}, {name: y, to: b, input: '${request.headers.nope}'}]}}", "", 422),
        # fallback
        ("{fallback: {routes: [{to: a}, {to: b}]}}", "a [b]?", None),
        (f"{{fallback: {{routes: [{{to: {FORBIDDEN}}}, {{to: b}}]}}}}", "", 403),
        ("{fallback: {routes: [{to: {respond: {status: 503}}}, {to: b}]}}", "[b]", None),
        ("{fallback: {routes: [{to: {respond: {status: 503}}}, {to: b}], on: [connect]}}", "", 503),
        (f"{{fallback: {{routes: [{{to: a}}, {{to: {FINE}}}]}}}}", "a", None),
        # cascade
        ("{cascade: {routes: [{to: a, accept: 'true'}, {to: b}]}}", "a [b]?", None),
        (f"{{cascade: {{routes: [{{to: {FORBIDDEN}, accept: 'true'}}, {{to: b}}]}}}}", "[b]", None),
        (f"{{cascade: {{routes: [{{to: {FINE}, accept: response.body.p == 1}}, {{to: b}}]}}}}", "", 200),
        (f"{{cascade: {{routes: [{{to: {FINE}, accept: response.body.p == 2}}, {{to: b}}]}}}}", "[b]", None),
    ],
)
def test_each_kind(root, expected, status):
    """Calls with their conditions, and an answer where it is known whatever the models say."""
    plan = planned(f"{{root: {root}}}")
    body = b'{"x": 2}'
    found = explained(plan, body, user="bob")
    assert calls(found) == expected
    assert (None if found.answer is None else found.answer.status) == status
    if "?" in expected:
        return
    run = ask(plan, {name: Says() for name in "abc"}, body, headers={"user": "bob"})
    made = [call.model.name for call in run.calls]
    assert made + ([f"[{run.tail.model.name}]"] if isinstance(run.outcome, TailCall) else []) == expected.split()
    if status is not None:
        assert run.answer.status == status


def test_decisions_within_nodes():
    """A split below a step is decided as a run would decide it."""
    plan = planned(f"{{root: {{chain: {{steps: [{{name: one, to: {LOTS}}}, {{name: two, to: c}}]}}}}}}")
    found = explained(plan, user="bob")
    run = ask(plan, {"a": Says(), "b": Says()}, headers={"user": "bob"})
    decided = [told[2:] for told in run.recorder.told]
    assert [(one.node, one.branch, one.expr, one.value) for one in found.decisions] == decided
    assert found.calls[0].data() == {"model": "b", "kind": "sub", "node": "root", "part": "one"}


def test_what_would_fail_under_a_condition():
    """Is told beside the answer, and is not the answer."""
    plan = planned(
        "{root: {fallback: {routes: [{to: a}, {to: {respond: {status: 200, body: '${request.headers.nope}'}}}]}}}"
    )
    found = explained(plan)
    assert (calls(found), found.answer) == ("a", None)
    assert [failure.node for failure in found.failures] == ["root.routes[1]"]


DUEL = (
    "{challenge: {champion: %s, challengers: [{name: all, to: b}, {name: some, to: c, sample: 0.5, by: request.headers.user},"
    " {name: few, to: {respond: {status: 200}}, sample: 0.25}]}}"
)


@pytest.mark.parametrize(
    ("champion", "expected", "status"),
    [
        ("a", "[a]", None),
        (LOTS, "[b]", None),
        ("{chain: {steps: [{name: one, to: a}, {name: two, to: b}]}}", "a [b]", None),
        (FORBIDDEN, "", 403),
        ("{switch: {cases: []}}", "", 404),
        ("{switch: {cases: [{when: request.body.x == 1, to: a}], default: d}}", "[d]", None),
    ],
)
def test_a_challenge(champion, expected, status):
    """The champion's calls are the request's; the challengers are told apart, with what drew them, and call nothing."""
    plan = planned(f"{{root: {DUEL % champion}}}")
    found = explained(plan, b'{"x": 2}', (0.2,), user="bob")
    assert calls(found) == expected
    assert (None if found.answer is None else found.answer.status) == status
    told = [(one.name, one.node, one.sampled, one.share, one.expr) for one in found.challengers]
    assert told == [
        ("all", "root", True, 1.0, None),
        ("some", "root", False, 0.5, "request.headers.user"),
        ("few", "root", True, 0.25, None),
    ]
    assert [one.why() for one in found.challengers] == [
        "it sees every request",
        "by request.headers.user, 50 % are sampled",
        "by chance, 25 % are sampled",
    ]
    assert all(
        call.node == "root" and call.part == "champion"
        for call in found.calls
        if call.kind == "tail" and call.model == "a"
    )
    run = ask(plan, {name: Says() for name in "abcd"}, b'{"x": 2}', headers={"user": "bob"})
    made = [call.model.name for call in run.calls]
    assert made + ([f"[{run.tail.model.name}]"] if isinstance(run.outcome, TailCall) else []) == expected.split()


def test_a_challenge_is_drawn_as_a_run_draws_it():
    """Sticky sampling is the same in an explanation, for any key; the data say it."""
    plan = planned(f"{{root: {DUEL % 'a'}}}")
    seen = set()
    for number in range(40):
        data = explained(plan, None, (0.9,), user=str(number)).data()
        challengers = {one["name"]: one["sampled"] for one in data["challengers"]}  # type: ignore[attr-defined]
        assert (challengers["all"], challengers["few"]) == (True, False)
        prefix = b"10:fraud/root4:some"
        assert challengers["some"] is (uniform(prefix, str(number).encode()) < 0.5)
        seen.add(challengers["some"])
    assert seen == {True, False}


@pytest.mark.parametrize("body", [None, b"{", b"{}"])
def test_a_challenge_whose_key_is_not_there(body):
    """Without a key chance decides, and no error of a challenger's is the request's."""
    plan = planned(
        "{root: {challenge: {champion: a, challengers: [{name: x, to: b, sample: 0.5, by: request.body.user}]}}}"
    )
    found = explained(plan, body, (0.4,))
    assert (calls(found), found.answer, [one.sampled for one in found.challengers]) == ("[a]", None, [True])


def test_a_graph_without_a_challenge_has_no_challengers():
    """An empty list says so."""
    assert explained(planned(f"{{root: {LOTS}}}"), user="bob").data()["challengers"] == []


@settings(derandomize=True, deadline=None, max_examples=300, suppress_health_check=list(HealthCheck))
@given(grown(wild=False))
def test_a_run_calls_what_is_explained(graph):
    """When every model answers well and none is too slow, a run makes the unconditional calls, and no others but conditional ones."""
    graph.script = {name: Says(body={"m": 1}, after=1) for name in graph.script}
    found = explain([graph.plan], dict(REQUEST), BODY, Half())
    outcome, caller, _ = played(graph)
    made = {call.model.name for call in caller.calls}
    tail = {outcome.model.name} if isinstance(outcome, TailCall) else set()
    certain = {call.model for call in found.calls if not call.condition}
    possible = {call.model for call in found.calls}
    assert made | tail <= possible
    if outcome.route.count("!") == 0 and not (not tail and outcome.status == 422):
        assert certain <= made | tail | set_aside(graph)
    assert {call.model for call in found.calls if call.kind == "tail"} >= tail


def set_aside(graph) -> set[str]:
    """The models below an ensemble that does not wait for all of them: a run may cancel those before it calls them."""
    return set(graph.script) if "quorum" in repr(graph.nodes) else set()
