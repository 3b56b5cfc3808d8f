"""One sampled request: the champion's leg as it is told, the challengers' legs as they are run, and what came of both.

The request's own path only ever hands something over here. Comparing begins when the event loop turns again, and
nothing of a pair is ever waited for.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from extproc.challenge.encodings import decoded
from extproc.challenge.evidence import (
    CHAMPION_FAILED,
    CHAMPION_UNPARSABLE,
    FAILED,
    INTERRUPTED,
    PAIRED,
    SHED,
    TIMEOUT,
    TOO_LARGE,
    UNPARSABLE,
)
from extproc.challenge.leg import LegAnswer, TooLarge, Unparsable
from extproc.engine.calling import Cause, Reply
from extproc.engine.result import Failure, Made, Tail
from extproc.errors import BadRequest
from extproc.headers import LATENCY_HEADER, seconds
from extproc.plan.plan import Call

if TYPE_CHECKING:
    from collections.abc import Mapping

    from extproc.challenge.arena import Arena, Ring
    from extproc.challenge.compare import Comparison, Said
    from extproc.challenge.legs import Legs
    from extproc.engine.payload import Payload
    from extproc.engine.result import Result
    from extproc.engine.run import Run
    from extproc.plan.model import ModelPlan
    from extproc.plan.plan import ChallengerPlan, PlanNode

OK_STATUSES = range(200, 300)
EVENTS = "text/event-stream"  # a stream of tokens is no prediction, and every event would be a message to us
# Bytes of both responses from which on they are compared in a thread: parsing them takes milliseconds, which every other
# request of this process would wait for.
LARGE = 64 * 1024
log = logging.getLogger(__name__)


@dataclass(slots=True, eq=False)
class Leg:
    """A leg as far as it is known. ``outcome`` is what went wrong with it, None while it goes on or where it answered."""

    target: PlanNode
    legs: Legs | None = None
    started: bool = False
    over: bool = False
    outcome: str | None = None
    reply: Reply | None = None
    latency: float | None = None
    said: Said | None = None
    problem: Unparsable | TooLarge | None = None

    def end(self, outcome: str | None) -> None:
        """Set what came of it; the first time counts."""
        if not self.over:
            self.over, self.outcome = True, outcome

    def answer(self, reply: Reply, latency: float | None) -> None:
        """Set its response."""
        if not self.over:
            self.over, self.reply, self.latency = True, reply, latency


@dataclass(slots=True, eq=False)
class Side:
    """One challenger's part in a pair."""

    challenger: ChallengerPlan
    leg: Leg
    comparing: bool = False
    booked: bool = False


