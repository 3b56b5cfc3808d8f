"""Whatever the graph and the models do: what always holds of a run."""

from __future__ import annotations

import asyncio
import re
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from extproc.engine.calling import Cause
from extproc.engine.outcome import Answer, TailCall
from extproc.engine.request import Request
from tests.engine.deciding import REQUEST, Recording
from tests.engine.oracle import Oracle
from tests.engine.random_graphs import Grown, Half, grown
from tests.engine.scripted import BODY, Fails, Hangs, Says, ScriptedCaller, ask, elapsed, outcome_of, planned
from tests.engine.virtual import START, run

DOCUMENTED = {200, 400, 403, 404, 413, 415, 422, 429, 502, 503, 504}
ENTRY = re.compile(r"[\w.\[\]]+=\w+|m(\d+)(!(\d{3}|connect|reset|timeout|overloaded|too_large))?")

often = settings(derandomize=True, deadline=None, max_examples=400, suppress_health_check=list(HealthCheck))


def played(graph: Grown, stop: float | None = None, ticks: int = 0) -> tuple[Any, ScriptedCaller, int]:
    """Run a graph, and cancel it at a moment, some turns of the loop later; None is the outcome of what was cancelled."""
    caller = ScriptedCaller(graph.script)

    async def main() -> tuple[Any, int]:
        loop = asyncio.get_running_loop()
        task = asyncio.create_task(outcome_of(graph.plan, caller, Recording(), Request(dict(REQUEST), BODY), Half()))
        if stop is None:
            return await task, elapsed()
        if stop:
            waiter = loop.create_future()
            loop.call_at(START + stop / 1000, waiter.set_result, None)
            await waiter
        for _ in range(ticks):
            await asyncio.sleep(0)
        cut = task.cancel()
        await asyncio.wait([task])
        assert task.cancelled() == cut, "a cancellation was forgotten"
        assert asyncio.all_tasks() == {asyncio.current_task()}
        return None if cut else task.result(), elapsed()

    outcome, took = run(main())
    return outcome, caller, took


def shown(outcome: Answer | TailCall) -> list[int]:
    """The numbers of the models that a route lists; it must be well-formed."""
    entries = [ENTRY.fullmatch(entry) for entry in outcome.route.split(",")] if outcome.route else []
    assert all(entries), outcome.route
    return [int(entry[1]) for entry in entries if entry and entry[1]]


@often
@given(grown(wild=True))
def test_what_always_holds(graph):
    """The answer is a documented one, the route is in document order, and no call and no task is left."""
    outcome, caller, took = played(graph)
    assert not +caller.open
    assert isinstance(outcome, TailCall) or outcome.status in DOCUMENTED
    numbers = shown(outcome)
    assert numbers == sorted(set(numbers)), outcome.route
    ended = [event.split()[1] for event in caller.events if not event.endswith(("called", "cancelled"))]
    tail = [outcome.model.name] if isinstance(outcome, TailCall) else []
    named = {f"m{number}" for number in numbers}
    assert set(ended + tail) <= named
    assert len(named - set(ended + tail)) <= 1  # a tail call for which no time was left
    assert took <= 100
    if isinstance(outcome, TailCall) and outcome.timeout is not None:
        assert 0 < outcome.timeout <= 0.1 - took / 1000 + 1e-9


@often
@given(grown(wild=False))
def test_the_oracle(graph):
    """Where no two things happen at once, the outcome is the one that is worked out step by step."""
    outcome, _, took = played(graph)
    expected = Oracle(graph.script, BODY).of(graph.nodes["root"], "root", BODY, 0, tail=True)
    assert (outcome.route, took) == (",".join(entry for _, entry in expected.noted), expected.at)
    if expected.kind == "tail":
        assert isinstance(outcome, TailCall)
        assert outcome.model.name == expected.model
        assert (outcome.payload and outcome.payload.body) == expected.body
        return
    assert isinstance(outcome, Answer)
    assert outcome.status == expected.status
    if expected.kind == "reply":
        assert outcome.body == expected.body
    elif expected.kind == "failure" and expected.model:
        assert f'"model":"{expected.model}"'.encode() in outcome.body


@often
@given(grown(wild=True), st.sampled_from([0, 0.5, 1, 10, 11, 20, 25, 30, 40, 50, 100]), st.integers(0, 6))
def test_cancelling(graph, stop, ticks):
    """Whenever a run is cancelled, every call is cut off at that instant, and nothing is begun any more."""
    outcome, caller, took = played(graph, stop, ticks)
    assert not +caller.open
    if outcome is None:
        assert took == round(stop)
    whole = played(graph)[1].events
    begun = [event for event in caller.events if not event.endswith("cancelled")]
    assert sorted(begun) == sorted(event for event in begun if event in whole)


@often
@given(
    st.lists(
        st.one_of(
            st.builds(Says, st.sampled_from([200, 204, 404, 500]), after=st.sampled_from([0, 10, 20, 1000])),
            st.builds(Fails, st.sampled_from([Cause.CONNECT, Cause.OVERLOADED]), st.sampled_from([0, 10, 20])),
            st.just(Hangs()),
        ),
        min_size=1,
        max_size=4,
    ),
    st.data(),
)
def test_a_requirement_is_never_waived(lines, data):
    """A 200 means that as many members succeeded as are required, and an error that they did not."""
    names = "abcd"[: len(lines)]
    require = data.draw(st.integers(1, len(lines)))
    members = ", ".join(f"{{name: {name}, to: {name}}}" for name in names)
    wait = data.draw(st.sampled_from(["all", "quorum"]))
    plan = planned(f"{{root: {{ensemble: {{members: [{members}], require: {require}, wait: {wait}}}}}}}")
    found = ask(plan, dict(zip(names, lines, strict=True)))
    succeeded = sum(event.endswith((" 200", " 204")) for event in found.events)
    assert (found.answer.status == 200) == (succeeded >= require)
    assert found.answer.status in {200, 502, 504}
