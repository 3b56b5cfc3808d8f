"""``extproc promote``: make a challenger the champion of the running system."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from extproc.commands.asking import DONE, add_admin, ask_json, challenge_path

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

EXAMPLES = """\
examples:
  extproc promote fraud gbm                # refused unless the verdict is promote
  extproc promote fraud gbm --force        # all the same; the decision is recorded as forced
  extproc rollback fraud                   # undo it

It takes effect without a restart: every request is answered by the champion of the generation that it came in with.
It is kept in --state while the graph's file has the same challenge; whoever edits that, wins.
"""


def arguments(parser: ArgumentParser) -> None:
    """Add this command's arguments."""
    parser.add_argument("graph", metavar="GRAPH", help="the graph's name")
    parser.add_argument("challenger", metavar="CHALLENGER", help="the challenger's name")
    parser.add_argument("--force", action="store_true", help="whatever the verdict says")
    parser.add_argument("--json", action="store_true", help="what was done, as JSON")
    add_admin(parser)


def run(options: Namespace) -> int:
    """Promote; 1 where that is refused."""
    order = {"challenger": options.challenger, "force": options.force}
    done = ask_json(options.admin, "POST", challenge_path(options.graph, "/promote"), order, holds=DONE)
    if options.json:
        print(json.dumps(done, indent=2))
    else:
        forced = ", against its verdict" if done["forced"] else ""
        print(f"{done['graph']}: {done['challenger']} was promoted{forced}; the champion is {done['champion']}")
        print(f"in force as {done['generation']} after {done['seconds']:.2f} s")
    return 0
