"""Decisions and points: what happened to a challenge, in order, and bounded."""

from __future__ import annotations

from itertools import pairwise

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from extproc.challenge.store.history import Decision, Point, crowded
from tests.challenge.store.building import CHALLENGE, GBM, NOON

PROMOTED = Decision(
    at=NOON,
    challenge=CHALLENGE,
    graph="fraud",
    generation="1a2b3c4d",
    challenger=GBM,
    event="promoted",
    forced=True,
    figures={"agreement": {"verdict": "fail", "low": 0.5}, "k": [1, None]},
)


def test_decisions_come_back_in_order(opened):
    """Decisions are read whole, the oldest first, each with its writer, whoever noted it in whatever order."""
    earlier = msgspec.structs.replace(PROMOTED, at=NOON - 1, event="reject", forced=False, figures=None)
    opened("w1").note(PROMOTED)
    opened("w2").note(earlier)
    opened("w2").note(msgspec.structs.replace(PROMOTED, challenge="other"))
    expected = [msgspec.structs.replace(earlier, writer="w2"), msgspec.structs.replace(PROMOTED, writer="w1")]
    assert opened("w3").read(CHALLENGE).decisions == expected


def test_a_decision_is_noted_once(opened):
    """The same decision noted again stays one, and as it was first; another at the same time is another."""
    store = opened()
    store.note(PROMOTED)
    store.note(msgspec.structs.replace(PROMOTED, figures="changed"))
    store.note(msgspec.structs.replace(PROMOTED, challenger="svm"))
    found = store.read(CHALLENGE).decisions
    assert {(one.challenger, one.event) for one in found} == {(GBM, "promoted"), ("svm", "promoted")}
    assert "changed" not in [one.figures for one in found]


def test_the_newest_decisions_are_retained(opened):
    """Of each challenge the newest decisions stay."""
    store = opened(decisions=2)
    for number in range(5):
        store.note(msgspec.structs.replace(PROMOTED, at=NOON + number))
    store.note(msgspec.structs.replace(PROMOTED, challenge="other"))
    store.retain()
    assert [one.at for one in store.read(CHALLENGE).decisions] == [NOON + 3, NOON + 4]
    assert len(store.read("other").decisions) == 1


def test_points_come_back_in_order(opened):
    """Points are read by challenger, the oldest first; one at a time that is there already changes nothing."""
    store = opened()
    for at, figures in ((2.0, {"low": 0.5}), (1.0, [0.1, 0.9]), (2.0, "second")):
        store.point(CHALLENGE, GBM, at, figures)
    store.point(CHALLENGE, "svm", 1.0, None)
    store.point("other", GBM, 9.0, None)
    expected = {GBM: [Point(1.0, [0.1, 0.9]), Point(2.0, {"low": 0.5})], "svm": [Point(1.0, None)]}
    assert store.read(CHALLENGE).points == expected


def test_points_are_thinned(opened):
    """As many points stay as may, spread over all the time, the first and the newest among them."""
    store = opened(points=8)
    for minute in range(100):
        store.point(CHALLENGE, GBM, float(minute), minute)
        store.point(CHALLENGE, "svm", float(minute), minute) if minute < 3 else None
    times = [one.at for one in store.read(CHALLENGE).points[GBM]]
    assert (len(times), times[0], times[-1]) == (8, 0.0, 99.0)
    assert max(after - before for before, after in pairwise(times)) <= 32
    assert len(store.read(CHALLENGE).points["svm"]) == 3


@pytest.mark.parametrize(
    ("times", "limit", "left_out"),
    [
        ([], 2, []),
        ([1.0, 2.0], 2, []),
        ([0.0, 1.0, 5.0, 9.0], 3, [1.0]),
        ([0.0, 4.0, 8.0, 9.0], 3, [8.0]),
        ([0.0, 1.0, 2.0, 3.0], 2, [1.0, 2.0]),
        ([0.0, 0.0, 0.0], 2, [0.0]),
    ],
)
def test_crowded(times, limit, left_out):
    """Those go whose neighbours are nearest to each other."""
    assert crowded(times, limit) == left_out


@settings(max_examples=30)
@given(st.lists(st.integers(1, 100), min_size=100, max_size=300))
def test_thinning_is_even(gaps):
    """However far apart points come, none of the gaps that thinning leaves is much of the whole."""
    kept: list[float] = []
    at = 0.0
    for gap in gaps:
        at += gap
        kept.append(at)
        for left_out in crowded(kept, 20):
            kept.remove(left_out)
    spans = [after - before for before, after in pairwise(kept)]
    assert max(spans) <= (kept[-1] - kept[0]) / 4
