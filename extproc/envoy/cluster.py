"""Clusters: one for each model that has urls, and one for the processors."""

from __future__ import annotations

import hashlib
from datetime import timedelta
from typing import TYPE_CHECKING

from envoy_data_plane.envoy.config.cluster.v3 import (
    CircuitBreakers,
    CircuitBreakersThresholds,
    Cluster,
    ClusterCommonLbConfig,
    ClusterDiscoveryType,
    ClusterDnsLookupFamily,
    ClusterLbPolicy,
    OutlierDetection,
)
from envoy_data_plane.envoy.config.core.v3 import (
    DataSource,
    HealthCheck,
    HealthCheckGrpcHealthCheck,
    HealthCheckHttpHealthCheck,
    Http1ProtocolOptions,
    Http2ProtocolOptions,
    RoutingPriority,
    TransportSocket,
)
from envoy_data_plane.envoy.config.endpoint.v3 import (
    ClusterLoadAssignment,
    Endpoint,
    LbEndpoint,
    LocalityLbEndpoints,
)
from envoy_data_plane.envoy.extensions.transport_sockets.tls.v3 import (
    CertificateValidationContext,
    CommonTlsContext,
    SubjectAltNameMatcher,
    SubjectAltNameMatcherSanType,
    TlsCertificate,
    UpstreamTlsContext,
)
from envoy_data_plane.envoy.extensions.upstreams.http.v3 import (
    HttpProtocolOptions,
    HttpProtocolOptionsAutoHttpConfig,
    HttpProtocolOptionsExplicitHttpConfig,
)
from envoy_data_plane.envoy.type.matcher.v3 import StringMatcher
from envoy_data_plane.envoy.type.v3 import Percent
from envoy_data_plane.google.protobuf import Any

from extproc.envoy.addresses import endpoint_address, is_ip, several_hosts
from extproc.envoy.layout import PROCESSOR_MAX_REQUESTS, Address
from extproc.envoy.names import PROCESSOR_CLUSTER

if TYPE_CHECKING:
    from collections.abc import Iterable

    from extproc.graph.document import Tls
    from extproc.plan.model import ModelPlan

HTTP_OPTIONS = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
# A connection that is not there after a second counts as a connect failure; the attempt's own timeout may be shorter.
CONNECT_TIMEOUT = timedelta(seconds=1)
# When Envoy's threads hear of changed health. By default they may hear a second late: what is ready would fail, and what
# has failed would be called.
AT_ONCE = timedelta(0)
# A call above the limit must fail at once. Envoy refuses it only when it is about to be sent: were connections bounded
# too, it would wait for one instead. What is in flight or waiting for its connection bounds connections all the same.
UNBOUNDED = 2**32 - 1
# Debian, Red Hat and Alpine keep the system's certificates in the first two; the first that exists is taken.
SYSTEM_CAS = (
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
)


def model_cluster(model: ModelPlan) -> Cluster:
    """Return a model's cluster, named by its key and the hash of its content, so that a change makes another one."""
    cluster = _model_cluster(model)
    digest = hashlib.sha256(cluster.to_json().encode()).hexdigest()[:8]
    cluster.name = f"{model.key}@{digest}"
    cluster.alt_stat_name = model.key
    if cluster.load_assignment is not None:
        cluster.load_assignment.cluster_name = cluster.name
    return cluster


def _model_cluster(model: ModelPlan) -> Cluster:
    concurrency = model.document.concurrency
    addresses = [Address(endpoint.host, endpoint.port) for endpoint in model.endpoints]
    by_name = not all(is_ip(address.host) for address in addresses)
    return Cluster(
        type=ClusterDiscoveryType.STRICT_DNS if by_name else ClusterDiscoveryType.STATIC,
        dns_lookup_family=ClusterDnsLookupFamily.ALL if by_name else ClusterDnsLookupFamily.AUTO,
        lb_policy=ClusterLbPolicy.LEAST_REQUEST,
        common_lb_config=ClusterCommonLbConfig(update_merge_window=AT_ONCE),
        connect_timeout=CONNECT_TIMEOUT,
        load_assignment=assignment(addresses),
        circuit_breakers=CircuitBreakers(
            thresholds=[
                CircuitBreakersThresholds(
                    max_requests=concurrency,
                    max_connections=UNBOUNDED,
                    max_pending_requests=concurrency,
                    max_retries=concurrency,
                ),
                _sub_calls(),
            ]
        ),
        outlier_detection=_passive_checks() if several_hosts(model) else None,
        health_checks=_active_checks(model),
        transport_socket=_model_tls(model) if model.secure else None,
        typed_extension_protocol_options={HTTP_OPTIONS: Any.pack(_protocol(model))},
    )


def _sub_calls() -> CircuitBreakersThresholds:
    """Sub-calls have a priority of their own and limits that are never met: each processor counts its own."""
    return CircuitBreakersThresholds(
        priority=RoutingPriority.HIGH,
        max_requests=PROCESSOR_MAX_REQUESTS,
        max_connections=UNBOUNDED,
        max_pending_requests=PROCESSOR_MAX_REQUESTS,
        max_retries=PROCESSOR_MAX_REQUESTS,
    )


