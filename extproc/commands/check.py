"""``extproc check``: every error and warning of graph files."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import msgspec

from extproc.commands.graphs import FAILED, show
from extproc.graph import load

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

EXAMPLES = """\
examples:
  extproc check graphs/
  extproc check fraud.yaml --json
"""


def arguments(parser: ArgumentParser) -> None:
    """Add this command's arguments."""
    parser.add_argument("paths", nargs="+", metavar="PATH", help="a graph file, or a folder read recursively")
    parser.add_argument("--json", action="store_true", help="graphs and problems as JSON on standard output")


def run(options: Namespace) -> int:
    """Validate; return 0 without errors, 1 with any."""
    loading = load(options.paths)
    if options.json:
        graphs = [{"graph": graph.name, "id": graph.id, "file": graph.source} for graph in loading.graphs]
        problems = msgspec.to_builtins(loading.problems)
        print(json.dumps({"ok": not loading.errors, "graphs": graphs, "problems": problems}, indent=2))
    else:
        show(loading.problems)
        for graph in loading.graphs:
            print(f"{graph.source}: {graph.id} is valid")
    return FAILED if loading.errors else 0
