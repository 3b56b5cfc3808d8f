"""What a graph should answer, worked out from the document alone: one thing after the other, with times as numbers.

For graphs in which no two things happen at one moment; it knows no tasks, no plans and no cancellation: what went on
after a node had its result is struck off afterwards.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from extproc.engine.calling import Cause
from tests.engine.scripted import Says, text

if TYPE_CHECKING:
    from tests.engine.scripted import Line

DEFAULT_ON = ("connect", "reset", "timeout", "5xx", "429")


@dataclass(frozen=True)
class Came:
    """What comes of a node, when, and what was noted on the way (with the moment)."""

    at: float
    kind: str  # reply, failure, tail, bad
    status: int = 0
    body: Any = None  # bytes; of a tail None when it is the client's own
    model: str = ""
    listed: str = ""
    noted: tuple[tuple[float, str], ...] = ()

    @property
    def ok(self) -> bool:
        """Whether it is a 2xx."""
        return self.kind == "reply" and 200 <= self.status <= 299

    def after(self, noted: tuple[tuple[float, str], ...]) -> Came:
        """The same with what was noted before."""
        return replace(self, noted=noted + self.noted)

    def until(self, at: float) -> tuple[tuple[float, str], ...]:
        """What was noted up to a moment."""
        return tuple(entry for entry in self.noted if entry[0] <= at)


class Oracle:
    """Works out one request; a split takes its second route."""

    def __init__(self, script: dict[str, Line], client: bytes) -> None:
        self.script = script
        self.client = client

    def of(self, target: Any, name: str, body: bytes, at: float, *, tail: bool) -> Came:
        """What comes of a model or a node."""
        if isinstance(target, str):
            return self.call(target, body, at, tail=tail)
        ((kind, inner),) = target.items()
        found: Came = getattr(self, kind)(inner, name, body, at, tail)
        return found

    def call(self, model: str, body: bytes, at: float, *, tail: bool) -> Came:
        """What comes of a call."""
        if tail:
            return Came(at, "tail", body=None if body is self.client else body, model=model, noted=((at, model),))
        line = self.script[model]
        if not isinstance(line, Says):
            cause = line.cause  # type: ignore[union-attr]
            end = at + line.after  # type: ignore[union-attr]
            listed = {Cause.OVERLOADED: "429", Cause.TOO_LARGE: "none"}.get(cause, cause.value)
            status = 429 if cause is Cause.OVERLOADED else 502
            return Came(end, "failure", status, None, model, listed, ((end, f"{model}!{cause.value}"),))
        end = at + line.after
        shown = model if line.status == 200 else f"{model}!{line.status}"
        if line.status >= 500:
            return Came(end, "failure", 502, None, model, "5xx", ((end, shown),))
        return Came(
            end, "reply", line.status, text(line.body), model, "429" if line.status == 429 else "none", ((end, shown),)
        )

    def split(self, node: Any, name: str, body: bytes, at: float, tail: bool) -> Came:  # noqa: FBT001
        return self.branch(node["routes"][1], name, body, at, tail)

    def switch(self, node: Any, name: str, body: bytes, at: float, tail: bool) -> Came:  # noqa: FBT001
        for case in node["cases"]:
            if case["when"] == "true":
                return self.branch(case, name, body, at, tail)
        return self.branch({"to": node["default"], "name": "default"}, name, body, at, tail)

    def branch(self, branch: Any, name: str, body: bytes, at: float, tail: bool) -> Came:  # noqa: FBT001
        below = f"{name}.{branch['name']}"
        return self.of(branch["to"], below, body, at, tail=tail).after(((at, f"{name}={branch['name']}"),))

    def fallback(self, node: Any, name: str, body: bytes, at: float, tail: bool) -> Came:  # noqa: FBT001
        noted: tuple[tuple[float, str], ...] = ()
        for index, route in enumerate(node["routes"]):
            last = index == len(node["routes"]) - 1
            came = self.of(route["to"], f"{name}.routes[{index}]", body, at, tail=tail and last).after(noted)
            if last or came.ok or came.kind in {"tail", "bad"} or came.listed not in node.get("on", DEFAULT_ON):
                return came
            noted, at = came.noted, came.at
        raise AssertionError(node)

    def cascade(self, node: Any, name: str, body: bytes, at: float, tail: bool) -> Came:  # noqa: FBT001
        noted: tuple[tuple[float, str], ...] = ()
        for index, route in enumerate(node["routes"]):
            last = index == len(node["routes"]) - 1
            came = self.of(route["to"], f"{name}.routes[{index}]", body, at, tail=tail and last).after(noted)
            if last or came.kind == "bad":
                return came
            if came.ok:
                verdict = accepted(route["accept"], came.body)
                if verdict is None:
                    return replace(came, kind="bad", status=422)
                if verdict:
                    return came
            noted, at = came.noted, came.at
        raise AssertionError(node)

    def ensemble(self, node: Any, name: str, body: bytes, at: float, tail: bool) -> Came:  # noqa: ARG002, FBT001
        members = node["members"]
        came = [self.of(member["to"], f"{name}.{member['name']}", body, at, tail=False) for member in members]
        require, end = node["require"], at
        for end in sorted(one.at for one in came):
            done = [one for one in came if one.at <= end]
            good = sum(one.ok for one in done)
            if any(one.kind == "bad" for one in done) or good + len(came) - len(done) < require:
                break
            if node["wait"] == "quorum" and good >= require:
                break
        noted = tuple(entry for one in came for entry in one.until(end))
        done = [one for one in came if one.at <= end]
        bad = next((one for one in done if one.kind == "bad"), None)
        if bad is not None:
            return replace(bad, noted=noted)
        good_ones = [
            (member["name"], one.body) for member, one in zip(members, came, strict=True) if one.ok and one.at <= end
        ]
        if len(good_ones) < require:
            failed = next(one for one in done if not one.ok)
            model = failed.model if failed.kind == "failure" else ""
            direct = next(m["to"] for m, one in zip(members, came, strict=True) if one is failed)
            return Came(end, "failure", 502, None, model or (direct if isinstance(direct, str) else ""), "5xx", noted)
        if node["combine"] == "first":
            return Came(end, "reply", 200, good_ones[0][1], noted=noted, listed="none")
        body = b"{" + b",".join(text(key) + b":" + value for key, value in good_ones) + b"}"
        return Came(end, "reply", 200, body, noted=noted, listed="none")

    def chain(self, node: Any, name: str, body: bytes, at: float, tail: bool) -> Came:  # noqa: FBT001
        steps, output = node["steps"], node.get("output")
        ends: list[float] = []  # when each step is over; inf: it ended the chain, or never began
        said: list[Came | None] = []
        noted: list[tuple[tuple[float, str], ...]] = []
        ended: list[Came] = []
        for index, step in enumerate(steps):
            is_tail = tail and output is None and index == len(steps) - 1 and "onError" not in step
            start = max([at, *(ends[other] for other in awaited(steps, index, said, is_tail))])
            ends.append(start)
            said.append(None)
            noted.append(())
            if start == float("inf") or not holds(step, steps, said):
                continue
            given = self.given(step, steps, said, index, body)
            came = self.of(step["to"], f"{name}.{step['name']}", given, start, tail=is_tail)
            handling = step.get("onError", "fail")
            if came.kind not in {"tail", "bad"} and not came.ok and isinstance(handling, dict):
                other = f"{name}.{step['name']}.onError"
                came = self.of(handling["to"], other, given, came.at, tail=False).after(came.noted)
            noted[index] = came.noted
            ends[index] = came.at
            if came.ok:
                said[index] = came
            elif came.kind in {"tail", "bad"} or handling != "skip":
                ended.append(came)
                ends[index] = float("inf")
        if ended:
            first = min(ended, key=lambda came: came.at)
            return replace(first, noted=tuple(e for one in noted for e in one if e[0] <= first.at))
        every = tuple(entry for one in noted for entry in one)
        names = [step["name"] for step, came in zip(steps, said, strict=True) if came]
        last = next((came for came in reversed(said) if came), None)
        answer = text(names) if output is not None else last.body if last else body
        return Came(max([at, *ends]), "reply", 200, answer, noted=every, listed="none")

    def given(self, step: Any, steps: Any, said: list[Came | None], index: int, body: bytes) -> bytes:
        """What a step is sent."""
        written = step.get("input")
        if written == 1:
            return b"1"
        if written is not None:
            return b"true" if mentioned(steps, written, said) else b"false"
        return next((came.body for came in reversed(said[:index]) if came), body)


def accepted(accept: str, body: bytes) -> bool | None:
    """Whether a response is accepted, None where that cannot be computed."""
    fields = json.loads(body)
    if accept in {"true", "false"}:
        return accept == "true"
    if not isinstance(fields, dict) or "m" not in fields or "nope" in accept:
        return None
    return bool(fields["m"] < 3)


def awaited(steps: Any, index: int, said: list[Came | None], is_tail: bool) -> list[int]:  # noqa: FBT001
    """Which steps a step waits for."""
    step = steps[index]
    if is_tail:
        return list(range(index))
    found = [
        other for other in range(index) for part in ("when", "input") if f"steps.s{other})" in str(step.get(part, ""))
    ]
    if "input" not in step:
        for other in reversed(range(index)):
            found.append(other)
            if said[other] is not None:
                break
    return found


def holds(step: Any, steps: Any, said: list[Came | None]) -> bool:
    """Whether a step is run."""
    when = step.get("when", "true")
    return when == "true" or (when != "false" and mentioned(steps, when, said))


def mentioned(steps: Any, expression: str, said: list[Came | None]) -> bool:
    """Whether the step that an expression mentions has a response."""
    return any(came and f"steps.{step['name']})" in expression for step, came in zip(steps, said, strict=False))
