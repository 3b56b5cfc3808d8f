"""A trace in a terminal: the exact text of trees, and that any spans make one, whatever they hold."""

from __future__ import annotations

import io
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console

from extproc.commands.trace_facts import facts, happening
from extproc.commands.trace_nesting import MAX_DEPTH, Node, nested
from extproc.commands.trace_tree import MAX_EVENTS, PLAIN, WIDEST, TraceTree
from extproc.telemetry.span import Event, Link, Span
from tests.commands import traced
from tests.commands.traced import call, envoy, graph, top
from tests.telemetry.spans import CLIENT, ENVOY, at, event, span, span_id

TREES = {
    "ENSEMBLE": """\
                                                                start ms   took ms
extproc-envoy  POST vote  200                                       0.00     12.00  ████████████████
└─ ext_proc                                                         0.25     11.50  ███████████████
   └─ extproc  graph vote  answers 200, route                       0.50     11.00  ███████████████
      │  forest,boosting!connect,logistic, deadline in 1.98 s
      ├─ call forest  200, deadline in 0.30 s                       1.00      6.00   ████████
      │  └─ extproc-envoy  POST forest  200                         1.25      5.50   ███████
      ├─ ✕ call boosting  connect, 2 attempts, deadline in          1.10      2.00   ███
      │  │  0.30 s
      │  │  • attempt 2, a retry                                    2.00
      │  └─ extproc-envoy  ✕ POST boosting  503, URX: no            1.20      0.50   █
      │        attempt left, UF: no connection
      └─ call logistic  200, deadline in 0.30 s                     1.20      9.80   █████████████
         └─ extproc-envoy  POST logistic  200                       1.40      9.40   █████████████
""",
    "HEDGE": """\
                                                                start ms   took ms
extproc-envoy  POST slow  200                                       0.00    100.00  ████████████████
└─ ext_proc                                                         0.25     99.50  ████████████████
   └─ extproc  graph slow  answers 200, route slow, deadline        1.00     98.00  ████████████████
      │  in 1.98 s
      └─ call slow  200, 2 attempts, hedged, deadline in 0.30       2.00     96.00  ███████████████
         │  s
         │  • attempt 2, a hedge beside the first                  52.00
         ├─ extproc-envoy  POST slow  200                           3.00     95.00  ███████████████
         └─ extproc-envoy  POST slow  no answer, DC: the           53.00     44.00          ███████
               caller left
""",
    "CHALLENGE": """\
                                                                start ms   took ms
extproc-envoy  POST fraud  200                                      0.00      5.00  ████████
├─ ext_proc                                                         0.25      4.50  ███████
│  └─ extproc  graph fraud  Envoy calls fraud-v1, deadline in       0.50      0.25  █
│     │  1.98 s
│     └─ challenger gbm  answered, the client does not wait         3.00      7.00      ███████████
│        │  for it
│        └─ call fraud-v2  200, deadline in 0.30 s                  3.50      6.00       ██████████
│           └─ extproc-envoy  POST fraud-v2  200                    4.00      5.00        ████████
└─ POST fraud-v1  200                                               2.00      2.50     ████
""",
    "SPLIT": """\
                                                                start ms   took ms
extproc-envoy  ✕ POST fraud  502, UF: no connection                 0.00      8.00  ████████████████
├─ ext_proc                                                         0.25      7.50  ███████████████
│  └─ extproc  graph fraud  Envoy calls fraud-v2, route             1.00      0.50    █
│        pick=odd,root=canary,fraud-v2, deadline in 1.98 s
│        • pick: request.body.x > 1 failed                          1.10
│        • pick → default                                           1.20
│        • root → canary: request.headers["x-user-id"] is a         1.30
│          key
└─ POST fraud-v2  no answer, UF: no connection                      2.00      5.00      ██████████
""",
    "ORPHANS": """\
                                                          start ms   took ms
extproc-envoy  POST vote  no answer, DC: the caller left      0.00     12.00  ████████████████
parents missing
extproc  graph vote  the client left, deadline in 1.98 s      0.50     11.00  ███████████████
└─ call forest  cancelled, deadline in 0.30 s                 1.00      6.00   ████████
extproc-envoy  POST logistic  200                             1.40      9.40   █████████████
""",
}
"""100 columns."""

