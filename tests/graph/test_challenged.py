"""A graph's challenge: where it stands, what its evidence belongs to, and the graph after a promotion."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from extproc.errors import GraphError
from extproc.graph import Graph, load_raw
from extproc.graph.challenged import challenge_key, challenged, exchanged, target_name
from extproc.graph.document import NAME_PATTERN
from extproc.graph.walk import places
from extproc.plan.compile import compile_graph
from tests.plan.building import graph

if TYPE_CHECKING:
    from extproc.graph.document import Challenge

DUEL = "{challenge: {champion: v1, challengers: [{name: gbm, to: v2, sample: 0.25}, {name: mlp, to: chain}]}}"
SPEC = f"""
timeout: 2
models:
  v1: {{url: "http://v1/m", timeout: 0.3}}
  v2: {{url: "http://v2/m"}}
  v3: {{url: "http://v3/m"}}
  v4: {{url: "http://v4/m"}}
nodes:
  root: {{split: {{by: request.headers.u, routes: [{{name: x, to: duel, weight: 1}}, {{to: v4, weight: 1}}]}}}}
  duel: {DUEL}
  chain: {{chain: {{steps: [{{name: one, to: v1}}, {{name: two, to: v3}}]}}}}
"""


def challenge_of(found: Graph) -> Challenge:
    """The challenge of a graph that has one."""
    one = challenged(found.document.spec)
    assert one is not None
    return one.challenge


def changed(old: str, new: str, name: str = "fraud") -> str:
    """The key of SPEC with a text replaced, which must be there."""
    assert old in SPEC
    return challenge_key(graph(SPEC.replace(old, new), name))


KEY = challenge_key(graph(SPEC))
OTHER = {
    "the champion": ("champion: v1", "champion: v3"),
    "a challenger's target": ("to: v2", "to: v3"),
    "a challenger's name": ("name: gbm", "name: gbt"),
    "a sample": ("sample: 0.25", "sample: 0.5"),
    "another challenger": ("{name: mlp, to: chain}", "{name: mlp, to: chain}, {name: more, to: v3}"),
    "one challenger less": (", {name: mlp, to: chain}", ""),
    "noise": ("challenge: {", "challenge: {noise: true, "),
    "a tolerance": ("challenge: {", "challenge: {compare: {tolerance: 0.5}, "),
    "a guardrail": ("challenge: {", "challenge: {guardrails: {errors: {max: 0.1}}, "),
    "the confidence": ("challenge: {", "challenge: {confidence: 0.9, "),
    "a model's url": ("http://v2/m", "http://v2/n"),
    "a model's timeout": ("timeout: 0.3", "timeout: 0.4"),
    "a model behind a node": ("http://v3/m", "http://v3/n"),
    "a node that a challenger names": ("{name: one, to: v1}", "{name: one, to: v2}"),
    "the challenge's node": ("duel", "match"),
}
SAME = {
    "the graph's timeout": ("timeout: 2", "timeout: 3"),
    "the way there": ("request.headers.u", "request.method"),
    "weights": ("weight: 1", "weight: 2"),
    "a model that it does not lead to": ("http://v4/m", "http://v4/n"),
    "another model": ("  v4:", '  v5: {url: "http://v5"}\n  v4:'),
    "another node": ("  chain:", "  lost: {respond: {status: 404}}\n  chain:"),
    "a default that is written out": ("name: mlp,", "name: mlp, sample: 1,"),
    "defaults of the challenge": ("challenge: {", "challenge: {confidence: 0.95, noise: false, compare: {}, "),
    "the order of keys": ("{name: gbm, to: v2, sample: 0.25}", "{sample: 0.25, to: v2, name: gbm}"),
    "a comment": ("timeout: 2", "timeout: 2  # seconds"),
}


@pytest.mark.parametrize("case", OTHER)
def test_other_evidence(case):
    """Whatever the challenge is, names, or leads to makes other evidence."""
    assert changed(*OTHER[case]) != KEY


@pytest.mark.parametrize("case", SAME)
def test_the_same_evidence(case):
    """Whatever else is edited keeps the evidence."""
    assert changed(*SAME[case]) == KEY


def test_the_order_of_models_and_nodes():
    """Models and nodes may be listed in any order."""
    raw = graph(SPEC).raw
    spec = raw["spec"]
    turned = spec | {part: dict(reversed(spec[part].items())) for part in ("models", "nodes")}
    assert challenge_key(load_raw(raw | {"spec": turned})) == KEY


def test_keys():
    """A key is 16 hex digits, the same in every release, and another for another graph."""
    assert KEY == "707ad6602f7f9ccb"
    assert challenge_key(graph(SPEC, "other")) != KEY
    assert challenge_key(Graph.from_raw(msgspec.json.decode(msgspec.json.encode(graph(SPEC).raw)))) == KEY


def test_no_challenge():
    """A graph without a challenge has none, no key, and nobody to promote."""
    none = graph("models: {a: {url: 'http://a'}}\nnodes: {root: {split: {routes: [{to: a, weight: 1}]}}}")
    assert challenged(none.document.spec) is None
    with pytest.raises(GraphError, match="fraud holds no challenge"):
        challenge_key(none)
    with pytest.raises(GraphError, match="fraud holds no challenge"):
        exchanged(none, "x")


def test_where_it_stands():
    """The challenge is found in a declared node and in an inline one, with its place in the document."""
    declared = challenged(graph(SPEC).document.spec)
    inline = challenged(graph(SPEC.replace("to: duel", f"to: {DUEL}").replace(f"  duel: {DUEL}\n", "")).document.spec)
    assert declared is not None
    assert inline is not None
    assert (declared.node, declared.path) == ("duel", ("spec", "nodes", "duel", "challenge"))
    assert inline.node == "root.x"
    assert inline.path == ("spec", "nodes", "root", "split", "routes", 0, "to", "challenge")
    assert inline.challenge == declared.challenge


def test_target_names():
    """A leg is called by what it leads to, an inline node by its path."""
    inline = challenge_of(graph(SPEC.replace("to: v2", "to: {respond: {status: 200}}")))
    assert [target_name("duel", one.name, one.to) for one in inline.challengers] == ["duel.gbm", "chain"]
    assert target_name("duel", "champion", inline.champion) == "v1"


# --- promotion


def sides(found: Graph) -> tuple[Any, dict[str, Any]]:
    """The champion, and the challengers by name."""
    one = challenge_of(found)
    return one.champion, {challenger.name: challenger.to for challenger in one.challengers}


def test_exchanging():
    """The challenger becomes champion and the champion, by its own name, a challenger in its place; all else stays."""
    before = graph(SPEC)
    after = exchanged(before, "gbm")
    assert sides(after) == ("v2", {"v1": "v1", "mlp": "chain"})
    assert [one.sample for one in challenge_of(after).challengers] == [0.25, 1]
    assert (after.name, after.source) == (before.name, before.source)
    assert after.id != before.id
    for part in ("models", "match", "timeout"):
        assert after.raw["spec"].get(part) == before.raw["spec"].get(part)
    assert before == graph(SPEC), "the graph itself is not changed"


def test_the_away_model_follows():
    """While the processor is away, requests go to the new champion."""
    spec = SPEC.replace("routes: [{name: x, to: duel, weight: 1}, ", "routes: [{name: x, to: duel, weight: 2}, ")
    away = [compile_graph(one).away for one in (graph(spec), exchanged(graph(spec), "gbm"))]
    assert [model.name if model else None for model in away] == ["v1", "v2"]


def test_there_and_back():
    """Who was promoted by its target's name is promoted back by it; names that are no target's are not kept."""
    spec = SPEC.replace("name: gbm", "name: v2")
    there = exchanged(graph(spec), "v2")
    assert sides(there) == ("v2", {"v1": "v1", "mlp": "chain"})
    back = exchanged(there, "v1")
    assert back == graph(spec)
    assert challenge_key(back) == challenge_key(graph(spec))
    assert challenge_key(there) != challenge_key(back)


def test_a_challenger_that_is_not_there():
    """The error says who is."""
    with pytest.raises(GraphError, match="fraud has no challenger v2; it has gbm, mlp"):
        exchanged(graph(SPEC), "v2")


INLINE = "{respond: {status: 200, body: {predictions: [1]}}}"
NAMES = {
    "an inline champion": ("champion: v1", f"champion: {INLINE}", "champion-was"),
    "a name that is taken": ("name: mlp", "name: v1", "v1-2"),
    "two names that are taken": (
        "{name: mlp, to: chain}",
        "{name: v1, to: chain}, {name: v1-2, to: v3}",
        "v1-3",
    ),
    "its own name": ("name: gbm", "name: v1", "v1"),
    "an inline champion whose name is taken": (
        "champion: v1, challengers: [{name: gbm, to: v2, sample: 0.25}, {name: mlp,",
        f"champion: {INLINE}, challengers: [{{name: gbm, to: v2}}, {{name: champion-was,",
        "champion-was-2",
    ),
    "a node whose path is taken": (
        "champion: v1",
        f"champion: {INLINE}",
        "champion-was-2",
    ),
}


@pytest.mark.parametrize("case", NAMES)
def test_what_the_champion_is_called(case):
    """A name of its own, that no other challenger and no other node has."""
    old, new, expected = NAMES[case]
    assert old in SPEC
    spec = SPEC.replace(old, new, 1)
    if case == "a node whose path is taken":
        spec = spec.replace("  chain:", "  duel.champion-was: {respond: {status: 404}}\n  chain:")
    challenger = "v1" if case == "its own name" else "gbm"
    after = exchanged(graph(spec), challenger)
    assert expected in sides(after)[1]
    well_named(after)


def test_a_champion_called_champion():
    """The champion's own branch has that name."""
    spec = SPEC.replace("v1", "champion")
    assert "champion-2" in sides(exchanged(graph(spec), "gbm"))[1]


