"""Rows put in, whether or not their keys are there already: the one thing that dialects spell by themselves."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any, TypeAlias

from sqlalchemy import ColumnElement, case
from sqlalchemy.dialects import postgresql, sqlite

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from sqlalchemy import Connection, Table

Row: TypeAlias = "Mapping[str, Any]"
Change: TypeAlias = "Callable[[Any], dict[str, Any]]"
"""From the columns of the row that was to be put in to the changes of the row that is there."""

_INSERT: dict[str, Any] = {"sqlite": sqlite.insert, "postgresql": postgresql.insert}


def put_new(connection: Connection, table: Table, rows: Sequence[Row]) -> int:
    """Insert the rows whose keys are not there; the first of two rows wins. Return how many were inserted."""
    if not rows:
        return 0
    return connection.execute(_new(connection.dialect.name, table), rows).rowcount


def put_new_returning(connection: Connection, table: Table, rows: Sequence[Row], column: str) -> set[Any]:
    """Insert the rows whose keys are not there; return what those hold in a column."""
    if not rows:
        return set()
    statement = _new(connection.dialect.name, table).returning(table.c[column])
    return set(connection.execute(statement, rows).scalars())


def put(connection: Connection, table: Table, rows: Sequence[Row], change: Change) -> None:
    """Insert rows, and change those that are there already, one after the other. ``change`` is a module's function."""
    if rows:
        connection.execute(_changing(connection.dialect.name, table, change), rows)


def larger(one: ColumnElement[Any], other: ColumnElement[Any]) -> ColumnElement[Any]:
    """Return the larger of two values that are not null; the databases' own functions have different names."""
    return case((one >= other, one), else_=other)


@cache  # building a statement costs as much as running it
def _new(dialect: str, table: Table) -> Any:
    return _INSERT[dialect](table).on_conflict_do_nothing().execution_options(preserve_rowcount=True)


@cache
def _changing(dialect: str, table: Table, change: Change) -> Any:
    insert = _INSERT[dialect](table)
    return insert.on_conflict_do_update(index_elements=list(table.primary_key), set_=change(insert.excluded))
