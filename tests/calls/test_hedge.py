"""A second attempt beside a slow first one: the race itself, and through a real Envoy."""

import asyncio

import pytest

from extproc.calls.hedge import hedged
from extproc.engine.calling import Cause, Failed

HANG = {"stop": "hang"}


class Race:
    """Attempts that end as scripted: (seconds, result)."""

    def __init__(self, *script, awaited=1):
        self.awaited = awaited
        self.script = list(script)
        self.started = 0
        self.changed = asyncio.Event()
        self.cancelled = 0
        self.discarded = []

    async def start(self):
        seconds, result = self.script[self.started]
        self.started += 1
        if self.started == self.awaited:
            self.changed.set()
        try:
            await asyncio.sleep(seconds)
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        return result

    async def run(self, after=0.02):
        return await hedged(self.start, after, lambda result: result.isupper(), self.discarded.append)


@pytest.mark.parametrize(
    ("script", "result", "started", "cancelled", "discarded"),
    [
        ([(0, "A")], "A", 1, 0, []),
        ([(0, "a")], "a", 1, 0, []),
        ([(9, "A"), (0, "B")], "B", 2, 1, []),
        ([(0.05, "A"), (9, "B")], "A", 2, 1, []),
        ([(0.05, "a"), (0.1, "B")], "B", 2, 0, ["a"]),
        ([(0.15, "A"), (0, "b")], "A", 2, 0, ["b"]),
        ([(0.05, "a"), (0.1, "b")], "b", 2, 0, ["a"]),
        ([(0.15, "a"), (0, "b")], "a", 2, 0, ["b"]),
    ],
)
async def test_races(script, result, started, cancelled, discarded):
    """The first that wins is the result, else the last; the loser is cancelled, or its result discarded."""
    race = Race(*script)
    assert await race.run() == result
    assert (race.started, race.cancelled, race.discarded) == (started, cancelled, discarded)


@pytest.mark.parametrize("starts", [1, 2])
async def test_a_cancelled_race(starts):
    """Whoever runs is cancelled with the race."""
    race = Race((9, "A"), (9, "B"), awaited=starts)
    racing = asyncio.create_task(race.run(after=0.0 if starts == 2 else 9.0))
    await race.changed.wait()
    racing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await racing
    assert race.cancelled == starts
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_a_result_that_comes_with_the_cancellation_is_discarded():
    """What was won in the same moment is nobody's, and is given back."""
    race = Race((0, "A"))
    racing = asyncio.create_task(race.run())
    await race.changed.wait()
    racing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await racing
    assert len(race.discarded) + race.cancelled == 1


@pytest.mark.envoy
async def test_a_quick_model_is_asked_once(caller, call, models, recorded):
    """No second attempt where the first answers in time, even when its body takes longer."""
    models["hedge"].forget()
    models["hedge"].script({"size": 300, "chunks": 3, "every": 0.1})
    assert (await caller.call(call("hedge"))).status == 200
    assert len(models["hedge"].requests) == 1
    assert recorded.calls == [("hedge", "2xx", 1, False)]


@pytest.mark.envoy
async def test_the_second_attempt_wins(caller, call, models, recorded, clock):
    """The slow one is cut off, so that the model sees it go."""
    models["hedge"].forget()
    models["hedge"].script(HANG, {"body": b"second"})
    assert (await caller.call(call("hedge"))).body == b"second"
    assert 0.07 < clock() < 1.0
    ended = await models["hedge"].wait_for_ended(2)
    assert sorted(seen.ended for seen in ended) == ["answered", "client_gone"]
    assert models["hedge"].requests[0].ended == "client_gone"
    assert recorded.calls == [("hedge", "2xx", 2, True)]


@pytest.mark.envoy
async def test_the_first_attempt_wins(caller, call, models, recorded):
    """A first attempt that answers while the second runs is taken."""
    models["hedge"].forget()
    models["hedge"].script({"delay": 0.25, "body": b"first"}, HANG)
    assert (await caller.call(call("hedge"))).body == b"first"
    ended = await models["hedge"].wait_for_ended(2)
    assert [seen.ended for seen in ended] == ["answered", "client_gone"]
    assert recorded.calls == [("hedge", "2xx", 2, True)]


@pytest.mark.envoy
@pytest.mark.parametrize(
    ("name", "script", "winner"),
    [
        ("hedge", [{"delay": 0.3, "body": b"first"}, {"status": 503, "body": b"second"}], b"second"),
        ("hedge", [{"delay": 0.3, "body": b"first"}, {"stop": "reset"}], b"first"),
        ("both", [{"delay": 0.3, "body": b"first"}, {"status": 503}], b"first"),
        ("both", [{"delay": 0.15, "status": 503}, {"delay": 0.2, "body": b"second"}], b"second"),
        ("both", [{"delay": 0.15, "status": 503}, {"status": 500}, {"body": b"third"}], b"third"),
        ("both", [{"status": 503}, {"delay": 0.3, "body": b"second"}], b"second"),
    ],
)
async def test_with_the_rule_of_retries(caller, call, models, *, name, script, winner):
    """A status the rule would try again loses, any other is an answer; the hedge is one of the rule's attempts."""
    models[name].forget()
    models[name].script(*script)
    assert (await caller.call(call(name))).body == winner
    assert len(models[name].requests) == len(script)


@pytest.mark.envoy
async def test_both_time_out(caller, call, models):
    """A hedge lengthens nothing: the deadline bounds both."""
    models["hedge"].forget()
    models["hedge"].script(HANG, HANG)
    assert await caller.call(call("hedge", left=0.3)) == Failed("hedge", Cause.TIMEOUT)
    assert [seen.ended for seen in await models["hedge"].wait_for_ended(2)] == ["client_gone"] * 2
