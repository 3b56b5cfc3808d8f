"""A compiled expression."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from extproc.expr.check import Path, check, static_path
from extproc.expr.compile import Builder
from extproc.expr.frame import UNMETERED, Evaluate, Frame
from extproc.expr.parse import parse
from extproc.expr.special import Constant
from extproc.expr.syntax import Index, Name, Node, Select
from extproc.expr.tokens import Token, tokenize

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping


@dataclass(frozen=True, slots=True, repr=False)
class Program:
    """An expression ready to be evaluated.

    Attributes:
        text: the expression as it was written.
        reads: the variable paths it mentions, as far as their keys are constants: ``request.headers["x"][i]`` is
            ``("request", "headers", "x")``. Variables of macros are not among them.
        path: where the whole expression is such a path, that one.
    """

    text: str
    reads: frozenset[Path]
    path: Path | None
    _evaluate: Evaluate = field(compare=False)
    _loops: int = field(compare=False)
    _metered: bool = field(compare=False)
    _borrowed: bool = field(compare=False)

    def __call__(self, activation: Mapping[str, object]) -> object:
        """Evaluate. The value may be a part of the activation: do not change it.

        Raises:
            EvaluationError: there is no value, or STEP_BUDGET is used up. What a Record raises besides KeyError
                passes unchanged.
        """
        return self._evaluate(activation, Frame(self._loops) if self._metered else UNMETERED)

    def within(self, activation: Mapping[str, object], frame: Frame) -> object:
        """Evaluate as a part of something larger that has one budget for all."""
        if len(frame.loops) < self._loops:
            frame.loops = [None] * self._loops
        return self._evaluate(activation, frame)

    @property
    def constant(self) -> bool:
        """Whether the value was known when the expression was compiled."""
        return isinstance(self._evaluate, Constant)

    @property
    def borrowed(self) -> bool:
        """Whether the value is always a part of the activation, never made by the expression."""
        return self._borrowed

    def __repr__(self) -> str:
        return f"<Program {self.text!r}>"


def compile_expression(text: str, variables: Collection[str]) -> Program:
    """Compile an expression that may use ``variables``.

    Raises:
        CompileError: with line and column of the culprit.
    """
    return compile_tokens(text, tokenize(text), variables)


def compile_tokens(text: str, tokens: Iterable[Token], variables: Collection[str]) -> Program:
    """Compile tokens, which may stand within a longer text: their positions are kept."""
    tree = parse(tokens)
    reads = check(tree, variables)
    builder = Builder(tree)
    closure = builder.build(tree)
    return Program(text, reads, _path(tree), closure, builder.loops, builder.metered, _is_path(tree))


def _is_path(node: Node) -> bool:
    while isinstance(node, Select | Index):
        node = node.operand
    return isinstance(node, Name)


def _path(tree: Node) -> Path | None:
    found = static_path(tree)
    return None if found is None else (found[0].name, *found[1])
