"""Tables of routes put together from those of single graphs."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from extproc.plan.match import specific_first

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from extproc.graph.document import Match
    from extproc.plan.plan import Plan

    Table = dict[str, Any]


@dataclass(frozen=True, slots=True)
class GraphTables:
    """What one graph alone makes of a configuration, as it stands in the files."""

    clusters: list[Table]
    ingress: Table
    egress: Table


def merged_table(bare: Table, tables: Sequence[tuple[Plan, Table]]) -> Table:
    """Return the table of several graphs, from each graph's own and that of none.

    The second pass is a map of models. In the first the most specific match comes first, whichever graph's it is; what
    no graph matches ends it.
    """
    merged = copy.deepcopy(bare)
    models = {key: route for _, table in tables for key, route in _second(table).items()}
    if not models and not _first(bare):
        return merged
    example = next((_matcher(table) for _, table in tables if "matcher_tree" in _matcher(table)), None)
    matcher: Table = {}
    if models and example is not None:
        matcher["matcher_tree"] = {**example["matcher_tree"], "exact_match_map": {"map": models}}
    if _first(bare):
        found = [pair for plan, table in tables for pair in _by_match(plan, _first(table))]
        routes = [route for _, group in specific_first(found) for route in group]
        last = copy.deepcopy(_matcher(bare)["on_no_match"])
        last["action"]["typed_config"]["routes"] = [*routes, *_first(bare)]
        matcher["on_no_match"] = last
    merged["virtual_hosts"][0]["matcher"] = matcher
    return merged


def _by_match(plan: Plan, routes: Sequence[Table]) -> Iterator[tuple[Match, Sequence[Table]]]:
    """Yield a graph's first-pass routes match by match: each has as many, and what matches nothing comes last."""
    each = (len(routes) - 1) // len(plan.match)
    ordered = specific_first((match, None) for match in plan.match)
    for index, (match, _) in enumerate(ordered):
        yield match, routes[index * each : (index + 1) * each]


def _matcher(table: Table) -> Table:
    found: Table = table["virtual_hosts"][0].get("matcher", {})
    return found


def _second(table: Table) -> Table:
    tree: Table = _matcher(table).get("matcher_tree", {})
    found: Table = tree.get("exact_match_map", {}).get("map", {})
    return found


def _first(table: Table) -> list[Table]:
    otherwise: Table = _matcher(table).get("on_no_match", {})
    found: list[Table] = otherwise["action"]["typed_config"]["routes"] if otherwise else []
    return found
