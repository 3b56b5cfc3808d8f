"""The whole configuration of one Envoy, as JSON files."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

from betterproto2 import Casing
from envoy_data_plane.envoy.service.discovery.v3 import DiscoveryResponse
from envoy_data_plane.google.protobuf import Any as Packed

from extproc.envoy.bootstrap import CLUSTERS_FILE, LISTENERS_FILE, bootstrap
from extproc.envoy.cluster import model_cluster, processor_cluster
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
        self._graphs = {plan.id: self._graphs.get(plan.id) or _tables(plan) for plan in plans}
        parts = [(plan, self._graphs[plan.id]) for plan in plans]
        clusters = [cluster for _, tables in parts for cluster in tables.clusters]
        bare = _converted(ingress_routes([], {})), _converted(egress_routes([], {}))
        return {
            CLUSTERS_FILE: _response([_converted(processor_cluster(self._layout.processors)), *clusters]),
            INGRESS_ROUTES_FILE: _response([merged_table(bare[0], [(plan, one.ingress) for plan, one in parts])]),
            EGRESS_ROUTES_FILE: _response([merged_table(bare[1], [(plan, one.egress) for plan, one in parts])]),
        }


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
    found: Resource = DiscoveryResponse(resources=[Packed.pack(resource)]).to_dict(casing=Casing.SNAKE)["resources"][0]
    return found


def _response(resources: Sequence[Resource]) -> str:
    bare = {"resources": list(resources)}
    version = hashlib.sha256(_text(bare).encode()).hexdigest()[:12]
    return _text({"version_info": version, **bare})


def _text(value: object) -> str:
    text = json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False) + "\n"
    return text.replace('"consecutive_5_xx":', _LIBRARY_MISNAMES)
