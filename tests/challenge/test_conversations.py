"""Whole conversations with Envoy about requests that a challenge samples: wherever they end, each is counted once."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from extproc.engine.calling import Cause
from extproc.errors import ProtocolError
from extproc.exchange.exchange import Exchange
from extproc.wire.ext_proc_pb2 import HttpBody, HttpHeaders, HttpTrailers, ProcessingRequest, ProcessingResponse
from tests.challenge.arenas import SAID, Ground, challenge
from tests.engine.deciding import body, generations, header_map, headers
from tests.engine.scripted import Fails, Hangs, Says, predicts
from tests.engine.virtual import run

if TYPE_CHECKING:
    from collections.abc import Awaitable

LONG = 10.0
BODY = b'{"instances":[[1]]}'
CHALLENGERS = "[{name: x, to: b}, {name: y, to: c, sample: 0.5}]"
DUEL = f"{{challenge: {{champion: a, challengers: {CHALLENGERS}}}}}"
CHAIN = "{chain: {steps: [{name: one, to: d}, {name: two, to: %s%s}]%s}}"
GRAPHS = {
    "a model": challenge(CHALLENGERS),
    "with noise": challenge(CHALLENGERS, more="noise: true"),
    "a switch": challenge(CHALLENGERS, "{switch: {cases: [{when: request.body.n == 1, to: a}], default: d}}"),
    "a chain": challenge(CHALLENGERS, CHAIN % ("a", "", "")),
    "a chain with output": challenge(CHALLENGERS, CHAIN % ("a", "", ", output: '${steps.two.body}'")),
    "an answer": challenge(CHALLENGERS, "{respond: {status: 200, body: {predictions: [1]}}}"),
    "nowhere": challenge(CHALLENGERS, "{switch: {cases: []}}"),
    "a fallback": challenge(CHALLENGERS, "{fallback: {routes: [{to: a}, {to: d}]}}"),
    "within a chain": f"{{root: {CHAIN % (DUEL, '', '')}}}",
    "within a chain side by side": (
        "{root: {chain: {steps: [{name: one, to: d}, {name: two, to: d, input: 1}, {name: three, to: duel}]}},"
        f" duel: {DUEL}}}"
    ),
    "within a chain with output": f"{{root: {CHAIN % (DUEL, '', ', output: 1')}}}",
    "within an ensemble": (
        f"{{root: {{ensemble: {{members: [{{name: one, to: {DUEL}}}, {{name: two, to: d}}], require: 1, wait: quorum}}}}}}"
    ),
    "within a split": f"{{root: {{split: {{by: '1', routes: [{{name: one, to: {DUEL}, weight: 1}}]}}}}}}",
}


class Conversation:
    """A stream of Envoy's, as a transport handles one: in turn, and over with the first thing that is wrong."""

    def __init__(self, ground: Ground) -> None:
        self.exchange = Exchange(generations([ground.plan]), ground.plan.id, ground.seams)
        self.task: asyncio.Task[None] | None = None
        self.replies: list[ProcessingResponse] = []
        self.over = False

    def say(self, message: bytes) -> None:
        """Say something; while a reply is due Envoy says nothing."""
        if self.over or self.task is not None:
            return
        try:
            reply = self.exchange.feed(message)
        except ProtocolError:
            self.leave()
            return
        if isinstance(reply, bytes):
            self._replied(reply)
        else:
            self.task = asyncio.get_running_loop().create_task(self._later(reply))

    async def _later(self, reply: Awaitable[bytes]) -> None:
        ready = await reply
        self.task = None
        self._replied(ready)

    def _replied(self, reply: bytes) -> None:
        self.replies.append(ProcessingResponse.FromString(reply))
        if self.exchange.done:
            self.leave()

    def leave(self) -> None:
        """End the stream."""
        self.over = True
        if self.task is not None:
            self.task.cancel()
            self.task = None
        self.exchange.gone()


def response(status: str = "200", *, end: bool = False, **more: str) -> bytes:
    """A response_headers message."""
    named = {name.replace("_", "-"): value for name, value in more.items()}
    return ProcessingRequest(
        response_headers=HttpHeaders(headers=header_map([(":status", status), *named.items()]), end_of_stream=end)
    ).SerializeToString()


