"""Lives: every request that a worker saw is booked once, however the worker and its supervisor end."""

from __future__ import annotations

from sqlalchemy import select

from extproc.challenge.evidence import FAILED, INTERRUPTED, PAIRED, Evidence
from extproc.challenge.store import tables
from tests.challenge.store.building import CHALLENGE, GBM, adds_up, outcomes, record, window

DAY = 86_400.0


def test_a_killed_workers_difference(opened):
    """What a worker saw and did not tell is interrupted, for each challenger by itself."""
    store = opened()
    both = {GBM: {"x": Evidence(outcomes={PAIRED: 3, FAILED: 1})}, "svm": {"x": Evidence(outcomes={PAIRED: 1})}}
    store.book("a", 1, [window(0, 5, evidence=both, challengers=(GBM, "svm"))])
    assert store.read(CHALLENGE).pending == {GBM: 1, "svm": 4}
    assert store.close_life("a", {CHALLENGE: (9, (GBM, "svm"))}) == {CHALLENGE: {GBM: 5, "svm": 8}}
    standing = store.read(CHALLENGE)
    assert outcomes(standing) == {PAIRED: 3, FAILED: 1, INTERRUPTED: 5}
    assert standing.evidence["svm"][""].outcomes == {INTERRUPTED: 8}
    assert (standing.eligible, standing.pending) == (9, {GBM: 0, "svm": 0})


def test_a_life_that_told_nothing(opened):
    """A worker that was killed before its first window has all its requests interrupted, of each challenge."""
    store = opened()
    assert store.close_life("a", {CHALLENGE: (2, (GBM,)), "other": (1, ("svm", GBM)), "idle": (0, (GBM,))}) == {
        CHALLENGE: {GBM: 2},
        "other": {"svm": 1, GBM: 1},
    }
    assert outcomes(store.read("other"), "svm") == {INTERRUPTED: 1}
    assert store.read("idle").evidence == {}


def test_a_life_is_closed_once(opened):
    """Closed again, also by a supervisor that was killed and comes back, nothing is booked a second time."""
    store = opened()
    store.book("a", 1, [window(1, 5)])
    told = {CHALLENGE: (7, (GBM,))}
    assert store.close_life("a", told) == {CHALLENGE: {GBM: 6}}
    assert store.close_life("a", told) == {}
    store.close()
    again = opened()
    assert again.close_life("a", told) == {}
    assert outcomes(again.read(CHALLENGE)) == {PAIRED: 1, INTERRUPTED: 6}


def test_booked_by_one_supervisor_closed_by_the_next(opened):
    """A supervisor that comes back knows what of a life the one before had booked."""
    first = opened()
    first.book("a", 1, [window(3, 3)])
    first.close()
    second = opened()
    assert second.open_lives() == ("a",)
    assert second.close_life("a", {CHALLENGE: (4, (GBM,))}) == {CHALLENGE: {GBM: 1}}
    assert second.open_lives() == ()


def test_without_a_file_the_last_window_counts(opened):
    """Where the worker's file is lost, what its windows said is closed."""
    store = opened()
    store.book("a", 1, [window(3, 5)])
    assert store.close_life("a", {}) == {CHALLENGE: {GBM: 2}}
    assert adds_up(store.read(CHALLENGE))


def test_a_file_that_says_more_later(opened):
    """A life closed without its file is closed with it later, and what is missing is booked then."""
    store = opened()
    store.book("a", 1, [window(3, 5)])
    store.close_life("a", {})
    assert store.close_life("a", {CHALLENGE: (8, (GBM,))}) == {CHALLENGE: {GBM: 3}}
    assert outcomes(store.read(CHALLENGE)) == {PAIRED: 3, INTERRUPTED: 5}


