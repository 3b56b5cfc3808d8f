"""A challenge becomes a plan: who calls whom, what it reads, and what is only its challengers' affair."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from extproc.graph.challenged import challenge_key
from extproc.plan.plan import Call, ChainPlan, ChallengePlan, ChallengerPlan, RespondPlan, SplitPlan
from extproc.plan.reads import reachable
from extproc.plan.sticky import prefix_of
from tests.plan.building import TWO_MODELS, graph, plan, rooted

if TYPE_CHECKING:
    from extproc.plan.plan import Plan

CHAIN = "{chain: {steps: [{name: one, to: b}, {name: two, to: a%s}]%s}}"


def duel(champion: str = "a", more: str = "", challenger: str = "{name: gbm, to: b}") -> str:
    """A challenge in YAML; ``more`` goes into it."""
    return f"{{challenge: {{champion: {champion}, challengers: [{challenger}]{more and ', ' + more}}}}}"


def challenge_of(compiled: Plan) -> ChallengePlan:
    """The plan's challenge."""
    assert compiled.challenge is not None
    return compiled.challenge


def only(compiled: Plan) -> ChallengerPlan:
    """The only challenger."""
    (challenger,) = challenge_of(compiled).challengers
    return challenger


def test_the_parts():
    """Champion and challengers come under their names, the champion's call Envoy's, the challengers' our own."""
    compiled = rooted(
        "{challenge: {champion: a, challengers: [{name: one, to: b, sample: 0.25, by: request.headers.u}, {name: two, to: a}],"
        " compare: {value: response.body.x, kind: number, tolerance: 0.5, by: request.method}}}"
    )
    node = challenge_of(compiled)
    assert node is compiled.root
    assert (node.name, node.shown, node.again) == ("root", True, None)
    assert node.champion == Call(compiled.models["a"], tail=True, node="root")
    assert [(one.name, one.target, one.sample) for one in node.challengers] == [
        ("one", Call(compiled.models["b"], tail=False, node="root"), 0.25),
        ("two", Call(compiled.models["a"], tail=False, node="root"), 1),
    ]
    assert [one.by.text if one.by else None for one in node.challengers] == ["request.headers.u", None]
    compare = node.compare
    assert compare.value is not None
    assert compare.by is not None
    assert (compare.value.text, compare.by.text, compare.kind, compare.tolerance) == (
        "response.body.x",
        "request.method",
        "number",
        0.5,
    )


def test_nothing_said_of_comparing():
    """What is compared is told by protocol and values, then; nothing is segmented."""
    compare = challenge_of(rooted(duel())).compare
    assert (compare.value, compare.kind, compare.tolerance, compare.by) == (None, None, None, None)


def test_the_seed_is_graph_node_and_challenger():
    """Sampling hashes behind what a split of that node with a route of that name would."""
    assert only(rooted(duel(), "other")).prefix == prefix_of("other/root", "gbm")
    deep = rooted("{split: {routes: [{name: x, to: inner, weight: 1}]}}", more=f"  inner: {duel()}")
    assert only(deep).prefix == prefix_of("fraud/inner", "gbm")
    inline = rooted(f"{{split: {{routes: [{{name: x, to: {duel()}, weight: 1}}]}}}}")
    assert only(inline).prefix == prefix_of("fraud/root.x", "gbm")


def test_noise_is_the_champion_as_sub_calls():
    """The champion called again is never Envoy's to call: its response is ours to compare."""
    compiled = rooted(duel(CHAIN % ("", ""), "noise: true"))
    node = challenge_of(compiled)
    assert node.again is not None
    for target, expected in ((node.champion, [False, True]), (node.again, [False, False])):
        assert isinstance(target, ChainPlan)
        assert [one.tail for one in reachable(target) if isinstance(one, Call)] == expected


def test_inline_nodes():
    """A champion and a challenger that stand inline are named by their path."""
    node = challenge_of(
        rooted(duel("{respond: {status: 200}}", challenger="{name: gbm, to: {split: {routes: [{to: b, weight: 1}]}}}"))
    )
    assert isinstance(node.champion, RespondPlan)
    assert node.champion.name == "root.champion"
    target = node.challengers[0].target
    assert isinstance(target, SplitPlan)
    assert (target.name, target.branches[0].target.tail) == ("root.gbm", False)  # type: ignore[union-attr]


def test_the_key_is_the_graphs():
    """Evidence belongs to what the graph says it belongs to."""
    spec = f"{TWO_MODELS}\nnodes: {{root: {duel()}}}"
    assert challenge_of(plan(spec)).key == challenge_key(graph(spec))