def piece(data: bytes, *, end: bool = False) -> bytes:
    """A response_body message."""
    return ProcessingRequest(response_body=HttpBody(body=data, end_of_stream=end)).SerializeToString()


TRAILERS = ProcessingRequest(response_trailers=HttpTrailers()).SerializeToString()
MESSAGES = {
    "headers": headers(),
    "headers alone": headers(end=True),
    "long headers": headers({"content-length": "99999999"}),
    "grpc": headers({"content-type": "application/grpc"}),
    "body": body(BODY),
    "no body": body(b""),
    "bad body": body(b"{"),
    "part of a body": body(BODY, end=False),
    "large body": body(b"x" * (1024 * 1024 + 1)),
    "200": response(),
    "200 alone": response(end=True),
    "204 alone": response("204", end=True),
    "500": response("500"),
    "no status": response(""),
    "events": response(content_type="text/event-stream"),
    "large": response(content_length="99999999"),
    "prediction": piece(SAID),
    "last prediction": piece(SAID, end=True),
    "piece": piece(b"["),
    "end": piece(b"", end=True),
    "trailers": TRAILERS,
}
PROPER = [
    ["headers", "body", "200", "prediction", "end"],
    ["headers", "body", "200", "last prediction"],
    ["headers", "body", "200", "prediction", "trailers"],
    ["headers alone", "200", "prediction", "end"],
    ["headers alone", "204 alone"],
    ["headers", "body", "500"],
    ["headers", "part of a body"],
    ["headers", "large body"],
    ["headers", "500"],
    ["long headers"],
    ["headers", "bad body", "200", "last prediction"],
    ["headers", "body", "events"],
    ["grpc", "body", "200", "last prediction"],
]
LINES: list[Any] = [predicts(0.5), predicts(0.6, after=0), Says(500, {}), Says(404, {}), Fails(Cause.CONNECT), Hangs()]
TIMES = st.sampled_from([0, 1, 10, 11, 20, 21, 30, 500, 1001])
often = settings(derandomize=True, deadline=None, max_examples=150, suppress_health_check=list(HealthCheck))


@st.composite
def talks(draw: Any) -> list[tuple[int, str]]:
    """What Envoy says at which millisecond: a proper request, cut at any point, or anything; and when it is gone."""
    names = (
        draw(st.sampled_from(PROPER))
        if draw(st.booleans())
        else draw(st.lists(st.sampled_from(list(MESSAGES)), max_size=6))
    )
    times = sorted(draw(TIMES) for _ in names)
    gone = draw(st.sampled_from([0, 5, 10, 15, 20, 25, 600, 5000]))
    return [(at, name) for at, name in zip(times, names, strict=True) if at <= gone] + [(gone, "gone")]


@often
@given(st.sampled_from(list(GRAPHS)), st.lists(talks(), min_size=1, max_size=4), st.data())
def test_conversations_that_end_anywhere(graph, conversations, data):
    """Whatever Envoy says, and whenever it is gone, every request that reached the challenge is in one count for each."""
    script = {name: data.draw(st.lists(st.sampled_from(LINES), min_size=1, max_size=4)) for name in "abcd"}
    chances = data.draw(st.lists(st.sampled_from([0.2, 0.7]), min_size=50, max_size=50))

    async def main() -> None:
        ground = Ground(GRAPHS[graph], script, chances)
        loop = asyncio.get_running_loop()
        start, talking = loop.time(), []
        for said in conversations:
            talk = Conversation(ground)
            talking.append(talk)
            for at, name in said:
                act = (talk.leave,) if name == "gone" else (talk.say, MESSAGES[name])
                loop.call_at(start + at / 1000, *act)
        await asyncio.sleep(LONG)
        assert all(talk.over for talk in talking)
        found = ground.outcomes("x"), ground.outcomes("y")
        assert [sum(counts.values()) for counts in found] == [ground.eligible] * 2, (graph, found)
        assert ground.eligible <= len(talking)
        assert "interrupted" not in found[0] | found[1]
        assert ground.arena.free, ground.arena
        assert not +ground.caller.open
        assert not +ground.champions.open

    run(main())


