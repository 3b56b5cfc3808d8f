"""Limits: calls in flight of a model, and the size of a response."""

import asyncio
import random

import pytest

from extproc.calls import EnvoyCaller
from extproc.calls.slots import Slots
from extproc.engine.calling import Cause, Failed, Reply
from tests.calls.egress import eventually

LIMIT = 100_000


def test_slots():
    """As many as the limit, each model for itself; the limit is the call's own."""
    slots = Slots()
    assert [slots.take("a", 2), slots.take("a", 2), slots.take("a", 2), slots.take("b", 2)] == [True, True, False, True]
    assert repr(slots) == "<Slots a=2 b=1>"
    assert slots.take("a", 3)
    slots.free("a")
    slots.free("b")
    assert (slots.taken("a"), slots.taken("b"), repr(slots)) == (2, 0, "<Slots a=2>")
    assert not slots.take("a", 1)


@pytest.mark.envoy
async def test_calls_above_the_limit_fail_at_once(caller, call, models, recorded):
    """Two are let through, the third is overloaded; a slot is free again when a call has ended, however it did."""
    stub = models["two"]
    stub.forget()
    stub.script({"stop": "hang"}, {"stop": "hang"})
    calls = [asyncio.create_task(caller.call(call("two"))) for _ in range(2)]
    await stub.wait_for_requests(2)
    assert await caller.call(call("two")) == Failed("two", Cause.OVERLOADED)
    assert recorded.calls == [("two", "overloaded", 0, False)]
    assert (await caller.call(call("m"))).status == 200
    calls[0].cancel()
    await asyncio.wait([calls[0]])
    assert (await caller.call(call("two"))).status == 200
    assert caller.slots.taken("calls/two") == 1
    calls[1].cancel()
    await asyncio.wait([calls[1]])


@pytest.mark.envoy
async def test_envoys_own_limit_is_overloaded(caller, call, models):
    """A circuit breaker that is open is told as such."""
    stub = models["narrow"]
    stub.forget()
    stub.script({"stop": "hang"})
    first = asyncio.create_task(caller.call(call("narrow")))
    await stub.wait_for_requests()
    assert await caller.call(call("narrow")) == Failed("narrow", Cause.OVERLOADED)
    stub.release()
    assert isinstance(await first, Reply)


@pytest.mark.envoy
async def test_envoys_limit_of_tail_calls_does_not_count_sub_calls(call, egress, models):
    """Many callers may have as many calls in flight as each has slots: Envoy does not add them up."""
    models["two"].forget()
    models["two"].behave(delay=0.2)
    callers = [EnvoyCaller(egress.address, random.Random(n)) for n in range(4)]
    found = await asyncio.gather(*(caller.call(call("two")) for caller in callers for _ in range(2)))
    assert {type(one) for one in found} == {Reply}
    models["two"].behave()
    for caller in callers:
        await caller.close()


@pytest.mark.envoy
@pytest.mark.parametrize("chunks", [None, 50])
@pytest.mark.parametrize("size", [LIMIT, LIMIT + 1, 20 * LIMIT])
async def test_a_response_that_is_too_large(call, egress, models, chunks, size):
    """A response above the limit is cut off, whether its length is told or found out."""
    models["m"].forget()
    models["m"].script({"size": size, "chunks": chunks})
    caller = EnvoyCaller(egress.address, random.Random(1), max_response=LIMIT)
    found = await caller.call(call("m"))
    if size <= LIMIT:
        assert isinstance(found, Reply)
        assert len(found.body) == size
    else:
        assert found == Failed("m", Cause.TOO_LARGE)
    await caller.close()


@pytest.mark.envoy
@pytest.mark.parametrize("chunks", [None, 10])
async def test_a_response_that_is_too_large_is_cut_at_once(call, egress, models, chunks):
    """The caller does not wait for a body that it will not keep, and the model sees the connection go."""
    models["m"].forget()
    models["m"].script({"size": 20 * LIMIT, "chunks": chunks, "stop": "hang", "stop_at": "middle"})
    caller = EnvoyCaller(egress.address, random.Random(1), max_response=LIMIT)
    assert await caller.call(call("m")) == Failed("m", Cause.TOO_LARGE)
    assert [seen.ended for seen in await models["m"].wait_for_ended()] == ["client_gone"]
    await eventually(
        lambda: not egress.stats(r"^cluster\.calls/m\.upstream_rq_active$")["cluster.calls/m.upstream_rq_active"]
    )
    await caller.close()
