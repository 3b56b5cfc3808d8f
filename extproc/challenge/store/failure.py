"""What went wrong with a store, told by what to do."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from sqlalchemy.exc import DBAPIError

from extproc.errors import ExtprocError

if TYPE_CHECKING:
    from sqlalchemy.exc import SQLAlchemyError


class StoreError(ExtprocError):
    """A store could not be opened, read or written. The message says what to do.

    Of a call that raised, either everything is in the store or nothing: the same call may be made again.
    """


class Raced(StoreError):  # noqa: N818 - the other one has won; nobody failed
    """Another transaction came in between, and nothing of this one is in the store: it can be run again at once."""


_RACED = frozenset(["40001", "40P01"])  # serialization_failure and deadlock_detected: PostgreSQL, Appendix A
_ADVICE = (
    ("database is locked", "another process is writing to it for long; only one supervisor may use a state folder"),
    ("database or disk is full", "make room on its disk"),
    ("No space left on device", "make room on the server's disk"),
    ("disk I/O error", "its disk fails or is full"),
    ("readonly database", "its file and folder must be writable"),
    ("unable to open database file", "its file and folder must be writable"),
    ("is not a database", "the file is something else or damaged; move it away to begin a new store"),
    ("malformed", "the file is damaged; move it away to begin a new store"),
    ("permission denied", "the database user must own or create tables there"),
    ("password authentication failed", "check user and password in the store's URL"),
    ("FATAL.*does not exist", "create what is missing on the server, or correct the store's URL"),
    ("connection", "check that the server runs and can be reached from here"),
)


def failure(error: SQLAlchemyError, store: str) -> StoreError:
    """Return what to raise for the library's error; ``store`` is the store's URL without its password."""
    if isinstance(error, DBAPIError) and getattr(error.orig, "sqlstate", None) in _RACED:
        return Raced(f"the store {store}: other writers came in between too often; try again")
    said = _first_line(error)
    advice = next((advice for pattern, advice in _ADVICE if re.search(pattern, said)), "see its server's or disk's log")
    return StoreError(f"the store {store}: {said}: {advice}")


def _first_line(error: SQLAlchemyError) -> str:
    """The driver's own words, without the statement and what PostgreSQL says of a row's values."""
    cause = error.orig if isinstance(error, DBAPIError) else error
    return (str(cause).strip() or type(cause).__name__).splitlines()[0]
