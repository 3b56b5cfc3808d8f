"""Tables of routes that are put together from those of single graphs."""

import json
from collections import Counter
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from extproc.envoy.tables import merged_table
from extproc.graph import load
from extproc.plan.compile import compile_graph
from extproc.plan.match import specific_first
from extproc.plan.model import ModelPlan
from extproc.plan.plan import Plan
from tests.envoy_config import theirs
from tests.envoy_config.configuring import CLUSTERS, EGRESS, INGRESS, first_pass, layout, second_pass
from tests.plan.building import plan
from tests.plan.test_match import MATCHES

SAMPLES = Path(__file__).parents[2] / "graphs"
# What a graph's first pass holds for each match depends on where it goes while its processor is away, and on upgrades.
SPECS = {
    "open": "models: {a: {url: 'http://a/x'}}\nnodes: {root: {split: {routes: [{to: a, weight: 1}]}}}",
    "closed": "whenAway: closed\nmodels: {a: {url: 'http://a'}}\nnodes: {root: {split: {routes: [{to: a, weight: 1}]}}}",
    "body": "models: {a: {url: 'http://a'}}\nnodes: {root: {switch: {cases: [{when: request.body.x == 1, to: a}], default: a}}}",
    "answer": "nodes: {root: {respond: {status: 204}}}",
    "theirs": "models: {a: {cluster: other}}\nnodes: {root: {split: {routes: [{to: a, weight: 1}]}}}",
    "challenge": (
        "models: {a: {url: 'http://a'}, b: {url: 'http://b'}}\n"
        "nodes: {root: {challenge: {champion: a, challengers: [{name: x, to: b}]}}}"
    ),
}


def whole(plans: list[Plan]) -> dict[str, Any]:
    """Both tables as one call makes them, as they stand in the files."""
    names = {model.key: _cluster(model) for one in plans for model in one.models.values()}
    build, routes = theirs.build, theirs.routes
    return {
        INGRESS: build._converted(routes.ingress_routes(plans, names)),
        EGRESS: build._converted(routes.egress_routes(plans, names)),
    }


def _cluster(model: ModelPlan) -> str:
    return str(model.document.cluster or theirs.cluster.model_cluster(model).name)


def merged(builder: Any, plans: list[Plan]) -> dict[str, Any]:
    """Both tables as they are put together."""
    files = builder.of_graphs(plans)
    return {name: json.loads(files[name])["resources"][0] for name in (INGRESS, EGRESS)}


def planned(number: int, spec: str, *matches: Any) -> Plan:
    """A plan of one of the specs, of a name of its own."""
    return plan(SPECS[spec], f"g{number}", list(matches))


def sketched(routes: list[Any], models: dict[str, Any]) -> Any:
    """A table as it stands in a file, with texts for routes."""
    first = {"action": {"typed_config": {"routes": [*routes, "nothing fits"]}}}
    tree = {"matcher_tree": {"exact_match_map": {"map": models}}} if models else {}
    return {"virtual_hosts": [{"matcher": {**tree, "on_no_match": first}}]}


@settings(deadline=None, max_examples=200)
@given(st.lists(st.tuples(st.lists(MATCHES, min_size=1, max_size=3), st.integers(1, 3)), max_size=4))
def test_the_most_specific_match_comes_first(graphs: list[Any]):
    """Whatever matches graphs have, however many routes each takes: they stand as those of all graphs at once would."""
    tables = []
    for number, (matches, each) in enumerate(graphs):
        own = [match for match, _ in specific_first((match, None) for match in matches)]
        routes = [[number, repr(match), piece] for match in own for piece in range(each)]
        one: Any = SimpleNamespace(match=matches)
        tables.append((one, sketched(routes, {f"g{number}/m": number} if each > 1 else {})))
    found = merged_table(sketched([], {}), tables)
    entries = [(match, (number, each)) for number, (matches, each) in enumerate(graphs) for match in matches]
    wanted = [
        [number, repr(match), piece] for match, (number, each) in specific_first(entries) for piece in range(each)
    ]
    models = {f"g{number}/m": number for number, (_, each) in enumerate(graphs) if each > 1}
    assert found == sketched(wanted, models)


def test_they_are_what_one_call_makes():
    """Graphs of every kind, whose matches interleave: the tables are those of all graphs at once."""
    plans = [
        planned(n, spec, {"path": f"/{n}/x"}, {"prefix": f"/{n}"}, {"host": f"h{n}", "prefix": "/"})
        for n, spec in enumerate(SPECS)
    ]
    assert merged(theirs.build.Builder(layout()), plans) == whole(plans)


def test_no_graph():
    """Without graphs everything is answered with 404, and the second pass has no model."""
    assert merged(theirs.build.Builder(layout()), []) == whole([])


def test_the_samples():
    """The same holds for the sample graphs, whose first pass and models are all there."""
    plans = [compile_graph(graph) for graph in load([SAMPLES]).graphs]
    found = merged(theirs.build.Builder(layout()), plans)
    assert found == whole(plans)
    files = {name: {"resources": [table]} for name, table in found.items()}
    assert set(second_pass(files)) == {model.key for one in plans for model in one.models.values()}
    assert len(first_pass(files)) > sum(len(one.match) for one in plans)


@pytest.fixture
def built(monkeypatch: pytest.MonkeyPatch):
    """Counts how often each graph's part is built."""
    counts: Counter[str] = Counter()
    original = theirs.build._tables

    def counted(one: Plan):
        counts[one.graph] += 1
        return original(one)

    monkeypatch.setattr(theirs.build, "_tables", counted)
    return counts


def test_a_graph_that_stays_is_not_built_again(built: Counter[str]):
    """Only what a generation brings anew is built: what the one before had is kept for a rollback, older ones are not."""
    builder = theirs.build.Builder(layout())
    a, b = (planned(n, "open", {"path": f"/{n}"}) for n in range(2))
    edited = plan(SPECS["closed"], "g1", [{"path": "/1"}])
    first = builder.of_graphs([a, b])
    assert builder.of_graphs([a, b]) == first
    assert built == {"g0": 1, "g1": 1}
    second = builder.of_graphs([a, edited])
    assert built == {"g0": 1, "g1": 2}
    assert second[INGRESS] != first[INGRESS]
    assert builder.of_graphs([a, b]) == first
    assert built == {"g0": 1, "g1": 2}
    builder.of_graphs([a])
    builder.of_graphs([a])
    assert builder.of_graphs([a, b]) == first
    assert built == {"g0": 1, "g1": 3}


def test_putting_together_changes_no_part():
    """What is kept of a graph is the same after tables were made from it, in any company."""
    builder = theirs.build.Builder(layout())
    plans = [planned(n, spec, {"path": f"/{n}"}) for n, spec in enumerate(sorted(SPECS))]
    alone = merged(builder, plans[:1])
    merged(builder, plans)
    merged(builder, plans[::-1])
    assert merged(builder, plans[:1]) == alone


def test_the_version_is_of_the_content():
    """Tables of the same content have the same version, others another one: by it Envoy's are told apart."""
    a, b = (planned(n, "open", {"path": f"/{n}"}) for n in range(2))
    files = [theirs.build.Builder(layout()).of_graphs(plans) for plans in ([a], [a], [a, b], [b, a], [])]
    for name in (CLUSTERS, INGRESS, EGRESS):
        versions = [json.loads(one[name])["version_info"] for one in files]
        assert versions[0] == versions[1]
        assert len({versions[0], versions[2], versions[4]}) == 3
