"""Loading the graphs a command was given, or ending with every problem told."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Console
from rich.text import Text

from extproc.graph import load
from extproc.plan.compile import compile_graph

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from extproc.graph import Graph, Problem
    from extproc.plan.plan import Plan

FAILED = 1


def show(problems: Iterable[Problem]) -> None:
    """Print problems to standard error, one a line, coloured for a terminal."""
    console = Console(stderr=True, soft_wrap=True, highlight=False)
    for problem in problems:
        style = "red" if problem.severity == "error" else "yellow"
        line = Text(str(problem))
        line.stylize(style, len(str(problem)) - len(problem.message))
        console.print(line)


def load_plans(paths: Sequence[str]) -> tuple[tuple[Graph, ...], tuple[Plan, ...]]:
    """Return graphs and plans of files and folders; exit 1 after telling every error when there is one."""
    loading = load(paths)
    show(loading.problems)
    if loading.errors:
        raise SystemExit(FAILED)
    return loading.graphs, tuple(compile_graph(graph) for graph in loading.graphs)