NARROW = """\
                                start ms   took ms
extproc-envoy  POST vote  200       0.00     12.00  ████████
└─ ext_proc                         0.25     11.50  ████████
   └─ extproc  graph vote           0.50     11.00  ███████
      │  answers 200, route
      │  forest,boosting!connect,
      │  logistic, deadline in
      │  1.98 s
      ├─ call forest  200,          1.00      6.00  ████
      │  │  deadline in 0.30 s
      │  └─ extproc-envoy           1.25      5.50  ████
      │        POST forest  200
      ├─ ✕ call boosting            1.10      2.00  █
      │  │  connect, 2 attempts,
      │  │  deadline in 0.30 s
      │  │  • attempt 2, a          2.00
      │  │    retry
      │  └─ extproc-envoy  ✕        1.20      0.50  █
      │        POST boosting
      │        503, URX: no
      │        attempt left, UF:
      │        no connection
      └─ call logistic  200,        1.20      9.80  ███████
         │  deadline in 0.30 s
         └─ extproc-envoy           1.40      9.40  ██████
               POST logistic  200
"""

PLAIN_TEXT = """\
                                                                start ms   took ms
extproc-envoy  POST vote  200                                       0.00     12.00  ################
`- ext_proc                                                         0.25     11.50  ###############
   `- extproc  graph vote  answers 200, route                       0.50     11.00  ###############
      |  forest,boosting!connect,logistic, deadline in 1.98 s
      `- call forest  200, deadline in 0.30 s                       1.00      6.00   ########
"""


def shown(
    spans: Any, width: int = 100, encoding: str = "utf-8", client: str | None = span_id(CLIENT), **terminal
) -> str:
    """What a terminal of a width and an encoding is sent."""
    stream = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    console = Console(file=stream, width=width, legacy_windows=False, highlight=False, **terminal)
    console.print(TraceTree(nested(spans, client)))
    stream.flush()
    return stream.buffer.getvalue().decode(encoding)


def coloured(spans: Any) -> str:
    """What a terminal with colours is sent."""
    return shown(spans, force_terminal=True, color_system="truecolor", no_color=False)


def shape(nodes: Any) -> list[Any]:
    """Trees of names: a name alone, or with those below it."""
    return [(node.span.name, shape(node.below)) if node.below else node.span.name for node in nodes]


@pytest.mark.parametrize("name", TREES)
def test_a_tree(name: str):
    """Who is below whom, when and how long, what came of it and why; a bar for its place in the whole."""
    assert shown(getattr(traced, name)) == TREES[name]


def test_a_narrow_terminal():
    """Names and facts are folded, the branches go on beside them."""
    assert shown(traced.ENSEMBLE, 60) == NARROW


def test_a_terminal_with_ascii_alone():
    """It is sent no other signs, at the same places."""
    assert shown(traced.ENSEMBLE[:4], encoding="ascii") == PLAIN_TEXT
    for name, tree in TREES.items():
        assert shown(getattr(traced, name), encoding="ascii") == tree.translate(PLAIN)


@pytest.mark.parametrize("name", TREES)
@pytest.mark.parametrize("width", [40, 60, 80, 110, 140, 400])
def test_it_fits(name: str, width: int):
    """No line is wider than the terminal, nor than is readable, and nothing is left out for it."""
    text = shown(getattr(traced, name), width)
    assert max(map(cell_len, text.splitlines())) <= min(width, WIDEST)
    numbers = re.compile(r"\d+\.\d\d(?= |$)", re.MULTILINE)
    assert len(numbers.findall(text)) == len(numbers.findall(TREES[name]))


def test_colours():
    """Errors are red and challengers magenta, on a terminal alone; they are told in words too."""
    failed, challenged = coloured(traced.ENSEMBLE), coloured(traced.CHALLENGE)
    assert re.search(r"\x1b\[1;31m✕ ", failed)
    assert re.search(r"\x1b\[1;31mcall boosting", failed)
    assert re.search(r"\x1b\[35mchallenger gbm", challenged)
    assert "31m" not in challenged
    assert "\x1b" not in shown(traced.ENSEMBLE)