def test_windows_of_a_closed_life(opened):
    """A window that comes after its life was closed is counted and not booked: its requests were interrupted."""
    store = opened()
    store.close_life("a", {CHALLENGE: (4, (GBM,))})
    late = window(4, 4, record("r"), record("s", 0.0))
    store.book("a", 1, [late, late])
    store.book("a", 1, [late, late])
    standing = store.read(CHALLENGE)
    assert outcomes(standing) == {INTERRUPTED: 4}
    assert standing.dropped == {"late_windows": 2, "late": 4}
    assert standing.examples == {}
    assert (standing.eligible, standing.pending) == (4, {GBM: 0})


def test_a_batch_booked_before_closing_is_not_late(opened):
    """A batch that is repeated after its life was closed, because nobody heard that it was booked, stays booked."""
    store = opened()
    store.book("a", 1, [window(1)])
    store.close_life("a", {CHALLENGE: (1, (GBM,))})
    store.book("a", 1, [window(1)])
    standing = store.read(CHALLENGE)
    assert (outcomes(standing), standing.dropped) == ({PAIRED: 1}, {})


def test_a_machine_that_is_gone(opened):
    """Another writer's life that was silent for long is closed, so that its requests do not stay pending for ever."""
    opened("w1").book("a", 1, [window(1, 3)])
    other = opened("w2", silence=DAY)
    opened.clock.now += DAY - 1
    other.retain()
    assert other.read(CHALLENGE).pending == {GBM: 2}
    opened.clock.now += 2
    other.retain()
    other.retain()
    standing = other.read(CHALLENGE)
    assert outcomes(standing) == {PAIRED: 1, INTERRUPTED: 2}
    assert standing.pending == {GBM: 0}


def test_a_machine_without_traffic_is_not_gone(opened):
    """A writer that applies its limits is there, and nobody closes its lives, nor does it itself."""
    idle, other = opened("w1", silence=DAY), opened("w2", silence=DAY)
    idle.book("a", 1, [window(1, 3)])
    for _ in range(3):
        opened.clock.now += DAY * 2
        idle.retain()
        other.retain()
    idle.book("a", 2, [window(2, 3)])
    assert outcomes(other.read(CHALLENGE)) == {PAIRED: 3}


def test_a_machine_that_comes_back(opened):
    """Closed by another writer meanwhile, a life's own file still books what that one could not know."""
    back = opened("w1")
    back.book("a", 1, [window(1, 3)])
    opened.clock.now += 2 * DAY
    opened("w2", silence=DAY).retain()
    assert back.close_life("a", {CHALLENGE: (5, (GBM,))}) == {CHALLENGE: {GBM: 2}}
    standing = back.read(CHALLENGE)
    assert (outcomes(standing), standing.eligible) == ({PAIRED: 1, INTERRUPTED: 4}, 5)


def test_old_lives_are_added_up(opened):
    """Closed lives that are old, or too many, are no longer told apart, and what they counted stays."""
    store = opened(lives=2, life_age=DAY)
    for life in "abcde":
        opened.clock.now += 1
        store.book(life, 1, [window(1, 2)])
        if life != "e":
            store.close_life(life, {})
    before = store.read(CHALLENGE)
    store.retain()
    assert kept(store, "abcde") == {"c", "d", "e"}
    opened.clock.now += DAY
    store.retain()
    assert kept(store, "abcde") == {"e"}
    store.retain()
    after = store.read(CHALLENGE)
    assert (after.eligible, after.pending, outcomes(after)) == (10, {GBM: 1}, outcomes(before))
    assert before.eligible == 10
    assert adds_up(after)


def test_a_life_closed_again_is_as_old_as_before(opened):
    """A life is forgotten when it was closed for long, however often it was closed since."""
    store = opened(life_age=DAY)
    for _ in range(3):
        store.close_life("a", {CHALLENGE: (1, (GBM,))})
        opened.clock.now += DAY / 2
    store.retain()
    assert kept(store, "a") == set()
    assert store.read(CHALLENGE).eligible == 1


def kept(store, lives):
    """The lives that the store tells apart."""
    with store._engine.begin() as connection:
        return set(connection.scalars(select(tables.lives.c.life))) & set(lives)
