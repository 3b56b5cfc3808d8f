"""Which way a request goes and why: the plan run with a recorder that keeps everything, calling nothing."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import msgspec

from extproc.engine.decide import Walk
from extproc.engine.outcome import Answer, Outcome, TailCall
from extproc.engine.request import Request
from extproc.plan.match import fits, specific_first

if TYPE_CHECKING:
    from collections.abc import Sequence

    from extproc.expr import EvaluationError, Program
    from extproc.plan.plan import Branch, Plan
    from extproc.plan.sticky import Random


@dataclass(frozen=True, slots=True)
class Decision:
    """A branch taken, and the expression with its value where one decided."""

    node: str
    branch: str
    expr: str | None
    value: object

    def why(self) -> str:
        """Say the reason in a few words."""
        if self.expr is None:
            return "by chance" if self.branch != "default" else "no case holds"
        if self.value is None:
            return f"by chance: {self.expr} has no value"
        return f"{self.expr} is {msgspec.json.encode(self.value).decode()}"


@dataclass(frozen=True, slots=True)
class Failure:
    """An expression that could not be evaluated: a condition counted as false, a key as missing."""

    node: str
    expr: str
    error: str


@dataclass
class Explanation:
    """What happened to one request; a Recorder of the engine's."""

    plan: Plan | None = None
    outcome: Outcome | None = None
    decisions: list[Decision] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)

    def decided(self, _plan: Plan, node: str, branch: Branch, program: Program | None, value: object) -> None:
        """Keep a branch taken."""
        self.decisions.append(Decision(node, branch.name, program.text if program else None, value))

    def expression_failed(self, _plan: Plan, node: str, program: Program, error: EvaluationError) -> None:
        """Keep an expression that could not be evaluated."""
        self.failures.append(Failure(node, program.text, str(error)))

    @property
    def calls(self) -> list[dict[str, str]]:
        """The calls that would be made."""
        return [{"model": self.outcome.model.name, "kind": "tail"}] if isinstance(self.outcome, TailCall) else []

    @property
    def answer(self) -> Answer | None:
        """The answer computed without a model."""
        return self.outcome if isinstance(self.outcome, Answer) else None

    def data(self) -> dict[str, object]:
        """Return the explanation as JSON-able data."""
        return {
            "graph": self.plan.graph if self.plan else None,
            "id": self.plan.id if self.plan else None,
            "decisions": [msgspec.to_builtins(decision) for decision in self.decisions],
            "errors": [msgspec.to_builtins(failure) for failure in self.failures],
            "calls": self.calls,
            "answer": _answer(self.answer, matched=self.plan is not None),
        }


def _answer(answer: Answer | None, *, matched: bool) -> dict[str, object] | None:
    if not matched:
        return {"status": 404, "code": "no_graph"}
    if answer is None:
        return None
    body = answer.body.decode(errors="replace")
    if dict(answer.headers).get("content-type") == "application/json":
        value = msgspec.json.decode(answer.body)
        code = value["error"]["code"] if isinstance(value, dict) and isinstance(value.get("error"), dict) else None
        return {"status": answer.status, **({"code": code} if code else {}), "body": value}
    return {"status": answer.status, "body": body}


def explain(plans: Sequence[Plan], headers: dict[str, str], body: bytes | None, random: Random) -> Explanation:
    """Run the plan that a request enters; ``headers`` with the pseudo-headers, lower-case."""
    request = Request(headers, body)
    explanation = Explanation()
    entries = specific_first((match, plan) for plan in plans for match in plan.match)
    explanation.plan = next(
        (plan for match, plan in entries if fits(match, request.host, request.path, request.headers)), None
    )
    if explanation.plan is not None:
        explanation.outcome = Walk(explanation.plan, request, random, explanation).decide()
    return explanation