def test_order_is_of_time():
    """Whatever order spans come in, the tree is the same: by start, and then by end."""
    for spans in (traced.ENSEMBLE, traced.CHALLENGE, traced.ORPHANS):
        assert shown(list(reversed(spans))) == shown(spans)
    spans = [span(1, name="top"), span(2, 1, "late", 0.5), span(3, 1, "long", 0.2, 0.7), span(4, 1, "short", 0.2, 0.1)]
    assert shape(nested(spans).roots) == [("top", ["short", "long", "late"])]


def test_whose_request_it_was():
    """The sender's span is nowhere; where its id is not known, the earliest span tells it if a server's."""
    for client in (span_id(CLIENT), None):
        found = nested(traced.ORPHANS, client)
        assert shape(found.roots) == ["POST vote"]
        assert shape(found.orphans) == [("graph vote", ["call forest"]), "POST logistic"]
    lost = nested(traced.ENSEMBLE[2:], span_id(CLIENT))
    assert (shape(lost.roots), len(lost.orphans)) == ([], 1)
    inner = nested([envoy(5, 4, "POST forest", 0, 1), graph(3, 2, "vote", 1, 1)])
    assert (shape(inner.roots), shape(inner.orphans)) == ([], ["POST forest", "graph vote"])


def test_several_requests_in_one_trace():
    """A client that makes several with one span sees each; one without a parent stands beside them."""
    spans = [envoy(number, CLIENT, f"POST {number}", number, 1, kind="server") for number in (1, 2)]
    assert shape(nested(spans).roots) == ["POST 1", "POST 2"]
    spans.append(span(3, name="no parent", start=3))
    assert shape(nested(spans, span_id(CLIENT)).roots) == ["POST 1", "POST 2", "no parent"]
    assert shape(nested(spans).roots) == ["no parent"]


def test_spans_in_a_circle():
    """Only a broken sender makes them; each is shown once, below the missing parents."""
    spans = [
        *top("vote", 5),
        span(7, 8, "a", 1),
        span(8, 7, "b", 2),
        span(9, 9, "itself", 3),
        span(10, 8, "below b", 4),
    ]
    found = nested(spans, span_id(CLIENT))
    assert shape(found.roots) == [("POST vote", [traced.EXT_PROC])]
    assert shape(found.orphans) == [("a", [("b", ["below b"])]), "itself"]
    assert "parents missing" in shown(spans)


def test_very_deep_trees():
    """Beyond some levels spans stand beside each other: a thousand in one another are shown, each once."""
    spans = [span(number, number - 1, start=number / 1000) for number in range(1, 1001)]
    found = nested(spans)
    (root,) = found.roots
    nodes = list(root.all())
    assert [node.span.span_id for node in nodes] == [one.span_id for one in spans]
    assert max(node.depth for node in nodes) == MAX_DEPTH
    for width in (40, 100):
        lines = shown(spans, width).splitlines()
        assert max(map(cell_len, lines)) <= width
        assert sum("span" in line for line in lines) == 1000
    data = found.data()["roots"][0]
    for _ in range(MAX_DEPTH):
        (data,) = data["below"][:1]
    assert data["name"] == f"span {MAX_DEPTH + 1}"


def test_the_tree_as_data():
    """Times are milliseconds since the trace began."""
    (root,) = nested(traced.HEDGE, span_id(CLIENT)).data()["roots"]
    assert (root["name"], root["startMs"], root["durationMs"], root["error"]) == ("POST slow", 0.0, 100.0, False)
    called = root["below"][0]["below"][0]["below"][0]
    assert (called["name"], called["service"], called["startMs"]) == ("call slow", "extproc", 2.0)
    assert [one["startMs"] for one in called["below"]] == [3.0, 53.0]
    assert nested([]).data() == {"roots": [], "orphans": []}


