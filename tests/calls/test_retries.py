"""Retries through a real Envoy: each attempt is counted at the stub."""

import pytest

from extproc.engine.calling import Cause, Failed, Reply

pytestmark = pytest.mark.envoy

STOP = {"stop": "reset"}
HALF = {"stop": "reset", "stop_at": "middle", "size": 1000}
FAILING = {"status": 503, "json": "busy"}
MANY = {"status": 429}
SLOW = {"stop": "hang"}


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize(
    ("name", "script", "outcome", "attempts"),
    [
        ("m", [FAILING], 503, 1),
        ("m", [STOP], Cause.RESET, 1),
        ("default", [FAILING], 503, 1),
        ("default", [MANY], 429, 1),
        ("default", [STOP], Cause.RESET, 1),
        ("three", [FAILING], 503, 1),
        ("three", [STOP], Cause.RESET, 1),
        ("errors", [FAILING], 200, 2),
        ("errors", [FAILING, {"status": 500}], 200, 3),
        ("errors", [FAILING, {"status": 500}, FAILING], 503, 3),
        ("errors", [FAILING, STOP], Cause.RESET, 2),
        ("errors", [MANY], 429, 1),
        ("errors", [STOP], Cause.RESET, 1),
        ("busy", [MANY], 200, 2),
        ("busy", [MANY, MANY], 429, 2),
        ("busy", [FAILING], 503, 1),
        ("reset", [STOP, STOP], 200, 3),
        ("reset", [STOP, HALF], 200, 3),
        ("reset", [HALF, STOP, HALF], Cause.RESET, 3),
        ("reset", [{"stop": "close"}], 200, 2),
        ("reset", [FAILING], 503, 1),
        ("timeout", [SLOW], 200, 2),
        ("timeout", [SLOW, SLOW, SLOW], Cause.TIMEOUT, 3),
        ("timeout", [STOP], Cause.RESET, 1),
    ],
)
async def test_attempts(caller, call, models, *, recorded, method, name, script, outcome, attempts):
    """A call is tried again for the causes listed and for no other, and its last outcome is the call's."""
    stub = models[name]
    stub.forget()
    stub.script(*script)
    body = b"the body" if method == "POST" else None
    found = await caller.call(call(name, method=method, body=body))
    assert (found.status if isinstance(found, Reply) else found.cause) == outcome
    assert len(stub.requests) == attempts
    assert {seen.body for seen in stub.requests} == {body or b""}
    said = outcome.value if isinstance(outcome, Cause) else f"{outcome // 100}xx"
    assert recorded.calls == [(name, said, attempts, False)]


@pytest.mark.parametrize(("name", "size"), [("half", 1), ("large", 3_000_000)])
async def test_a_refused_connection_is_tried_again_by_envoy(caller, call, models, *, recorded, name, size):
    """With one endpoint of two down every call is answered by the other; a call knows how often Envoy tried."""
    models[name].forget()
    for _ in range(12):
        assert (await caller.call(call(name, body=b"x" * size))).status == 200
    assert len(models[name].requests) == 12
    assert {attempts for _, _, attempts, _ in recorded.calls} == {1, 2}


async def test_a_refused_connection_is_tried_again_by_the_rule(caller, call, models):
    """The same, where the rule lists it: four attempts all but always find the endpoint that is there."""
    models["connect"].forget()
    found = [await caller.call(call("connect")) for _ in range(12)]
    assert sum(isinstance(one, Reply) for one in found) == len(models["connect"].requests) >= 6


async def test_a_kept_connection_that_was_closed_is_tried_again(caller, call, models):
    """A connection that the model closed while it was idle costs no call."""
    for _ in range(5):
        models["default"].script({"headers": {"connection": "close"}})
        assert [(await caller.call(call("default"))).status for _ in range(2)] == [200, 200]


async def test_envoy_tries_nothing_a_rule_lists(caller, call, egress):
    """The egress retries no call of a rule that is carried out here."""
    before = egress.stats(r"^cluster\.calls/(errors|busy|reset|timeout|refused)\.upstream_rq_retry$")
    assert before
    assert set(before.values()) == {0}
    await caller.call(call("refused"))
    assert egress.stats(r"^cluster\.calls/refused\.upstream_rq_retry$") == {
        "cluster.calls/refused.upstream_rq_retry": 0
    }


async def test_a_pause_that_does_not_fit_is_not_begun(caller, call, models, clock):
    """When the pause goes past the deadline the last outcome is given at once."""
    models["patient"].forget()
    models["patient"].behave(status=503)
    found = await caller.call(call("patient", left=1.0))
    assert (found.status, len(models["patient"].requests)) == (503, 1)
    assert clock() < 0.9


async def test_attempts_that_time_out_share_what_is_left(caller, call, models, clock):
    """Without a timeout of its own, a call whose timeouts are tried again has time for each attempt."""
    models["shares"].script(SLOW)
    assert (await caller.call(call("shares", left=1.0))).status == 200
    assert 0.45 < clock() < 0.95
    models["shares"].script(SLOW, SLOW)
    assert await caller.call(call("shares", left=0.3)) == Failed("shares", Cause.TIMEOUT)


async def test_each_attempt_is_told_what_is_left(caller, call, models):
    """The model sees its deadline come nearer from attempt to attempt."""
    models["timeout"].forget()
    models["timeout"].script(SLOW, SLOW)
    await caller.call(call("timeout", left=2.0))
    told = [int(seen.header("x-envoy-expected-rq-timeout-ms")) for seen in models["timeout"].requests]
    assert 2000 >= told[0] > told[1] + 100 > told[2] + 200
