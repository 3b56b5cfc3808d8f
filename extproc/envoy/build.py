"""The whole configuration of one Envoy, as JSON files."""

from __future__ import annotations

import hashlib
import json
from functools import cached_property
from typing import TYPE_CHECKING, Any

from betterproto2 import Casing
from envoy_data_plane.google.protobuf import Any as Packed

from extproc.envoy.bootstrap import CLUSTERS_FILE, LISTENERS_FILE, bootstrap
from extproc.envoy.cluster import model_cluster, processor_cluster
from extproc.envoy.collector import collector_cluster
from extproc.envoy.listener import EGRESS_ROUTES_FILE, INGRESS_ROUTES_FILE, egress_listener, ingress_listener
from extproc.envoy.routes import egress_routes, ingress_routes
from extproc.envoy.tables import GraphTables, merged_table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from extproc.envoy.layout import Layout
    from extproc.plan.plan import Plan

    Resource = dict[str, Any]

BOOTSTRAP = "bootstrap.json"
# betterproto2 puts an underscore between a digit and a letter; Envoy knows no such field.
_LIBRARY_MISNAMES = '"consecutive_5xx":'


def build(plans: Sequence[Plan], layout: Layout) -> dict[str, str]:
    """Return the files of a configuration by their names in the folder, in the order in which to write them."""
    return Builder(layout).everything(plans)


class Builder:
    """Builds configurations for one Envoy. What a graph adds is made once, as long as the graph stays: it takes long."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self._graphs: dict[str, GraphTables] = {}
        self._before: dict[str, GraphTables] = {}

    def __repr__(self) -> str:
        """Say the graphs it knows."""
        return f"<Builder {' '.join(self._graphs)}>"

    def everything(self, plans: Sequence[Plan]) -> dict[str, str]:
        """Return all files."""
        layout = self._layout
        listeners = [_converted(ingress_listener(plans, layout)), _converted(egress_listener(layout))]
        return {
            **self.of_graphs(plans),
            LISTENERS_FILE: _response(listeners),
            BOOTSTRAP: _text(bootstrap(layout).to_dict(casing=Casing.SNAKE)),
        }

    def of_graphs(self, plans: Sequence[Plan]) -> dict[str, str]:
        """Return the files that change with the graphs: clusters, and both tables of routes."""
        known = self._before | self._graphs
        tables = {plan.id: known.get(plan.id) or _tables(plan) for plan in plans}
        self._before, self._graphs = self._graphs, tables  # a rollback finds what it goes back to
        parts = [(plan, tables[plan.id]) for plan in plans]
        clusters = [cluster for one in tables.values() for cluster in one.clusters]
        ingress = merged_table(self._bare.ingress, [(plan, one.ingress) for plan, one in parts])
        egress = merged_table(self._bare.egress, [(plan, one.egress) for plan, one in parts])
        return {
            CLUSTERS_FILE: _response([*self._bare.clusters, *clusters]),
            INGRESS_ROUTES_FILE: _response([ingress]),
            EGRESS_ROUTES_FILE: _response([egress]),
        }

    @cached_property
    def _bare(self) -> GraphTables:
        """What stands in the files without any graph."""
        said = self._layout.tracing
        clusters = [
            processor_cluster(self._layout.processors),
            *([] if said is None else [collector_cluster(said.collector)]),
        ]
        traced = said is not None
        return GraphTables(
            [_converted(cluster) for cluster in clusters],
            _converted(ingress_routes([], {}, traced=traced)),
            _converted(egress_routes([], {}, traced=traced)),
        )


def _tables(plan: Plan) -> GraphTables:
    names = {}
    clusters = []
    for model in plan.models.values():
        if model.document.cluster is not None:
            names[model.key] = model.document.cluster
            continue
        cluster = model_cluster(model)
        names[model.key] = cluster.name
        clusters.append(_converted(cluster))
    return GraphTables(clusters, _converted(ingress_routes([plan], names)), _converted(egress_routes([plan], names)))


def _converted(resource: Any) -> Resource:
    """Return a resource as it stands in a file, with its type."""
    url = Packed.pack(type(resource)()).type_url  # of an empty one: packing this one, and unpacking it, takes as long
    return {"@type": url, **resource.to_dict(casing=Casing.SNAKE)}


def _response(resources: Sequence[Resource]) -> str:
    bare = {"resources": list(resources)}
    version = hashlib.sha256(_text(bare).encode()).hexdigest()[:12]
    return _text({"version_info": version, **bare})


def _text(value: object) -> str:
    text = json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False) + "\n"
    return text.replace('"consecutive_5_xx":', _LIBRARY_MISNAMES)
