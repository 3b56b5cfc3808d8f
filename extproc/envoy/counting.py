"""What Envoy counts of requests, for the processor cannot see it: how each one ended, and how long its tail call took.

Requests are counted by an access logger of Envoy's ("stats access logger"), so that no message to the processor is needed. Its
tags are names in loaded graphs, statuses, response flags and numbers of attempts: few, whatever clients send. Durations
are the routes' own statistics, which Envoy keeps anyway.
"""

from __future__ import annotations

from envoy_data_plane.envoy.config.accesslog.v3 import AccessLog
from envoy_data_plane.envoy.config.metrics.v3 import HistogramBucketSettings, StatsConfig
from envoy_data_plane.envoy.extensions.access_loggers.stats.v3 import Config, ConfigCounter, ConfigStat, ConfigTag
from envoy_data_plane.envoy.type.matcher.v3 import StringMatcher
from envoy_data_plane.google.protobuf import Any

from extproc.envoy.names import (
    ATTEMPTS_TAG,
    FLAGS_TAG,
    METADATA,
    MODEL_TAG,
    REQUESTS_STAT,
    ROUTE_TAG,
    STATUS_TAG,
    TIME_STAT,
)
from extproc.headers import CALL_SECONDS

PREFIX = (
    "extproc"  # deprecated since Envoy 1.39, but what takes its place ("stats_scope") is not known to 1.37 and 1.38
)
_TAGS = {
    ROUTE_TAG: "%ROUTE_NAME%",
    MODEL_TAG: f"%METADATA(ROUTE:{METADATA}:model)%",
    STATUS_TAG: "%RESPONSE_CODE%",
    FLAGS_TAG: "%RESPONSE_FLAGS%",
    ATTEMPTS_TAG: "%UPSTREAM_REQUEST_ATTEMPT_COUNT%",
}


def request_counter() -> AccessLog:
    """Return the logger that counts the ingress's requests."""
    tags = [ConfigTag(name=tag, value_format=value) for tag, value in _TAGS.items()]
    requests = ConfigCounter(stat=ConfigStat(name=REQUESTS_STAT, tags=tags), value_fixed=1)
    config = Config(stat_prefix=PREFIX, counters=[requests])
    return AccessLog(name="envoy.access_loggers.stats", typed_config=Any.pack(config))


def buckets() -> StatsConfig:
    """Return the classes of Envoy's durations, which it measures in milliseconds: the same as of the processor's."""
    bounds = [seconds * 1000 for seconds in CALL_SECONDS]
    setting = HistogramBucketSettings(match=StringMatcher(suffix=f".{TIME_STAT}"), buckets=bounds)
    return StatsConfig(histogram_bucket_settings=[setting])
