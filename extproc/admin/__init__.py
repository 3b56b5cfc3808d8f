"""The admin port: health, readiness, metrics, graphs."""
