"""Models that answer as a script says, in virtual time, and one request run through a plan with them."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

from extproc.engine.calling import Cause, Failed, Reply
from extproc.engine.outcome import Answer, TailCall
from extproc.engine.request import Request
from extproc.engine.run import Run
from extproc.engine.seams import Seams
from extproc.graph import load_raw
from extproc.plan.compile import compile_graph
from tests.engine.deciding import REQUEST, Recording, Scripted
from tests.engine.virtual import START, run
from tests.plan.building import read

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from extproc.engine.calling import Caller, SubCall
    from extproc.plan.plan import Plan
    from extproc.plan.sticky import Random

BODY = b'{"instances": [[1.10, 1e400]]}'


@dataclass(frozen=True)
class Says:
    """A reply after some milliseconds; a body that is no bytes is JSON, without one the request's body comes back."""

    status: int = 200
    body: Any = None
    after: float = 10
    headers: tuple[tuple[str, str], ...] = (("content-type", "application/json"),)

    def reply(self, call: SubCall) -> Reply:
        """Make the reply."""
        if self.body is None:
            return Reply(self.status, self.headers, call.body or b"")
        return Reply(self.status, self.headers, self.body if isinstance(self.body, bytes) else text(self.body))


@dataclass(frozen=True)
class Fails:
    """A failure after some milliseconds."""

    cause: Cause
    after: float = 10


@dataclass(frozen=True)
class Hangs:
    """Nothing, until the call is late or cancelled."""


Line: TypeAlias = Says | Fails | Hangs
NEVER = float("inf")


def text(value: Any) -> bytes:
    """A value as JSON without blanks."""
    return json.dumps(value, separators=(",", ":")).encode()


def predicts(*values: Any, after: float = 10, status: int = 200) -> Says:
    """A V1 response."""
    return Says(status, {"predictions": list(values)}, after)


class ScriptedCaller:
    """A Caller after a script: for each model what it does, or a list of what it does call by call.

    As the real one it ends every call by its deadline and its model's timeout. ``events`` is the transcript: what
    happened at which millisecond.
    """

    def __init__(self, script: Mapping[str, Line | Sequence[Line]], events: list[str] | None = None) -> None:
        self._script = {name: [lines] if isinstance(lines, Line) else list(lines) for name, lines in script.items()}
        self.events: list[str] = [] if events is None else events
        self.calls: list[SubCall] = []
        self.open: Counter[str] = Counter()

    async def call(self, call: SubCall) -> Reply | Failed:
        """Do what the script says."""
        name = call.model.name
        lines = self._script[name]
        line = lines.pop(0) if len(lines) > 1 else lines[0]
        self.calls.append(call)
        self.open[name] += 1
        self.note(f"{name} called")
        try:
            outcome = await self._played(line, call)
        except asyncio.CancelledError:
            self.note(f"{name} cancelled")
            raise
        finally:
            self.open[name] -= 1
        self.note(f"{name} {outcome.status if isinstance(outcome, Reply) else outcome.cause.value}")
        return outcome

    async def _played(self, line: Line, call: SubCall) -> Reply | Failed:
        loop = asyncio.get_running_loop()
        now = loop.time()
        limit = min(call.deadline, now + (call.model.document.timeout or NEVER))
        when = NEVER if isinstance(line, Hangs) else now + line.after / 1000
        if when > now:
            await _until(min(when, limit))
        if isinstance(line, Hangs) or when >= limit:
            return Failed(call.model.name, Cause.TIMEOUT)
        return line.reply(call) if isinstance(line, Says) else Failed(call.model.name, line.cause)

    def note(self, event: str) -> None:
        """Write an event down, with the milliseconds since the start."""
        self.events.append(f"{elapsed()} {event}")


def elapsed() -> int:
    """The milliseconds since the start."""
    return round((asyncio.get_running_loop().time() - START) * 1000)


async def _until(when: float) -> None:
    loop = asyncio.get_running_loop()
    waiter: asyncio.Future[None] = loop.create_future()
    handle = loop.call_at(when, _done, waiter)
    try:
        await waiter
    finally:
        handle.cancel()


def _done(waiter: asyncio.Future[None]) -> None:
    if not waiter.done():
        waiter.set_result(None)


def planned(nodes: str | dict[str, Any], models: Mapping[str, Any] | None = None, timeout: float = 1.0) -> Plan:
    """A plan of nodes, as YAML or as data; a model that is not described is a V1 model named by one lower-case letter."""
    found = read(nodes) if isinstance(nodes, str) else nodes
    known = {name: {"url": f"http://{name}:8080/v1/models/{name}:predict"} for name in "abcdefgh"}
    described = {name: known.get(name, {}) | model for name, model in (models or {}).items()}
    spec = {"match": [{"path": "/fraud"}], "timeout": timeout, "models": known | described, "nodes": found}
    document = {"apiVersion": "extproc.dev/v1", "kind": "InferenceGraph", "metadata": {"name": "fraud"}, "spec": spec}
    return compile_graph(load_raw(document, "fraud.yaml"))


@dataclass
class Told:
    """How a request went: the outcome, the transcript, the calls, and what the recorder was told."""

    outcome: Answer | TailCall
    events: list[str]
    calls: list[SubCall]
    took: int
    recorder: Recording = field(repr=False)

    @property
    def answer(self) -> Answer:
        """The outcome as the answer that it must be."""
        assert isinstance(self.outcome, Answer), self.outcome
        return self.outcome

    @property
    def tail(self) -> TailCall:
        """The outcome as the tail call that it must be."""
        assert isinstance(self.outcome, TailCall), self.outcome
        return self.outcome

    @property
    def error(self) -> tuple[int, dict[str, Any]]:
        """Status and error object, without what is the same in all of them."""
        found = json.loads(self.answer.body)["error"]
        assert found.pop("graph") == "fraud"
        assert found.pop("requestId") == "id-1"
        assert self.answer.details == f"extproc.{found['code']}"
        assert dict(self.answer.headers) == {"content-type": "application/json"}
        return self.answer.status, found

    @property
    def bodies(self) -> dict[str, bytes | None]:
        """What each model was sent (the last time)."""
        return {call.model.name: call.body for call in self.calls}


async def outcome_of(
    plan: Plan, caller: Caller, recorder: Recording, request: Request, random: Random
) -> Answer | TailCall:
    """Run a plan for one request, with the deadline that its timeout gives."""
    loop = asyncio.get_running_loop()
    seams = Seams(random, recorder, caller, loop.time)
    outcome = Run(plan, request, seams, loop.time() + plan.timeout).start()
    return outcome if isinstance(outcome, Answer | TailCall) else await outcome


def ask(
    plan: Plan,
    script: Mapping[str, Line | Sequence[Line]] | None = None,
    body: bytes | None = BODY,
    headers: Mapping[str, str] | None = None,
    chance: Iterable[float] = (),
) -> Told:
    """Run a plan for one request and tell how it went; no call is left open, and no task."""
    caller, recorder = ScriptedCaller(script or {}), Recording()
    known = REQUEST | {"content-type": "application/json"} | dict(headers or {})

    async def main() -> tuple[Answer | TailCall, int]:
        outcome = await outcome_of(plan, caller, recorder, Request(known, body), Scripted(chance))
        return outcome, elapsed()

    outcome, took = run(main())
    assert not +caller.open, f"left open: {caller.open}"
    return Told(outcome, caller.events, caller.calls, took, recorder)
