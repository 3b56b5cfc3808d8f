"""The plans in force."""

from __future__ import annotations

from typing import TYPE_CHECKING

from extproc.server.generations import Generations
from tests.plan.building import plan

if TYPE_CHECKING:
    from extproc.plan.plan import Plan


def version(model, name="fraud", match=None) -> Plan:
    """A plan that differs in its model's name."""
    text = f"models: {{{model}: {{url: 'http://m'}}}}\nnodes: {{root: {{split: {{routes: [{{to: {model}, weight: 1}}]}}}}}}"
    return plan(text, name, match)


def test_nothing_is_known_at_first():
    """Without a generation no plan is found."""
    known = Generations()
    assert known.by_id("fraud@00000000") is None
    assert known.by_match("h", "/fraud", {}) is None
    assert tuple(known.current) == ()


def test_two_are_kept():
    """The newest two generations are found by id, older ones are forgotten."""
    known = Generations()
    plans = [version(f"m{number}") for number in range(4)]
    for number, one in enumerate(plans):
        known.load([one])
        assert tuple(known.current) == (one,)
        kept = plans[max(0, number - 1) : number + 1]
        assert [known.by_id(other.id) is other for other in plans] == [other in kept for other in plans]


def test_only_the_newest_matches():
    """Requests without a named graph enter the newest generation only."""
    known = Generations()
    old, new = version("a"), version("b")
    known.load([old])
    known.load([new])
    assert known.by_match("h", "/fraud", {}) is new
    known.load([])
    assert known.by_match("h", "/fraud", {}) is None
    assert known.by_id(new.id) is new


def test_a_graph_that_did_not_change_stays():
    """A plan that is in both generations, compiled twice, is known by the newer one, and for one reload longer."""
    known = Generations()
    first, again = version("a"), version("a")
    known.load([first, version("x", "other")])
    known.load([again])
    assert first.id == again.id
    assert known.by_id(first.id) is again


def test_the_most_specific_match_wins():
    """Whatever the order of the graphs, the most specific match that fits is taken."""
    wide = version("a", "wide", [{}])
    exact = version("a", "exact", [{"host": "h.example.com", "path": "/p"}])
    wild = version("a", "wild", [{"host": "*.example.com"}, {"prefix": "/q", "headers": {"x": "1"}}])
    for order in ([wide, exact, wild], [wild, exact, wide]):
        known = Generations()
        known.load(order)
        assert known.by_match("h.example.com:80", "/p", {}) is exact
        assert known.by_match("H.example.com", "/p/", {}) is wild
        assert known.by_match("other", "/q/1", {"x": "1"}) is wild
        assert known.by_match("other", "/q/1", {}) is wide


def test_repr_names_the_plans():
    """The repr lists what is at hand."""
    known = Generations()
    one = version("a")
    known.load([one])
    assert repr(known) == f"<Generations {one.id}>"
