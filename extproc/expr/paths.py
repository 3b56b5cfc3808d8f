"""``request.headers["x"]``: variables and constant keys in one closure, the hottest of all."""

from __future__ import annotations

from typing import TYPE_CHECKING

from extproc.expr.access import select
from extproc.expr.errors import EvaluationError

if TYPE_CHECKING:
    from extproc.expr.frame import Evaluate, Frame, Variables
    from extproc.expr.syntax import Position


def variable_path(root: str, keys: tuple[str, ...], at: Position) -> Evaluate:
    """A path that begins at a variable of the activation."""
    text = path_text((root, *keys))

    def evaluate(variables: Variables, _frame: Frame) -> object:
        try:
            value: object = variables[root]
            for key in keys:
                value = value[key] if type(value) is dict else select(value, key)
        except KeyError:
            raise EvaluationError(f"{text} is absent", at.column, at.line) from None
        except EvaluationError as error:
            raise error.located(at)  # noqa: B904 - it is the same error
        return value

    return evaluate


def loop_path(slot: int, keys: tuple[str, ...], at: Position) -> Evaluate:
    """A path that begins at a macro's variable."""

    def variable(_variables: Variables, frame: Frame) -> object:
        return frame.loops[slot]

    def evaluate(_variables: Variables, frame: Frame) -> object:
        value = frame.loops[slot]
        try:
            for key in keys:
                value = value[key] if type(value) is dict else select(value, key)
        except KeyError:
            raise EvaluationError("no such key", at.column, at.line) from None
        except EvaluationError as error:
            raise error.located(at)  # noqa: B904 - it is the same error
        return value

    return evaluate if keys else variable


def path_text(path: tuple[str, ...]) -> str:
    """A path as one would write it."""
    root, *keys = path
    return root + "".join(f".{key}" if key.isidentifier() else f'["{key}"]' for key in keys)
