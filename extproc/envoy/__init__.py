"""Envoy: its configuration built from plans, and its process started, watched and stopped."""