EXPECTED = {
    ("a model", 0): "paired", ("a model", 1): "paired", ("a model", 2): "paired", ("a model", 3): "paired",
    ("a model", 4): "champion_unparsable", ("a model", 5): "champion_failed", ("a model", 6): "too_large",
    ("a model", 7): "too_large", ("a model", 8): "champion_failed", ("a model", 9): "too_large",
    ("a model", 10): "paired", ("a model", 11): "champion_unparsable", ("a model", 12): "unsupported",
    ("a switch", 0): "paired", ("a switch", 3): "paired", ("a switch", 10): "champion_failed",
    ("a switch", 9): None, ("a switch", 12): None,
    ("a chain", 0): "paired", ("a chain", 10): "paired", ("a chain", 5): "champion_failed",
    ("a chain with output", 0): "paired", ("a chain with output", 3): "paired", ("a chain with output", 7): None,
    ("an answer", 0): "unsupported", ("an answer", 3): "paired",
    ("nowhere", 3): "champion_failed", ("a fallback", 0): "paired",
    ("within a chain", 0): "paired", ("within a chain with output", 0): "paired", ("within an ensemble", 0): "paired",
    ("within a chain side by side", 0): "paired", ("within a split", 0): "paired",
}  # fmt: skip


@pytest.mark.parametrize(("graph", "talk"), EXPECTED, ids=str)
def test_a_proper_conversation(graph, talk):
    """Envoy's usual conversations, with models that all answer, and the count in which each ends; None: in none."""

    async def main() -> None:
        ground = Ground(GRAPHS[graph], dict.fromkeys("abcd", predicts(0.5, after=5)), [0.7] * 9)
        said = Conversation(ground)
        for name in PROPER[talk]:
            said.say(MESSAGES[name])
            await asyncio.sleep(0.1)
        await asyncio.sleep(LONG)
        expected = EXPECTED[graph, talk]
        assert ground.outcomes("x") == ({expected: 1} if expected else {})
        assert ground.outcomes("y") == (
            {"unsupported" if expected == "unsupported" else "unsampled": 1} if expected else {}
        )
        assert said.over, said.exchange
        assert ground.arena.free

    run(main())


@pytest.mark.parametrize("ticks", range(12))
@pytest.mark.parametrize("graph", ["within a chain", "within a chain side by side", "within an ensemble"])
def test_gone_while_the_call_is_handed_over(graph, ticks):
    """A client that leaves between the champion's decision and the reply to Envoy leaves no pair open."""

    async def main() -> None:
        ground = Ground(GRAPHS[graph], dict.fromkeys("abcd", predicts(0.5, after=5)), [0.7] * 9)
        talk = Conversation(ground)
        talk.say(MESSAGES["headers"])
        talk.say(MESSAGES["body"])
        await asyncio.sleep(0.005)
        for _ in range(ticks):
            await asyncio.sleep(0)
        talk.leave()
        await asyncio.sleep(LONG)
        assert sum(ground.outcomes("x").values()) == ground.eligible
        assert set(ground.outcomes("x")) <= {"champion_failed", "paired"}
        assert ground.arena.free, ground.arena

    run(main())


def test_no_circle_keeps_a_pair():
    """A pair that is booked is freed at once, bodies and all, and not when circles are collected."""
    import gc
    import weakref

    async def main() -> None:
        ground = Ground(GRAPHS["a model"], {"b": predicts(0.5)}, [0.7])
        talk = Conversation(ground)
        for name in PROPER[0]:
            talk.say(MESSAGES[name])
        (pair,) = ground.arena._open
        known = weakref.ref(pair._run.request)
        del pair, talk
        await asyncio.sleep(LONG)
        ground.caller.calls.clear()
        assert ground.outcomes() == {"paired": 1}
        assert known() is None

    gc.collect()
    gc.disable()
    try:
        run(main())
    finally:
        gc.enable()