FACTS: list[tuple[Span, list[str]]] = [
    (graph(1, 0, "g", 0, 1, outcome="tail", model="m", route="m"), ["Envoy calls m", "deadline in 1.98 s"]),
    (
        graph(1, 0, "g", 0, 1, outcome="tail", model="m", route="root=a,m"),
        ["Envoy calls m", "route root=a,m", "deadline in 1.98 s"],
    ),
    (graph(1, 0, "g", 0, 1, outcome="answer", status=504), ["answers 504", "deadline in 1.98 s"]),
    (graph(1, 0, "g", 0, 1, outcome="left"), ["the client left", "deadline in 1.98 s"]),
    (graph(1, 0, "g", 0, 1, outcome="refused"), ["refused", "deadline in 1.98 s"]),
    (call(1, 0, "m", 0, 1, 200, attempts=1, hedged=False), ["200", "deadline in 0.30 s"]),
    (call(1, 0, "m", 0, 1, 503, attempts=3), ["503", "3 attempts", "deadline in 0.30 s"]),
    (call(1, 0, "m", 0, 1, "timeout", hedged=True), ["timeout", "hedged", "deadline in 0.30 s"]),
    (call(1, 0, "m", 0, 1, "cancelled"), ["cancelled", "deadline in 0.30 s"]),
    (call(1, 0, "m", 0, 1, "reset", **{"deadline.left": -0.016}), ["reset", "deadline 0.02 s ago"]),
    (envoy(1, 0, "POST m", 0, 1, "200"), ["200"]),
    (envoy(1, 0, "POST m", 0, 1, "0", flags="UF,XYZ"), ["no answer", "UF: no connection", "flag XYZ"]),
    (envoy(1, 0, "POST m", 0, 1, "504", flags="UT"), ["504", "UT: the model took too long"]),
    (top("g", 1)[1], []),
    (span(1, attributes={"extproc.model": "m"}, name="POST g"), ["model m"]),
    (span(1, attributes={"extproc.model": "m"}, name="call m"), []),
    (span(1, status="error", message="it broke"), ["it broke"]),
    (span(1, attributes={"error.type": "deadline"}, message="deadline"), ["deadline"]),
    (span(1, links=(Link(f"{2:032x}", span_id(1)),)), [f"linked to trace {2:032x}"]),
    (span(1, attributes={"gen_ai.request.model": "llama"}), ["asks for llama"]),
    (
        span(1, attributes={"gen_ai.usage.input_tokens": 1200, "gen_ai.usage.output_tokens": 7}),
        ["1,200 tokens in, 7 out"],
    ),
    (span(1, attributes={"http.response.status_code": {"a": [1]}}), ['{"a": [1]}']),
    (span(1, attributes={"response_flags": 5, "extproc.attempts": "3", "extproc.deadline.left": "x"}), []),
]


@pytest.mark.parametrize(("one", "told"), FACTS)
def test_facts(one: Span, told: list[str]):
    """What is worth a look about a span, and nothing twice."""
    assert list(facts(one)) == told


HAPPENINGS: list[tuple[Event, str]] = [
    (event("decision", node="root", branch="a", expression="x > 1", result="true"), "root → a: x > 1 is true"),
    (event("decision", node="root", branch="a"), "root → a"),
    (event("decision"), "? → ?"),
    (event("expression_failed", node="root", expression="x > 1"), "root: x > 1 failed"),
    (event("retry", attempt=2), "attempt 2, a retry"),
    (event("hedge", attempt=2), "attempt 2, a hedge beside the first"),
    (Event("exception", 0, {"exception.type": "E", "exception.message": "no\nway"}), "E: no way"),
    (Event("other", 0, {"d": 1, "b": [2], "a": "x", "c": None}), "other a=x b=[2] c=null"),
]


@pytest.mark.parametrize(("one", "told"), HAPPENINGS)
def test_happenings(one: Event, told: str):
    """An event in words."""
    assert happening(one) == told


def test_many_events():
    """So many are shown, and the others counted."""
    events = tuple(event(f"e{number}", number) for number in range(MAX_EVENTS + 7))
    text = shown([span(1, events=events)], client=None)
    assert text.count("• e") == MAX_EVENTS
    assert "• … and 7 more\n" in text


HOSTILE = "\x1b[31m\x1b]0;title\x07\r\n\u202e[bold]\x00\ud800x"


