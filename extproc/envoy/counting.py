"""What Envoy counts of requests, for the processor cannot see it: how each one ended, and how long its tail call took.

Counters of Envoy's own ("stats access logger"), so that no message to the processor is needed. Their tags are names in
loaded graphs, statuses, response flags and numbers of attempts: few, whatever clients send.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from envoy_data_plane.envoy.config.accesslog.v3 import AccessLog, AccessLogFilter, ExtensionFilter
from envoy_data_plane.envoy.config.metrics.v3 import HistogramBucketSettings, StatsConfig
from envoy_data_plane.envoy.extensions.access_loggers.filters.cel.v3 import ExpressionFilter
from envoy_data_plane.envoy.extensions.access_loggers.stats.v3 import (
    Config,
    ConfigCounter,
    ConfigHistogram,
    ConfigHistogramUnit,
    ConfigStat,
    ConfigTag,
)
from envoy_data_plane.envoy.type.matcher.v3 import StringMatcher
from envoy_data_plane.google.protobuf import Any

from extproc.envoy.names import ATTEMPTS_TAG, CALLS_STAT, FLAGS_TAG, REQUESTS_STAT, ROUTE_TAG, STATUS_TAG
from extproc.headers import CALL_SECONDS

if TYPE_CHECKING:
    from collections.abc import Mapping

PREFIX = (
    "extproc"  # deprecated since Envoy 1.39, but what takes its place ("stats_scope") is not known to 1.37 and 1.38
)
_REQUEST_TAGS = {
    ROUTE_TAG: "%ROUTE_NAME%",
    STATUS_TAG: "%RESPONSE_CODE%",
    FLAGS_TAG: "%RESPONSE_FLAGS%",
    ATTEMPTS_TAG: "%UPSTREAM_REQUEST_ATTEMPT_COUNT%",
}
# From the call's first byte sent to the response's last one received: where it was answered whole.
_DURATION = "%COMMON_DURATION(US_TX_BEG:US_RX_END:us)%"
_ANSWERED_WHOLE = "has(response.backend_latency) && response.flags == 0"


def counters() -> list[AccessLog]:
    """Return the loggers that count the ingress's requests."""
    requests = ConfigCounter(stat=_stat(REQUESTS_STAT, _REQUEST_TAGS), value_fixed=1)
    calls = ConfigHistogram(
        stat=_stat(CALLS_STAT, {ROUTE_TAG: "%ROUTE_NAME%"}),
        unit=ConfigHistogramUnit.Microseconds,
        value_format=_DURATION,
    )
    whole = ExtensionFilter(name="cel", typed_config=Any.pack(ExpressionFilter(expression=_ANSWERED_WHOLE)))
    return [
        _logger(Config(stat_prefix=PREFIX, counters=[requests])),
        _logger(Config(stat_prefix=PREFIX, histograms=[calls]), AccessLogFilter(extension_filter=whole)),
    ]


def buckets() -> StatsConfig:
    """Return the buckets of Envoy's histogram, the same as of the processor's."""
    setting = HistogramBucketSettings(
        match=StringMatcher(prefix=f"{PREFIX}.{CALLS_STAT}"), buckets=[seconds * 1e6 for seconds in CALL_SECONDS]
    )
    return StatsConfig(histogram_bucket_settings=[setting])


def _stat(name: str, tags: Mapping[str, str]) -> ConfigStat:
    return ConfigStat(name=name, tags=[ConfigTag(name=tag, value_format=value) for tag, value in tags.items()])


def _logger(config: Config, only: AccessLogFilter | None = None) -> AccessLog:
    return AccessLog(name="envoy.access_loggers.stats", typed_config=Any.pack(config), filter=only)
