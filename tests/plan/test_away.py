"""Where requests go when the processor is away."""

from __future__ import annotations

from textwrap import indent

import pytest

from extproc.graph import load
from extproc.graph.away import away_model
from tests.plan.building import TWO_MODELS, graph, plan

RESPOND = "{respond: {status: 403}}"
CASES = {
    "a split goes to its heaviest route": ("{split: {routes: [{to: a, weight: 1}, {to: b, weight: 9}]}}", "", "b"),
    "of equal weights the first": ("{split: {routes: [{to: b, weight: 5}, {to: a, weight: 5}]}}", "", "b"),
    "a weight of zero is never the heaviest": ("{split: {routes: [{to: a, weight: 0}, {to: b, weight: 1}]}}", "", "b"),
    "a switch goes to its default": ("{switch: {cases: [{when: 'true', to: a}], default: b}}", "", "b"),
    "a switch without a default closes": ("{switch: {cases: [{when: 'true', to: a}]}}", "", None),
    "nested nodes are followed": (
        "{split: {routes: [{to: a, weight: 1}, {name: x, weight: 2, to: {switch: {cases: [], default: deep}}}]}}",
        "  deep: {split: {routes: [{to: a, weight: 2}, {to: b, weight: 3}]}}",
        "b",
    ),
    "a split whose heaviest route ends in a switch without a default closes": (
        "{split: {routes: [{to: a, weight: 1}, {to: deep, weight: 2}]}}",
        "  deep: {switch: {cases: [{when: 'true', to: b}]}}",
        None,
    ),
    "a respond closes": (RESPOND, "", None),
    "a respond in a case closes, though the default is a model": (
        f"{{switch: {{cases: [{{name: x, when: 'true', to: {RESPOND}}}], default: a}}}}",
        "",
        None,
    ),
    "a respond behind the lightest route closes": (
        f"{{split: {{routes: [{{to: a, weight: 9}}, {{name: x, weight: 1, to: {RESPOND}}}]}}}}",
        "",
        None,
    ),
}


def away(root, more="", when=""):
    """The name of the model that takes everything, None where the graph closes."""
    model = plan(f"{TWO_MODELS}\n{when}\nnodes:\n  root: {root}\n{more}").away
    return None if model is None else model.name


@pytest.mark.parametrize("case", CASES)
def test_by_default(case):
    """Without a word of the graph's own, the contract's rules tell who is called, or that the graph closes."""
    root, more, expected = CASES[case]
    assert away(root, more) == expected


OTHERS = {
    "a fallback goes to its first route": ("{fallback: {routes: [{to: b}, {to: a}]}}", "b"),
    "a challenge goes to its champion": ("{challenge: {champion: b, challengers: [{name: x, to: a}]}}", "b"),
    "a chain closes": ("{chain: {steps: [{name: x, to: a}]}}", None),
    "an ensemble closes": ("{ensemble: {members: [{name: x, to: a}]}}", None),
    "a cascade closes": ("{cascade: {routes: [{to: a}]}}", None),
    "a fallback behind the heaviest route is followed": (
        "{split: {routes: [{to: a, weight: 1}, {name: x, weight: 2, to: {fallback: {routes: [{to: b}, {to: a}]}}}]}}",
        "b",
    ),
    "a chain behind the heaviest route closes": (
        "{split: {routes: [{to: a, weight: 1}, {name: x, weight: 2, to: {chain: {steps: [{name: y, to: b}]}}}]}}",
        None,
    ),
}


@pytest.mark.parametrize("case", OTHERS)
def test_every_kind(case):
    """Kinds that only hand a request on are followed, those that compute with answers close the graph."""
    root, expected = OTHERS[case]
    assert away_model(graph(f"{TWO_MODELS}\nnodes: {{root: {root}}}").document.spec) == expected


@pytest.mark.parametrize("case", [case for case, (*_, expected) in CASES.items() if expected])
def test_closed_closes(case):
    """``whenAway: closed`` closes what would be open."""
    root, more, _ = CASES[case]
    assert away(root, more, "whenAway: closed") is None


def test_open_overrules_a_respond():
    """``whenAway: open`` opens a graph that only a respond elsewhere would have closed."""
    root, more, _ = CASES["a respond in a case closes, though the default is a model"]
    assert away(root, more, "whenAway: open") == "a"
    root, more, _ = CASES["a respond behind the lightest route closes"]
    assert away(root, more, "whenAway: open") == "a"


@pytest.mark.parametrize(
    "case",
    [
        "a respond closes",
        "a switch without a default closes",
        "a split whose heaviest route ends in a switch without a default closes",
    ],
)
def test_open_needs_a_model(case, tmp_path):
    """``whenAway: open`` where no model follows is the author's error, told with its place when the file is loaded."""
    root, more, _ = CASES[case]
    file = tmp_path / "fraud.yaml"
    file.write_text(
        "apiVersion: extproc.dev/v1\nkind: InferenceGraph\nmetadata: {name: fraud}\nspec:\n  whenAway: open\n"
        f"  match: [{{path: /fraud}}]\n{indent(TWO_MODELS, '  ')}  nodes:\n    root: {root}\n  {more}\n"
    )
    (problem,) = load([file]).errors
    assert str(problem).startswith(f"{file}:5:13: spec.whenAway: ")
