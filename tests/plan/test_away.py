"""Where requests go when the processor is away."""

from __future__ import annotations

import pytest

from extproc.errors import GraphError
from tests.plan.building import TWO_MODELS, plan

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
def test_open_needs_a_model(case):
    """``whenAway: open`` where no model follows is the author's error, told with its place."""
    root, more, _ = CASES[case]
    with pytest.raises(GraphError, match=r"^fraud\.yaml: spec\.whenAway: open, but no model follows"):
        away(root, more, "whenAway: open")
