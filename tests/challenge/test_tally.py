"""A tally's windows: whatever the partition, they add up to the same."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from extproc.challenge.evidence import Evidence, Record, Window, merged
from extproc.challenge.ledger import Entry, Ledger
from extproc.challenge.limits import OTHER_SEGMENT, Limits
from extproc.challenge.tally import WHOLE, Tally
from tests.challenge.legs import MANY, compared

if TYPE_CHECKING:
    from collections.abc import Sequence

ENTRY = Entry("0123456789abcdef", "fraud", ("x", "y"))


def tally(**limits: Any) -> Tally:
    """A tally in memory."""
    return Tally(ENTRY, Ledger(), Limits(**limits))


def record(text: bytes = b"[1]", **more: Any) -> Record:
    """A record whose legs say the same."""
    said = msgspec.Raw(text)
    return Record("id-1", "x", WHOLE, 1.0, "number", 0.0, 1.0, said, said, **more)


def add(sums: Tally, act: tuple[Any, ...]) -> None:
    """Do one of the things that are done to a tally."""
    match act:
        case ("reached",):
            sums.reached()
        case ("book", challenger, segment, outcome):
            sums.of(challenger, segment).book(outcome)
        case ("compared", challenger, segment, champion, other):
            compared([champion], [other]).add_to(sums.of(challenger, segment))
        case ("keep", text):
            sums.keep(record(text))


def total(windows: Sequence[Window]) -> dict[str, Any]:
    """Windows, added up."""
    found: dict[str, dict[str, Evidence]] = {}
    for window in windows:
        for challenger, segments in window.evidence.items():
            for segment, evidence in segments.items():
                merged(found.setdefault(challenger, {}).setdefault(segment, Evidence()), evidence)
    eligible = [window.eligible for window in windows]
    assert eligible == sorted(eligible)
    records = [one for window in windows for one in window.records]
    dropped = [window.dropped.get("records", 0) for window in windows]
    return {"evidence": found, "eligible": eligible[-1] if eligible else 0, "kept": len(records) + sum(dropped)}


NAMES = st.sampled_from(["x", "y"])
SEGMENTS = st.sampled_from(["", "gold", "lead", "tin", "zinc"])
ACTS = st.one_of(
    st.just(("reached",)),
    st.tuples(st.just("book"), NAMES, SEGMENTS, st.sampled_from(["paired", "shed", "failed"])),
    st.tuples(st.just("compared"), NAMES, SEGMENTS, st.floats(-1e6, 1e6), st.floats(-1e6, 1e6)),
    st.tuples(st.just("compared"), NAMES, SEGMENTS, st.sampled_from("abc"), st.sampled_from("abc")),
    st.tuples(st.just("keep"), st.sampled_from([b"[1]", b"[" + b" " * 50 + b"]"])),
)


@MANY
@given(st.lists(st.tuples(ACTS, st.booleans()), max_size=40))
def test_any_partition(acts):
    """Windows taken at any moments add up to the one that is taken in the end, through JSON too."""
    often, once = tally(segments=3), tally(segments=3)
    windows = []
    for act, taken in acts:
        add(often, act)
        add(once, act)
        if taken:
            windows.append(often.window())
    windows.append(often.window())
    told = [msgspec.json.decode(msgspec.json.encode(window), type=Window) for window in windows if window is not None]
    last = once.window()
    assert total(told) == total([] if last is None else [last])
    assert often.window() is None


def test_an_empty_window_is_none():
    """Nothing is said of what did not change; a request that is under way is already eligible."""
    sums = tally()
    assert sums.window() is None
    sums.reached()
    window = sums.window()
    assert window is not None
    assert (window.eligible, window.evidence, window.records, window.dropped) == (1, {}, [], {})
    assert (window.challenge, window.graph, window.challengers) == (ENTRY.challenge, ENTRY.graph, ENTRY.challengers)
    assert sums.window() is None
    assert repr(sums) == "<Tally fraud 0123456789abcdef eligible=1>"


def test_a_window_that_was_taken_does_not_change():
    """What comes later is in the next one."""
    sums = tally()
    sums.of("x").book("shed")
    sums.keep(record())
    window = sums.window()
    sums.of("x").book("shed")
    sums.keep(record())
    sums.drop("large")
    assert window is not None
    assert (window.evidence["x"][WHOLE].outcomes, len(window.records), window.dropped) == ({"shed": 1}, 1, {})


def test_the_segments_limit_is_the_tallys():
    """So many values have sums of their own, for all challengers and windows together; the rest shares one."""
    sums = tally(segments=2)
    for challenger, segment in (("x", "a"), ("y", "b"), ("x", "c"), ("x", WHOLE), ("x", "a")):
        sums.of(challenger, segment).book("paired")
    first = sums.window()
    sums.of("y", "c").book("paired")
    sums.of("y", "a").book("paired")
    second = sums.window()
    assert first is not None
    assert second is not None
    assert {name: sorted(segments) for name, segments in first.evidence.items()} == {
        "x": [WHOLE, OTHER_SEGMENT, "a"],
        "y": ["b"],
    }
    assert sorted(second.evidence["y"]) == [OTHER_SEGMENT, "a"]


def test_what_records_may_take():
    """Records are bounded by number and by bytes, bodies among them, in each window anew."""
    by_number, by_size = tally(records=2), tally(kept=10)
    for _ in range(3):
        by_number.keep(record())
    for one in (record(b"[1]"), record(b"[]", body="x"), record(b"[]"), record(b"[1234567890]")):
        by_size.keep(one)
    for sums, kept, dropped in ((by_number, 2, 1), (by_size, 2, 2)):
        window = sums.window()
        assert window is not None
        assert (len(window.records), window.dropped) == (kept, {"records": dropped})
        sums.keep(record())
        again = sums.window()
        assert again is None or len(again.records) == 1
