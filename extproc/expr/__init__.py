"""The CEL subset and templates: text to closures."""

from extproc.expr.access import Record
from extproc.expr.errors import BudgetExceededError, CompileError, EvaluationError
from extproc.expr.limits import (
    MAX_DEPTH,
    MAX_INT_BITS,
    MAX_TEXT,
    STEP_BUDGET,
)
from extproc.expr.program import Program, compile_expression
from extproc.expr.template import Template, compile_template
from extproc.expr.text import text_of

__all__ = [
    "MAX_DEPTH",
    "MAX_INT_BITS",
    "MAX_TEXT",
    "STEP_BUDGET",
    "BudgetExceededError",
    "CompileError",
    "EvaluationError",
    "Program",
    "Record",
    "Template",
    "compile_expression",
    "compile_template",
    "text_of",
]
