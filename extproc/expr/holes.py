"""A template's string as its parts: literal text, and the expressions in ``${...}``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from extproc.expr.errors import CompileError
from extproc.expr.program import Program, compile_tokens
from extproc.expr.tokens import Token, start_position, tokenize

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from extproc.expr.syntax import Position


def split(text: str, variables: Collection[str]) -> list[str | Program]:
    """Literal texts and programs in the order of ``text``; ``$${`` is a literal ``${``.

    Raises:
        CompileError: with line and column within ``text``.
    """
    parts: list[str | Program] = []
    literal, offset = "", 0
    while (found := text.find("${", offset)) >= 0:
        if found > offset and text[found - 1] == "$":
            literal += text[offset : found - 1] + "${"
            offset = found + 2
            continue
        literal += text[offset:found]
        tokens = list(_hole(text, found + 2, start_position(text, found)))
        closing = tokens[-1].start
        if literal:
            parts.append(literal)
        parts.append(compile_tokens(text[found + 2 : closing].strip(), tokens, variables))
        literal, offset = "", closing + 1
    rest = literal + text[offset:]
    return [*parts, rest] if rest else parts


def _hole(text: str, offset: int, opening: Position) -> Iterator[Token]:
    """The tokens up to the brace that closes the hole, and an ``end`` token in its place."""
    open_braces = 0
    for token in tokenize(text, offset):
        if token.kind == "}" and not open_braces:
            yield Token("end", "}", None, token.at, token.start)
            return
        if token.kind == "end":
            raise CompileError('this "${" is not closed by a "}"', opening.column, opening.line)
        open_braces += (token.kind == "{") - (token.kind == "}")
        yield token
