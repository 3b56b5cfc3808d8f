"""The syntax tree of an expression."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal as Choice
from typing import NamedTuple, TypeAlias, assert_never


class Position(NamedTuple):
    """Where a token begins; both 1-based, the column in characters."""

    line: int
    column: int


@dataclass(frozen=True, slots=True)
class Literal:
    """A constant, written or folded."""

    value: object
    at: Position


@dataclass(frozen=True, slots=True)
class Name:
    """A variable, of the activation or of a macro."""

    name: str
    at: Position


@dataclass(frozen=True, slots=True)
class Select:
    """``operand.field``."""

    operand: Node
    field: str
    at: Position


@dataclass(frozen=True, slots=True)
class Has:
    """``has(operand.field)``."""

    operand: Node
    field: str
    at: Position


@dataclass(frozen=True, slots=True)
class Index:
    """``operand[key]``."""

    operand: Node
    key: Node
    at: Position


@dataclass(frozen=True, slots=True)
class Items:
    """``[a, b]``."""

    items: tuple[Node, ...]
    at: Position


@dataclass(frozen=True, slots=True)
class Entries:
    """``{k: v}``."""

    entries: tuple[tuple[Node, Node], ...]
    at: Position


@dataclass(frozen=True, slots=True)
class Unary:
    """``!a`` or ``-a``."""

    operator: Choice["!", "-"]
    operand: Node
    at: Position


@dataclass(frozen=True, slots=True)
class Binary:
    """``a OP b`` of arithmetic, comparison and ``in``; ``at`` is the operator's place."""

    operator: str
    left: Node
    right: Node
    at: Position


@dataclass(frozen=True, slots=True)
class Logic:
    """``a && b && ...`` or ``a || b || ...``: one node for a chain of one operator, so long chains are not deep."""

    operator: Choice["&&", "||"]
    operands: tuple[Node, ...]
    at: Position


@dataclass(frozen=True, slots=True)
class Conditional:
    """``condition ? then : otherwise``."""

    condition: Node
    then: Node
    otherwise: Node
    at: Position


@dataclass(frozen=True, slots=True)
class Call:
    """``name(args)`` or, with a target, ``target.name(args)``."""

    name: str
    target: Node | None
    args: tuple[Node, ...]
    at: Position


@dataclass(frozen=True, slots=True)
class Macro:
    """``target.name(variable, body)``; ``condition`` is the middle argument of a three-argument ``map``."""

    name: str
    target: Node
    variable: str
    condition: Node | None
    body: Node
    at: Position


Node: TypeAlias = (
    Literal | Name | Select | Has | Index | Items | Entries | Unary | Binary | Logic | Conditional | Call | Macro
)


def children(node: Node) -> tuple[Node, ...]:  # noqa: C901 - one arm for each kind of node
    """The nodes directly below, in the text's order."""
    match node:
        case Literal() | Name():
            return ()
        case Select(operand) | Has(operand) | Unary(_, operand):
            return (operand,)
        case Index(operand, key):
            return operand, key
        case Items(items):
            return items
        case Entries(entries):
            return tuple(part for entry in entries for part in entry)
        case Binary(_, left, right):
            return left, right
        case Logic(_, operands):
            return operands
        case Conditional(condition, then, otherwise):
            return condition, then, otherwise
        case Call(_, target, args):
            return args if target is None else (target, *args)
        case Macro(_, target, _, condition, body):
            return (target, body) if condition is None else (target, condition, body)
        case _:
            assert_never(node)


def height(node: Node) -> int:
    """How many levels the tree has; without recursion, as it guards against recursion."""
    level: list[Node] = [node]
    levels = 0
    while level:
        levels += 1
        level = [child for parent in level for child in children(parent)]
    return levels
