"""The ext_proc messages on the wire: a trimmed, wire-compatible subset of envoy.service.ext_proc.v3."""
