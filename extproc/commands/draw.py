"""``extproc draw``: a picture of a graph."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from extproc.commands.graphs import FAILED, show
from extproc.graph import load
from extproc.graph.drawing import draw

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

EXAMPLES = """\
examples:
  extproc draw fraud.yaml                                # mermaid, for a README
  extproc draw fraud.yaml --format svg --out fraud.svg
  extproc draw graphs/ --graph fraud
"""


def arguments(parser: ArgumentParser) -> None:
    """Add this command's arguments."""
    parser.add_argument("path", metavar="PATH", help="a graph file, or a folder read recursively")
    parser.add_argument("--graph", metavar="NAME", help="which graph, where the path holds several")
    parser.add_argument("--format", choices=("mermaid", "svg"), default="mermaid", help="default: mermaid")
    parser.add_argument("--out", metavar="FILE", help="default: standard output")


def run(options: Namespace) -> int:
    """Draw one graph."""
    loading = load([options.path])
    show(loading.problems)
    if loading.errors:
        return FAILED
    chosen = [graph for graph in loading.graphs if options.graph in (None, graph.name)]
    if len(chosen) != 1:
        known = ", ".join(graph.name for graph in loading.graphs)
        print(f"which graph? --graph NAME, one of: {known}", file=sys.stderr)
        return 2
    text = draw(chosen[0], options.format)
    if options.out:
        Path(options.out).write_text(text, encoding="utf-8")
    else:
        print(text, end="")
    return 0