@dataclass(frozen=True, slots=True)
class Judged:
    """A pair compared; how far the champion agrees with itself is None where that is not known."""

    comparison: Comparison
    self_agreement: float | None


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
        "_held",
        "_lead",
        "_payload",
        "_response",
        "_ring",
        "_run",
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
        self._settling = False
        self._held = 0
        self.sides = tuple(Side(one, Leg(one.target, ring.legs[one.name])) for one in sampled)

    def __repr__(self) -> str:
        """Say whose turn it is."""
        waits = [side.challenger.name for side in self.sides if not side.leg.over]
        return (
            f"<LivePair {self._ring.key} champion {'over' if self._champion.over else 'under way'}, waits for {waits}>"
        )

    # --- the request

    def begin(self, payload: Payload) -> None:
        """Start the challengers, and the champion once more where its noise is to be known."""
        self._payload = payload
        self._began = self._arena.now()
        size = len(payload.body or b"")
        if not self._ring.hold(size):
            self._give_up(SHED)
            return
        self._held = size
        started = [self._start(side.leg) for side in self.sides]
        if any(started) and self._ring.node.again is not None:
            self._again = Leg(self._ring.node.again, self._ring.again)
            self._start(self._again)
        if not all(started):
            self._settle_soon()

    def _start(self, leg: Leg) -> bool:
        leg.started = leg.legs is not None and leg.legs.start(lambda: self._run_leg(leg))
        if not leg.started:
            leg.end(SHED)
        return leg.started

    def too_large(self) -> None:
        """Book the request: no challenger can have it."""
        self._give_up(TOO_LARGE)

    def _give_up(self, outcome: str) -> None:
        for side in self.sides:
            side.leg.end(outcome)
        self._settle_soon()

    # --- the champion

    def handed_over(self, _model: ModelPlan) -> None:
        """Note how long the champion took before its last call."""
        self._lead = self._arena.now() - self._began if self._began else 0.0

    def answered(self, result: Reply | Failure) -> None:
        """Take the champion's result as it is known here."""
        self._ended(self._champion, result, self._began)
        self._settle_soon()

    def response_began(self, status: int, headers: Mapping[str, str]) -> bool:
        """Take status and headers; a failed champion's body, or one that nobody waits for, is not needed."""
        measured = seconds(headers.get(LATENCY_HEADER))
        if status not in OK_STATUSES:
            self._champion.end(CHAMPION_FAILED)
        elif _length(headers) > self._arena.limits.response:
            self._champion.end(TOO_LARGE)
        elif headers.get("content-type", "").startswith(EVENTS):
            self._champion.end(CHAMPION_UNPARSABLE)
        else:
            self._response = Response(status, headers)
            self._champion.latency = None if measured is None else measured + self._lead
        return self._still_wanted()

    def response_body(self, piece: bytes) -> bool:
        """Take a piece of the body."""
        response = self._response
        if response is not None and not self._settled:
            response.pieces.append(piece)
            response.size += len(piece)
            if response.size > self._arena.limits.response or not self._ring.hold(len(piece)):
                self._champion.end(TOO_LARGE if response.size > self._arena.limits.response else SHED)
            else:
                self._held += len(piece)
        return self._still_wanted()

    def _still_wanted(self) -> bool:
        if not self._champion.over and not self._settled:
            return True
        self._response = None
        self._settle_soon()
        return False

    @property
    def _settled(self) -> bool:
        return all(side.booked for side in self.sides)

    def response_ended(self) -> None:
        """Take the response as complete."""
        response = self._response
        if response is not None:
            body = b"".join(response.pieces)
            reply = Reply(response.status, tuple(response.headers.items()), body)
            self._champion.answer(reply, self._champion.latency)
            self._response = None
        self._settle_soon()

    def left(self) -> None:
        """The champion's leg was cut short, unless it is over."""
        self._champion.end(CHAMPION_FAILED)
        self._settle_soon()

    def interrupt(self) -> None:
        """Book whatever is not booked: this process ends."""
        for side in self.sides:
            if not side.booked:
                self._book(side, INTERRUPTED)

    # --- a leg of our own

    async def _run_leg(self, leg: Leg) -> None:
        """Run a leg to its end, whatever it is."""
        try:
            await self._evaluate(leg)
        except BadRequest:
            leg.end(FAILED)
        except Exception:
            # Ours to blame, and no reason to lose count of the request.
            log.exception("a challenger's leg could not be run")
            leg.end(FAILED)
        finally:
            leg.end(INTERRUPTED)
            self._settle_soon()

    async def _evaluate(self, leg: Leg) -> None:
        if self._payload is None:
            raise AssertionError(leg)
        run = self._arena.leg_run(self._run)
        began = self._arena.now()
        result = await run.evaluate(leg.target, self._payload, run.deadline, run.trail)
        self._ended(leg, result, began)

    def _ended(self, leg: Leg, result: Result, began: float) -> None:
        """Take what came of a leg: a 2xx is its answer, all else has a name."""
        mine = leg is self._champion
        if isinstance(result, Reply) and result.ok:
            leg.answer(result, _latency(result, began, self._arena.now()))
        elif mine:
            leg.end(CHAMPION_FAILED)
        else:
            leg.end(_failure(result))

    # --- what came of it

    def _settle_soon(self) -> None:
        if not self._settling:
            self._settling = True
            self._arena.soon(self._settle)

    def _settle(self) -> None:
        """Book every side of which all is known."""
        self._settling = False
        for side in self.sides:
            if side.booked:
                continue
            if (outcome := self._outcome(side)) is not None:
                self._book(side, outcome)
            elif self._complete(side):
                self._compare(side)
        if self._settled and all(side.leg.over for side in self.sides):
            self._release()

    def _release(self) -> None:
        self._ring.give_back(self._held)
        self._held = 0
        self._arena.forget(self)

    def _outcome(self, side: Side) -> str | None:
        """Return what became of a side, None while that is open, or for the comparison to say.

        The champion's failure counts whatever the challenger did. A leg that was never started has no more to wait for.
        """
        champion, leg = self._champion, side.leg
        if champion.outcome is not None:
            return champion.outcome
        return leg.outcome if champion.over or not leg.started else None

    def _complete(self, side: Side) -> bool:
        return self._champion.over and side.leg.over and (self._again is None or self._again.over)

    def _compare(self, side: Side) -> None:
        """Compare a pair, a large one in a thread."""
        size = sum(len(leg.reply.body) for leg in (self._champion, side.leg) if leg.reply is not None)
        if size <= LARGE:
            self._conclude(side, self._judged(side))
        elif not side.comparing:
            side.comparing = True
            self._arena.apart(lambda: self._judged(side), lambda judged: self._concluded(side, judged))

    def _concluded(self, side: Side, judged: Judged | str) -> None:
        if not side.booked:
            self._conclude(side, judged)
            self._settle_soon()

    def _conclude(self, side: Side, judged: Judged | str) -> None:
        """Add what a comparison says to the evidence, and book the pair."""
        if isinstance(judged, Judged):
            latencies = self._champion.latency, side.leg.latency
            self._ring.compared(self._run, side.challenger, judged, latencies)
            self._book(side, PAIRED)
        else:
            self._book(side, judged)

    def _judged(self, side: Side) -> Judged | str:
        """Compare both legs; return what stood in the way where they cannot be."""
        champion, leg = self._champion, side.leg
        for one, outcome in ((champion, CHAMPION_UNPARSABLE), (leg, UNPARSABLE)):
            problem = self._read(one)
            if problem is not None:
                return TOO_LARGE if isinstance(problem, TooLarge) else outcome
        if champion.said is None or leg.said is None:
            raise AssertionError(self)
        try:
            return Judged(self._ring.comparer.compare(champion.said, leg.said), self._self_agreement())
        except Unparsable:
            return UNPARSABLE

    def _read(self, leg: Leg) -> Unparsable | TooLarge | None:
        """Read what a leg predicts, once; return why it cannot be read."""
        if leg.said is None and leg.problem is None and leg.reply is not None:
            try:
                leg.said = self._ring.comparer.read(self._answer(leg, leg.reply))
            except (Unparsable, TooLarge) as problem:
                leg.problem = problem
                if isinstance(problem, Unparsable) and problem.expression:
                    self._arena.expression_failed(self._run.plan, self._ring.node)
        return leg.problem

    def _answer(self, leg: Leg, reply: Reply) -> LegAnswer:
        body = decoded(reply.body, reply.header_map.get("content-encoding"), self._arena.limits.response)
        plain = Reply(reply.status, reply.headers, body)
        if isinstance(leg.target, Call):
            model = leg.target.model
            return LegAnswer(self._run.request, plain, model.document.protocol, model.path)
        return LegAnswer(self._run.request, plain)

    def _self_agreement(self) -> float | None:
        """Return how far the champion agrees with itself, None where that is not known."""
        again, champion = self._again, self._champion
        if again is None or again.reply is None or self._read(again) or again.said is None or champion.said is None:
            return None
        try:
            return self._ring.comparer.compare(champion.said, again.said).agreement
        except Unparsable:
            return 0.0

    def _book(self, side: Side, outcome: str) -> None:
        side.booked = True
        self._ring.book(self._run, side.challenger, outcome)


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
