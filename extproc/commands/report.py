"""``extproc report``: how the challengers of a running system stand."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from extproc.commands.asking import NoAnswer, add_admin, ask, ask_json, challenge_path

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

REPORT = ("graph", "generation", "champion", "eligible", "challengers")
EXAMPLES = """\
examples:
  extproc report                            # every challenge
  extproc report fraud
  extproc report fraud --json | jq '.challengers[].verdict'
  extproc report fraud --html > fraud.html  # one page that needs nothing else

http://ADMIN/challenges/GRAPH is the same page, as it stands.
"""


def arguments(parser: ArgumentParser) -> None:
    """Add this command's arguments."""
    parser.add_argument(
        "graph", nargs="?", metavar="GRAPH", help="the graph's name; default: every one with a challenge"
    )
    how = parser.add_mutually_exclusive_group()
    how.add_argument("--json", action="store_true", help="as JSON; of several graphs a list")
    how.add_argument("--html", action="store_true", help="as a page")
    add_admin(parser)


def run(options: Namespace) -> int:
    """Print the report."""
    graphs = [options.graph] if options.graph else _all(options.admin)
    if options.html:
        return _page(options.admin, graphs)
    reports = [ask_json(options.admin, "GET", challenge_path(graph), holds=REPORT) for graph in graphs]
    if options.json:
        import json

        print(json.dumps(reports[0] if options.graph else reports, indent=2, ensure_ascii=False))
        return 0
    from rich.console import Console

    from extproc.commands.report_table import ReportTable

    console = Console(highlight=False)
    if not reports:
        console.print("No graph that is loaded holds a challenge.")
    for report in reports:
        console.print(ReportTable(report))
    return 0


def _all(admin: str) -> list[str]:
    return [one["graph"] for one in ask_json(admin, "GET", "/challenges", holds=["challenges"])["challenges"]]


def _page(admin: str, graphs: list[str]) -> int:
    if len(graphs) != 1:
        raise NoAnswer(f"a page is of one graph; there are {', '.join(graphs) or 'none with a challenge'}")
    page = ask(admin, "GET", challenge_path(graphs[0], "?refresh=0"), accept="text/html")
    sys.stdout.buffer.write(page)
    return 0
