"""A line for each request that failed, as long as they are few, and a number for the rest."""

import asyncio
import fcntl
import json
import logging
import os
import time

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from extproc.telemetry.failures import MAX_ID, FailureLog
from extproc.telemetry.lines import Lines
from extproc.telemetry.logs import Json, Text

NAME = "extproc.telemetry.failures"
TRACE = "0af7651916cd43dd8448eb211c80319c"


class Clock:
    """Time that stands until it is moved."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def failures(clock):
    """Two lines a second, and three at once."""
    return FailureLog(clock, rate=2, burst=3)


def fail(failures: FailureLog, times: int = 1, request_id: str = "r-1") -> None:
    """Requests that failed."""
    for _ in range(times):
        failures.failed("fraud", 502, "upstream_failed", request_id)


def test_what_a_line_says(failures, caplog):
    """All that is known, readable and as fields; the request's way as a field alone."""
    failures.failed("fraud", 502, "upstream_failed", "r-1", TRACE, model="fraud-v2", route="root=canary,fraud-v2")
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert record.getMessage() == f"fraud: 502 upstream_failed (model fraud-v2) request=r-1 trace={TRACE}"
    said = json.loads(Json("worker").format(record))
    assert {name: said[name] for name in list(said)[6:]} == {
        "graph": "fraud",
        "status": 502,
        "code": "upstream_failed",
        "model": "fraud-v2",
        "route": "root=canary,fraud-v2",
        "request_id": "r-1",
        "trace_id": TRACE,
    }


def test_what_is_not_known_is_not_said(failures, caplog):
    """No model, no trace: neither in the message nor as fields."""
    failures.failed("fraud", 504, "deadline", "")
    (record,) = caplog.records
    assert record.getMessage() == "fraud: 504 deadline"
    assert not {"model", "route", "request_id", "trace_id"} & set(vars(record))


@pytest.mark.parametrize(("status", "level"), [(500, "WARNING"), (503, "WARNING"), (429, "WARNING"), (404, "DEBUG")])
def test_a_clients_own_fault_is_told_at_debug(failures, caplog, status, level):
    """Server errors and overload are warnings; by default a client's fault is not told at all."""
    failures.failed("fraud", status, "some_code", "r-1")
    assert [record.levelname for record in caplog.records] == [level] * (level == "WARNING")
    caplog.clear()
    with caplog.at_level(logging.DEBUG, NAME):
        failures.failed("fraud", status, "some_code", "r-1")
    assert [record.levelname for record in caplog.records] == [level]


def test_what_is_not_logged_by_level_is_not_dropped(failures, caplog):
    """Who wants errors alone misses nothing."""
    with caplog.at_level(logging.ERROR, NAME):
        fail(failures, 10)
    assert failures.dropped == 0
    assert caplog.records == []


@pytest.mark.parametrize(
    ("given_id", "said"),
    [
        ("2c5e7f4a-9f1e-4d0e-8a66-3f0d3c1d2e11", "2c5e7f4a-9f1e-4d0e-8a66-3f0d3c1d2e11"),
        ("a=b", "a=b"),
        ("a trace=1", '"a trace=1"'),
        ('a"b', r'"a\"b"'),
        ("a\nb", r'"a\nb"'),
        ("ä", r'"\u00e4"'),
        ("x" * 60_000, "x" * MAX_ID),
    ],
)
def test_a_request_id_is_the_clients_own_text(failures, caplog, given_id, said):
    """It is short, and cannot pass for more than it is."""
    failures.failed("fraud", 502, "upstream_failed", given_id, TRACE)
    assert caplog.messages == [f"fraud: 502 upstream_failed request={said} trace={TRACE}"]


