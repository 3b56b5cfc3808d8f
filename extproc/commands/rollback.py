"""``extproc rollback``: undo a graph's last promotion in the running system."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from extproc.commands.asking import DONE, add_admin, ask_json, challenge_path

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

EXAMPLES = """\
examples:
  extproc rollback fraud
  extproc rollback fraud --admin 127.0.0.1:9191 --json
"""


def arguments(parser: ArgumentParser) -> None:
    """Add this command's arguments."""
    parser.add_argument("graph", metavar="GRAPH", help="the graph's name")
    parser.add_argument("--json", action="store_true", help="what was done, as JSON")
    add_admin(parser)


def run(options: Namespace) -> int:
    """Roll back; 1 where there is nothing to."""
    done = ask_json(options.admin, "POST", challenge_path(options.graph, "/rollback"), holds=DONE)
    if options.json:
        print(json.dumps(done, indent=2))
    else:
        print(
            f"{done['graph']}: the promotion of {done['challenger']} was rolled back; the champion is {done['champion']}"
        )
        print(f"in force as {done['generation']} after {done['seconds']:.2f} s")
    return 0
