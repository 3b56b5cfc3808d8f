"""Templates: JSON values whose strings hold ``${EXPR}``."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

from extproc.expr.access import Record
from extproc.expr.errors import CompileError, EvaluationError
from extproc.expr.frame import Frame
from extproc.expr.holes import split
from extproc.expr.limits import MAX_DEPTH, MAX_TEMPLATE_VALUES
from extproc.expr.program import Program
from extproc.expr.text import json_text, plain, plain_part

if TYPE_CHECKING:
    from extproc.expr.check import Path

Fill: TypeAlias = Callable[[Mapping[str, object], Frame], object]
Place: TypeAlias = tuple[str | int, ...]


@dataclass(frozen=True, slots=True, repr=False)
class Template:
    """A template ready to be filled.

    Attributes:
        reads: the variable paths its expressions mention, as in Program.
        constant: nothing in it depends on the activation.
    """

    reads: frozenset[Path]
    constant: bool
    _fill: Fill = field(compare=False)

    def __call__(self, activation: Mapping[str, object]) -> object:
        """Fill the template: a JSON value, parts of which may be parts of the activation; do not change it.

        The expressions share one STEP_BUDGET.

        Raises:
            EvaluationError: an expression has no value, or one that is no JSON. What a Record raises besides KeyError
                passes unchanged.
        """
        return self._fill(activation, Frame())

    def __repr__(self) -> str:
        state = "constant" if self.constant else f"reads={sorted('.'.join(path) for path in self.reads)}"
        return f"<Template {state}>"


def compile_template(value: object, variables: Collection[str]) -> Template:
    """Compile a YAML or JSON value whose strings may hold ``${EXPR}``; keys are literal text.

    Raises:
        CompileError: with ``path`` to the string, and line and column within it; or the value is no JSON value.
    """
    builder = _Builder(variables)
    fill = builder.build(value, ())
    return Template(frozenset(builder.reads), isinstance(fill, _Known), fill)


@dataclass(frozen=True, slots=True)
class _Known:
    """A part without expressions."""

    value: object

    def __call__(self, _activation: Mapping[str, object], _frame: Frame) -> object:
        return self.value


class _Builder:
    def __init__(self, variables: Collection[str]) -> None:
        self.variables = variables
        self.reads: set[Path] = set()
        self.values = 0

    def build(self, value: object, path: Place) -> Fill:
        """The filler of a value that stands at ``path``."""
        self.values += 1
        if self.values > MAX_TEMPLATE_VALUES:
            raise CompileError(f"a template has at most {MAX_TEMPLATE_VALUES} values", 1, path=path)
        if len(path) > MAX_DEPTH:
            raise CompileError(f"the template is nested deeper than {MAX_DEPTH} levels", 1, path=path)
        match value:
            case str():
                return self.string(value, path)
            case dict():
                return self.mapping(value, path)
            case list():
                return _sequence([self.build(item, (*path, index)) for index, item in enumerate(value)])
            case None | bool() | int():
                return _Known(value)
            case float() if math.isfinite(value):
                return _Known(value)
        raise CompileError(f"a template holds JSON values only, no {type(value).__name__}", 1, path=path)

    def mapping(self, value: dict[object, object], path: Place) -> Fill:
        fills: dict[str, Fill] = {}
        for key, item in value.items():
            if not isinstance(key, str):
                raise CompileError("a template's keys are strings; put this one in quotes", 1, path=path)
            fills[key] = self.build(item, (*path, key))
        return _mapping(fills)

    def string(self, text: str, path: Place) -> Fill:
        try:
            parts = split(text, self.variables)
        except CompileError as error:
            error.path = path
            raise
        programs = [part for part in parts if isinstance(part, Program)]
        self.reads.update(*(program.reads for program in programs))
        if not programs:
            return _Known("".join(map(str, parts)))
        fill = _typed(programs[0]) if len(parts) == 1 else _interpolated(parts)
        return _folded(fill) if all(program.constant for program in programs) else fill


def _typed(program: Program) -> Fill:
    finish = plain_part if program.borrowed else plain
    path = program.path

    def fill(activation: Mapping[str, object], frame: Frame) -> object:
        moved = NotImplemented if path is None else _moved(activation, path)
        return finish(program.within(activation, frame)) if moved is NotImplemented else moved

    return fill


def _moved(activation: Mapping[str, object], path: Path) -> object:
    """What a record on the way hands on as it was; NotImplemented where none does."""
    value: object = activation
    for index, key in enumerate(path):
        if isinstance(value, Record):
            return value.move(path[index:])
        if not isinstance(value, Mapping) or key not in value:
            return NotImplemented
        value = value[key]
    return NotImplemented


def _interpolated(parts: list[str | Program]) -> Fill:
    def fill(activation: Mapping[str, object], frame: Frame) -> object:
        return "".join(part if isinstance(part, str) else _inserted(part, activation, frame) for part in parts)

    return fill


def _folded(fill: Fill) -> Fill:
    """The value of a part that depends on no variable, or the part itself where there is no value."""
    try:
        return _Known(fill({}, Frame()))
    except EvaluationError:
        return fill


def _inserted(program: Program, activation: Mapping[str, object], frame: Frame) -> str:
    value = program.within(activation, frame)
    if type(value) is str:
        frame.charge_bulk(len(value))
        return value
    return json_text(plain_part(value) if program.borrowed else plain(value))


def _sequence(fills: list[Fill]) -> Fill:
    known = [fill.value for fill in fills if isinstance(fill, _Known)]
    if len(known) == len(fills):
        return _Known(known)
    return lambda activation, frame: [fill(activation, frame) for fill in fills]


def _mapping(fills: dict[str, Fill]) -> Fill:
    known = {key: fill.value for key, fill in fills.items() if isinstance(fill, _Known)}
    if len(known) == len(fills):
        return _Known(known)
    return lambda activation, frame: {key: fill(activation, frame) for key, fill in fills.items()}
