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
NOWHERE = "extproc.closed"  # a cluster that does not exist: where a closed graph's requests go without a processor
UPGRADE_REFUSED = 426  # how the route table tells a refused upgrade from other direct responses; clients see a 404
