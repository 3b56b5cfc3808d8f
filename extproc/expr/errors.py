"""The two ways an expression fails: when it is compiled (the author's fault) and when it is evaluated."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from extproc.errors import ExtprocError, GraphError

if TYPE_CHECKING:
    from extproc.expr.syntax import Position

EXHAUSTED: Final = "the expression's step budget is used up"


class CompileError(GraphError):
    """The text is no expression of the language.

    Attributes:
        message: what is wrong.
        column: 1-based, within ``line``, in characters.
        line: 1-based, within the text.
        path: where in a template's value the text stands; empty for a plain expression.
    """

    def __init__(self, message: str, column: int, line: int = 1, path: tuple[str | int, ...] = ()) -> None:
        super().__init__(message)
        self.message = message
        self.column = column
        self.line = line
        self.path = path

    def __reduce__(self) -> tuple[type[CompileError], tuple[str, int, int, tuple[str | int, ...]]]:
        return type(self), (self.message, self.column, self.line, self.path)


class EvaluationError(ExtprocError):
    """The expression has no value for this activation.

    The message never holds a value of the request; ``column`` and ``line`` (1-based, 0 when unknown) point at the
    operation in the expression's text.
    """

    def __init__(self, message: str, column: int = 0, line: int = 0) -> None:
        super().__init__(message)
        self.message = message
        self.column = column
        self.line = line

    def located(self, at: Position) -> EvaluationError:
        """The error with its place in the expression."""
        self.line, self.column = at.line, at.column
        return self


class BudgetExceededError(EvaluationError):
    """The step budget is used up; unlike other evaluation errors nothing absorbs this one."""
