"""What a worker told is summed up until it can be booked: nothing is lost but records, and those are counted."""

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from extproc.challenge.evidence import FAILED, PAIRED, Evidence, Window, merged
from extproc.supervisor import life as life_module
from extproc.supervisor.life import Life
from tests.challenge.store.building import GBM, record, window

OTHER = "d4c3b2a1"


def told(challenge: str, eligible: int, segment: str, paired: int, *, failed: int, records: int) -> Window:
    """A window of one segment."""
    evidence = {GBM: {segment: Evidence(outcomes={PAIRED: paired, FAILED: failed}, elements=paired)}}
    kept = [record(f"{challenge}-{eligible}-{number}") for number in range(records)]
    return window(0, eligible, *kept, challenge=challenge, evidence=evidence, dropped={"records": 1} if failed else {})


WINDOWS = st.lists(
    st.builds(
        told,
        st.sampled_from(["c1a2b3c4", OTHER]),
        st.integers(0, 10**6),
        st.sampled_from(["", "at"]),
        st.integers(0, 9),
        failed=st.integers(0, 9),
        records=st.integers(0, 3),
    ),
    max_size=8,
)


def summed(windows: list[Window]) -> dict[str, Any]:
    """What windows say by challenge: the last number of requests, sums, records, what was dropped."""
    found: dict[str, Any] = {}
    for one in windows:
        _, sums, records, dropped = found.get(one.challenge, (0, Evidence(), [], 0))
        for evidence in one.evidence[GBM].values():
            merged(sums, evidence)
        requests = [each.request for each in one.records]
        found[one.challenge] = one.eligible, sums, records + requests, dropped + one.dropped.get("records", 0)
    return found


@settings(deadline=None, max_examples=60)
@given(WINDOWS, st.sets(st.integers(0, 8)))
def test_batches_hold_what_windows_held(windows: list[Window], taken: set[int]):
    """Whenever batches are taken, together they hold the windows' sums, records and drops, and the latest number."""
    wanted = summed(windows)
    life = Life("l")
    batches: list[Window] = []
    for number, one in enumerate(windows):
        life.take([one])
        if number in taken:
            batches += life.next_batch()
            life.batch = []
    batches += life.next_batch()
    assert summed(batches) == wanted


def test_a_batch_stays_as_it_is_until_it_is_booked():
    """What comes meanwhile waits for the next one: a batch that is booked again must be the same."""
    life = Life("l")
    life.take([window(2, 2)])
    first = life.next_batch()
    life.take([window(3, 5)])
    assert life.next_batch() is first
    assert [one.eligible for one in first] == [2]
    life.batch = []
    assert [one.eligible for one in life.next_batch()] == [5]


def test_records_have_a_limit(monkeypatch):
    """Of one life's records, of all its challenges together, so many bytes are kept; the rest is counted as dropped."""
    each = 512 + len(b"[1]") + len(b"[2]")
    monkeypatch.setattr(life_module, "MOST_KEPT", 3 * each)
    life = Life("l")
    life.take([window(0, 2, record("a"), record("b")), window(0, 3, record("c"), record("d"), challenge=OTHER)])
    life.take([window(0, 9, record("e"), dropped={"records": 5, "large": 1})])
    first, other = life.next_batch()
    assert ([one.request for one in first.records], first.dropped) == (["a", "b"], {"records": 6, "large": 1})
    assert ([one.request for one in other.records], other.dropped) == (["c"], {"records": 1})
    assert first.eligible == 9
    life.batch = []
    life.take([window(0, 10, record("f"))])
    assert [one.request for one in life.next_batch()[0].records] == ["f"]


def test_a_large_body_counts(monkeypatch):
    """A record is as large as what it quotes."""
    monkeypatch.setattr(life_module, "MOST_KEPT", 2000)
    life = Life("l")
    life.take([window(0, 2, record("a", body="x" * 2000), record("b"))])
    assert life.next_batch()[0].dropped == {"records": 2}
