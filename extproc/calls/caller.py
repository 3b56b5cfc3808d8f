"""The caller: sub-calls through Envoy, with retries, a hedge, and a limit of concurrency."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from extproc.calls.attempt import MAX_RESPONSE, opened, read
from extproc.calls.egress import Egress
from extproc.calls.headers import ATTEMPTS_HEADER, envoy_attempts
from extproc.calls.hedge import hedged
from extproc.calls.recorder import CallRecorder, Unrecorded
from extproc.calls.retry import attempt_timeout, next_pause, retriable, status_failure
from extproc.calls.slots import Slots
from extproc.engine.calling import Cause, Failed, Reply

if TYPE_CHECKING:
    from random import Random

    from extproc.calls.response import Response
    from extproc.engine.calling import SubCall
    from extproc.plan.model import RetryRule

_UNRECORDED = Unrecorded()


@dataclass(slots=True)
class _Tally:
    """One call's attempts so far."""

    attempts: int = 0
    hedged: bool = False


class EnvoyCaller:
    """Makes sub-calls through Envoy's egress at ``unix:PATH`` or ``HOST:PORT``; a ``Caller``.

    A hedge is made once, beside the first attempt, and counts as one attempt of the model's rule. Whose headers come
    first wins, unless the rule would try its status again.
    """

    def __init__(
        self,
        egress: str,
        random: Random,
        *,
        recorder: CallRecorder = _UNRECORDED,
        max_response: int = MAX_RESPONSE,
    ) -> None:
        self._egress = Egress(egress)
        self._random = random
        self._recorder = recorder
        self._max_response = max_response
        self.slots = Slots()

    def __repr__(self) -> str:
        """Say where calls go and which are in flight."""
        return f"<EnvoyCaller {self._egress!r} {self.slots!r}>"

    async def close(self) -> None:
        """Cut all connections; calls in flight fail, and so do later ones."""
        await self._egress.close()

    async def call(self, call: SubCall) -> Reply | Failed:
        """Call a model: see ``Caller``."""
        model = call.model
        begun, clock = _now(), time.monotonic()
        if not self.slots.take(model.key, model.document.concurrency):
            self._recorder.called(model, Cause.OVERLOADED.value, 0.0, 0, hedged=False)
            if call.watch is not None:
                call.watch.ended(0, hedged=False)
            return Failed(model.name, Cause.OVERLOADED)
        tally = _Tally()
        outcome: Reply | Failed | None = None
        try:
            outcome = await self._tried(call, tally, call.deadline - begun)
        finally:
            self.slots.free(model.key)
            self._recorder.called(model, _name(outcome), time.monotonic() - clock, tally.attempts, hedged=tally.hedged)
            if call.watch is not None:
                call.watch.ended(tally.attempts, hedged=tally.hedged)
        return outcome

    async def _tried(self, call: SubCall, tally: _Tally, left: float) -> Reply | Failed:
        """Make attempts until one is good enough, or nothing is left."""
        if left <= 0:
            return Failed(call.model.name, Cause.TIMEOUT)
        rule = call.model.retries
        limit = attempt_timeout(call.model, left)
        while True:
            answer = await self._answered(call, tally, limit)
            outcome = answer if isinstance(answer, Failed) else await read(answer, call, self._max_response)
            left = call.deadline - _now()
            pause = next_pause(rule, outcome, tally.attempts, left, self._random.random())
            if pause is None:
                return outcome
            await asyncio.sleep(pause)

    async def _answered(self, call: SubCall, tally: _Tally, limit: float) -> Response | Failed:
        """Make one attempt, hedged when it is the first, until response headers."""
        hedge = None if tally.attempts else call.model.document.hedge

        async def attempt() -> Response | Failed:
            tally.attempts += 1
            if call.watch is not None and tally.attempts > 1:
                call.watch.attempt(tally.attempts, hedge=hedge is not None)
            return await opened(self._egress, call, limit)

        if hedge is None:
            answer = await attempt()
        else:
            answer = await hedged(attempt, hedge.after, lambda answer: _wins(call.model.retries, answer), _discard)
            tally.hedged = tally.attempts > 1
        if not isinstance(answer, Failed):
            tally.attempts += envoy_attempts(answer.header(ATTEMPTS_HEADER)) - 1
        return answer


def _wins(rule: RetryRule, answer: Response | Failed) -> bool:
    return not isinstance(answer, Failed) and not retriable(rule, status_failure(answer.status))


def _discard(answer: Response | Failed) -> None:
    if not isinstance(answer, Failed):
        answer.close()


def _name(outcome: Reply | Failed | None) -> str:
    match outcome:
        case Reply():
            return f"{outcome.status // 100}xx"
        case Failed():
            return outcome.cause.value
        case None:
            return "cancelled"


def _now() -> float:
    return asyncio.get_running_loop().time()
