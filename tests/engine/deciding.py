"""A decision in one call, with scripted chance and a recorder that remembers."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from extproc.engine.decide import Walk
from extproc.engine.outcome import Answer, Outcome, TailCall
from extproc.engine.request import Request

if TYPE_CHECKING:
    from collections.abc import Iterable

    from extproc.expr import EvaluationError, Program
    from extproc.plan.plan import Branch, Plan


class Scripted:
    """A Random that says the numbers it was given; more than those is a mistake."""

    def __init__(self, numbers: Iterable[float] = ()) -> None:
        self.numbers = list(numbers)

    def random(self) -> float:
        """Return the next number."""
        return self.numbers.pop(0)


class Recording:
    """A Recorder that keeps what it is told, as tuples."""

    def __init__(self) -> None:
        self.told: list[tuple[Any, ...]] = []

    def decided(self, plan: Plan, node: str, branch: Branch, program: Program | None, value: object) -> None:
        """Keep a decision."""
        self.told.append(("decided", plan.graph, node, branch.name, program.text if program else None, value))

    def expression_failed(self, plan: Plan, node: str, program: Program, _error: EvaluationError) -> None:
        """Keep a failed expression."""
        self.told.append(("failed", plan.graph, node, program.text))


def request(headers: dict[str, str] | None = None, body: bytes | None = None) -> Request:
    """A POST to /fraud with an id, unless the headers say otherwise."""
    given = {":method": "POST", ":path": "/fraud", ":authority": "example.com", "x-request-id": "id-1"}
    return Request({**given, **(headers or {})}, body)


def decide(
    plan: Plan,
    headers: dict[str, str] | None = None,
    body: bytes | None = None,
    chance: Iterable[float] = (),
    recorder: Recording | None = None,
) -> Outcome:
    """The outcome of one request; every scripted number must have been asked for."""
    random = Scripted(chance)
    outcome = Walk(plan, request(headers, body), random, recorder or Recording()).decide()
    assert not random.numbers, "fewer random numbers were drawn than expected"
    return outcome


def called(outcome: Outcome) -> tuple[str, str]:
    """The model's key and the route of a tail call."""
    assert isinstance(outcome, TailCall), outcome
    return outcome.model.key, outcome.route


def answered(outcome: Outcome) -> Answer:
    """The outcome as the answer it must be."""
    assert isinstance(outcome, Answer), outcome
    return outcome


def error(outcome: Outcome) -> tuple[int, dict[str, Any]]:
    """Status and error object of an answer that is an error: JSON with nothing beside ``error``."""
    answer = answered(outcome)
    assert dict(answer.headers)["content-type"] == "application/json"
    document = json.loads(answer.body)
    assert list(document) == ["error"]
    assert answer.details == f"extproc.{document['error']['code']}"
    return answer.status, document["error"]
