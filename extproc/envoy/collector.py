"""The cluster of the collector that takes Envoy's spans, and how they are sent there."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from envoy_data_plane.envoy.config.cluster.v3 import (
    Cluster,
    ClusterDiscoveryType,
    ClusterDnsLookupFamily,
    ClusterLbPolicy,
)
from envoy_data_plane.envoy.config.core.v3 import (
    GrpcService,
    GrpcServiceEnvoyGrpc,
    HeaderValue,
    HttpService,
    HttpUri,
)
from envoy_data_plane.google.protobuf import Any

from extproc.envoy.addresses import is_ip
from extproc.envoy.cluster import CONNECT_TIMEOUT, HTTP_OPTIONS, assignment, http2_only, tls_socket
from extproc.envoy.layout import Address
from extproc.envoy.names import COLLECTOR_CLUSTER
from extproc.envoy.rewrite import literal, overwrite
from extproc.graph.document import Tls

if TYPE_CHECKING:
    from extproc.otel import Collector


def collector_cluster(collector: Collector) -> Cluster:
    """Return the collector's cluster. One that is down costs nothing but the spans: Envoy counts them."""
    by_name = not collector.path and not is_ip(collector.host)
    grpc = collector.protocol == "grpc"
    cluster = Cluster(
        name=COLLECTOR_CLUSTER,
        type=ClusterDiscoveryType.STRICT_DNS if by_name else ClusterDiscoveryType.STATIC,
        dns_lookup_family=ClusterDnsLookupFamily.ALL if by_name else ClusterDnsLookupFamily.AUTO,
        lb_policy=ClusterLbPolicy.ROUND_ROBIN,
        connect_timeout=CONNECT_TIMEOUT,
        load_assignment=assignment([Address(collector.host, collector.port, collector.path)]),
        transport_socket=tls_socket(_tls(collector), collector.host, http2=grpc) if collector.secure else None,
        typed_extension_protocol_options={HTTP_OPTIONS: Any.pack(http2_only())} if grpc else {},
    )
    if cluster.load_assignment is not None:
        cluster.load_assignment.cluster_name = COLLECTOR_CLUSTER
    return cluster


def _tls(collector: Collector) -> Tls:
    return Tls(ca=collector.certificate, cert=collector.client_certificate, key=collector.client_key)


def by_grpc(collector: Collector) -> GrpcService:
    """Return OTLP over gRPC.

    Envoy reads a header's value as a format, but sends it as it was written: one with ``%`` arrives with ``%%``, and written
    otherwise there would be no spans at all.
    """
    return GrpcService(
        envoy_grpc=GrpcServiceEnvoyGrpc(cluster_name=COLLECTOR_CLUSTER, authority=_authority(collector)),
        timeout=timedelta(seconds=collector.timeout),
        initial_metadata=[HeaderValue(key=name, value=literal(value)) for name, value in collector.headers],
    )


def by_http(collector: Collector) -> HttpService:
    """Return OTLP over HTTP."""
    scheme = "https" if collector.secure else "http"
    uri = f"{scheme}://{_authority(collector)}{collector.target}"
    return HttpService(
        http_uri=HttpUri(uri=uri, cluster=COLLECTOR_CLUSTER, timeout=timedelta(seconds=collector.timeout)),
        request_headers_to_add=[overwrite(name, literal(value)) for name, value in collector.headers],
    )


def _authority(collector: Collector) -> str:
    return "localhost" if collector.path else str(collector)
