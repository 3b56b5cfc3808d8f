"""Reading parts of values: fields, indexes, membership; and lazy records of the host."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, Final

from extproc.expr.errors import EvaluationError
from extproc.expr.values import equal, find, kind

if TYPE_CHECKING:
    from extproc.expr.frame import Frame

_MISSING: Final = object()
_KEYS: Final = frozenset({str, int, float, bool})


class Record(ABC):
    """An object of the host whose fields are made when they are asked for.

    An exception that is neither KeyError nor EvaluationError passes unchanged out of any expression.
    """

    __slots__ = ()

    @abstractmethod
    def get(self, name: str) -> object:
        """The value of a field.

        Raises:
            KeyError: there is no such field.
        """

    @abstractmethod
    def has(self, name: str) -> bool:
        """Whether the field is there; should not make its value."""

    def move(self, _keys: tuple[str, ...]) -> object:
        """What stands under ``keys``, for a template that only moves it: something a JSON encoder writes as it was.

        NotImplemented where the record cannot, or nothing stands there: then the value is made as ever.
        """
        return NotImplemented


def select(operand: Any, field: str) -> object:
    """``operand.field``, and ``operand[field]`` of a string.

    Raises:
        EvaluationError: no such field, or no fields at all.
    """
    try:
        if isinstance(operand, dict):
            return operand[field]
        if isinstance(operand, Record):
            return operand.get(field)
    except KeyError:
        raise EvaluationError("no such key") from None
    raise EvaluationError(f"a value of type {kind(operand)} has no fields")


def has(_frame: Frame, operand: Any, field: str) -> bool:
    """``has(operand.field)``."""
    if isinstance(operand, dict):
        return field in operand
    if isinstance(operand, Record):
        return operand.has(field)
    raise EvaluationError(f"a value of type {kind(operand)} has no fields")


def index(_frame: Frame, operand: Any, key: Any) -> object:
    """``operand[key]``."""
    if type(operand) is list:
        return _element(operand, key)
    if type(key) is str:
        return select(operand, key)
    if isinstance(operand, dict) and type(key) in _KEYS:
        value = find(operand, key, _MISSING)
        if value is not _MISSING:
            return value
        raise EvaluationError("no such key")
    raise EvaluationError(f"{kind(operand)}[{kind(key)}] has no meaning")


def _element(items: list[object], key: Any) -> object:
    if type(key) is float and key.is_integer():
        key = int(key)
    if type(key) is not int:
        raise EvaluationError(f"list[{kind(key)}] has no meaning")
    if not 0 <= key < len(items):
        raise EvaluationError("the index is outside the list")
    return items[key]


def contained(frame: Frame, element: Any, container: Any) -> bool:
    """``element in container``: an element of a list, a key of a map or record."""
    if type(container) is list:
        return _listed(frame, element, container)
    if type(element) in _KEYS:
        if isinstance(container, dict):
            return find(container, element, _MISSING) is not _MISSING
        if isinstance(container, Record):
            return type(element) is str and container.has(element)
    raise EvaluationError(f"{kind(element)} in {kind(container)} has no meaning")


def _listed(frame: Frame, element: Any, items: list[object]) -> bool:
    if type(element) is not list and type(element) is not dict:
        frame.charge_bulk(len(items))
        # Python's equality is wider than CEL's for scalars (1 and true, a NaN and itself): its "no" is final.
        if element not in items:
            return False
        if type(element) is str:
            return True
    frame.charge(len(items))
    return any(equal(frame, element, item) for item in items)
