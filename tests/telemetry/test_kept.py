"""The newest traces in memory: what is kept, what makes room, and that every span lost is counted."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from extproc.telemetry.kept import INVALID, TRACE_FULL, TRACE_LEFT, KeptTraces, Limits
from tests.telemetry.spans import span, trace_id

SIZE = 100


def kept(*spans, **limits) -> KeptTraces:
    """A ring with spans of SIZE bytes in it."""
    ring = KeptTraces(Limits(**limits))
    for one in spans:
        ring.add(one, SIZE)
    return ring


def listed(ring: KeptTraces) -> list[int]:
    """The traces' numbers, the newest first."""
    return [int(one.trace_id, 16) for one in ring.newest()]


def names(ring: KeptTraces, trace: int = 1) -> list[str]:
    """A trace's spans by name, in the order in which they came."""
    return [one.name for one in ring.spans(trace_id(trace))]


def test_spans_of_a_trace_are_together():
    """Whenever they come, and whichever comes first; of another trace they are not."""
    ring = kept(span(2, 1), span(5, trace=2), span(1))
    assert names(ring) == ["span 2", "span 1"]
    assert names(ring, 2) == ["span 5"]
    assert names(ring, 3) == []
    assert ring.received == 3
    assert not ring.dropped


def test_a_span_that_comes_again_takes_its_own_place():
    """An exporter that heard no answer sends again: that is no second span, and takes no more room."""
    ring = KeptTraces(Limits(spans=2, size=200))
    for one, size in ((span(1), 100), (span(2, 1), 100), (span(1, name="again"), 100)):
        assert ring.add(one, size)
    assert names(ring) == ["again", "span 2"]
    assert not ring.dropped


def test_the_oldest_trace_makes_room():
    """By when their first spans came; its spans are counted."""
    ring = kept(*(span(number, trace=number) for number in (1, 2, 3)), span(9, trace=1), span(4, trace=4), traces=3)
    assert listed(ring) == [4, 3, 2]
    assert ring.dropped == {TRACE_LEFT: 2}


def test_a_trace_that_was_asked_for_stays():
    """Whether it was there when it was asked for or came later: somebody waits for it."""
    ring = kept(span(1, trace=1), traces=3, asked=2)
    for wanted in (1, 7):
        ring.spans(trace_id(wanted))
    for number in (7, *range(20, 30)):
        ring.add(span(number, trace=number), SIZE)
    assert listed(ring) == [29, 7, 1]


def test_only_the_last_asked_for_stay():
    """Whoever asks for many keeps a few, and the ring goes on even when all of it was asked for."""
    ring = kept(*(span(number, trace=number) for number in (1, 2, 3)), traces=3, asked=3)
    for number in (1, 2, 3):
        ring.spans(trace_id(number))
    ring.add(span(4, trace=4), SIZE)
    assert listed(ring) == [4, 3, 2]
    ring = kept(*(span(number, trace=number) for number in (1, 2, 3)), traces=3, asked=1)
    for number in (1, 3, 1, 2):
        ring.spans(trace_id(number))
    ring.add(span(4, trace=4), SIZE)
    assert listed(ring) == [4, 3, 2]


def test_who_asks_again_and_again_drives_nobody_out():
    """Two people wait for two traces, one of them more often."""
    ring = KeptTraces(Limits(traces=3, asked=2))
    for number in (1, 2, 2, 2):
        ring.spans(trace_id(number))
    for number in range(1, 9):
        ring.add(span(number, trace=number), SIZE)
    assert listed(ring) == [8, 2, 1]


def test_a_trace_has_so_many_spans():
    """What is more is refused and counted: the first ones stay, and so do other traces."""
    ring = KeptTraces(Limits(spans=2))
    taken = [ring.add(span(number), SIZE) for number in (1, 2, 3, 4)]
    assert taken == [True, True, False, False]
    assert names(ring) == ["span 1", "span 2"]
    assert ring.add(span(1, trace=2), SIZE)
    assert ring.dropped == {TRACE_FULL: 2}


def test_all_of_it_has_so_many_bytes():
    """Traces make room by size too; a single one that is larger is cut off, not the others thrown away for it."""
    ring = kept(*(span(number, trace=number) for number in (1, 2, 3)), size=350)
    assert ring.add(span(4, trace=4), 200)
    assert listed(ring) == [4, 3]
    assert not ring.add(span(5, trace=5), 351)
    assert listed(ring) == [4, 3]
    assert ring.dropped == {TRACE_LEFT: 2, TRACE_FULL: 1}


def test_a_span_that_grows_is_bounded_too():
    """One that is sent again, larger, cannot get beyond what one trace may take."""
    ring = kept(span(1), size=350)
    assert not ring.add(span(1, name="large"), 351)
    assert names(ring) == ["span 1"]
    assert ring.add(span(1, name="larger"), 350)
    assert names(ring) == ["larger"]


def test_refused_spans_are_counted():
    """Those without valid ids are nobody's."""
    ring = kept(span(1))
    ring.refuse()
    assert (ring.received, dict(ring.dropped)) == (2, {INVALID: 1})


def test_a_trace_in_a_line():
    """It is named and timed by its outermost span, and is an error where any of it is."""
    ring = kept(
        span(3, 2, "call", start=2, took=90, status="error"),
        span(2, 0xC, "POST fraud", start=1, took=5, service="extproc-envoy"),
        span(4, 0xE, "its parent is missing", start=3),
        span(1, trace=2),
    )
    plain, line = ring.newest()
    assert (line.name, line.service, line.duration, line.spans, line.error) == (
        "POST fraud",
        "extproc-envoy",
        5_000_000,
        3,
        True,
    )
    assert (plain.name, plain.error) == ("span 1", False)


def test_spans_in_a_circle_are_listed():
    """No span of them is the outermost, and there is a line all the same."""
    (line,) = kept(span(1, 2, start=1), span(2, 1), span(3, 3, start=2)).newest()
    assert (line.name, line.spans) == ("span 2", 3)


@given(
    st.lists(st.tuples(st.integers(1, 6), st.integers(1, 6), st.integers(1, 60), st.booleans()), max_size=60),
    st.integers(1, 4),
    st.integers(1, 4),
)
def test_nothing_is_lost_in_silence(sent, traces, spans):
    """Whatever comes in whatever order, limits hold, and what is kept, counted and sent again is what came."""
    ring = KeptTraces(Limits(traces=traces, spans=spans, size=100, asked=2))
    again = 0
    for trace, number, size, asked in sent:
        if asked:
            ring.spans(trace_id(trace))
        one = span(number, trace=trace)
        known = one.trace_id in ring._traces and one.span_id in ring._traces[one.trace_id].spans
        again += ring.add(one, size) and known
    lines = list(ring.newest())
    assert ring.received == len(sent) == sum(line.spans for line in lines) + ring.dropped.total() + again
    assert len(lines) <= traces
    assert all(0 < line.spans <= spans for line in lines)
    assert ring._size == sum(size for trace in ring._traces.values() for _, size in trace.spans.values()) <= 100
