"""The bootstrap: Envoy's admin page on a Unix socket, and where its resources lie."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from envoy_data_plane.envoy.config.bootstrap.v3 import (
    Admin,
    Bootstrap,
    BootstrapDynamicResources,
    LayeredRuntime,
    RuntimeLayer,
)
from envoy_data_plane.envoy.config.core.v3 import Node
from envoy_data_plane.envoy.config.overload.v3 import OverloadManager, ResourceMonitor
from envoy_data_plane.envoy.extensions.resource_monitors.downstream_connections.v3 import DownstreamConnectionsConfig
from envoy_data_plane.google.protobuf import Any, Struct

from extproc.envoy.addresses import envoy_address
from extproc.envoy.counting import buckets
from extproc.envoy.layout import MAX_CONNECTIONS, SPANS_AT_ONCE, SPANS_FLUSH, STATS_FLUSH
from extproc.envoy.listener import watched

if TYPE_CHECKING:
    from extproc.envoy.layout import Layout
    from extproc.otel import Tracing


CLUSTERS_FILE = "cds/clusters.json"
LISTENERS_FILE = "lds/listeners.json"


def bootstrap(layout: Layout) -> Bootstrap:
    """Return what Envoy is started with; everything else it reads from the folder."""
    limit = Any.pack(DownstreamConnectionsConfig(max_active_downstream_connections=MAX_CONNECTIONS))
    monitor = ResourceMonitor(name="envoy.resource_monitors.global_downstream_max_connections", typed_config=limit)
    return Bootstrap(
        node=Node(id="extproc", cluster="extproc"),
        admin=Admin(address=envoy_address(layout.admin)),
        dynamic_resources=BootstrapDynamicResources(
            cds_config=watched(layout, CLUSTERS_FILE), lds_config=watched(layout, LISTENERS_FILE)
        ),
        overload_manager=OverloadManager(resource_monitors=[monitor]),
        stats_config=buckets(),
        stats_flush_interval=timedelta(seconds=STATS_FLUSH),
        layered_runtime=None if layout.tracing is None else LayeredRuntime(layers=[_spans(layout.tracing)]),
    )


def _spans(said: Tracing) -> RuntimeLayer:
    """Return when Envoy sends its spans."""
    flush = SPANS_FLUSH if said.flush is None else said.flush
    values = {"flush_interval_ms": round(flush * 1000), "min_flush_spans": SPANS_AT_ONCE}
    return RuntimeLayer(
        name="spans",
        static_layer=Struct.from_dict({f"tracing.opentelemetry.{name}": value for name, value in values.items()}),
    )
