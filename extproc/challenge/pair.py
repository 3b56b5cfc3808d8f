"""One sampled request: the champion's leg as it is told, the challengers' legs as they are run, and what came of both.

The request's own path only ever hands something over here. Comparing begins when the event loop turns again, and
nothing of a pair is ever waited for.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from extproc.challenge.evidence import (
    CHAMPION_FAILED,
    CHAMPION_UNPARSABLE,
    FAILED,
    INTERRUPTED,
    PAIRED,
    SHED,
    TIMEOUT,
    TOO_LARGE,
)
from extproc.challenge.leg import Unparsable
from extproc.challenge.sides import Leg, Side
from extproc.engine.calling import Cause, Reply
from extproc.engine.result import Failure, Made, Tail
from extproc.errors import BadRequest
from extproc.headers import LATENCY_HEADER, seconds

if TYPE_CHECKING:
    from collections.abc import Mapping

    from extproc.challenge.arena import Arena, Ring
    from extproc.challenge.judged import Judged
    from extproc.engine.payload import Payload
    from extproc.engine.result import Result
    from extproc.engine.run import Run
    from extproc.engine.tracing import Trace
    from extproc.plan.model import ModelPlan
    from extproc.plan.plan import ChallengerPlan

OK_STATUSES = range(200, 300)
EVENTS = "text/event-stream"  # a stream of tokens is no prediction, and every event would be a message to us
# Bytes of all responses from which on they are compared in a thread: a batch's figures take a millisecond for some 400
# predictions, which every other request of this process would wait for.
LARGE = 64 * 1024
AGAIN = "champion again"  # whose leg it is where the champion's noise is measured; no challenger's name has a space
ANSWERED = "answered"  # a leg's end in its span, where nothing went wrong
log = logging.getLogger(__name__)


@dataclass(slots=True, eq=False)
class Response:
    """The champion's response as Envoy shows it."""

    status: int
    headers: Mapping[str, str]
    pieces: list[bytes] = field(default_factory=list)
    size: int = 0


