"""Cancelling a run: the client left, so everything ends at once, and nothing of it is forgotten."""

from __future__ import annotations

import asyncio

import pytest

from extproc.engine.request import Request
from tests.engine.deciding import REQUEST, Recording
from tests.engine.random_graphs import Half
from tests.engine.scripted import BODY, Hangs, Says, ScriptedCaller, elapsed, outcome_of, planned
from tests.engine.virtual import START, run

SIDE = "{chain: {steps: [{name: one, to: a, input: 1}, {name: two, to: b, input: 2}], output: 1}}"
BOTH = "{ensemble: {members: [{name: x, to: a}, {name: y, to: b}], wait: quorum, require: 1}}"
PLANS = {
    "side by side": SIDE,
    "ensemble": BOTH,
    "in a fallback": f"{{fallback: {{routes: [{{to: {SIDE}}}, {{to: c}}, {{to: d}}]}}}}",
    "in an ensemble": f"{{ensemble: {{require: 1, members: [{{name: e, to: {SIDE}}}, {{name: f, to: {BOTH}}}, {{name: g, to: c}}]}}}}",
}
CALLED = {"side by side": "ab", "ensemble": "ab", "in a fallback": "ab", "in an ensemble": "aabbc"}


def cut(root: str, at: float, ticks: int = 0, times: int = 1) -> tuple[bool, ScriptedCaller, int]:
    """Cancel a run at a moment, some turns of the loop later; whether it was, its calls, and when it had ended."""
    caller = ScriptedCaller({"a": Hangs(), "b": Says(500, after=20), "c": Hangs(), "d": Hangs()})

    async def main() -> tuple[bool, int]:
        loop = asyncio.get_running_loop()
        request = Request(dict(REQUEST), BODY)
        task = asyncio.create_task(outcome_of(planned(f"{{root: {root}}}"), caller, Recording(), request, Half()))
        waiter = loop.create_future()
        loop.call_at(START + at / 1000, waiter.set_result, None)
        await waiter
        for _ in range(ticks):
            await asyncio.sleep(0)
        wanted = task.cancel()
        for _ in range(times - 1):
            await asyncio.sleep(0)
            task.cancel()
        await asyncio.wait([task])
        assert asyncio.all_tasks() == {asyncio.current_task()}
        assert task.cancelled() or not wanted
        return wanted, elapsed()

    wanted, took = run(main())
    return wanted, caller, took


@pytest.mark.parametrize("times", [1, 2, 3])
@pytest.mark.parametrize("plan", PLANS)
def test_under_way(plan, times):
    """Every call is cut off at that instant, however often one cancels."""
    wanted, caller, took = cut(PLANS[plan], 10, times=times)
    assert (wanted, took) == (True, 10)
    assert not +caller.open
    assert sorted(event for event in caller.events if event.startswith("10")) == [
        f"10 {name} cancelled" for name in CALLED[plan]
    ]


@pytest.mark.parametrize("ticks", range(10))
@pytest.mark.parametrize("plan", PLANS)
def test_at_the_moment_of_a_failure(plan, ticks):
    """A cancellation is not forgotten over a step that fails in the same turn: nobody else is called."""
    _, caller, took = cut(PLANS[plan], 20, ticks)
    assert took == 20
    assert not +caller.open


def test_before_it_began():
    """A run that is cancelled before its first turn calls nobody."""
    for root in PLANS.values():
        wanted, caller, _ = cut(root, 0)
        assert wanted
        assert not +caller.open
