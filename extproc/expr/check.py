"""Names, functions and arguments: what can be known to be wrong before any request, and what is read."""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING, NoReturn

from extproc.expr import patterns
from extproc.expr.errors import CompileError
from extproc.expr.functions import FUNCTIONS
from extproc.expr.parse import MACROS
from extproc.expr.syntax import Call, Has, Index, Literal, Macro, Name, Node, Position, Select, children

if TYPE_CHECKING:
    from collections.abc import Collection

Path = tuple[str, ...]


def check(node: Node, variables: Collection[str]) -> frozenset[Path]:
    """Check a tree and return the variable paths it mentions.

    Raises:
        CompileError: an unknown variable or function, wrong arguments, a constant regex that is none.
    """
    checker = _Checker(variables)
    checker.visit(node, frozenset())
    return frozenset(checker.reads)


def static_path(node: Node) -> tuple[Name, Path] | None:
    """The root and the constant keys of ``root.a["b"]``; None for anything else."""
    keys: list[str] = []
    while not isinstance(node, Name):
        match node:
            case Select(operand, key) | Index(operand, Literal(str(key))):
                keys.append(key)
                node = operand
            case _:
                return None
    return node, tuple(reversed(keys))


class _Checker:
    def __init__(self, variables: Collection[str]) -> None:
        self.variables = variables
        self.reads: set[Path] = set()

    def visit(self, node: Node, bound: frozenset[str]) -> None:
        """Check one node and those below; ``bound`` are the macro variables in sight."""
        path = static_path(Select(node.operand, node.field, node.at) if isinstance(node, Has) else node)
        if path is not None:
            self.read(*path, bound)
            return
        if isinstance(node, Call):
            self.call(node)
        if isinstance(node, Macro):
            self.visit(node.target, bound)
            inside = bound | {node.variable}
            for part in (node.condition, node.body):
                if part is not None:
                    self.visit(part, inside)
            return
        for child in children(node):
            self.visit(child, bound)

    def read(self, root: Name, keys: Path, bound: frozenset[str]) -> None:
        if root.name in bound:
            return
        if root.name not in self.variables:
            known = sorted({*self.variables, *bound})
            _fail(f'no variable named "{root.name}"' + _suggestion(root.name, known), root.at)
        self.reads.add((root.name, *keys))

    def call(self, node: Call) -> None:
        function = FUNCTIONS.get(node.name)
        if function is None:
            if node.target is None and node.name in MACROS:
                _fail(f"{node.name}() is called on a list or map, as in x.{node.name}(...)", node.at)
            known = [*FUNCTIONS, "has", *MACROS]
            _fail(f'no function named "{node.name}"' + _suggestion(node.name, known), node.at)
        if node.target is None and not function.plain:
            _fail(f"{node.name}() is called on a value, as in x.{node.name}(...)", node.at)
        if node.target is not None and not function.method:
            _fail(f"{node.name}() is not called on a value but as {node.name}(x)", node.at)
        given = len(node.args)
        expected = function.arity - (node.target is not None)
        if given != expected:
            plural = "" if expected == 1 else "s"
            _fail(f"{node.name}() takes {expected} argument{plural}, not {given}", node.at)
        if node.name == "matches":
            _check_pattern(node.args[-1])


def _check_pattern(node: Node) -> None:
    if not isinstance(node, Literal) or not isinstance(node.value, str):
        return
    problem = patterns.problem(node.value)
    if problem:
        _fail(f"not a regular expression of RE2: {problem}", node.at)


def _suggestion(name: str, known: Collection[str]) -> str:
    close = get_close_matches(name, known, n=1, cutoff=0.6)
    return f'; did you mean "{close[0]}"?' if close else ""


def _fail(message: str, at: Position) -> NoReturn:
    raise CompileError(message, at.column, at.line)
