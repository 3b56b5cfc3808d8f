"""Accepts Envoy's streams and feeds exchanges."""
