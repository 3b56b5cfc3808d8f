"""Why a call failed: told by Envoy's flags, by the connection, and by the clock."""

import asyncio
import random
from dataclasses import replace

import pytest

from extproc.calls import EnvoyCaller
from extproc.calls.causes import cause_of_error, cause_of_flags
from extproc.calls.egress import EgressDown
from extproc.engine.calling import Cause, Failed, Reply


@pytest.mark.parametrize(
    ("flags", "cause"),
    [
        ("UF", Cause.CONNECT),
        ("UF,URX", Cause.CONNECT),
        ("URX,UF", Cause.CONNECT),
        ("UH", Cause.CONNECT),
        ("NC", Cause.CONNECT),
        ("NR", Cause.CONNECT),
        ("DF", Cause.CONNECT),
        ("UC", Cause.RESET),
        ("UR", Cause.RESET),
        ("LR", Cause.RESET),
        ("UPE", Cause.RESET),
        ("DC", Cause.RESET),
        ("UT", Cause.TIMEOUT),
        ("UT,URX", Cause.TIMEOUT),
        ("SI", Cause.TIMEOUT),
        ("UO", Cause.OVERLOADED),
        ("UF,UO", Cause.OVERLOADED),
        ("-", Cause.RESET),
        ("", Cause.RESET),
        ("NEW", Cause.RESET),
        ("UFX", Cause.RESET),
    ],
)
def test_flags(flags, cause):
    """Each of Envoy's flags is one cause, and unknown ones are a reset."""
    assert cause_of_flags(flags) is cause


@pytest.mark.parametrize(
    ("error", "cause"),
    [
        (TimeoutError(), Cause.TIMEOUT),
        (EgressDown(), Cause.CONNECT),
        (BrokenPipeError(), Cause.RESET),
        (ConnectionResetError(), Cause.RESET),
        (ValueError(), Cause.RESET),
    ],
)
def test_errors(error, cause):
    """Each error of the library is one cause."""
    assert cause_of_error(error) is cause


@pytest.mark.envoy
@pytest.mark.parametrize("name", ["down", "unknown", "gone", "refused"])
async def test_a_model_that_is_not_there(caller, call, recorded, name):
    """Refused, unresolved, without a cluster: the call never reached anybody."""
    assert await caller.call(call(name)) == Failed(name, Cause.CONNECT)
    assert recorded.calls == [(name, "connect", 3 if name == "refused" else 1, False)]


@pytest.mark.envoy
async def test_a_model_that_envoy_does_not_know_yet(caller, call):
    """A key without a route is no 404 of a model's."""
    made = call("m")
    made = replace(made, model=replace(made.model, name="new"))
    assert await caller.call(made) == Failed("new", Cause.CONNECT)


@pytest.mark.envoy
@pytest.mark.parametrize("stop", ["reset", "close"])
@pytest.mark.parametrize("stop_at", ["start", "middle"])
@pytest.mark.parametrize("chunks", [None, 4])
async def test_a_model_that_breaks_off(caller, call, models, *, stop, stop_at, chunks):
    """Before the headers or within the body, told a length or not."""
    models["m"].script({"stop": stop, "stop_at": stop_at, "chunks": chunks, "size": 100_000})
    assert await caller.call(call("m")) == Failed("m", Cause.RESET)


@pytest.mark.envoy
async def test_a_model_that_speaks_no_http(caller, call, models):
    """A reply that Envoy cannot read is a reset."""
    models["m"].script({"headers": [("bad name\x01", "x")]})
    assert await caller.call(call("m")) == Failed("m", Cause.RESET)


@pytest.mark.envoy
async def test_a_timeout_bounds_the_headers(caller, call, models, clock):
    """A model's timeout ends an attempt that has no headers yet; the model's connection is closed."""
    models["quick"].forget()
    models["quick"].script({"stop": "hang"})
    assert await caller.call(call("quick")) == Failed("quick", Cause.TIMEOUT)
    assert 0.14 < clock() < 1.5
    assert [seen.ended for seen in await models["quick"].wait_for_ended()] == ["client_gone"]


@pytest.mark.envoy
async def test_a_timeout_does_not_bound_the_body(caller, call, models):
    """Once the headers are there a body may take longer than the model's timeout."""
    models["quick"].script({"size": 4000, "chunks": 4, "every": 0.08})
    assert isinstance(await caller.call(call("quick")), Reply)


@pytest.mark.envoy
@pytest.mark.parametrize("name", ["m", "quick"])
@pytest.mark.parametrize("stop_at", ["start", "middle"])
async def test_the_deadline_bounds_everything(caller, call, models, *, clock, name, stop_at):
    """What is not there, body included, when the deadline comes has timed out."""
    models[name].forget()
    models[name].script({"stop": "hang", "stop_at": stop_at, "size": 1000})
    assert await caller.call(call(name, left=0.1)) == Failed(name, Cause.TIMEOUT)
    assert 0.09 < clock() < 1.5
    assert [seen.ended for seen in await models[name].wait_for_ended()] == ["client_gone"]


@pytest.mark.envoy
async def test_a_deadline_that_is_over(caller, call, models):
    """Nothing is sent when nothing is left."""
    models["m"].forget()
    assert await caller.call(call("m", left=0.0)) == Failed("m", Cause.TIMEOUT)
    assert models["m"].requests == []


async def test_no_envoy(call, tmp_path):
    """An egress that is not there refuses."""
    for address in (f"unix:{tmp_path}/nobody", "127.0.0.1:9"):
        caller = EnvoyCaller(address, random.Random(1))
        assert await caller.call(call("m")) == Failed("m", Cause.CONNECT)
        await caller.close()


@pytest.mark.envoy
async def test_a_closed_caller(caller, call, models):
    """Closing breaks what is in flight and refuses what comes later."""
    models["m"].forget()
    models["m"].script({"stop": "hang"})
    calling = asyncio.create_task(caller.call(call("m")))
    await models["m"].wait_for_requests()
    await caller.close()
    assert await calling == Failed("m", Cause.RESET)
    assert await caller.call(call("m")) == Failed("m", Cause.CONNECT)


@pytest.mark.envoy
@pytest.mark.parametrize(
    "change", [{"headers": {"x-bad": "a\r\nb: c"}}, {"target": "*", "method": "OPTIONS"}, {"target": "/a#b"}]
)
async def test_what_cannot_be_sent(caller, call, change):
    """What is no HTTP, for this client or for Envoy, is a failure and no error."""
    assert await caller.call(call("m", **change)) == Failed("m", Cause.RESET)


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_an_egress_that_breaks_is_not_asked_again(call, tmp_path, method):
    """The library's own second attempt, for methods it takes to be harmless, is off."""
    asked = []

    async def broken(reader, writer):
        asked.append(await reader.readuntil(b"\r\n\r\n"))
        writer.close()
        await writer.wait_closed()

    async with await asyncio.start_unix_server(broken, tmp_path / "s"):
        caller = EnvoyCaller(f"unix:{tmp_path}/s", random.Random(1))
        assert await caller.call(call("m", method=method, body=None)) == Failed("m", Cause.RESET)
        await caller.close()
    assert len(asked) == 1