@given(st.text(st.characters(codec=None)))
@example("a\r\nb\x1b[31m\x85\u2028\u202e\ud800")
def test_any_request_id_makes_one_line(request_id):
    """In both formats, and JSON has it as it is, but for its length."""
    lines: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: lines.extend(form("worker").format(record) for form in (Text, Json))  # type: ignore[method-assign]
    logging.getLogger(NAME).addHandler(handler)
    try:
        FailureLog().failed("fraud", 502, "upstream_failed", request_id)
    finally:
        logging.getLogger(NAME).removeHandler(handler)
    assert len(lines) == 2
    assert all(line.isprintable() for line in lines)
    assert lines[0].split(" ", 4)[4].startswith("fraud: 502 upstream_failed")
    known = json.loads(lines[1]).get("request_id", "")
    assert known == request_id[:MAX_ID] or not request_id.isprintable()


# --- many


def test_many_failures_have_few_lines(failures, clock, caplog):
    """Three at once, then two a second; what has no line is counted."""
    fail(failures, 10)
    assert len(caplog.records) == 3
    assert failures.dropped == 7
    clock.now += 0.49
    fail(failures)
    assert (len(caplog.records), failures.dropped) == (3, 8)
    clock.now += 0.02
    fail(failures)
    assert (len(caplog.records), failures.dropped) == (4, 8)


def test_quiet_is_not_saved_up(failures, clock, caplog):
    """After an hour without failures there is no more room for lines than at the beginning."""
    clock.now += 3600
    fail(failures, 10)
    assert len(caplog.records) == 3


def test_what_was_left_out_is_told_with_the_next_one(failures, clock, caplog):
    """Once: how many there were, a second after the first of them."""
    fail(failures, 10)
    caplog.clear()
    clock.now += 5
    fail(failures, 2)
    assert caplog.messages[0] == "7 more requests failed, and have no line of their own"
    assert caplog.records[0].left_out == 7
    assert len(caplog.messages) == 3
    clock.now += 5
    fail(failures)
    assert len(caplog.messages) == 4
    assert failures.dropped == 7


def test_what_was_left_out_is_told_without_a_next_one(failures, clock, caplog):
    """For whoever asks now and then; not before a second has passed, and not twice."""
    failures.tell_left_out()
    fail(failures, 10)
    caplog.clear()
    clock.now += 0.99
    failures.tell_left_out()
    assert caplog.messages == []
    clock.now += 0.02
    failures.tell_left_out()
    failures.tell_left_out()
    assert caplog.messages == ["7 more requests failed, and have no line of their own"]
    assert failures.dropped == 7


def test_a_long_trouble_stays_within_the_rate(failures, clock, caplog):
    """Ten seconds of a thousand failures each: two lines a second, those that tell of the others among them."""
    for _ in range(1000):
        clock.now += 0.01
        fail(failures, 10)
    assert 20 <= len(caplog.records) <= 3 + 20
    told = sum(getattr(record, "left_out", 0) for record in caplog.records)
    own = sum(not hasattr(record, "left_out") for record in caplog.records)
    assert own + failures.dropped == 10_000
    assert 0 <= failures.dropped - told < 2100  # what the last second has not told yet
    assert "left out" in repr(failures)


async def test_a_request_does_not_wait_for_a_reader():
    """Nobody reads standard error: failures go on being told, and the event loop is not held up; what is lost is counted."""
    reader, writer = os.pipe()
    fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, 4096)
    handler = Lines(writer, room=8192)
    handler.setFormatter(Json("worker"))
    root = logging.getLogger()
    root.addHandler(handler)
    longest = 0.0
    try:
        failures = FailureLog(rate=10**6, burst=10**6)
        for number in range(2000):
            began = time.monotonic()
            fail(failures, request_id=f"r-{number}")
            await asyncio.sleep(0)
            longest = max(longest, time.monotonic() - began)
        assert longest < 1
        assert handler.dropped > 1500
        assert failures.dropped == handler.dropped
    finally:
        root.removeHandler(handler)
        os.close(reader)  # the thread is freed: what it writes fails
        handler.close()
        os.close(writer)
