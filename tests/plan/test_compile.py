"""A graph becomes a plan: names resolved, expressions compiled, what is read known."""

from __future__ import annotations

import pytest

from extproc.plan.plan import Call, RespondPlan, SplitPlan, SwitchPlan
from extproc.plan.reads import reachable
from tests.plan.building import TWO_MODELS, graph, plan, rooted


def test_split():
    """A split's branches carry their names, how the answer's route names them, and tail calls of their models."""
    compiled = rooted("{split: {routes: [{name: stable, to: a, weight: 9}, {to: b, weight: 1}]}}")
    root = compiled.root
    assert isinstance(root, SplitPlan)
    assert [(branch.name, branch.decision) for branch in root.branches] == [("stable", "root=stable"), ("b", "root=b")]
    assert [branch.target for branch in root.branches] == [
        Call(model, tail=True, node="root") for model in compiled.models.values()
    ]
    assert root.by is None


def test_switch():
    """A switch's cases come in document order under their names; the other branch is called default."""
    root = rooted(
        "{switch: {cases: [{name: gold, when: request.method == 'GET', to: a},"
        " {when: request.method == 'PUT', to: b}], default: a}}"
    ).root
    assert isinstance(root, SwitchPlan)
    assert [(program.text, branch.name, branch.decision) for program, branch in root.cases] == [
        ("request.method == 'GET'", "gold", "root=gold"),
        ("request.method == 'PUT'", "b", "root=b"),
    ]
    assert root.default is not None
    assert (root.default.name, root.default.decision) == ("default", "root=default")
    assert root.default.target == Call(rooted("{respond: {status: 200}}").models["a"], tail=True, node="root")


def test_switch_without_default():
    """A switch need not have a default."""
    root = rooted("{switch: {cases: [{when: 'true', to: a}]}}").root
    assert isinstance(root, SwitchPlan)
    assert root.default is None


def test_respond():
    """A respond keeps its status, its headers in lower case, and whether it has a body at all."""
    root = rooted("{respond: {status: 410, headers: {Link: </x>}, body: gone}}").root
    assert isinstance(root, RespondPlan)
    assert (root.name, root.status, root.headers) == ("root", 410, (("link", "</x>"),))
    assert root.body is not None
    assert root.body({}) == "gone"
    bare = rooted("{respond: {status: 204}}").root
    assert isinstance(bare, RespondPlan)
    assert bare.body is None


def test_a_null_body_is_a_body():
    """``body: null`` is the JSON null, not the absence of a body."""
    root = rooted("{respond: {status: 200, body: null}}").root
    assert root.body is not None
    assert root.body({}) is None


def test_inline_nodes_are_named_by_their_path():
    """A node that stands in a branch is called node.branch, or by its place where the branch has no name."""
    compiled = rooted(
        "{switch: {cases: [{name: canary, when: 'true', to: {split: {routes: [{to: a, weight: 1},"
        " {weight: 1, to: {respond: {status: 404}}}]}}}], default: {respond: {status: 410}}}}"
    )
    (_, canary), other = compiled.root.cases[0], compiled.root.default
    inner = canary.target
    assert (inner.name, other.target.name) == ("root.canary", "root.default")
    assert [branch.decision for branch in inner.branches] == ["root.canary=a", "root.canary=routes[1]"]
    assert inner.branches[1].target.name == "root.canary.routes[1]"


def test_a_shared_node_is_compiled_once():
    """A node that several branches lead to is one plan node."""
    root = rooted(
        "{split: {routes: [{name: x, to: deep, weight: 1}, {name: y, to: deep, weight: 1}]}}",
        more="  deep: {split: {routes: [{to: a, weight: 1}]}}",
    ).root
    assert root.branches[0].target is root.branches[1].target


def test_many_shared_nodes_are_no_explosion():
    """Twenty nodes in a row, each reached twice from the one before: twenty plan nodes, not a million."""
    levels = "\n".join(
        f"  n{level}: {{split: {{routes: [{{name: x, to: n{level + 1}, weight: 1}},"
        f" {{name: y, to: n{level + 1}, weight: 1}}]}}}}"
        for level in range(20)
    )
    last = "\n  n20: {split: {routes: [{to: a, weight: 1}]}}"
    compiled = rooted("{split: {routes: [{to: n0, weight: 1}]}}", more=levels + last)
    assert len(list(reachable(compiled.root))) == 22 + 1  # and the call
    assert not compiled.reads_body
    assert compiled.away is compiled.models["a"]


def test_the_plan_carries_the_graph():
    """Name, hash, matches, deadline and limit are the graph's."""
    document = graph(
        f"{TWO_MODELS}\ntimeout: 2.5\nmaxBody: 4096\nnodes: {{root: {{split: {{routes: [{{to: a, weight: 1}}]}}}}}}"
    )
    compiled = plan(
        f"{TWO_MODELS}\ntimeout: 2.5\nmaxBody: 4096\nnodes: {{root: {{split: {{routes: [{{to: a, weight: 1}}]}}}}}}"
    )
    assert (compiled.graph, compiled.id, compiled.timeout, compiled.max_body) == ("fraud", document.id, 2.5, 4096)
    assert compiled.match == document.document.spec.match
    assert list(compiled.models) == ["a", "b"]


