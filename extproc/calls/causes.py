"""Why a call failed: Envoy's response flags and a connection's errors, as causes."""

from __future__ import annotations

from extproc.calls.egress import EgressDown
from extproc.engine.calling import Cause

# What a connection raises; ValueError: a header or path that cannot be written as HTTP.
FOREIGN = (OSError, ValueError)

# Envoy docs, "Access logging: command operators", RESPONSE_FLAGS. In this order: one reply may carry several, and the
# first that says how the call ended counts (UF,URX: connecting failed, and retries are spent).
_FLAGS = {
    "UO": Cause.OVERLOADED,  # circuit breaker
    "OM": Cause.OVERLOADED,  # overload manager
    "UT": Cause.TIMEOUT,
    "SI": Cause.TIMEOUT,  # stream idle
    "DT": Cause.TIMEOUT,  # the connection's longest life
    "UF": Cause.CONNECT,
    "UH": Cause.CONNECT,  # no healthy endpoint
    "NC": Cause.CONNECT,  # no such cluster
    "NR": Cause.CONNECT,  # no such model here (yet)
    "DF": Cause.CONNECT,  # its name was not resolved
    "UC": Cause.RESET,
    "UR": Cause.RESET,
    "LR": Cause.RESET,
    "UPE": Cause.RESET,  # it answered no HTTP
    "DC": Cause.RESET,
}


def cause_of_flags(flags: str) -> Cause:
    """Return the cause that Envoy's comma-separated response flags tell; unknown ones are a reset."""
    return known_cause(flags) or Cause.RESET


def known_cause(flags: str) -> Cause | None:
    """Return the cause that Envoy's response flags tell, None where they tell none."""
    told = flags.split(",")
    return next((cause for flag, cause in _FLAGS.items() if flag in told), None)


def cause_of_error(error: BaseException) -> Cause:
    """Return the cause behind one of the FOREIGN errors."""
    if isinstance(error, EgressDown):
        return Cause.CONNECT
    return Cause.TIMEOUT if isinstance(error, TimeoutError) else Cause.RESET
