"""The processes: a supervisor that owns Envoy and the admin port, and the workers that own the hot path."""