def test_repr_says_the_state():
    """A plan's repr names its graph, what it reads, and where requests go without a processor."""
    compiled = rooted("{split: {by: request.body.x, routes: [{to: a, weight: 1}]}}")
    assert repr(compiled) == f"<Plan {compiled.id} reads body, away: a>"


BODY = {
    "request": True,
    "request.body": True,
    "request.body.x": True,
    'request["body"]': True,
    'request["body"]["x"][0]': True,
    "request[request.method]": True,
    "has(request.body)": True,
    "has(request.body.x)": True,
    '"body" in request': True,
    "true || request.body.x": True,
    "request.method == 'POST' ? request.body.x : 1": True,
    "request.body.items.exists(i, i == 1)": True,
    "[1].exists(i, i == request.body.x)": True,
    "[request].exists(r, r.body == 1)": True,
    'request.headers["body"]': False,
    "request.headers.body": False,
    "request.query.body": False,
    '"body" in request.headers': False,
    "request.path.contains('request.body')": False,
    "[{'body': 1}].exists(request, request.body == 1)": False,
    "'request.body'": False,
    "1 + 1": False,
}


@pytest.mark.parametrize(("text", "reads"), BODY.items())
def test_what_reads_the_body(text, reads):
    """Whatever mentions the request's body makes a plan wait for it: as a key, a condition, or a part of an answer."""
    quoted = "'" + text.replace("'", "''") + "'"
    split = f"{{split: {{by: {quoted}, routes: [{{to: a, weight: 1}}]}}}}"
    switch = f"{{switch: {{cases: [{{when: 'true', to: b}}, {{when: {quoted}, to: a}}]}}}}"
    template = "'${" + text.replace("'", "''") + "}'"
    respond = f"{{respond: {{status: 200, body: {{deep: [{template}, 1]}}}}}}"
    below = f"{{switch: {{cases: [], default: {respond}}}}}"
    assert {rooted(node).reads_body for node in (split, switch, respond, below)} == {reads}


def test_an_unreachable_node_reads_nothing():
    """A node that no way leads to does not make Envoy wait for bodies."""
    compiled = rooted(
        "{split: {routes: [{to: a, weight: 1}]}}",
        more="  lost: {split: {by: request.body.x, routes: [{to: b, weight: 1}]}}",
    )
    assert not compiled.reads_body


def test_a_branch_that_is_never_taken_still_reads():
    """A node behind a weight of zero or a false condition counts: the next reload may take it."""
    node = "{split: {routes: [{to: a, weight: 1}, {name: x, weight: 0, to: {respond: {status: 200, body: '${request}'}}}]}}"
    assert rooted(node).reads_body


CHAIN = "{chain: {steps: [{name: one, to: a}, {name: two, to: b%s}]%s}}"
CALLS = {
    "a split": ("{split: {routes: [{to: a, weight: 1}, {to: b, weight: 1}]}}", ["a tail", "b tail"]),
    "a switch": ("{switch: {cases: [{when: 'true', to: a}], default: b}}", ["a tail", "b tail"]),
    "a chain's last step": (CHAIN % ("", ""), ["a sub", "b tail"]),
    "a chain with output": (CHAIN % ("", ", output: '${steps.two.body}'"), ["a sub", "b sub"]),
    "a last step that may be skipped": (CHAIN % (", onError: skip", ""), ["a sub", "b sub"]),
    "an ensemble": ("{ensemble: {members: [{name: x, to: a}, {name: y, to: b}]}}", ["a sub", "b sub"]),
    "a fallback's last route": ("{fallback: {routes: [{to: a}, {to: b}]}}", ["a sub", "b tail"]),
    "a cascade's last route": ("{cascade: {routes: [{to: a, accept: 'true'}, {to: b}]}}", ["a sub", "b tail"]),
    "a split before the last step": (
        "{chain: {steps: [{name: x, to: {split: {routes: [{to: a, weight: 1}]}}}, {name: y, to: {switch: {cases: [], default: b}}}]}}",
        ["a sub", "b tail"],
    ),
    "a chain in an ensemble": (f"{{ensemble: {{members: [{{name: x, to: {CHAIN % ('', '')}}}]}}}}", ["a sub", "b sub"]),
    "a chain that is a split's route": (
        f"{{split: {{routes: [{{name: x, to: {CHAIN % ('', '')}, weight: 1}}]}}}}",
        ["a sub", "b tail"],
    ),
}


@pytest.mark.parametrize("case", CALLS)
def test_tail_positions(case):
    """A call whose response is the answer unchanged is Envoy's; every other one is a sub-call, which needs the body."""
    root, expected = CALLS[case]
    compiled = rooted(root)
    calls = [node for node in reachable(compiled.root) if isinstance(node, Call)]
    assert sorted(f"{call.model.name} {'tail' if call.tail else 'sub'}" for call in calls) == expected
    assert compiled.reads_body is any(not call.tail for call in calls)


def test_one_node_in_both_positions():
    """A node that is reached in tail position and elsewhere makes a tail call here and a sub-call there."""
    compiled = rooted(
        "{chain: {steps: [{name: one, to: shared}, {name: two, to: shared}]}}",
        more="  shared: {split: {routes: [{to: a, weight: 1}]}}",
    )
    calls = [node.tail for node in reachable(compiled.root) if isinstance(node, Call)]
    assert sorted(calls) == [False, True]
