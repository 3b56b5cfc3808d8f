"""``make trials``: what challenges promise, on a real Envoy with models that hang, are killed, and answer what is known.

A hung challenger beside the client's path, counts across killed processes, the same figures from both stores, promotions
under load, what a challenge costs, and verdicts where the truth is known. A table for people, JSON beside it.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from bench.subjects import machine
from bench.trials.cost import cost
from bench.trials.counts import counts
from bench.trials.isolation import isolation
from bench.trials.options import Options
from bench.trials.promotions import promotions
from bench.trials.stores import stores
from bench.trials.verdicts import verdicts

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from bench.trials.scene import Found

RESULTS = Path(__file__).parent / "results" / "challenge.json"
WIDTH = 140  # of a table that no terminal bounds
TRIALS: dict[str, Callable[[Options], Found]] = {
    "isolation": isolation,
    "cost": cost,
    "counts": counts,
    "promotions": promotions,
    "stores": stores,
    "verdicts": verdicts,
}


def main() -> None:
    """Try everything, print a table, write JSON; exit 1 where something was not met."""
    asked = _parser().parse_args()
    options = Options(asked.rounds, asked.seconds, asked.seed)
    console = Console(stderr=True)
    found: dict[str, Found] = {}
    for name in asked.only or TRIALS:
        began = time.monotonic()
        found[name] = TRIALS[name](options)
        console.print(f"{name}: {time.monotonic() - began:.0f} s, {'met' if found[name].met else 'not met'}")
    report = {
        "machine": machine(),
        "trials": {name: _data(one, options) for name, one in found.items()},
    }
    _keep(report)
    if asked.json:
        print(json.dumps(report, indent=2))
    else:
        _print(list(found.values()))
    sys.exit(not all(one.met for one in found.values()))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="bench.challenge", description=__doc__)
    parser.add_argument("--only", action="append", choices=TRIALS, help="one trial; may be repeated; default: all")
    parser.add_argument(
        "--rounds", type=int, default=Options.rounds, help="of isolation and cost; default: %(default)s"
    )
    parser.add_argument(
        "--seconds", type=float, help="of load: in a round of isolation (6) and cost (4), and in all of counts (60)"
    )
    parser.add_argument("--seed", type=int, default=Options.seed, help="of orders and runs; default: %(default)s")
    parser.add_argument("--json", action="store_true", help="print the JSON")
    return parser


def _data(found: Found, options: Options) -> dict[str, Any]:
    """Return a trial's results, with its options: the file may hold trials of several runs."""
    told = {"options": vars(options), "asked": found.asked, "met": found.met}
    return told | {"figures": dict(found.figures), "data": found.data}


def _keep(report: dict[str, Any]) -> None:
    """Write the results, over those of the same trials alone."""
    RESULTS.parent.mkdir(exist_ok=True)
    before = json.loads(RESULTS.read_text(encoding="utf-8"))["trials"] if RESULTS.exists() else {}
    kept = report | {"trials": before | report["trials"]}
    RESULTS.write_text(json.dumps(kept, indent=2) + "\n", encoding="utf-8")


def _print(found: Sequence[Found]) -> None:
    table = Table(title="what challenges promise", show_lines=True)
    for column in ("trial", "what", "asked", "met"):
        table.add_column(column)
    for one in found:
        what = "\n".join(f"{name}: {value}" for name, value in one.figures.items())
        table.add_row(one.name, escape(what), one.asked, "[green]yes[/]" if one.met else "[red]NO[/]")
    Console(width=None if sys.stdout.isatty() else WIDTH).print(table)


if __name__ == "__main__":
    main()
