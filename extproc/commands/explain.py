"""``extproc explain``: which way a request goes and why, calling nothing."""

from __future__ import annotations

import json
import random
import sys
from typing import TYPE_CHECKING

from rich.console import Console

from extproc.commands.graphs import load_plans
from extproc.commands.request_body import request_body
from extproc.engine.explain import Explanation, explain

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace
    from collections.abc import Sequence

EXAMPLES = """\
examples:
  extproc explain graphs/ --path /v1/models/fraud:predict --header 'x-user-id: ada'
  extproc explain graphs/ --path /v1/models/digits:predict --body request.json
  echo '{"instances": [[1, 2]]}' | extproc explain graphs/ --path /v1/models/digits:predict --body - --json
"""


def arguments(parser: ArgumentParser) -> None:
    """Add this command's arguments."""
    parser.add_argument("paths", nargs="+", metavar="PATH", help="a graph file, or a folder read recursively")
    parser.add_argument("--path", required=True, help="the request's path, with its query if it has one")
    parser.add_argument("--host", default="localhost", help="default: %(default)s")
    parser.add_argument("--method", help="default: POST with a body, GET without")
    parser.add_argument("--header", action="append", default=[], metavar="'K: V'", help="may be repeated")
    parser.add_argument("--body", metavar="FILE|-", help="a file, or - for standard input")
    parser.add_argument("--json", action="store_true", help="decisions, calls and answer as JSON")


def run(options: Namespace) -> int:
    """Explain one request; 0 when a graph takes it, 1 when none does."""
    _, plans = load_plans(options.paths)
    headers = _headers(options.header)
    body = request_body(options.body)
    method = options.method or ("GET" if body is None else "POST")
    pseudo = {":method": method, ":path": options.path, ":authority": options.host, ":scheme": "http"}
    explanation = explain(plans, pseudo | headers, body, random.Random())
    if options.json:
        print(json.dumps(explanation.data(), indent=2, ensure_ascii=False))
    else:
        _show(explanation)
    return 0 if explanation.plan else 1


def _headers(lines: Sequence[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for line in lines:
        name, colon, value = line.partition(":")
        if not colon or not name.strip():
            print(f"--header {line!r}: expected 'name: value'", file=sys.stderr)
            raise SystemExit(2)
        key = name.strip().lower()
        found[key] = f"{found[key]},{value.strip()}" if key in found else value.strip()
    return found


def _show(explanation: Explanation) -> None:
    console = Console(highlight=False, soft_wrap=True)
    plan = explanation.plan
    if plan is None:
        console.print("[red]no graph matches[/]: 404 no_graph")
        return
    console.print(f"graph [bold]{plan.id}[/], reads {'body' if plan.reads_body else 'headers'}")
    for decision in explanation.decisions:
        console.print(f"  {decision.node} → [bold]{decision.branch}[/]", end="")
        console.print(f"   {decision.why()}", style="dim", markup=False)
    for failure in explanation.failures:
        console.print(f"  {failure.node}: {failure.expr}: {failure.error}", style="yellow", markup=False)
    for call in explanation.calls:
        how = "Envoy makes it itself" if call.kind == "tail" else "a sub-call"
        where = f" {call.node}.{call.part}" if call.part else ""
        console.print(f"  calls [bold]{call.model}[/]", end="")
        console.print(f" ({how}){where}" + (f", if {call.condition}" if call.condition else ""), markup=False)
    for challenger in explanation.challengers:
        how = "sees it" if challenger.sampled else "does not see it"
        console.print(f"  challenger [bold]{challenger.name}[/] {how}", end="")
        console.print(f"   {challenger.why()}", style="dim", markup=False)
    if explanation.answer is not None:
        console.print(f"  answers {explanation.answer.status}: ", end="")
        console.print(explanation.answer.body.decode(errors="replace"), markup=False)
