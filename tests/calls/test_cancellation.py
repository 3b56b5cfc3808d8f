"""A call that is cancelled, in each of its phases: nothing raised but that, nothing left of it."""

import asyncio
import random
import socket

import pytest

from extproc.calls import EnvoyCaller
from extproc.engine.calling import Cause, Failed, Reply
from tests.calls.egress import eventually

HANG = {"stop": "hang"}
pytestmark = pytest.mark.envoy


async def cancelled(calling):
    """Cancel a call under way and see that it ends as cancelled, at once."""
    calling.cancel()
    await asyncio.wait([calling], timeout=1)
    assert calling.cancelled()


async def gone(egress, *stubs, count=1):
    """Every model saw its caller go, and nothing is under way in Envoy."""
    for stub in stubs:
        ended = [seen for seen in await stub.wait_for_ended(count) if seen.ended == "client_gone"]
        assert len(ended) == count
    await eventually(lambda: not {name for name in egress.active() if "rq_active" in name})


async def test_before_it_began(caller, call, recorded):
    """A call cancelled before its first step never was one."""
    await cancelled(asyncio.create_task(caller.call(call("m"))))
    assert recorded.calls == []


async def test_while_connecting(call, tmp_path, recorded):
    """An egress that accepts nobody."""
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / "s"))
        listening.listen(0)
        caller = EnvoyCaller(f"unix:{tmp_path}/s", random.Random(1), recorder=recorded)
        calling = asyncio.create_task(caller.call(call("m")))
        await asyncio.sleep(0)
        assert caller.slots.taken("calls/m") == 1
        await cancelled(calling)
        await caller.close()
    assert recorded.calls == [("m", "cancelled", 1, False)]
    assert repr(caller.slots) == "<Slots free>"


async def test_while_sending(caller, call, egress):
    """A body that nobody takes is not flushed first: the connection is cut, and Envoy sees it."""
    name = "cluster.calls/stuck.upstream_rq_active"
    taken = [-1]

    def stuck():
        taken.append(
            egress.stats(r"^http\.egress\.downstream_cx_rx_bytes_total$")["http.egress.downstream_cx_rx_bytes_total"]
        )
        return egress.active().get(name) and len(set(taken[-5:])) == 1

    calling = asyncio.create_task(caller.call(call("stuck", body=b"x" * 30_000_000)))
    await eventually(stuck)
    await cancelled(calling)
    await eventually(lambda: not egress.active().get(name), within=5)


async def test_while_waiting(caller, call, models, egress, recorded):
    """A model that does not answer is left, and sees it."""
    models["m"].forget()
    models["m"].script(HANG)
    calling = asyncio.create_task(caller.call(call("m")))
    await models["m"].wait_for_requests()
    await cancelled(calling)
    await gone(egress, models["m"])
    assert recorded.calls == [("m", "cancelled", 1, False)]


@pytest.mark.parametrize("chunks", [None, 10])
async def test_while_reading(caller, call, models, egress, chunks):
    """A body half read is left."""
    models["m"].forget()
    models["m"].script({**HANG, "stop_at": "middle", "size": 200_000, "chunks": chunks})
    calling = asyncio.create_task(caller.call(call("m")))
    await eventually(lambda: egress.stats(r"^cluster\.calls/m\.upstream_rq_active$") and models["m"].requests)
    await cancelled(calling)
    await gone(egress, models["m"])


async def test_while_pausing(caller, call, models, recorded):
    """A pause between attempts is left, and no attempt follows."""
    stub = models["patient"]
    stub.forget()
    stub.script({"status": 503})
    calling = asyncio.create_task(caller.call(call("patient", left=1000.0)))
    await stub.wait_for_ended()
    await eventually(lambda: "<Slots calls/patient=1>" in repr(caller))
    await cancelled(calling)
    assert len(stub.requests) == 1
    assert recorded.calls == [("patient", "cancelled", 1, False)]


async def test_while_hedging(caller, call, models, egress, recorded):
    """Both attempts are left."""
    models["hedge"].forget()
    models["hedge"].script(HANG, HANG)
    calling = asyncio.create_task(caller.call(call("hedge")))
    await models["hedge"].wait_for_requests(2)
    await cancelled(calling)
    await gone(egress, models["hedge"], count=2)
    assert [name for name, *_ in recorded.calls] == ["hedge"]
    assert recorded.calls[0][1:3] == ("cancelled", 2)


async def test_while_hedging_has_not_begun(caller, call, models, egress):
    """The first attempt is left while its hedge is not due."""
    models["hedge"].forget()
    models["hedge"].script(HANG)
    calling = asyncio.create_task(caller.call(call("hedge", model={"hedge": None})))
    await models["hedge"].wait_for_requests()
    await cancelled(calling)
    await gone(egress, models["hedge"])


async def test_a_cancelled_call_spoils_no_other(caller, call, models):
    """Calls beside a cancelled one, and after it, are answered."""
    models["m"].forget()
    models["m"].script({"delay": 0.2}, {"delay": 0.2}, {"delay": 0.2})
    calls = [asyncio.create_task(caller.call(call("m"))) for _ in range(3)]
    await models["m"].wait_for_requests(3)
    await cancelled(calls[1])
    assert [isinstance(await calls[n], Reply) for n in (0, 2)] == [True, True]
    assert isinstance(await caller.call(call("m")), Reply)


NAMES = ["m", "other", "h2", "hedge", "both", "errors", "reset", "down"]


async def test_many_calls_leave_nothing(caller, call, egress, recorded):
    """2,000 calls at 16 in flight, some answered, some failed, many cancelled at any moment: all is settled after."""
    chance = random.Random(16)
    tasks_before = asyncio.all_tasks()
    found = []

    async def one():
        name = chance.choice(NAMES)
        asked = chance.choice(
            [
                '{"size": 20000}',
                '{"delay": 0.01}',
                '{"stop": "reset"}',
                '{"status": 503}',
                '{"size": 9, "chunks": 3, "every": 0.003}',
            ]
        )
        calling = asyncio.create_task(
            caller.call(call(name, headers={"x-stub": asked}, left=chance.choice([10.0, 0.01])))
        )
        if chance.random() < 0.4:
            await asyncio.wait([calling], timeout=chance.expovariate(200))
            calling.cancel()
        found.append((await asyncio.gather(calling, return_exceptions=True))[0])

    async def many(count):
        for _ in range(count):
            await one()

    await asyncio.gather(*(many(125) for _ in range(16)))
    assert len(found) == 2000
    assert {type(one) for one in found} == {Reply, Failed, asyncio.CancelledError}
    assert {one.cause for one in found if isinstance(one, Failed)} == {Cause.CONNECT, Cause.RESET, Cause.TIMEOUT}
    assert asyncio.all_tasks() == tasks_before
    assert repr(caller.slots) == "<Slots free>"
    assert len(recorded.calls) <= 2000
    await eventually(lambda: not {name for name in egress.active() if "rq_active" in name})
    await caller.close()
    await eventually(
        lambda: not egress.stats(r"^http\.egress\.downstream_cx_active$")["http.egress.downstream_cx_active"]
    )
    names = [f"cluster.calls/{name}.upstream_cx_active" for name in NAMES]
    await eventually(lambda: sum(egress.active().get(name, 0) for name in names) <= 16 * len(names))
