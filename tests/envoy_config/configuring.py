"""A configuration built from plans, and ways to look into it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import re2

from extproc.envoy.layout import Address, Layout
from tests.envoy_config import theirs
from tests.plan.building import plan

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from extproc.plan.plan import Plan

CLUSTERS, INGRESS, EGRESS = "cds/clusters.json", "rds/ingress.json", "rds/egress.json"
LISTENERS, BOOTSTRAP = "lds/listeners.json", "bootstrap.json"


def layout(folder: Path = Path("/etc/envoy"), ingress: Address | None = None) -> Layout:
    """A layout with two workers on Unix sockets."""
    return Layout(
        ingress=ingress or Address("127.0.0.1", 10000),
        admin=Address(path=f"{folder}/admin.sock"),
        egress=Address(path=f"{folder}/egress.sock"),
        processors=(Address(path=f"{folder}/w0.sock"), Address("127.0.0.1", 9001)),
        folder=folder,
    )


def configured(*plans: Plan, where: Layout | None = None) -> dict[str, Any]:
    """The parsed files of a configuration."""
    return {name: json.loads(text) for name, text in texts(*plans, where=where).items()}


def texts(*plans: Plan, where: Layout | None = None) -> dict[str, str]:
    """The files of a configuration."""
    files: dict[str, str] = theirs.build.build(plans, where or layout())
    return files


def routed(*plans: Plan) -> dict[str, Any]:
    """The ingress's table alone, which is made sooner."""
    clusters = {model.key: model.name for one in plans for model in one.models.values()}
    table = theirs.routes.ingress_routes(plans, clusters).to_dict(casing=theirs.build.Casing.SNAKE)
    return {INGRESS: {"resources": [table]}}


def one_model(written: str, more: str = "") -> Plan:
    """A plan with one model in YAML flow style."""
    return plan(f"models: {{m: {written}}}\n{more}\nnodes: {{root: {{split: {{routes: [{{to: m, weight: 1}}]}}}}}}")


def first_pass(files: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The ingress's first-pass routes, in order."""
    (host,) = files[INGRESS]["resources"][0]["virtual_hosts"]
    routes: list[dict[str, Any]] = host["matcher"]["on_no_match"]["action"]["typed_config"]["routes"]
    return routes


def second_pass(files: Mapping[str, Any], table: str = INGRESS) -> dict[str, dict[str, Any]]:
    """The routes of the models, by their keys."""
    (host,) = files[table]["resources"][0]["virtual_hosts"]
    tree = host["matcher"].get("matcher_tree")
    found = tree["exact_match_map"]["map"] if tree else {}
    return {key: one["action"]["typed_config"] for key, one in found.items()}


def clusters(files: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """The clusters by name."""
    return {one["name"]: one for one in files[CLUSTERS]["resources"]}


def texts_within(value: Any) -> Iterator[str]:
    """Every text in a JSON value, keys too."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield key
            yield from texts_within(item)
    elif isinstance(value, list):
        for item in value:
            yield from texts_within(item)
    elif isinstance(value, str):
        yield value


def route_of(routes: Sequence[dict[str, Any]], host: str, path: str, headers: Mapping[str, str]) -> dict[str, Any]:
    """The route that Envoy takes: the first whose match holds, as Envoy's documentation of RouteMatch says it."""
    known = {":authority": host, **headers}
    return next(route for route in routes if _matches(route["match"], path, known))


def _matches(match: dict[str, Any], path: str, headers: Mapping[str, str]) -> bool:
    assert set(match) <= {"path", "prefix", "path_separated_prefix", "headers"}
    separated = match.get("path_separated_prefix")
    return (
        match.get("path") in {None, path}
        and path.startswith(match.get("prefix", ""))
        and (separated is None or path == separated or path.startswith(f"{separated}/"))
        and all(_header_matches(one, headers.get(one["name"])) for one in match.get("headers", []))
    )


def _header_matches(match: dict[str, Any], value: str | None) -> bool:
    if match.get("present_match"):
        return value is not None
    wanted = match["string_match"]
    if value is None:
        return False
    if "safe_regex" in wanted:
        return re2.fullmatch(wanted["safe_regex"]["regex"], value) is not None
    if "contains" in wanted:
        return wanted["contains"] in value.lower()
    return bool(value == wanted["exact"])