class LivePair:
    """A pair under way; the ``Pair`` that the engine and the exchange know."""

    __slots__ = (
        "_again",
        "_arena",
        "_began",
        "_champion",
        "_lead",
        "_payload",
        "_response",
        "_ring",
        "_run",
        "_segment",
        "_settling",
        "sides",
    )

    def __init__(self, arena: Arena, ring: Ring, run: Run, sampled: tuple[ChallengerPlan, ...]) -> None:
        self._arena = arena
        self._ring = ring
        self._run = run
        self._payload: Payload | None = None
        self._began = 0.0
        self._lead = 0.0
        self._champion = Leg(ring.node.champion)
        self._again: Leg | None = None
        self._response: Response | None = None
        self._segment: str | None = None
        self._settling = False
        self.sides = tuple(Side(one, Leg(one.target, ring.legs[one.name])) for one in sampled)

    def __repr__(self) -> str:
        """Say whose turn it is."""
        waits = [side.challenger.name for side in self.sides if not side.leg.over]
        return (
            f"<LivePair {self._ring.key} champion {'over' if self._champion.over else 'under way'}, waits for {waits}>"
        )

    # --- the request

    def begin(self, payload: Payload) -> bool:
        """Start the challengers, and the champion once more where its noise is to be known."""
        self._payload = payload
        self._began = self._arena.now()
        started = [self._start(side.leg, payload, side.challenger.name) for side in self.sides]
        if any(started) and self._ring.node.again is not None:
            self._again = Leg(self._ring.node.again, self._ring.again)
            self._start(self._again, payload, AGAIN)
        if not all(started):
            self._settle_soon()
        return any(started)

    def _start(self, leg: Leg, payload: Payload, name: str) -> bool:
        size = len(payload.body or b"")
        leg.under_way = leg.legs is not None and leg.hold(size) and leg.legs.start(lambda: self._run_leg(leg, name))
        if not leg.under_way:
            leg.drop(SHED)
        return leg.under_way

    def too_large(self) -> None:
        """Book the request: no challenger can have it."""
        for side in self.sides:
            side.leg.drop(TOO_LARGE)
        self._settle_soon()

    # --- the champion

    def handed_over(self, _model: ModelPlan) -> None:
        """Note how long the champion took before its last call."""
        self._lead = self._arena.now() - self._began if self._began else 0.0

    def answered(self, result: Reply | Failure) -> None:
        """Take the champion's result as it is known here."""
        if not (isinstance(result, Reply) and result.ok):
            self._champion.end(CHAMPION_FAILED)
        elif len(result.body) > self._arena.limits.response:
            self._champion.end(TOO_LARGE)
        else:
            self._hold(len(result.body))
            self._champion.answer(result, _latency(result, self._began, self._arena.now()))
        self._settle_soon()

    def response_began(self, status: int, headers: Mapping[str, str]) -> bool:
        """Take status and headers; a failed champion's body, or one that nobody waits for, is not needed."""
        if status not in OK_STATUSES:
            self._champion.end(CHAMPION_FAILED)
        elif _length(headers) > self._arena.limits.response:
            self._champion.end(TOO_LARGE)
        elif headers.get("content-type", "").startswith(EVENTS):
            self._champion.end(CHAMPION_UNPARSABLE)
        elif self._wanted:
            measured = seconds(headers.get(LATENCY_HEADER))
            self._response = Response(status, headers)
            self._champion.latency = None if measured is None else measured + self._lead
        return self._still_wanted()

    def response_body(self, piece: bytes) -> bool:
        """Take a piece of the body."""
        response = self._response
        if response is not None and self._wanted:
            response.pieces.append(piece)
            response.size += len(piece)
            if response.size > self._arena.limits.response:
                self._champion.end(TOO_LARGE)
            else:
                self._hold(len(piece))
        return self._still_wanted()

    def _hold(self, size: int) -> None:
        """Hold bytes of the champion's for every challenger that waits for them; one that cannot is shed."""
        for side in self.sides:
            if side.open and not side.leg.hold(size):
                side.leg.drop(SHED)

    @property
    def _wanted(self) -> bool:
        return not self._champion.over and any(side.open for side in self.sides)

    def _still_wanted(self) -> bool:
        if self._wanted:
            return True
        self._response = None
        self._settle_soon()
        return False

    def response_ended(self) -> None:
        """Take the response as complete."""
        response = self._response
        if response is not None:
            reply = Reply(response.status, tuple(response.headers.items()), b"".join(response.pieces))
            self._champion.answer(reply, self._champion.latency)
            self._response = None
        self._settle_soon()

    def left(self) -> None:
        """The champion's leg was cut short, unless it is over: that all of a response came may be told last, or never."""
        response = self._response
        if response is not None and response.size and response.size == _length(response.headers):
            self.response_ended()
            return
        self._champion.end(CHAMPION_FAILED)
        self._settle_soon()

    def interrupt(self) -> None:
        """Book whatever is not booked, and give everything back: this process ends."""
        for side in self.sides:
            if not side.booked:
                self._book(side, INTERRUPTED)
        for leg in self._own_legs:
            leg.under_way = False
            leg.end(INTERRUPTED)
        self._let_go()

    # --- a leg of our own

    async def _run_leg(self, leg: Leg, name: str) -> None:
        """Run a leg to its end, whatever it is."""
        traced = self._run.seams.trace
        trace = None if traced is None else traced.challenger(name)
        try:
            await self._evaluate(leg, trace)
        except BadRequest:
            leg.end(FAILED)
        except Exception:
            # Ours to blame, and no reason to lose count of the request.
            log.exception("a challenger's leg could not be run")
            leg.end(FAILED)
        finally:
            leg.under_way = False
            leg.end(INTERRUPTED)
            if trace is not None:
                trace.ended(leg.outcome or ANSWERED)
            self._settle_soon()

    async def _evaluate(self, leg: Leg, trace: Trace | None) -> None:
        if self._payload is None:
            raise AssertionError(leg)
        run = self._arena.leg_run(self._run, trace)
        began = self._arena.now()
        result = await run.evaluate(leg.target, self._payload, run.deadline, run.trail)
        self._ended(leg, result, began)

    def _ended(self, leg: Leg, result: Result, began: float) -> None:
        """Take what came of a leg: a 2xx is its answer, all else has a name."""
        if not (isinstance(result, Reply) and result.ok):
            leg.end(_failure(result))
        elif len(result.body) > self._arena.limits.response:
            leg.end(TOO_LARGE)
        elif leg.hold(len(result.body)):
            leg.answer(result, _latency(result, began, self._arena.now()))
        else:
            leg.drop(SHED)

    # --- what came of it

    def _settle_soon(self) -> None:
        if not self._settling:
            self._settling = True
            self._arena.soon(self._settle)

    def _settle(self) -> None:
        """Book every side of which all is known."""
        self._settling = False
        try:
            for side in self.sides:
                if side.booked:
                    continue
                if (outcome := self._outcome(side)) is not None:
                    self._book(side, outcome)
                elif self._complete(side):
                    self._compare(side)
        finally:
            self._let_go()

    def _let_go(self) -> None:
        """Give back what is held for what is booked and not under way; the pair ends when that is all of it."""
        for side in self.sides:
            if side.booked and not side.leg.under_way:
                side.leg.give_back()
        if not all(side.booked for side in self.sides):
            return
        if self._again is not None and not self._again.under_way:
            self._again.give_back()
        if not any(leg.under_way for leg in self._own_legs):
            self._arena.forget(self)

    @property
    def _own_legs(self) -> list[Leg]:
        return [*(side.leg for side in self.sides), *([] if self._again is None else [self._again])]

    def _outcome(self, side: Side) -> str | None:
        """Return what became of a side, None while that is open, or for the comparison to say.

        The champion's failure counts whatever the challenger did. A leg that was dropped has no more to wait for.
        """
        champion, leg = self._champion, side.leg
        if leg.dropped:
            return leg.outcome
        if champion.outcome is not None:
            return champion.outcome
        return leg.outcome if champion.over else None

    def _complete(self, side: Side) -> bool:
        return self._champion.over and side.leg.over and (self._again is None or self._again.over)

    def _compare(self, side: Side) -> None:
        """Compare a pair, a large one in a thread."""
        judge = self._ring.judge(self._run)
        legs = self._champion, side.leg, self._again
        if not any(map(_encoded, legs)) and sum(map(_size, legs)) <= LARGE:
            self._conclude(side, judge.judged(*legs))
        elif not side.comparing:
            side.comparing = True
            self._arena.apart(lambda: judge.judged(*legs, summed=True), lambda judged: self._concluded(side, judged))

    def _concluded(self, side: Side, judged: Judged | str) -> None:
        if not side.booked:
            self._settle_soon()
            self._conclude(side, judged)

    def _conclude(self, side: Side, judged: Judged | str) -> None:
        """Book the pair, and add what the comparison says to the evidence."""
        self._tell_problems(side)
        if isinstance(judged, str):
            self._book(side, judged)
            return
        self._book(side, PAIRED)
        latencies = self._champion.latency, side.leg.latency
        self._ring.compared(self._run, side.challenger, self.segment, judged, latencies)

    def _tell_problems(self, side: Side) -> None:
        """Tell where ``compare.value`` had no value, once for each leg."""
        for leg in (self._champion, side.leg, self._again):
            if leg is not None and isinstance(leg.problem, Unparsable) and leg.problem.expression and not leg.told:
                leg.told = True
                self._ring.value_failed(self._run)

    def _book(self, side: Side, outcome: str) -> None:
        side.booked = True
        self._ring.book(side.challenger, self.segment, outcome)

    @property
    def segment(self) -> str:
        """The request's, told apart once."""
        if self._segment is None:
            self._segment = self._ring.segment(self._run)
        return self._segment


def _size(leg: Leg | None) -> int:
    return 0 if leg is None or leg.reply is None else len(leg.reply.body)


def _encoded(leg: Leg | None) -> bool:
    """Tell whether a response may be far larger than it looks."""
    return leg is not None and leg.reply is not None and "content-encoding" in leg.reply.header_map


def _failure(result: Result) -> str:
    match result:
        case Failure(cause=Cause.TIMEOUT, counted_alike=False):
            return TIMEOUT
        case Failure(cause=Cause.TOO_LARGE):
            return TOO_LARGE
        case Tail():
            raise AssertionError(result)  # a challenger is in no tail position
        case _:
            return FAILED


def _latency(reply: Reply, began: float, now: float) -> float:
    """Return the seconds from a leg's start to its answer's headers: of the last call what Envoy measured, as Envoy's own."""
    if reply.latency is None or isinstance(reply, Made):
        return now - began
    return max(0.0, reply.began - began) + reply.latency


def _length(headers: Mapping[str, str]) -> int:
    told = headers.get("content-length", "")
    return int(told[:19]) if told.isdecimal() else 0
