"""``all``, ``exists``, ``exists_one``, ``filter`` and ``map`` as closures over lists and the keys of maps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from extproc.expr.errors import EXHAUSTED, BudgetExceededError, EvaluationError
from extproc.expr.values import kind

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator

    from extproc.expr.frame import Evaluate, Frame, Variables
    from extproc.expr.syntax import Position


@dataclass(frozen=True, slots=True)
class Loop:
    """What the macros have in common: ``weight`` is the steps of one turn, ``slot`` the variable's place."""

    name: str
    target: Evaluate
    slot: int
    condition: Evaluate | None
    body: Evaluate
    weight: int
    at: Position

    def turns(self, variables: Variables, frame: Frame) -> Iterator[object]:
        """Set the variable to one item after the other, for the price of a turn each."""
        loops, slot, weight = frame.loops, self.slot, self.weight
        for item in self.items(self.target(variables, frame)):
            frame.steps -= weight
            if frame.steps < 0:
                raise BudgetExceededError(EXHAUSTED, self.at.column, self.at.line)
            loops[slot] = item
            yield item

    def items(self, collection: object) -> Collection[object]:
        """The elements of a list or the keys of a map."""
        if isinstance(collection, list | dict):
            return collection
        raise self.error(f"{self.name}() needs a list or a map, not a {kind(collection)}")

    def holds(self, predicate: Evaluate, variables: Variables, frame: Frame) -> bool:
        """The value of a predicate."""
        value = predicate(variables, frame)
        if value is True or value is False:
            return value
        raise self.error(f"the condition of {self.name}() needs a bool, not a {kind(value)}")

    def error(self, message: str) -> EvaluationError:
        """An error at the macro's name."""
        return EvaluationError(message, self.at.column, self.at.line)


def _quantifier(loop: Loop, *, deciding: bool) -> Evaluate:
    """``exists`` and ``all`` are ``||`` and ``&&`` over the turns: the deciding value wins over errors."""

    def evaluate(variables: Variables, frame: Frame) -> object:
        failure: EvaluationError | None = None
        for _ in loop.turns(variables, frame):
            try:
                if loop.holds(loop.body, variables, frame) is deciding:
                    return deciding
            except BudgetExceededError:
                raise
            except EvaluationError as error:
                failure = failure or error.with_traceback(None)  # a kept traceback would be a cycle
        if failure is not None:
            raise failure
        return not deciding

    return evaluate


def _exists(loop: Loop) -> Evaluate:
    return _quantifier(loop, deciding=True)


def _all(loop: Loop) -> Evaluate:
    return _quantifier(loop, deciding=False)


def _exists_one(loop: Loop) -> Evaluate:
    def evaluate(variables: Variables, frame: Frame) -> object:
        return sum(loop.holds(loop.body, variables, frame) for _ in loop.turns(variables, frame)) == 1

    return evaluate


def _filter(loop: Loop) -> Evaluate:
    def evaluate(variables: Variables, frame: Frame) -> object:
        return [item for item in loop.turns(variables, frame) if loop.holds(loop.body, variables, frame)]

    return evaluate


def _map(loop: Loop) -> Evaluate:
    body, condition = loop.body, loop.condition

    def evaluate(variables: Variables, frame: Frame) -> object:
        return [body(variables, frame) for _ in loop.turns(variables, frame)]

    def evaluate_some(variables: Variables, frame: Frame) -> object:
        turns = loop.turns(variables, frame)
        return [body(variables, frame) for _ in turns if condition and loop.holds(condition, variables, frame)]

    return evaluate if condition is None else evaluate_some


MACROS: Final[dict[str, Callable[[Loop], Evaluate]]] = {
    "all": _all,
    "exists": _exists,
    "exists_one": _exists_one,
    "filter": _filter,
    "map": _map,
}
