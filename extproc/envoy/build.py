"""The whole configuration of one Envoy, as JSON files."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

from betterproto2 import Casing
from envoy_data_plane.envoy.service.discovery.v3 import DiscoveryResponse
from envoy_data_plane.google.protobuf import Any

from extproc.envoy.bootstrap import CLUSTERS_FILE, LISTENERS_FILE, bootstrap
from extproc.envoy.cluster import model_cluster, processor_cluster
from extproc.envoy.listener import EGRESS_ROUTES_FILE, INGRESS_ROUTES_FILE, egress_listener, ingress_listener
from extproc.envoy.routes import egress_routes, ingress_routes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from extproc.envoy.layout import Layout
    from extproc.plan.plan import Plan

BOOTSTRAP = "bootstrap.json"
# betterproto2 puts an underscore between a digit and a letter; Envoy knows no such field.
_LIBRARY_MISNAMES = '"consecutive_5xx":'


def build(plans: Sequence[Plan], layout: Layout) -> dict[str, str]:
    """Return the files of a configuration by their names in the folder, in the order in which to write them."""
    clusters = {}
    resources = []
    for plan in plans:
        for model in plan.models.values():
            if model.document.cluster is not None:
                clusters[model.key] = model.document.cluster
                continue
            cluster = model_cluster(model)
            clusters[model.key] = cluster.name
            resources.append(cluster)
    return {
        CLUSTERS_FILE: _response([processor_cluster(layout.processors), *resources]),
        INGRESS_ROUTES_FILE: _response([ingress_routes(plans, clusters)]),
        EGRESS_ROUTES_FILE: _response([egress_routes(plans, clusters)]),
        LISTENERS_FILE: _response([ingress_listener(plans, layout), egress_listener(layout)]),
        BOOTSTRAP: _text(bootstrap(layout).to_dict(casing=Casing.SNAKE)),
    }


def _response(resources: Sequence) -> str:  # type: ignore[type-arg]
    packed = [Any.pack(resource) for resource in resources]
    bare = DiscoveryResponse(resources=packed).to_dict(casing=Casing.SNAKE)
    version = hashlib.sha256(_text(bare).encode()).hexdigest()[:12]
    return _text({"version_info": version, **bare})


def _text(value: object) -> str:
    text = json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False) + "\n"
    return text.replace('"consecutive_5_xx":', _LIBRARY_MISNAMES)
