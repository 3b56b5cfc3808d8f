"""Text to tokens. Lazy, so that a template can stop at the brace that ends its expression."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from extproc.expr import literals
from extproc.expr.errors import CompileError
from extproc.expr.limits import MAX_TEXT
from extproc.expr.syntax import Position

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_TOKEN: Final = re.compile(
    r'''
    (?P<space>(?:[ \t\n\f\r]++|//[^\n]*+)++)
  | (?P<bytes>(?:[bB][rR]?|[rR][bB])(?=["']))
  | (?P<string>
        [rR](?:"""(?:(?!""").)*+"""|\'\'\'(?:(?!\'\'\').)*+\'\'\'|"(?!"")[^"\n\r]*+"|'(?!\'\')[^'\n\r]*+')
      | """(?:\\.|(?!""")[^\\])*+"""|\'\'\'(?:\\.|(?!\'\'\')[^\\])*+\'\'\'
      | "(?!"")(?:\\[^\n\r]|[^"\\\n\r])*+"|'(?!\'\')(?:\\[^\n\r]|[^'\\\n\r])*+'
    )
  | (?P<double>(?:[0-9]++\.[0-9]++|\.[0-9]++)(?:[eE][+-]?[0-9]++)?+|[0-9]++[eE][+-]?[0-9]++)
  | (?P<integer>(?:0[xX][0-9a-fA-F]++|[0-9]++)[uU]?+)
  | (?P<name>[_a-zA-Z][_a-zA-Z0-9]*+)
  | (?P<symbol>&&|\|\||[<>=!]=|[-+*/%<>!?:.,()\[\]{}])
    ''',
    re.VERBOSE | re.DOTALL | re.ASCII,
)
_QUOTES: Final = re.compile(r"[rR]?[\"']")
_DECODE: Final[dict[str, Callable[[str], object]]] = {
    "string": literals.string,
    "double": literals.double,
    "integer": literals.integer,
}
_HINTS: Final = {
    "=": 'a lone "=" is no operator; equality is "=="',
    "&": 'a lone "&" is no operator; and is "&&"',
    "|": 'a lone "|" is no operator; or is "||"',
    "`": "names in backticks are outside the subset; index with a string instead",
}


@dataclass(frozen=True, slots=True)
class Token:
    """One token: ``kind`` is ``literal``, ``name``, ``end``, or the symbol itself."""

    kind: str
    text: str
    value: object
    at: Position
    start: int

    def __str__(self) -> str:
        return "the end of the text" if self.kind == "end" else f'"{self.text}"'


def start_position(text: str, offset: int) -> Position:
    """Line and column of an offset."""
    return Position(text.count("\n", 0, offset) + 1, offset - text.rfind("\n", 0, offset))


def tokenize(text: str, offset: int = 0) -> Iterator[Token]:
    """Yield the tokens from ``offset``, and an ``end`` token last.

    Raises:
        CompileError: a character or a literal that is none of CEL's, or a text longer than MAX_TEXT.
    """
    line, column = start_position(text, offset)
    start = offset
    while offset < len(text):
        at = Position(line, column)
        match = _TOKEN.match(text, offset)
        if match is None:
            raise _unknown(text, offset, at)
        if match.end() - start > MAX_TEXT:
            raise CompileError(f"an expression has at most {MAX_TEXT} characters", column, line)
        if match.lastgroup != "space":
            yield _token(match, text, at)
        offset = match.end()
        newlines = match[0].count("\n")
        line += newlines
        column = offset - text.rindex("\n", 0, offset) if newlines else column + len(match[0])
    yield Token("end", "", None, Position(line, column), offset)


def _token(match: re.Match[str], text: str, at: Position) -> Token:
    kind, content = match.lastgroup, match[0]
    if kind == "bytes":
        raise CompileError("bytes literals are outside the subset", at.column, at.line)
    decode = _DECODE.get(kind or "")
    if decode is None:
        return Token("name" if kind == "name" else content, content, None, at, match.start())
    if kind != "string" and text[match.end() : match.end() + 1].isidentifier():
        raise CompileError("a number does not run into a name", at.column + len(content), at.line)
    try:
        return Token("literal", content, decode(content), at, match.start())
    except literals.LiteralError as error:
        culprit = start_position(text, match.start() + error.offset)
        raise CompileError(error.message, culprit.column, culprit.line) from None


def _unknown(text: str, offset: int, at: Position) -> CompileError:
    if _QUOTES.match(text, offset):
        return CompileError("this string does not end", at.column, at.line)
    character = text[offset]
    return CompileError(_HINTS.get(character, f"unexpected character {character!r}"), at.column, at.line)