def test_what_others_wrote_is_only_text():
    """Whatever a name or a value holds: no terminal obeys it, no line is broken by it, no markup is read in it."""
    said = {"extproc.model": HOSTILE, "extproc.route": HOSTILE, "response_flags": HOSTILE, HOSTILE: HOSTILE}
    spans = [
        span(
            1,
            name=HOSTILE,
            service=HOSTILE,
            attributes={**said, "extproc.outcome": HOSTILE, "error.type": HOSTILE},
            events=(Event(HOSTILE, at(0), said), Event("decision", at(0), {"extproc.node": HOSTILE})),
            message=HOSTILE,
            status="error",
        )
    ]
    for text in (shown(spans), shown(spans, encoding="ascii"), shown(spans, 40)):
        assert not re.search("[\x00-\x09\x0b-\x1f\x7f\u202e]", text)
    assert "[bold]" in shown(spans)
    assert len(shown(spans, WIDEST).splitlines()) < 14


@pytest.mark.parametrize("long", ["x" * 100_000, "é" * 100_000, "字" * 100_000])
def test_long_values(long: str):
    """They are shortened: a span takes some lines."""
    spans = [span(1, name=long, service=long, attributes={"extproc.route": long}, message=long, status="error")]
    lines = shown(spans, 80).splitlines()
    assert len(lines) < 25
    assert max(map(cell_len, lines)) <= 80


def test_times_of_any_size():
    """Columns are as wide as they must be; what took no time has a bar all the same, within the whole."""
    spans = [
        span(1, name="long", took=3_600_000),
        span(2, 1, "none", start=3_600_000, took=0),
        span(3, 1, "back in time", start=5, took=-3),
        span(4, 1, "after all", start=3_600_001, took=1),
        span(5, 1, "at the end", start=3_600_002, took=0),
    ]
    lines = shown(spans, 100, client=None).splitlines()
    assert max(map(cell_len, lines)) <= 100
    assert "3,600,000.00" in lines[1]
    assert [line.count("█") for line in lines[1:]] == [16, 1, 1, 1, 1]
    assert "0.00  █" in shown([span(1, took=0)], client=None)


@given(
    st.lists(
        st.builds(
            span,
            st.integers(1, 12),
            st.integers(0, 14),
            st.text(max_size=30),
            st.floats(-1e6, 1e6),
            st.floats(-1e6, 1e6),
            service=st.sampled_from(["extproc", ENVOY, "\x1b"]),
            kind=st.sampled_from(["server", "client", "internal"]),
            status=st.sampled_from(["unset", "error"]),
            attributes=st.dictionaries(
                st.sampled_from(
                    ["extproc.outcome", "extproc.leg", "http.status_code", "response_flags", "extproc.model"]
                ),
                st.one_of(st.none(), st.text(max_size=10), st.integers(), st.lists(st.integers(), max_size=2)),
            ),
        ),
        max_size=14,
        unique_by=lambda one: one.span_id,
    ),
    st.sampled_from([None, span_id(13)]),
    st.integers(40, 160),
)
def test_any_spans(spans: list[Span], client: str | None, width: int):
    """Each is shown once, below its parent where that is there; no line is too wide."""
    found = nested(spans, client)
    nodes = list(found.all())
    assert sorted(node.span.span_id for node in nodes) == sorted(one.span_id for one in spans)
    assert all(child.span.parent_id == node.span.span_id for node in nodes for child in node.below)
    assert _as_they_should(found.roots, found.orphans, spans)
    text = shown(spans, width, client=client)
    assert max(map(cell_len, text.splitlines())) <= width
    assert "\x1b" not in text


def _as_they_should(roots: Any, orphans: Any, spans: list[Span]) -> bool:
    """Orphans' parents are not there, or below them; roots' parents are not there at all."""
    there = {one.span_id for one in spans}

    def circled(node: Node) -> bool:
        return any(one.span.span_id == node.span.parent_id for one in node.all())

    return all(node.span.parent_id not in there for node in roots) and all(
        node.span.parent_id not in there or circled(node) for node in orphans
    )