def assignment(addresses: Iterable[Address]) -> ClusterLoadAssignment:
    """Return endpoints, all alike."""
    endpoints = [LbEndpoint(endpoint=Endpoint(address=endpoint_address(address))) for address in addresses]
    return ClusterLoadAssignment(endpoints=[LocalityLbEndpoints(lb_endpoints=endpoints)])


def _passive_checks() -> OutlierDetection:
    """Take an endpoint out that fails five times in a row, never more than half: with one alone there is no other."""
    return OutlierDetection(
        consecutive_5xx=5,
        interval=timedelta(seconds=5),
        base_ejection_time=timedelta(seconds=10),
        max_ejection_percent=50,
    )


def _active_checks(model: ModelPlan) -> list[HealthCheck]:
    health = model.document.health
    if health is None:
        return []
    interval = timedelta(seconds=health.interval)
    return [
        HealthCheck(
            timeout=min(interval, timedelta(seconds=1)),
            interval=interval,
            no_traffic_interval=interval,
            unhealthy_threshold=2,
            healthy_threshold=1,
            http_health_check=HealthCheckHttpHealthCheck(path=health.path, host=model.authority or ""),
        )
    ]


def _protocol(model: ModelPlan) -> HttpProtocolOptions:
    if model.document.http2:
        return http2_only()
    if model.secure:
        return HttpProtocolOptions(auto_config=HttpProtocolOptionsAutoHttpConfig())
    explicit = HttpProtocolOptionsExplicitHttpConfig(http_protocol_options=Http1ProtocolOptions())
    return HttpProtocolOptions(explicit_http_config=explicit)


def http2_only() -> HttpProtocolOptions:
    """Return the options of a cluster that is spoken to in HTTP/2, as gRPC is."""
    explicit = HttpProtocolOptionsExplicitHttpConfig(http2_protocol_options=Http2ProtocolOptions())
    return HttpProtocolOptions(explicit_http_config=explicit)


def _model_tls(model: ModelPlan) -> TransportSocket:
    from extproc.graph.document import Tls

    return tls_socket(model.document.tls or Tls(), model.endpoints[0].host, http2=model.document.http2)


def tls_socket(tls: Tls, host: str, *, http2: bool) -> TransportSocket:
    """Return how to speak TLS with a host: verified, unless that was turned off."""
    context = CommonTlsContext(
        alpn_protocols=["h2"] if http2 else [],
        tls_certificates=_client_certificate(tls),
        validation_context=_validation(tls, host),
    )
    sni = tls.sni or ("" if is_ip(host) else host)
    return TransportSocket(
        name="envoy.transport_sockets.tls",
        typed_config=Any.pack(UpstreamTlsContext(sni=sni, common_tls_context=context)),
    )


def _client_certificate(tls: Tls) -> list[TlsCertificate]:
    if tls.cert is None:
        return []
    key = DataSource(filename=tls.key) if tls.key else None
    return [TlsCertificate(certificate_chain=DataSource(filename=tls.cert), private_key=key)]


def _validation(tls: Tls, host: str) -> CertificateValidationContext | None:
    if tls.insecure:
        return None
    name = tls.sni or host
    kind = SubjectAltNameMatcherSanType.IP_ADDRESS if is_ip(name) else SubjectAltNameMatcherSanType.DNS
    matcher = SubjectAltNameMatcher(san_type=kind, matcher=StringMatcher(exact=name))
    return CertificateValidationContext(
        trusted_ca=DataSource(filename=tls.ca or system_cas()),
        match_typed_subject_alt_names=[matcher],
    )


def system_cas() -> str:
    """Return the file of the system's certificate authorities."""
    from pathlib import Path

    return next((name for name in SYSTEM_CAS if Path(name).exists()), SYSTEM_CAS[0])


def processor_cluster(processors: Iterable[Address]) -> Cluster:
    """Return the cluster of the workers: one endpoint each, out at its first failure and when it drains."""
    cluster = Cluster(
        name=PROCESSOR_CLUSTER,
        type=ClusterDiscoveryType.STATIC,
        lb_policy=ClusterLbPolicy.LEAST_REQUEST,
        connect_timeout=timedelta(milliseconds=250),
        common_lb_config=ClusterCommonLbConfig(
            healthy_panic_threshold=Percent(value=0.0),
            update_merge_window=AT_ONCE,
        ),
        health_checks=[
            HealthCheck(
                timeout=timedelta(seconds=1),
                interval=timedelta(seconds=1),
                no_traffic_interval=timedelta(seconds=1),
                unhealthy_threshold=1,
                healthy_threshold=1,
                grpc_health_check=HealthCheckGrpcHealthCheck(),
            )
        ],
        outlier_detection=OutlierDetection(
            consecutive_5xx=1,
            interval=timedelta(milliseconds=500),
            base_ejection_time=timedelta(seconds=1),
            max_ejection_percent=100,
        ),
        circuit_breakers=CircuitBreakers(
            thresholds=[
                CircuitBreakersThresholds(
                    max_requests=PROCESSOR_MAX_REQUESTS, max_pending_requests=PROCESSOR_MAX_REQUESTS
                )
            ]
        ),
        load_assignment=assignment(processors),
        typed_extension_protocol_options={HTTP_OPTIONS: Any.pack(http2_only())},
    )
    if cluster.load_assignment is not None:
        cluster.load_assignment.cluster_name = PROCESSOR_CLUSTER
    return cluster
