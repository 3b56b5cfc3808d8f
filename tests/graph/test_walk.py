"""Names of nodes and branches, and ways through a graph."""

from extproc.graph import children, flatten, load, places
from extproc.graph.checks.paths import MAX_NESTING
from tests.graph.samples import HEAD, HERE, MODELS, loaded, said

EVERYTHING = load([HERE / "valid" / "everything.yaml"]).graphs[0].document.spec


def names(node: str) -> list[str]:
    """A node's branches by name."""
    return [branch.name for branch in children(node, flatten(EVERYTHING)[node])]


def test_branches_are_named_by_name_then_to_then_place():
    """In document order, with the default last."""
    assert names("root") == ["blocked", "pipeline", "many", "cheap", "safe", "default"]
    assert names("pipeline") == ["features", "score", "score.onError", "last-one"]
    assert names("pipeline.last-one") == ["large", "other"]
    assert names("compare") == ["champion", "gbm", "chain"]
    assert names("safe") == ["gather", "meshed"]


def test_inline_nodes_are_named_by_path():
    """After the node they stand in."""
    assert list(flatten(EVERYTHING)) == [
        "root", "root.blocked", "pipeline", "pipeline.last-one", "vote", "gather", "cascade", "safe", "compare",
    ]  # fmt: skip


def test_places_know_where_nodes_stand():
    """For messages and editors."""
    found = {place.name: place.path for place in places(EVERYTHING)}
    assert found["pipeline.last-one"] == ("spec", "nodes", "pipeline", "chain", "steps", 2, "to")


def test_branches_without_names_are_numbered(tmp_path):
    """An inline node without a name has its place's."""
    nodes = "  nodes:\n    root: {fallback: {routes: [{to: m}, {to: {respond: {status: 503}}}]}}\n"
    spec = loaded(tmp_path, HEAD + MODELS.replace("    n: {url: http://n}\n", "") + nodes).graphs[0].document.spec
    assert list(flatten(spec)) == ["root", "root.routes[1]"]


def chained(count: int) -> str:
    """A row of nodes."""
    rows = "".join(f"    n{at}: {{fallback: {{routes: [{{to: n{at + 1}}}]}}}}\n" for at in range(1, count))
    return f"{HEAD}  nodes:\n    root: {{fallback: {{routes: [{{to: n1}}]}}}}\n{rows}    n{count}: {{respond: {{status: 200}}}}\n"


def test_ways_are_bounded(tmp_path):
    """As many nodes as the limit says; a thousand are an error and no crash."""
    assert loaded(tmp_path, chained(MAX_NESTING - 1)).problems == ()
    assert said(loaded(tmp_path, chained(1000))) == [
        "g.yaml:7:11: spec.nodes.root: 1001 nodes follow one another from here; at most 20 may (MAX_NESTING)"
    ]


def test_a_long_cycle_is_shortened(tmp_path):
    """Its ends are spelled out."""
    text = chained(100).replace("n100: {respond: {status: 200}}", "n100: {fallback: {routes: [{to: root}]}}")
    (problem,) = loaded(tmp_path, text).problems
    assert problem.message == (
        "nodes form a cycle: root -> n1 -> n2 -> n3 -> n4 -> n5 -> … -> n96 -> n97 -> n98 -> n99 -> n100 -> root"
    )


def test_inline_nesting_is_bounded_by_one_of_the_limits(tmp_path):
    """Nodes in nodes in nodes: twenty load, thirty are refused."""

    def nested(count: int) -> str:
        inner = "{respond: {status: 200}}"
        for _ in range(count - 1):
            inner = f"{{fallback: {{routes: [{{to: {inner}}}]}}}}"
        return f"{HEAD}  nodes:\n    root: {inner}\n"

    assert loaded(tmp_path, nested(MAX_NESTING)).problems == ()
    assert "MAX_NESTING" in said(loaded(tmp_path, nested(MAX_NESTING + 1)))[0]
    assert "MAX_DEPTH" in said(loaded(tmp_path, nested(60)))[0]
