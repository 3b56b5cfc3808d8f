"""What Envoy's configuration and the processor agree on: headers, and the bounds by which calls' durations are told apart."""

MODEL_HEADER = "x-extproc-model"  # GRAPH/MODEL: which second-pass route takes the request
ROUTE_HEADER = "x-extproc-route"  # the decisions and calls, shown to the client
GRAPH_HEADER = "x-extproc-graph"  # GRAPH@HASH: gRPC metadata to the processor, answer header to the client
FAILED_HEADER = "x-extproc-failed"  # egress only: Envoy's response flags of a call that got no answer
LATENCY_HEADER = "x-extproc-latency"  # microseconds from a request's first byte to its response's, as Envoy measured
CONTROL_PREFIX = "x-extproc-"  # no client's header of this kind comes in
DETAILS_PREFIX = "extproc."  # response code details of answers the processor computed
TRACEPARENT_HEADER = "traceparent"  # W3C Trace Context
UNTRACED = "-"  # in its place: a request that Envoy makes no span for; models never see it
PER_TRY_TIMEOUT_HEADER = "x-envoy-upstream-rq-per-try-timeout-ms"  # ends an attempt at response headers
EXPECTED_TIMEOUT_HEADER = "x-envoy-expected-rq-timeout-ms"  # tells a model how long somebody will wait
LEFT_HEADER = "x-extproc-left"  # milliseconds to the deadline; the egress makes EXPECTED_TIMEOUT_HEADER of it

# Upper bounds in seconds of the classes of a call's duration: models answer within a millisecond, or stream for minutes.
CALL_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)


_DIGITS = 15  # of a latency: more than thirty years, which nobody measured


def seconds(latency: str | None) -> float | None:
    """Return what LATENCY_HEADER says, None where it says nothing."""
    return int(latency) / 1e6 if latency and latency.isdecimal() and len(latency) <= _DIGITS else None
