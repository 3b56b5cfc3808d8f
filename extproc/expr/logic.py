"""``&&``, ``||``, ``!`` and ``?:`` as closures, with CEL's rule: a side that decides makes the other's error moot."""

from __future__ import annotations

from typing import TYPE_CHECKING

from extproc.expr.errors import BudgetExceededError, EvaluationError
from extproc.expr.values import kind

if TYPE_CHECKING:
    from extproc.expr.frame import Evaluate, Frame, Variables
    from extproc.expr.syntax import Position


def chain(operands: tuple[Evaluate, ...], operator: str, at: Position) -> Evaluate:
    """A chain of one operator: the deciding value wins over errors, an error over the other value."""
    deciding = operator == "||"

    def evaluate(variables: Variables, frame: Frame) -> object:
        failure: EvaluationError | None = None
        for operand in operands:
            try:
                value = operand(variables, frame)
            except BudgetExceededError:
                raise
            except EvaluationError as error:
                failure = failure or error.with_traceback(None)  # a kept traceback would be a cycle
                continue
            if value is deciding:
                return deciding
            if value is not (not deciding):
                failure = failure or _not_a_bool(operator, value, at)
        if failure is not None:
            raise failure
        return not deciding

    return evaluate


def negation(operand: Evaluate, at: Position) -> Evaluate:
    """``!operand``."""

    def evaluate(variables: Variables, frame: Frame) -> object:
        value = operand(variables, frame)
        if value is True:
            return False
        if value is False:
            return True
        raise _not_a_bool("!", value, at)

    return evaluate


def conditional(condition: Evaluate, then: Evaluate, otherwise: Evaluate, at: Position) -> Evaluate:
    """``condition ? then : otherwise``."""

    def evaluate(variables: Variables, frame: Frame) -> object:
        value = condition(variables, frame)
        if value is True:
            return then(variables, frame)
        if value is False:
            return otherwise(variables, frame)
        raise _not_a_bool("?:", value, at)

    return evaluate


def _not_a_bool(operator: str, value: object, at: Position) -> EvaluationError:
    return EvaluationError(f"{operator} needs a bool, not a {kind(value)}", at.column, at.line)
