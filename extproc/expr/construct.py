"""List and map literals as closures."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from extproc.expr.errors import EvaluationError
from extproc.expr.values import kind

if TYPE_CHECKING:
    from extproc.expr.frame import Evaluate, Frame, Variables
    from extproc.expr.syntax import Position

_KEYS: Final = frozenset({str, int, bool})


def items(elements: tuple[Evaluate, ...]) -> Evaluate:
    """``[a, b]``."""

    def evaluate(variables: Variables, frame: Frame) -> object:
        return [element(variables, frame) for element in elements]

    return evaluate


def entries(pairs: tuple[tuple[Evaluate, Evaluate], ...], at: Position) -> Evaluate:
    """``{k: v}``: keys are strings, ints or bools, each once."""

    def evaluate(variables: Variables, frame: Frame) -> object:
        mapping: dict[object, object] = {}
        for key, value in pairs:
            _put(mapping, key(variables, frame), value(variables, frame), at)
        return mapping

    return evaluate


def _put(mapping: dict[object, object], key: object, value: object, at: Position) -> None:
    if type(key) not in _KEYS:
        raise EvaluationError(f"a map's key cannot be a {kind(key)}", at.column, at.line)
    # Python takes true and 1 for one key; CEL has both, which nothing else here could keep apart: an error, not a loss.
    if key in mapping:
        raise EvaluationError("two keys of a map are the same", at.column, at.line)
    mapping[key] = value
