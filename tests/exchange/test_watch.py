"""Whoever watches exchanges is told of the end of each once, however it ends, and of the same end by its span."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest

from extproc.engine.calling import Reply
from extproc.engine.seams import Seams
from extproc.engine.traceparent import Traceparent
from extproc.errors import ProtocolError
from extproc.exchange.exchange import Exchange
from extproc.exchange.watch import UNWATCHED
from extproc.wire.ext_proc_pb2 import HttpHeaders, ProcessingMode, ProcessingRequest, ProtocolConfiguration
from tests.engine.deciding import Recording, Scripted, Uncalled, body, fed, generations, header_map, headers
from tests.engine.pairs import Told as Pairs
from tests.engine.scripted import planned
from tests.engine.virtual import run
from tests.exchange.talking import OTHERS, PLANS, piece, response

if TYPE_CHECKING:
    from collections.abc import Iterator

CHAIN = planned("{root: {chain: {steps: [{name: one, to: a}, {name: two, to: b}], output: {x: 1}}}}")
ALL = generations([*PLANS.values(), CHAIN])
NOT_SENT = ProcessingRequest(
    request_headers=HttpHeaders(headers=header_map([(":path", "/body"), ("x-request-id", "id-1")])),
    protocol_config=ProtocolConfiguration(request_body_mode=ProcessingMode.NONE),
).SerializeToString()


class Told:
    """A Watch, and the span of each request that it traces: notes what it is told."""

    id = "0" * 32

    def __init__(self, *, traced: bool = True) -> None:
        self.ends: list[tuple[str, str]] = []
        self.span: list[str] = []
        self.answers: list[int] = []
        self.broken: list[str] = []
        self.began: list[Any] = []
        self._traced = traced

    def trace(self, traceparent, plan, request):
        """Begin a span, which is this."""
        self.began.append((traceparent and str(traceparent), plan.graph, request.id))
        return self if self._traced else None

    def ended(self, graph, how):
        """Note an end."""
        self.ends.append((graph, how))

    def answered(self, *told):
        """Note an answer: as a Watch with plan, request, answer and span; as a span with the answer and what is left."""
        if len(told) == 2:
            self.span.append("answer")
        else:
            self.answers.append(told[2].status)
            assert told[3] is (self if self._traced else None)

    def broke(self, _plan, _request, how, span):
        """Note what went wrong: it is an end, too."""
        self.broken.append(how)
        assert self.ends[-1][1] == how
        assert span is (self if self._traced else None)

    def tail(self, _call, _left):
        """Note it."""
        self.span.append("tail")

    def cut_short(self, how):
        """Note it."""
        self.span.append(how)

    def seams(self, seams):
        """Return seams as they are."""
        return seams


def opened(graph: str | None, watch: Any, **others: Any) -> Exchange:
    """An exchange about one of PLANS, that is watched."""
    named = None if graph is None else PLANS[graph].id if graph in PLANS else graph
    made: dict[str, Any] = {
        "recorder": Recording(),
        "caller": Uncalled(),
        "now": lambda: 1000.0,
        "challenging": Pairs(),
    }
    return Exchange(ALL, named, Seams(Scripted(), **(made | others)), watch, Traceparent("t"))


# Graph, messages, and after how many of them there is which end.
TALKS: dict[str, tuple[str | None, list[bytes], int, str, int | None]] = {
    "tail by headers": ("header", [headers()], 1, "tail", None),
    "tail without a body": ("header", [headers(end=True)], 1, "tail", None),
    "respond": ("header", [headers({"x-tier": "none"})], 1, "answer", 403),
    "no route": ("header", [headers({"x-tier": "lost"})], 1, "answer", 404),
    "tail by body": ("body", [headers(), body(b"{}")], 2, "tail", None),
    "answer by body": ("body", [headers(), body(b'{"echo": 1}')], 2, "answer", 200),
    "no body": ("body", [headers(end=True)], 1, "tail", None),
    "no json": ("body", [headers(), body(b"{")], 2, "answer", 400),
    "compressed": ("body", [headers({"content-encoding": "br"}), body(b"x")], 2, "answer", 415),
    "too long": ("match", [headers({"content-length": "65"})], 1, "answer", 413),
    "too long after all": ("match", [headers(), body(b"x" * 65)], 2, "answer", 413),
    "grpc": ("body", [headers({"content-type": "application/grpc"})], 1, "answer", 415),
    "no body is sent": ("body", [NOT_SENT], 1, "answer", 503),
    "refused by Envoy": ("body", [headers(), response({":status": "413"})], 3, "left", None),
    "refused by Envoy with headers": ("body", [headers(), response({":status": "413"}, end=True)], 3, "left", None),
    "nothing matches": (None, [headers({":path": "/other"})], 1, "passed", None),
    "nothing matches, no body": (None, [headers({":path": "/other"}, end=True)], 1, "passed", None),
    "it matches": (None, [headers({":path": "/header"})], 1, "tail", None),
    "it matches, with a body": (None, [headers({":path": "/body"}), body(b"{}")], 2, "tail", None),
    "challenged": (
        "duel",
        [headers(), body(b"{}"), response({":status": "200"}), piece(b"1"), piece(b"2", end=True)],
        1,
        "tail",
        None,
    ),
    "challenged, with trailers": (
        "match",
        [headers(), body(b'{"n": 1}'), response({":status": "200"}), piece(b"1"), OTHERS["response_trailers"]],
        2,
        "tail",
        None,
    ),
    "challenged, headers alone": ("duel", [headers(end=True), response({":status": "204"}, end=True)], 1, "tail", None),
    "challenged, answered early": ("duel", [headers(), response({":status": "400"})], 1, "tail", None),
}


def steps() -> Iterator[Any]:
    """Every conversation, and how far it goes."""
    for name, talk in TALKS.items():
        for step in range(len(talk[1]) + 1):
            yield pytest.param(name, step, id=f"{name}-{step}")


def graph_of(graph: str | None, messages: list[bytes], how: str) -> str:
    """The graph under which an end is told."""
    if graph is not None:
        return graph
    return "-" if how == "passed" or not messages else ("body" if b"/body" in messages[0] else "header")


@pytest.mark.parametrize("traced", [True, False])
@pytest.mark.parametrize(("name", "step"), list(steps()))
def test_every_end_is_told_once(name, step, traced):
    """Envoy leaves after every message: what was decided by then counts, else that it left."""
    graph, messages, decided, how, status = TALKS[name]
    watch = Told(traced=traced)
    talk = opened(graph, watch)
    for message in messages[:step]:
        fed(talk, message)
    at_once = list(watch.ends)
    for _ in range(3):
        talk.gone()
    expected = how if step >= decided else "left"
    known = graph_of(graph, messages[:step], expected)
    assert watch.ends == [(known, expected)]
    assert at_once == (watch.ends if step >= decided and how != "left" else [])
    assert watch.answers == ([] if status is None or step < decided else [status])
    assert watch.span == ([expected] if traced and step and expected != "passed" else [])
    assert watch.began == ([("t", known, "id-1")] if step and known != "-" else [])


@pytest.mark.parametrize(("name", "step"), list(steps()))
def test_a_wrong_message(name, step):
    """Counts as refused before the decision, and changes nothing after it."""
    graph, messages, decided, how, _ = TALKS[name]
    watch = Told()
    talk = opened(graph, watch)
    for message in messages[:step]:
        fed(talk, message)
    for _ in range(2):
        with pytest.raises(ProtocolError):
            talk.feed(OTHERS["half a message"])
    talk.gone()
    expected = how if step >= decided else "refused"
    assert watch.ends == [(graph_of(graph, messages[:step], expected), expected)]
    assert watch.span == ([expected] if step and expected != "passed" else [])


class Broken(Recording):
    """A Recorder, and a Caller, that fail."""

    def decided(self, *_told):
        """Fail."""
        raise RuntimeError

    expression_failed = decided

    async def call(self, _call):
        """Fail."""
        raise RuntimeError


@pytest.mark.parametrize(
    "name", ["tail by headers", "tail without a body", "tail by body", "respond", "it matches", "no body"]
)
def test_our_own_mistake(name):
    """Counts as failed, once, and is raised for whoever ends the stream."""
    graph, messages, decided, _, _ = TALKS[name]
    watch = Told()
    talk = opened(graph, watch, recorder=Broken())
    for message in messages[: decided - 1]:
        fed(talk, message)
    with pytest.raises(RuntimeError):
        talk.feed(messages[decided - 1])
    talk.gone()
    assert watch.ends == [(graph_of(graph, messages, "tail"), "failed")]
    assert watch.span == ["failed"]
    assert watch.answers == []


class Answering:
    """A Caller whose models answer when they are let."""

    def __init__(self) -> None:
        self.calls = 0
        self.may = asyncio.Event()

    async def call(self, _call):
        """Wait, and answer."""
        self.calls += 1
        await self.may.wait()
        return Reply(200, (), b"{}")


def sub_calls(caller: Any, *, leave: bool = False) -> Told:
    """A graph of sub-calls: its reply awaited, or given up once a call is under way."""
    watch = Told()

    async def main() -> None:
        loop = asyncio.get_running_loop()
        talk = opened(CHAIN.id, watch, caller=caller, now=loop.time)
        fed(talk, headers())
        reply = talk.feed(body(b"{}"))
        assert not isinstance(reply, bytes)
        assert watch.ends == []
        task: asyncio.Task[bytes] = asyncio.ensure_future(waiting(reply))
        if leave:
            while not caller.calls:
                await asyncio.sleep(0)
            task.cancel()
        elif isinstance(caller, Answering):
            caller.may.set()
        with suppress(RuntimeError, asyncio.CancelledError):
            await task
        before = list(watch.ends)
        talk.gone()
        talk.gone()
        assert before == ([] if leave else watch.ends)

    run(main())
    return watch


async def waiting(reply: Any) -> bytes:
    """Wait for a reply."""
    found: bytes = await reply
    return found


@pytest.mark.parametrize(
    ("caller", "leave", "how"), [(Answering, False, "answer"), (Answering, True, "left"), (Broken, False, "failed")]
)
def test_sub_calls(caller, leave, how):
    """The end comes with the answer, with our mistake, or with whoever leaves while calls are under way."""
    watch = sub_calls(caller(), leave=leave)
    assert watch.ends == [("fraud", how)]
    assert watch.span == [how]
    assert watch.answers == ([200] if how == "answer" else [])


def test_a_reply_that_nobody_waits_for():
    """Is an exchange that was left."""
    watch = Told()
    talk = opened(CHAIN.id, watch)
    fed(talk, headers())
    talk.feed(body(b"{}"))
    talk.gone()
    assert (watch.ends, watch.span) == ([("fraud", "left")], ["left"])


def test_a_generation_that_is_not_at_hand():
    """Is Envoy's mistake, under no graph: its name may be anything."""
    watch = Told()
    with pytest.raises(ProtocolError):
        opened("header@00000000", watch)
    assert (watch.ends, watch.began) == ([("-", "refused")], [])


def test_unwatched():
    """Without anybody who watches nothing is different."""
    for name, (graph, messages, *_) in TALKS.items():
        watched, unwatched = opened(graph, Told(traced=False)), opened(graph, UNWATCHED)
        assert [fed(watched, one) for one in messages] == [fed(unwatched, one) for one in messages], name
