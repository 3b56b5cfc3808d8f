"""What the loader says to a graph's author: file, line, column, path in the document, message."""

from __future__ import annotations

import difflib
import json
import re
from typing import TYPE_CHECKING, Literal, TypeAlias

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterable

Path: TypeAlias = tuple[str | int, ...]
Severity: TypeAlias = Literal["error", "warning"]

PLAIN_KEY = re.compile(r"[A-Za-z0-9_-]+")

MAX_QUOTED = 60
"""Characters of the author's own text that a message repeats: a line of a terminal holds it."""

MAX_CANDIDATES = 500
"""Names looked at for a "did you mean": difflib costs some 10 µs each, and a long list of problems must stay quick."""


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """One error or warning; ``line`` and ``column`` count from 1, ``str()`` is what ``extproc check`` prints."""

    severity: Severity = "error"
    file: str
    line: int = 1
    column: int = 1
    path: str = ""
    message: str

    def __str__(self) -> str:
        """Like ``graphs/fraud.yaml:14:9: spec.timeout: a duration needs a unit``."""
        place = f"{self.file}:{self.line}:{self.column}: "
        return f"{place}{self.path}: {self.message}" if self.path else f"{place}{self.message}"


def show_path(path: Path) -> str:
    """A path as in ``spec.nodes.root.split.routes[1].to``; unusual keys are quoted: ``spec.models["a.b"]``."""
    return "".join(_step(part) for part in path).removeprefix(".")


def _step(part: str | int) -> str:
    if isinstance(part, int):
        return f"[{part}]"
    return f".{part}" if PLAIN_KEY.fullmatch(part) else f"[{quote(part)}]"


def quote(text: str) -> str:
    """The author's own text for a message: in quotes, shortened, on one line, without control characters."""
    short = text if len(text) <= MAX_QUOTED else text[: MAX_QUOTED - 1] + "…"
    quoted = json.dumps(short, ensure_ascii=False)
    return "".join(char if char.isprintable() else f"\\u{ord(char):04x}" for char in quoted)


def nearest(word: str, known: Iterable[str]) -> str | None:
    """The known word that was probably meant."""
    few = [name for name in known if abs(len(name) - len(word)) <= max(2, len(word) // 2)][:MAX_CANDIDATES]
    lowered = {name.lower(): name for name in few}
    found = difflib.get_close_matches(word.lower()[:MAX_QUOTED], lowered, n=1, cutoff=0.6)
    return lowered[found[0]] if found else None


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """``; did you mean "x"?`` or nothing."""
    guess = nearest(word, known)
    return f"; did you mean {quote(guess)}?" if guess else ""
