"""Syntax tree to closures: constants folded, variable paths and comparisons with constants specialised."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Final, assert_never

from extproc.expr import access, arithmetic, functions, logic, macros, paths, patterns, special, values
from extproc.expr.check import static_path
from extproc.expr.construct import entries, items
from extproc.expr.errors import EvaluationError
from extproc.expr.frame import Evaluate, Frame
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
    children,
)

if TYPE_CHECKING:
    from collections.abc import Callable

_BINARY: Final[dict[str, Callable[..., object]]] = {
    "==": values.equal,
    "!=": values.not_equal,
    "<": values.less,
    "<=": values.less_or_equal,
    ">": values.greater,
    ">=": values.greater_or_equal,
    "in": access.contained,
    "+": arithmetic.add,
    "-": arithmetic.subtract,
    "*": arithmetic.multiply,
    "/": arithmetic.divide,
    "%": arithmetic.remainder,
}
# Steps that folding one constant may take: compiling a graph must not be slow either.
_FOLD_STEPS: Final = 10_000


class Builder:
    """Builds the closures of one expression.

    Attributes:
        metered: whether something was built that charges the frame.
        loops: how many levels of macros there are.
    """

    def __init__(self, root: Node) -> None:
        self.metered = False
        self.loops = 0
        self.slots: dict[str, int] = {}
        self.depth = 0
        self.constants: set[int] = set()
        self._find_constants(root)

    def _find_constants(self, node: Node) -> bool:
        """Remember the nodes that mention no variable."""
        found = [self._find_constants(child) for child in children(node)]  # all of them, whatever the first says
        if all(found) and not isinstance(node, Name | Macro):
            self.constants.add(id(node))
            return True
        return False

    def build(self, node: Node) -> Evaluate:
        """The closure of a node; a Constant when it can be known now."""
        if id(node) not in self.constants:
            return self._closure(node)
        metered = self.metered
        closure = self._closure(node)
        try:
            value = closure({}, Frame(steps=_FOLD_STEPS))
        except EvaluationError:
            return closure
        self.metered = metered
        return special.Constant(value)

    def _build_all(self, nodes: tuple[Node, ...]) -> tuple[Evaluate, ...]:
        return tuple(self.build(node) for node in nodes)

    def _closure(self, node: Node) -> Evaluate:  # noqa: C901, PLR0912 - one arm for each kind of node
        path = static_path(node)
        if path is not None:
            return self._path(path[0], path[1], node.at)
        match node:
            case Literal(value):
                return special.Constant(value)
            case Select(operand, field, at):
                return special.apply(access.index, (self.build(operand), special.Constant(field)), at)
            case Has(operand, field, at):
                return special.apply(access.has, (self.build(operand), special.Constant(field)), at)
            case Index(operand, key, at):
                return special.apply(access.index, (self.build(operand), self.build(key)), at)
            case Items(nodes):
                return items(self._build_all(nodes))
            case Entries(pairs, at):
                return entries(tuple((self.build(key), self.build(value)) for key, value in pairs), at)
            case Unary("!", operand, at):
                return logic.negation(self.build(operand), at)
            case Unary(_, operand, at):
                return special.apply(arithmetic.negate, (self.build(operand),), at)
            case Logic(operator, operands, at):
                return logic.chain(self._build_all(operands), operator, at)
            case Conditional(condition, then, otherwise, at):
                return logic.conditional(self.build(condition), self.build(then), self.build(otherwise), at)
            case Binary(operator, left, right, at):
                return self._binary(operator, self.build(left), self.build(right), at)
            case Call():
                return self._call(node)
            case Macro():
                return self._macro(node)
            case Name():
                raise AssertionError("a name is a path")
            case _:
                assert_never(node)

    def _path(self, root: Name, keys: tuple[str, ...], at: Position) -> Evaluate:
        slot = self.slots.get(root.name)
        if slot is None:
            return paths.variable_path(root.name, keys, at)
        return paths.loop_path(slot, keys, at)

    def _binary(self, operator: str, left: Evaluate, right: Evaluate, at: Position) -> Evaluate:
        closure = special.compared(operator, left, right, at)
        if closure is not None:
            return closure
        self.metered = True
        return special.apply(_BINARY[operator], (left, right), at)

    def _call(self, node: Call) -> Evaluate:
        args = self._build_all(node.args if node.target is None else (node.target, *node.args))
        name, at = node.name, node.at
        self.metered = self.metered or name != "size"
        if name == "matches" and isinstance(args[1], special.Constant) and type(args[1].value) is str:
            with suppress(EvaluationError):  # the evaluation will say so
                search = special.Constant(patterns.searcher(args[1].value))
                return special.apply(functions.matches_constant, (args[0], search), at)
        return special.apply(functions.FUNCTIONS[name].run, args, at)

    def _macro(self, node: Macro) -> Evaluate:
        self.metered = True
        target = self.build(node.target)
        outer, slot = self.slots, self.depth
        self.slots, self.depth = {**outer, node.variable: slot}, slot + 1
        self.loops = max(self.loops, self.depth)
        condition = None if node.condition is None else self.build(node.condition)
        body = self.build(node.body)
        self.slots, self.depth = outer, slot
        weight = _weight(node.body) + (0 if node.condition is None else _weight(node.condition))
        return macros.MACROS[node.name](macros.Loop(node.name, target, slot, condition, body, weight, node.at))


def _weight(body: Node) -> int:
    """Steps of one turn: the nodes that do something; an inner macro's turns are charged when they are made."""
    if isinstance(body, Literal):
        return 1
    below = children(body)[:1] if isinstance(body, Macro) else children(body)
    return 1 + sum(_weight(child) for child in below if not isinstance(child, Literal))
