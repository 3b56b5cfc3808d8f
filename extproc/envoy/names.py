"""Names within Envoy's configuration."""

FAST_FILTER = "extproc.fast"
BODY_FILTER = "extproc.body"
STATE_FILTER = "extproc.state"
ROUTE_STATE = "extproc.route"  # filter state object that carries ROUTE_HEADER to the response
FAIL_OPEN = "!fail-open"
METADATA = "extproc"  # metadata namespace of our routes: graph, model

PROCESSOR_CLUSTER = "extproc"
ROUTES = "extproc"
INGRESS = "ingress"
EGRESS = "egress"
