"""Regular expressions: CEL's are RE2's, whose matching takes time linear in the text."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Final

import re2

from extproc.expr.errors import EvaluationError
from extproc.expr.limits import REGEX_MEMORY

Search = Callable[[str], bool]

_NOT_UNICODE: Final = "matches() reads text that is not valid Unicode"


def problem(pattern: str) -> str | None:
    """Why ``pattern`` is no regular expression; None when it is one."""
    try:
        _compile(pattern)
    except re2.error as error:
        return _reason(error)
    except UnicodeEncodeError:
        return "not valid Unicode"
    return None


# As many as re2's own cache of patterns; a pattern that comes from data is usually the same one again.
@lru_cache(maxsize=128)
def searcher(pattern: str) -> Search:
    """A function that tells whether a text contains a match of ``pattern``.

    Raises:
        EvaluationError: not a regular expression of RE2, or one too large.
    """
    try:
        search = _compile(pattern)
    except (re2.error, UnicodeEncodeError):
        raise EvaluationError("matches() got text that is not a regular expression of RE2") from None

    def matches(text: str) -> bool:
        try:
            return search(text.encode()) is not None
        except UnicodeEncodeError:
            raise EvaluationError(_NOT_UNICODE) from None

    return matches


def _compile(pattern: str) -> Callable[[bytes], object]:
    options = re2.Options()
    options.log_errors = False
    options.max_mem = REGEX_MEMORY
    # Groups are of no use to matches(), and RE2 is several times faster when it need not find them.
    options.never_capture = True
    # Bytes, because re2 otherwise translates the offsets of every match back to characters.
    search: Callable[[bytes], object] = re2.compile(pattern.encode(), options).search
    return search


def _reason(error: Exception) -> str:
    reason = error.args[0] if error.args else "invalid"
    return reason.decode(errors="replace") if isinstance(reason, bytes) else str(reason)