def test_no_challenge():
    """A graph without one shows no response; a challenge that no way leads to is none."""
    for compiled in (
        rooted("{split: {routes: [{to: a, weight: 1}]}}"),
        rooted("{split: {routes: [{to: a, weight: 1}]}}", more=f"  lost: {duel()}"),
    ):
        assert compiled.challenge is None
        assert not compiled.shows_response


BODY = "'request.body.x'"
NEEDS = {
    # what it is: the node, whether it needs the body, makes calls before Envoy's, has Envoy's response shown
    "models": (duel(), False, False, True),
    "noise": (duel(more="noise: true"), False, False, True),
    "a value of the body": (duel(more=f"compare: {{value: {BODY}}}"), False, False, True),
    "segments of the body": (duel(more=f"compare: {{by: {BODY}}}"), False, False, True),
    "sampling by a header": (duel(challenger="{name: x, to: b, by: request.headers.u}"), False, False, True),
    "sampling by the body": (duel(challenger=f"{{name: x, to: b, by: {BODY}}}"), True, False, True),
    "a challenger that calls": (duel(challenger=f"{{name: x, to: {CHAIN % ('', '')}}}"), False, False, True),
    "a challenger that reads": (
        duel(challenger=f"{{name: x, to: {{switch: {{cases: [{{when: {BODY}, to: b}}]}}}}}}"),
        False,
        False,
        True,
    ),
    "a champion that calls": (duel(CHAIN % ("", "")), True, True, True),
    "a champion with output": (duel(CHAIN % ("", ", output: 1")), True, True, False),
    "a champion that reads": (duel(f"{{switch: {{cases: [{{when: {BODY}, to: b}}], default: a}}}}"), True, False, True),
    "a champion that answers": (duel("{respond: {status: 200, body: ok}}"), False, False, False),
    "a champion that may answer": (
        duel("{switch: {cases: [{when: 'false', to: {respond: {status: 403}}}], default: a}}"),
        False,
        False,
        True,
    ),
    "behind a split by the body": (
        f"{{split: {{by: {BODY}, routes: [{{name: x, to: {duel()}, weight: 1}}]}}}}",
        True,
        False,
        True,
    ),
    "within a chain": (f"{{chain: {{steps: [{{name: one, to: b}}, {{name: two, to: {duel()}}}]}}}}", True, True, True),
    "before a step": (f"{{chain: {{steps: [{{name: one, to: {duel()}}}, {{name: two, to: b}}]}}}}", True, True, False),
}


@pytest.mark.parametrize("case", NEEDS)
def test_what_is_needed(case):
    """What only challengers and comparing need counts for nothing; the champion and the sampling count."""
    node, reads, calls, shown = NEEDS[case]
    compiled = rooted(node)
    assert (compiled.reads_body, compiled.calls, compiled.shows_response) == (reads, calls, shown)
    assert compiled.challenge is not None


def test_no_challenger_is_on_the_clients_way():
    """Whoever walks a plan for what a client may meet does not meet the challengers."""
    compiled = rooted(duel(challenger="{name: x, to: {split: {routes: [{to: b, weight: 1}]}}}", more="noise: true"))
    assert list(reachable(compiled.root)) == [compiled.root, Call(compiled.models["a"], tail=True, node="root")]


def test_away_is_the_champion():
    """While the processor is away every request goes to the champion's model."""
    compiled = rooted(duel())
    assert compiled.away is compiled.models["a"]
    assert rooted(duel(challenger="{name: x, to: {respond: {status: 200}}}")).away is None


@pytest.mark.parametrize("first", ["a chain", "a step that may be skipped", "a split"])
def test_a_challenge_in_both_positions(first):
    """Where a challenge is reached in tail position and elsewhere, responses are shown, whichever comes first."""
    node = {
        "a chain": "{chain: {steps: [{name: one, to: duel}, {name: two, to: duel}]}}",
        "a step that may be skipped": "{chain: {steps: [{name: one, to: duel, when: 'false'}, {name: two, to: duel}]}}",
        "a split": (
            "{split: {routes: [{name: x, weight: 1, to: {chain: {steps: [{name: one, to: duel}, {name: two, to: b}]}}},"
            " {name: y, weight: 1, to: duel}]}}"
        ),
    }[first]
    compiled = rooted(node, more=f"  duel: {duel()}")
    found = [node for node in reachable(compiled.root) if isinstance(node, ChallengePlan)]
    assert sorted(node.shown for node in found) == [False, True]
    assert len({node.key for node in found}) == 1
    assert challenge_of(compiled).shown
    assert compiled.shows_response


def test_rewriting():
    """A champion whose last step's body was made here may be sent on with another body; a challenger's never is."""
    assert rooted(duel(CHAIN % ("", ""))).rewrites
    assert not rooted(duel(challenger=f"{{name: x, to: {CHAIN % ('', '')}}}")).rewrites
