"""What a response predicts: one or more columns, with one row per instance of the batch."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

from extproc.protocol.errors import NotPredictions
from extproc.protocol.leaves import MAX_DEPTH, NUMBERS, check_depth, leaves
from extproc.protocol.reading import array, first_byte, items_of, value_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from msgspec import Raw

Kind: TypeAlias = Literal["number", "label", "vector", "text"]
UNNAMED: Final = ""


@dataclass(frozen=True)
class Column:
    """One named list of rows; ``array`` is its JSON text.

    ``listed`` is false where the response holds a lone value: a batch of one. ``prose`` marks generated text.
    ``shape`` is a tensor's.
    """

    name: str
    array: Raw
    listed: bool = True
    prose: bool = False
    shape: tuple[int, ...] | None = None

    @cached_property
    def rows(self) -> list[Any]:
        """The rows' values, as nested as the response has them (a flat tensor: as its shape says)."""
        rows: list[Any] = value_of(self.array)
        return rows

    @cached_property
    def texts(self) -> list[Raw]:
        """The rows' exact texts."""
        return items_of(self.array, "the list of predictions")

    @property
    def unwrapped(self) -> list[Any]:
        """The rows' values, a list of one item as that item: a shape of [N, 1] says the same as [N]."""
        return [unwrap(row) for row in self.rows]


@dataclass(frozen=True)
class Predictions:
    """The columns of a response; only V2 has several, or names."""

    columns: tuple[Column, ...]

    def elements(self) -> list[Any]:
        """One value per instance of the batch; with several columns, an object by their names.

        Raises:
            NotPredictions: The columns have different numbers of rows, or a value cannot be read.
        """
        if len(self.columns) == 1:
            return self.columns[0].unwrapped
        if len({len(column.rows) for column in self.columns}) != 1:
            raise NotPredictions("the outputs have different first dimensions")
        names = [column.name for column in self.columns]
        rows = zip(*(column.unwrapped for column in self.columns), strict=True)
        return [dict(zip(names, row, strict=True)) for row in rows]

    def kind(self) -> Kind:
        """How two such predictions are compared, told from the elements."""
        if all(column.prose for column in self.columns):
            return "text"
        return kind_of(self.elements())


def column_of(text: Raw, name: str = UNNAMED) -> Column:
    """A column of a value: of its items when it is an array, else of itself alone."""
    listed = first_byte(text) == b"["
    return Column(name, text if listed else array((text,)), listed=listed)


def unwrap(value: Any) -> Any:
    """The item of a list of one item, level by level; else the value.

    Raises:
        NotPredictions: There are too many levels.
    """
    left = MAX_DEPTH
    while type(value) is list and len(value) == 1:
        check_depth(left)
        value, left = value[0], left - 1
    return value


def kind_of(elements: Sequence[Any]) -> Kind:
    """The kind of elements: numbers; lists or objects of numbers (vectors); anything else is a label."""
    types = set(map(type, elements))
    if types <= NUMBERS:
        return "number"
    if types.isdisjoint({list, dict}):
        return "label"
    return "vector" if _numeric(list(elements)) else "label"


def _numeric(elements: list[Any]) -> bool:
    try:
        leaves(elements)
    except NotPredictions:
        return False
    return True


def alone(rows: Raw) -> Raw:
    """The only row's text; the inverse of a lone value's column."""
    return items_of(rows, "the list of predictions")[0]