def test_a_long_name():
    """A number is added to a name of any length, within the language's longest."""
    long = "m" * 63
    spec = SPEC.replace("v1", long).replace("name: mlp", f"name: {long}")
    after = exchanged(graph(spec), "gbm")
    assert set(sides(after)[1]) == {long, "m" * 61 + "-2"}
    well_named(after)


def well_named(found: Graph) -> None:
    """All names are ones, and no two nodes share one."""
    names = [one.name for one in challenge_of(found).challengers]
    assert all(re.fullmatch(NAME_PATTERN, name) for name in names)
    assert len({*names, "champion"}) == len(names) + 1
    nodes = [place.name for place in places(found.document.spec)]
    assert len(set(nodes)) == len(nodes)
    compile_graph(found)


@settings(derandomize=True, deadline=None, max_examples=150, suppress_health_check=list(HealthCheck))
@given(
    st.lists(st.sampled_from(["v1", "v1-2", "gbm", "champion-was", "x", "v2"]), min_size=1, max_size=4, unique=True),
    st.lists(st.sampled_from(["v1", "v2", "v3", INLINE, "chain"]), min_size=5, max_size=5),
    st.lists(st.integers(0, 3), min_size=1, max_size=6),
    st.booleans(),
)
def test_any_promotions(names, targets, picks, inline):
    """However often whoever is promoted, nobody is lost: the same nodes and models are in the challenge, well named."""
    challengers = ", ".join(f"{{name: {name}, to: {to}}}" for name, to in zip(names, targets, strict=False))
    duel = f"{{challenge: {{champion: {targets[4]}, challengers: [{challengers}]}}}}"
    old, new = ("to: duel", f"to: {duel}") if inline else (f"duel: {DUEL}", f"duel: {duel}")
    spec = SPEC.replace(old, new).replace(f"  duel: {DUEL}\n", "")
    found = graph(spec)
    everybody = sorted(map(repr, [challenge_of(found).champion, *sides(found)[1].values()]))
    for pick in picks:
        current = challenge_of(found).challengers
        challenger = current[pick % len(current)]
        found = exchanged(found, challenger.name)
        well_named(found)
        assert challenge_of(found).champion == challenger.to
        assert sorted(map(repr, [challenge_of(found).champion, *sides(found)[1].values()])) == everybody
