"""How a request is changed on its way to a model: path, host, headers, retries."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from envoy_data_plane.envoy.config.core.v3 import (
    HeaderValue,
    HeaderValueOption,
    HeaderValueOptionHeaderAppendAction,
    RoutingPriority,
)
from envoy_data_plane.envoy.config.route.v3 import (
    HeaderMatcher,
    RetryPolicy,
    RetryPolicyRetryBackOff,
    RetryPolicyRetryHostPredicate,
    RouteAction,
)
from envoy_data_plane.envoy.extensions.retry.host.previous_hosts.v3 import PreviousHostsPredicate
from envoy_data_plane.envoy.type.matcher.v3 import RegexMatchAndSubstitute, RegexMatcher, StringMatcher
from envoy_data_plane.envoy.type.v3 import Int64Range
from envoy_data_plane.google.protobuf import Any

from extproc.envoy.addresses import several_hosts
from extproc.envoy.layout import IDLE_TIMEOUT
from extproc.errors import GraphError

if TYPE_CHECKING:
    from extproc.graph.document import HeaderSource
    from extproc.plan.model import ModelPlan

# Envoy's word for each cause. Its "reset" repeats timeouts too, its "5xx" resets and timeouts: hence the header match.
_RETRY_ON = {
    "connect": ("connect-failure", "refused-stream"),
    "reset": ("reset",),
    "timeout": ("reset",),
    "5xx": ("retriable-headers",),
    "429": ("retriable-headers",),
}
_RETRY_ON_DEFAULT = ("connect-failure", "refused-stream", "reset-before-request")
# Envoy draws a host at random and draws again while it is one that has failed. Of two hosts, four draws would end at the
# failed one once in sixteen retries; this makes it once in 65,536.
_OTHER_HOST_DRAWS = 16
_BACKOFF_GROWTH = 10  # Envoy's own default: the longest pause is ten times the first


def overwrite(key: str, value: str) -> HeaderValueOption:
    """Return a header that replaces whatever stood there; ``value`` is Envoy's format, ``%`` doubled."""
    return HeaderValueOption(
        header=HeaderValue(key=key, value=value),
        append_action=HeaderValueOptionHeaderAppendAction.OVERWRITE_IF_EXISTS_OR_ADD,
    )


def literal(value: str) -> str:
    """Return a value in Envoy's header format that stands for itself."""
    return value.replace("%", "%%")


def header_value(source: str | HeaderSource) -> str:
    """Return a ``headers.set`` value in Envoy's format; Envoy itself reads its environment. Raises GraphError."""
    if isinstance(source, str):
        return literal(source)
    if source.env is not None:
        return f"%ENVIRONMENT({source.env})%"
    try:
        return literal(Path(source.file or "").read_text(encoding="utf-8").strip())
    except (OSError, UnicodeDecodeError) as error:
        raise GraphError(f"headers.set: cannot read {source.file}: {error}") from None


def headers_set(model: ModelPlan) -> list[HeaderValueOption]:
    """Return the headers set on the way to a model."""
    return [overwrite(name, header_value(value)) for name, value in model.document.headers.set.items()]


def forward(model: ModelPlan, cluster: str, timeout: float | None) -> RouteAction:
    """Return the action that sends a request to a model, each attempt shortened to ``timeout`` seconds."""
    return RouteAction(
        cluster=cluster,
        timeout=timedelta(0),
        idle_timeout=timedelta(seconds=IDLE_TIMEOUT),
        retry_policy=retry_policy(model, timeout),
        host_rewrite_literal=model.authority or "",
        regex_rewrite=_whole_path(model.path) if model.path is not None else None,
    )


def sub_forward(model: ModelPlan, cluster: str) -> RouteAction:
    """Return the action for sub-calls: the caller bounds their time and carries out rules that list causes.

    They are of high priority: their limits are the caller's, and the tail calls' limits do not count them.
    """
    action = forward(model, cluster, None)
    action.priority = RoutingPriority.HIGH
    action.retry_policy = retry_policy(model, None) if model.retries.on is None else None
    return action


def _whole_path(path: str) -> RegexMatchAndSubstitute:
    return RegexMatchAndSubstitute(pattern=RegexMatcher(regex="^.*$"), substitution=path.replace("\\", "\\\\"))


def retry_policy(model: ModelPlan, timeout: float | None) -> RetryPolicy:
    """Return a model's retries in Envoy's words; the per-try timeout ends at response headers, None bounds nothing."""
    rule = model.retries
    causes = _RETRY_ON_DEFAULT if rule.on is None else tuple(word for cause in rule.on for word in _RETRY_ON[cause])
    backoff = timedelta(seconds=rule.backoff)
    return RetryPolicy(
        retry_on=",".join(dict.fromkeys(causes)),
        num_retries=rule.attempts - 1,
        per_try_timeout=None if timeout is None else timedelta(seconds=model.attempt_timeout(timeout)),
        retriable_headers=_retriable(rule.on or ()),
        retry_back_off=RetryPolicyRetryBackOff(base_interval=backoff, max_interval=backoff * _BACKOFF_GROWTH),
        retry_host_predicate=_other_hosts() if several_hosts(model) else [],
        host_selection_retry_max_attempts=_OTHER_HOST_DRAWS if several_hosts(model) else 0,
    )


def _retriable(causes: tuple[str, ...]) -> list[HeaderMatcher]:
    matchers = []
    if "5xx" in causes:
        matchers.append(HeaderMatcher(name=":status", range_match=Int64Range(start=500, end=600)))
    if "429" in causes:
        matchers.append(HeaderMatcher(name=":status", string_match=StringMatcher(exact="429")))
    return matchers


def _other_hosts() -> list[RetryPolicyRetryHostPredicate]:
    name = "envoy.retry_host_predicates.previous_hosts"
    return [RetryPolicyRetryHostPredicate(name=name, typed_config=Any.pack(PreviousHostsPredicate()))]
