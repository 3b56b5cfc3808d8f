"""Names within Envoy's configuration."""

FAST_FILTER = "extproc.fast"
BODY_FILTER = "extproc.body"
STATE_FILTER = "extproc.state"
ROUTE_STATE = "extproc.route"  # filter state object that carries ROUTE_HEADER to the response
FAIL_OPEN = "!fail-open"
METADATA = "extproc"  # metadata namespace of our routes: graph, model

PROCESSOR_CLUSTER = "extproc"
COLLECTOR_CLUSTER = "extproc.collector"  # no graph's: a graph's clusters are named GRAPH/MODEL
ROUTES = "extproc"
INGRESS = "ingress"
EGRESS = "egress"
NO_GRAPH_ROUTE = "no_graph"  # the route of requests that no graph matches; graphs have no underscores in their names
NOWHERE = "extproc.closed"  # a cluster that does not exist: where a closed graph's requests go without a processor
# What Envoy counts (envoy/counting.py), and by which tags.
REQUESTS_STAT = "requests"
TIME_STAT = "upstream_rq_time"  # of a route: how long its calls took, all attempts together
ROUTE_TAG, MODEL_TAG, STATUS_TAG, FLAGS_TAG, ATTEMPTS_TAG = "route", "model", "status", "flags", "attempts"
UPGRADE_REFUSED = 426  # how the route table tells a refused upgrade from other direct responses; clients see a 404
