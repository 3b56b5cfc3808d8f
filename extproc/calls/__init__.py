"""Sub-calls sent through Envoy's egress listener."""

from extproc.calls.attempt import MAX_RESPONSE
from extproc.calls.caller import EnvoyCaller
from extproc.calls.recorder import CallRecorder, Unrecorded

__all__ = ["MAX_RESPONSE", "CallRecorder", "EnvoyCaller", "Unrecorded"]
