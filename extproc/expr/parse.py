"""Tokens to syntax tree: CEL's grammar. Brackets recurse, operators do not, and both have a depth limit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NoReturn

from extproc.expr.errors import CompileError
from extproc.expr.limits import MAX_DEPTH
from extproc.expr.syntax import (
    Binary,
    Call,
    Conditional,
    Entries,
    Has,
    Index,
    Items,
    Literal,
    Logic,
    Macro,
    Name,
    Node,
    Position,
    Select,
    Unary,
    height,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from extproc.expr.tokens import Token

# The names CEL keeps for host languages; they may be fields but not variables or functions.
# fmt: off
RESERVED: Final = frozenset({
    "as", "break", "const", "continue", "else", "for", "function", "if", "import", "let", "loop", "package",
    "namespace", "return", "var", "void", "while",
})
# fmt: on
_CONSTANTS: Final = {"true": True, "false": False, "null": None}
# Operators by how tightly they bind; all associate to the left.
_BINDING: Final = {
    "||": 1,
    "&&": 2,
    **dict.fromkeys(("<", "<=", ">", ">=", "==", "!=", "in"), 3),
    **dict.fromkeys(("+", "-"), 4),
    **dict.fromkeys(("*", "/", "%"), 5),
}
# Macros of a list or map, with how many arguments they take.
MACROS: Final = {"all": (2,), "exists": (2,), "exists_one": (2,), "filter": (2,), "map": (2, 3)}


def parse(tokens: Iterable[Token]) -> Node:
    """Parse the whole of ``tokens``, the last of which is the ``end`` token.

    Raises:
        CompileError: no expression, or one nested deeper than MAX_DEPTH.
    """
    parser = _Parser(list(tokens))
    node = parser.whole()
    if height(node) > MAX_DEPTH:
        parser.fail_depth(node.at)
    return node


class _Parser:
    """A cursor over tokens. ``depth`` counts the brackets and conditionals that are open."""

    def __init__(self, tokens: list[Token]) -> None:
        self.tokens = tokens
        self.next = 0
        self.depth = 0

    @property
    def token(self) -> Token:
        return self.tokens[self.next]

    def take(self) -> Token:
        token = self.tokens[self.next]
        self.next += 1
        return token

    def accept(self, kind: str) -> bool:
        found = self.tokens[self.next].kind == kind
        self.next += found
        return found

    def expect(self, kind: str, where: str) -> None:
        if not self.accept(kind):
            self.fail(f'expected "{kind}" {where}, found {self.token}')

    def fail(self, message: str, at: Position | None = None) -> NoReturn:
        raise _error(message, at or self.token.at)

    def fail_depth(self, at: Position) -> NoReturn:
        self.fail(f"the expression is nested deeper than {MAX_DEPTH} levels", at)

    def whole(self) -> Node:
        node = self.expression()
        if self.token.kind != "end":
            self.fail(f"expected the end of the expression, found {self.token}")
        return node

    def expression(self) -> Node:
        if self.depth >= MAX_DEPTH:
            self.fail_depth(self.token.at)
        self.depth += 1
        node = self.operators()
        at = self.token.at
        if self.accept("?"):
            then = self.operators()
            self.expect(":", "between the two values of ?:")
            node = Conditional(node, then, self.expression(), at)
        self.depth -= 1
        return node

    def operators(self) -> Node:
        operands = [self.unary()]
        pending: list[Token] = []
        while binding := self.binding():
            while pending and _BINDING[pending[-1].text] >= binding:
                _reduce(operands, pending)
            pending.append(self.take())
            operands.append(self.unary())
        while pending:
            _reduce(operands, pending)
        return operands[0]

    def binding(self) -> int:
        token = self.token
        return 0 if token.kind == "literal" else _BINDING.get(token.text, 0)

    def unary(self) -> Node:
        prefixes: list[Token] = []
        while self.token.kind in {"!", "-"}:
            prefixes.append(self.take())
        node = self.member(self.primary())
        for prefix in reversed(prefixes):
            node = Unary("!" if prefix.kind == "!" else "-", node, prefix.at)
        return node

    def member(self, node: Node) -> Node:
        while True:
            at = self.token.at
            if self.accept("."):
                node = self.selection(node)
            elif self.accept("["):
                node = Index(node, self.expression(), at)
                self.expect("]", "after the index")
            else:
                return node

    def selection(self, operand: Node) -> Node:
        token = self.take()
        if token.kind != "name" or token.text == "in" or token.text in _CONSTANTS:
            self.fail(f"expected a field's name, found {token}", token.at)
        if not self.accept("("):
            return Select(operand, token.text, token.at)
        args = self.listed(")")
        if token.text in MACROS:
            return self.macro(operand, token, args)
        return Call(token.text, operand, args, token.at)

    def primary(self) -> Node:
        token = self.take()
        match token.kind:
            case "literal":
                return Literal(token.value, token.at)
            case "name":
                return self.named(token)
            case "(":
                return self.bracketed()
            case "[":
                return Items(self.listed("]"), token.at)
            case "{":
                return Entries(self.entries(), token.at)
        wanted = "an expression is missing" if token.kind == "end" else f"expected a value, found {token}"
        raise _error(wanted, token.at)

    def bracketed(self) -> Node:
        node = self.expression()
        self.expect(")", "to close the bracket")
        return node

    def named(self, token: Token) -> Node:
        name = token.text
        if name in _CONSTANTS:
            return Literal(_CONSTANTS[name], token.at)
        if name in RESERVED or name == "in":
            self.fail(f'"{name}" is a reserved word of CEL', token.at)
        if not self.accept("("):
            return Name(name, token.at)
        args = self.listed(")")
        return self.has(token, args) if name == "has" else Call(name, None, args, token.at)

    def has(self, token: Token, args: tuple[Node, ...]) -> Node:
        if len(args) != 1 or not isinstance(args[0], Select):
            self.fail("has() takes one field selection, as in has(a.b)", args[0].at if args else token.at)
        return Has(args[0].operand, args[0].field, args[0].at)

    def macro(self, target: Node, token: Token, args: tuple[Node, ...]) -> Node:
        counts = MACROS[token.text]
        if len(args) not in counts:
            expected = " or ".join(map(str, counts))
            self.fail(f"{token.text}() takes {expected} arguments, not {len(args)}", token.at)
        variable, *condition, body = args
        if not isinstance(variable, Name):
            self.fail(f"the first argument of {token.text}() is the name of its variable", variable.at)
        return Macro(token.text, target, variable.name, condition[0] if condition else None, body, token.at)

    def listed(self, closing: str) -> tuple[Node, ...]:
        items: list[Node] = []
        while not self.accept(closing):
            items.append(self.expression())
            if not self.accept(","):
                self.expect(closing, "or a comma")
                break
            if closing == ")" and self.token.kind == ")":
                self.fail("expected an argument after the comma")
        return tuple(items)

    def entries(self) -> tuple[tuple[Node, Node], ...]:
        entries: list[tuple[Node, Node]] = []
        while not self.accept("}"):
            key = self.expression()
            self.expect(":", "after a map's key")
            entries.append((key, self.expression()))
            if not self.accept(","):
                self.expect("}", "or a comma")
                break
        return tuple(entries)


def _error(message: str, at: Position) -> CompileError:
    return CompileError(message, at.column, at.line)


def _reduce(operands: list[Node], pending: list[Token]) -> None:
    """Replace the last two operands by the node of the last operator."""
    operator, right, left = pending.pop(), operands.pop(), operands.pop()
    if operator.text in {"||", "&&"}:
        same = isinstance(left, Logic) and left.operator == operator.text
        operands.append(
            Logic(
                "||" if operator.text == "||" else "&&",
                (*left.operands, right) if isinstance(left, Logic) and same else (left, right),
                operator.at,
            )
        )
    else:
        operands.append(Binary(operator.text, left, right, operator.at))
